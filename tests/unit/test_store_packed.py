"""The packed codec: its bytes, its bounds, other programs, and bytes that were changed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from store_kit import KINDS, fake_rows, write_store

import gmaps
from gmaps.errors import CorruptStoreError, UsageError
from gmaps.kernels.packed.encode import STEP, pack, pack_floats, quantise
from gmaps.kernels.packed.unpack import PROBLEMS, unpack
from gmaps.store import compare_sample, open_store
from gmaps.store.schema import make_layout
from gmaps.store.zarr_codec import PackedCodec
from tests.reference import packed as twin

SMOOTH = (replace(KINDS[0], smooth=True),)


def hand(rng, shape, dtype=np.float16):
    """A map such as they are: smooth on a blob, 0 around it."""
    rows, cols, lanes = shape
    r, c = np.mgrid[:rows, :cols]
    at = rng.uniform(0, 1, (lanes, 2)) * [rows, cols]
    away = np.hypot(r[..., None] - at[:, 0], c[..., None] - at[:, 1])
    inside = np.hypot(r - rows / 2, c - cols / 2) < min(rows, cols) * rng.uniform(0.2, 0.6)
    values = np.where(inside[..., None], 1 - away / away.max(), 0)
    return np.rint(values * (255 if dtype == np.uint8 else 2048)).astype(dtype) / dtype(
        1 if dtype == np.uint8 else 2048
    )


@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_the_twin_gives_the_same_bytes_and_values(dtype):
    rng = np.random.default_rng(3)
    for _ in range(12):
        values = hand(rng, rng.integers(1, 14, 3), dtype).astype(dtype)
        chunk = pack(values, 0)
        assert chunk == twin.encode(values, 0)
        np.testing.assert_array_equal(twin.decode(chunk, values.shape, dtype), values)
        got, problem = unpack(np.frombuffer(chunk, np.uint8), values.shape, np.dtype(dtype))
        assert problem == ""
        assert got.tobytes() == values.tobytes()


def test_any_float16_comes_back_bit_by_bit():
    bits = np.arange(65536, dtype=np.uint16)
    values = bits.view(np.float16).reshape(16, 256, 16)
    chunk = pack(values, 0)
    assert chunk == twin.encode(values, 0)
    got, problem = unpack(np.frombuffer(chunk, np.uint8), values.shape, values.dtype)
    assert problem == ""
    np.testing.assert_array_equal(got.view(np.uint16), values.view(np.uint16))
    fixed = np.arange(-2048, 2049).astype(np.float16)[:, None] / np.float16(2048) + np.float16(0)
    assert pack(fixed, 0)[1] == 1
    for odd in (-0.0, np.nan, np.inf, 1.001, 2.0**-12):
        assert pack(np.append(fixed, np.float16(odd))[:, None], 0)[1] == 2


@pytest.mark.parametrize(("dtype", "bound"), [("float16", 2.5e-4), ("uint8", 1 / 510 + 1e-7)])
def test_stated_error_bounds_hold(tmp_path, dtype, bound):
    rows = fake_rows(6, 3, SMOOTH)
    rows[0]["maps/geodesic"][0, 0, :4] = [0, 1, 0.5, np.nextafter(np.float32(1), np.float32(0))]
    rows[1]["maps/geodesic"][0, 0, :3] = [STEP / 2, 1.5 * STEP, 1 - STEP / 2]
    store = open_store(write_store(tmp_path / "s.zarr", rows, kinds=SMOOTH, dtype=dtype))
    assert store.spec.arrays["maps/geodesic"].codec == "sharded, packed"
    worst = max(np.abs(store[i].maps["geodesic"] - r["maps/geodesic"]).max() for i, r in enumerate(rows))
    assert bound / 4 < worst <= bound
    assert worst <= store.rounding("maps/geodesic", np.ones(1))[0]
    assert compare_sample(store, 2, rows[2]) == []
    rows[2]["maps/geodesic"][1, 2, 3] += 0.01
    assert "1 of 1344 values differ" in compare_sample(store, 2, rows[2])[0]


def test_values_beyond_the_range_and_nan_are_kept(tmp_path):
    rows = fake_rows(3, 1, SMOOTH)
    rows[1]["maps/geodesic"][2, 3, :5] = [np.nan, np.inf, -np.inf, 1.75, -40]
    store = open_store(write_store(tmp_path / "s.zarr", rows, kinds=SMOOTH))
    np.testing.assert_array_equal(store[1].maps["geodesic"][2, 3, :5], [np.nan, np.inf, -np.inf, 1.75, -40])
    assert compare_sample(store, 1, rows[1]) == []


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_zarr_python_and_xarray_read_it(tmp_path, dtype):
    rows = fake_rows(10, 0, SMOOTH)
    rows[6] = {"frame": 6, "valid": False}
    path = write_store(tmp_path / "s.zarr", rows, kinds=SMOOTH, dtype=dtype)
    store = open_store(path)
    stored = store.read(range(10), ["maps/geodesic"], decode=False)["maps/geodesic"]
    decoded = store.read(range(10), ["maps/geodesic"])["maps/geodesic"]
    theirs = zarr.open_array(path / "maps/geodesic", mode="r")
    np.testing.assert_array_equal(theirs[:], stored)
    np.testing.assert_array_equal(theirs.oindex[[9, 0, 6]], stored[[9, 0, 6]])
    assert (decoded[6] == 0).all()
    with xarray.open_zarr(path, group="maps", consolidated=False) as maps:
        np.testing.assert_allclose(maps["geodesic"][:], decoded, atol=1e-6)


def test_what_zarr_python_writes_is_read(tmp_path):
    path = write_store(tmp_path / "s.zarr", fake_rows(10, 0, SMOOTH), kinds=SMOOTH)
    rng = np.random.default_rng(5)
    fresh = rng.random((3, 8, 8, 21)).astype(np.float16)  # no multiples of a step: kept without loss
    zarr.open_group(path, mode="r+", use_consolidated=False)["maps/geodesic"][3:6] = fresh
    got = open_store(path).read([3, 4, 5], ["maps/geodesic"], decode=False)["maps/geodesic"]
    np.testing.assert_array_equal(got, fresh)


def test_the_codec_refuses_what_it_cannot_pack():
    with pytest.raises(UsageError, match=r"packs uint8 and float16, not float32"):
        zarr.create_array(
            {}, shape=(4, 4), chunks=(4, 4), dtype="float32", serializer=PackedCodec(), compressors=None
        )
    with pytest.raises(UsageError, match="has no configuration"):
        PackedCodec.from_dict({"name": "gmaps.packed", "configuration": {"level": 3}})
    with pytest.raises(UsageError, match="a layout is packed or plain, not 'tight'"):
        make_layout(21, 16, KINDS, layout="tight")


def test_zarr_finds_the_codec_by_itself(tmp_path):
    if not entry_points(group="zarr.codecs", name="gmaps.packed"):
        pytest.skip("the installed metadata are older than pyproject.toml: pip install --editable . brings them up")
    path = write_store(tmp_path / "s.zarr", fake_rows(3, 0, SMOOTH), kinds=SMOOTH)
    code = f"import zarr; print(float(zarr.open_array({str(path / 'maps/geodesic')!r}, mode='r')[2].max()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert float(done.stdout) == open_store(path)[2].maps["geodesic"].max(), done.stderr


def test_packed_where_it_pays(tmp_path):
    layout = {a.name: a for a in make_layout(21, 16, (*SMOOTH, *KINDS[1:]))}
    assert {n for n, a in layout.items() if a.packed} == {"maps/geodesic"}
    assert not any(a.packed for a in make_layout(21, 16, SMOOTH, "float32"))
    assert not any(a.packed for a in make_layout(21, 16, SMOOTH, layout="plain"))
    sizes = {}
    for name in ("packed", "plain"):
        report = gmaps.build(
            "synthetic", tmp_path / name, ("geodesic",), limit=8, workers=0, layout=name, progress=False
        )
        assert report.frames == 8
        info = open_store(tmp_path / name).spec.arrays["maps/geodesic"]
        sizes[name] = info.stored_bytes
        assert info.codec == f"sharded, {'lz4' if name == 'plain' else 'packed'}"
        assert open_store(tmp_path / name).attributes["maps"]["layout"] == name
    index = 16 * 1024 + 4
    assert sizes["packed"] - index < 0.6 * (sizes["plain"] - index)


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_changed_chunks_are_named_or_give_values(tmp_path, dtype):
    """Bits flipped, bytes replaced, lengths changed: an error of ours, or values; `gmaps verify` finds all."""
    rng = np.random.default_rng(11)
    kinds = (replace(SMOOTH[0], shape=(12, 12, 21)),)
    rows = fake_rows(4, 0, kinds)
    for row in rows:
        row["maps/geodesic"] = hand(rng, (12, 12, 21)).astype(np.float32)
    path = write_store(tmp_path / "s.zarr", rows, kinds=kinds, dtype=dtype)
    file = path / "maps/geodesic/c.0.0.0.0"
    good = file.read_bytes()
    told = []
    for n in range(400):
        bad = bytearray(good)
        data = len(bad) - 4 * 16 - 4
        for at in rng.integers(0, data if n % 2 else 200, rng.integers(1, 5)):
            bad[at] = rng.integers(256) if n % 3 else bad[at] ^ 1 << rng.integers(8)
        file.write_bytes(bad)
        store = open_store(path)
        for decode in (True, False):
            try:
                store.read([0, 1, 2, 3], ["maps/geodesic"], decode=decode)
            except CorruptStoreError as error:
                told.append(str(error))
    assert len(told) > 200
    assert all("c.0.0.0.0, row " in t and any(p in t for p in PROBLEMS[1:]) for t in told)


def test_each_problem_is_told():
    values = hand(np.random.default_rng(2), (6, 7, 9))
    good = bytearray(pack(values, 0))

    def problem(change):
        chunk = change(bytearray(good))
        return PROBLEMS.index(unpack(np.frombuffer(bytes(chunk), np.uint8), values.shape, values.dtype)[1])

    def put(at, value):
        return lambda c: c[:at] + bytes([value]) + c[at + 1 :]

    assert problem(lambda c: c) == 0
    assert problem(lambda c: c[:0]) == problem(lambda c: c[:20]) == 1
    assert problem(put(0, 2)) == problem(put(1, 0)) == problem(put(1, 3)) == 2
    assert problem(lambda c: c[:-1]) == problem(lambda c: c + b"\0") == problem(put(6, 1)) == problem(put(8, 0)) == 3
    assert problem(put(12, good[12] ^ 1)) == problem(put(17, good[17] | 0x80)) == 4
    assert problem(put(18, 0xFF)) == 5
    with pytest.raises(CorruptStoreError, match="a packed chunk is damaged: its header is cut off"):
        _decode_by_zarr(b"\1\1", values)


def _decode_by_zarr(chunk, values):
    memory = {}
    a = zarr.create_array(
        memory, shape=values.shape, chunks=values.shape, dtype="float16", serializer=PackedCodec(), compressors=None
    )
    a[:] = values
    np.testing.assert_array_equal(a[:], values)
    key = next(k for k in memory if "c/" in k)
    memory[key] = zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(chunk)
    return a[:]


@pytest.mark.slow
def test_damage_never_reaches_out_of_bounds(tmp_path):
    """Numba checks every index of the decoder while it reads bytes at random, and bytes nearly right."""
    code = """
import numpy as np
from gmaps.kernels.packed.encode import pack
from gmaps.kernels.packed.unpack import unpack
rng = np.random.default_rng(0)
for n in range(20000):
    shape = tuple(rng.integers(1, 9, rng.integers(1, 4)))
    dtype = np.dtype(["uint8", "float16"][n % 2])
    values = np.where(rng.random(shape) < 0.5, 0, rng.integers(0, 200, shape)).astype(dtype)
    chunk = bytearray(pack(values, 0))
    for at in rng.integers(0, len(chunk), rng.integers(1, 4)):
        chunk[at] = rng.integers(256)
    chunk = chunk[: rng.integers(len(chunk) + 1)] if n % 7 == 0 else chunk
    unpack(np.frombuffer(bytes(chunk), np.uint8), shape, dtype)
"""
    env = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr[-2000:]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0, -1.0, 0.3]), st.booleans())
def test_floats_are_packed_as_what_they_are_quantised_to(seed, fill, wild):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, (10, 20, 40)))
    values = rng.normal(size=shape).astype(np.float32) * np.float32(rng.choice([0.01, 0.2]))
    values[rng.random(shape[:2]) < 0.5] = fill
    if wild:
        values.flat[rng.integers(values.size)] = rng.choice([np.nan, np.inf, -1.001, 2, -0.0, 1.0, 2.0**-13])
    found = pack_floats(values, fill)
    stored = quantise(values.reshape(-1)).reshape(shape).astype(np.float16)
    if found is None:
        assert fill == 0.3 or not (np.abs(values) <= 1 + 2.0**-12).all()
    else:
        assert found == pack(stored, fill)
