"""A run's folder: made, held by one run at a time, and rid of what a killed one left."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gmaps.training.params import TrainingError

#: What `save_checkpoint` writes before it gives it its name.
_TEMPORARY = re.compile(r"\.(last|best)\.pt\.\d+\.tmp")


@contextmanager
def run_folder(path: Path, first: bool = True) -> Iterator[None]:
    """Make a run's folder, and hold a lock on it that ends with this process, however that ends.

    Parameters
    ----------
    path
        The folder.
    first
        Whether this process writes; others of the same run do not lock.

    Raises
    ------
    TrainingError
        It is no folder, cannot be made or written, or another run holds it.
    """
    fd = None
    try:
        path.mkdir(parents=True, exist_ok=True)
        if first:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileExistsError:
        raise TrainingError(f"{path} is a file; --out is a folder, for checkpoints and log") from None
    except OSError as error:
        raise TrainingError(f"{path} cannot be made into a run's folder: {error.strerror or error}") from error
    try:
        if fd is not None:
            _lock(fd, path)
            for name in os.listdir(path):
                if _TEMPORARY.fullmatch(name):
                    (path / name).unlink(missing_ok=True)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise TrainingError(
                f"another process trains into {path} now: wait for it or stop it, or use another --out"
            ) from None
        # A file system that knows no locks, such as some network ones, takes runs without.
