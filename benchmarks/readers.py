"""Other programs that read sharded Zarr, on a plain store: zarr-python, and zarrs and tensorstore where installed.

`pip install tensorstore zarrs`, then `python -m benchmarks readers`: a shuffled batch of depth and geodesic as
stored, from this disk and from an S3 server, which is moto's, on this machine.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import FsspecStore

import gmaps
from benchmarks.storage import BATCH, FRAMES, s3_server, upload
from benchmarks.timing import Row, table, take_turns, write

NAMES = ("depth", "maps/geodesic")
Read = Callable[[Any], list[Any]]


def _zarr(url: str, remote: bool, pipeline: str | None) -> Read:
    config = {} if pipeline is None else {"codec_pipeline.path": pipeline}
    with zarr.config.set(config):  # an array keeps the pipeline that it was opened with
        group = zarr.open_group(FsspecStore.from_url(url, read_only=True) if remote else url, mode="r")
        arrays = [group[name] for name in NAMES]
    return lambda rows: [a.oindex[rows] for a in arrays]  # type: ignore[union-attr]


def _tensorstore(url: str, remote: bool) -> Read:
    tensorstore = importlib.import_module("tensorstore")

    def place(name: str) -> dict[str, Any]:
        if not remote:
            return {"driver": "file", "path": f"{url}/{name}/"}
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        return {
            "driver": "s3", "bucket": bucket, "path": f"{prefix}/{name}/", "aws_region": "us-east-1",
            "endpoint": os.environ["AWS_ENDPOINT_URL"],
        }  # fmt: skip

    arrays = [tensorstore.open({"driver": "zarr3", "kvstore": place(name)}).result() for name in NAMES]
    return lambda rows: [future.result() for future in [a.oindex[rows].read() for a in arrays]]


def peers(url: str, remote: bool) -> dict[str, Read]:
    """Name -> a function that reads rows of both arrays."""
    found = {"zarr-python": _zarr(url, remote, None)}
    if importlib.util.find_spec("zarrs") and not remote:
        found["zarrs"] = _zarr(url, remote, "zarrs.ZarrsCodecPipeline")
    if importlib.util.find_spec("tensorstore"):
        found["tensorstore"] = _tensorstore(url, remote)
    return found


def _rows(what: str, path: str, remote: bool, rounds: int) -> list[Row]:
    rng = np.random.default_rng(0)
    store = gmaps.open_store(path)
    others = peers(path, remote)
    rows = np.sort(rng.choice(FRAMES, BATCH, replace=False))
    ours = store.read(rows, NAMES, decode=False)
    for name, read in others.items():
        for array, values in zip(NAMES, read(rows), strict=True):
            np.testing.assert_array_equal(values, ours[array], err_msg=name)

    def shuffled(read: Callable[[Any], Any]) -> Any:
        return read(np.sort(rng.choice(FRAMES, BATCH, replace=False)))

    calls = {"ours": partial(shuffled, lambda rows: store.read(rows, NAMES, decode=False))}
    calls |= {name: partial(shuffled, read) for name, read in others.items()}
    seconds = take_turns(calls, rounds=rounds)
    return [Row(f"shuffled batch of {BATCH}, {what}", seconds["ours"], seconds[name], name) for name in others]


def run() -> None:
    """Prints the table and keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.zarr"
        gmaps.build(
            "synthetic", path, ("geodesic",), limit=FRAMES, layout="plain", progress=False, max_rejects="100%"
        )
        rows = _rows("this disk", str(path), False, 9)
        with s3_server() as bucket:
            upload(path, f"{bucket}/x.zarr")
            rows += _rows("S3", f"{bucket}/x.zarr", True, 5)
    print(table("Readers of a plain store", rows))
    write("readers", rows)


if __name__ == "__main__":
    run()
