"""Fails one call to the file system after the other, or ends the process there.

The calls of Python's own modules are replaced, so that no compiler and no preloaded library is needed. What is
written through `open` counts call by call, too.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.safety.kit import outcome

#: Calls of `os` that change something.
_CHANGES = ("fsync", "rename", "replace", "mkdir", "unlink", "remove", "rmdir", "truncate", "pwrite", "utime")
#: And that look.
_LOOKS = ("read", "pread", "stat", "lstat", "scandir", "listdir")


class Faults:
    """Counts the calls that concern files below a folder, and does something at the n-th.

    Parameters
    ----------
    below
        The folder.
    at
        Number of the call, from 1; 0 only counts.
    how
        An errno to fail with, "kill" to end the process before the call, "killed" to end it behind.
    for_good
        Whether all later calls fail, too.
    reads
        Whether calls that only look count, too.
    """

    def __init__(
        self, below: Path, at: int = 0, how: int | str = 0, for_good: bool = False, reads: bool = False
    ) -> None:
        self.below, self.at, self.how, self.for_good, self.calls = str(below), at, how, for_good, 0
        self.reads = reads
        self.seen: list[str] = []

    def install(self) -> None:
        """For good: only in a child."""
        for name in _CHANGES + (_LOOKS if self.reads else ()):
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        os.open = self._opened(os.open)
        io.open = builtins.open = self._file(io.open)

    def _concerns(self, what: Any, dir_fd: int | None = None) -> bool:
        try:
            if isinstance(what, int):
                path = os.readlink(f"/proc/self/fd/{what}")
            elif dir_fd is not None:
                path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), os.fspath(what))
            else:
                path = os.path.abspath(os.fspath(what))
        except (OSError, TypeError):
            return False
        return str(path).startswith(self.below)

    def _hit(self, name: str, work: Callable[[], Any]) -> Any:
        self.calls += 1
        self.seen.append(name)
        here = self.calls == self.at or (self.for_good and 0 < self.at <= self.calls)
        if here and self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if here and isinstance(self.how, int) and self.how:
            raise OSError(self.how, os.strerror(self.how), self.below)
        try:
            return work()
        finally:
            if here and self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)

    def _wrapped(self, name: str, real: Any) -> Any:
        def call(what: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._concerns(what, kwargs.get("dir_fd")):
                return real(what, *args, **kwargs)
            return self._hit(f"{name} {what}", lambda: real(what, *args, **kwargs))

        return call

    def _opened(self, real: Any) -> Any:
        def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> Any:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not (writes or self.reads) or not self._concerns(path, kwargs.get("dir_fd")):
                return real(path, flags, *args, **kwargs)
            return self._hit(f"open {path}", lambda: real(path, flags, *args, **kwargs))

        return call

    def _file(self, real: Any) -> Any:
        def call(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            writes = set(mode) & set("wax+")
            if not (writes or self.reads) or isinstance(path, int) or not self._concerns(path):
                return real(path, mode, *args, **kwargs)
            if not writes:
                return self._hit(f"open {path}", lambda: real(path, mode, *args, **kwargs))
            return _File(self._hit(f"open {path}", lambda: real(path, mode, *args, **kwargs)), self)

        return call


class _File:
    """A file whose writes are counted."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, content: Any) -> Any:
        return self._faults._hit("write", lambda: self._file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *what: Any) -> None:
        self._file.close()


def with_faults(
    work: Callable[[], Any], below: Path, at: int = 0, how: int | str = 0, for_good: bool = False, reads: bool = False
) -> tuple[tuple[str, Any], list[str]]:
    """Outcome of a work in a child where a call fails; and the calls that were made, where it lived to tell."""
    import pickle

    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            faults = Faults(below, at, how, for_good, reads)
            faults.install()
            result = outcome(work)
            faults.below = "/nowhere at all"
            os.write(write, pickle.dumps((result, faults.seen)))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if told:
        found: tuple[tuple[str, Any], list[str]] = pickle.loads(told)
        return found
    return ("killed", os.WTERMSIG(status) if os.WIFSIGNALED(status) else status), []
