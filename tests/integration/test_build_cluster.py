"""A Dask cluster as others run it: scheduler and workers are programs of their own, each in its own directory."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from gmaps.pipeline import build
from gmaps.store import verify_checksums
from tests.unit.store_kit import content

OPTIONS = {
    "maps": ("geodesic",), "limit": 24, "crop_size": 32, "map_size": 8, "shard_samples": 3, "progress": False,
    "dataset_options": {"frames": 40, "seed": 3},
}  # fmt: skip


@pytest.fixture
def programs():
    started = []

    def start(folder, *words):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", *words]
        with (folder / "log").open("wb") as log:
            started.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log))

    yield start
    for process in reversed(started):
        process.kill()
        process.wait()


def test_separate_programs_in_directories_of_their_own(tmp_path, programs, monkeypatch):
    found = tmp_path / "scheduler.json"
    programs(tmp_path / "s", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
             "--no-dashboard", "--scheduler-file", str(found))  # fmt: skip
    deadline = time.monotonic() + 60
    while not found.exists() or not found.read_text().strip().endswith("}"):
        assert time.monotonic() < deadline, (tmp_path / "s/log").read_text()
        time.sleep(0.05)
    address = json.loads(found.read_text())["address"]
    for k in range(2):
        programs(tmp_path / f"w{k}", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard",
                 "--no-nanny", "--local-directory", ".")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    # A relative path is this directory's, not the workers'.
    report = build("synthetic", "here.zarr", scheduler=address, **OPTIONS)
    assert (report.frames, report.shards_done_now) == (24, 8)
    assert verify_checksums("here.zarr") == []
    build("synthetic", "alone.zarr", workers=0, **OPTIONS)
    assert content(tmp_path / "here.zarr") == content(tmp_path / "alone.zarr")
