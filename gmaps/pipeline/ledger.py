"""What is done, and who is at it: the ledger of finished shards, and the lock of a running build.

The ledger lies in the unfinished store: one JSON line a shard, appended and flushed after the shard's files have
their final names. A line that a crash cut off counts as not written.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from gmaps.errors import StoreLockedError
from gmaps.store.verify import check_file
from gmaps.store.writer import FileRecord, disk_errors

LEDGER = "ledger.jsonl"


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
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / LEDGER
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


@contextmanager
def build_lock(out: Path) -> Iterator[None]:
    """Holds `<out>.lock` while a store is built.

    The file names the process that holds it: a build that was killed leaves it behind, and the next one sees that
    this process is gone.

    Raises
    ------
    StoreLockedError
        When another live process builds this store.
    StoreError
        When the directory cannot be written.
    """
    path = out.with_name(out.name + ".lock")
    me = psutil.Process()
    own = {"pid": me.pid, "host": socket.gethostname(), "started": me.create_time()}
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(path) as fd:
            holder = _holder(fd)
            if holder and _alive(holder):
                since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["started"]))
                raise StoreLockedError(
                    f"{out} is being built by process {holder['pid']} on {holder['host']}, which runs since {since}. "
                    f"Wait for it, or choose another --out. If that process is gone for sure, remove {path}"
                )
            os.truncate(fd, 0)
            os.pwrite(fd, json.dumps(own).encode(), 0)
            os.fsync(fd)
    try:
        yield
    finally:
        with _exclusive(path) as fd:
            if _holder(fd) == own:
                path.unlink()


@contextmanager
def _exclusive(path: Path) -> Iterator[int]:
    """The open lock file, while no other process looks at it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            # Its last holder may have removed it while we waited: then we hold a file that nobody else sees.
            if os.fstat(fd).st_nlink > 0:
                yield fd
                return
        finally:
            os.close(fd)


def _holder(fd: int) -> dict[str, Any] | None:
    try:
        values = json.loads(os.pread(fd, 4096, 0))
        return {"pid": int(values["pid"]), "host": str(values["host"]), "started": float(values["started"])}
    except (ValueError, KeyError, TypeError):
        return None  # new, or its writer died while writing


def _alive(holder: dict[str, Any]) -> bool:
    if holder["host"] != socket.gethostname():
        return True  # who can tell
    try:
        # Numbers of processes are used again; the time at which one started is its own.
        return abs(psutil.Process(holder["pid"]).create_time() - holder["started"]) < 1
    except psutil.NoSuchProcess:
        return False
