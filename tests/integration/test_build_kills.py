"""Faults at random moments, many times: whatever dies, the end is the same to the byte.

Each round starts a real build in a process of its own and lets something happen to it: the whole program is killed,
one of its workers is, or the machine goes down, which is a copy of the directory at that moment, its newest files cut
off. Then the same build is run to its end. `pytest -m slow` runs a hundred rounds, the default five.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from gmaps.pipeline import build
from gmaps.store import verify_checksums
from tests.unit.store_kit import content

OPTIONS = {
    "maps": ("geodesic", "heatmap"), "limit": 90, "crop_size": 64, "map_size": 16, "shard_samples": 4,
    "progress": False, "dataset_options": {"frames": 90, "seed": 5},
}  # fmt: skip
SCRIPT = """
import sys
from gmaps.pipeline import build
if __name__ == "__main__":
    build("synthetic", sys.argv[1], workers=int(sys.argv[2]), **{options!r})
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "w.zarr"
    build("synthetic", path, workers=0, **OPTIONS)
    return content(path)


def snapshot(source, target, chance):
    """A copy as a power cut leaves it: of files that were not flushed yet, a part."""
    target.mkdir(parents=True)
    # The walk takes time: what it lists later may be newer. A ledger is on disk before anything else is made, so
    # where it is not there yet, nothing is.
    if not (source / "ledger.jsonl").exists():
        return
    for path in sorted(source.rglob("*")):
        to = target / path.relative_to(source)
        if path.is_dir():
            to.mkdir(parents=True, exist_ok=True)
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, to)
        except FileNotFoundError:  # renamed meanwhile
            continue
        if path.name.endswith(".tmp"):
            os.truncate(to, int(to.stat().st_size * chance.random()))
    ledger = target / "ledger.jsonl"
    if not ledger.exists():  # the store got its name during the walk: half of it is no state of any disk
        shutil.rmtree(target)
        return
    if chance.random() < 0.3:
        # Its first line is flushed before anything else is made; of the others the last may be cut off.
        first = ledger.read_bytes().find(b"\n") + 1
        os.truncate(ledger, max(ledger.stat().st_size - chance.randrange(200), first))


def run_round(folder, whole, seed):
    chance = random.Random(seed)
    out, workers, what = folder / "t.zarr", chance.choice([0, 2]), chance.choice(["all", "worker", "machine"])
    command = [sys.executable, "-c", SCRIPT.format(options=OPTIONS), str(out), str(workers)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    partial, wanted = folder / "t.zarr.partial", chance.randrange(0, 20)
    # So many shards, and then a moment more.
    while process.poll() is None and len(list(partial.glob("depth/c.*"))) < wanted:
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.05))
    goes_on = out
    if what == "machine":
        if partial.exists():
            goes_on = folder / "copy" / "t.zarr"
            snapshot(partial, folder / "copy" / "t.zarr.partial", chance)
    elif what == "worker":
        busy = {int(f.name.split(".")[-2].split("-")[0]) for f in partial.rglob(".c.*.tmp")} - {process.pid}
        for pid in list(busy)[:1]:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
        if busy:
            # It is replaced, and the build ends by itself.
            assert process.wait(timeout=120) == 0, f"seed {seed}"
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    build("synthetic", goes_on, workers=0, **OPTIONS)
    assert content(goes_on) == whole, f"seed {seed}: {what}, {workers} workers, after {wanted} shards"
    assert verify_checksums(goes_on) == []


def test_five_rounds_of_faults(tmp_path, whole):
    seed = random.randrange(10**9)
    for k in range(5):
        (tmp_path / str(k)).mkdir()
        run_round(tmp_path / str(k), whole, seed + k)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_hundred_rounds_of_faults(tmp_path, whole):
    seed = random.randrange(10**9)
    for k in range(100):
        folder = tmp_path / str(k)
        folder.mkdir()
        run_round(folder, whole, seed + k)
        shutil.rmtree(folder)
