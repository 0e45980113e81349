"""The reader: what it gives, how it fails, and that it works in any process."""

from __future__ import annotations

import hashlib
import json
import multiprocessing as mp
import pickle
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import zarr
from store_kit import KINDS, fake_rows, write_store

from gmaps.errors import CorruptStoreError, RowError, StoreError, UnknownNameError
from gmaps.store import arrays, codec, compare_sample, mapped, open_store


@pytest.fixture
def rows():
    rows = fake_rows(10)
    rows[6] = {k: rows[6][k] for k in ("frame", "subject", "sequence")} | {"valid": False}
    return rows


@pytest.fixture
def path(tmp_path, rows):
    reject = {"row": 6, "frame": 106, "name": "P0/1", "reason": "nothing in the cube"}
    return write_store(tmp_path / "s.zarr", rows, rejects=[reject])


def test_a_sample_is_what_was_written(path, rows):
    store = open_store(path)
    assert len(store) == 10
    assert store.maps == ("geodesic", "heatmap", "signed_edt")
    sample = store[3]
    assert (sample.index, sample.frame, sample.subject, sample.sequence) == (3, 103, 0, 3)
    assert sample.valid is True
    np.testing.assert_array_equal(sample.depth, rows[3]["depth"])
    np.testing.assert_array_equal(sample.joints, rows[3]["joints"])
    assert sample.cube.center == (1.5, -2, 400)
    assert set(sample.maps) == {"geodesic", "heatmap", "signed_edt"}
    assert set(sample.scale) == {"geodesic"}
    np.testing.assert_array_equal(sample.scale["geodesic"], rows[3]["maps/geodesic_scale"])
    assert all(m.dtype == np.float32 for m in sample.maps.values())
    crop = sample.crop
    np.testing.assert_array_equal(crop.depth, rows[3]["depth"])
    assert crop.projection == "orthographic"
    assert [s.frame for s in store] == list(range(100, 110))
    assert store.skeleton.name == "msra21"


def test_a_rejected_row_says_so(path):
    store = open_store(path)
    sample = store[6]
    assert sample.valid is False
    assert sample.cube is None
    assert sample.frame == 106
    assert (sample.depth == 1).all()
    assert np.isnan(sample.joints).all()
    assert all((m == 0).all() for m in sample.maps.values())
    with pytest.raises(StoreError, match=r"row 6 .* frame 106 was rejected"):
        _ = sample.crop
    assert store.rejects[0]["reason"] == "nothing in the cube"


def test_read_stacks_in_the_order_asked(path, rows):
    store = open_store(path)
    batch = store.read([9, 0, 9, -10, 5], ["depth", "maps/heatmap", "frame"])
    assert list(batch) == ["depth", "maps/heatmap", "frame"]
    np.testing.assert_array_equal(batch["frame"], [109, 100, 109, 100, 105])
    for k, i in enumerate([9, 0, 9, 0, 5]):
        np.testing.assert_array_equal(batch["depth"][k], rows[i]["depth"])
        np.testing.assert_array_equal(
            batch["maps/heatmap"][k], rows[i]["maps/heatmap"].astype(np.float16).astype(np.float32)
        )
    raw = store.read(np.array([1, 2]), ["maps/heatmap"], decode=False)["maps/heatmap"]
    assert raw.dtype == np.float16
    assert store.read([], ["depth", "frame"])["depth"].shape == (0, 16, 16)
    np.testing.assert_array_equal(store.column("valid"), [i != 6 for i in range(10)])
    np.testing.assert_array_equal(store.column("maps/signed_edt"), store.read(range(10))["maps/signed_edt"])


def test_read_fills_given_arrays(path, rows):
    store = open_store(path)
    out = {"depth": np.full((3, 16, 16), 7, np.float32)}
    batch = store.read([1, 2, 6], ["depth", "frame"], out=out)
    assert batch["depth"] is out["depth"]
    np.testing.assert_array_equal(out["depth"][1], rows[2]["depth"])
    assert (out["depth"][2] == 1).all()  # a rejected row clears what was there
    for wrong in (np.empty((2, 16, 16), np.float32), np.empty((3, 16, 16)), np.empty((16, 16, 3), np.float32).T):
        with pytest.raises(ValueError, match="depth: out must be contiguous float32"):
            store.read([1, 2, 6], ["depth"], out={"depth": wrong})


@pytest.mark.parametrize("index", [10, -11, 10**9])
def test_a_row_that_is_not_there(path, index):
    store = open_store(path)
    with pytest.raises(IndexError, match=rf"has 10 samples, 0 to 9: there is no sample {index}"):
        store[index]
    with pytest.raises(IndexError):
        store.read([0, index])
    with pytest.raises(IndexError):
        store["depth"][index]


def _picks():
    mask = np.zeros(10, bool)
    mask[[4, 7, 8]] = True
    return [
        (mask, [4, 7, 8]), (mask.tolist(), [4, 7, 8]), (np.zeros(10, bool), []), (slice(3, 5), [3, 4]),
        (slice(None, None, -4), [9, 5, 1]), (slice(8, 99), [8, 9]), ([], []), (np.array([], float), []),
        ([np.int32(3), -1], [3, 9]), (np.array([3, 3], np.uint8), [3, 3]),
    ]  # fmt: skip


@pytest.mark.parametrize(("picked", "want"), _picks())
def test_rows_are_picked_by_number_mask_and_slice(path, picked, want):
    store = open_store(path)
    frame = store.column("frame")[np.array(want, int)].tolist()
    assert store.read(picked, ["frame"])["frame"].tolist() == frame
    assert [s.index for s in store[picked]] == want
    np.testing.assert_array_equal(store["depth"][picked], store.read(want, ["depth"])["depth"])


@pytest.mark.parametrize(
    "wrong",
    [[2.7], [2.0], np.array([1.5]), np.array([0, 1, 2.0]), np.ones(9, bool), [True, False], [True] * 11, [1, True],
     ["1"], [None], np.zeros((2, 10), bool), [[1, 2]], "12", np.array([1], object) * 0.5],
)  # fmt: skip
def test_what_is_no_row_number_is_refused(path, wrong):
    store = open_store(path)
    for pick in (lambda: store.read(wrong, ["frame"]), lambda: store["frame"][wrong]):
        with pytest.raises(RowError):
            pick()


@pytest.mark.parametrize("row", [1.5, 2.0, True, np.bool_(True), np.float32(1), None, np.array(True)])
def test_what_is_no_row_is_refused(path, row):
    store = open_store(path)
    for pick in (lambda: store[row], lambda: store["depth"][row], lambda: store.read([row])):
        with pytest.raises(RowError):
            pick()


def test_an_array_is_read_where_it_is_sliced(path, rows):
    store = open_store(path)
    depth = store["depth"]
    assert (depth.shape, depth.ndim, depth.dtype, len(depth)) == ((10, 16, 16), 3, np.float32, 10)
    np.testing.assert_array_equal(depth[2], rows[2]["depth"])
    np.testing.assert_array_equal(depth[-3, 4:6, 1], store[7].depth[4:6, 1])
    np.testing.assert_array_equal(depth[1:3, :, 0], np.stack([store[1].depth, store[2].depth])[:, :, 0])
    np.testing.assert_array_equal(np.asarray(depth), depth[...])
    np.testing.assert_array_equal(np.asarray(store["valid"]), store.column("valid"))
    assert len(list(store["frame"])) == 10
    with pytest.raises(UnknownNameError, match=r"no array in .* called 'depht'.* Did you mean 'depth'"):
        store["depht"]


def test_an_array_that_is_not_there(path):
    with pytest.raises(UnknownNameError, match="Did you mean 'maps/geodesic'"):
        open_store(path).read([0], ["maps/geodesik"])


def test_paths_that_are_no_store(tmp_path, path):
    with pytest.raises(StoreError, match="does not exist"):
        open_store(tmp_path / "none.zarr")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match=r"empty is no store"):
        open_store(tmp_path / "empty")
    with pytest.raises(StoreError, match=r"zarr\.json is no store"):
        open_store(path / "zarr.json")
    with pytest.raises(StoreError, match="name no format"):
        open_store(path / "maps")
    path.rename(tmp_path / "half.zarr.partial")
    with pytest.raises(StoreError, match=r"half\.zarr is not finished.*run the same|Run the same"):
        open_store(tmp_path / "half.zarr")


def test_another_format_is_refused(path):
    file = path / "zarr.json"
    meta = json.loads(file.read_text())
    meta["attributes"]["format"] = 2
    file.write_text(json.dumps(meta))
    with pytest.raises(StoreError, match="has format 2; this gmaps reads format 1"):
        open_store(path)
    file.write_text("{")
    with pytest.raises(CorruptStoreError, match=r"zarr\.json cannot be read"):
        open_store(path)


def test_a_missing_shard_is_named(path):
    (path / "maps/geodesic/c.1.0.0.0").unlink()
    store = open_store(path)
    assert store[3].valid
    with pytest.raises(CorruptStoreError, match=r"maps/geodesic/c\.1\.0\.0\.0 is missing"):
        store[4]


@pytest.mark.parametrize("keep", [0, 40, -1, -500])
def test_a_torn_shard_is_named(path, keep):
    file = path / "depth/c.0.0.0"
    content = file.read_bytes()
    file.write_bytes(content[:keep])
    with pytest.raises(CorruptStoreError, match=r"depth/c\.0\.0\.0.*verify"):
        open_store(path)[1]


def test_a_torn_plain_file_is_named(path):
    file = path / "joints/c.0.0.0"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(CorruptStoreError, match=r"joints/c\.0\.0\.0 has 1004 bytes, expected 1008"):
        open_store(path)[1]


def test_an_impossible_chunk_is_named(path):
    file = path / "depth/c.0.0.0"
    content = bytearray(file.read_bytes())
    raw_bytes = struct.unpack_from("<I", content, 4)[0]
    assert raw_bytes == 16 * 16 * 2  # the first chunk's Blosc header
    struct.pack_into("<I", content, 4, raw_bytes // 2)
    file.write_bytes(content)
    store = open_store(path)
    assert store[1].valid
    with pytest.raises(CorruptStoreError, match=r"c\.0\.0\.0, row 0 of the shard: .*256 bytes"):
        store[0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_where_blosc_is_hidden_rows_are_read_one_by_one(tmp_path, rows, dtype, monkeypatch):
    kinds = tuple(m for m in KINDS if dtype != "uint8" or m.kind != "signed_edt")
    store = open_store(write_store(tmp_path / "t.zarr", rows, kinds=kinds, dtype=dtype))
    order = [5, 6, 0, 9, 5]
    at_once = [store.read(order, decode=decode) for decode in (True, False)]
    assert codec.decompress_address() > 0, "this numcodecs hides blosc_decompress_ctx: reading is slower"
    monkeypatch.setattr(arrays, "decompress_address", lambda: 0)
    for decode, expected in zip((True, False), at_once, strict=True):
        for name, values in store.read(order, decode=decode).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_changed_blosc_chunks_are_named_or_give_values(path):
    rng = np.random.default_rng(4)
    file = path / "depth/c.0.0.0"
    good = file.read_bytes()
    data = len(good) - (4 * 16 + 4)
    told = []
    for n in range(300):
        bad = bytearray(good)
        for at in rng.integers(0, data if n % 2 else 24, rng.integers(1, 4)):
            bad[at] = rng.integers(256)
        file.write_bytes(bad)
        for decode in (True, False):
            try:
                open_store(path).read([0, 1, 2, 3], ["depth"], decode=decode)
            except CorruptStoreError as error:
                told.append(str(error))
    assert len(told) > 100
    assert all("depth/c.0.0.0, row " in t and "verify" in t for t in told)


def test_few_files_stay_open(path, rows, monkeypatch):
    monkeypatch.setattr(mapped, "most_mapped", lambda: 3)
    stores = [open_store(path), open_store(path)]
    for i in (0, 9, 4, 1, 8, 5):
        for store in stores:
            np.testing.assert_array_equal(store[i].depth, rows[i]["depth"])
            assert sum(len(s._shards) for s in stores) <= 3


def test_many_stores_share_what_a_process_may_open(tmp_path):
    paths = [str(write_store(tmp_path / f"{k}.zarr", fake_rows(24), shard=1)) for k in range(3)]
    code = f"""
import os, resource
import numpy as np
from gmaps.store import open_store
stores = [open_store(path) for path in {paths!r}]
for store in stores: store[0]  # what is loaded on first use holds files, too
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (120, hard))
order = np.random.default_rng(0).permutation(24)
sums = [[float(store[i].depth.sum()) for store in stores] for i in order]
print(len(os.listdir("/proc/self/fd")), len({{tuple(s) for s in sums}}), all(len(set(s)) == 1 for s in sums))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    held, different, same = done.stdout.split()
    assert int(held) < 110
    assert (int(different), same) == (24, "True")


def test_threads_share_a_store(path, rows, monkeypatch):
    monkeypatch.setattr(mapped, "most_mapped", lambda: 2)
    store = open_store(path)
    order = np.random.default_rng(0).integers(0, 6, 400)
    with ThreadPoolExecutor(8) as pool:
        for i, sample in zip(order, pool.map(lambda i: store[i], order), strict=True):
            np.testing.assert_array_equal(sample.depth, rows[i]["depth"])


def test_a_pickle_is_small_and_reads(path, rows):
    store = open_store(path)
    _ = store[0]
    frozen = pickle.dumps(store)
    assert len(frozen) < 1000
    np.testing.assert_array_equal(pickle.loads(frozen)[5].depth, rows[5]["depth"])


def _digests(store, order, results):
    """Of every array of rows, one by one and in a batch."""
    one_by_one = [_digest({name: v[0] for name, v in store.read([i], decode=False).items()}) for i in order]
    results.put((one_by_one, _digest(store.read(order, decode=False))))


def _digest(values):
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(values[name]).tobytes() for name in sorted(values))
    ).hexdigest()


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*")
def test_two_epochs_in_four_processes(tmp_path, rows, method):
    """As a DataLoader does: the store was already read in the parent, and travels to its workers.

    What they read is what zarr-python reads, packed, compressed and plain.
    """
    kinds = (replace(KINDS[0], smooth=True), *KINDS[1:])
    path = write_store(tmp_path / "p.zarr", rows, kinds=kinds)
    store = open_store(path)
    assert store.spec.arrays["maps/geodesic"].codec == "sharded, packed"
    store.read(range(10))
    group = zarr.open_group(path, mode="r", use_consolidated=False)
    theirs = {name: group[name][:] for name in store.names}
    order = [3, 9, 0, 6, 6, 1, 8, 2, 7, 4, 5] * 2
    expected = [_digest({name: v[i] for name, v in theirs.items()}) for i in order]
    together = _digest({name: v[order] for name, v in theirs.items()})
    context = mp.get_context(method)
    results = context.Queue()
    processes = [context.Process(target=_digests, args=(store, order, results)) for _ in range(4)]
    for p in processes:
        p.start()
    try:
        for _ in processes:
            assert results.get(timeout=120) == (expected, together)
    finally:
        for p in processes:
            p.join(30)
    assert _digest(store.read(order, decode=False)) == together


def test_spec_tells_shapes_and_sizes(path):
    spec = open_store(path).spec
    assert spec.rows == 10
    geodesic = spec.arrays["maps/geodesic"]
    assert geodesic.shape == (10, 8, 8, 21)
    assert geodesic.dtype == "float16"
    assert geodesic.files == 3
    assert geodesic.raw_bytes == 10 * 8 * 8 * 21 * 2
    assert geodesic.stored_bytes == sum(f.stat().st_size for f in (path / "maps/geodesic").glob("c.*"))
    assert 0.5 < geodesic.ratio < 3
    assert spec.arrays["joints"].codec == "plain"
    assert spec.attributes["format"] == 1
    json.dumps(spec.to_dict())


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_compare_sample_knows_rounding_from_error(tmp_path, rows, dtype):
    kinds = tuple(m for m in KINDS if dtype != "uint8" or m.kind != "signed_edt")
    store = open_store(write_store(tmp_path / "t.zarr", rows, kinds=kinds, dtype=dtype))
    assert compare_sample(store, 2, rows[2]) == []
    changed = dict(rows[2])
    changed["maps/geodesic"] = changed["maps/geodesic"].copy()
    changed["maps/geodesic"][1, 2, 3] += 0.01
    changed["joints"] = changed["joints"] + np.float32(0.001)
    problems = compare_sample(store, 2, changed)
    assert len(problems) == 2
    assert any("joints: 63 of 63 values differ" in p for p in problems)
    assert any("maps/geodesic: 1 of 1344 values differ, by up to 0.0" in p for p in problems), problems


def test_files_are_touched_when_a_sample_is_asked_for(path):
    store = open_store(path)
    assert store._shards == {}
    store.read([0], ["depth"])
    assert list(store._shards) == [("depth", 0)]
