"""Where a process may have few files open, a build and a loader work or say so: nothing waits for ever."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys

import pytest

import gmaps
from gmaps.errors import GmapsError, StoreError
from gmaps.formats.open_files import make_room, require_room
from gmaps.store.checksums import verify_checksums
from tests.safety.kit import in_children
from tests.unit.store_kit import fake_rows, write_store

BUILD = """
import resource, sys, gmaps
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
    how = {"crop_size": 32, "map_size": 8, "shard_samples": 4, "progress": False, "dataset_options": {"frames": 40}}
    print(gmaps.build("synthetic", sys.argv[3], ("geodesic",), workers=int(sys.argv[2]), **how).summary())
"""


@pytest.mark.parametrize(("limit", "workers", "works"), [(40, 4, False), (24, 0, True), (56, 1, True)])
def test_a_build_ends(tmp_path, limit, workers, works):
    (tmp_path / "b.py").write_text(BUILD)
    command = [sys.executable, tmp_path / "b.py", str(limit), str(workers), tmp_path / "x.zarr"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200)
    if works:
        assert ended.returncode == 0, ended.stderr
        assert "40 frames" in ended.stdout
    else:
        last = ended.stderr.splitlines()[-1]
        assert "a build with 4 workers would have about" in last
        assert "this process may have 40: raise `ulimit -n`, or build with --workers 0" in last


def limited(limit):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, min(hard, limit)))


def test_a_loader_with_workers_is_refused(tmp_path):
    feed = pytest.importorskip("gmaps.training.feed")
    how = {"crop_size": 32, "map_size": 8, "workers": 0, "progress": False, "dataset_options": {"frames": 4}}
    gmaps.build("synthetic", tmp_path / "s.zarr", ("geodesic",), **how)
    data = feed.GuidanceDataset(tmp_path / "s.zarr")

    def work(k):
        most = len(os.listdir("/proc/self/fd")) + 48
        limited(most)
        with pytest.raises(GmapsError, match=rf"reading by 3 workers would .* may have {most}: raise"):
            feed.make_loader(data, [[0, 1]], 3)
        return [len(b["depth"]) for b in feed.make_loader(data, [[0, 1], [2, 3]], 0)]

    assert in_children(work, [0])[0] == ("value", [2, 2])


@pytest.mark.parametrize(("workers", "method"), [(2, "fork"), pytest.param(2, "forkserver", marks=pytest.mark.slow)])
def test_a_loader_of_ones_own_is_refused(tmp_path, workers, method):
    """PyTorch itself ends with an EOFError here, and with the other method waits for ever."""
    pytest.importorskip("torch")
    from torch.utils.data import DataLoader

    from gmaps.training import GuidanceDataset, collate

    how = {"crop_size": 32, "map_size": 8, "workers": 0, "progress": False, "dataset_options": {"frames": 16}}
    gmaps.build("synthetic", tmp_path / "s.zarr", ("geodesic",), **how)

    def work(k):
        most = len(os.listdir("/proc/self/fd")) + 24  # what other tests left open is inherited
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        own = {"num_workers": workers, "multiprocessing_context": method, "collate_fn": collate}
        with pytest.raises(GmapsError, match=rf"reading by {workers} workers would .* may have {most}: raise"):
            for _ in DataLoader(GuidanceDataset(tmp_path / "s.zarr"), batch_size=4, **own):
                pass

    assert in_children(work, [0], seconds=60)[0] == ("value", None)


def test_reading_and_verifying_take_few(tmp_path):
    path = write_store(tmp_path / "s.zarr", fake_rows(40), shard=2)

    def work(room):
        # The limit is of a file's number, and in a long run the numbers in use have gaps: as many as are free count.
        taken = {int(fd) for fd in os.listdir("/proc/self/fd")}
        free = (number for number in itertools.count() if number not in taken)
        limited(next(itertools.islice(free, room - 1, None)) + 1)
        assert verify_checksums(path) == []
        store = gmaps.open_store(path)
        assert [len(store.read([k], ["depth"])["depth"]) for k in range(40)] == [1] * 40
        if room < 20:
            with pytest.raises(StoreError, match="raise `ulimit -n`"):
                store.read(range(40))

    assert in_children(work, [10, 4]) == {10: ("value", None), 4: ("value", None)}


def test_a_limit_that_may_be_raised_is():
    def work(k):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        assert make_room(100) >= 100
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 100
        limited(120)
        with pytest.raises(GmapsError, match="this would have about"):
            require_room(10_000, "this", "do less")

    assert in_children(work, [0])[0] == ("value", None)
