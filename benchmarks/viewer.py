"""The viewer: from the command to the first page, and to a sample, on a store of 76,000 frames (MSRA's number)."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

import gmaps
from benchmarks.timing import human, write
from gmaps.store.schema import MapArray, make_layout
from gmaps.store.writer import ShardWriter, finish_store
from gmaps.viewer.packet import unpack

DISTINCT, SHARD, SHARDS = 128, 1024, 75
ROWS = SHARD * SHARDS
#: As many tiles as a window of 1280 x 900 shows.
TILES = 40
STARTS, SAMPLES = 7, 200


def make_store(folder: Path) -> Path:
    """76,800 rows: one shard of synthetic hands, and 74 further names of its files."""
    gmaps.build("synthetic", folder / "few.zarr", ("geodesic",), limit=DISTINCT, workers=0, progress=False)
    few, path = gmaps.open_store(folder / "few.zarr"), folder / "many.zarr"
    values = few.read(range(DISTINCT))
    kind = MapArray("geodesic", few.shape("maps/geodesic"), True, (0.0, 1.0), smooth=True)
    layout = make_layout(len(few.skeleton), few.shape("depth")[0], [kind], "float16", "packed")
    with ShardWriter(path, layout, 0, SHARD) as writer:
        for k in range(SHARD):
            writer.append({name: v[k % DISTINCT] for name, v in values.items()})
        first = writer.close()
    records = list(first)
    for array, record in zip([a for a in layout if (path / a.path(0)).exists()], first, strict=True):
        for shard in range(1, SHARDS):
            os.link(path / array.path(0), path / array.path(shard))
            records.append(record._replace(path=array.path(shard)))
    finish_store(path, layout, ROWS, SHARD, few.attributes, [], records)
    return path


def _get(address: str, what: str) -> tuple[float, bytes]:
    began = time.perf_counter()
    with urllib.request.urlopen(address + what) as reply:
        content = reply.read()
    return time.perf_counter() - began, content


def start(store: Path) -> dict[str, float]:
    """Seconds from the command to its address, its page, the store's facts, and the first tiles; once."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "gmaps.cli", "view", str(store), "--no-open"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    found = {"address": time.perf_counter() - began}
    for name, what in (("page", ""), ("script", "main.js"), ("facts", "api/about"),
                       ("tiles", f"api/tiles?from=0&count={TILES}&pixels=128")):  # fmt: skip
        _get(address, what)
        found[name] = time.perf_counter() - began
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    if process.returncode:
        raise RuntimeError(f"gmaps view ended with {process.returncode}")
    return found


def samples(store: Path) -> dict[str, list[float]]:
    """Seconds of questions at random rows, over HTTP."""
    from gmaps.viewer.open_site import open_store_site
    from gmaps.viewer.server import ViewServer

    server = ViewServer()
    server.show(open_store_site(str(store), "many"))
    rows = np.random.default_rng(0).integers(0, ROWS, SAMPLES).tolist()
    asked = {
        "sample": "api/sample?row={row}", "map": "api/map?row={row}&kind=geodesic&channel=4",
        "geodesic": "api/geodesic?row={row}&r=64&c=64", "tiles": f"api/tiles?from={{row}}&count={TILES}&pixels=128",
    }  # fmt: skip
    try:
        for name in asked:
            _get(server.address, asked[name].format(row=0))  # which loads the kernels
        times = {
            name: [_get(server.address, what.format(row=row))[0] for row in rows] for name, what in asked.items()
        }
        assert unpack(_get(server.address, asked["sample"].format(row=rows[0]))[1]).values["row"] == rows[0]
        return times
    finally:
        server.stop()


def run() -> list[dict[str, Any]]:
    """Measure and print."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        store = make_store(Path(scratch))
        start(store)  # which compiles what no cache holds
        starts = [start(store) for _ in range(STARTS)]
        times = samples(store)
    print(f"\n## The viewer, {ROWS:,} frames\n\n| from the command to | median | slowest | must |\n|---|---|---|---|")
    labels = {"address": "its address", "page": "the page", "script": "its script", "facts": "the store's facts",
              "tiles": f"the first {TILES} samples"}  # fmt: skip
    for name, label in labels.items():
        values = [s[name] for s in starts]
        found.append({"what": label, "median": statistics.median(values), "slowest": max(values)})
        must = "1 s" if name == "page" else ""
        print(f"| {label} | {human(statistics.median(values))} | {human(max(values))} | {must} |")
    print("\n| then, at random rows | median | 99th percentile | must |\n|---|---|---|---|")
    labels = {"sample": "a sample", "map": "one channel of a stored map", "geodesic": "a geodesic from a point",
              "tiles": f"{TILES} samples of the grid"}  # fmt: skip
    for name, label in labels.items():
        median, late = np.percentile(times[name], [50, 99])
        found.append({"what": label, "median": median, "p99": late})
        print(f"| {label} | {human(median)} | {human(late)} | {'50 ms' if name == 'sample' else ''} |")
    print(f"\nwritten to {write('viewer', found)}")
    return found
