"""From MSRA files to a store: frames a second with one worker and with two, and the workers' memory."""

from __future__ import annotations

import os
import secrets
import shutil
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

FRAMES = 16_000
#: Frames that are rendered; the others are further names of the same files.
DISTINCT = 2_000
ROUNDS = 3


def write_msra(root: Path, frames: int, distinct: int) -> None:
    """An MSRA tree of synthetic hands, in folders of 500 as the real one; both counts are multiples of 500."""
    seed = secrets.randbelow(2**31)
    print(f"writing {distinct} MSRA frames of seed {seed}")
    data = gmaps.load_dataset("synthetic", frames=distinct, seed=seed)
    gestures = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "I", "IP", "L", "MP", "RP", "T", "TIP", "Y")
    folders = [root / f"P{n // len(gestures)}" / gestures[n % len(gestures)] for n in range(frames // 500)]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        if number >= distinct // 500:
            for file in folders[number % (distinct // 500)].iterdir():
                os.link(file, folder / file.name)
            continue
        joints = []
        for k in range(500):
            frame = data.read(500 * number + k)
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


def _build(root: Path, out: Path, workers: int, frames: int) -> float:
    started = time.perf_counter()
    gmaps.build(
        "msra", out, DEFAULT_MAPS, root=root, workers=workers, limit=frames, progress=False, max_rejects="100%"
    )
    return time.perf_counter() - started


def run() -> list[dict[str, Any]]:
    """Measure and print."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "msra"
        write_msra(root, FRAMES, DISTINCT)
        # One run first, so that kernels are compiled and files cached for all alike.
        gmaps.build("msra", Path(folder) / "warm.zarr", root=root, workers=0, limit=64, progress=False)
        for workers in (1, 2):
            seconds, start_up, peaks = [], [], []
            for _ in range(ROUNDS):
                memory = Memory()
                memory.start()
                out = Path(folder) / "store.zarr"
                seconds.append(_build(root, out, workers, FRAMES))
                memory.stop.set()
                memory.join()
                peaks.append(memory.peak)
                shutil.rmtree(out)
                start_up.append(_build(root, out, workers, 1))
                shutil.rmtree(out)
            whole, first = statistics.median(seconds), statistics.median(start_up)
            rows.append(
                {"workers": workers, "frames": FRAMES, "frames_per_second": FRAMES / whole, "start_up": first,
                 "without_start_up": FRAMES / (whole - first), "worker_mb": max(peaks)}
            )  # fmt: skip
    print(f"\n## Build: MSRA files, {len(DEFAULT_MAPS)} kinds of map, {FRAMES} frames\n")
    print("| workers | frames/s | start-up | frames/s without start-up | largest worker |")
    print("|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['workers']} | {r['frames_per_second']:,.0f} | {r['start_up']:.1f} s "
            f"| {r['without_start_up']:,.0f} | {r['worker_mb']:.0f} MB |"
        )
    print("\nAsked for with two workers: 800 frames/s, better 2,000; a worker under 600 MB.")
    print(f"written to {write('build', rows)}")
    return rows


if __name__ == "__main__":
    run()
