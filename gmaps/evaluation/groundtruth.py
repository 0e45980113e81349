"""True joints, from a file in the field's format or from a store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import PredictionError, StoreError
from gmaps.evaluation.files import Table, read_table
from gmaps.evaluation.protocols import Protocol


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
            Another number of rows, or names in another order.
        """
        rows = len(self.valid)
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
    table = read_table(path, protocol.counts)
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
    if protocol.coordinates == "uvd" and "camera" in store.attributes:
        # Data set and evaluation may take other focal lengths (ICVL); a file of pixels knows only the latter.
        joints[valid] = protocol.camera.unproject(Camera(**store.attributes["camera"]).project(joints[valid]))
    return GroundTruth(str(path), joints, (), valid)
