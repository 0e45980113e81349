"""Does structure help? `nsrm` against `cpm`, the same machine without limbs, on a small labelled set, by seeds.

`python -m benchmarks.structure --folder F` trains both alike, for as many epochs, on a few hundred synthetic hands,
and prints NSRM's PCK in the crop's plane on people never seen. The folder keeps stores, runs and results, and the
same command goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import gmaps
from benchmarks.timing import write
from gmaps.evaluation.metrics import pck_2d
from gmaps.inference.predictor import predict_store
from gmaps.nets.registry import NamedNetwork
from gmaps.store import Store
from gmaps.training.fit import train
from gmaps.training.params import TrainParams

NETWORK: dict[str, Any] = {"trunk": "handmap", "size": 64, "width": 16, "kernel": 3}
KINDS = ("heatmap", "limb_lpm_g1", "limb_lpm_g6")
SIGMAS = (0.04, 0.06, 0.08, 0.1, 0.12)


def stores(folder: Path, frames: int) -> tuple[Store, Store]:
    """Few hands to learn, and 1,000 of other people; cubes by depth alone."""
    for name, count, seed in ((f"structure-{frames}", frames, 1), ("structure-test", 1000, 2)):
        if not (folder / f"{name}.zarr").exists():
            options = {"frames": count, "people": max(count // 4, 10), "seed": seed}
            gmaps.build("synthetic", folder / f"{name}.zarr", KINDS, center="com", crop_size=64, map_size=16,
                        workers=0, dataset_options=options)  # fmt: skip
    return gmaps.open_store(folder / f"structure-{frames}.zarr"), gmaps.open_store(folder / "structure-test.zarr")


def train_one(folder: Path, learn: Store, test: Store, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """One run and its PCK; read from the folder where it is done already."""
    out = folder / f"{name}-{len(learn)}-{seed}-{epochs}"
    kept = out / "structure.json"
    if kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text())
        return known
    params = TrainParams(
        epochs=epochs, clock="cpu", batch=16, lr=3e-3, patience=0, validation="0", workers=0, seed=seed,
        schedule="cosine", precision="float32",
    )  # fmt: skip
    ended = train(learn, out, NamedNetwork(name, NETWORK), params, device="cpu", progress=False)
    found = predict_store(test, out / "last.pt", device="cpu").joints[..., :2]
    true = test.column("joints")[..., :2]
    rates = pck_2d(found, true, SIGMAS, size=np.ptp(true, axis=1).max(axis=1), definition="nsrm")
    result = {
        "name": name, "seed": seed, "steps": ended.step, "minutes": ended.seconds / 60, "pck": rates.tolist(),
        "mm": float(np.linalg.norm(found - true, axis=-1).mean()),
    }  # fmt: skip
    kept.write_text(json.dumps(result))
    return result


def run(
    frames: int = 400, epochs: int = 60, seeds: tuple[int, ...] = (0, 1, 2), folder: str | None = None
) -> list[dict[str, Any]]:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        place.mkdir(parents=True, exist_ok=True)
        learn, test = stores(place, frames)
        runs = [train_one(place, learn, test, name, seed, epochs) for seed in seeds for name in ("cpm", "nsrm")]
    print(f"\n## Structure: {frames:,} labelled hands, {epochs} epochs, {len(seeds)} seeds\n")
    print(f"| network | {' | '.join(f'PCK {s:g}' for s in SIGMAS)} | mean | of each seed | mm in the plane |")
    print("|---|" + "---|" * (len(SIGMAS) + 3))
    for name in ("cpm", "nsrm"):
        own = [r for r in runs if r["name"] == name]
        rates = 100 * np.array([r["pck"] for r in own])
        each = ", ".join(f"{v:.2f}" for v in rates.mean(axis=1))
        mm = statistics.mean(r["mm"] for r in own)
        shares = " | ".join(f"{v:.2f}" for v in rates.mean(axis=0))
        print(f"| {name} | {shares} | {rates.mean():.2f} | {each} | {mm:.2f} |")
    print(f"written to {write('structure', runs)}")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--folder", help="keeps stores, runs and results")
    options = parser.parse_args()
    run(options.frames, options.epochs, tuple(range(options.seeds)), options.folder)


if __name__ == "__main__":
    main()
