"""Stores in object stores: the same values as from a disk, few requests, and errors of ours."""

from __future__ import annotations

import multiprocessing as mp
import pickle
import sys
import time
import warnings
from itertools import pairwise

import numpy as np
import pytest
import zarr
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.errors import CorruptStoreError, MissingExtraError, StoreError, UsageError
from gmaps.store import open_store, verify_checksums
from gmaps.store.object_store import Place, is_remote
from gmaps.store.remote import GAP, REQUEST, merge
from tests.unit.object_store import s3
from tests.unit.store_kit import fake_rows, write_store

__all__ = ["s3"]

ROWS = 22


def copy_up(local, url):
    place = Place(url)
    for file in local.rglob("*"):
        if file.is_file():
            place.upload(file, file.relative_to(local).as_posix())
    return url


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    rows = fake_rows(ROWS)
    rows[6] = {"frame": 106, "subject": 0, "sequence": 1}
    rejects = [{"row": 6, "frame": 106, "name": "x", "reason": "none"}]
    return write_store(tmp_path_factory.mktemp("local") / "s.zarr", rows, shard=5, rejects=rejects)


@pytest.fixture(scope="module", params=["memory", "s3"])
def url(request, local):
    root = "memory://bucket" if request.param == "memory" else request.getfixturevalue("s3")
    return copy_up(local, f"{root}/s.zarr")


def assert_equal(got, want):
    assert list(got) == list(want)
    for name in want:
        np.testing.assert_array_equal(got[name], want[name], err_msg=name)
        assert got[name].dtype == want[name].dtype


def test_every_value_is_that_of_the_local_store(local, url):
    here, there = open_store(local), open_store(url)
    assert (len(there), there.names, there.maps, there.rejects) == (ROWS, here.names, here.maps, here.rejects)
    assert there.attributes == here.attributes
    rng = np.random.default_rng(0)
    for rows in (range(ROWS), [3], [-1, 6, 6, 0], rng.integers(0, ROWS, 40), []):
        assert_equal(there.read(rows), here.read(rows))
        assert_equal(there.read(rows, decode=False), here.read(rows, decode=False))
    for name in here.names:
        np.testing.assert_array_equal(there.column(name), here.column(name))
    assert there[21].frame == 121
    assert not there[6].valid
    want = {n: (i.files, i.stored_bytes, i.codec) for n, i in here.spec.arrays.items()}
    assert {n: (i.files, i.stored_bytes, i.codec) for n, i in there.spec.arrays.items()} == want
    out = np.empty((2, 16, 16), np.float32)
    assert there.read([1, 2], ["depth"], out={"depth": out})["depth"] is out
    with pytest.raises(IndexError):
        there.read([ROWS])


def test_a_batch_is_two_rounds_and_then_one(local, url, monkeypatch):
    store, rounds = open_store(url), []
    read = Place.read_ranges
    monkeypatch.setattr(Place, "read_ranges", lambda self, r: rounds.append(len(r)) or read(self, r))
    store.read([0, 1, 2, 11])
    # Two shards: the indexes of four sharded arrays, then one range of each file.
    assert rounds == [2 * 4, 2 * len(store.names)]
    rounds.clear()
    store.read(range(15))
    assert len(rounds) == 2
    rounds.clear()
    store.read(range(15))
    assert rounds == [3 * len(store.names)]


@pytest.mark.parametrize("root", ["memory://replaced", "s3"])
def test_no_sample_of_two_stores(root, request, local, tmp_path, monkeypatch):
    """As `gmaps build --overwrite` replaces it: the group's metadata go first, and come last."""
    root = request.getfixturevalue("s3") if root == "s3" else root
    other = write_store(tmp_path / "other.zarr", fake_rows(ROWS, seed=9), shard=5)
    url = copy_up(local, f"{root}/r.zarr")
    place, group = Place(url), (other / "zarr.json").read_bytes()
    files = [p for p in sorted(other.rglob("*")) if p.is_file() and p.name != "zarr.json"]
    store, kept = open_store(url), open_store(url)
    old, new = open_store(local).read([3]), open_store(other).read([3])
    assert_equal(store.read([3]), old)

    def refused():
        for work in (
            lambda: store.read([3]),
            lambda: store[4],
            lambda: store.column("cube"),
            lambda: store["depth"][2],
        ):
            with pytest.raises(StoreError, match="was replaced while it was open: open it again"):
                work()

    place.remove(["zarr.json"])
    refused()
    for k, file in enumerate(files):
        place.upload(file, file.relative_to(other).as_posix())
        if k == len(files) // 2:
            refused()
    time.sleep(1.1 if url.startswith("s3") else 0)  # there, times are whole seconds
    place.write("zarr.json", group)
    refused()
    assert_equal(open_store(url).read([3]), new)
    with pytest.raises(StoreError, match="was replaced"):
        len(kept.rejects)

    # In the midst of a batch: between the indexes of its shards and the rows.
    copy_up(local, url)
    store, read, rounds = open_store(url), Place.read_ranges, []

    def replaced_between(self, ranges):
        found = read(self, ranges)
        if not rounds:
            time.sleep(1.1 if url.startswith("s3") else 0)
            copy_up(other, url)
        rounds.append(len(ranges))
        return found

    monkeypatch.setattr(Place, "read_ranges", replaced_between)
    with pytest.raises(StoreError, match="was replaced while it was open"):
        store.read([3])


def _sum(store, row):
    return float(np.nansum(store.read([row], ["maps/heatmap"])["maps/heatmap"]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_it_travels_to_other_processes(s3, local, method):
    store = open_store(copy_up(local, f"{s3}/travels.zarr"))
    want = [_sum(store, k) for k in (0, 13, 21)]
    assert _sum(pickle.loads(pickle.dumps(store)), 13) == want[1]
    with mp.get_context(method).Pool(2) as pool:
        assert pool.starmap(_sum, [(store, k) for k in (0, 13, 21)]) == want


def test_zarr_python_reads_it_there(s3, local):
    from zarr.storage import FsspecStore

    url = copy_up(local, f"{s3}/zarr.zarr")
    group = zarr.open_group(FsspecStore.from_url(url, read_only=True), mode="r")
    np.testing.assert_array_equal(
        group["maps/heatmap"][3], open_store(url).read([3], decode=False)["maps/heatmap"][0]
    )


def test_arrays_of_other_codecs_are_read_through_zarr_python(s3, tmp_path):
    path = write_store(tmp_path / "s.zarr", fake_rows(7))
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    values = group["maps/heatmap"][:]
    del group["maps/heatmap"]
    group.create_array("maps/heatmap", data=values, chunks=(3, 8, 8, 21))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path)
    store = open_store(copy_up(path, f"{s3}/foreign.zarr"))
    np.testing.assert_array_equal(store.read([6, 0], ["maps/heatmap"], decode=False)["maps/heatmap"], values[[6, 0]])


def test_verify_finds_what_changed_there(local, url):
    damaged = copy_up(local, url.replace("s.zarr", "damaged.zarr"))
    assert verify_checksums(damaged) == []
    place = Place(damaged)
    content = place.read("maps/heatmap/c.1.0.0.0")
    place.write("maps/heatmap/c.1.0.0.0", content[:50] + bytes([content[50] ^ 1]) + content[51:])
    place.write("depth/c.0.0.0", place.read("depth/c.0.0.0")[:-1])
    place.remove(["joints/c.2.0.0"])
    place.write("extra", b"x")
    found = verify_checksums(damaged)
    assert [line.split(":")[0] for line in found] == [
        "joints/c.2.0.0", "depth/c.0.0.0", "maps/heatmap/c.1.0.0.0", "extra",
    ]  # fmt: skip
    result = CliRunner().invoke(main, ["verify", damaged, "--rows", "0"])
    assert result.exit_code == 1
    assert "4 files are damaged" in result.output
    store = open_store(damaged)
    with pytest.raises(CorruptStoreError, match=r"joints/c\.2\.0\.0|is missing"):
        store.read([12], ["joints"])
    with pytest.raises(CorruptStoreError, match=r"depth/c\.0\.0\.0"):
        store.read([0], ["depth"])


def test_verify_takes_large_files_in_pieces(local, url, monkeypatch):
    from gmaps.store import verify

    monkeypatch.setattr(verify, "FETCH", 1000)
    assert verify_checksums(url) == []


def test_inspect_says_what_it_says_of_a_local_store(tmp_path, s3):
    path = tmp_path / "x.zarr"
    made = CliRunner().invoke(main, ["build", "--limit", "9", "--workers", "0", "--out", str(path), "--quiet",
                                     "--maps", "geodesic", "--crop-size", "32"])  # fmt: skip
    assert made.exit_code == 0, made.output
    url = copy_up(path, f"{s3}/x.zarr")
    here, there = (CliRunner().invoke(main, ["inspect", "store", "--store", str(p)]) for p in (path, url))
    assert there.exit_code == 0, there.output
    assert there.stdout.splitlines()[1:] == here.stdout.splitlines()[1:]
    here, there = (CliRunner().invoke(main, ["inspect", "sample", "3", "--store", str(p)]) for p in (path, url))
    assert there.stdout == here.stdout
    assert CliRunner().invoke(main, ["verify", url, "--rows", "3"]).exit_code == 0
    refused = CliRunner().invoke(main, ["store", "add", url, "heatmap"])
    assert refused.exit_code == 2
    assert "file systems" in refused.stderr


def test_what_is_not_there_is_told(s3, monkeypatch):
    with pytest.raises(StoreError, match="does not exist, or its build is not finished"):
        open_store(f"{s3}/none.zarr")
    with pytest.raises(StoreError, match="does not exist"):
        open_store("s3://no-such-bucket/x.zarr")
    with pytest.raises(UsageError, match="'nonsense' is known"):
        open_store("nonsense://x/y.zarr")
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'guidance-maps\[s3\]'"):
        open_store(f"{s3}/x.zarr")


def test_missing_credentials_and_servers_are_told(s3, monkeypatch):
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with monkeypatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        with pytest.raises(StoreError, match="no credentials were found"):
            open_store(f"{s3}/x.zarr")
    s3fs.S3FileSystem.clear_instance_cache()
    for server in ("http://127.0.0.1:1", "nonsense"):
        with monkeypatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", server)
            patch.setenv("AWS_MAX_ATTEMPTS", "1")
            with pytest.raises(StoreError, match="cannot be reached"):
                open_store(f"{s3}/x.zarr")
        s3fs.S3FileSystem.clear_instance_cache()


def test_addresses_and_paths_are_told_apart(local):
    assert is_remote("s3://bucket/x.zarr")
    assert is_remote("memory://x")
    assert not is_remote("x.zarr")
    assert not is_remote(local)
    assert len(open_store(f"file://{local}")) == ROWS


@pytest.mark.parametrize("exact", [False, True])
def test_merged_ranges_hold_each_range(exact):
    rng = np.random.default_rng(3)
    for _ in range(200):
        start = np.sort(rng.choice(2 * GAP, 9, replace=False) * rng.choice([1, 50])).astype(np.uint64)
        end = np.minimum(start + rng.integers(1, GAP, 9).astype(np.uint64), np.append(start[1:], 2**40))
        order = rng.permutation(9)
        runs, offsets = merge(np.stack([start, end], axis=1)[order], exact)
        assert all(a < b for a, b in runs)
        assert all(b < c for (_, b), (c, _) in pairwise(runs))
        everything = np.concatenate([np.arange(a, b) for a, b in runs])
        for k, i in enumerate(order):
            size = int(end[i] - start[i])
            assert everything[int(offsets[k])] == start[i]
            assert everything[int(offsets[k]) + size - 1] == end[i] - 1
        wasted = len(everything) - int((end - start).sum())
        assert wasted <= (0 if exact else 8 * GAP)
    assert len(merge(np.array([[0, REQUEST], [REQUEST, REQUEST + 1]], np.uint64))[0]) == 2
