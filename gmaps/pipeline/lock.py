"""Who is at it: the lock of a running build, and the locks of the parts of one.

A lock is a file beside the store that names the process which holds it: a build that was killed leaves it behind, and
the next one sees that this process is gone.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from gmaps.errors import StoreLockedError
from gmaps.pipeline.ledger import Part
from gmaps.store.writer import disk_errors


@contextmanager
def build_lock(out: Path) -> Iterator[None]:
    """Holds `<out>.lock` while a store is built, and refuses while a part of it is built elsewhere.

    Raises
    ------
    StoreLockedError
        When another live process builds this store, or a part of it.
    StoreError
        When the directory cannot be written.
    """
    path = _lock_file(out)
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(path) as fd:
            _refuse(out, path, fd, "")
            for other in sorted(out.parent.glob(glob.escape(out.name) + ".part-*.lock")):
                with _exclusive(other) as part:
                    _refuse(out, other, part, "a part of ")
                    other.unlink()
            own = _take(fd)
    try:
        yield
    finally:
        _release(path, own)


@contextmanager
def part_lock(out: Path, part: Part, prepare: Callable[[], Any]) -> Iterator[Any]:
    """Holds `<out>.part-K-of-N.lock` while a part of a store is built.

    Parameters
    ----------
    out
        The store.
    part
        K and N.
    prepare
        Called once while no other process may begin to build this store, or a part of it; its result is yielded.

    Raises
    ------
    StoreLockedError
        When a live process builds the whole store, or the same part.
    StoreError
        When the directory cannot be written.
    """
    path = _lock_file(out, f".part-{part[0]}-of-{part[1]}")
    whole = _lock_file(out)
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(whole) as fd:
            _refuse(out, whole, fd, "")
            with _exclusive(path) as own_fd:
                _refuse(out, path, own_fd, "this part of ")
                own = _take(own_fd)
            try:
                prepared = prepare()
            except BaseException:
                _release(path, own)
                raise
    try:
        yield prepared
    finally:
        _release(path, own)


def _lock_file(out: Path, what: str = "") -> Path:
    return out.with_name(f"{out.name}{what}.lock")


def _refuse(out: Path, path: Path, fd: int, what: str) -> None:
    """Raises when a live process holds this lock."""
    holder = _holder(fd)
    if holder and _alive(holder):
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["started"]))
        raise StoreLockedError(
            f"{what}{out} is being built by process {holder['pid']} on {holder['host']}, which runs since {since}. "
            f"Wait for it, or choose another --out. If that process is gone for sure, remove {path}"
        )


def _take(fd: int) -> dict[str, Any]:
    """Writes this process into a lock."""
    me = psutil.Process()
    own = {"pid": me.pid, "host": socket.gethostname(), "started": me.create_time()}
    os.truncate(fd, 0)
    os.pwrite(fd, json.dumps(own).encode(), 0)
    os.fsync(fd)
    return own


def _release(path: Path, own: dict[str, Any]) -> None:
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
                try:
                    yield fd
                finally:
                    if os.fstat(fd).st_size == 0:  # made by looking, and not taken
                        path.unlink(missing_ok=True)
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
        result: bool = abs(psutil.Process(holder["pid"]).create_time() - holder["started"]) < 1
        return result
    except psutil.NoSuchProcess:
        return False
