"""The kernels on one core, against scikit-fmm, SciPy and OpenCV, on fresh random synthetic hands."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import skfmm
from numpy.typing import NDArray

import gmaps
from benchmarks.timing import Row, table, take_turns, write
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.frame import Crop
from gmaps.maps import DEFAULT_MAPS, Scene, get_map
from gmaps.skeleton import get_skeleton
from tests.reference import handmap
from tests.shapes import blob

SIZES = (32, 64, 128, 256)


def random_crops(n: int) -> list[Crop]:
    """Crops of synthetic hands that nobody has seen before."""
    seed = secrets.randbelow(2**31)
    print(f"synthetic hands of seed {seed}")
    data = gmaps.load_dataset("synthetic", frames=n, seed=seed)
    return [crop_dataset_frame(data.read(i), data.info.depth_range, CropParams()) for i in range(n)]


def _on_silhouette(crop: Crop, size: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Silhouette and joint cells, moved onto it: the only places where scikit-fmm can start."""
    mask = Scene(crop, size).silhouette
    hand = np.argwhere(mask)
    cells = [hand[np.hypot(*(hand - p).T).argmin()] for p in crop.joints_px(size)]
    return mask, np.array(cells)


def _scikit_fmm(mask: NDArray[np.bool_], cells: NDArray[np.int64], order: int) -> list[NDArray[np.float64]]:
    planes = []
    for row, col in cells:
        phi = np.ones(mask.shape)
        phi[row, col] = 0
        planes.append(skfmm.distance(np.ma.MaskedArray(phi, ~mask), dx=0.1, order=order))
    return planes


def _opencv(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    image = mask.astype(np.uint8)
    inside = cv2.distanceTransform(image, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return inside - cv2.distanceTransform(1 - image, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def arbitrary() -> list[Row]:
    """The public function on masks that are no hands, from cells on them and from anywhere."""
    rng = np.random.default_rng(secrets.randbelow(2**31))
    masks = {"full": np.ones((32, 32), bool), "7 of 10 cells": rng.random((32, 32)) < 0.7, "blob": blob(rng, 32)}
    rows = []
    for what, mask in masks.items():
        on = np.argwhere(mask)
        for where, cells in (
            ("on it", on[rng.integers(len(on), size=21)]),
            ("anywhere", rng.integers(32, size=(21, 2))),
        ):
            calls = {
                "ours": partial(gmaps.geodesic_distance, mask, cells.astype(np.float64)),
                "path": partial(handmap.geodesic_path, mask, cells),
            }
            t = take_turns(calls, rounds=15)
            rows.append(
                Row(f"geodesic, 32 x 32, {what}, 21 points {where}", t["ours"], t["path"], "reference path", 60)
            )
    return rows


def run() -> list[Row]:
    """Measure and print."""
    cv2.setNumThreads(1)
    crops = random_crops(24)
    rows: list[Row] = []
    for size in SIZES:
        scenes = [_on_silhouette(c, size) for c in crops]
        sums: dict[str, float] = {}
        for mask, cells in scenes if size == 32 else scenes[:8]:
            p = cells.astype(np.float64)
            calls: dict[str, Callable[[], Any]] = {
                "path": partial(handmap.geodesic_path, mask, cells),
                "skfmm1": partial(_scikit_fmm, mask, cells, 1),
                "skfmm2": partial(_scikit_fmm, mask, cells, 2),
                "sweep1": partial(gmaps.geodesic_distance, mask, p),
                "sweep2": partial(gmaps.geodesic_distance, mask, p, order=2),
                "fmm1": partial(gmaps.geodesic_distance, mask, p, solver="fmm"),
                "fmm2": partial(gmaps.geodesic_distance, mask, p, solver="fmm", order=2),
                "edt": partial(gmaps.signed_edt, mask),
                "scipy": partial(handmap.signed_edt, mask),
                "cv2": partial(_opencv, mask),
            }
            for name, value in take_turns(calls, rounds=9 if size == 32 else 3).items():
                sums[name] = sums.get(name, 0.0) + value / (len(scenes) if size == 32 else 8)
        asked = size == 32
        against = {128: 1.5, 256: 2.0}.get(size)
        joints = len(crops[0].joints_mm)
        what = f"{size} x {size}, {joints} joints"
        rows += [
            Row(f"geodesic, sweep order 1, {what}", sums["sweep1"], sums["path"], "reference path",
                50 if asked else None, 100 if asked else None),
            Row(f"geodesic, sweep order 2, {what}", sums["sweep2"], sums["path"], "reference path"),
            Row(f"geodesic, fmm order 2 (bit-identical), {what}", sums["fmm2"], sums["path"], "reference path",
                3 if asked else None, 5 if asked else None),
            Row(f"geodesic, fmm order 1 (bit-identical), {what}", sums["fmm1"], sums["skfmm1"], "scikit-fmm order 1",
                against),
            Row(f"geodesic, fmm order 2 (bit-identical), {what}", sums["fmm2"], sums["skfmm2"], "scikit-fmm order 2",
                against),
            Row(f"signed EDT, {what}", sums["edt"], sums["scipy"], "SciPy, two transforms",
                4 if asked else None, 6 if asked else None),
            Row(f"signed EDT, {what}", sums["edt"], sums["cv2"], "OpenCV, two transforms"),
        ]  # fmt: skip
    rows += arbitrary()
    crop = crops[0]
    together = take_turns({name: partial(gmaps.encode, crop, (name,)) for name in DEFAULT_MAPS}, rounds=60)
    alone = sum(together.values())
    all_five = take_turns({"all": partial(gmaps.encode, crop, DEFAULT_MAPS)}, rounds=60)["all"]
    rows.append(Row("all five kinds of one frame, 32 x 32", all_five, alone, "the five one by one"))
    skeleton = get_skeleton("msra21")
    planes = tuple(n for n in gmaps.list_maps() if len(get_map(n).grid(32)) == 2 and get_map(n).views == 1)
    families = tuple(n for n in planes if not n.startswith("limb_"))
    spaces = tuple(n for n in gmaps.list_maps() if len(get_map(n).grid(32)) != 2)
    views = tuple(n for n in gmaps.list_maps() if get_map(n).views > 1)
    groups = {"2D kinds, one of each family": families, "2D kinds, every limb group too": planes,
              "three-view kinds": views, "voxel kinds, 64 in and 32 out": spaces}  # fmt: skip
    for what, kinds in groups.items():
        some = crops[:10]
        alone = whole = 0.0
        for c in some:
            calls = {n: partial(gmaps.encode, c, (n,), skeleton=skeleton) for n in kinds}
            alone += sum(take_turns(calls, rounds=10).values()) / len(some)
            whole += take_turns({"all": partial(gmaps.encode, c, kinds, skeleton=skeleton)}, rounds=20)["all"] / len(
                some
            )
        rows.append(Row(f"all {len(kinds)} {what}, one frame", whole, alone, "one by one"))
    print(table("Kernels, one core", rows))
    print(f"written to {write('kernels', rows)}")
    return rows


if __name__ == "__main__":
    run()
