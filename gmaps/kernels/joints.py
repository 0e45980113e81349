"""The joints of one crop: where they are, and whether they are finite. NumPy takes longer to begin than these do."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit


@jit
def middle(joints):
    """Middle of the bounding box of (J, 3) float32 joints: x, y, z; NaN where one is not finite."""
    low = np.full(3, np.inf, np.float32)
    high = np.full(3, -np.inf, np.float32)
    total = np.float32(0)
    for j in range(joints.shape[0]):
        for a in range(3):
            v = joints[j, a]
            low[a] = min(low[a], v)
            high[a] = max(high[a], v)
            total += v * np.float32(0)
    # 0 times anything finite is 0.
    x, y, z = [(np.float64(low[a]) + np.float64(high[a])) / 2 + total for a in range(3)]
    return x, y, z


@jit
def finite(joints):
    """Whether all of (J, 3) float32 are finite."""
    total = np.float32(0)
    for j in range(joints.shape[0]):
        for a in range(3):
            total += joints[j, a] * np.float32(0)
    return total == 0


@jit
def plausible(joints, farthest):
    """Whether all of (J, 3) float32 are less than `farthest` from 0, and in front of the camera; NaN is not."""
    good = True
    for j in range(joints.shape[0]):
        for a in range(3):
            good &= abs(joints[j, a]) < farthest
        good &= joints[j, 2] > 0
    return good


@jit
def any_in_picture(joints, fx, fy, cx, cy, width, height):
    """Whether a pixel of an image shows where one of (J, 3) float32 joints, mm, camera axes, is."""
    for j in range(joints.shape[0]):
        z = np.float64(joints[j, 2])
        if z > 0:
            u, v = joints[j, 0] / z * fx + cx, joints[j, 1] / z * fy + cy
            if -0.5 <= u <= width - 0.5 and -0.5 <= v <= height - 0.5:
                return True
    return False


@jit
def pixels(joints, x, y, z, h, perspective, size, out):
    """Sub-pixel positions of joints on a grid over the cube.

    Parameters
    ----------
    joints : (J, 3) float32
        mm.
    x, y, z, h : float
        The cube, mm.
    perspective : bool
        Whether rows and columns are the image's.
    size : int
        Rows and columns of the grid.
    out : (J, 2) float64
        Filled with (row, col); an integer is a cell's centre.
    """
    for j in range(joints.shape[0]):
        ratio = z / np.float64(joints[j, 2]) if perspective else 1.0
        out[j, 0] = ((np.float64(joints[j, 1]) * ratio - y) / (2 * h) + 0.5) * size - 0.5
        out[j, 1] = ((np.float64(joints[j, 0]) * ratio - x) / (2 * h) + 0.5) * size - 0.5


@jit
def inside(joints, x, y, z, h, out):
    """Which joints lie in the cube.

    Parameters
    ----------
    joints : (J, 3) float32
        mm.
    x, y, z, h : float
        The cube, mm.
    out : (J,) bool
        Filled.
    """
    center = (np.float32(x), np.float32(y), np.float32(z))
    for j in range(joints.shape[0]):
        within = True
        for a in range(3):
            within &= abs((joints[j, a] - center[a]) / np.float32(h)) <= np.float32(1)
        out[j] = within
