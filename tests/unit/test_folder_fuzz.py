"""Any bytes at all in a folder: descriptions, labels and frames, or one of our errors, in bounded memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gmaps.camera import Camera
from gmaps.datasets.folder.description import Axes, Depth, Joints, Segmentation, parse_description
from gmaps.datasets.folder.frame_labels import parse_labels
from gmaps.datasets.folder.images import check_image, parse_depth, parse_labels_image
from gmaps.datasets.folder.patterns import parse_pattern
from gmaps.errors import DatasetError, FrameError, GmapsError
from gmaps.formats.npy import parse_npy, parse_npz
from gmaps.formats.strict_toml import parse_toml

SIZE = (24, 16)
CAMERA = Camera(50.0, 50.0, 12.0, 8.0, *SIZE)
#: Bytes that a parser may take for each byte of its file, and besides: Python's numbers are large, its modules, too.
FACTOR, ROOM = 80, 3_000_000


def bounded(parse, data):
    """What `parse` makes of bytes, None where it refuses them; fails where it takes more memory than they warrant."""
    tracemalloc.start()
    try:
        return parse(data)
    except GmapsError:
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < FACTOR * len(data) + ROOM, f"{peak:,} bytes for {len(data):,}"


def changed(data, draw):
    """The bytes with a few of them changed, taken out or put in, or cut off."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(out) - 1, 0)))
        what = draw(st.sampled_from("fidc"))
        if what == "f" and out:
            out[at] ^= draw(st.integers(1, 255))
        elif what == "i":
            out[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif what == "d":
            del out[at : at + draw(st.integers(1, 9))]
        elif draw(st.booleans()):
            del out[at:]
    return bytes(out)


# --- descriptions ----------------------------------------------------------------------------------------------

TOML = b"""
title = "x"
frames = 3
[camera]
fx = 50
fy = 50.0
cx = 12
cy = 8
width = 24
height = 16
[depth]
files = "{subject}/{frame:[0-9]{3}}.png"
unit = 0.125
none = [0, 65535]
[joints]
files = "{subject}/j.csv"
axes = ["right", "up", "backward"]
order = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
[skeleton]
name = "msra21"
[splits]
test = { subject = ["a"] }
[segmentation]
files = "{subject}/{frame}_s.png"
labels = ["a", "b"]
[mesh]
files = "{subject}/{frame}.npy"
"""
WORDS = [*TOML.split(), b"nan", b"inf", b"-1", b"1e400", b"[]", b"{}", b'""', b"true", b"0x7fffffffffffffffffff",
         b"1979-05-27", b"'{frame}{frame}.npz'", b"'..'", b'"\\u0000"', b"[[depth]]"]  # fmt: skip


def describe(data):
    return parse_description(parse_toml(data, "dataset.toml"))


def test_the_untouched_description_is_read():
    assert describe(TOML).depth.unit == 0.125


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_descriptions_with_changed_bytes(data):
    bounded(describe, changed(TOML, data.draw))


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_descriptions_with_changed_values(data):
    lines = TOML.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        k = data.draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[k].partition(b" = ")
        lines[k] = key + equals + data.draw(st.sampled_from(WORDS)) if equals else data.draw(st.sampled_from(lines))
    bounded(describe, b"\n".join(lines))


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_descriptions_of_any_bytes(data):
    assert bounded(describe, data) is None


@pytest.mark.parametrize("data", [b"a" + b".a" * 100_000 + b"=1", b"x=" + b"{a=" * 50_000, b"x=" + b"[" * 100_000])
def test_descriptions_that_would_take_long_are_refused_at_once(data):
    with pytest.raises(DatasetError, match=r"line longer|no TOML"):
        describe(data)


@settings(max_examples=200, deadline=None)
@example("{frame:[a--z]}")  # Python's own warning about it is none of the user's
@given(st.one_of(st.text(max_size=40), st.text("{}[]:frame0-9+/.,subject(|)*\\", max_size=40)))
def test_patterns_of_any_text(text):
    try:
        pattern = parse_pattern(text, "x")
    except DatasetError:
        return
    path = pattern.path(("p", "s", "q", "007"))
    assert ".." not in path.split("/")
    assert not path.startswith("/")


# --- labels ----------------------------------------------------------------------------------------------------


def labels_of(suffix, *, shared=True, rows="number", order=(), kind="xyz", array=""):
    name = f"j{suffix}" if shared else f"{{frame}}{suffix}"
    spec = Joints(parse_pattern(name, "x"), kind, Axes(("left", "up", "forward"), 10.0), rows, 0, 0, array, order)

    def parse(data):
        labels = parse_labels(data, name, spec, 21, CAMERA)
        n = len(labels.joints)
        assert labels.joints.shape == (n, 21, 3)
        assert labels.joints.dtype == np.float32
        assert not np.isinf(labels.joints).any()
        assert all(0 <= k < n for k in labels.faults)
        assert len(labels.names) in (0, n)
        return labels

    return parse


ROWS = np.random.default_rng(0).normal(0, 300, (4, 63))


def saved(save, *args, **kwargs):
    file = io.BytesIO()
    save(file, *args, **kwargs)
    return file.getvalue()


LABELS = {
    ".csv": "\n".join(",".join(f"{v:.5g}" for v in row) for row in ROWS).encode(),
    ".txt": "\r\r\n".join(f"f{k} " + " ".join(f"{v:.5g}" for v in row) for k, row in enumerate(ROWS)).encode(),
    ".json": str(ROWS.round(2).tolist()).encode(),
    ".npy": saved(np.save, ROWS.reshape(4, 21, 3)),
    ".npz": saved(np.savez_compressed, xyz=ROWS.astype(np.float32)),
}


@pytest.mark.parametrize("suffix", LABELS)
def test_untouched_labels_are_read(suffix):
    found = labels_of(suffix, rows="name" if suffix == ".txt" else "number")(LABELS[suffix]).joints
    np.testing.assert_allclose(found.reshape(4, 63)[:, 2::3], 10 * ROWS[:, 2::3], rtol=1e-3, atol=0.1)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_labels_with_changed_bytes(data):
    suffix = data.draw(st.sampled_from(list(LABELS)))
    parse = labels_of(
        suffix,
        shared=data.draw(st.booleans()),
        rows=data.draw(st.sampled_from(["number", "name"])) if suffix in (".csv", ".txt", ".json") else "number",
        order=data.draw(st.sampled_from([(), tuple(range(20, -1, -1)), tuple(range(0, 42, 2))])),
        kind=data.draw(st.sampled_from(["xyz", "uvd"])),
        array=data.draw(st.sampled_from(["", "xyz"])),
    )
    bounded(parse, changed(LABELS[suffix], data.draw))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(LABELS)), st.binary(max_size=200), st.booleans())
def test_labels_of_any_bytes(suffix, data, shared):
    bounded(labels_of(suffix, shared=shared), data)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=3), inner, max_size=5)),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None)
@given(json_values, st.sampled_from(["number", "name"]), st.booleans())
def test_labels_of_any_json(value, rows, shared):
    import json

    bounded(labels_of(".json", rows=rows, shared=shared), json.dumps(value).encode())


@pytest.mark.parametrize(
    "data",
    [
        b",".join([b"1"] * 30_000) + b"\n1" * 30_000,  # a wide first line, and many short ones
        b"\n" * 100_000 + b"1",
        b",".join([b"1"] * 63) + b"\n1" * 100_000,
        b"1 " * 200_000,
    ],
)
def test_lines_that_would_make_a_huge_table_do_not(data):
    for shared in (True, False):
        for order in ((), tuple(range(21))):
            bounded(labels_of(".csv", shared=shared, order=order), data)


# --- arrays whose headers lie ----------------------------------------------------------------------------------


def header(shape, descr="'<f4'", version=1):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


@pytest.mark.parametrize(
    "data",
    [
        header("(1000000000, 21, 3)"), header("(4, 21, 3)") + bytes(4 * 63 * 4 + 1),
        header("(-4, -21, 3)") + bytes(1008),
        header("(4, 21, 3)", "'<f16'"), header("(4, 21, 3)", "'|O'"), header("(4, 21, 3)", "[('a', '<f4')]"),
        header("(2, 2)", "'<V8'"), header("(9" + "9" * 60 + ",)"), header("()", "'<f4'"), header("1"),
        header("(1,)", "__import__('os')"), header("(1,)", "(" * 40), b"\x93NUMPY\x09\x00",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(60),
    ],
)  # fmt: skip
def test_lying_headers_are_refused(data):
    for suffix in (".npy", ".npz"):
        assert bounded(labels_of(suffix), data) is None
    kind = Depth(parse_pattern("{frame}.npy", "x"), 1.0, (), 1e5, (), "")
    assert bounded(lambda d: parse_depth(d, "f", kind, SIZE), data) is None


def archive(body, name="xyz.npy", claimed=None, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as z:
        z.writestr(name, body)
    data = bytearray(file.getvalue())
    if claimed is not None:  # sizes in the local header and in the directory
        at = data.rindex(b"PK\x01\x02")
        struct.pack_into("<I", data, at + 24, claimed)
        struct.pack_into("<I", data, 22, claimed)
    return bytes(data)


def test_archives_that_lie_or_blow_up_are_refused():
    zeros = header("(50000, 63)") + bytes(50_000 * 63 * 4)
    good = header("(4, 63)") + bytes(4 * 63 * 4)
    for data in (
        archive(zeros), archive(good, claimed=2**31), archive(good, claimed=200), archive(good, name="other.npy"),
        archive(good, method=zipfile.ZIP_BZIP2), archive(good, method=zipfile.ZIP_LZMA), archive(b""),
    ):  # fmt: skip
        assert bounded(labels_of(".npz", array="xyz"), data) is None
    assert bounded(labels_of(".npz", array="xyz"), archive(good)) is not None
    both = io.BytesIO()
    np.savez(both, a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(FrameError, match=r"f: holds a, b; say which by `array`"):
        parse_npz(both.getvalue(), "f", "")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=150), st.sampled_from([1, 2, 3]))
def test_npy_headers_of_any_text(text, version):
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    bounded(lambda d: parse_npy(d, "f"), b"\x93NUMPY" + bytes([version, 0]) + size + text)


# --- frames ----------------------------------------------------------------------------------------------------

IMAGE = np.random.default_rng(1).integers(0, 900, (16, 24)).astype(np.uint16)


def encoded(suffix, image, *params):
    ok, data = cv2.imencode(suffix, image, list(params))
    assert ok
    return data.tobytes()


FRAMES = [
    (".png", encoded(".png", IMAGE)),
    *[(".tiff", encoded(".tiff", IMAGE, cv2.IMWRITE_TIFF_COMPRESSION, c)) for c in (1, 5, 8)],
    (".tif", encoded(".tiff", IMAGE.astype(np.float32))),
    (".npy", saved(np.save, IMAGE)),
    (".npz", saved(np.savez_compressed, depth=IMAGE)),
]


def frame_of(suffix):
    kind = Depth(parse_pattern("{frame}" + suffix, "x"), 0.5, (7.0,), 1e5, (), "")

    def parse(data):
        depth = parse_depth(data, "f", kind, SIZE)
        assert depth.shape == SIZE[::-1]
        assert depth.dtype == np.float32
        assert ((depth >= 0) & (depth < 1e5)).all()
        check_image(io.BytesIO(data), len(data), "f", kind, SIZE)  # what is read passes a check
        return depth

    return parse


@pytest.mark.parametrize(("suffix", "data"), FRAMES)
def test_untouched_frames_are_read(suffix, data):
    np.testing.assert_array_equal(frame_of(suffix)(data), np.where(IMAGE == 7, 0, IMAGE) * np.float32(0.5))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FRAMES), st.data())
def test_frames_with_changed_bytes(case, data):
    suffix, good = case
    bounded(frame_of(suffix), changed(good, data.draw))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([".png", ".tiff", ".npy", ".npz"]), st.binary(max_size=150), st.integers(0, 12))
def test_frames_of_any_bytes_behind_a_right_start(suffix, data, keep):
    good = dict(FRAMES)[suffix]
    bounded(frame_of(suffix), good[:keep] + data)


def tags(*entries, order="<", body=b"", first=8):
    """A TIFF of these (tag, type, count, value) behind 8 bytes of header and, from byte 8 on, `body`."""
    start = 8 + len(body)
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", start)
    out = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        packed = struct.pack(order + ("H" if kind == 3 and count == 1 else "I"), value).ljust(4, b"\0")
        out += struct.pack(order + "HHI", tag, kind, count) + packed
    return head + body + out + bytes(4)


def plain(**change):
    wanted = {256: 24, 257: 16, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: 16, 279: 768, 339: 1}
    wanted |= {int(k[1:]): v for k, v in change.items()}
    return [(tag, 4, 1, value) for tag, value in sorted(wanted.items()) if value is not None]


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_both_byte_orders(order):
    body = IMAGE.astype(order + "u2").tobytes()
    found = frame_of(".tiff")(tags(*plain(), order=order, body=body))
    np.testing.assert_array_equal(found, np.where(IMAGE == 7, 0, IMAGE) * np.float32(0.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t256": 60000, "t257": 60000}, "60000 x 60000 pixels"), ({"t258": 8}, "1 x 8 bits"),
        ({"t262": 0}, "photometric 0"),
        ({"t259": 7}, "compression 7"), ({"t274": 6}, "orientation 6"), ({"t277": 3}, "3 x 16 bits"),
        ({"t339": 3}, "sample format 3"), ({"t273": 2**31}, "torn"), ({"t279": 767}, "torn"),
        ({"t279": 2**32 - 1}, "torn"),
        ({"t273": None}, "torn"), ({"t322": 60000, "t323": 60000}, "tiles larger"), ({"t256": None}, "0 x 16 pixels"),
    ],
)  # fmt: skip
def test_tiffs_whose_tags_lie(change, message):
    data = tags(*plain(**change), body=IMAGE.tobytes())
    with pytest.raises(FrameError, match=rf"^f: .*{message}"):
        frame_of(".tiff")(data)
    kind = Depth(parse_pattern("{frame}.tiff", "x"), 1.0, (), 1e5, (), "")
    with pytest.raises(FrameError, match=rf"^f: .*{message}"):
        check_image(io.BytesIO(data), len(data), "f", kind, SIZE)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([256, 257, 258, 259, 262, 273, 277, 278, 279, 317, 320, 322, 324, 325, 339, 33550]),
            st.sampled_from([1, 2, 3, 4, 5, 12]), st.sampled_from([0, 1, 2, 1000, 2**31, 2**32 - 1]),
            st.sampled_from([0, 1, 2, 8, 16, 24, 768, 40_000]),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_tiffs_of_any_tags(entries):
    last = {e[0]: e for e in plain()} | {e[0]: e for e in entries}
    bounded(frame_of(".tiff"), tags(*[last[k] for k in sorted(last)], body=IMAGE.tobytes()))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_segmentations_with_changed_bytes(data):
    kind = Segmentation(parse_pattern("{frame}.png", "x"), ("a", "b", "c"), "")
    good = encoded(".png", (IMAGE % 3).astype(np.uint8))
    assert parse_labels_image(good, "f", kind, SIZE).max() == 2
    bounded(lambda d: parse_labels_image(d, "f", kind, SIZE), changed(good, data.draw))


def test_a_png_that_unpacks_to_more_than_it_says_takes_no_memory():
    def chunk(tag, body):
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *SIZE, 16, 0, 0, 0, 0))
    bomb = zlib.compress(bytes(30_000_000))
    for extra in (chunk(b"zTXt", b"a\x00\x00" + bomb), chunk(b"iCCP", b"a\x00\x00" + bomb), b""):
        data = b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", bomb) + chunk(b"IEND", b"")
        bounded(frame_of(".png"), data)
