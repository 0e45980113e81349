"""Rows that may end the process that makes them: a fault of a plug-in or a library that no exception tells of.

Such a row is made in a child. One that ends its child twice is a frame that cannot be used, like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from gmaps.datasets.children import CAN_FORK, ChildDied, each_in_child
from gmaps.errors import FrameError, GmapsError
from gmaps.formats.regular import read_regular
from gmaps.store.writer import disk_errors

T = TypeVar("T")

#: Of one shard. Where more rows end their process, it is no matter of frames.
MOST = 32
_DIGITS = 20


def try_rows(make: Callable[[int], T], rows: Sequence[int]) -> Generator[Callable[[], T], None, None]:
    """Makes rows in children.

    Parameters
    ----------
    make
        Makes a row, or raises `FrameError`.
    rows
        In this order.

    Yields
    ------
    callable
        Gives the row, or raises what `make` did, or a `FrameError` that says how it ends a process.

    Raises
    ------
    GmapsError
        Too many rows do.
    """
    if not CAN_FORK:
        yield from (partial(make, i) for i in rows)
        return
    dead = 0
    for i, outcome in each_in_child(make, rows):
        if isinstance(outcome, ChildDied):  # of it, or of something that merely happened then?
            outcome = next(each_in_child(make, [i]))[1]
        if isinstance(outcome, ChildDied):
            dead += 1
            if dead > MOST:
                raise GmapsError(
                    f"row {i} ends the process that makes it ({outcome}), as {MOST} rows before it did: that is no "
                    "fault of frames, but of memory, of a library or a plug-in. Finished shards are kept"
                )
            outcome = FrameError(f"ended the process that made it, twice: {outcome}")
        yield partial(_give, outcome)


def _give(outcome: T | Exception) -> T:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _row(content: bytes) -> int | None:
    text = content[:_DIGITS].strip()
    return int(text) if text.isdigit() and len(content) <= _DIGITS else None


class RowNote:
    """Which row this process makes, in a file that outlives the process: the next run makes that row in a child.

    Parameters
    ----------
    path
        Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def left(self) -> int | None:
        """The row at which the last run ended without a word, if one did; the note is removed."""
        try:
            content = read_regular(self.path)
        except OSError:
            return None
        with disk_errors(self.path):
            self.path.unlink()
        return _row(content)

    def last_words(self, name: Callable[[int], str]) -> str:
        """What is to be said of a process that has died within the `with` block: the row, its name, the cure."""
        row = None
        with suppress(OSError):
            row = _row(read_regular(self.path))
        where = "before it made a row" if row is None else f"at row {row} ({name(row)})"
        then = (
            "it goes on"
            if row is None
            else "that row is then made in a process of its own, and rejected if it ends that"
        )
        return f"the build ended without a word {where}. Run the same command again: {then}"

    def __enter__(self) -> Callable[[int], None]:
        with disk_errors(self.path):
            self.path.unlink(missing_ok=True)  # were it a link, the file that it leads to would be written
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        return self._note

    def _note(self, row: int) -> None:
        with disk_errors(self.path):
            os.pwrite(self._fd, b"%*d" % (_DIGITS, row), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        with suppress(OSError):
            self.path.unlink()
