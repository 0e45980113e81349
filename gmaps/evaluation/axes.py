"""Predictions of another convention: told by what they say, and refused, or read as is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.conventions import find_reading, swap
from gmaps.errors import PredictionError, UsageError, unknown_name

#: Where x, y and z of gmaps point.
AXES = ("right", "down", "forward")
_OTHER = ("left", "up", "backward")
#: Mean errors up to this, mm, are good enough not to be explained.
_GOOD_MM = 10.0


def turn(xyz: NDArray[np.float64], axes: Sequence[str], unit: float, order: Sequence[int]) -> NDArray[np.float64]:
    """Joints in mm, x right, y down, z forward, in the evaluation's order.

    Parameters
    ----------
    xyz : (N, J, 3)
        As a file has them, pixels already turned into lengths.
    axes
        Where its x, y and z point: right or left, down or up, forward or backward.
    unit
        mm.
    order
        The place in the file of each of the J joints; empty where they are in order.

    Raises
    ------
    UsageError
        Axes, a unit or an order that cannot be.
    """
    if len(axes) != 3:
        raise UsageError(f"axes are three, like {','.join(AXES)}, not {','.join(axes)}")
    signs = []
    for axis, plus, minus in zip(axes, AXES, _OTHER, strict=True):
        if axis not in (plus, minus):
            raise unknown_name("direction of this axis", axis, (plus, minus))
        signs.append(1.0 if axis == plus else -1.0)
    if not (math.isfinite(unit) and unit > 0):
        raise UsageError(f"unit is what the file's numbers stand for, mm, more than 0: got {unit:g}")
    if order:
        if sorted(order) != list(range(xyz.shape[1])):
            raise UsageError(
                f"order has each place of the file's {xyz.shape[1]} joints once, 0 and on, not {list(order)}"
            )
        xyz = xyz[:, list(order)]
    return xyz * (np.array(signs) * unit)


def refuse_other_convention(
    name: str, predicted: NDArray[np.float64], true: NDArray[np.float64], camera: Camera, read_as: str
) -> None:
    """Refuse joints that another way to read them explains.

    Raises
    ------
    PredictionError
        Saying which, and the options that take it.
    """
    found = find_reading(predicted, true, camera, read_as, _GOOD_MM)
    if found is None:
        return
    options = [f"--coords {found.coordinates}"] if found.coordinates != read_as else []
    options += [f"--axes {found.axes}"] if found.flip else []
    options += [f"--unit {found.mm:g}"] if found.unit else []
    options += [f"--order {','.join(map(str, found.order))}"] if found.order else []
    raise PredictionError(
        f"{name}: are its columns {read_as}? Read so, the mean error is {found.before:.1f} mm; as "
        f"{found.describe()}, it would be {found.after:.1f} mm. Say {' '.join(options)}, or --as-is if the numbers "
        "are meant as they stand"
    )


def refuse_other_truth(
    path: str, true: NDArray[np.float64], predicted: NDArray[np.float64], camera: Camera, read_as: str
) -> None:
    """Refuse a file of true joints that holds x y z where u v d are read, or the other way round.

    Raises
    ------
    PredictionError
        With the option that takes it.
    """
    found = find_reading(true, predicted, camera, read_as, _GOOD_MM)
    if found is None or found.coordinates == read_as:
        return
    # Pixels taken for mm on both sides would fit, too: the truth is at fault where its hands leave the picture.
    if _in_picture(true, camera) < _in_picture(swap(true, camera, read_as), camera):
        raise PredictionError(
            f"{path}: are its columns {read_as}? Read so, predictions are {found.before:.1f} mm off; as "
            f"{found.describe()}, {found.after:.1f} mm. Say --groundtruth-coords {found.coordinates}"
        )


def _in_picture(xyz: NDArray[np.float64], camera: Camera) -> float:
    """Share of points that the camera sees."""
    with np.errstate(all="ignore"):
        u, v, d = np.moveaxis(camera.project(xyz), -1, 0)
    return float(((u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height) & (d > 0)).mean())
