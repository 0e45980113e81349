"""A run's folder: made, held by one run at a time, and rid of what a killed one left."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from gmaps.formats.regular import open_regular
from gmaps.training.checkpoint import CheckpointError, load_checkpoint
from gmaps.training.log import COLUMNS
from gmaps.training.params import TrainingError

_log = logging.getLogger("gmaps")
_HEADER = ",".join(COLUMNS[:6]).encode()
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


def move_others_aside(path: Path) -> None:
    """Before a run begins: what bears the name of one of its files and was not left by a run gets another name.

    Parameters
    ----------
    path
        The run's folder, locked.

    Raises
    ------
    TrainingError
        Something cannot be moved.
    """
    for name in ("last.pt", "best.pt", "log.csv"):
        file = path / name
        if not os.path.lexists(file) or _of_a_run(file):
            continue
        free = next(p for k in count(1) if not os.path.lexists(p := path / f"{name}.kept-{k}"))
        try:
            file.rename(free)
        except OSError as error:
            raise TrainingError(f"{file} cannot be moved aside: {error.strerror or error}") from error
        _log.info("%s was not left by a run, or is damaged: moved to %s", file, free)


def _of_a_run(file: Path) -> bool:
    try:
        if file.suffix == ".pt":
            load_checkpoint(file)
            return file.is_file()
        with open_regular(file) as log:
            begun = log.read(len(_HEADER))
    except (OSError, CheckpointError):
        return False
    return _HEADER.startswith(begun)  # a kill may have left less than the header


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise TrainingError(
                f"another process trains into {path} now: wait for it or stop it, or use another --out"
            ) from None
        # A file system that knows no locks, such as some network ones, takes runs without.
