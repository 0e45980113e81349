"""What might kill a process, or never end, runs in a child that tells how it went."""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import pickle
import resource
import signal
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gmaps.errors import GmapsError

#: How a case ended: with a value, with an error of ours, with one that is not, or with the child's end.
FINE = ("value", "error")
#: Numbers that one child does: what works leak, such as the maps of `guarded`, has an end.
_A_CHILD = 1000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)


def outcome(work: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "value", work()
    except GmapsError as error:
        return "error", f"{type(error).__name__}: {error}"
    except BaseException as error:
        ours = [t for t in traceback.extract_tb(error.__traceback__) if "/tests/" not in t.filename]
        at = f"{os.path.basename(ours[-1].filename)}:{ours[-1].lineno}" if ours else "?"
        return "foreign", f"{type(error).__name__} at {at}: {str(error)[:200]}"


def in_children(
    work: Callable[[int], Any], numbers: Sequence[int], *, seconds: int = 20, memory: int = 0
) -> dict[int, tuple[str, Any]]:
    """Outcome of `work(k)` for each number; a child that dies is followed by another, which goes on behind it.

    Parameters
    ----------
    work
        What to do. Only small values should be returned.
    seconds
        For one case; then the child is ended by SIGALRM.
    memory
        Bytes of address space above what the process has now; 0 for no limit.
    """
    done: dict[int, tuple[str, Any]] = {}
    left = list(numbers)
    while left:
        some = left[:_A_CHILD]
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _child(work, some, seconds, memory, write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            while True:
                try:
                    k, result = pickle.load(pipe)
                except (EOFError, pickle.UnpicklingError):
                    break
                done[k] = result
        status = os.waitpid(pid, 0)[1]
        undone = [k for k in some if k not in done]
        if undone:
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"{status}"
            done[undone[0]] = ("killed", how)
        left = [*undone[1:], *left[len(some) :]]
    return done


def _child(work: Callable[[int], Any], numbers: Sequence[int], seconds: int, memory: int, write: int) -> None:
    try:
        faulthandler.disable()  # of pytest: its stacks would fill the tests' output
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if memory:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
            resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
        for k in numbers:
            signal.alarm(seconds)
            result = outcome(lambda k=k: work(k))
            signal.alarm(0)
            os.write(write, pickle.dumps((k, result)))
    finally:
        os._exit(0)


def bad(done: dict[int, tuple[str, Any]]) -> dict[int, tuple[str, Any]]:
    """The cases that ended as none may."""
    return {k: result for k, result in done.items() if result[0] not in FINE}


def guarded(content: bytes) -> int:
    """Address of a copy behind which the process has no memory: to read one byte too many is a signal."""
    pages = -(-max(len(content), 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    start = _LIBC.mmap(None, pages + mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, 0x22, -1, 0)
    assert start not in (None, ctypes.c_void_p(-1).value)
    assert _LIBC.mprotect(ctypes.c_void_p(start + pages), mmap.PAGESIZE, 0) == 0
    address = start + pages - len(content)
    ctypes.memmove(address, content, len(content))
    return address


def between_guards(shape: tuple[int, ...], dtype: Any) -> tuple[np.ndarray, Callable[[], bool]]:
    """An array to fill, and whether the bytes before and behind it are what they were."""
    pad, size = 8192, int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.full(size + 2 * pad, 0xA5, np.uint8)
    view = raw[pad : pad + size].view(dtype).reshape(shape)
    return view, lambda: bool((raw[:pad] == 0xA5).all() and (raw[pad + size :] == 0xA5).all())
