"""Pixels of depth images to millimetres."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit


@jit
def green_blue_mm(image, background, out):
    """Depth that is kept as 256 G + B of a colour image, in one pass.

    Parameters
    ----------
    image : (H, W, 3) uint8, contiguous
        Red, green, blue.
    background : int
        Depths from here on, mm, are no data.
    out : (H, W) float32
        Filled with mm, 0 where there is no data.

    Returns
    -------
    int
        0 if red is 0 everywhere.
    """
    red = np.uint8(0)
    limit = np.int32(background)
    for r in range(out.shape[0]):
        # A line of bytes and a count that cannot be negative: only so it is vectorised.
        line, target = image[r].reshape(-1), out[r]
        for c in range(np.uint64(target.size)):
            red |= line[3 * c]
            mm = np.int32(line[3 * c + 2]) | (np.int32(line[3 * c + 1]) << np.int32(8))
            target[c] = np.float32(mm if mm < limit else np.int32(0))
    return int(red)


@jit
def red_green_mm(image, scale, out):
    """Depth that is kept as R + 256 G of a colour image, times a scale, in one pass; widened before it is added.

    Parameters
    ----------
    image : (H, W, 3) uint8, contiguous
        Red, green, blue.
    scale : float32
        mm that 1 stands for.
    out : (H, W) float32
        Filled with mm, 0 where there is no data.

    Returns
    -------
    int
        0 if blue is 0 everywhere.
    """
    blue = np.uint8(0)
    for r in range(out.shape[0]):
        line, target = image[r].reshape(-1), out[r]
        for c in range(np.uint64(target.size)):
            blue |= line[3 * c + 2]
            count = np.int32(line[3 * c]) | (np.int32(line[3 * c + 1]) << np.int32(8))
            target[c] = np.float32(count) * scale
    return int(blue)


@jit
def copy_depth(values, farthest, out):
    """Copy depths, and see whether they are some, in one pass.

    Parameters
    ----------
    values, out : (n,) float32
        mm.
    farthest : float32

    Returns
    -------
    bool
        Whether all are 0 or more, and below `farthest`; NaN is not.
    """
    good = True
    for i in range(values.size):
        v = values[i]
        good &= (v >= np.float32(0)) & (v < farthest)
        out[i] = v
    return good
