"""Error by viewpoint, as papers draw it for MSRA: mean error of the frames whose yaw, or pitch, is about so much."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError

#: Bins of two degrees, by their middles.
YAW = np.arange(-40, 41, 2)
PITCH = np.arange(-10, 91, 2)


def palm_angles(xyz: ArrayLike, wrist: int, index: int, middle: int, little: int) -> NDArray[np.float64]:
    """How the palm is turned away from the camera, from the joints alone.

    Parameters
    ----------
    xyz : (N, J, 3)
        mm, camera axes: x right, y down, z forward.
    wrist, index, middle, little
        The wrist and the roots of these fingers.

    Returns
    -------
    (N, 2) float64
        Degrees. Yaw: the turn about the vertical, 0 where the line from the index's to the little finger's root is
        as far away at both ends, positive where the index's end is nearer. Pitch: how far the line from the wrist to
        the middle finger's root points at the camera, 0 in the image plane and 90 straight at it.

    Notes
    -----
    A definition of ours. The angles that are published beside MSRA's predictions were made otherwise (how was not
    published); to draw papers' curves, give those.
    """
    p = np.asarray(xyz, np.float64)
    across, along = p[:, little] - p[:, index], p[:, middle] - p[:, wrist]
    yaw = np.arctan2(across[:, 2], np.hypot(across[:, 0], across[:, 1]))
    pitch = np.arctan2(-along[:, 2], np.hypot(along[:, 0], along[:, 1]))
    result: NDArray[np.float64] = np.degrees(np.stack([yaw, pitch], axis=1))
    return result


def viewpoint_curves(
    errors: ArrayLike, angles: ArrayLike
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]]:
    """Mean error by yaw and by pitch.

    Parameters
    ----------
    errors : (N, J)
        mm.
    angles : (N, 2)
        Yaw and pitch, degrees; rounded to the nearest even number.

    Returns
    -------
    dict
        "yaw" and "pitch": middles of the bins (degrees), mean error in each (mm, NaN where it holds no frame), and
        the number of frames in it.
    """
    e, a = np.asarray(errors, np.float64), np.asarray(angles, np.float64)
    if a.shape != (len(e), 2):
        raise UsageError(f"{len(e)} frames need angles of shape ({len(e)}, 2), got {a.shape}")
    frame, even = e.mean(axis=1), np.rint(a / 2) * 2
    curves = {}
    for column, (name, bins) in enumerate((("yaw", YAW), ("pitch", PITCH))):
        member = even[:, column, None] == bins
        count = member.sum(axis=0)
        total = frame @ member
        curves[name] = (bins, np.divide(total, count, out=np.full(len(bins), np.nan), where=count > 0), count)
    return curves
