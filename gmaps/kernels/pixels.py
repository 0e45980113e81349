"""Pixels of depth images to millimetres."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit


@jit
def green_blue_mm(image, top, left, background, out):
    """Depth that is kept as 256 G + B of a colour image, or of a part of it, in one pass.

    Parameters
    ----------
    image : (H, W, 3) uint8
        Blue, green, red.
    top, left : int
        Where the part begins.
    background : int
        Depths from here on, mm, are no data.
    out : (h, w) float32
        As large as the part, which lies within the image. Filled with mm, 0 where there is no data.

    Returns
    -------
    int
        0 if red is 0 everywhere in it.
    """
    red = np.uint8(0)
    limit = np.uint16(background)
    for r in range(out.shape[0]):
        line = image[top + r, left : left + out.shape[1]]
        for c in range(out.shape[1]):
            red |= line[c, 2]
            mm = np.uint16(line[c, 0] | (np.uint16(line[c, 1]) << np.uint16(8)))
            out[r, c] = np.float32(mm) if mm < limit else np.float32(0)
    return int(red)


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
