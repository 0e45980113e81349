"""True joints, from a file in the field's format or from a store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import PredictionError, StoreError
from gmaps.evaluation.files import Table, read_table
from gmaps.evaluation.protocols import Protocol

if TYPE_CHECKING:
    from gmaps.store import Store


@dataclass(frozen=True)
class GroundTruth:
    """What predictions are compared with.

    Parameters
    ----------
    path
        Where it comes from, for messages.
    xyz : (N, J, 3) float64
        mm, camera axes.
    names
        Of the frames, where the file has them.
    valid : (N,) bool
        False for frames that a build rejected: a prediction may have a row for them, which does not count.
    coordinates
        "uvd" or "xyz", what a file was read as; empty for a store.
    """

    path: str
    xyz: NDArray[np.float64]
    names: tuple[str, ...]
    valid: NDArray[np.bool_]
    coordinates: str = ""

    @property
    def frames(self) -> int:
        """How many frames count."""
        return int(self.valid.sum())

    def keep(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Of (N, ...) values, those of frames that count."""
        return rows[self.valid]

    def match(self, table: Table, protocol: Protocol) -> NDArray[np.float64]:
        """A prediction's values, (frames, J, 3), row for row with the valid ones of the truth.

        Raises
        ------
        PredictionError
            Another number of rows, or names in another order; for a numbered protocol a frame twice or not at all.
        """
        rows = len(self.valid)
        if protocol.numbered and table.names:
            return table.values[self._numbered(table)]
        if len(table) != rows and len(table) != self.frames:
            hint = "frames and rows must correspond one to one"
            if protocol.other_release and len(table) == protocol.other_release[0]:
                hint = f"it is of {protocol.other_release[1]}, whose rows do not correspond to these"
            raise PredictionError(f"{table.path}: {len(table):,} rows, but {self.path} has {rows:,}; {hint}")
        whole = len(table) == rows
        if self.names and table.names and whole:
            for k, (a, b) in enumerate(zip(table.names, self.names, strict=True)):
                if a != b:
                    raise PredictionError(
                        f"{table.path}, line {table.lines[k]}: is of frame {a!a}, but {self.path} has {b!a} "
                        "there; sort one as the other"
                    )
        return table.values[self.valid] if whole else table.values

    def _numbered(self, table: Table) -> NDArray[np.int64]:
        """Rows of a table whose names are places of frames, in the order of the valid frames."""
        if self.names and all(name.isascii() and name.isdigit() for name in self.names):
            places = [int(name) for name in self.names]
        else:
            places = np.flatnonzero(self.valid).tolist()
        row_of: dict[int, int] = {}
        for k, name in enumerate(table.names):
            if not (name.isascii() and name.isdigit() and len(name) < 10):
                raise PredictionError(
                    f"{table.path}, line {table.lines[k]}: begins with {name[:30]!a}, where the place of its frame "
                    "in the split is to stand, 0 and on"
                )
            if row_of.setdefault(int(name), k) != k:
                raise PredictionError(f"{table.path}, line {table.lines[k]}: frame {name} is there twice")
        missing = [place for place in places if place not in row_of]
        if missing:
            raise PredictionError(
                f"{table.path}: {len(missing):,} of {len(places):,} frames have no line, the first is {missing[0]}"
            )
        return np.array([row_of[place] for place in places], np.int64)


def own_sides(store: Store) -> NDArray[np.float64] | None:
    """(N,) what x of a store's joints is multiplied with to be as the camera saw them; None where they are.

    Parameters
    ----------
    store
        Of a data set that may mirror left hands.

    Raises
    ------
    StoreError
        They are mirrored, and the store does not keep which.
    """
    if store.attributes["dataset"].get("spec", {}).get("mirror") != "left":
        return None
    if "side" not in store.further:
        raise StoreError(f"{store.path}: left hands are mirrored, and it does not keep which: build with arrays=side")
    return np.where(np.asarray(store.column("side")) < 0, -1.0, 1.0)


def is_json(path: str | os.PathLike[str], protocol: Protocol) -> bool:
    """Whether a file is of the protocol's own JSON, by its name."""
    return protocol.read_json is not None and os.fspath(path).endswith(".json")


def read_joints(path: str | os.PathLike[str], protocol: Protocol) -> Table:
    """A file of joints: lines of numbers, or the protocol's own JSON, which then holds x y z in mm.

    Raises
    ------
    PredictionError
        As `read_table`.
    """
    if protocol.read_json is None or not is_json(path, protocol):
        return read_table(path, protocol.counts)
    values = protocol.read_json(os.fspath(path))
    return Table(os.fspath(path), values, (), np.arange(len(values)))


def read_groundtruth(path: str | os.PathLike[str], protocol: Protocol, coordinates: str | None = None) -> GroundTruth:
    """True joints from a file or a store.

    Parameters
    ----------
    path
        A text file, or a store of the protocol's data set.
    protocol
        Says how many joints, and which camera.
    coordinates
        What a file holds; by default as usual for the data set.

    Raises
    ------
    PredictionError
        As `read_table`.
    StoreError
        No store, or one of another data set.
    """
    if Path(path).is_dir():
        return _from_store(Path(path), protocol)
    table = read_joints(path, protocol)
    coordinates = "xyz" if is_json(path, protocol) else coordinates
    xyz = protocol.select(protocol.to_xyz(table.values, coordinates))
    return GroundTruth(table.path, xyz, table.names, np.ones(len(xyz), bool), coordinates or protocol.coordinates)


def _from_store(path: Path, protocol: Protocol) -> GroundTruth:
    from gmaps.store import open_store  # here, because a text file needs no zarr

    store = open_store(path)
    name = store.attributes["dataset"]["name"]
    if name != protocol.name:
        raise StoreError(f"{path}: is a store of {name}, not of {protocol.name}; say --dataset {name}")
    valid = np.asarray(store.column("valid"), bool)
    if not valid.any():
        raise StoreError(f"{path}: all its frames were rejected, so there is nothing to compare with")
    joints = protocol.select(np.asarray(store.column("joints"), np.float64))
    sides = own_sides(store) if protocol.sided else None
    if sides is not None:
        joints[..., 0] *= sides[:, None]
    if protocol.coordinates == "uvd" and "camera" in store.attributes:
        # Data set and evaluation may take other focal lengths (ICVL); a file of pixels knows only the latter.
        joints[valid] = protocol.camera.unproject(Camera(**store.attributes["camera"]).project(joints[valid]))
    return GroundTruth(str(path), joints, (), valid)
