"""What is done with finished stores: checksums, added kinds, export, and reading from an S3 server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from zarr.storage import FsspecStore

import gmaps
from benchmarks.timing import Row, table, take_turns, write
from gmaps.pipeline.edit import add_maps, remove_maps
from gmaps.store.checksums import verify_checksums
from gmaps.store.export import export_hdf5
from gmaps.store.file_records import read_checksums
from gmaps.store.object_store import Place

FRAMES = 2048
BATCH = 128
KINDS = ("geodesic", "heatmap")
_KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


def _seconds(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _checksums(path: Path) -> Row:
    """All checksums against a gigabyte a second, from the page cache."""
    size = sum(r.size for r in read_checksums(path))
    seconds = take_turns({"verify": lambda: verify_checksums(path)}, rounds=10)["verify"]
    return Row(f"checksums of {size / 1e6:.0f} MB in {FRAMES // 1024} shards", seconds, size / 1e9, "1 GB/s", must=1)


def _added(path: Path, folder: Path) -> Row:
    """A kind added, against the store built anew with it."""
    ours, peer = [], []
    for k in range(3):
        peer.append(_seconds(lambda k=k: _build(folder / f"anew{k}.zarr", (*KINDS, "euclidean"))))
        shutil.rmtree(folder / f"anew{k}.zarr")
        ours.append(_seconds(lambda: add_maps(path, ["euclidean"], workers=2, progress=False)))
        remove_maps(path, ["euclidean"])
    return Row("one kind more", float(np.median(ours)), float(np.median(peer)), "built anew")


def _exported(path: Path, folder: Path) -> Row:
    """HDF5 from a store, against h5py alone writing the same data sets from memory."""
    store = gmaps.open_store(path)
    values = store.read(range(len(store)), ["depth", *(f"maps/{kind}" for kind in KINDS)])

    def alone() -> None:
        with h5py.File(folder / "alone.h5", "w") as file:
            for name, v in values.items():
                file.create_dataset(name.rpartition("/")[2], data=v, chunks=(1, *v.shape[1:]), compression="lzf")

    def ours() -> None:
        export_hdf5(store, folder / "hdf5", overwrite=(folder / "hdf5").exists())

    seconds = take_turns({"ours": ours, "alone": alone}, rounds=3)
    return Row(f"export of {FRAMES} frames", seconds["ours"], seconds["alone"], "h5py alone, from memory")


@contextmanager
def s3_server() -> Iterator[str]:
    """moto's S3 server in a process of its own; gives a bucket's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ.update(_KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    try:
        import s3fs

        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        s3fs.S3FileSystem().mkdir("bench")
        yield "s3://bench"
    finally:
        server.terminate()
        server.wait()


def upload(path: Path, url: str) -> None:
    """A whole store to an address."""
    place = Place(url)
    for file in path.rglob("*"):
        if file.is_file():
            place.upload(file, file.relative_to(path).as_posix())


def _remote(path: Path) -> list[Row]:
    """A shuffled batch, and rows in the store's order, against zarr-python's own store over fsspec."""
    rng = np.random.default_rng(0)
    names = ("depth", "maps/geodesic")
    with s3_server() as bucket:
        url = f"{bucket}/x.zarr"
        upload(path, url)
        store = gmaps.open_store(url)
        group = zarr.open_group(FsspecStore.from_url(url, read_only=True), mode="r")

        def peer(rows: Any) -> None:
            for name in names:
                group[name].oindex[rows]  # type: ignore[union-attr]

        def shuffled() -> Any:
            return np.sort(rng.choice(FRAMES, BATCH, replace=False))

        rows = shuffled()
        here = gmaps.open_store(path).read(rows, names, decode=False)
        for name, values in store.read(rows, names, decode=False).items():
            np.testing.assert_array_equal(values, group[name].oindex[rows])  # type: ignore[union-attr]
            np.testing.assert_array_equal(values, here[name])
        seconds = take_turns(
            {
                "ours": lambda: store.read(shuffled(), names),
                "zarr": lambda: peer(shuffled()),
                "ours in order": lambda: store.read(range(512), names),
                "zarr in order": lambda: peer(slice(0, 512)),
            },
            rounds=5,
        )
        opened = take_turns(
            {
                "ours": lambda: gmaps.open_store(url),
                "zarr": lambda: zarr.open_group(FsspecStore.from_url(url, read_only=True), mode="r"),
            },
            rounds=5,
        )
    return [
        Row(f"shuffled batch of {BATCH}, depth and geodesic, S3", seconds["ours"], seconds["zarr"], "zarr-python"),
        Row("512 rows in order, S3", seconds["ours in order"], seconds["zarr in order"], "zarr-python"),
        Row("open, S3", opened["ours"], opened["zarr"], "zarr-python"),
    ]


def _build(path: Path, maps: tuple[str, ...]) -> None:
    gmaps.build("synthetic", path, maps, limit=FRAMES, workers=2, layout="plain", progress=False, max_rejects="100%")


def run() -> None:
    """Prints the table and keeps it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "s.zarr"
        _build(path, KINDS)
        rows = [_checksums(path), _exported(path, folder), *_remote(path), _added(path, folder)]
    print(table("Stores", rows))
    write("storage", rows)
