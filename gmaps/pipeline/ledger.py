"""What is done: the ledger of finished shards.

It lies in the unfinished store: one JSON line a shard, appended and flushed after the shard's files have their final
names. A line that a crash cut off counts as not written. A part of a build that several machines share has a ledger
of its own beside the whole build's, since only one process may append to a file.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gmaps.store.checksums import check_file
from gmaps.store.writer import FileRecord, disk_errors

LEDGER = "ledger.jsonl"
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
    """

    shard: int
    rows: int
    files: list[FileRecord]
    rejects: list[dict[str, Any]] = field(default_factory=list)
    joints_outside: int = 0

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> ShardRecord:
        """The inverse of `to_json`."""
        values = json.loads(line)
        return cls(**{**values, "files": [FileRecord(*f) for f in values["files"]]})


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
        whole = 0
        content = self.path.read_bytes() if self.path.exists() else b""
        for line in content.splitlines(keepends=True):
            try:
                if not line.endswith(b"\n"):
                    break
                if self.fingerprint is None:
                    self.fingerprint = json.loads(line)["fingerprint_of"]
                else:
                    record = ShardRecord.from_json(line.decode())
                    self.records[record.shard] = record
            except (ValueError, TypeError, KeyError):
                break
            whole += len(line)
        if whole < len(content):
            # The next line must not continue the torn one.
            os.truncate(self.path, whole)

    def start(self, fingerprint: dict[str, Any]) -> None:
        """Begins the ledger of a new store."""
        self.fingerprint = fingerprint
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
