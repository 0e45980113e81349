"""What can go wrong, as one family of exceptions.

Every message names the file, the value and the cure. The command line prints the message alone and leaves
with `exit_code`; anything that is not a `GmapsError` is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GmapsError(Exception):
    """Base of all errors that gmaps raises on purpose."""

    exit_code = 1


class UsageError(GmapsError):
    """The request itself cannot be met: an argument out of range, options that exclude each other."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A map, data set, skeleton or solver that nobody registered."""


class RowError(UsageError, TypeError, IndexError):
    """Something that is no row number: a float, a mask of another length."""


class DatasetError(GmapsError):
    """The data set as a whole cannot be read: no root, another tree, labels that do not fit the frames."""


class FrameError(GmapsError):
    """One frame cannot be used. A build lists it as rejected and goes on."""


class StoreError(GmapsError):
    """A path that is no store, or a store that does not hold what was asked."""


class FingerprintError(StoreError):
    """The store was built from something else than what is asked for now."""


class StoreLockedError(StoreError):
    """Another live process writes this store."""


class CorruptStoreError(StoreError):
    """Bytes on disk are not those that were written."""


class DiskFullError(StoreError):
    """No space is left; all finished shards are kept."""


class OutputError(UsageError):
    """A file or folder that cannot be written, or would take the place of something that gmaps did not make."""


class SharedMemoryError(GmapsError):
    """The machine's shared memory has no room for what processes hand over."""


class PredictionError(GmapsError):
    """A file of predicted or true joints that cannot be read, or does not fit what it is compared with."""


class MissingExtraError(GmapsError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'guidance-maps[{extra}]'")
        self.package, self.extra, self.purpose = package, extra, purpose

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.package, self.extra, self.purpose)


def unknown_name(what: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """An `UnknownNameError` that suggests the nearest known name.

    Parameters
    ----------
    what
        The kind of thing, in the singular: "map", "data set".
    name
        What was asked for.
    known
        All that exists.
    """
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UnknownNameError(f"there is no {what} called {name!r}.{hint} Known: {', '.join(known)}.")
