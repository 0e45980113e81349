"""A word about a process that ends without one: what it was at, and what to do about it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from gmaps.datasets.children import CAN_FORK, fork, leave_to_parent
from gmaps.formats.printable import printable


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
    pid = fork()
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
        told = {signal.SIGUSR1}
        signal.pthread_sigmask(signal.SIG_BLOCK, told)
        leave_to_parent(signal.SIGUSR1)
        while os.getppid() == parent:
            signal.sigwait(told)
        os.write(2, f"gmaps: {printable(text(), lines=False)}\n".encode(errors="replace"))
    finally:
        os._exit(0)
