"""Small pictures of many samples, as bytes that a page turns into grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import BACKGROUND

#: Codes of depth are 0, nearest, to this; `EMPTY` is where nothing is seen.
FARTHEST, EMPTY = 254, 255


def shrink_factor(size: int, wanted: int) -> int:
    """How many pixels become one, so that `size` rows become no fewer than `wanted`."""
    return max(1, size // max(wanted, 1))


def depth_codes(depth: NDArray[np.float32], factor: int) -> NDArray[np.uint8]:
    """(n, T, T): each sample's depth from its nearest to its farthest pixel.

    Parameters
    ----------
    depth : (n, S, S) float32
        As a store gives them.
    factor
        Pixels that become one, of which the nearest counts: thin fingers stay.
    """
    n, size = len(depth), depth.shape[1] // factor
    kept = depth[:, : size * factor, : size * factor]
    small = kept.reshape(n, size, factor, size, factor).min(axis=(2, 4))
    seen = small < BACKGROUND
    low = np.where(seen, small, np.inf).min(axis=(1, 2), keepdims=True)
    span = np.where(seen, small, -np.inf).max(axis=(1, 2), keepdims=True) - low
    with np.errstate(invalid="ignore"):
        # A crop of one depth, or of none, has no span.
        share = (small - low) / np.where(span > 0, span, 1)
    return np.where(seen, np.rint(np.where(seen, share, 0) * FARTHEST), EMPTY).astype(np.uint8)


def small_colors(color: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """(n, T, T, 3): every `factor`-th pixel of (n, S, S, 3)."""
    size = color.shape[1] // factor
    return np.ascontiguousarray(color[:, : size * factor : factor, : size * factor : factor])
