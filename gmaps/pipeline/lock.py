"""The lock of a running build, and the locks of the parts of one.

A lock is a file beside the store that is held by `flock` for as long as the build runs: the system lets go of it when
the process ends, however it ends, and neither clocks nor numbers of processes decide anything. What is written in the
file is for people. Only where another machine wrote it need more be asked: some network file systems keep their locks
from other machines. A holder touches its file every few seconds; one that was not touched for long is dead.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from gmaps.errors import StoreError, StoreLockedError
from gmaps.pipeline.ledger import Part
from gmaps.store.writer import disk_errors

#: Seconds between two touches of a lock, and after which nobody holds one that another machine wrote.
BEAT, DEAD = 10.0, 60.0
#: Seconds for another process that only looks at a lock to be done with it.
_LOOK = 60.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")
#: Open files of the locks that this process holds.
_HELD: set[int] = set()


def _let_go_in_child() -> None:
    """A fork shares its parent's locks: were it to outlive the parent, a dead build's lock would be held on."""
    for fd in _HELD:
        with suppress(OSError):
            os.close(fd)
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def build_lock(out: Path) -> Iterator[None]:
    """Holds `<out>.lock` while a store is built, and refuses while a part of it is built elsewhere.

    Raises
    ------
    StoreLockedError
        When another live process builds this store, or a part of it.
    StoreError
        When the directory cannot be written, or something else bears the lock's name.
    """
    path = _lock_file(out)
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        fd = _hold(path, out, "")
    try:
        with disk_errors(out):
            for other in sorted(out.parent.glob(glob.escape(out.name) + ".part-*.lock")):
                _release(other, _hold(other, out, "a part of "))
            _sign(fd)
        with _beating(fd):
            yield
    finally:
        _release(path, fd)


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
        When the directory cannot be written, or something else bears the lock's name.
    """
    path = _lock_file(out, f".part-{part[0]}-of-{part[1]}")
    whole = _lock_file(out)
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        looking = _hold(whole, out, "")
    try:
        with disk_errors(out):
            fd = _hold(path, out, "this part of ")
            _sign(fd)
        try:
            prepared = prepare()
        except BaseException:
            _release(path, fd)
            raise
    finally:
        _release(whole, looking)
    try:
        with _beating(fd):
            yield prepared
    finally:
        _release(path, fd)


def _lock_file(out: Path, what: str = "") -> Path:
    return out.with_name(f"{out.name}{what}.lock")


def _hold(path: Path, out: Path, what: str) -> int:
    """The open lock file, held and its last holder dead; not signed yet.

    Raises
    ------
    StoreLockedError
        A live process holds it.
    StoreError
        Something else bears its name.
    """
    until = time.monotonic() + _LOOK
    while True:
        fd = _open(path)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(fd, path)
                if holder or time.monotonic() > until:
                    raise _locked(out, path, what, holder) from None
                # Somebody looks at it, or has not signed yet.
                os.close(fd)
                time.sleep(0.02)
                continue
            # Its last holder may have removed it just before: then we hold a file that nobody else sees.
            if os.fstat(fd).st_nlink > 0:
                holder = _holder(fd, path)
                if holder and _alive(holder, fd):
                    raise _locked(out, path, what, holder)
                _HELD.add(fd)
                return fd
            os.close(fd)
        except BaseException:
            with suppress(OSError):
                os.close(fd)
            raise


def _open(path: Path) -> int:
    # A link would have us write elsewhere, and a pipe wait for ever.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644)
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise StoreError(f"{path} is a link or a directory, not a lock: remove it") from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise StoreError(f"{path} is a pipe or a device, not a lock: remove it")
    return fd


def _locked(out: Path, path: Path, what: str, holder: dict[str, Any] | None) -> StoreLockedError:
    if holder is None:
        return StoreLockedError(f"{what}{out} is being looked at by another process; try again")
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["started"]))
    return StoreLockedError(
        f"{what}{out} is being built by process {holder['pid']} on {holder['host']}, which runs since {since}. "
        f"Wait for it, or choose another --out. If that process is gone for sure, remove {path}"
    )


def _sign(fd: int) -> None:
    """Writes this process into a lock."""
    me = psutil.Process()
    own = {"pid": me.pid, "host": socket.gethostname(), "started": me.create_time(), "boot": _boot()}
    os.truncate(fd, 0)
    os.pwrite(fd, json.dumps(own).encode(), 0)
    os.fsync(fd)


def _boot() -> str:
    """The same for all processes of a running system, in whatever container, and for no other."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return socket.gethostname()


@contextmanager
def _beating(fd: int) -> Iterator[None]:
    """Touches a lock every now and then."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT):
            with suppress(OSError):  # a full disk, or one that is gone, is met by the build itself
                os.utime(fd)

    thread = threading.Thread(target=beat, name="gmaps-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _release(path: Path, fd: int) -> None:
    """Lets go of a lock; without a word, lest it hide why."""
    with suppress(OSError):
        path.unlink()
    if fd in _HELD:  # not so in a fork, whose parent goes on
        _HELD.discard(fd)
        with suppress(OSError):
            os.close(fd)


def _holder(fd: int, path: Path) -> dict[str, Any] | None:
    """Who signed a lock; None where nobody did yet, or died before.

    Raises
    ------
    StoreError
        It holds something else.
    """
    content = os.pread(fd, 4096, 0).strip(b"\0 \n")
    if not content:
        return None
    try:
        values = json.loads(content)
        started = float(values["started"])
        time.localtime(started)
        named = {"pid": int(values["pid"]), "host": str(values["host"])[:200], "started": started}
        return named | {"boot": str(values.get("boot", ""))}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise StoreError(f"{path} is no lock of ours: move it away, if it is yours, or remove it") from error


def _alive(holder: dict[str, Any], fd: int) -> bool:
    """Whether a holder may live though its lock could be taken."""
    if holder["boot"] == _boot():
        return False  # the system itself says that nobody holds it
    if not holder["boot"]:  # of an earlier version, which held no lock while it built
        if holder["host"] != socket.gethostname():
            return True  # who can tell
        try:
            return bool(abs(psutil.Process(holder["pid"]).create_time() - holder["started"]) < 1)
        except psutil.Error:
            return False
    # Another machine's, or of before this one was started: the file system's own clock says when it was touched last.
    touched = os.fstat(fd).st_mtime
    os.utime(fd)
    now = os.fstat(fd).st_mtime
    os.utime(fd, (touched, touched))
    return abs(now - touched) < DEAD
