"""The index of DexYCB's training split: seconds and memory of a process that does nothing else.

`python -m benchmarks index` writes a tree of the data set's names and counts, 1,000 recordings whose training split
s0 has 465,504 frames, and no frame's file: the index comes from what the recordings say of themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import write
from gmaps.datasets.dexycb import EXPECTED
from gmaps.datasets.dexycb.recordings import SEQUENCES, SERIALS, SUBJECTS
from gmaps.datasets.write.dexycb_files import write_calibration, write_meta

FRAMES = EXPECTED["s0", "train"]
_ROUNDS = 5
#: Seconds and MB that it may take, and seconds that it should.
MUST, MEMORY, AIM = 20.0, 300.0, 5.0
#: Of a fresh process; the imports of both are left out of the seconds, and within the memory.
_PROGRAM = """
import json, resource, sys, time
from gmaps.datasets import load_dataset
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
index = load_dataset("dexycb", sys.argv[1], split="train").index()
seconds = time.perf_counter() - started
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"frames": len(index), "s": seconds, "MB": after / 1024, "before_MB": before / 1024}))
"""


def write_tree(root: Path) -> None:
    """1,000 recordings of about 72 frames; those that s0 trains on have 465,504 in all."""
    rng = np.random.default_rng(0)
    number = np.arange(SEQUENCES * len(SUBJECTS)) % SEQUENCES
    trained = np.flatnonzero(number % 5 != 4)
    lengths = rng.integers(60, 85, len(number))
    spare = FRAMES // len(SERIALS) - int(lengths[trained].sum())
    lengths[trained] += spare // len(trained)
    lengths[trained[: spare % len(trained)]] += 1
    write_calibration(root, {}, {"right": [0.0] * 10})
    for k, frames in enumerate(lengths.tolist()):
        folder = root / SUBJECTS[k // SEQUENCES] / f"20200709_{k % SEQUENCES:06d}"
        folder.mkdir(parents=True)
        write_meta(folder, frames, "right" if k % 2 else "left", SERIALS, "right")


def measure(root: Path) -> dict[str, Any]:
    """One fresh process."""
    run = subprocess.run([sys.executable, "-c", _PROGRAM, str(root)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def run() -> None:
    """Prints the figures and keeps them."""
    with tempfile.TemporaryDirectory() as folder:
        write_tree(Path(folder))
        found = sorted((measure(Path(folder)) for _ in range(_ROUNDS)), key=lambda r: r["s"])
    median = found[len(found) // 2]
    good = median["frames"] == FRAMES and median["s"] <= MUST and median["MB"] <= MEMORY
    print(
        f"## Index of DexYCB s0 train\n\n{median['frames']:,} frames: {median['s']:.2f} s (must {MUST:g}, "
        f"aim {AIM:g}), {median['MB']:.0f} MB of the whole process (must {MEMORY:g}), {median['before_MB']:.0f} of "
        f"them its imports: {'met' if good else 'NOT MET'}"
    )
    write("index", found)


if __name__ == "__main__":
    run()
