"""One array of a store, memory-mapped file by file.

What gmaps itself writes is read here without zarr-python; an array that another program wrote with other codecs is
read through it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.kernels.packed import read_rows
from gmaps.kernels.packed.encode import STEP, grid
from gmaps.kernels.packed.unpack import PROBLEMS
from gmaps.store.codec import decode_item, decompress_address
from gmaps.store.mapped import Mapped, MappedFile
from gmaps.store.schema import PACKED

#: Files that hold some rows, and for each row the position of its file and its place in it.
Located = tuple[list[MappedFile], NDArray[np.int64], NDArray[np.int64]]
#: Shard files kept mapped at once; each holds a file descriptor, of which a process has 1,024 by default.
MAX_MAPPED = 512


@dataclass(frozen=True)
class ArrayInfo:
    """What `gmaps inspect store` says of an array; `files` are those present, `stored_bytes` their sizes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    codec: str
    files: int
    raw_bytes: int
    stored_bytes: int

    @property
    def ratio(self) -> float:
        """Raw over stored bytes."""
        return self.raw_bytes / self.stored_bytes if self.stored_bytes else 0.0


class MappedArray:
    """One array: its geometry, and how to reach its rows."""

    def __init__(self, root: Path, name: str, meta: dict[str, Any], shards: Mapped) -> None:
        self.directory, self.name = root / name, name
        self.shape: tuple[int, ...] = tuple(meta["shape"])
        self.item = self.shape[1:]
        self.values = math.prod(self.item)
        self.fill, self.attributes = meta["fill_value"], meta.get("attributes", {})
        self.codec = _codec(meta, self.item)
        self._shards = shards
        if self.codec == "foreign":
            self._foreign = self.open_foreign()
            self.dtype = np.dtype(self._foreign.dtype)
            self.per_shard: int = (self._foreign.shards or self._foreign.chunks)[0]
        else:
            self.dtype = np.dtype(meta["data_type"])
            self.per_shard = meta["chunk_grid"]["configuration"]["chunk_shape"][0]
            separator = meta["chunk_key_encoding"].get("configuration", {}).get("separator", "/")
            self._key = "c" + separator + "{}" + (separator + "0") * len(self.item)
        scale = self.attributes.get("scale_factor")
        self.quantised = None if scale is None else (float(scale), float(self.attributes.get("add_offset", 0.0)))
        self._scale = tuple(np.float32(v) for v in self.quantised or (1.0, 0.0))
        # What rows hold that were never written: as stored, and decoded.
        self._fill = np.array(float(self.fill) if isinstance(self.fill, str) else self.fill, self.dtype)
        missing = np.empty(1, np.float32)
        if self.dtype.kind != "b":
            decode_item(self._fill.reshape(1), missing, self.quantised)
        self._missing = missing[0]

    def open_foreign(self) -> Any:
        """The array as zarr-python opens it."""
        import zarr

        return zarr.open_array(self.directory, mode="r")

    @property
    def decodes(self) -> bool:
        """Whether it holds values that stand for floats."""
        return self.dtype == np.float16 or self.quantised is not None

    def read(
        self,
        rows: NDArray[np.int64],
        decode: bool,
        out: NDArray[Any] | None = None,
        located: Located | None = None,
    ) -> NDArray[Any]:
        """See `Store.read`; rows are checked already, and may be located."""
        decoded = decode and self.decodes
        shape, dtype = (len(rows), *self.item), np.dtype(np.float32) if decoded else self.dtype
        if out is None:
            out = np.empty(shape, dtype)
        elif out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"{self.name}: out must be contiguous {dtype} of shape {shape}, got {out.dtype} {out.shape}"
            )
        if len(rows) == 0:
            return out
        if self.codec == "foreign":
            raw = np.asarray(self._foreign.oindex[rows])
            if decoded:
                decode_item(np.ascontiguousarray(raw).reshape(-1), out.reshape(-1), self.quantised)
            else:
                out[:] = raw
            return out
        flat = out.reshape(len(rows), self.values)
        files, slot, row = located or self._locate(rows)
        if self.codec == "plain":
            start = np.array([f.address for f in files], np.uint64)
            read_rows.gather(slot, row, start, flat.view(np.uint8).reshape(len(rows), -1))
        elif self.codec == "packed":
            self._read_packed(files, slot, row, flat)
        else:
            self._read_blosc(files, slot, row, flat, decoded)
        return out

    def _locate(self, rows: NDArray[np.int64]) -> Located:
        """The files that hold some rows, and for each row the position of its file and its place in it."""
        if len(rows) == 1:
            shard, place = divmod(int(rows[0]), self.per_shard)
            return [self._file(shard)], np.zeros(1, np.int64), np.array([place], np.int64)
        shards, row = np.divmod(rows, self.per_shard)
        known, slot = np.unique(shards, return_inverse=True)
        return [self._file(k) for k in known.tolist()], np.asarray(slot, np.int64), np.asarray(row, np.int64)

    def _read_packed(
        self, files: list[MappedFile], slot: NDArray[np.int64], row: NDArray[np.int64], out: NDArray[Any]
    ) -> None:
        start = np.array([f.address for f in files], np.uint64)
        index = np.array([f.index_address for f in files], np.uint64)
        shape, halves = grid(self.item), self.dtype == np.float16
        if out.dtype == np.float32:
            scale, offset = self._scale
            args = (slot, row, start, index, shape, halves, scale, offset, self._missing, out)
            k, problem = read_rows.unpack_floats(*args)
        else:
            bits = np.uint16 if halves else np.uint8
            fill = self._fill.reshape(1).view(bits)[0]
            k, problem = read_rows.unpack_stored(slot, row, start, index, shape, halves, fill, out.view(bits))
        if problem:
            raise files[slot[k]].damaged(int(row[k]), PROBLEMS[problem])

    def _read_blosc(
        self,
        files: list[MappedFile],
        slot: NDArray[np.int64],
        row: NDArray[np.int64],
        out: NDArray[Any],
        decoded: bool,
    ) -> None:
        function = np.uint64(decompress_address())
        if not function:
            self._read_blosc_by_row(files, slot, row, out, decoded)
            return
        start = np.array([f.address for f in files], np.uint64)
        index = np.array([f.index_address for f in files], np.uint64)
        missing = np.empty(len(row), bool)
        if decoded:
            scale, offset = self._scale
            halves = self.dtype == np.float16
            k = read_rows.decompress_floats(function, slot, row, start, index, missing, halves, scale, offset, out)
        else:
            flat = out.view(np.uint8).reshape(len(row), -1)
            k = read_rows.decompress_stored(function, slot, row, start, index, missing, flat)
        if k >= 0:
            files[slot[k]].chunk(int(row[k]), np.empty(self.values, self.dtype))  # which says what is wrong
            raise files[slot[k]].damaged(int(row[k]), "its chunk cannot be decompressed")
        if missing.any():
            out[missing] = self._missing if decoded else self._fill

    def _read_blosc_by_row(
        self,
        files: list[MappedFile],
        slot: NDArray[np.int64],
        row: NDArray[np.int64],
        out: NDArray[Any],
        decoded: bool,
    ) -> None:
        # One sample's stored values fit the processor's cache, so decoding them from here is nearly free.
        scratch = np.empty(self.values, self.dtype)
        for k, (s, r) in enumerate(zip(slot.tolist(), row.tolist(), strict=True)):
            raw = scratch if decoded else out[k]
            if not files[s].chunk(r, raw):
                out[k] = self._missing if decoded else self._fill
            elif decoded:
                decode_item(raw, out[k], self.quantised)

    def read_all(self) -> NDArray[Any]:
        rows = self.shape[0]
        if self.codec != "plain":
            return self.read(np.arange(rows), decode=True)
        out = np.empty(self.shape, self.dtype)
        flat = out.reshape(rows, self.values).view(np.uint8)
        for start in range(0, rows, self.per_shard):
            part = flat[start : start + self.per_shard]
            part[:] = self._file(start // self.per_shard).block[: len(part)]
        return out

    def _file(self, k: int) -> MappedFile:
        file = self._shards.get((self.name, k))
        if file is None:
            path = self.directory / self._key.format(k)
            row_bytes = self.values * self.dtype.itemsize
            file = MappedFile(path, self.per_shard, row_bytes, self.codec != "plain")
            self._shards[self.name, k] = file
            # Oldest first; taken off one by one, so that threads that share a store need no lock.
            for key in list(self._shards)[: max(0, len(self._shards) - MAX_MAPPED)]:
                self._shards.pop(key, None)
        return file

    def rounding(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """See `Store.rounding`."""
        v = np.abs(np.asarray(values, np.float64))
        if self.quantised is not None:
            # The step, and float32's own rounding of scale and offset.
            return np.full(v.shape, self.quantised[0] * (0.5 + 1e-4))
        if self.dtype == np.float16:
            if self.codec == "packed":
                return np.where(v <= 1, STEP / 2, v * 2.0**-11)
            return np.maximum(v * 2.0**-11, 2.0**-25)
        return np.zeros(v.shape)

    def info(self) -> ArrayInfo:
        files = [f for f in self.directory.rglob("*") if f.is_file() and f.name != "zarr.json"]
        return self._info([f.stat().st_size for f in files])

    def _info(self, sizes: list[int]) -> ArrayInfo:
        raw = math.prod(self.shape) * self.dtype.itemsize
        names = {
            "sharded": "sharded, lz4",
            "packed": "sharded, packed",
            "plain": "plain",
            "foreign": "another program's",
        }
        return ArrayInfo(self.name, self.shape, str(self.dtype), names[self.codec], len(sizes), raw, sum(sizes))


def _codec(meta: dict[str, Any], item: tuple[int, ...]) -> str:
    """How the metadata says that it is kept: "sharded" (with Blosc), "packed", "plain", or "foreign"."""
    codecs = meta["codecs"]
    names = [c["name"] for c in codecs]
    if meta["chunk_grid"]["name"] != "regular" or meta["chunk_key_encoding"]["name"] != "default":
        return "foreign"
    chunk = tuple(meta["chunk_grid"]["configuration"]["chunk_shape"])
    if chunk[1:] != item or not _little(codecs[0]):
        return "foreign"
    if names == ["bytes"]:
        return "plain"
    if names != ["sharding_indexed"]:
        return "foreign"
    c = codecs[0]["configuration"]
    inner = [x["name"] for x in c["codecs"]]
    ours = (
        tuple(c["chunk_shape"]) == (1, *item)
        and inner in (["bytes", "blosc"], [PACKED])
        and [x["name"] for x in c["index_codecs"]] == ["bytes", "crc32c"]
        and all(_little(x) for x in (c["codecs"][0], c["index_codecs"][0]))
        and c.get("index_location", "end") == "end"
    )
    if not ours:
        return "foreign"
    return "packed" if inner == [PACKED] else "sharded"


def _little(codec: dict[str, Any]) -> bool:
    result: bool = codec.get("configuration", {}).get("endian", "little") == "little"
    return result
