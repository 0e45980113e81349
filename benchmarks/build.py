"""From MSRA files to a store: frames a second with one worker and with two, and the workers' memory."""

from __future__ import annotations

import secrets
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

import gmaps
from benchmarks.timing import write
from gmaps.maps import DEFAULT_MAPS
from gmaps.synth.export import write_joint_txt, write_msra_bin

FRAMES = 4096
ROUNDS = 3


def write_msra(root: Path, frames: int) -> None:
    """An MSRA tree of synthetic hands, in folders of 500 as the real one."""
    seed = secrets.randbelow(2**31)
    print(f"writing {frames} MSRA frames of seed {seed}")
    data = gmaps.load_dataset("synthetic", frames=frames, seed=seed)
    gestures = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "I", "IP", "L", "MP", "RP", "T", "TIP", "Y")
    for first in range(0, frames, 500):
        number = first // 500
        folder = root / f"P{number // len(gestures)}" / gestures[number % len(gestures)]
        folder.mkdir(parents=True)
        joints = []
        for k, i in enumerate(range(first, min(first + 500, frames))):
            frame = data.read(i)
            write_msra_bin(folder / f"{k:06d}_depth.bin", frame.depth)
            joints.append(frame.joints)
        write_joint_txt(folder / "joint.txt", joints)


class Memory(threading.Thread):
    """Largest resident size of any child process, MB, looked at ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.stop = 0.0, threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.1):
            for child in psutil.Process().children(recursive=True):
                try:
                    self.peak = max(self.peak, child.memory_info().rss / 2**20)
                except psutil.Error:
                    continue


def run() -> list[dict[str, Any]]:
    """Measure and print."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "msra"
        write_msra(root, FRAMES)
        # One run first, so that kernels are compiled and files cached for all alike.
        gmaps.build("msra", Path(folder) / "warm.zarr", root=root, workers=0, limit=64, progress=False)
        for workers in (1, 2):
            speeds, whole, peaks = [], [], []
            for k in range(ROUNDS):
                memory = Memory()
                memory.start()
                started = time.perf_counter()
                report = gmaps.build(
                    "msra", Path(folder) / f"{workers}-{k}.zarr", DEFAULT_MAPS, root=root, workers=workers,
                    progress=False, max_rejects="100%", shard_samples=256,
                )  # fmt: skip
                whole.append(FRAMES / (time.perf_counter() - started))
                memory.stop.set()
                memory.join()
                speeds.append(report.frames_per_second)  # type: ignore[union-attr]
                peaks.append(memory.peak)
            rows.append(
                {"workers": workers, "frames_per_second": statistics.median(speeds),
                 "with_start_up": statistics.median(whole), "worker_mb": max(peaks), "frames": FRAMES}
            )  # fmt: skip
    print(f"\n## Build: MSRA files, {len(DEFAULT_MAPS)} kinds of map, {FRAMES} frames\n")
    print("| workers | frames/s, start-up included | frames/s while building | largest worker |\n|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['workers']} | {r['with_start_up']:,.0f} | {r['frames_per_second']:,.0f} | {r['worker_mb']:.0f} MB |"
        )
    print("\nAsked for with two workers: 800 frames/s, better 2,000; a worker under 600 MB.")
    print(f"written to {write('build', rows)}")
    return rows


if __name__ == "__main__":
    run()
