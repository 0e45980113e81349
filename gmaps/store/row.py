"""What a reader gives: one row of a store, and all about a store but its values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import StoreError
from gmaps.frame import Crop, Cube, Projection
from gmaps.store.arrays import ArrayInfo


@dataclass(frozen=True)
class Sample:
    """One row of a store, decoded.

    Parameters
    ----------
    index
        Row in the store.
    frame, subject, sequence
        The frame's numbers in the data set.
    valid
        False where the frame was rejected; then `cube` is None, joints are NaN, depth is 1 and maps are 0.
    joints : (J, 3) float32
        mm, camera axes.
    cube
        The box around the hand.
    depth : (S, S) float32
        -1 near face to 1 far face; 1 where nothing is seen.
    maps
        Kind -> (H, H, C) float32, or (V, V, V, C) in voxels.
    scale
        Kind -> (C,) float32, what a value of 1 stands for, mm; only kinds that are normalised per joint.
    arrays
        What else the data set says of the frame, by name.
    hand : (S, S) bool, optional
        Which pixels are hand, where the store keeps it; else all that is nearer than 1.
    color : (S, S, 3) uint8, optional
        Red, green and blue, where the store keeps them.
    """

    index: int
    frame: int
    subject: int
    sequence: int
    valid: bool
    joints: NDArray[np.float32]
    cube: Cube | None
    depth: NDArray[np.float32]
    maps: dict[str, NDArray[np.float32]]
    scale: dict[str, NDArray[np.float32]]
    projection: Projection = "orthographic"
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    hand: NDArray[np.bool_] | None = None
    color: NDArray[np.uint8] | None = None

    @property
    def crop(self) -> Crop:
        """The crop from which the maps were made.

        Raises
        ------
        StoreError
            For a rejected frame.
        """
        if self.cube is None:
            raise StoreError(f"row {self.index} holds no crop: frame {self.frame} was rejected (see rejects.json)")
        return Crop(self.depth, self.cube, self.joints, self.projection, hand=self.hand, color=self.color)


@dataclass(frozen=True)
class StoreSpec:
    """All about a store but its values.

    Parameters
    ----------
    path
        Where it is.
    rows
        N.
    attributes
        The group's: format, data set, skeleton, camera, crop and map parameters, fingerprint, counts.
    arrays
        Name -> `ArrayInfo`.
    rejects
        Row, frame, name and reason of each rejected frame.
    """

    path: str
    rows: int
    attributes: dict[str, Any]
    arrays: dict[str, ArrayInfo]
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
