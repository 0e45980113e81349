"""Pixels of depth images to millimetres."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(nogil=True, cache=True)
def green_blue_mm(image, background, out):
    """Depth that is kept as 256 G + B of a colour image, in one pass.

    Parameters
    ----------
    image : (H, W, 3) uint8
        Blue, green, red.
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
    limit = np.uint16(background)
    for r in range(image.shape[0]):
        line = image[r]
        for c in range(image.shape[1]):
            red |= line[c, 2]
            mm = np.uint16(line[c, 0] | (np.uint16(line[c, 1]) << np.uint16(8)))
            out[r, c] = np.float32(mm) if mm < limit else np.float32(0)
    return int(red)
