"""One array of a store, memory-mapped file by file.

What gmaps itself writes is read here without zarr-python; an array that another program wrote with other codecs is
read through it.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import CorruptStoreError, MissingExtraError
from gmaps.kernels.packed import read_rows
from gmaps.kernels.packed.encode import STEP, grid
from gmaps.kernels.packed.unpack import PROBLEMS
from gmaps.store.array_metadata import ArrayMeta
from gmaps.store.codec import decode_item, decompress_address
from gmaps.store.mapped import Mapped, MappedFile
from gmaps.store.store_files import StoreFiles

#: Files that hold some rows, and for each row the position of its file and its place in it.
Located = tuple[list[MappedFile], NDArray[np.int64], NDArray[np.int64]]


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

    def __init__(self, meta: ArrayMeta, files: StoreFiles | None, shards: Mapped) -> None:
        self.meta, self.name, self.shape, self.codec = meta, meta.name, meta.shape, meta.codec
        self.item = self.shape[1:]
        self.values = math.prod(self.item)
        self.attributes, self.quantised, self.dtype = meta.attributes, meta.quantised, meta.dtype
        self.per_shard, self._key = meta.per_shard, meta.key
        self._files, self._shards = files, shards
        if self.codec == "foreign":
            self._open_foreign()
        self._scale = tuple(np.float32(v) for v in self.quantised or (1.0, 0.0))
        # What rows hold that were never written: as stored, and decoded.
        self._fill = meta.fill
        missing = np.empty(1, np.float32)
        if self.dtype.kind != "b":
            with np.errstate(over="ignore", invalid="ignore"):
                decode_item(self._fill.reshape(1), missing, self.quantised)
        self._missing = missing[0]

    def _open_foreign(self) -> None:
        """Opens it through zarr-python, which may stumble over anything."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._foreign = self.open_foreign()
            shape, dtype = tuple(self._foreign.shape), np.dtype(self._foreign.dtype)
            self.per_shard = int((self._foreign.shards or self._foreign.chunks)[0])
        except MissingExtraError:
            raise
        except Exception as error:
            raise self._unreadable(error) from error
        if (shape, dtype) != (self.shape, self.dtype):
            raise self._unreadable(f"zarr-python sees {dtype} of shape {shape}")

    def open_foreign(self) -> Any:
        """The array as zarr-python opens it."""
        import zarr

        return zarr.open_array(self.directory, mode="r")

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return (self._files.path if self._files else Path()) / self.name

    def _unreadable(self, error: object) -> CorruptStoreError:
        return CorruptStoreError(
            f"{self.directory}: zarr-python cannot read it ({type(error).__name__}: {str(error)[:200]}); "
            "`gmaps verify` tells what is damaged"
        )

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
            self._read_foreign(rows, out, decoded)
            return out
        flat = out.reshape(len(rows), self.values)
        files, slot, row = located or self._locate(rows)
        if self.codec == "plain":
            self._read_plain(files, slot, row, flat, decoded)
        elif self.codec == "packed":
            self._read_packed(files, slot, row, flat)
        else:
            self._read_blosc(files, slot, row, flat, decoded)
        return out

    def _read_foreign(self, rows: NDArray[np.int64], out: NDArray[Any], decoded: bool) -> None:
        if self._files is not None:
            self._files.check_same()
        try:
            raw = np.asarray(self._foreign.oindex[rows])
        except MemoryError:
            raise
        except Exception as error:
            raise self._unreadable(error) from error
        if decoded:
            decode_item(np.ascontiguousarray(raw).reshape(-1), out.reshape(-1), self.quantised)
        else:
            out[:] = raw

    def _read_plain(
        self,
        files: list[MappedFile],
        slot: NDArray[np.int64],
        row: NDArray[np.int64],
        out: NDArray[Any],
        decoded: bool,
    ) -> None:
        start = np.array([f.address for f in files], np.uint64)
        # Rows are as long as stored values are, whatever they are decoded to.
        raw = np.empty(out.shape, self.dtype) if decoded else out
        read_rows.gather(slot, row, start, raw.view(np.uint8).reshape(len(row), self.values * self.dtype.itemsize))
        if decoded:
            decode_item(raw.reshape(-1), out.reshape(-1), self.quantised)
        elif self.dtype.kind == "b":  # any byte may lie on the disk; NumPy counts on 0 and 1
            np.not_equal(raw.view(np.uint8), 0, out=out)

    def _locate(self, rows: NDArray[np.int64]) -> Located:
        """The files that hold some rows, and for each row the position of its file and its place in it."""
        if len(rows) == 1:
            shard, place = divmod(int(rows[0]), self.per_shard)
            return [self._current(shard)], np.zeros(1, np.int64), np.array([place], np.int64)
        shards, row = np.divmod(rows, self.per_shard)
        known, slot = np.unique(shards, return_inverse=True)
        return [self._current(k) for k in known.tolist()], np.asarray(slot, np.int64), np.asarray(row, np.int64)

    def _current(self, k: int) -> MappedFile:
        file = self._file(k)
        file.check_size()
        return file

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
        if self.dtype.kind == "b":
            np.not_equal(out.view(np.uint8), 0, out=out)

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
        if rows and self.codec != "foreign":
            self._current((rows - 1) // self.per_shard)  # before memory is taken for what the metadata promise
        if self.codec != "plain" or self.dtype.kind == "b" or self.decodes:
            return self.read(np.arange(rows), decode=True)
        out = np.empty(self.shape, self.dtype)
        flat = out.reshape(rows, self.values).view(np.uint8)
        for start in range(0, rows, self.per_shard):
            part = flat[start : start + self.per_shard]
            part[:] = self._current(start // self.per_shard).block[: len(part)]
        return out

    def _file(self, k: int) -> MappedFile:
        file = self._shards.get((self.name, k))
        if file is None:
            if self._files is None:
                raise NotImplementedError
            row_bytes = self.values * self.dtype.itemsize
            name = f"{self.name}/{self._key.format(k)}"
            files, sharded = self._files, self.codec != "plain"
            file = self._shards.keep(
                (self.name, k), lambda: MappedFile(files, name, self.per_shard, row_bytes, sharded)
            )
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
