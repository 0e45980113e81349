"""Builds of growing size: time and memory grow with the frames, not faster.

`python -m benchmarks scale` builds 10,000 and 100,000 frames with one small map; frame counts as arguments, as in
`python -m benchmarks.scale 1000000`, build others. The frames are synthetic hands in MSRA files, a thousand of them
distinct and the others further names of the same files.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

import gmaps
from benchmarks.build import Memory, write_msra
from benchmarks.timing import write
from gmaps.datasets.msra import GESTURES, SUBJECTS

#: Frames that are rendered.
DISTINCT = 1_000


def write_tree(root: Path, hands: Path, frames: int) -> None:
    """An MSRA tree of any number of frames in its 153 folders."""
    folders = [root / subject / gesture for subject in SUBJECTS for gesture in GESTURES]
    lines = [line for part in sorted(hands.glob("*/*/joint.txt")) for line in part.read_text().splitlines()[1:]]
    files = [f for part in sorted(hands.glob("*/*/joint.txt")) for f in sorted(part.parent.glob("*.bin"))]
    for k, folder in enumerate(folders):
        count = frames // len(folders) + (k < frames % len(folders))
        folder.mkdir(parents=True)
        shown = [(k + i) % len(files) for i in range(count)]
        for i, at in enumerate(shown):
            os.link(files[at], folder / f"{i:06d}_depth.bin")
        (folder / "joint.txt").write_text("\n".join([str(count), *(lines[at] for at in shown)]) + "\n")


def measure(frames: int, folder: Path) -> dict[str, Any]:
    """One build: seconds, and the largest size of this process, which is the scheduler, and of any worker."""
    root = folder / str(frames)
    write_tree(root, folder / "hands", frames)
    memory = Memory()
    memory.start()
    out = folder / f"{frames}.zarr"
    started = time.perf_counter()
    gmaps.build(
        "msra", out, ("heatmap",), root=root, map_size=8, crop_size=32, workers=os.cpu_count(), progress=False,
        max_rejects="100%",
    )  # fmt: skip
    seconds = time.perf_counter() - started
    memory.stop.set()
    memory.join()
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    shutil.rmtree(out)
    shutil.rmtree(root)
    return {
        "frames": frames, "seconds": seconds, "frames_per_second": frames / seconds, "store_bytes": size,
        "scheduler_mb": psutil.Process().memory_info().rss / 2**20, "worker_mb": memory.peak,
    }  # fmt: skip


def run(counts: Sequence[int] = (10_000, 100_000)) -> list[dict[str, Any]]:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        write_msra(Path(folder) / "hands", DISTINCT, DISTINCT)
        rows = [measure(n, Path(folder)) for n in counts]
    print(f"\n## Scale: MSRA files, one map of 8 x 8, crops of 32 x 32, {os.cpu_count()} workers\n")
    print("| frames | seconds | frames/s | scheduler | largest worker | store |")
    print("|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['frames']:,} | {r['seconds']:.0f} | {r['frames_per_second']:,.0f} | {r['scheduler_mb']:.0f} MB "
            f"| {r['worker_mb']:.0f} MB | {r['store_bytes'] / 1e6:,.0f} MB |"
        )
    print(f"\nwritten to {write('scale', rows)}")
    return rows


if __name__ == "__main__":
    run([int(n) for n in sys.argv[1:]] or (10_000, 100_000))
