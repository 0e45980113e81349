"""A store as HDF5 files in HandMap's own layout, so that what was written for the original reads them.

One LZF-compressed file a kind, named as the original names it and bearing one data set of that name, float32, one
chunk a row; beside them `annotation`, `pose_c` and `clean_<S>`. Rejected frames are left out, as the original leaves
out what it cannot use.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import DiskFullError, MissingExtraError, StoreError, unknown_name
from gmaps.store.export_folder import ANNOTATION, export_folder, note_files
from gmaps.store.local import Store

if TYPE_CHECKING:
    import h5py

#: Of a piece that is read and written at once, decoded.
PIECE_BYTES = 16 << 20
#: Rows in a chunk of the small tables.
_TABLE_ROWS = 1024
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def export_hdf5(
    store: Store,
    out: str | os.PathLike[str],
    maps: Sequence[str] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> list[Path]:
    """Writes a store as HDF5 files.

    Memory stays bounded whatever the store's size. The directory gets its name when all of it is on the disk.

    Parameters
    ----------
    store
        The store.
    out
        The directory to make.
    maps
        Kinds to export; all of the store's by default.
    names
        Kind -> what the original calls it; a kind that is not named, or whose name there is no plain word, keeps its
        own.
    overwrite
        Replace an earlier export.
    progress
        Called with the number of rows whenever some are written.

    Returns
    -------
    list of Path
        The files: `annotation`, `pose_c`, `clean_<S>`, and one a kind.

    Raises
    ------
    MissingExtraError
        When h5py is not installed.
    UsageError
        When `out` is there already and not to be replaced, or is no export, or holds more than the export.
    StoreLockedError
        When another process exports there now.
    UnknownNameError
        For a kind that the store does not have.
    DiskFullError
        Nothing of the export is left behind.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "export", "an export to HDF5") from error
    kinds = store.maps if maps is None else tuple(dict.fromkeys(maps))
    for kind in kinds:
        if kind not in store.maps:
            raise unknown_name(f"map in {store.path}", kind, store.maps)
    target = Path(os.path.realpath(out))
    with _disk(target), export_folder(target, overwrite) as folder:
        opened: dict[str, h5py.File] = {}
        with ExitStack() as files:

            def create(name: str) -> h5py.File:
                opened[name] = files.enter_context(h5py.File(folder / name, "w"))
                return opened[name]

            rows = int(store.column("valid").sum())
            columns = _columns(store, rows, kinds, names or {}, create)
            note_files(opened[ANNOTATION], list(opened))
            _stream(store, columns, progress or (lambda rows: None))
        written = sorted(opened)
        for name in written:
            with (folder / name).open("rb") as f:
                os.fsync(f.fileno())
    return [target / name for name in written]


@dataclass(frozen=True)
class _Column:
    """One data set of a file, and how its rows come from the store's arrays."""

    target: h5py.Dataset
    arrays: tuple[str, ...]
    convert: Callable[..., NDArray[Any]]


def _columns(
    store: Store, rows: int, kinds: Sequence[str], names: Mapping[str, str], create: Callable[[str], h5py.File]
) -> list[_Column]:
    """Makes the files, still empty."""
    shapes = {name: info.shape[1:] for name, info in store.spec.arrays.items()}
    found: list[_Column] = []

    def add(
        file: h5py.File,
        name: str,
        arrays: str | tuple[str, ...],
        shape: tuple[int, ...],
        dtype: str = "<f4",
        chunk: int = _TABLE_ROWS,
        convert: Callable[..., NDArray[Any]] = lambda values: values,
    ) -> None:
        chunks = (max(min(chunk, rows), 1), *shape)
        target = file.create_dataset(name, (rows, *shape), dtype, chunks=chunks, compression="lzf")
        found.append(_Column(target, (arrays,) if isinstance(arrays, str) else arrays, convert))

    labels = create(ANNOTATION)
    labels.attrs["gmaps"] = json.dumps(store.attributes)
    add(labels, "index", "frame", (), "<i4")
    add(labels, "poses", "joints", shapes["joints"])
    # The original's cube: half the side, then the centre.
    add(labels, "resce", "cube", (4,), convert=lambda cube: cube[:, [3, 0, 1, 2]])
    add(labels, "subject", "subject", (), "<i4")
    add(labels, "sequence", "sequence", (), "<i4")
    add(create("pose_c"), "pose_c", ("joints", "cube"), (math.prod(shapes["joints"]),),
        convert=lambda joints, cube: (joints - cube[:, None, :3]).reshape(len(joints), -1))  # fmt: skip
    size = shapes["depth"][-1]
    # The original's depth is 0 in the void, and 0 to 1 through the cube.
    add(create(f"clean_{size}"), "clean", "depth", (size, size), chunk=1,
        convert=lambda z: np.where(z < 1, (z + 1) / 2, 0))  # fmt: skip
    for kind in kinds:
        array, name = f"maps/{kind}", names.get(kind, "")
        name = name if re.fullmatch(r"\w+", name) else kind
        shape = shapes[array]
        file = create(f"{name}_{shape[0]}" if len(shape) > 1 else f"{name}")
        if len(shape) == 4 and shape[-1] == 1:  # volumes of one channel have no axis for it there; planes have
            add(file, name, array, shape[:-1], chunk=1, convert=lambda values: values[..., 0])
        else:
            add(file, name, array, shape, chunk=1)
        if f"{array}_scale" in shapes:
            add(file, "scale", f"{array}_scale", shapes[f"{array}_scale"])
    return found


def _stream(store: Store, columns: Sequence[_Column], progress: Callable[[int], object]) -> None:
    """Fills the files, a piece of rows at a time."""
    rows = np.flatnonzero(store.column("valid"))
    largest = max(4 * math.prod(c.target.shape[1:]) for c in columns)
    step = max(1, min(_TABLE_ROWS, PIECE_BYTES // largest))
    for start in range(0, len(rows), step):
        piece = rows[start : start + step].tolist()
        for c in columns:
            values = store.read(piece, c.arrays)
            c.target[start : start + len(piece)] = c.convert(*(values[a] for a in c.arrays))
        progress(len(piece))


@contextmanager
def _disk(target: Path) -> Iterator[None]:
    """Errors of the disk as ours."""
    try:
        yield
    except Exception as error:
        # HDF5 tells what the system said in its text alone, where it met it while closing.
        said = str(error)
        if isinstance(error, OSError | RuntimeError):
            number = getattr(error, "errno", None)
            if number in _FULL or any(os.strerror(n) in said for n in _FULL):
                raise DiskFullError(
                    f"{target}: the disk is full. Nothing of the export is kept: make room"
                ) from error
            why = getattr(error, "strerror", None) or error
            raise StoreError(f"{target} cannot be written: {why}") from error
        raise
