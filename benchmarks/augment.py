"""Augmentation on one core: the change alone, and with geodesic maps of what came out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import gmaps
from benchmarks.kernels import random_crops
from benchmarks.timing import Row, table, take_turns, write
from gmaps.augment.changes import Augment
from gmaps.frame import Crop
from gmaps.maps import Scene
from gmaps.training import GuidanceDataset
from tests.reference import handmap

_CROPS = 24
_BATCH = 64


def _opencv(crop: Crop, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What loaders of the field do: turn, zoom and shift the image to the nearest pixel, then the joints likewise."""
    s = crop.size
    middle = ((s - 1) / 2, (s - 1) / 2)
    matrix: Any = cv2.getRotationMatrix2D(middle, rng.uniform(-180, 180), rng.uniform(0.9, 1.1))
    matrix[:, 2] += rng.uniform(-4, 4, 2)
    shift = np.float32(rng.uniform(-0.07, 0.07))
    image: Any = cv2.warpAffine(crop.depth, matrix, (s, s), flags=cv2.INTER_NEAREST, borderValue=1)
    image = np.where(image < 1, np.clip(image + shift, -1, 1), np.float32(1))
    uv = (crop.joints[:, :2] + 1) * s / 2 - 0.5
    uv = (uv @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    joints = np.column_stack([(2 * uv + 1) / s - 1, crop.joints[:, 2] + shift])
    return image, joints.astype(np.float32)


def _original(crop: Crop, rng: np.random.Generator) -> Any:
    """The same, and then the map as the original makes it."""
    image, joints = _opencv(crop, rng)
    center = np.asarray(crop.cube.center, np.float32)
    changed = Crop(image, crop.cube, (joints * crop.cube.half_side + center).astype(np.float32))
    mask = Scene(changed, 32).silhouette
    cells = np.clip(np.rint(changed.joints_px(32)), 0, 31).astype(int)
    hand = np.argwhere(mask)
    return handmap.geodesic_path(mask, np.array([hand[np.hypot(*(hand - p).T).argmin()] for p in cells]))


def _ours(augment: Augment, crop: Crop, key: int) -> Any:
    return gmaps.encode(augment(crop, 0, key)[0], ("geodesic",))


def run() -> list[Row]:
    """Measure and print."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    crops, rng = random_crops(_CROPS), np.random.default_rng(0)
    plain, full = Augment(), Augment(cutouts=2, noise=1.0, edge_loss=0.1)
    sums: dict[str, float] = {}
    for k, crop in enumerate(crops):
        calls: dict[str, Callable[[], Any]] = {
            "cv2": partial(_opencv, crop, rng),
            "plain": partial(plain, crop, 0, k),
            "full": partial(full, crop, 0, k),
            "original": partial(_original, crop, rng),
            "map": partial(_ours, full, crop, k),
        }
        for name, seconds in take_turns(calls, rounds=9).items():
            sums[name] = sums.get(name, 0.0) + seconds / _CROPS
    rows = [
        Row("rotation, scale, translation, depth; 128 x 128", sums["plain"], sums["cv2"], "OpenCV, nearest pixel"),
        Row("and cut-outs, noise, lost edges; 128 x 128", sums["full"], sums["cv2"], "OpenCV, without these"),
        Row("all of it, then geodesic maps, 32 x 32", sums["map"], sums["original"], "OpenCV, reference path"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hands.zarr"
        gmaps.build("synthetic", path, ("geodesic",), limit=512, workers=0, progress=False)
        sets = {
            "as stored": GuidanceDataset(path, ("geodesic",)),
            "augmented": GuidanceDataset(path, ("geodesic",), augment=full),
        }
        positions = list(range(_BATCH))
        each = take_turns({name: partial(d.read_batch, positions) for name, d in sets.items()}, rounds=15)
    rows.append(
        Row("a sample of GuidanceDataset, augmented, geodesic on the fly", each["augmented"] / _BATCH,
            each["as stored"] / _BATCH, "as stored")
    )  # fmt: skip
    print(table("Augmentation", rows))
    print(f"{_BATCH / each['augmented']:,.0f} augmented samples a second on one core")
    print(f"written to {write('augment', rows)}")
    return rows


if __name__ == "__main__":
    run()
