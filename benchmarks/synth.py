"""Synthetic frames a second on one core at 640 x 480, step by step, and the renderer against its peers.

Frames are timed by the processor's clock, on one thread: what else the machine does hardly counts.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Row, human, table, take_turns, write
from gmaps.camera import Camera
from gmaps.datasets.write.layouts import CAMERA, LAYOUTS, make_items
from gmaps.datasets.write.tree import make_frame, write_tree
from gmaps.synth.poses import FAMILIES
from gmaps.synth.render import render_mesh
from gmaps.synth.sensor import SENSORS, get_sensor
from gmaps.synth.skin import hand_mesh
from gmaps.synth.stage import Stage, make_hand

HANDS = 68
STAGE = Stage(CAMERA, (300.0, 650.0))


def painter(vertices: NDArray[np.float64], camera: Camera) -> NDArray[np.float32]:
    """OpenCV's polygons, from far to near, each of one depth: no z-buffer, and steps where a slope should be."""
    depth = np.zeros((camera.height, camera.width), np.float32)
    corners = vertices[hand_mesh().triangles]
    uv = camera.project(corners)[..., :2]
    middle = corners[..., 2].mean(axis=1)
    points = np.rint(uv * 16).astype(np.int32)
    for k in np.argsort(-middle):
        cv2.fillConvexPoly(depth, points[k], float(middle[k]), shift=4)
    return depth


def ray_caster(vertices: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """The tests' slow twin: every ray against every triangle, in NumPy."""
    from tests.reference.handmesh import ray_depths

    return ray_depths(vertices, hand_mesh().triangles, camera)[0]


def _each(calls: list[Callable[[], Any]]) -> float:
    """Median processor seconds of one call, over many different ones."""
    for call in calls[:3]:
        call()
    seconds = []
    for call in calls:
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def run() -> list[Any]:
    """Measure and print."""
    cv2.setNumThreads(1)
    seed = secrets.randbelow(2**31)
    print(f"synthetic hands of seed {seed}, 640 x 480")
    families = [FAMILIES[k % len(FAMILIES)] for k in range(HANDS)]
    scenes = [make_hand(seed, k, k % 10, families[k], STAGE) for k in range(HANDS)]
    meshes = [s.vertices() for s in scenes]
    images = [render_mesh(m, CAMERA).depth for m in meshes]
    steps = {
        "pose, free of contact": _each(
            [partial(make_hand, seed, k, k % 10, families[k], STAGE) for k in range(HANDS)]
        ),
        "skin": _each([s.vertices for s in scenes]),
        "depth and segmentation": _each([partial(render_mesh, m, CAMERA) for m in meshes]),
    }
    for name in SENSORS[1:]:
        sensor, rng = get_sensor(name), np.random.default_rng(seed)
        if sensor is not None:
            steps[f"sensor: {name}"] = _each([partial(sensor.apply, d, CAMERA, rng) for d in images])
    items = make_items("folder", HANDS)
    whole = {s: _each([partial(make_frame, "folder", seed, k, items[k], s) for k in range(HANDS)]) for s in SENSORS}
    print("\n## Synthetic frames, one core, 640 x 480\n")
    print("| step | time |\n|---|---|")
    for name, seconds in steps.items():
        print(f"| {name} | {human(seconds)} |")
    print("\n| whole frame | time | frames/s a core |\n|---|---|---|")
    for name, seconds in whole.items():
        print(f"| sensor {name} | {human(seconds)} | {1 / seconds:.0f} |")

    files = []
    print("\n| as files | frames/s a core | MB a 1,000 frames |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for layout in LAYOUTS:
            out = Path(folder) / layout
            start = time.process_time()
            write_tree(out, layout, 150, seed=seed)
            seconds = (time.process_time() - start) / 150
            size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 150 * 1000
            files.append({"layout": layout, "seconds": seconds, "bytes_per_1000": size})
            print(f"| {layout} | {1 / seconds:.0f} | {size / 1e6:.0f} |")

    peers = take_turns(
        {"ours": partial(render_mesh, meshes[0], CAMERA), "painter": partial(painter, meshes[0], CAMERA)}
    )
    small = Camera(40.0, 40.0, 32.0, 24.0, 64, 48)
    slow = take_turns(
        {"ours": partial(render_mesh, meshes[0], small), "rays": partial(ray_caster, meshes[0], small)}, rounds=1
    )
    apart = np.abs(painter(meshes[0], CAMERA) - images[0])[(images[0] > 0)]
    rows: list[Any] = [
        Row("depth image, 640 x 480", peers["ours"], peers["painter"], "OpenCV polygons, far to near"),
        Row("depth image, 64 x 48", slow["ours"], slow["rays"], "NumPy ray caster"),
    ]
    print("\n" + table("Renderer", rows))
    print(f"the painter's depths are {apart.mean():.2f} mm off on average; the z-buffer's are exact")
    kept = [*rows, *({"step": k, "seconds": v} for k, v in steps.items()), *files]
    kept += [{"frame": k, "seconds": v} for k, v in whole.items()]
    print(f"written to {write('synth', kept)}")
    return rows


if __name__ == "__main__":
    run()
