"""The folder of an export: it grows beside its place, for one process at a time, and replaces its like alone."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gmaps.errors import StoreLockedError, UsageError
from gmaps.formats.litter import is_litter
from gmaps.store.names import is_plain

#: The file of labels, by which an export is known.
ANNOTATION = "annotation"
#: Its attribute: names of all files of the export, as JSON. Nothing else is removed when the export is replaced.
FILES = "gmaps_files"
#: Lies in what is not finished.
_MARK = ".gmaps-export"


@contextmanager
def export_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """A new folder, which takes the place of `target` when the block ends, and is removed where it fails.

    Parameters
    ----------
    target
        Where; no link.
    overwrite
        Replace an earlier export.

    Raises
    ------
    UsageError
        Something is there that is not to be replaced, or is no export.
    StoreLockedError
        Another process exports there now.
    """
    new, old = (target.with_name(f".{target.name}.gmaps-{what}") for what in ("export", "replaced"))
    _check(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _held(new, target):
        if old.is_dir() and not old.is_symlink():  # an export was stopped between two names
            if os.path.lexists(target):
                _remove(old)
            else:
                old.rename(target)
        _check(target, overwrite)
        try:
            yield new
            (new / _MARK).unlink()
            if target.exists():
                target.rename(old)
            new.rename(target)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            with suppress(OSError):
                if not os.path.lexists(target) and old.is_dir():
                    old.rename(target)
            raise
        _remove(old)


def note_files(annotation: Any, names: list[str]) -> None:
    """Write into the open file of labels what the export consists of."""
    annotation.attrs[FILES] = json.dumps(sorted(names))


@contextmanager
def _held(new: Path, target: Path) -> Iterator[None]:
    """The unfinished folder, empty, held by this process."""
    busy = StoreLockedError(f"another process exports into {target} now: wait for it, or choose another place")
    with suppress(FileExistsError):
        new.mkdir()
    fd = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system that knows no locks takes exports without
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise busy from None
        try:
            same = os.path.samestat(os.stat(new), os.fstat(fd))
        except FileNotFoundError:
            same = False
        if not same:
            raise busy
        left = os.listdir(new)
        if left and _MARK not in left and _files_of(new) is None:
            raise UsageError(f"{new} is in the way, and gmaps did not make it: move it")
        for name in left:
            (new / name).unlink()
        (new / _MARK).touch()
        yield
    finally:
        os.close(fd)


def _check(target: Path, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not overwrite:
        raise UsageError(f"{target} is there already: choose another place, or use --overwrite to replace it")
    files = _files_of(target) if target.is_dir() else None
    if files is None:
        raise UsageError(
            f"{target} is no export of ours (no file {ANNOTATION} in it lists what was exported): choose another "
            "place, or remove it"
        )
    others = sorted(p.name for p in target.iterdir() if p.name not in files and not is_litter(p.name))
    if others:
        raise UsageError(
            f"{target} holds {others[0]!r}, which is no part of the export in it: move that, or choose another place"
        )


def _files_of(folder: Path) -> set[str] | None:
    """Names of the files of an export; None where it is none."""
    import h5py

    if not (folder / ANNOTATION).is_file():
        return None
    try:
        with h5py.File(folder / ANNOTATION, "r") as file:
            names = json.loads(str(file.attrs[FILES]))
        return {ANNOTATION, *(name for name in names if is_plain(name))}
    # What is no HDF5, or a damaged one, leads h5py to errors of many kinds.
    except Exception:
        return None


def _remove(folder: Path) -> None:
    """Remove an export, the file that says what it is last; what somebody else put into it stays."""
    files = _files_of(folder)
    if files is None:
        return
    others = [p.name for p in folder.iterdir() if is_litter(p.name)]
    for name in [*sorted(files - {ANNOTATION}), *others, ANNOTATION]:
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
