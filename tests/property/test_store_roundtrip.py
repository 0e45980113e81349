"""Any shape, type, shard size and index list: zarr-python, our reader and what was written agree."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gmaps.kernels.packed.half import float_to_half, half_to_float
from gmaps.store import open_store, verify_checksums
from gmaps.store.codec import MISSING, encode_item, pack_index, parse_index
from gmaps.store.schema import MapArray, make_layout
from gmaps.store.writer import ShardWriter, finish_store

#: Planes, voxels and plain lists of values.
SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


@st.composite
def maps(draw):
    if draw(st.booleans()):
        return MapArray("m", draw(SHAPES), draw(st.booleans()), (-2.0, 3.0))
    # Such as are packed.
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.integers(8, 23)))
    return MapArray("m", shape, draw(st.booleans()), (-1.0, 1.0), smooth=True)


@st.composite
def stores(draw):
    rows = draw(st.integers(1, 12))
    return {
        "rows": rows,
        "shard": draw(st.integers(1, 14)),
        "joints": draw(st.integers(1, 5)),
        "crop": draw(st.sampled_from([1, 3, 16])),
        "map": draw(maps()),
        "layout": draw(st.sampled_from(["packed", "plain"])),
        "dtype": draw(st.sampled_from(["float16", "float32", "uint8"])),
        "rejected": draw(st.sets(st.integers(0, rows - 1))),
        "indices": draw(st.lists(st.integers(-rows, rows - 1), max_size=20)),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


@settings(max_examples=30, deadline=None)
@given(stores())
def test_what_is_written_is_read(case):
    rng = np.random.default_rng(case["seed"])
    layout = make_layout(case["joints"], case["crop"], [case["map"]], case["dtype"], case["layout"])
    rows = []
    for i in range(case["rows"]):
        row = {}
        for a in layout:
            if np.dtype(a.dtype).kind == "f" or a.quantised:
                spread = 0.4 if a.packed else 2
                row[a.name] = rng.normal(0, spread, a.item).astype(np.float32)
                row[a.name][rng.random(a.item[:2]) < 0.4] = 0
            elif a.dtype == "bool":
                row[a.name] = i not in case["rejected"]
            else:
                row[a.name] = int(rng.integers(0, 1000))
        rows.append({k: row[k] for k in ("frame", "valid")} if i in case["rejected"] else row)
    scratch = Path(tempfile.mkdtemp())
    try:
        root, records = scratch / "s.zarr", []
        for k, start in enumerate(range(0, len(rows), case["shard"])):
            with ShardWriter(root, layout, k, case["shard"]) as w:
                for row in rows[start : start + case["shard"]]:
                    w.append(row)
                records += w.close()
        attributes = {"format": 1, "crop": {"projection": "orthographic"}}
        finish_store(root, layout, len(rows), case["shard"], attributes, [], records)
        assert verify_checksums(root) == []

        store, group = open_store(root), zarr.open_group(root, mode="r", use_consolidated=False)
        assert len(store) == len(rows)
        got = store.read(case["indices"], decode=False)
        for a in layout:
            theirs = group[a.name][:]
            expected = np.stack(
                [
                    encode_item(a, np.asarray(r[a.name])) if a.name in r else np.full(a.item, a.fill, a.dtype)
                    for r in rows
                ]
            )
            np.testing.assert_array_equal(theirs, expected)
            np.testing.assert_array_equal(got[a.name], expected[case["indices"]] if case["indices"] else expected[:0])
            assert got[a.name].dtype == theirs.dtype
    finally:
        shutil.rmtree(scratch)


@given(hnp.arrays(np.uint32, st.integers(0, 200), elements=st.integers(0, 2**32 - 1)))
def test_to_half_rounds_as_numpy(bits):
    values = bits.view(np.float32)
    got = np.empty(bits.shape, np.uint16)
    float_to_half(bits, got)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16)
    np.testing.assert_array_equal(got.view(np.float16), expected)
    back = np.empty(bits.shape, np.uint32)
    half_to_float(got, back)
    np.testing.assert_array_equal(back.view(np.float32), expected.astype(np.float32))


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)) | st.just((MISSING, MISSING)), min_size=1))
def test_an_index_comes_back(entries):
    table = np.array(entries, np.uint64)
    tail = pack_index(table[:, 0], table[:, 1])
    assert len(tail) == 16 * len(entries) + 4
    np.testing.assert_array_equal(parse_index(tail, len(entries), 2000), table)
