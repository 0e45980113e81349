"""The networks of gmaps, each trained alike: the error on people never seen after so many minutes, with seeds.

`python -m benchmarks.relatives dense geodesic_weighted --minutes 60 --folder F` trains each on synthetic hands
whose cubes are found from depth alone, one after the other, and prints a table and the time of a forward pass of one
crop on one core; `--forward` prints these times alone. Minutes are of the processor, reading included,
so that they mean the same on a machine that others use: 60 are half an hour of two cores. The folder keeps stores,
runs and results, and the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gmaps
from benchmarks.timing import human, write
from gmaps.inference.predictor import Predictor, predict_store
from gmaps.nets import build_network
from gmaps.nets.inputs import entries, map_kinds
from gmaps.nets.network import count_parameters
from gmaps.nets.registry import NamedNetwork
from gmaps.skeleton import Skeleton
from gmaps.store import Store
from gmaps.training.collate import collate
from gmaps.training.dataset import GuidanceDataset
from gmaps.training.device import find_device
from gmaps.training.fit import train
from gmaps.training.log import read_log
from gmaps.training.loss import LossParams
from gmaps.training.params import TrainParams

#: HandMap of `benchmarks.training`: what the others are held against.
_HANDMAP: dict[str, Any] = {
    "size": 64, "stem": (32, 48), "width": 96, "head": (128, 256), "hidden": 512, "dropout": 0.0,
}  # fmt: skip


_HPS: dict[str, Any] = {"size": 64, "stem": (32, 48), "width": 96, "head": (128, 256), "hidden": 512, "dropout": 0.0}


@dataclass(frozen=True)
class Entry:
    """A network as it is trained here.

    Parameters
    ----------
    network
        Its name in `gmaps.nets.list_networks()`.
    params
        Of the network.
    training
        Changes to `TRAINING`.
    must, aim
        mm of the joints after 30 minutes on two cores, 60 of the processor.
    mesh_must, mesh_aim
        mm of the mesh, of a network that gives one.
    """

    network: str
    params: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    must: float | None = None
    aim: float | None = None
    mesh_must: float | None = None
    mesh_aim: float | None = None


ENTRIES = {
    "geodesic_weighted": Entry("geodesic_weighted", _HANDMAP, {"loss": LossParams(map_weight=4.0)}, 8.2),
    "dense": Entry("dense", {}, {}, 8.2, 6.5),
    "dense_free": Entry("dense", {}, {"loss": LossParams(map_weight=0.0)}),
    "dense_closeness": Entry("dense", {"weights": "closeness"}),
    "dense_half": Entry("dense", {"size": 64, "cells": 32}),
    "deephps": Entry("deephps", _HPS, {}, 12.0, 8.5, 13.0, 9.0),
    "crossmodal_vae": Entry("crossmodal_vae", {"warmup": 20_000}, {"lr": 2e-3}, 20.0, 12.0),
}
TRAINING: dict[str, Any] = {
    "epochs": 1000, "batch": 64, "lr": 4e-3, "schedule": "cosine", "patience": 0, "validation": "subjects:0.02",
    "workers": 0, "clock": "cpu",
}  # fmt: skip
FRAMES, PEOPLE, TEST = 90_000, 3_000, 5_000


def stores(folder: Path, frames: int, skeleton: Skeleton) -> tuple[Store, Store]:
    """What is trained on and what is tested on, of other people in other poses; no ground truth decides the crops."""
    nets = [build_network(e.network, skeleton, **e.params) for e in ENTRIES.values()]
    kinds = tuple(dict.fromkeys(kind for net in nets for kind in map_kinds(net.targets)))
    for name, count, people, seed in (
        ("train", frames, min(PEOPLE, max(frames // 10, 10)), 1), ("test", min(TEST, frames), 500, 2)
    ):  # fmt: skip
        if not (folder / f"{name}.zarr").exists():
            options = {"frames": count, "people": people, "seed": seed, "arrays": "pose,mesh"}
            wanted = kinds if name == "train" else kinds[:1]
            gmaps.build("synthetic", folder / f"{name}.zarr", wanted, center="com", dataset_options=options)
    return gmaps.open_store(folder / "train.zarr"), gmaps.open_store(folder / "test.zarr")


def forward_seconds(entry: Entry, skeleton: Skeleton, rounds: int = 30) -> float:
    """The least time of a forward pass of one crop, on one core."""
    net = find_device("cpu", "float32").place(build_network(entry.network, skeleton, **entry.params)).eval()
    batch = {"depth": torch.rand(1, 1, 128, 128), "cube": torch.tensor([[0.0, 0.0, 500.0, 120.0]])}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = []
    with torch.inference_mode():
        for _ in range(rounds):
            start = time.perf_counter()
            net(*(batch[name] for name in net.inputs))
            found.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return min(found)


def print_forward() -> None:
    """The time of a forward pass of one crop on one core, of each network and of the pose machines."""
    skeleton = gmaps.load_dataset("synthetic").skeleton
    small = {"trunk": "handmap", "size": 128, "width": 32}
    machines = {name: Entry(name, small) for name in ("cpm", "nsrm")}
    print("| network | parameters | one crop, one core |")
    print("|---|---|---|")
    for name, entry in (ENTRIES | machines).items():
        count = count_parameters(build_network(entry.network, skeleton, **entry.params))
        print(f"| {name} | {count:,} | {human(forward_seconds(entry, skeleton))} |", flush=True)


def mesh_error_mm(test: Store, checkpoint: Path) -> float | None:
    """Mean distance of a vertex from the true one, mm; None of a network that gives no mesh."""
    net = Predictor(checkpoint, device="cpu").net
    if net.triangles is None:
        return None
    data, found = GuidanceDataset(test, (), arrays=("vertices",)), []
    with torch.inference_mode():
        for k in range(0, len(data), 100):
            batch = collate(data.read_batch(slice(k, min(k + 100, len(data)))))
            made = net.mesh(net(*entries(batch, net.inputs)))
            found.append((made - batch["vertices"]).norm(dim=-1).mean(dim=1))
    return float(torch.cat(found).mean())


def train_one(folder: Path, learn: Store, test: Store, name: str, seed: int, minutes: float) -> dict[str, Any]:
    """One run and its error; read from the folder where it is done already."""
    entry, out = ENTRIES[name], folder / f"{name}-{seed}-{minutes:g}"
    kept = out / "result.json"
    if kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text())
        if "mesh_mm" not in known:  # of before meshes were measured
            known["mesh_mm"] = mesh_error_mm(test, out / "last.pt")
            kept.write_text(json.dumps(known))
        return known
    params = TrainParams(minutes=minutes, seed=seed, **(TRAINING | entry.training))
    ended = train(learn, out, NamedNetwork(entry.network, entry.params), params, device="cpu", progress=False)
    errors = predict_store(test, out / "last.pt", device="cpu").errors
    rows = read_log(out / "log.csv")
    result = {
        "name": name, "seed": seed, "minutes": ended.seconds / 60, "mm": float(np.nanmean(errors)),
        "median_mm": float(np.nanmedian(errors)), "mesh_mm": mesh_error_mm(test, out / "last.pt"),
        "steps": ended.step, "threads": torch.get_num_threads(),
        "samples_per_second": ended.step * params.batch / ended.seconds,
        "curve": [(float(r["seconds"]) / 60, float(r["mm"])) for r in rows if r["mm"]],
        "validation": [(float(r["seconds"]) / 60, float(r["validation_mm"])) for r in rows if r["validation_mm"]],
    }  # fmt: skip
    kept.write_text(json.dumps(result))
    return result


def run(
    names: tuple[str, ...] = ("geodesic_weighted", "dense"), minutes: float = 30.0, folder: str | None = None,
    seeds: tuple[int, ...] = (0,), frames: int = FRAMES,
) -> list[dict[str, Any]]:  # fmt: skip
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        place.mkdir(parents=True, exist_ok=True)
        skeleton = gmaps.load_dataset("synthetic").skeleton
        learn, test = stores(place, frames, skeleton)
        runs = [train_one(place, learn, test, name, seed, minutes) for seed in seeds for name in names]
    print(
        f"\n## Networks, {minutes:g} minutes each: {frames:,} synthetic frames, CPU, {runs[0]['threads']} threads\n"
    )
    print("A second number, behind a stroke, is of the mesh's vertices.\n")
    print("| network | mm | of each seed | samples/s | parameters | one crop, one core | must | aim |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        entry, own = ENTRIES[name], [r for r in runs if r["name"] == name]
        each = ", ".join(_both(r["mm"], r["mesh_mm"], ".2f") for r in own)
        meshes = [r["mesh_mm"] for r in own if r["mesh_mm"] is not None]
        mean = _both(statistics.mean(r["mm"] for r in own), statistics.mean(meshes) if meshes else None, ".2f")
        speed = statistics.mean(r["samples_per_second"] for r in own)
        count = count_parameters(build_network(entry.network, skeleton, **entry.params))
        must, aim = _both(entry.must, entry.mesh_must), _both(entry.aim, entry.mesh_aim)
        print(f"| {name} | {mean} | {each} | {speed:.0f} | {count:,} "
              f"| {human(forward_seconds(entry, skeleton))} | {must} | {aim} |")  # fmt: skip
    print(f"written to {write('relatives', runs)}")
    return runs


def _both(joints: float | None, mesh: float | None, how: str = "") -> str:
    """Of joints and, where there is one, of a mesh: "12.0 / 13.0"."""
    return " / ".join(format(value, how) for value in (joints, mesh) if value is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=["geodesic_weighted", "dense"], metavar="NETWORK")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0")
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument(
        "--forward", action="store_true", help="print the time of a forward pass of each, and no more"
    )
    parser.add_argument("--folder", help="keeps stores, runs and results")
    options = parser.parse_args()
    for name in options.networks:
        if name not in ENTRIES:
            parser.error(f"there is no network {name!r} here; known: {', '.join(ENTRIES)}")
    if options.forward:
        print_forward()
        return
    run(tuple(options.networks), options.minutes, options.folder, tuple(range(options.seeds)), options.frames)


if __name__ == "__main__":
    main()
