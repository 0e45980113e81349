"""Lines of numbers, against Python's own `float`."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gmaps.kernels.text import parse_lines

NUMBERS = st.one_of(
    st.floats(-1e4, 1e4).map(lambda v: f"{v:.6f}"),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda v: f"{v:.9g}"),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["1e5", "nan", "inf", "-", "+.5", "5.", ".", "1.2.3", "0x1", "--1", "1_0", "-0", "1,5", "９"]),
    st.text("0123456789.-+eE", max_size=25),
)
LINES = st.lists(st.lists(NUMBERS, max_size=4), max_size=6)


def parsed(text: str, lines: int, columns: int):
    out, good = np.full((lines, columns), 7.0), np.ones(lines, np.bool_)
    parse_lines(np.frombuffer(text.encode(), np.uint8), out, good)
    return out, good


@settings(deadline=None, max_examples=300)  # the first call compiles
@given(LINES, st.integers(1, 4), st.sampled_from([" ", "  ", "\t", " \t "]), st.sampled_from(["", " "]))
@example([["0.1", "123456789.87654321"]], 2, " ", "")
@example([["9007199254740993", "0.0000000000000000000001"]], 2, " ", "")
def test_what_is_good_is_what_python_reads(lines, columns, gap, edge):
    text = "\n".join(edge + gap.join(line) + edge for line in lines)
    out, good = parsed(text, len(lines), columns)
    for line, values, fine in zip(text.split("\n"), out, good, strict=False):
        if fine:
            want = np.array([float(w) for w in line.split()])
            assert want.tobytes() == values.tobytes(), line


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-2000, 2000), min_size=3, max_size=3), max_size=8),
    st.sampled_from(["{:.6f}", "{:.9g}"]),
)
def test_labels_as_they_are_need_no_closer_look(rows, form):
    text = "\n".join(" ".join(form.format(v) for v in row) for row in rows)
    _, good = parsed(text, len(rows), 3)
    assert good.tolist() == ["e" not in line for line in text.split("\n")][: len(rows)]


def test_lines_that_are_not_there_are_not_good():
    out, good = parsed("1 2\n3 4", 4, 2)
    assert good.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(out[:2], [[1, 2], [3, 4]])
    assert parsed("", 1, 2)[1].tolist() == [False]
