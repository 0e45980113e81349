"""The list of a store's files with their sizes and checksums, and whether files are what it says."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from gmaps.errors import CorruptStoreError, StoreError
from gmaps.formats.regular import open_regular, read_regular
from gmaps.store.codec import crc32c
from gmaps.store.group_metadata import parse_json
from gmaps.store.names import is_inner
from gmaps.store.object_store import Place
from gmaps.store.writer import CHECKSUMS, FileRecord

#: Fits the processor's cache: reading in larger pieces is half as fast.
_BLOCK = 1 << 18
#: A size that no file system has.
_MOST_BYTES = 2**60


def make_record(path: Any, size: Any, crc: Any) -> FileRecord:
    """A file's record out of values that were read.

    Raises
    ------
    ValueError
        They are none: a path that leads out of the store, no size, no checksum.
    """
    if not is_inner(path):
        raise ValueError(f"{str(path)[:100]!r} is no path within a store")
    if type(size) is not int or not 0 <= size <= _MOST_BYTES:
        raise ValueError(f"{path} cannot have {str(size)[:40]} bytes")
    if type(crc) is not int or not 0 <= crc < 2**32:
        raise ValueError(f"{path} cannot have checksum {str(crc)[:40]}")
    return FileRecord(path, size, crc)


def parse_checksums(content: bytes, where: object) -> list[FileRecord]:
    """The records of `checksums.json`.

    Raises
    ------
    CorruptStoreError
        It is none; the message says why.
    """
    values = parse_json(content, where)
    files = values.get("files") if isinstance(values, dict) else None
    if not isinstance(files, dict):
        raise CorruptStoreError(f"{where} is damaged: it lists no files")
    records = []
    for name, entry in files.items():
        try:
            size, crc = entry if isinstance(entry, list) else (None, None)
            if not isinstance(crc, str) or len(crc) != 8 or not set(crc) <= set(string.hexdigits):
                raise ValueError(f"{name} has no checksum")
            records.append(make_record(name, size, int(crc, 16)))
        except ValueError as error:
            raise CorruptStoreError(f"{where} is damaged: {error}") from error
    return records


def read_checksums(path: Path | Place) -> list[FileRecord]:
    """The files of a finished store, as they were written.

    Raises
    ------
    StoreError
        When the store has none.
    CorruptStoreError
        When the file itself is damaged.
    """
    where = f"{path}/{CHECKSUMS}"
    try:
        content = path.read(CHECKSUMS) if isinstance(path, Place) else read_regular(path / CHECKSUMS)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path} has no {CHECKSUMS}: it is no finished store") from None
    except OSError as error:
        raise CorruptStoreError(f"{where} cannot be read: {error.strerror or error}") from error
    return parse_checksums(content, where)


def check_file(root: Path, record: FileRecord) -> str:
    """What is wrong with a file: an empty text when it has the size and checksum of its record."""
    try:
        with open_regular(root / record.path) as f:
            size = f.seek(0, 2)
            if size != record.size:
                return f"{record.path}: has {size} bytes, {record.size} were written"
            f.seek(0)
            if crc32c(iter(lambda: f.read(_BLOCK), b"")) != record.crc:
                return f"{record.path}: its bytes changed (checksum)"
    except (FileNotFoundError, NotADirectoryError):
        return f"{record.path}: missing"
    except OSError as error:
        return f"{record.path}: cannot be read ({error.strerror or error})"
    return ""
