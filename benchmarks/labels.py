"""What frames without labels are worth: a network that learns from 5 % of the labels, and from all frames as well.

`python -m benchmarks.labels --minutes 10 --folder F` trains `crossmodal_vae` twice, alike but for
`--drop-unlabelled`, on a store of which one frame in twenty has labels; minutes are of the processor. The folder
keeps stores, runs and results, and the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import gmaps
from benchmarks.timing import write
from gmaps.inference.predictor import predict_store
from gmaps.nets.registry import NamedNetwork
from gmaps.store import Store
from gmaps.training.fit import train
from gmaps.training.loss import LossParams
from gmaps.training.params import TrainParams

NETWORK: dict[str, Any] = {
    "size": 32, "stem": (32,), "width": 48, "head": (96, 192), "hidden": 256, "up": (64, 32, 16, 8), "warmup": 20_000,
}  # fmt: skip
SHARE = 0.05


def stores(folder: Path, frames: int) -> tuple[Store, Store]:
    """What is learnt, and hands of other people with all their labels; cubes by depth alone."""
    for name, count, seed, share in (("few", frames, 1, SHARE), ("few-test", min(frames, 2000), 2, 1.0)):
        if not (folder / f"{name}.zarr").exists():
            options = {"frames": count, "people": max(count // 10, 10), "seed": seed, "labelled": share}
            gmaps.build("synthetic", folder / f"{name}.zarr", ("signed_edt",), center="com", crop_size=64,
                        dataset_options=options)  # fmt: skip
    return gmaps.open_store(folder / "few.zarr"), gmaps.open_store(folder / "few-test.zarr")


def train_one(folder: Path, learn: Store, test: Store, drop: bool, seed: int, minutes: float) -> dict[str, Any]:
    """One run and its error; read from the folder where it is done already."""
    out = folder / f"labels-{'alone' if drop else 'all'}-{seed}-{minutes:g}"
    kept = out / "labels.json"
    if kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text())
        return known
    params = TrainParams(
        minutes=minutes, clock="cpu", epochs=100_000, lr=2e-3, schedule="cosine", patience=0, validation="0",
        workers=0, seed=seed, drop_unlabelled=drop, loss=LossParams(weights={"depth:depth": 0.3}),
    )  # fmt: skip
    ended = train(learn, out, NamedNetwork("crossmodal_vae", NETWORK), params, device="cpu", progress=False)
    errors = predict_store(test, out / "last.pt", device="cpu").errors
    result = {"drop": drop, "seed": seed, "minutes": ended.seconds / 60, "steps": ended.step,
              "mm": float(np.nanmean(errors))}  # fmt: skip
    kept.write_text(json.dumps(result))
    return result


def run(
    minutes: float = 10.0, folder: str | None = None, seeds: tuple[int, ...] = (0,), frames: int = 20_000
) -> list[dict[str, Any]]:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        place.mkdir(parents=True, exist_ok=True)
        learn, test = stores(place, frames)
        runs = [train_one(place, learn, test, drop, seed, minutes) for seed in seeds for drop in (True, False)]
    known = int(np.isfinite(learn.column("joints")).all(axis=(1, 2)).sum())
    print(f"\n## {known:,} frames with labels of {frames:,}, {minutes:g} minutes of the processor each\n")
    print("| learns from | mm | of each seed | steps |\n|---|---|---|---|")
    for drop, name in ((True, "labels alone"), (False, "all frames")):
        own = [r for r in runs if r["drop"] == drop]
        each = ", ".join(f"{r['mm']:.2f}" for r in own)
        print(f"| {name} | {np.mean([r['mm'] for r in own]):.2f} | {each} | {own[0]['steps']:,} |")
    print(f"written to {write('labels', runs)}")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--folder", help="keeps stores, runs and results")
    options = parser.parse_args()
    run(options.minutes, options.folder, tuple(range(options.seeds)), options.frames)


if __name__ == "__main__":
    main()
