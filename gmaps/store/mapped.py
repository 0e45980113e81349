"""One file of an array, memory-mapped: an uncompressed block, or chunks and their index."""

from __future__ import annotations

import errno
import mmap
import resource
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import CorruptStoreError, StoreError
from gmaps.store.codec import MISSING, decompress, index_bytes, parse_index
from gmaps.store.store_files import StoreFiles


class MappedFile:
    """One mapped file.

    Parameters
    ----------
    files
        The store's.
    name
        The file's, in there.
    rows, row_bytes
        How many rows it has room for, and the bytes of one before compression.
    sharded
        Whether it holds chunks and an index, else the rows themselves.

    Raises
    ------
    CorruptStoreError
        When it is missing, cut off, or has a damaged index.
    """

    def __init__(self, files: StoreFiles, name: str, rows: int, row_bytes: int, sharded: bool) -> None:
        self.path = path = files.path / name
        try:
            with files.open(name) as f:
                self._map = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise files.gone(name) from None
        except ValueError:  # mmap's word for an empty file
            raise CorruptStoreError(f"{path} is empty; `gmaps verify` tells what else is damaged") from None
        except OSError as error:
            raise StoreError(f"{path} cannot be mapped: {error.strerror or error}") from error
        self._bytes = memoryview(self._map)
        whole = np.frombuffer(self._map, np.uint8)
        #: Address of the file's first byte, for kernels; good for as long as this object is held.
        self.address: int = whole.ctypes.data
        self.index_address = 0
        if not sharded:
            expected = rows * row_bytes
            if whole.size != expected:
                raise CorruptStoreError(f"{path} has {whole.size} bytes, expected {expected}; see `gmaps verify`")
            self.block = whole.reshape(rows, row_bytes)
            return
        data = whole.size - index_bytes(rows)
        if data < 0:
            raise CorruptStoreError(f"{path} is cut off: {whole.size} bytes; see `gmaps verify`")
        try:
            self._table = parse_index(bytes(self._bytes[data:]), rows, data)
        except CorruptStoreError as error:
            raise CorruptStoreError(f"{path}: {error}; see `gmaps verify`") from None
        self.index_address = self._table.ctypes.data
        # Reading one number from a memoryview is twice as fast as from an array.
        self._index = self._table.reshape(-1).data

    def chunk(self, row: int, out: NDArray[Any]) -> bool:
        """Decompresses a row's Blosc chunk into `out`; False where none was written."""
        start, size = self._index[2 * row], self._index[2 * row + 1]
        if start == MISSING:
            return False
        try:
            decompress(self._bytes[start : start + size], out)
        except CorruptStoreError as error:
            raise self.damaged(row, str(error)) from error
        return True

    def check_size(self) -> None:
        """Refuse a file that is shorter than when it was mapped: to read what it lost would end the process.

        Raises
        ------
        CorruptStoreError
            With both sizes.
        """
        now, mapped = self._map.size(), len(self._map)
        if now < mapped:
            raise CorruptStoreError(
                f"{self.path} was cut off while it was open: {now} bytes of {mapped}; open it again"
            )

    def damaged(self, row: int, what: str) -> CorruptStoreError:
        """What to raise when a row's chunk cannot be read."""
        return CorruptStoreError(f"{self.path}, row {row} of the shard: {what}; see `gmaps verify`")


class Mapped(dict[tuple[str, int], MappedFile]):
    """The mapped files of a store: (array, shard number) -> file. `keep` counts those of all stores together."""

    def keep(self, key: tuple[str, int], make: Callable[[], MappedFile]) -> MappedFile:
        """A new file under its key. Where the process would hold too many open, the oldest of any store are let go.

        Raises
        ------
        StoreError, CorruptStoreError
            What `make` raises; where too many files are open, what to do.
        """
        try:
            file = make()
        except StoreError as error:
            if getattr(error.__cause__, "errno", None) not in (errno.EMFILE, errno.ENFILE):
                raise
            _let_go(0)
            try:
                file = make()
            except StoreError as again:
                raise StoreError(f"{again}: raise `ulimit -n`, or read fewer stores in one process") from error
        self[key] = file
        _order[id(self), key] = weakref.ref(self)
        _let_go(most_mapped())
        return file


#: The files of all stores of this process, oldest first.
_order: dict[tuple[int, tuple[str, int]], weakref.ref[Mapped]] = {}


def most_mapped() -> int:
    """How many files stay mapped in this process: each holds a file open, and others need some, too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 4096 if soft == resource.RLIM_INFINITY else max(min(soft // 2, 4096), 8)


def _let_go(most: int) -> None:
    # Taken off one by one, so that threads that share a store need no lock.
    for oldest in list(_order)[: max(0, len(_order) - most)]:
        owner = _order.pop(oldest, lambda: None)()
        if owner is not None:
            owner.pop(oldest[1], None)
