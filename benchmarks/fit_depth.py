"""The hand layer fitted to depth crops of unseen synthetic people: joints and mesh before and after, and the time.

`python -m benchmarks fit_depth`; `GMAPS_HANDS` says how many hands, by default 128.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import gmaps
from gmaps.frame import Crop
from gmaps.inference import load_pretrained
from gmaps.inference.depth_seen import OF_HAND
from gmaps.inference.fit_crops import fit_crops
from gmaps.inference.fit_depth import LABELS, NETWORK
from gmaps.synth.fit_many import fit_hands

#: Nobody's hands that the shipped network has learnt.
SEED, PEOPLE = 4711, 64
BATCH = 16


Truth = dict[str, NDArray[np.float32]]


def _row(name: str, joints: NDArray[np.floating], mesh: NDArray[np.floating] | None, truth: Truth) -> None:
    off = np.linalg.norm(joints - truth["joints"], axis=-1).mean(axis=1)
    said = f"{off.mean():6.2f} {np.median(off):7.2f} {np.percentile(off, 90):7.2f}"
    if mesh is not None:
        far = np.linalg.norm(mesh - truth["vertices"], axis=-1)[:, OF_HAND].mean(axis=1)
        said += f"   {far.mean():6.2f} {np.median(far):7.2f}"
    print(f"{name:<44} {said}")


def run() -> None:
    """Fit from a network's joints, and from true ones that were moved at random."""
    count = int(os.environ.get("GMAPS_HANDS", "128"))
    with tempfile.TemporaryDirectory() as folder:
        place, people = Path(folder) / "s.zarr", {"frames": count, "seed": SEED, "people": PEOPLE, "arrays": "mesh"}
        gmaps.build("synthetic", place, ("heatmap",), center="com", workers=0, progress=False, dataset_options=people)
        store = gmaps.open_store(place)
        rows = np.flatnonzero(store.column("valid"))
        truth = store.read(rows, ("joints", "vertices"))
        crops = [store[int(i)].crop for i in rows]
    predicted = load_pretrained().crops(crops)
    rng = np.random.default_rng(0)
    print(f"{len(crops)} hands of {PEOPLE} unseen people; mm{'':<15} joints: mean  median  90 %   mesh: mean  median")
    for name, joints, trust in (
        ("the network's", predicted, NETWORK),
        (
            "true ones, each 6 mm off on every axis",
            truth["joints"] + rng.normal(0, 6, truth["joints"].shape),
            NETWORK,
        ),
        ("true ones", truth["joints"], LABELS),
    ):
        _fit(name, crops, joints.astype(np.float64), trust, truth)


def _fit(name: str, crops: list[Crop], joints: NDArray[np.float64], trust: float, truth: Truth) -> None:
    begin = fit_hands(joints)
    _row(f"joints: {name}", joints, None, truth)
    _row("  the hand that holds these", begin.pose().joints, begin.vertices(), truth)
    began, used = time.perf_counter(), time.process_time()
    parts = [slice(k, k + BATCH) for k in range(0, len(crops), BATCH)]
    fits = [fit_crops(crops[p], joints[p], trust) for p in parts]
    used, began = time.process_time() - used, time.perf_counter() - began
    found, mesh = np.concatenate([f.joints for f in fits]), np.concatenate([f.vertices() for f in fits])
    _row(f"  fitted: {used / len(crops):.2f} s of a processor a hand", found, mesh, truth)


if __name__ == "__main__":
    run()
