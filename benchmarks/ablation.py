"""What guidance buys: the same network and budget, three seeds, with the map loss off and with each kind of map.

`python -m benchmarks.ablation --size cpu --folder ablation` trains 21 networks on synthetic hands, two at a time on a
thread each, and keeps every finished one, and every unfinished one's checkpoint, in the folder: the same command
goes on. `--size gpu` trains larger ones for longer, one at a time; `--size quick` ends in minutes and proves nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tqdm import tqdm

import gmaps
from benchmarks.timing import write
from gmaps.maps import get_map

#: Variant -> kinds of map; the first is the control, whose network is that of geodesic_weighted.
VARIANTS = ("unguided", "heatmap", "euclidean", "offset", "geodesic", "geodesic_weighted", "geodesic_surface")
KINDS = VARIANTS[1:]
#: Of each kind's map loss: the kind's own, at which its gradient is about as large as the pose's in the second half
#: of a run. At 30 for all, those of `geodesic` and `offset` were 7 and 14 times as large, and that of a heat map,
#: which is 0 almost everywhere, a sixtieth; and no kind was better than the control.
WEIGHT = {"unguided": 0.0} | {kind: get_map(kind).weight for kind in KINDS}


@dataclass(frozen=True)
class Size:
    """A budget: all runs of a size are given the same steps on the same frames.

    Parameters
    ----------
    frames, people
        To train on; a tenth of the people is left for the curves.
    test
        Frames of another seed, whose people nobody has seen, for the result.
    epochs, batch, lr
        Of AdamW with the cosine schedule.
    network
        Changes to the parameters of every variant.
    seeds
        Of weights and order.
    jobs
        Runs at a time, a thread each; 0 for one on the GPU.
    """

    frames: int
    people: int
    test: int
    epochs: int
    batch: int
    lr: float
    network: dict[str, Any]
    seeds: tuple[int, ...] = (0, 1, 2)
    jobs: int = 2


_CPU = {"size": 64, "stem": (32, 48), "width": 96, "head": (128, 256), "hidden": 512, "dropout": 0.0}
SIZES = {
    "quick": Size(120, 30, 30, 1, 16, 2e-3, _CPU | {"width": 8, "stem": (8, 8), "head": (8,)}, (0, 1)),
    "cpu": Size(72_000, 3_000, 2_000, 1, 32, 4e-3, _CPU),
    "gpu": Size(50_000, 5_000, 10_000, 40, 128, 4e-3, {"width": 128, "dropout": 0.0}, jobs=0),
}


def stores(folder: Path, size: Size) -> tuple[Path, Path]:
    """What is trained on and what is tested on, built when missing; no ground truth decides the crops."""
    found = folder / "train.zarr", folder / "test.zarr"
    counts = ((size.frames, size.people, 1, KINDS), (size.test, max(size.test // 10, 10), 2, KINDS[:1]))
    for path, (frames, people, seed, maps) in zip(found, counts, strict=True):
        if not path.exists():
            options = {"frames": frames, "people": people, "seed": seed}
            gmaps.build("synthetic", path, maps, center="com", dataset_options=options)
    return found


def train_one(folder: Path, name: str, variant: str, seed: int) -> None:
    """One run; leaves VARIANT-SEED.json."""
    import torch

    from gmaps.inference.predictor import predict_store
    from gmaps.training import model_params
    from gmaps.training.fit import train
    from gmaps.training.log import read_log
    from gmaps.training.loss import LossParams
    from gmaps.training.params import TrainParams

    size = SIZES[name]
    if size.jobs:
        torch.set_num_threads(1)
    learn, test = (gmaps.open_store(path) for path in stores(folder, size))
    weight = WEIGHT[variant]
    params = TrainParams(
        epochs=size.epochs, batch=size.batch, lr=size.lr, schedule="cosine", patience=0, seed=seed,
        validation="subjects:0.1", workers=0 if size.jobs else 8, loss=LossParams(map_weight=weight),
    )  # fmt: skip
    out = folder / f"{variant}-{seed}"
    device = "cpu" if size.jobs else "auto"
    ended = train(learn, out, model_params(variant, **size.network), params, progress=False, device=device)
    error = float(np.nanmean(predict_store(test, out / "last.pt", device=device).errors))
    rows = read_log(out / "log.csv")
    # In a single epoch every frame is new when it is trained on.
    judged = "validation_mm" if size.epochs > 1 else "mm"
    curve = [(int(r["step"]), float(r[judged])) for r in rows if r[judged]]
    norms = np.array([[float(r["gradient_pose"]), float(r["gradient_maps"])] for r in rows if r["gradient_pose"]])
    half = norms[len(norms) // 2 :]
    values = {
        "variant": variant, "seed": seed, "mm": error, "curve": curve, "steps": ended.step, "seconds": ended.seconds,
        "map_weight": weight,
        "gradient_pose": float(np.median(half[:, 0])), "gradient_maps": float(np.median(half[:, 1])),
        "map_loss": float([r["maps"] for r in rows if r["maps"]][-1]), "size": asdict(size),
    }  # fmt: skip
    part = folder / f".{variant}-{seed}.json"
    part.write_text(json.dumps(values))
    part.replace(folder / f"{variant}-{seed}.json")


def _start(folder: Path, name: str, variant: str, seed: int) -> subprocess.Popen[bytes]:
    one = ["--one", variant, str(seed), "--size", name, "--folder", str(folder)]
    environment = os.environ | ({"OMP_NUM_THREADS": "1"} if SIZES[name].jobs else {})
    return subprocess.Popen([sys.executable, "-m", "benchmarks.ablation", *one], env=environment)


def train_all(folder: Path, name: str) -> list[dict[str, Any]]:
    """All runs that the folder lacks, then the results of all."""
    size = SIZES[name]
    folder.mkdir(parents=True, exist_ok=True)
    stores(folder, size)
    # Seed by seed, so that a run that is stopped early has compared what it has.
    todo = [(v, s) for s in size.seeds for v in VARIANTS]
    left = [(v, s) for v, s in todo if not (folder / f"{v}-{s}.json").exists()]
    running: list[subprocess.Popen[bytes]] = []
    try:
        with tqdm(total=len(todo), initial=len(todo) - len(left), unit="run") as bar:
            while left or running:
                while left and len(running) < max(size.jobs, 1):
                    running.append(_start(folder, name, *left.pop(0)))
                time.sleep(0.2)
                for process in [p for p in running if p.poll() is not None]:
                    if process.returncode:
                        raise SystemExit(f"a run failed; {folder} keeps the others, the same command goes on")
                    running.remove(process)
                    bar.update()
    finally:
        for process in running:
            process.terminate()
    found = [json.loads((folder / f"{v}-{s}.json").read_text()) for v, s in todo]
    if any(r["size"] != json.loads(json.dumps(asdict(size))) for r in found):
        raise SystemExit(f"{folder} holds runs of another budget: give another --folder")
    return found


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Error over steps, the mean of the seeds with their range; and beside it as a share of the control's."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    control = np.ones(1)
    for k, variant in enumerate(VARIANTS):
        curves = np.array([r["curve"] for r in runs if r["variant"] == variant])
        steps, mm = curves[0, :, 0], curves[..., 1]
        control = mm.mean(axis=0) if k == 0 else control
        look: dict[str, Any] = {"color": "black" if k == 0 else f"C{k}", "lw": 2.0 if k == 0 else 1.5}
        left.plot(steps, mm.mean(axis=0), label=variant, **look)
        left.fill_between(steps, mm.min(axis=0), mm.max(axis=0), color=look["color"], alpha=0.12, lw=0)
        # Over five points: the frames of a point are few.
        if len(steps) > 5:
            right.plot(steps[2:-2], np.convolve(mm.mean(axis=0) / control, np.full(5, 0.2), "valid"), **look)
    left.set_yscale("log")
    left.set_yticks([15, 20, 30, 40, 60], ["15", "20", "30", "40", "60"])
    left.minorticks_off()
    left.set_ylim(15, 70)
    left.set_ylabel("mean error of frames not trained on before, mm")
    right.set_ylim(0.9, 1.1)
    right.set_ylabel("the same, of the control's")
    left.legend()
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def summarise(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a variant."""
    rows = []
    control = statistics.mean(r["mm"] for r in runs if r["variant"] == "unguided")
    for variant in VARIANTS:
        mine = [r for r in runs if r["variant"] == variant]
        mm = [r["mm"] for r in mine]
        rows.append({
            "variant": variant, "mm": statistics.mean(mm), "spread": statistics.stdev(mm), "each": mm,
            "gain": 1 - statistics.mean(mm) / control, "map_loss": statistics.mean(r["map_loss"] for r in mine),
            "gradient_pose": statistics.mean(r["gradient_pose"] for r in mine),
            "gradient_maps": statistics.mean(r["gradient_maps"] for r in mine),
            "seconds": statistics.mean(r["seconds"] for r in mine), "curves": [r["curve"] for r in mine],
        })  # fmt: skip
    return rows


def run(name: str = "cpu", folder: str | None = None) -> list[dict[str, Any]]:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        runs = train_all(place, name)
        if folder is not None:
            draw(runs, place / "curves.png")
    size, rows = SIZES[name], summarise(runs)
    print(
        f"\n## Ablation ({name}): {size.frames:,} frames of {size.people:,} people, {runs[0]['steps']:,} steps of "
        f"{size.batch}, {len(size.seeds)} seeds, {size.test:,} frames of other people to test on\n"
    )
    print("| variant | mm | spread of the seeds | against the map loss off | gradients, pose : maps | a run |")
    print("|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['variant']} | {r['mm']:.2f} | {r['spread']:.2f} | {r['gain']:+.1%} "
            f"| {r['gradient_pose']:.2g} : {r['gradient_maps']:.2g} | {r['seconds'] / 60:.1f} min |"
        )
    best = max(rows[1:], key=lambda r: r["gain"])
    print(
        f"\nBest guided: {best['variant']}, {best['gain']:.1%} lower error than with the map loss off "
        "(must 5 %, aim 15 %)."
    )
    print(f"written to {write('ablation' if name == 'cpu' else f'ablation_{name}', rows)}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="cpu")
    parser.add_argument("--folder", help="keeps stores, checkpoints, results and curves.png")
    parser.add_argument("--one", nargs=2, metavar=("VARIANT", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        train_one(Path(options.folder), options.size, options.one[0], int(options.one[1]))
    else:
        run(options.size, options.folder)


if __name__ == "__main__":
    main()
