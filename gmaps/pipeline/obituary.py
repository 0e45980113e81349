"""A word about a process that ends without one: what it was at, and what to do about it."""

from __future__ import annotations

import ctypes
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from gmaps.datasets.children import CAN_FORK
from gmaps.formats.printable import printable

#: Of Linux' prctl: the signal that a process is sent when the thread that forked it ends.
_TELL_OF_PARENT = 1


@contextmanager
def obituary(text: Callable[[], str]) -> Iterator[None]:
    """While the block runs, a fork of this process sleeps; if this process just dies, it says so on stderr.

    A library's signal, or the system's when memory is out, leaves nobody else to speak. Where no fork can be trusted,
    nobody does.

    Parameters
    ----------
    text
        What to say, in a line; called in the fork, when this process is dead.
    """
    if not CAN_FORK:
        yield
        return
    here = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the fork needs nothing that they may hold
        pid = os.fork()
    if pid == 0:
        _wait(here, text)
    try:
        yield
    finally:
        if os.getpid() == here:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _wait(parent: int, text: Callable[[], str]) -> NoReturn:
    try:
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # Ctrl-C in a terminal reaches it too, and is the parent's affair
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        told = {signal.SIGUSR1}
        signal.pthread_sigmask(signal.SIG_BLOCK, told)
        ctypes.CDLL(None).prctl(_TELL_OF_PARENT, signal.SIGUSR1)
        while os.getppid() == parent:
            signal.sigwait(told)
        os.write(2, f"gmaps: {printable(text(), lines=False)}\n".encode(errors="replace"))
    finally:
        os._exit(0)
