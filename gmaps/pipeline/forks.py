"""Shards made by forks of this process: they are there at once, with all that was read, and listen on no port.

A cluster's workers begin anew, import everything and read all labels, which takes a second or two of every core. What
a fork cannot use (a graphics card, threads of a library's own) shows in the first shards, and is left to a cluster.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn, TypeVar

from gmaps.datasets.children import ChildDied, fork, leave_to_parent, tried
from gmaps.pipeline import worker

T = TypeVar("T")

#: Numbers that a child has at a time: it makes frames of one while it flushes the one before to the disk.
AT_A_TIME = 2
#: Children that may die of one number.
LIVES = 2


@dataclass
class _Child:
    """A fork, and what it is at."""

    pid: int
    pipe: Connection
    started: float = field(default_factory=time.monotonic)
    given: list[int] = field(default_factory=list)
    spoke: bool = False


def share_out(
    work: Callable[[int], T], numbers: Sequence[int], count: int, patience: float
) -> Generator[tuple[int, T | Exception | ChildDied], None, None]:
    """What `work` gives for each number, or raises, from several forks; or how the children ended that tried.

    Parameters
    ----------
    work
        What to do, in one of two threads; what it returns can be pickled.
    numbers
        Handed out in this order.
    count
        Children.
    patience
        Seconds that a child may take for its first number: later it has shown that it works.

    Yields
    ------
    number, outcome
        As they come. `ChildDied` after `LIVES` children that had the number; with no status for one that says
        nothing, after which nothing more comes.
    """
    todo, deaths = deque(numbers), Counter[int]()
    children: list[_Child] = []
    try:
        while todo or any(child.given for child in children):
            while len(children) < count and todo:
                children.append(_start(work, [child.pipe for child in children]))
                _give(children[-1], todo)
            waiting = [child.started + patience for child in children if not child.spoke]
            left = max(min(waiting) - time.monotonic(), 0) if waiting else None
            ready = wait([child.pipe for child in children], left)
            if not ready:
                silent = min((c for c in children if not c.spoke), key=lambda c: c.started)
                yield silent.given[0], ChildDied(None)
                return
            for child in [c for c in children if c.pipe in ready]:
                try:
                    number, content = child.pipe.recv()
                except (EOFError, OSError):
                    children.remove(child)
                    status = _ended(child)
                    for number in reversed(child.given):
                        deaths[number] += 1
                        if deaths[number] < LIVES:
                            todo.appendleft(number)
                        else:
                            yield number, ChildDied(status)
                    continue
                child.spoke = True
                child.given.remove(number)
                _give(child, todo)
                yield number, pickle.loads(content)  # from a fork of this very process
    finally:
        for child in children:
            if child.given:  # hanging, or nobody wants more of it
                os.kill(child.pid, signal.SIGKILL)
            _ended(child)


def _give(child: _Child, todo: deque[int]) -> None:
    while todo and len(child.given) < AT_A_TIME:
        with suppress(OSError):  # it is dead, and will be found so
            child.pipe.send(todo[0])
        child.given.append(todo.popleft())


def _ended(child: _Child) -> int:
    with suppress(OSError):
        child.pipe.send(None)
    status = os.waitpid(child.pid, 0)[1]
    child.pipe.close()
    return status


def _start(work: Callable[[int], Any], others: Sequence[Connection]) -> _Child:
    ours, theirs = Pipe()
    pid = fork()
    if pid == 0:
        for pipe in (ours, *others):
            pipe.close()
        _run(work, theirs)
    theirs.close()
    return _Child(pid, ours)


def _run(work: Callable[[int], Any], pipe: Connection) -> NoReturn:
    try:
        # Whoever kills the parent means its children too: nothing is to write beside the build that comes next.
        leave_to_parent(signal.SIGKILL)
        # A child has one core; libraries that start threads of their own would fight over it.
        if "cv2" in sys.modules:
            sys.modules["cv2"].setNumThreads(1)
        worker.take_turns()
        speaks = threading.Lock()

        def one(number: int) -> None:
            content = tried(work, number)
            with speaks:
                pipe.send((number, content))

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            while (number := pipe.recv()) is not None:
                pool.submit(one, number)
    finally:
        os._exit(0)  # nothing of the parent's is flushed or cleared up twice
