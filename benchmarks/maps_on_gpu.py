"""Maps made on the GPU, in the training step: time a frame, against the CPU's encoder, and the share of a step.

`python -m benchmarks.maps_on_gpu` needs a GPU and the extra `cuda`; without it says so, and ends.
"""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gmaps
from benchmarks.timing import write
from gmaps.maps import Encoder, MapParams, get_map
from gmaps.maps.encoder_torch import TorchEncoder
from gmaps.store import Store
from gmaps.training import model_params
from gmaps.training.fit import train
from gmaps.training.loss import LossParams
from gmaps.training.params import TrainParams

BATCH, FRAMES = 1024, 4096
KIND = "geodesic_weighted"


def timed(call: Callable[[], Any], rounds: int = 20) -> float:
    """Median seconds of a call, its work on the GPU included."""
    call()
    found = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def maps(store: Store) -> list[dict[str, Any]]:
    """Microseconds a frame of each kind, on the GPU and on one core."""
    read = store.read(np.arange(BATCH), ["depth", "cube", "joints"])
    depth, cube, joints = (torch.from_numpy(read[k]).cuda() for k in ("depth", "cube", "joints"))
    projection = store.attributes["crop"]["projection"]
    rows = []
    for kind in (KIND, "geodesic", "geodesic_surface", "euclidean", "offset", "signed_edt", "heatmap"):
        params = MapParams((kind,))
        here, there = Encoder(params, store.skeleton), TorchEncoder(params, store.skeleton)
        silhouette = here.silhouettes(read["depth"], read["cube"])
        out = {kind: np.empty((BATCH, *get_map(kind).shape(32, store.skeleton)), np.float32)}
        gpu = timed(functools.partial(there.batch, depth, cube, joints, projection))
        arrays = read["depth"], read["cube"], read["joints"]
        cpu = timed(functools.partial(here.batch, *arrays, projection, silhouette, out), 5)
        made = there.batch(depth, cube, joints, projection)[kind].values.cpu().numpy()
        worst = float(np.abs(made - out[kind]).max())
        rows.append({"kind": kind, "gpu_us": gpu / BATCH * 1e6, "cpu_us": cpu / BATCH * 1e6, "differ": worst})
    return rows


def training(store: Store, folder: Path) -> dict[str, float]:
    """Samples/s of bf16 training with maps made on the GPU, and the share of time that they take."""
    speed = {}
    for name, weight in (("with", None), ("without", 0.0)):
        params = TrainParams(
            epochs=4, batch=128, workers=8, validation="0", maps_on="gpu", loss=LossParams(map_weight=weight)
        )
        ended = train(store, folder / name, model_params(KIND), params, progress=False, device="cuda")
        speed[name] = ended.step * params.batch / ended.seconds
    return {"samples_per_second": speed["with"], "share": 1 - speed["with"] / speed["without"]}


def run() -> list[dict[str, Any]]:
    """Measure and print."""
    if not torch.cuda.is_available():
        print("maps on the GPU: there is no GPU here, so nothing was measured")
        return []
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "hands.zarr"
        gmaps.build("synthetic", path, (KIND,), dataset_options={"frames": FRAMES, "people": 200, "seed": 1})
        store = gmaps.open_store(path)
        rows = maps(store)
        step = training(store, Path(temporary))
    print(f"\n## Maps on {torch.cuda.get_device_name()}: {BATCH} crops at a time, 32 x 32 cells, 21 joints\n")
    print("| kind | GPU, us a frame | one core, us a frame | largest difference |")
    print("|---|---|---|---|")
    for r in rows:
        print(f"| {r['kind']} | {r['gpu_us']:.2f} | {r['cpu_us']:.1f} | {r['differ']:.1g} |")
    print(f"\n{KIND} must take 3 us a frame, aim 0.5. Training: {step['samples_per_second']:.0f} samples/s, "
          f"{step['share']:.1%} of the time for maps (must 10 %, aim 2 %).")  # fmt: skip
    print(f"written to {write('maps_on_gpu', [*rows, step])}")
    return rows


if __name__ == "__main__":
    run()
