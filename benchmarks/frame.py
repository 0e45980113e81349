"""Where the time of a frame goes, from its file to its chunks: microseconds a step, beside a floor for each.

`python -m benchmarks.frame` measures this checkout, and with the folder of another one that too, turn by turn. The
floor of a step is what it reads and writes at the rate at which this machine copies, and its arithmetic at the rate
at which it multiplies and adds vectors, both measured here: no code that does as much can be faster.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np

import gmaps
from benchmarks.build import write_msra
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.datasets.base import Window, read_window
from gmaps.kernels import edt
from gmaps.kernels.planar import drawn, one_call
from gmaps.maps import DEFAULT_MAPS, Encoder, MapParams
from gmaps.pipeline.plan import make_plan
from gmaps.pipeline.source import FrameCrops
from gmaps.pipeline.spec import BuildSpec
from gmaps.pipeline.worker import job_row, write_shard
from gmaps.store.codec import encode_chunk

#: Frames of the tree, those that are looked at, and how often; of each the fastest time counts.
FRAMES, LOOKED_AT, ROUNDS = 500, 40, 10
#: Turns of each checkout.
TURNS = 3


class Clock:
    """The least time that each step took of each frame; CPU time, since neighbours come and go."""

    def __init__(self) -> None:
        self.least: dict[str, dict[int, float]] = {}

    def time(self, step: str, frame: int, call: Callable[[], Any]) -> Any:
        """What `call` gives."""
        start = time.thread_time()
        found = call()
        spent = time.thread_time() - start
        known = self.least.setdefault(step, {})
        known[frame] = min(known.get(frame, spent), spent)
        return found

    def means(self) -> dict[str, float]:
        """Microseconds a frame."""
        return {step: 1e6 * float(np.mean(list(known.values()))) for step, known in self.least.items()}


def measure(root: Path) -> dict[str, float]:
    """Microseconds of each step."""
    data = gmaps.load_dataset("msra", root)
    source = FrameCrops(data, CropParams(half_side=float(data.info.half_side)), None, "msra")
    spec = BuildSpec.of_frames(source, MapParams(DEFAULT_MAPS), limit=None, dtype="float16", layout="packed",
                               shard_samples=1024)  # fmt: skip
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(spec, Path(folder) / "s.zarr", workers=0)
        job = plan.job
        encoder = Encoder(job.maps, source.skeleton)
        window = Window(source.params.half_side, None)
        for _ in range(ROUNDS):
            for i in range(LOOKED_AT):
                _steps(clock, i, source, job, encoder, window)
        plan.partial.mkdir()
        for _ in range(4):
            clock.time("all of it, with files", 0, lambda: write_shard(source, job, 0))
    means = clock.means()
    means["all of it, with files"] /= FRAMES
    return means


def _steps(clock: Clock, i: int, source: FrameCrops, job: Any, encoder: Encoder, window: Window) -> None:
    data, size = source.dataset, encoder.params.size
    frame = clock.time("read", i, lambda: read_window(data, i, window))
    crop = clock.time(
        "crop", i, lambda: crop_dataset_frame(frame, data.info.depth_range, source.params, None, data.camera)
    )
    px, joints, cube = crop.joints_px(size), np.ascontiguousarray(crop.joints_mm, np.float32), crop.cube
    near = 15.0 / cube.half_side
    args = crop.depth, size, near, joints, px, *cube.center, cube.half_side, False, 0.0, 0.0, 3
    clock.time("maps: silhouette, ways on the hand and straight ones", i, lambda: one_call.on_hand(*args))
    plane, planes = np.empty((size, size), np.float32), np.empty((size, size, len(joints)), np.float32)
    clock.time("maps: signed EDT", i, lambda: edt.at_centers(crop.depth, 1.0, plane))
    clock.time("maps: heat map", i, lambda: drawn.heatmap(px, 0.8, planes))
    clock.time("maps: all, with what Python adds", i, lambda: encoder.hand(crop))
    _, row = clock.time("read, crop and maps, as a build does", i, lambda: job_row(source, job.maps, i))
    for a in job.layout:
        if a.sharded:
            step = "compress depth" if a.name == "depth" else f"pack {a.name}"
            clock.time(step, i, lambda a=a: encode_chunk(a, row[a.name]))  # type: ignore[misc]


def floors() -> dict[str, float]:
    """Microseconds that a step's bytes and arithmetic take at the least."""
    a, b = np.ones(16384, np.float32), np.empty(16384, np.float32)

    def rate(call: Callable[[], Any]) -> float:
        best = min(_seconds(call) for _ in range(50))
        return best / 100 * 1e6

    copied = rate(lambda: [np.positive(a, out=b) for _ in range(100)]) / (2 * a.nbytes)  # us a byte read or written
    vectors = np.ones(256, np.float32)
    _multiply_add(vectors, 1)
    multiplied = rate(lambda: _multiply_add(vectors, 10_000)) * 100 / (10_000 * 16 * vectors.size)
    pixels, crop, hand, joints = 7_700, 128 * 128, 240, 21
    # Bytes, and operations on one float. A way: 22 in each of some 1.3 triangles in each of 4 quarters, passed twice.
    need = {
        "read": (2 * 4 * pixels, pixels),
        "crop": (4 * (pixels + crop), 20 * pixels),
        "maps: silhouette, ways on the hand and straight ones": (
            4 * crop + 3 * 4 * hand * 24, crop + hand * 24 * (2 * 4 * 1.3 * 22 + 12)),
        "maps: signed EDT": (4 * crop + 4 * 1024, crop + 1024 * 16),
        "maps: heat map": (4 * 1024 * joints, 1024 * joints),
        "compress depth": (4 * crop + 2 * crop + 5_600, 2 * crop),
        "pack maps/signed_edt": (4 * 1024 + 1_900, 8 * 1024),
        "pack maps/heatmap": (4 * 1024 * joints + 3_700, 4 * 1024 * joints),
    }  # fmt: skip
    for name in ("geodesic", "geodesic_weighted", "euclidean"):
        need[f"pack maps/{name}"] = 4 * hand * joints + 3_900, 8 * hand * joints
    return {step: size * copied + count * multiplied for step, (size, count) in need.items()}


@nb.njit
def _multiply_add(values: Any, times: int) -> None:
    # Eight products and eight sums of each value, so that loading it hardly counts.
    for _ in range(times):
        for i in range(values.size):
            v = values[i]
            for _ in range(8):
                v = v * np.float32(0.5) + np.float32(0.5)
            values[i] = v


def _seconds(call: Callable[[], Any]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


def _of(checkout: str, root: Path) -> dict[str, float]:
    """`measure` by the gmaps in a checkout, in a process of its own."""
    # This file's own measure, by the other's gmaps.
    command = [sys.executable, __file__, "--json", str(root)]
    environment = {**os.environ, "PYTHONPATH": checkout}
    done = subprocess.run(command, env=environment, cwd=checkout, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(other: str = "") -> None:
    """Measure and print."""
    here = str(Path(__file__).parents[1])
    checkouts = [here, *([os.path.abspath(other)] if other else [])]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "msra"
        write_msra(root, FRAMES, FRAMES)
        turns = [{c: _of(c, root) for c in checkouts} for _ in range(TURNS)]
    least = {c: {step: min(t[c][step] for t in turns) for step in turns[0][c]} for c in checkouts}
    floor = floors()
    print(
        "| step | us a frame | floor |" + (" the other checkout |\n|---|---|---|---|" if other else "\n|---|---|---|")
    )
    for step, value in least[here].items():
        least_possible = f"{floor[step]:.0f}" if step in floor else ""
        before = f" {least[checkouts[1]][step]:.0f} |" if other else ""
        print(f"| {step} | {value:.0f} | {least_possible} |{before}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--json"]:
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        run(*sys.argv[1:])
