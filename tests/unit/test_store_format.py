"""The store's bytes: zarr-python and xarray must read what our own encoder wrote, and ours what they wrote."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray
import zarr
from numcodecs import blosc
from store_kit import KINDS, fake_rows, write_store

from gmaps.errors import UsageError
from gmaps.kernels.packed.half import float_to_half, half_to_float
from gmaps.store import open_store, verify_checksums
from gmaps.store.codec import crc32c, encode_item, parse_index
from gmaps.store.schema import MapArray, make_layout


@pytest.fixture
def rows():
    rows = fake_rows(10)
    # Row 6 is a rejected frame: its inner chunks are missing.
    rows[6] = {k: rows[6][k] for k in ("frame", "subject", "sequence")} | {"valid": False}
    return rows


@pytest.fixture
def path(tmp_path, rows):
    return write_store(tmp_path / "s.zarr", rows)


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_zarr_python_reads_every_byte(tmp_path, rows, dtype):
    kinds = tuple(m for m in KINDS if dtype != "uint8" or m.kind != "signed_edt")
    path = write_store(tmp_path / "s.zarr", rows, kinds=kinds, dtype=dtype)
    group = zarr.open_group(path, mode="r")
    store = open_store(path)
    stored = store.read(range(10), decode=False)
    layout = {a.name: a for a in make_layout(21, 16, kinds, dtype)}
    assert set(stored) == set(layout)
    for name, values in stored.items():
        theirs = group[name]
        assert theirs.dtype == layout[name].dtype
        np.testing.assert_array_equal(theirs[:], values, err_msg=name)
        for i, row in enumerate(rows):
            expected = (
                encode_item(layout[name], np.asarray(row[name]))
                if name in row
                else np.full(values.shape[1:], layout[name].fill)
            )
            np.testing.assert_array_equal(values[i], expected, err_msg=f"{name}[{i}]")


def test_zarr_python_finds_the_chunks_that_are_missing(path):
    depth = zarr.open_array(path / "depth", mode="r")
    assert depth.shards == (4, 16, 16)
    assert depth.chunks == (1, 16, 16)
    assert (depth[6] == 1).all()
    # 4 + 4 + 2 rows, one rejected
    tail = (path / "depth" / "c.1.0.0").read_bytes()[-(4 * 16 + 4) :]
    index = parse_index(tail, 4, 10**9)
    assert (index[2] == 2**64 - 1).all()
    assert (index[[0, 1, 3]] < 10**6).all()
    last = parse_index((path / "depth" / "c.2.0.0").read_bytes()[-(4 * 16 + 4) :], 4, 10**9)
    assert (last[2:] == 2**64 - 1).all()


def test_zarr_python_writes_what_we_read(path, rows):
    """Appended through zarr-python: its shards carry the same codecs, so they are mapped like our own."""
    group = zarr.open_group(path, mode="r+")
    fresh = np.random.default_rng(5).random((3, 8, 8, 21)).astype(np.float16)
    group["maps/geodesic"][1:4] = fresh
    store = open_store(path)
    got = store.read([1, 2, 3, 4], ["maps/geodesic"], decode=False)["maps/geodesic"]
    np.testing.assert_array_equal(got[:3], fresh)
    np.testing.assert_array_equal(got[3], rows[4]["maps/geodesic"].astype(np.float16))


def test_a_store_with_foreign_codecs_is_read_through_zarr_python(path, rows):
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    values = group["maps/heatmap"][:]
    del group["maps/heatmap"]
    group.create_array("maps/heatmap", data=values, chunks=(3, 8, 8, 21))  # zstd, no shards
    store = open_store(path)
    np.testing.assert_array_equal(store[3].maps["heatmap"], rows[3]["maps/heatmap"].astype(np.float16))
    np.testing.assert_array_equal(
        store.read([7, 0, 7], ["maps/heatmap"], decode=False)["maps/heatmap"], values[[7, 0, 7]]
    )
    assert store.spec.arrays["maps/heatmap"].codec == "another program's"
    assert store.spec.arrays["maps/geodesic"].codec == "sharded, lz4"


def test_xarray_opens_it_as_it_is(path, rows):
    with xarray.open_zarr(path) as ds:
        assert ds.depth.dims == ("sample", "row", "col")
        assert ds.joints.dims == ("sample", "joint", "axis")
        assert ds.joints.attrs["units"] == "mm"
        np.testing.assert_array_equal(ds.depth[2], rows[2]["depth"])
        np.testing.assert_array_equal(ds.valid, [i != 6 for i in range(10)])
    with xarray.open_datatree(path, engine="zarr") as tree:
        geodesic = tree["maps/geodesic"]
        assert geodesic.dims == ("sample", "map_row", "map_col", "geodesic_channel")
        np.testing.assert_array_equal(geodesic[9], rows[9]["maps/geodesic"].astype(np.float16))


def test_xarray_decodes_uint8(tmp_path, rows):
    kinds = (MapArray("heatmap", (8, 8, 21), False, (-0.5, 1.5)),)
    path = write_store(tmp_path / "s.zarr", rows, kinds=kinds, dtype="uint8")
    with xarray.open_zarr(path, group="maps") as ds:
        np.testing.assert_allclose(ds.heatmap[3], rows[3]["maps/heatmap"], atol=2 / 510 + 1e-6)
        np.testing.assert_allclose(open_store(path)[3].maps["heatmap"], ds.heatmap[3], atol=1e-6)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 0.0), ("float16", 2.5e-4), ("uint8", 1 / 510 + 1e-7)])
def test_stated_error_bounds_hold_on_the_unit_range(tmp_path, dtype, bound):
    kinds = (MapArray("geodesic", (8, 8, 21), True, (0.0, 1.0)),)
    rows = fake_rows(6, 3, kinds)
    rows[0]["maps/geodesic"][0, 0, :4] = [0, 1, 0.5, np.nextafter(np.float32(1), np.float32(0))]
    store = open_store(write_store(tmp_path / "s.zarr", rows, kinds=kinds, dtype=dtype))
    worst = max(np.abs(store[i].maps["geodesic"] - r["maps/geodesic"]).max() for i, r in enumerate(rows))
    assert worst <= bound
    if dtype != "float32":
        assert worst > bound / 4  # the bound is no excuse


def test_uint8_needs_a_bounded_range():
    with pytest.raises(UsageError, match="signed_edt has no bounded range"):
        make_layout(21, 16, KINDS, "uint8")
    with pytest.raises(UsageError, match="int8"):
        make_layout(21, 16, (), "int8")


def test_uint8_fill_is_the_code_nearest_to_zero(tmp_path, rows):
    kinds = (MapArray("heatmap", (8, 8, 21), False, (-1.0, 1.0)),)
    store = open_store(write_store(tmp_path / "s.zarr", rows, kinds=kinds, dtype="uint8"))
    np.testing.assert_allclose(store[6].maps["heatmap"], 0, atol=1 / 255 + 1e-7)


def test_half_conversion_equals_numpy():
    halves = np.arange(65536, dtype=np.uint16)
    floats = np.empty(65536, np.uint32)
    half_to_float(halves, floats)
    np.testing.assert_array_equal(floats, halves.view(np.float16).astype(np.float32).view(np.uint32))

    bits = np.random.default_rng(0).integers(0, 2**32, 500_000, dtype=np.uint64).astype(np.uint32)
    bits[:65536] = floats  # every exact half, too
    bits[65536 : 2 * 65536] = floats + 0x1000  # and every tie
    values = bits.view(np.float32)
    got = np.empty(bits.size, np.uint16)
    float_to_half(bits, got)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16)
    nan = np.isnan(values)
    np.testing.assert_array_equal(got[~nan], expected.view(np.uint16)[~nan])
    assert np.isnan(got.view(np.float16)[nan]).all()


def test_crc32c_is_the_one_of_the_specification():
    assert crc32c([b"123456789"]) == 0xE3069283
    assert crc32c([b"1234", b"56789"]) == 0xE3069283


def test_the_bytes_do_not_depend_on_the_writer(tmp_path, rows):
    one, two = write_store(tmp_path / "a.zarr", rows), write_store(tmp_path / "b.zarr", rows)
    assert blosc.use_threads is False
    files = sorted(f.relative_to(one) for f in one.rglob("*") if f.is_file())
    assert files == sorted(f.relative_to(two) for f in two.rglob("*") if f.is_file())
    for f in files:
        assert (one / f).read_bytes() == (two / f).read_bytes(), f


def test_checksums_find_each_kind_of_damage(path):
    assert verify_checksums(path) == []
    files = json.loads((path / "checksums.json").read_text())["files"]
    assert {"zarr.json", "rejects.json", "depth/zarr.json", "depth/c.0.0.0", "valid/c.2"} <= set(files)
    shard = path / "maps/geodesic/c.1.0.0.0"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    (path / "joints/c.0.0.0").write_bytes(b"short")
    (path / "cube/c.2.0").unlink()
    (path / "depth/c.9.0.0").write_bytes(b"stray")
    for litter in (".DS_Store", "depth/._c.0.0.0", "maps/Thumbs.db"):  # left behind by operating systems
        (path / litter).write_bytes(b"litter")
    assert verify_checksums(path) == [
        "cube/c.2.0: missing",
        f"joints/c.0.0.0: has 5 bytes, {4 * 21 * 3 * 4} were written",
        "maps/geodesic/c.1.0.0.0: its bytes changed (checksum)",
        "depth/c.9.0.0: not part of the store",
    ]
