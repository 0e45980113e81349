"""Builds into an object store: what is there is what a build here makes, and it is there when it is whole."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.errors import FingerprintError, StoreError, StoreLockedError, UsageError
from gmaps.pipeline import build, upload
from gmaps.pipeline.parts import prepare
from gmaps.store import open_store, verify_checksums
from gmaps.store.object_store import Place
from tests.unit.object_store import s3

__all__ = ["s3"]

OPTIONS = {
    "maps": ("geodesic", "heatmap"), "limit": 30, "crop_size": 64, "map_size": 16, "shard_samples": 4,
    "progress": False, "dataset_options": {"frames": 30, "seed": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Name -> bytes of a store that was built here."""
    path = tmp_path_factory.mktemp("whole") / "w.zarr"
    build("synthetic", path, workers=0, **OPTIONS)
    return {f.relative_to(path).as_posix(): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def content(url):
    place = Place(url)
    return {name: place.read(name) for name in place.sizes()}


def make(url, staging, **options):
    return build("synthetic", url, staging=staging, **({"workers": 0} | OPTIONS | options))


@pytest.fixture
def uploads(monkeypatch):
    """Names of the files that are uploaded."""
    seen, original = [], Place.upload
    monkeypatch.setattr(Place, "upload", lambda self, path, name: seen.append(name) or original(self, path, name))
    return seen


@pytest.mark.parametrize("workers", [0, 2])
def test_the_store_there_is_the_one_built_here(s3, tmp_path, whole, workers, monkeypatch):
    url, seen, original = f"{s3}/{workers}/t.zarr", [], Place.upload

    def watch(self, path, name):
        if name != "zarr.json":
            with pytest.raises(StoreError, match="not finished"):
                open_store(url)
        seen.append(name)
        return original(self, path, name)

    monkeypatch.setattr(Place, "upload", watch)
    report = make(url, tmp_path, workers=workers)
    assert (report.path, report.frames, report.shards_done_now) == (url, 30, 8)
    assert report.bytes == sum(map(len, whole.values()))
    assert content(url) == whole
    assert seen[-1] == "zarr.json"
    assert sorted(seen) == sorted(whole)
    assert list(tmp_path.iterdir()) == []
    again = make(url, tmp_path, workers=workers)
    assert (again.shards_done_now, again.bytes) == (0, report.bytes)
    assert verify_checksums(url) == []


def test_from_the_command_line(s3, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["build", "--out", f"{s3}/cli.zarr", "--limit", "8", "--workers", "0", "--crop-size", "32", "--maps",
                 "heatmap", "--map-size", "16"]  # fmt: skip
    for said in ("1 of 1 shards", "already complete"):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert f"{s3}/cli.zarr: 8 frames" in result.stdout
        assert said in result.stdout
    planned = CliRunner().invoke(main, [*arguments, "--dry-run"])
    assert planned.stdout.startswith(f"{s3}/cli.zarr: 8 frames in 1 shards")
    assert list(tmp_path.iterdir()) == []


def test_what_has_arrived_is_not_uploaded_again_and_what_was_lost_is(s3, tmp_path, whole, uploads, monkeypatch):
    url, original = f"{s3}/resumed.zarr", upload.UploadLedger.add

    def stop(self, record):
        original(self, record)
        if record.shard == 4:
            self.wait_for_uploads()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(upload.UploadLedger, "add", stop)
        with pytest.raises(KeyboardInterrupt, match="5 of 8 shards are kept"):
            make(url, tmp_path)
    first = set(uploads)
    assert len(first) == 5 * 10
    # What has arrived is not kept here.
    assert not list(tmp_path.rglob("c.*"))
    place = Place(url)
    place.remove(["depth/c.1.0.0"])
    place.write("maps/heatmap/c.2.0.0.0", b"cut off")
    uploads.clear()
    report = make(url, tmp_path)
    assert report.resumed
    assert report.shards_done_now == 5  # three that were never made, two that were damaged
    assert {n for n in uploads if n in first} <= {n for n in whole if ".1" in n or ".2" in n}
    assert content(url) == whole


SCRIPT = """
import sys
from gmaps.pipeline import build
if __name__ == "__main__":
    build("synthetic", sys.argv[1], staging=sys.argv[2], workers=int(sys.argv[3]), **{options!r})
"""


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_a_random_moment(s3, tmp_path, whole, rounds):
    seed = random.randrange(10**9)
    for k in range(rounds):
        chance = random.Random(seed + k)
        url, workers = f"{s3}/{seed + k}.zarr", chance.choice([0, 0, 2])
        command = [sys.executable, "-c", SCRIPT.format(options=OPTIONS), url, str(tmp_path), str(workers)]
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        wanted, place = chance.randrange(len(whole)), Place(url)
        while process.poll() is None and len(place.sizes()) < wanted:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.05))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        make(url, tmp_path)
        assert content(url) == whole, f"seed {seed + k}"
        assert not list(tmp_path.glob("*.partial"))


def test_a_failing_upload_stops_the_build_and_keeps_the_rest(s3, tmp_path, whole, monkeypatch):
    url, original = f"{s3}/failing.zarr", Place.upload

    def fail(self, path, name):
        if name == "maps/geodesic/c.3.0.0.0":
            raise StoreError("no way through")
        return original(self, path, name)

    with monkeypatch.context() as patch:
        patch.setattr(Place, "upload", fail)
        with pytest.raises(StoreError, match="no way through"):
            make(url, tmp_path)
    report = make(url, tmp_path)
    assert report.resumed
    assert content(url) == whole


def test_another_store_is_refused_or_replaced_whole(s3, tmp_path, whole):
    url = f"{s3}/replaced.zarr"
    make(url, tmp_path, maps=("euclidean", "signed_edt"), limit=20)
    with pytest.raises(FingerprintError, match="rows: 20 -> 30"):
        make(url, tmp_path)
    make(url, tmp_path, overwrite=True)
    assert content(url) == whole


def test_what_is_not_ours_is_left_alone(s3, tmp_path):
    Place(f"{s3}/precious").write("thesis.txt", b"years of work")
    for overwrite in (False, True):
        with pytest.raises(StoreError, match="holds other files"):
            make(f"{s3}/precious", tmp_path, overwrite=overwrite)
    Place(f"{s3}/group").write("zarr.json", b'{"attributes": {}}')
    with pytest.raises(StoreError, match="no gmaps store"):
        make(f"{s3}/group", tmp_path, overwrite=True)
    assert content(f"{s3}/precious") == {"thesis.txt": b"years of work"}


def test_the_build_of_another_machine_is_not_disturbed(s3, tmp_path, whole):
    url = f"{s3}/shared.zarr"
    Place(url).write(upload.MARKER, json.dumps({"host": "elsewhere", "directory": "/x.partial"}).encode())
    with pytest.raises(StoreLockedError, match=r"built on elsewhere in /x\.partial"):
        make(url, tmp_path)
    make(url, tmp_path, overwrite=True)
    assert content(url) == whole


def test_what_cannot_be_is_told_before_anything_is_made(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(upload.UploadLedger, "add", lambda *a: pytest.fail("a shard was made"))
    with pytest.raises(StoreError, match="no-such-bucket"):
        make("s3://no-such-bucket/x.zarr", tmp_path)
    with pytest.raises(UsageError, match="parts need a file system"):
        make(f"{s3}/x.zarr", tmp_path, part=(1, 2))
    with pytest.raises(UsageError, match="parts need a file system"):
        prepare("synthetic", f"{s3}/x.zarr", staging=tmp_path, **OPTIONS)
    with pytest.raises(UsageError, match="is none"):
        make(tmp_path / "x.zarr", tmp_path)
    assert Place(f"{s3}/x.zarr").sizes() == {}
    assert list(tmp_path.iterdir()) == []
