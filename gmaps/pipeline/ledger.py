"""What is done: the ledger of finished shards.

It lies in the unfinished store: one JSON line a shard, appended and flushed after the shard's files have their final
names. A line that a crash cut off counts as not written. A part of a build that several machines share has a ledger
of its own beside the whole build's, since only one process may append to a file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gmaps.errors import StoreError
from gmaps.formats.regular import read_regular
from gmaps.store.file_records import check_file, make_record
from gmaps.store.schema import ArraySpec
from gmaps.store.writer import FileRecord, disk_errors

LEDGER = "ledger.jsonl"
#: Ends the name of the note beside a ledger that says which row is being made.
ROW = ".row"
#: What a record may hold, what it holds of each rejected frame, and how files of shards are called.
_FIELDS = {"shard", "rows", "files", "rejects", "joints_outside", "frames"}
_REJECT = {"row", "frame", "name", "reason"}
_SHARD_FILE = re.compile(r"(maps/)?[^/]+/c[./]\d+([./]0)*")
#: A share of a build's shards: the k-th of n, counted from 1.
Part = tuple[int, int]


def part_ledger(part: Part) -> str:
    """Name of a part's ledger."""
    return f"ledger.part-{part[0]}-of-{part[1]}.jsonl"


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard.

    Parameters
    ----------
    shard
        Its number.
    rows
        Rows in it, rejected ones included.
    files
        One an array.
    rejects
        Row, frame, name and reason of each rejected frame.
    joints_outside
        Frames of which a joint lies outside the cube.
    frames
        Stands for sizes and times of the files of its frames, before they were read; empty where that is not known.
    """

    shard: int
    rows: int
    files: list[FileRecord]
    rejects: list[dict[str, Any]] = field(default_factory=list)
    joints_outside: int = 0
    frames: str = ""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> ShardRecord:
        """The inverse of `to_json`.

        Raises
        ------
        ValueError
            It is no record: of another make, changed, or one that names files that no shard has.
        """
        values = json.loads(line)
        if not isinstance(values, dict) or not values.keys() <= _FIELDS:
            raise ValueError("no record of a shard")
        numbers = [values.get("shard"), values.get("rows"), values.get("joints_outside", 0)]
        files, rejects = values.get("files"), values.get("rejects", [])
        if not all(type(n) is int and 0 <= n < 2**60 for n in numbers):
            raise ValueError("no record of a shard: its numbers are none")
        frames = values.get("frames", "")
        if not isinstance(frames, str):
            raise ValueError("no record of a shard: its frames are none")
        if not isinstance(files, list) or not all(isinstance(f, list) and len(f) == 3 for f in files):
            raise ValueError("no record of a shard: its files are none")
        if not isinstance(rejects, list) or not all(isinstance(r, dict) and r.keys() == _REJECT for r in rejects):
            raise ValueError("no record of a shard: its rejected frames are none")
        for r in rejects:
            if (
                type(r["row"]) is not int
                or type(r["frame"]) is not int
                or {type(r["name"]), type(r["reason"])} != {str}
            ):
                raise ValueError("no record of a shard: its rejected frames are none")
        made = [make_record(*f) for f in files]
        # What a ledger names is uploaded, compared and removed.
        if not all(_SHARD_FILE.fullmatch(f.path) for f in made):
            raise ValueError("no record of a shard: it names other files")
        return cls(numbers[0], numbers[1], made, rejects, numbers[2], frames)


class Ledger:
    """The ledger of one unfinished store.

    Parameters
    ----------
    root
        The unfinished store's directory.
    name
        The file's, in there.
    """

    def __init__(self, root: Path, name: str = LEDGER) -> None:
        self.root, self.path = root, root / name
        #: What the store is built from, as `start` was told; None before.
        self.fingerprint: dict[str, Any] | None = None
        self.records: dict[int, ShardRecord] = {}
        #: What whoever builds should know of the source.
        self.notes: list[str] = []
        #: Whether the first line, which says what is built, cannot be read, though others follow it.
        self.headless = False
        content = self._content()
        whole = content.rfind(b"\n") + 1
        first, *lines = content[:whole].splitlines() or [b""]
        try:
            found = json.loads(first)["fingerprint_of"]
            self.fingerprint = found if isinstance(found, dict) else None
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
        self.headless = whole > 0 and self.fingerprint is None
        for line in lines if self.fingerprint is not None else ():
            try:
                record = ShardRecord.from_json(line)
            except (ValueError, RecursionError):
                continue  # a changed line counts as not written, and those behind it as what they are
            self.records[record.shard] = record
        if self.fingerprint is not None and whole < len(content):
            # The next line must not continue the torn one.
            with disk_errors(self.path):
                os.truncate(self.path, whole)

    def _content(self) -> bytes:
        try:
            return read_regular(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def start(self, fingerprint: dict[str, Any]) -> None:
        """Begins the ledger of a new store."""
        self.fingerprint, self.records, self.headless = fingerprint, {}, False
        with disk_errors(self.path):
            self.path.unlink(missing_ok=True)
        self._append(json.dumps({"fingerprint_of": fingerprint}))

    def add(self, record: ShardRecord) -> None:
        """Records a finished shard, for good.

        Raises
        ------
        DiskFullError
        """
        self.records[record.shard] = record
        self._append(record.to_json())

    def _append(self, line: str) -> None:
        with disk_errors(self.path), self.path.open("ab") as f:
            f.write(line.encode() + b"\n")
            f.flush()
            os.fsync(f.fileno())

    def take_parts(self) -> None:
        """Takes over the records of all parts of the same build."""
        for path in sorted(self.root.glob("ledger.part-*.jsonl")):
            other = Ledger(self.root, path.name)
            if other.fingerprint == self.fingerprint:
                self.records = other.records | self.records

    def drop_misfits(self, layout: Sequence[ArraySpec], shards: Sequence[range]) -> list[str]:
        """Forgets the records that do not describe a shard of this build: a line may be whole and say too little.

        Parameters
        ----------
        layout
            The build's arrays.
        shards
            Rows of each shard.

        Returns
        -------
        list of str
            What was wrong, one line a record.
        """
        problems = []
        for k, record in list(self.records.items()):
            rows = shards[k] if k < len(shards) else range(0)
            rejected = [r["row"] for r in record.rejects]
            lacking = sorted({a.path(k) for a in layout} - {f.path for f in record.files})
            if lacking:
                problems.append(f"the record of shard {k} lacks {lacking[0]}")
            elif not rows or record.rows != len(rows) or len(record.files) != len(layout):
                problems.append(f"the record of shard {k} is of no shard of this build")
            elif rejected != sorted(set(rejected) & set(rows)):
                problems.append(f"the record of shard {k} rejects rows that it does not have")
            else:
                continue
            del self.records[k]
        return problems

    def drop_damaged(self) -> list[str]:
        """Forgets the shards whose files are not those that were recorded.

        Returns
        -------
        list of str
            What was wrong, one line a file.
        """
        problems = []
        for k, record in list(self.records.items()):
            wrong = [line for f in record.files if (line := check_file(self.root, f))]
            if wrong:
                del self.records[k]
                problems += wrong
        return problems
