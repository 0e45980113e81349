"""Kinds added and removed: to the byte, the store is the one that a build of the same kinds makes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.errors import FingerprintError, StoreError, StoreLockedError, UnknownNameError, UsageError
from gmaps.maps import MAPS_VERSION
from gmaps.pipeline import build
from gmaps.pipeline.edit import add_maps, remove_maps
from gmaps.store import add_remove, open_store, verify_checksums
from tests.unit.store_kit import content

OPTIONS = {
    "limit": 30, "crop_size": 64, "map_size": 16, "shard_samples": 4, "progress": False, "workers": 0,
    "dataset_options": {"frames": 30, "seed": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Factory of stores, each built once: `built("heatmap", "geodesic")` -> path; not to be changed."""
    folder, made = tmp_path_factory.mktemp("built"), {}

    def make(*maps, **options):
        key = (maps, tuple(options.items()))
        if key not in made:
            made[key] = folder / f"{len(made)}.zarr"
            build("synthetic", made[key], maps, **(OPTIONS | options))
        return made[key]

    return make


@pytest.fixture
def store(tmp_path, built):
    """A store of heatmaps, to be changed."""
    return shutil.copytree(built("heatmap"), tmp_path / "s.zarr")


@pytest.mark.parametrize(
    "options", [{}, {"dtype": "uint8"}, {"layout": "plain"}, {"profile": "handmap", "projection": "perspective"}]
)
def test_a_store_with_added_kinds_is_the_one_built_with_them(tmp_path, built, options):
    path = shutil.copytree(built("heatmap", **options), tmp_path / "s.zarr")
    report = add_maps(path, ["geodesic", "euclidean"], workers=0, progress=False)
    assert report.maps == ("heatmap", "geodesic", "euclidean")
    assert (report.frames, report.shards_done_now) == (30, 8)
    assert content(path) == content(built("heatmap", "geodesic", "euclidean", **options))
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def test_added_by_workers_and_from_the_command_line(store, built):
    result = CliRunner().invoke(main, ["store", "add", str(store), "geodesic,euclidean", "--workers", "2"])
    assert result.exit_code == 0, result.output
    assert "30 of 30 frames" in result.stderr
    assert content(store) == content(built("heatmap", "geodesic", "euclidean"))
    result = CliRunner().invoke(main, ["store", "remove", str(store), "geodesic", "euclidean", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["maps"] == ["heatmap"]
    assert content(store) == content(built("heatmap"))
    assert CliRunner().invoke(main, ["verify", str(store), "--rows", "2"]).exit_code == 0


def test_rejected_frames_stay_rejected(tmp_path, built):
    from tests.integration.test_build import TinySet
    from tests.integration.test_build import make as make_tiny

    path, whole = tmp_path / "s.zarr", tmp_path / "w.zarr"
    make_tiny(path, TinySet(bad=(2, 9, 43)), maps=("heatmap",), max_rejects=9)
    make_tiny(whole, TinySet(bad=(2, 9, 43)), maps=("heatmap", "geodesic"), max_rejects=9)
    add_maps(path, ["geodesic"], workers=0, progress=False)
    assert content(path) == content(whole)


def test_removing_what_was_built_in_leaves_the_rest(tmp_path, built):
    path = shutil.copytree(built("heatmap", "geodesic", "euclidean"), tmp_path / "s.zarr")
    report = remove_maps(path, ["heatmap", "euclidean"])
    assert report.bytes > 0
    assert content(path) == content(built("geodesic"))


class Stop(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(9))
def test_stopped_between_any_two_steps_of_moving_in(store, built, monkeypatch, step):
    """Readers see the store before or after; a second run, or a removal, brings it in order."""
    before, after = content(built("heatmap")), content(built("heatmap", "geodesic", "euclidean"))
    left = [step]

    def stopping(f):
        def stepped(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise Stop
            return f(*args, **kwargs)

        return stepped

    from pathlib import Path

    with monkeypatch.context() as patch:
        patch.setattr(add_remove, "write_file", stopping(add_remove.write_file))
        patch.setattr(Path, "rename", stopping(Path.rename))
        try:
            add_maps(store, ["geodesic", "euclidean"], workers=0, progress=False)
        except Stop:
            pass
        else:
            assert step == 8
    seen = open_store(store)
    assert seen.maps in (("heatmap",), ("heatmap", "geodesic", "euclidean"))
    seen.read(range(30))
    again = shutil.copytree(store.parent, store.parent.parent / f"{store.parent.name}-again") / "s.zarr"
    if step < 8:
        result = CliRunner().invoke(main, ["verify", str(store), "--rows", "0"])
        assert ("gmaps store add" in result.output) == (result.exit_code == 1) == (step > 3)
        if seen.maps == ("heatmap",):
            add_maps(store, ["geodesic", "euclidean"], workers=0, progress=False)
    assert content(store) == after
    if seen.maps == ("heatmap",):
        remove_maps(again, ["geodesic", "euclidean"])
        assert content(again) == before
        assert not (again.parent / "s.zarr.adding").exists()


SCRIPT = """
import sys
from gmaps.pipeline.edit import add_maps
if __name__ == "__main__":
    add_maps(sys.argv[1], ["geodesic", "euclidean"], workers=int(sys.argv[2]), progress=False)
"""


@pytest.mark.parametrize("round_", [0, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_a_random_moment(store, built, round_):
    seed = random.randrange(10**9)
    for k in range(max(round_, 1)):
        chance = random.Random(seed + k)
        workers, wanted = chance.choice([0, 2]), chance.randrange(8)
        command = [sys.executable, "-c", SCRIPT, str(store), str(workers)]
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        stage = store.with_name("s.zarr.adding")
        while process.poll() is None and len(list(stage.glob("maps/geodesic/c.*"))) < wanted:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if "geodesic" not in open_store(store).maps:
            add_maps(store, ["geodesic", "euclidean"], workers=0, progress=False)
        assert content(store) == content(built("heatmap", "geodesic", "euclidean")), f"seed {seed + k}"
        assert verify_checksums(store) == []
        remove_maps(store, ["geodesic", "euclidean"])


def test_a_removal_that_was_interrupted_is_finished(store, built, monkeypatch):
    path = shutil.copytree(built("heatmap", "geodesic"), store.parent / "t.zarr")
    with monkeypatch.context() as patch:
        patch.setattr(add_remove, "remove_tree", lambda *a, **k: (_ for _ in ()).throw(Stop))
        with pytest.raises(Stop):
            remove_maps(path, ["geodesic"])
    assert open_store(path).maps == ("heatmap",)
    assert any("not part of the store" in line for line in verify_checksums(path))
    with pytest.raises(StoreError, match="gmaps store remove"):
        add_maps(path, ["geodesic"], workers=0, progress=False)
    remove_maps(path, ["geodesic"])
    assert content(path) == content(built("heatmap"))


def test_what_cannot_be_is_refused(store, built, tmp_path):
    with pytest.raises(UsageError, match="has heatmap already"):
        add_maps(store, ["heatmap", "geodesic"], workers=0)
    with pytest.raises(UnknownNameError, match="Did you mean 'geodesic'"):
        add_maps(store, ["geodesics"], workers=0)
    with pytest.raises(UnknownNameError, match="no map in"):
        remove_maps(store, ["geodesic"])
    with pytest.raises(UsageError, match="at least one"):
        remove_maps(store, ["heatmap"])
    quantised = shutil.copytree(built("heatmap", dtype="uint8"), tmp_path / "q.zarr")
    with pytest.raises(UsageError, match="signed_edt"):
        add_maps(quantised, ["signed_edt"], workers=0)
    with pytest.raises(StoreError, match="does not exist"):
        add_maps(tmp_path / "none.zarr", ["geodesic"])
    assert content(store) == content(built("heatmap"))
    assert {p.name for p in tmp_path.iterdir()} == {"s.zarr", "q.zarr"}


def test_another_addition_is_not_lost(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(add_remove, "write_file", lambda *a: (_ for _ in ()).throw(Stop))
        with pytest.raises(Stop):
            add_maps(store, ["euclidean"], workers=0, progress=False)
    with pytest.raises(FingerprintError, match=r"store add .* euclidean"):
        add_maps(store, ["geodesic"], workers=0)
    assert add_maps(store, ["euclidean"], workers=0, progress=False).shards_done_now == 0


def test_a_store_of_other_values_is_refused(store, monkeypatch):
    from gmaps.pipeline import edit

    monkeypatch.setattr(edit, "fingerprint", lambda: {"maps_version": 99})
    with pytest.raises(FingerprintError, match=f"maps_version: {MAPS_VERSION} -> 99"):
        add_maps(store, ["geodesic"], workers=0)


def test_the_lock_of_a_build_is_respected(store):
    from gmaps.pipeline.lock import build_lock

    with build_lock(store):
        # A process may not wait for itself; another one is refused.
        code = f"from gmaps.pipeline.edit import *; add_maps({str(store)!r}, ['geodesic'])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert StoreLockedError.__name__ in done.stderr
        code = f"from gmaps.pipeline.edit import *; remove_maps({str(store)!r}, ['heatmap'])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert StoreLockedError.__name__ in done.stderr
