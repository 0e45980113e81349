"""`gmaps store add` and `remove`, `gmaps build`: stopped or failing at each of their calls to the file system."""

from __future__ import annotations

import errno
import shutil
import signal

import pytest

import gmaps
from gmaps.pipeline.edit import add_maps, remove_maps, unfinished_addition, unfinished_removal
from gmaps.store.checksums import verify_checksums
from tests.safety.faults import with_faults
from tests.safety.kit import outcome

OPTIONS = {"maps": ("geodesic",), "crop_size": 32, "map_size": 8, "shard_samples": 4, "workers": 0, "progress": False}


def build(out, **options):
    return gmaps.build("synthetic", out, dataset_options={"frames": 8}, **{**OPTIONS, **options})


def add(out):
    return add_maps(out, ["heatmap", "euclidean"], workers=0, progress=False)


def remove(out):
    return remove_maps(out, ["geodesic", "heatmap"])


def tree(path):
    """All files and empty directories."""
    return {
        p.relative_to(path).as_posix(): p.read_bytes() if p.is_file() else b"" for p in path.rglob("*")
        if p.is_file() or not any(p.iterdir())
    }  # fmt: skip


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store of one kind, one of three, and one of another data set's frames."""
    folder = tmp_path_factory.mktemp("changes")
    build(folder / "one.zarr")
    shutil.copytree(folder / "one.zarr", folder / "three.zarr")
    add(folder / "three.zarr")
    gmaps.build("synthetic", folder / "other.zarr", dataset_options={"frames": 8, "seed": 5}, **OPTIONS)
    return folder


WORKS = {
    "build": (build, None),
    "overwrite": (lambda out: build(out, overwrite=True), "other"),
    "add": (add, "one"),
    "remove": (remove, "three"),
}


class Trial:
    """One command, and what it leaves when nothing goes wrong."""

    def __init__(self, name, stores, tmp_path):
        self.name, self.seed = name, WORKS[name][1] and stores / f"{WORKS[name][1]}.zarr"
        self.folder = tmp_path / "t"
        self.out = self.folder / "x.zarr"
        self.fresh()
        result, self.calls = with_faults(self.work, self.folder)
        assert result[0] == "value", result
        self.want = tree(self.folder)

    def work(self):
        WORKS[self.name][0](self.out)

    def fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        if self.seed:
            shutil.copytree(self.seed, self.out)

    def check(self, label, result):
        """What has the store's name is whole, and the same command again finishes what was begun."""
        if self.out.exists() and result[0] != "value":
            left = [p for p in verify_checksums(self.out) if "not part of the store" not in p]
            # Between two files that change together, the store says what was stopped, and `verify` passes it on.
            known = unfinished_addition(self.out) or unfinished_removal(self.out)
            assert known or not left, (label, left)
            gmaps.open_store(self.out)[0]
        again = outcome(self.work)
        done = again[0] == "error" and ("already" in again[1] or "there is no map" in again[1])  # and it says so
        assert done or again[0] == "value", (label, again)
        assert tree(self.folder) == self.want, (label, sorted(tree(self.folder).keys() ^ self.want.keys()))


@pytest.mark.parametrize("when", ["kill", "killed"])
@pytest.mark.parametrize("name", ["add", "remove"])
def test_killed_at_each_call(name, when, stores, tmp_path, every):
    trial = Trial(name, stores, tmp_path)
    for n in every(len(trial.calls)):
        trial.fresh()
        result, _ = with_faults(trial.work, trial.folder, n, when)
        assert result == ("killed", signal.SIGKILL), (n, trial.calls[n - 1], result)
        trial.check((n, trial.calls[n - 1]), result)


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=lambda n: errno.errorcode[n])
@pytest.mark.parametrize("name", list(WORKS))
def test_each_call_fails(name, number, for_good, stores, tmp_path, every):
    trial = Trial(name, stores, tmp_path)
    for n in every(len(trial.calls)):
        trial.fresh()
        result, _ = with_faults(trial.work, trial.folder, n, number, for_good)
        assert result[0] in ("value", "error"), (n, trial.calls[n - 1], result)
        trial.check((n, trial.calls[n - 1]), result)
