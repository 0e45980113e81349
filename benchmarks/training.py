"""A HandMap trained on synthetic hands on this machine's CPU: the error on people never seen, and time spent waiting.

`python -m benchmarks.training --minutes 30 --folder F` builds two stores, trains for half an hour, and tests. The
centre of every crop is found from nothing but depth. The folder keeps all, and the same command goes on.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import gmaps
from benchmarks.timing import write
from gmaps.inference.predictor import predict_store
from gmaps.nets.handmap import HandMap, count_parameters
from gmaps.training import model_params
from gmaps.training.device import best_precision
from gmaps.training.fit import train
from gmaps.training.log import read_log
from gmaps.training.loss import LossParams
from gmaps.training.params import TrainParams

MODEL = "geodesic_weighted"
#: Maps of 16 x 16 from crops of 64 x 64: a CPU sees four times as many hands in the same time as at 32 x 32.
NETWORK: dict[str, Any] = {
    "size": 64, "stem": (32, 48), "width": 96, "head": (128, 256), "hidden": 512, "dropout": 0.0,
}  # fmt: skip
PARAMS: dict[str, Any] = {
    "epochs": 1000, "batch": 64, "lr": 4e-3, "schedule": "cosine", "patience": 0, "validation": "subjects:0.02",
    "workers": 1, "loss": LossParams(map_weight=4.0),
}  # fmt: skip
FRAMES, PEOPLE, TEST = 90_000, 3_000, 5_000


def draw(log: Path, test_mm: float, path: Path) -> None:
    """Error over time: of what is trained on, of people left out for validation, and of the test at the end."""
    rows = read_log(log)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, label, style in (("mm", "frames trained on", "-"), ("validation_mm", "people left out", "o-")):
        points = [(float(r["seconds"]) / 60, float(r[name])) for r in rows if r[name]]
        axes.plot(*zip(*points, strict=True), style, label=label)
    axes.axhline(test_mm, color="black", ls="--", label=f"5,000 frames of other seeds, at the end: {test_mm:.1f} mm")
    axes.set_yscale("log")
    axes.set_yticks([8, 10, 15, 20, 30, 50], ["8", "10", "15", "20", "30", "50"])
    axes.minorticks_off()
    axes.set_ylim(7, 60)
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("mean error, mm")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)


def run(minutes: float = 30.0, folder: str | None = None, frames: int = FRAMES) -> list[dict[str, Any]]:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        place.mkdir(parents=True, exist_ok=True)
        # Of another seed neither people nor poses are known.
        sets = (("train", frames, min(PEOPLE, max(frames // 10, 10)), 1), ("test", min(TEST, frames), 500, 2))
        for name, count, people, seed in sets:
            if not (place / f"{name}.zarr").exists():
                options = {"frames": count, "people": people, "seed": seed}
                gmaps.build("synthetic", place / f"{name}.zarr", (MODEL,), center="com", dataset_options=options)
        learn, test = (gmaps.open_store(place / f"{name}.zarr") for name in ("train", "test"))
        network = model_params(MODEL, **NETWORK)
        ended = train(learn, place / "run", network, TrainParams(minutes=minutes, **PARAMS), device="cpu")
        found = predict_store(test, place / "run" / "last.pt", device="cpu")
        errors = found.errors[np.isfinite(found.errors)]
        draw(place / "run" / "log.csv", float(errors.mean()), place / "curve.png")
    waiting, speed = ended.waited / ended.seconds, ended.step * PARAMS["batch"] / ended.seconds
    rows = [{
        "minutes": ended.seconds / 60, "mm": float(errors.mean()), "median_mm": float(np.median(errors)),
        "waiting": waiting, "samples_per_second": speed, "steps": ended.step, "epochs": ended.epoch,
        "parameters": count_parameters(HandMap(network, learn.skeleton)), "test_frames": len(errors),
        "precision": best_precision(torch.device("cpu")), "threads": torch.get_num_threads(),
    }]  # fmt: skip
    r = rows[0]
    print(f"\n## Training {MODEL}: {frames:,} synthetic frames, CPU, {r['threads']} threads, {r['precision']}\n")
    print("| what | measured | must | aim |")
    print("|---|---|---|---|")
    print(f"| mean error after {r['minutes']:.0f} min, {r['test_frames']:,} frames of unseen seeds, no true centre "
          f"| {r['mm']:.2f} mm (median {r['median_mm']:.2f}) | 12 mm | 8 mm |")  # fmt: skip
    print(f"| share of a step spent waiting for data, 1 worker | {waiting:.2%} | 5 % | 1 % |")
    print(f"| samples/s, {r['parameters']:,} parameters | {speed:.0f} | | |")
    print(f"written to {write('training', rows)}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--folder", help="keeps stores, checkpoints and log")
    options = parser.parse_args()
    run(options.minutes, options.folder, options.frames)


if __name__ == "__main__":
    main()
