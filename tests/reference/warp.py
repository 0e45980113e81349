"""Slow readable twins of `gmaps.kernels.warp`."""

from __future__ import annotations

import numpy as np

LAST = np.float32(0.99951171875)


def warp(depth, inverse, z_scale, z_shift, jump):
    """Pixel by pixel: where it comes from, one surface or not, then the new depth."""
    s = len(depth)
    out = np.ones_like(depth)
    for i in range(s):
        for k in range(s):
            r, c = inverse @ [i, k, 1]
            near_r, near_c = int(np.floor(r + 0.5)), int(np.floor(c + 0.5))
            if not (0 <= near_r < s and 0 <= near_c < s) or depth[near_r, near_c] >= 1:
                continue
            value = depth[near_r, near_c]
            r0, c0 = int(np.floor(r)), int(np.floor(c))
            between = max(abs(r - near_r), abs(c - near_c)) >= 1e-4
            if between and 0 <= r0 < s - 1 and 0 <= c0 < s - 1:
                four = depth[r0 : r0 + 2, c0 : c0 + 2]
                if four.max() < 1 and four.max() - four.min() <= jump:
                    value = np.array([1 - (r - r0), r - r0]) @ four @ np.array([1 - (c - c0), c - c0])
            value = z_scale * value + z_shift
            if -1 <= value <= 1:
                out[i, k] = min(value, LAST)
    return out


def edges(depth, jump):
    """Hand pixels beside the void or a jump; the border of the image is none."""
    found = np.zeros(depth.shape, bool)
    s = len(depth)
    for r in range(s):
        for c in range(s):
            for i, k in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if 0 <= i < s and 0 <= k < s and depth[r, c] < 1:
                    found[r, c] |= depth[i, k] >= 1 or abs(depth[i, k] - depth[r, c]) > jump
    return found
