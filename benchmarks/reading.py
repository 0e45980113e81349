"""Reading: one sample, shuffled batches, a PyTorch loader, and the bytes that a map takes, against peers."""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch.utils.data import DataLoader

import gmaps
from benchmarks.timing import Row, table, take_turns, write
from gmaps.store.schema import LAYOUTS, MapArray, make_layout
from gmaps.store.writer import ShardWriter, finish_store
from gmaps.training import GuidanceDataset, UniformShuffle, collate

#: Frames that are rendered; rows of a store are these in random order.
DISTINCT = 500
ROWS = 4096
BATCH = 128
#: That a loader goes through without a stop.
EPOCHS = 4
#: Samples that are read one by one in a turn.
SAMPLES = 50
SHARD = 1024
MAP = "maps/geodesic"


def _source(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Float32 values of all rows, and a store's attributes."""
    gmaps.build(
        "synthetic", folder / "s.zarr", ("geodesic",), limit=DISTINCT, workers=0, dtype="float32", progress=False
    )
    store = gmaps.open_store(folder / "s.zarr")
    values = store.read(range(DISTINCT))
    order = np.random.default_rng(1).integers(0, DISTINCT, ROWS)
    return {name: v[order] for name, v in values.items()}, store.attributes


def _store(path: Path, values: dict[str, NDArray[Any]], attributes: dict[str, Any], dtype: str, layout: str) -> Path:
    kind = MapArray("geodesic", values[MAP].shape[1:], True, (0.0, 1.0), smooth=True)
    arrays = make_layout(values["joints"].shape[1], values["depth"].shape[1], [kind], dtype, layout)
    records = []
    for k in range(ROWS // SHARD):
        with ShardWriter(path, arrays, k, SHARD) as writer:
            for i in range(k * SHARD, (k + 1) * SHARD):
                writer.append({name: v[i] for name, v in values.items()})
            records += writer.close()
    attributes = {**attributes, "maps": {**attributes["maps"], "dtype": dtype, "layout": layout}}
    finish_store(path, arrays, ROWS, SHARD, attributes, [], records)
    return path


def _raw(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    np.ascontiguousarray(values).tofile(path)
    return np.memmap(path, values.dtype, "r", shape=values.shape)


def _processor_seconds() -> float:
    """Of this process and of its workers that have ended."""
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime


def _loader(data: GuidanceDataset, workers: int = 2, rounds: int = 3) -> tuple[float, float]:
    """Samples a second, without the start of the workers, and of two cores by the processor time that all took.

    The second is what the first would be where nobody else uses the machine. Medians of some epochs.
    """
    found, free = [], []
    data[0]  # so that workers need not load the kernels
    shuffle = UniformShuffle(data)
    for first in range(0, rounds * EPOCHS, EPOCHS):
        # Several epochs in one, so that the start of the workers counts for little.
        order = np.concatenate([shuffle.order(first + k) for k in range(EPOCHS)]).tolist()
        loader = DataLoader(data, BATCH, sampler=order, num_workers=workers, collate_fn=collate)
        used = _processor_seconds()
        batches = iter(loader)
        next(batches)
        started, samples = time.perf_counter(), 0
        for batch in batches:
            samples += len(batch["index"])
        found.append(samples / (time.perf_counter() - started))
        del batches, batch  # which ends the workers
        free.append(2 * len(order) / (_processor_seconds() - used))
    return statistics.median(found), statistics.median(free)


def _one(h5: h5py.Dataset, plain: Path, packed: Path, rng: np.random.Generator) -> list[Row]:
    """One sample, one map, at random, from files that the system holds already."""
    store, theirs = gmaps.open_store(packed), zarr.open_array(plain / MAP, mode="r")
    at = iter(rng.integers(0, ROWS, 10**6).tolist())

    def several(read: Callable[[int], Any]) -> Callable[[], None]:
        # So many that the caches which the peer before has emptied do not count.
        def call() -> None:
            for _ in range(SAMPLES):
                read(next(at))

        return call

    calls = {
        "ours": several(lambda i: store.read([i], [MAP])),
        "h5py LZF": several(lambda i: h5[i]),
        "zarr-python": several(lambda i: theirs[i]),
    }
    t = {name: seconds / SAMPLES for name, seconds in take_turns(calls, clock=time.process_time).items()}
    return [
        Row("one sample of geodesic", t["ours"], t["h5py LZF"], "h5py LZF", 5, 8),
        Row("one sample of geodesic", t["ours"], t["zarr-python"], "zarr-python", 30, 60),
    ]


def _batches(folder: Path, values: dict[str, NDArray[Any]], stores: dict[str, Path]) -> list[Row]:
    """Shuffled batches of depth and geodesic, as stored and as float32, against raw files."""
    rows, rng = [], np.random.default_rng(3)
    depth = _raw(folder / "depth.raw", values["depth"].astype(np.float16))
    for dtype in ("uint8", "float16"):
        kept = np.rint(values[MAP] * 255).astype(np.uint8) if dtype == "uint8" else values[MAP].astype(np.float16)
        maps, store = _raw(folder / f"{dtype}.raw", kept), gmaps.open_store(stores[dtype])

        def pick() -> NDArray[np.int64]:
            return rng.integers(0, ROWS, BATCH)

        def read(decode: bool, store: gmaps.Store = store) -> None:
            store.read(pick(), ["depth", MAP], decode=decode)

        def gather(decode: bool, maps: NDArray[Any] = maps) -> None:
            chosen = pick()
            for raw in (depth, maps):
                picked = raw[chosen]
                if decode:
                    values = picked.astype(np.float32)
                    if raw.dtype == np.uint8:
                        values *= np.float32(1 / 255)

        for decode, what in ((False, "as stored"), (True, "as float32")):
            calls: dict[str, Callable[[], None]] = {"ours": partial(read, decode), "memmap": partial(gather, decode)}
            t = take_turns(calls, 40, time.process_time)
            rows.append(Row(f"batch of {BATCH}, {dtype}, {what}", t["ours"], t["memmap"], "raw memmap", 1 / 4, 1 / 2))
    return rows


def run() -> list[dict[str, Any]]:
    """Measure and print."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        values, attributes = _source(folder)
        stores = {
            (dtype, layout): _store(folder / f"{dtype}-{layout}.zarr", values, attributes, dtype, layout)
            for dtype in ("float16", "uint8")
            for layout in LAYOUTS
        }
        packed = {dtype: stores[dtype, "packed"] for dtype in ("float16", "uint8")}
        with h5py.File(folder / "lzf.h5", "w") as file:
            h5 = file.create_dataset(
                "geodesic", data=values[MAP], chunks=(1, *values[MAP].shape[1:]), compression="lzf"
            )
            file.flush()
            rows = _one(h5, stores["float16", "plain"], packed["float16"], np.random.default_rng(2))
            lzf = h5.id.get_storage_size() / ROWS
        rows += _batches(folder, values, packed)
        loaders = {
            "stored": _loader(GuidanceDataset(packed["float16"], ("geodesic",))),
            "on the fly": _loader(GuidanceDataset(packed["float16"], ("geodesic",), on_the_fly=True)),
        }
        index = 16 * SHARD + 4
        sizes = {
            key: (gmaps.open_store(path).spec.arrays[MAP].stored_bytes - index * (ROWS // SHARD)) / ROWS
            for key, path in stores.items()
        }
    print()
    print(table("Reading: medians of processor time; a ratio of 0.5 is twice the raw file's time", rows))
    print("| loader, 2 workers, batches of 128 | samples/s | of two free cores | must | aim |\n|---|---|---|---|---|")
    for (name, (speed, free)), (must, aim) in zip(loaders.items(), ((8000, 15000), (5000, 10000)), strict=True):
        print(f"| depth and geodesic, {name} | {speed:,.0f} | {free:,.0f} | {must:,} | {aim:,} |")
    print("\n| bytes a sample of geodesic | bytes | of LZF float32 | must | aim |\n|---|---|---|---|---|")
    print(f"| HDF5, LZF, float32 | {lzf:,.0f} | 1 | | |")
    for (dtype, layout), size in sizes.items():
        asked = ("1/3 | 1/4" if dtype == "float16" else "1/5 | 1/8") if layout == "packed" else " | "
        print(f"| {dtype}, {layout} | {size:,.0f} | 1/{lzf / size:.1f} | {asked} |")
    found: list[dict[str, Any]] = [json.loads(json.dumps({**vars(r), "ratio": r.ratio})) for r in rows]
    found += [{"what": f"loader, {n}", "samples_per_second": s, "two_free_cores": f} for n, (s, f) in loaders.items()]
    found += [{"what": f"bytes, {d}, {layout}", "bytes": s, "lzf": lzf} for (d, layout), s in sizes.items()]
    print(f"\nwritten to {write('reading', found)}")
    return found


if __name__ == "__main__":
    run()
