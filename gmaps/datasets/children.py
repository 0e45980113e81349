"""Work that may end the process which does it: done in children, one number after the other.

A child is a fork of this process: it has all that was read, starts in milliseconds, and needs nothing to be sent.
Where a system cannot fork safely, nothing is tried in a child.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from gmaps.errors import FrameError

T = TypeVar("T")

#: Whether a fork of this process can be trusted to work: other systems' own libraries forbid it.
CAN_FORK = sys.platform == "linux"
#: Seconds after which a child that does one thing is thought to hang.
PATIENCE = 60.0
#: Of Linux' prctl: the signal that a process is sent when the thread that forked it ends.
_PARENT_SIGNAL = 1
#: Before each outcome.
_LENGTH = struct.Struct("=Q")


class ChildDied:
    """How a child ended that was at one number.

    Parameters
    ----------
    status
        Of `os.waitpid`; None for a child that said nothing for too long, and was ended.
    """

    def __init__(self, status: int | None) -> None:
        self.status = status

    def __str__(self) -> str:
        if self.status is None:
            return "it did not end"
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
            return name + (" (also the system's, when memory is out)" if number == signal.SIGKILL else "")
        return f"exit code {os.WEXITSTATUS(self.status)}"


def each_in_child(
    work: Callable[[int], T], numbers: Iterable[int], patience: float | None = None
) -> Iterator[tuple[int, T | Exception | ChildDied]]:
    """What `work` gives for each number, or raises, or how the child ended that tried.

    A child does one number after the other, until it dies; another goes on behind that number.

    Parameters
    ----------
    work
        What to do; what it returns can be pickled.
    numbers
        In this order.
    patience
        Seconds that one number may take; None for any time.

    Yields
    ------
    number, outcome
        In the order of `numbers`.
    """
    left = list(numbers)
    while left:
        pid, pipe = _start(work, left)
        hangs = False
        try:
            while left:
                try:
                    outcome = pickle.loads(_received(pipe, patience))  # from a fork of this very process
                except EOFError:
                    break
                except TimeoutError:
                    hangs = True
                    break
                yield left.pop(0), outcome
        finally:
            if left:  # dead, hanging, or nobody wants more of it
                os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            os.close(pipe)
        if left:
            yield left.pop(0), ChildDied(None if hangs else status)


def scout(work: Callable[[int], T], numbers: Sequence[int]) -> Iterator[tuple[int, T | FrameError | ChildDied]]:
    """As `each_in_child` where that works, and else in this process.

    What works on may hold what no fork can use: a graphics card, threads of its own. It shows by another error than
    of a frame, or by silence; then this process goes on.

    Raises
    ------
    Exception
        Any other than `FrameError`, from this process.
    """
    left = list(numbers)
    if CAN_FORK:
        for k, outcome in each_in_child(work, left.copy(), PATIENCE):
            if isinstance(outcome, ChildDied) and outcome.status is None:
                break
            if isinstance(outcome, Exception) and not isinstance(outcome, FrameError):
                break
            del left[0]
            yield k, outcome
    for k in left:
        try:
            yield k, work(k)
        except FrameError as error:
            yield k, error


def _start(work: Callable[[int], Any], numbers: list[int]) -> tuple[int, int]:
    read, write = os.pipe()
    pid = fork()
    if pid == 0:
        os.close(read)
        _child(work, numbers, write)
    os.close(write)
    return pid, read


def _child(work: Callable[[int], Any], numbers: list[int], write: int) -> NoReturn:
    try:
        # Whoever kills the parent means its children too: nothing is to write beside the build that comes next.
        leave_to_parent(signal.SIGKILL)
        with os.fdopen(write, "wb") as pipe:
            for k in numbers:
                content = tried(work, k)
                pipe.write(_LENGTH.pack(len(content)) + content)
                pipe.flush()
    finally:
        os._exit(0)  # nothing of the parent's is flushed or cleared up twice


def fork() -> int:
    """`os.fork`, without its warning of threads: those of ours that may be left wait idly, and hold nothing that a
    child needs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def leave_to_parent(number: int) -> None:
    """In a fork: Ctrl-C, which in a terminal reaches children too, is the parent's affair; when the parent ends, this
    process gets signal `number`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PARENT_SIGNAL, number)


def tried(work: Callable[[int], Any], k: int) -> bytes:
    """What `work(k)` gives or raises, pickled."""
    try:
        return pickle.dumps(work(k))
    except Exception as error:
        try:
            content = pickle.dumps(error)
            pickle.loads(content)
        except Exception:  # of an exception that cannot be sent
            return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
        return content


def _received(pipe: int, patience: float | None) -> bytes:
    """One outcome.

    Raises
    ------
    EOFError
        The child has ended.
    TimeoutError
        It says nothing.
    """

    poll = select.poll()  # select would take none but the first 1024 files of a process
    poll.register(pipe, select.POLLIN)

    def read(count: int) -> bytes:
        parts = []
        while count:
            if not poll.poll(None if patience is None else patience * 1000):
                raise TimeoutError
            part = os.read(pipe, min(count, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    return read(_LENGTH.unpack(read(_LENGTH.size))[0])
