"""Builds of growing size: time and memory grow with the frames, not faster.

`python -m benchmarks scale` builds 10,000 and 100,000 synthetic frames with one small map; frame counts as arguments
of `python -m benchmarks.scale 1000000` build others.
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
from benchmarks.build import Memory
from benchmarks.timing import write


def measure(frames: int, folder: Path) -> dict[str, Any]:
    """One build: seconds, and the largest size of this process, which is the scheduler, and of any worker."""
    memory = Memory()
    memory.start()
    out = folder / f"{frames}.zarr"
    started = time.perf_counter()
    gmaps.build(
        "synthetic", out, ("heatmap",), map_size=8, crop_size=16, workers=os.cpu_count(), progress=False,
        max_rejects="100%", dataset_options={"frames": frames},
    )  # fmt: skip
    seconds = time.perf_counter() - started
    memory.stop.set()
    memory.join()
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    shutil.rmtree(out)
    return {
        "frames": frames, "seconds": seconds, "frames_per_second": frames / seconds, "store_bytes": size,
        "scheduler_mb": psutil.Process().memory_info().rss / 2**20, "worker_mb": memory.peak,
    }  # fmt: skip


def run(counts: Sequence[int] = (10_000, 100_000)) -> list[dict[str, Any]]:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        gmaps.build("synthetic", Path(folder) / "w.zarr", ("heatmap",), limit=64, workers=0, progress=False)
        rows = [measure(n, Path(folder)) for n in counts]
    print(f"\n## Scale: synthetic frames, one map of 8 x 8, {os.cpu_count()} workers\n")
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
