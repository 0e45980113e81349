"""One array of a store, memory-mapped file by file.

The two layouts of format 1 are read here without zarr-python; an array that another program wrote with other
codecs is read through it.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import CorruptStoreError
from gmaps.store.codec import MISSING, decode_item, decompress, index_bytes, parse_index

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
            import zarr

            self._foreign = zarr.open_array(self.directory, mode="r")
            self.dtype = np.dtype(self._foreign.dtype)
        else:
            self.dtype = np.dtype(meta["data_type"])
            self.per_shard: int = meta["chunk_grid"]["configuration"]["chunk_shape"][0]
            separator = meta["chunk_key_encoding"].get("configuration", {}).get("separator", "/")
            self._key = "c" + separator + "{}" + (separator + "0") * len(self.item)
        scale = self.attributes.get("scale_factor")
        self.quantised = None if scale is None else (float(scale), float(self.attributes.get("add_offset", 0.0)))

    def read(self, rows: Sequence[int], decode: bool, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """See `Store.read`."""
        decoded = decode and (self.dtype == np.float16 or self.quantised is not None)
        shape, dtype = (len(rows), *self.item), np.dtype(np.float32) if decoded else self.dtype
        if out is None:
            out = np.empty(shape, dtype)
        elif out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"{self.name}: out must be contiguous {dtype} of shape {shape}, got {out.dtype} {out.shape}"
            )
        flat = out.reshape(len(rows), self.values)
        if self.codec == "foreign":
            if len(rows):
                raw = np.asarray(self._foreign.oindex[np.asarray(rows, np.int64)])
                if decoded:
                    decode_item(np.ascontiguousarray(raw).reshape(-1), out.reshape(-1), self.quantised)
                else:
                    out[:] = raw
            return out
        if self.codec == "plain":
            for k, i in enumerate(rows):
                shard, row = divmod(i, self.per_shard)
                flat[k] = self._shard(shard).block[row]
            return out
        # One sample's stored values fit the processor's cache, so decoding them from here is nearly free.
        scratch = np.empty(flat.shape[1], self.dtype)
        for k, i in enumerate(rows):
            shard, row = divmod(i, self.per_shard)
            raw = scratch if decoded else flat[k]
            self._shard(shard).chunk(row, raw)
            if decoded:
                decode_item(raw, flat[k], self.quantised)
        return out

    def read_all(self) -> NDArray[Any]:
        rows = self.shape[0]
        if self.codec != "plain":
            return self.read(range(rows), decode=True)
        out = np.empty(self.shape, self.dtype)
        flat = out.reshape(rows, self.values)
        for start in range(0, rows, self.per_shard):
            part = flat[start : start + self.per_shard]
            part[:] = self._shard(start // self.per_shard).block[: len(part)]
        return out

    def _shard(self, k: int) -> _Shard:
        shard = self._shards.get((self.name, k))
        if shard is None:
            shard = _Shard(self.directory / self._key.format(k), self)
            self._shards[self.name, k] = shard
            # Oldest first; taken off one by one, so that threads that share a store need no lock.
            for key in list(self._shards)[: max(0, len(self._shards) - MAX_MAPPED)]:
                self._shards.pop(key, None)
        return shard

    def rounding(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """See `Store.rounding`."""
        v = np.abs(np.asarray(values, np.float64))
        if self.quantised is not None:
            # The step, and float32's own rounding of scale and offset.
            return np.full(v.shape, self.quantised[0] * (0.5 + 1e-4))
        if self.dtype == np.float16:
            return np.maximum(v * 2.0**-11, 2.0**-25)
        return np.zeros(v.shape)

    def info(self) -> ArrayInfo:
        files = [f for f in self.directory.rglob("*") if f.is_file() and f.name != "zarr.json"]
        raw = math.prod(self.shape) * self.dtype.itemsize
        names = {"sharded": "sharded, lz4", "plain": "plain", "foreign": "another program's"}
        stored = sum(f.stat().st_size for f in files)
        return ArrayInfo(self.name, self.shape, str(self.dtype), names[self.codec], len(files), raw, stored)


def _codec(meta: dict[str, Any], item: tuple[int, ...]) -> str:
    """Which of our two layouts the metadata describes: "sharded", "plain", or "foreign"."""
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
    ours = (
        tuple(c["chunk_shape"]) == (1, *item)
        and [x["name"] for x in c["codecs"]] == ["bytes", "blosc"]
        and [x["name"] for x in c["index_codecs"]] == ["bytes", "crc32c"]
        and all(_little(x) for x in (c["codecs"][0], c["index_codecs"][0]))
        and c.get("index_location", "end") == "end"
    )
    return "sharded" if ours else "foreign"


def _little(codec: dict[str, Any]) -> bool:
    return codec.get("configuration", {}).get("endian", "little") == "little"


class _Shard:
    """One mapped file."""

    def __init__(self, path: Path, a: MappedArray) -> None:
        self.path = path
        try:
            with path.open("rb") as f:
                self._map = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise CorruptStoreError(
                f"{path} is missing. `gmaps verify` tells what else is; "
                "`gmaps build --overwrite` makes the store again"
            ) from None
        except ValueError:  # mmap's word for an empty file
            raise CorruptStoreError(f"{path} is empty; `gmaps verify` tells what else is damaged") from None
        self._bytes = memoryview(self._map)
        self.fill = np.array(float(a.fill) if isinstance(a.fill, str) else a.fill, a.dtype)
        if a.codec == "plain":
            expected = a.per_shard * a.values * a.dtype.itemsize
            if len(self._bytes) != expected:
                raise CorruptStoreError(
                    f"{path} has {len(self._bytes)} bytes, expected {expected}; see `gmaps verify`"
                )
            self.block = np.frombuffer(self._map, a.dtype.newbyteorder("<")).reshape(a.per_shard, a.values)
        else:
            data = len(self._bytes) - index_bytes(a.per_shard)
            if data < 0:
                raise CorruptStoreError(f"{path} is cut off: {len(self._bytes)} bytes; see `gmaps verify`")
            try:
                index = parse_index(bytes(self._bytes[data:]), a.per_shard, data)
            except CorruptStoreError as error:
                raise CorruptStoreError(f"{path}: {error}; see `gmaps verify`") from None
            # Reading one number from a memoryview is twice as fast as from an array.
            self._index = index.reshape(-1).data

    def chunk(self, row: int, out: NDArray[Any]) -> None:
        start, size = self._index[2 * row], self._index[2 * row + 1]
        if start == MISSING:
            out[:] = self.fill
            return
        try:
            decompress(self._bytes[start : start + size], out)
        except CorruptStoreError as error:
            raise CorruptStoreError(f"{self.path}, row {row} of the shard: {error}; see `gmaps verify`") from error


#: The mapped files of a store: (array, shard number) -> file, oldest first.
Mapped = dict[tuple[str, int], _Shard]
