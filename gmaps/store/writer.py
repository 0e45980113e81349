"""Writing a store's files: whole shards, each under a temporary name until all of it is on the disk.

A file that bears its final name is complete, unless the machine itself went down; the checksums tell.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from gmaps.errors import DiskFullError, StoreError
from gmaps.frame import OnHand
from gmaps.store.codec import MISSING, check_item, encode_chunk, pack_index
from gmaps.store.metadata import metadata_files
from gmaps.store.ours import is_temporary
from gmaps.store.schema import ArraySpec, fill_item

#: Ends the names of files that are being written.
TEMPORARY = ".tmp"
#: Lists every other file of the store with its size and CRC-32C.
CHECKSUMS = "checksums.json"
#: Lists the rejected frames, each with its row, frame, name and reason.
REJECTS = "rejects.json"
#: Bytes that are written at once.
_PIECE = 1 << 18
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FileRecord(NamedTuple):
    """A file of the store as it was written: path relative to the group, size, CRC-32C."""

    path: str
    size: int
    crc: int


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns an `OSError` into a `StoreError`; "no space left", "quota exceeded" and the like into `DiskFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
        raise DiskFullError(
            f"{path}: {os.strerror(error.errno)}. All finished shards are kept: "
            "make room, then run the same command again to go on"
        ) from error


def temporary_name(path: Path) -> Path:
    """A name of this process's own beside `path`: two writers of one file cannot mix their bytes."""
    return path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{TEMPORARY}")


def _drop(temporary: Path) -> None:
    """Removes what was not finished; without a word, lest it hide why."""
    with suppress(OSError):
        temporary.unlink()


def _flush(f: IO[bytes]) -> None:
    f.flush()
    os.fsync(f.fileno())


def write_file(root: Path, name: str, content: bytes) -> FileRecord:
    """Writes a small file whole: after a crash there is the old content or the new, nothing between."""
    path = root / name
    temporary = temporary_name(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as f:
                f.write(content)
                _flush(f)
            temporary.replace(path)
        except BaseException:
            _drop(temporary)
            raise
    return FileRecord(name, len(content), google_crc32c.value(content))


def finish_store(
    root: Path,
    layout: Sequence[ArraySpec],
    rows: int,
    shard_samples: int,
    attributes: Mapping[str, Any],
    rejects: Sequence[Mapping[str, Any]],
    shards: Iterable[FileRecord],
) -> int:
    """Turns a directory of finished shards into a store: metadata, rejects, checksums.

    What is written depends on the arguments alone, so equal builds give equal bytes.

    Parameters
    ----------
    root
        The directory.
    layout, rows, shard_samples, attributes
        See `gmaps.store.metadata.metadata_files`.
    rejects
        Row, frame, name and reason of each rejected frame, by row.
    shards
        All shard files.

    Returns
    -------
    int
        Bytes of the store.
    """
    records = list(shards)
    for name, content in metadata_files(layout, rows, shard_samples, attributes).items():
        records.append(write_file(root, name, content))
    records.append(write_file(root, REJECTS, json.dumps(list(rejects), indent=1).encode() + b"\n"))
    records.append(write_file(root, *checksums_content(records)))
    remove_temporaries(root)
    sync_directories(root)
    return sum(r.size for r in records)


def checksums_content(records: Iterable[FileRecord]) -> tuple[str, bytes]:
    """Name and content of the file that lists all others."""
    files = {r.path: [r.size, f"{r.crc:08x}"] for r in sorted(records)}
    return CHECKSUMS, json.dumps({"algorithm": "crc32c", "files": files}, indent=0).encode() + b"\n"


def remove_temporaries(root: Path) -> None:
    """Clears what killed writers left behind; only while nobody writes."""
    with disk_errors(root):
        for path in root.rglob("*" + TEMPORARY):
            if is_temporary(path.name):
                path.unlink(missing_ok=True)


def sync_directories(root: Path) -> None:
    """Makes the names of all files below `root` survive a power cut."""
    with disk_errors(root):
        for directory, _, _ in os.walk(root):
            fd = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


class ShardWriter:
    """Writes file k of every array, row by row.

    Sharded arrays stream to disk, compressed sample by sample; only the plain arrays, a few hundred bytes a
    row, are kept in memory until `close`. Leaving the `with` block before `close` removes what was written.

    Parameters
    ----------
    root
        The group's directory.
    layout
        All arrays.
    shard
        k.
    shard_samples
        Rows that a shard has room for; those never appended hold fill values.
    """

    def __init__(self, root: Path, layout: Sequence[ArraySpec], shard: int, shard_samples: int) -> None:
        self.root, self.shard, self.rows, self.shard_samples = root, shard, 0, shard_samples
        self._files: dict[str, _ShardFile] = {}
        self._plain: dict[str, tuple[ArraySpec, NDArray[Any]]] = {}
        try:
            for a in layout:
                if a.sharded:
                    self._files[a.name] = _ShardFile(root, a, shard, shard_samples)
                else:
                    block = np.broadcast_to(fill_item(a), (shard_samples, *a.item)).copy()
                    self._plain[a.name] = (a, block)
        except BaseException:
            self.abort()
            raise

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds the next row.

        Parameters
        ----------
        row
            Array name -> value of one sample, as floats where the array holds floats; of a map that is 0 in the void
            its hand will do. Arrays that are not named get their fill value: this is how a rejected frame is written.
        """
        if self.rows == self.shard_samples:
            raise ValueError(f"shard {self.shard} is full: it has {self.shard_samples} rows")
        for name, f in self._files.items():
            if name in row:
                f.write(self.rows, row[name])
        for name, (a, block) in self._plain.items():
            if name in row:
                check_item(a, row[name])
                block[self.rows] = row[name]
        self.rows += 1

    def close(self) -> list[FileRecord]:
        """Finishes all files.

        Returns
        -------
        list of FileRecord
            In the layout's order, sharded arrays first.

        Raises
        ------
        DiskFullError
            Nothing of this shard is left behind.
        """
        steps: list[Callable[[], FileRecord]] = [f.close for f in self._files.values()]
        for a, block in self._plain.values():
            little = block.astype(block.dtype.newbyteorder("<"), copy=False)
            steps.append(partial(write_file, self.root, a.path(self.shard), little.tobytes()))
        try:
            # Each waits for the disk, and the disk takes many files in the time of a few.
            with ThreadPoolExecutor(len(steps)) as pool:
                return list(pool.map(lambda step: step(), steps))
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Drops what is not finished."""
        for f in self._files.values():
            f.abort()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()  # does nothing to files that were closed


class _ShardFile:
    """One file of a sharded array while it is written."""

    def __init__(self, root: Path, a: ArraySpec, shard: int, shard_samples: int) -> None:
        self.spec, self.name = a, a.path(shard)
        self.path = root / self.name
        self.temporary = temporary_name(self.path)
        self.offsets = np.full(shard_samples, MISSING, np.uint64)
        self.sizes = np.full(shard_samples, MISSING, np.uint64)
        self.position = self.crc = 0
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.temporary.open("wb", buffering=0)
        self.waiting: list[bytes] = []
        self.unwritten = 0

    def write(self, row: int, value: NDArray[Any] | OnHand) -> None:
        chunk = encode_chunk(self.spec, value)
        self.offsets[row], self.sizes[row] = self.position, len(chunk)
        self._put(chunk)
        if self.unwritten >= _PIECE:
            self._write_out()

    def _put(self, content: bytes) -> None:
        self.waiting.append(content)
        self.unwritten += len(content)
        self.position += len(content)

    def _write_out(self) -> None:
        content = b"".join(self.waiting)
        self.waiting, self.unwritten = [], 0
        self.crc = google_crc32c.extend(self.crc, content)
        rest = memoryview(content)
        with disk_errors(self.path):
            # A disk that is nearly full takes a part, and fails at the next.
            while rest:
                rest = rest[self.file.write(rest) :]

    def close(self) -> FileRecord:
        self._put(pack_index(self.offsets, self.sizes))
        self._write_out()
        with disk_errors(self.path):
            _flush(self.file)
            self.file.close()
            self.temporary.replace(self.path)
        return FileRecord(self.name, self.position, self.crc)

    def abort(self) -> None:
        # Closing flushes, which fails again on a full disk.
        with suppress(OSError):
            self.file.close()
        _drop(self.temporary)
