"""Another view of a crop: by a rolled or mirrored camera, in another cube; and the way back. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop, Cube, Projection
from gmaps.kernels import colour, warp
from gmaps.maps import get_map
from gmaps.skeleton import Skeleton

#: Neighbours whose depths differ by more (mm) lie on two surfaces.
JUMP_MM = 10.0


@dataclass(frozen=True)
class Change:
    """What was done to a crop, and how to undo it.

    Parameters
    ----------
    turn : (3, 3) float64
        Orthogonal; old camera axes to new ones.
    before, after
        The cubes, each in its own camera axes.
    quarters
        Quarter turns (anticlockwise, as `np.rot90` turns the grid) where that, and mirroring first, is all that
        happened in the plane; else None.
    mirrored
        Whether columns were reversed first.
    skeleton
        Of the joints, where some of them swap in a mirror.
    """

    turn: NDArray[np.float64]
    before: Cube
    after: Cube
    quarters: int | None = None
    mirrored: bool = False
    skeleton: Skeleton | None = None

    @property
    def undo(self) -> NDArray[np.float32]:
        """(3, 3) float32: joints of the augmented crop, mm, as columns times this are those of the original.

        In the augmented crop's order: after mirroring a skeleton of two hands see `swap`.
        """
        return np.ascontiguousarray(self.turn.T, np.float32)

    def restore(self, joints_mm: ArrayLike) -> NDArray[np.float64]:
        """Joints of the augmented crop back in the original's camera axes.

        Parameters
        ----------
        joints_mm : (..., 3)
            mm, such as `prediction * cube[3] + cube[:3]` with the augmented crop's cube.

        Returns
        -------
        (..., 3) float64
            mm.
        """
        return self.swap(np.asarray(joints_mm, np.float64) @ self.turn)

    def swap(self, joints: NDArray[Any]) -> NDArray[Any]:
        """(..., J, 3) joints with those exchanged that a mirror exchanges, if this is one: left and right."""
        if not self.mirrored or self.skeleton is None or not self.skeleton.mirror:
            return joints
        return joints[..., self.skeleton.swapped, :]

    def carry(self, values: NDArray[np.float32], kind: str = "") -> NDArray[np.float32]:
        """A map of the original as that of the augmented crop, for kinds that `Augment.carries`.

        Parameters
        ----------
        values : (H, H, C)
            The map.
        kind
            Of which kind it is; to be said where a mirror exchanges joints.

        Raises
        ------
        UsageError
            After a change that is no quarter turn; or after one that exchanges joints, where the kind is not said, or
            has no channels to exchange.
        """
        if self.quarters is None:
            raise UsageError("only quarter turns and mirroring carry a map over; compute it from the augmented crop")
        if self.mirrored:
            values = values[:, ::-1]
            if self.skeleton is not None and self.skeleton.mirror:
                channels = get_map(kind).mirrored_channels(self.skeleton) if kind else None
                if channels is None:
                    what = f"{kind} does not mirror" if kind else "say of which kind the map is: carry(map, kind)"
                    raise UsageError(f"joints of {self.skeleton.name} swap in a mirror: {what}")
                values = values[..., channels]
        return np.ascontiguousarray(np.rot90(values, self.quarters))


def turn_matrix(angle: float, quarters: int | None, mirrored: bool) -> NDArray[np.float64]:
    """(3, 3): old camera axes to new ones, by an angle (radians), or by quarters as `np.rot90` turns the grid."""
    if quarters is not None:
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    else:
        cos, sin = math.cos(angle), math.sin(angle)  # type: ignore[assignment]
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float64)
    if mirrored:
        turn[:, 0] *= -1
    return turn


def bounded_shift(shift: float, near: float, far: float, size: float) -> float:
    """A cube's shift in depth, mm, by which it cuts no more off a hand than it does unshifted.

    Parameters
    ----------
    shift
        What is wanted, mm.
    near, far
        Of the hand, mm from the cube's centre; not finite where there is none.
    size
        Half the side of the shifted cube, mm.
    """
    if not shift or not math.isfinite(near):
        return shift
    # The shifted cube spans shift - size to shift + size around the old centre.
    return min(max(shift, min(far - size, 0.0)), max(near + size, 0.0))


class Resampling(NamedTuple):
    """What `gmaps.kernels.warp.warp` needs, and the cube of which it makes a crop."""

    after: Cube
    inverse: NDArray[np.float64]
    z_scale: float
    z_shift: float


def resampling(
    cube: Cube,
    projection: Projection,
    pixels: int,
    turn: NDArray[np.float64],
    size: float,
    shift: NDArray[np.float64],
) -> Resampling:
    """How a crop becomes that of another cube, seen by a turned camera; that cube is in the turned axes."""
    h, c = cube.half_side, np.asarray(cube.center, np.float64)
    after = Cube(tuple(turn @ (c + shift)), size)
    # Kept in float32 by the cube: what is drawn must be what it says.
    new, size = turn.T @ np.asarray(after.center, np.float64), after.half_side
    if not shift.any():
        new = c
    zoom = new[2] / c[2] if projection == "perspective" else 1.0
    # In the plane, in cube units: g' = turn (zoom (h g + c) - new) / size,
    # so g = (size turn^-1 g' + new - zoom c) / (zoom h).
    plane = turn[:2, :2].T * (size / (zoom * h))
    offset = (new[:2] - zoom * c[:2]) / (zoom * h)
    s = pixels
    # (row, col) are (y, x), and g = (2 p + 1) / s - 1.
    swap = plane[::-1, ::-1]
    first = swap @ np.full(2, 1.0 / s - 1) + offset[::-1]
    inverse = np.column_stack([swap, (first + 1) * s / 2 - 0.5])
    return Resampling(after, inverse, h / size, (c[2] - new[2]) / size if shift[2] else 0.0)


def move(
    crop: Crop, turn: NDArray[np.float64], size: float, shift: NDArray[np.float64], out: NDArray[np.float32],
    color: NDArray[np.uint8] | None = None,
) -> tuple[Cube, int]:  # fmt: skip
    """Write the crop of another cube, by a turned camera; that cube in the turned axes, and the hand pixels seen.

    With `color`, (S, S, 3) uint8, the crop's colour is written there.
    """
    after, inverse, z_scale, z_shift = resampling(crop.cube, crop.projection, crop.size, turn, size, shift)
    if color is not None and crop.color is not None:
        colour.warp(np.ascontiguousarray(crop.color), inverse, color)
    seen = warp.warp(np.ascontiguousarray(crop.depth), inverse, z_scale, z_shift, JUMP_MM / crop.cube.half_side, out)
    return after, int(seen)
