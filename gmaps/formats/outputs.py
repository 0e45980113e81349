"""Files that commands write: whole or not there, and in the place of nothing but an earlier one of ours.

A file is written beside its place under a name of its own, flushed, and then given its name. What lies there already
is replaced only where it shows that gmaps made it; an input of the same command never is.
"""

from __future__ import annotations

import os
import stat
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gmaps.errors import OutputError
from gmaps.formats.regular import open_regular

#: Bytes at either end of a file by which it is known.
_ENDS = 4096
#: Whether a file is one that gmaps makes.
Ours = Callable[[Path], bool]


def holds(*marks: bytes) -> Ours:
    """Files with one of these words in their first or last 4 kB."""

    def ours(path: Path) -> bool:
        with open_regular(path) as file:
            ends = file.read(_ENDS)
            file.seek(max(0, os.fstat(file.fileno()).st_size - _ENDS))
            ends += file.read(_ENDS)
        return any(mark in ends for mark in marks)

    return ours


def holds_arrays(*names: str) -> Ours:
    """Files of NumPy (.npz) with at least these arrays."""

    def ours(path: Path) -> bool:
        try:
            with open_regular(path) as file, zipfile.ZipFile(file) as archive:
                return {f"{name}.npy" for name in names} <= set(archive.namelist())
        # Bytes that are no archive lead zipfile to errors of many kinds.
        except Exception:
            return False

    return ours


def check_place(path: str | os.PathLike[str], ours: Ours | None, inputs: Iterable[object] = ()) -> Path:
    """See that a file may be written somewhere.

    Parameters
    ----------
    path
        Where. Links are followed.
    ours
        What may be replaced; None: nothing.
    inputs
        Paths that the command reads, which it does not write. What is no file of this machine is left out.

    Returns
    -------
    Path
        Where links lead.

    Raises
    ------
    OutputError
        It is a directory, a pipe or a device, an input, or something that gmaps did not make; or its directory is
        not there.
    """
    given, place = os.fspath(path), Path(os.path.realpath(path))
    try:
        known = os.stat(place)
    except OSError:
        if not place.parent.is_dir():
            raise OutputError(f"{given}: cannot be written: there is no directory {place.parent}; make it") from None
        return place
    if stat.S_ISDIR(known.st_mode):
        raise OutputError(f"{given}: cannot be written: it is a directory; name a file in it")
    if not stat.S_ISREG(known.st_mode):
        raise OutputError(f"{given}: cannot be written: it is a pipe, a socket or a device; name a file")
    for source in inputs:
        with suppress(OSError, TypeError, ValueError):
            if os.path.samestat(known, os.stat(source)):  # type: ignore[arg-type]
                raise OutputError(f"{given} is what is read: choose another name for what is written")
    try:
        replaceable = known.st_size == 0 or (ours is not None and ours(place))
    except OSError as error:
        raise _unwritable(given, error) from error
    if not replaceable:
        raise OutputError(
            f"{given} is there already, and nothing says that gmaps made it: choose another name, or remove it"
        )
    return place


@contextmanager
def replacing(path: str | os.PathLike[str], ours: Ours | None, inputs: Iterable[object] = ()) -> Iterator[Path]:
    """A path to write to; what was written gets its name when the block ends, and is removed where it fails.

    Parameters
    ----------
    path, ours, inputs
        See `check_place`.

    Yields
    ------
    Path
        Beside the file's place, with its suffix.

    Raises
    ------
    OutputError
        See `check_place`; or the disk fails.
    """
    place = check_place(path, ours, inputs)
    temporary = place.with_name(f".{place.stem}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp{place.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _unwritable(path: str | os.PathLike[str], error: OSError) -> OutputError:
    return OutputError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}; what was there is kept")
