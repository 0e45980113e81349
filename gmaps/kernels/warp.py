"""A crop seen from elsewhere, and with a sensor's faults: what augmentation needs."""

from __future__ import annotations

import math

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.raster import LAST

_WHOLE = 1e-4


@jit
def warp(depth, inverse, z_scale, z_shift, jump, out):
    """Resample a crop through an affine map of its grid.

    Between four hand pixels of one surface the value is interpolated; anywhere else the nearest pixel's is taken, so
    that no value lies between two surfaces, or between hand and void. On whole pixels nothing is interpolated.

    Parameters
    ----------
    depth : (S, S) float32
        1 is void.
    inverse : (2, 3) float64
        (row, col, 1) of the result -> (row, col) in `depth`.
    z_scale, z_shift : float
        New depth = z_scale * depth + z_shift; what then lies beyond [-1, 1] is void.
    jump : float
        Depths in one surface differ by at most this, in units of the old depth.
    out : (S, S) float32
        Written.

    Returns
    -------
    int
        Hand pixels in `out`.
    """
    rows, cols = depth.shape
    one = np.float32(1)
    zs, zt, same = np.float32(z_scale), np.float32(z_shift), np.float32(jump)
    seen = 0
    out[:] = one
    for i in range(out.shape[0]):
        row = inverse[0, 0] * i + inverse[0, 2]
        column = inverse[1, 0] * i + inverse[1, 2]
        for k in range(out.shape[1]):
            r = row + inverse[0, 1] * k
            c = column + inverse[1, 1] * k
            # What truncates to a whole number below is not negative.
            if not (r >= -0.5 and c >= -0.5 and r < rows - 0.5 and c < cols - 0.5):
                continue
            ri, ci = int(r + 0.5), int(c + 0.5)
            v = depth[ri, ci]
            if v >= one:
                continue
            r0, c0 = int(r), int(c)
            whole = abs(r - ri) < _WHOLE and abs(c - ci) < _WHOLE
            if not whole and r >= 0 and c >= 0 and r0 + 1 < rows and c0 + 1 < cols:
                a, b = depth[r0, c0], depth[r0, c0 + 1]
                d, e = depth[r0 + 1, c0], depth[r0 + 1, c0 + 1]
                high, low = max(max(a, b), max(d, e)), min(min(a, b), min(d, e))
                if high < one and high - low <= same:
                    fr, fc = np.float32(r - r0), np.float32(c - c0)
                    top, bottom = a + fc * (b - a), d + fc * (e - d)
                    v = top + fr * (bottom - top)
            v = zs * v + zt
            if v >= -one and v <= one:
                out[i, k] = min(v, LAST)
                seen += 1
    return seen


@jit(inline="always")
def mix(state):
    """The next of a sequence of 64 random bits (SplitMix64 of Steele et al., 2014) for a counter."""
    z = state * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def roughen(depth, key, noise, loss, jump, out):
    """Noise on every hand pixel, and lost pixels along edges.

    Parameters
    ----------
    depth : (S, S) float32
        1 is void.
    key : uint64
        Decides all that is random; a pixel's luck depends on it and on the pixel's place alone.
    noise : float
        Standard deviation, in units of depth. The sum of four uniform numbers: no value is further than 3.5 of it.
    loss : float
        Share of pixels lost where a neighbour is void, or further than `jump` away.
    jump : float
        In units of depth.
    out : (S, S) float32
        Written.

    Returns
    -------
    int
        Hand pixels in `out`.
    """
    rows, cols = depth.shape
    one = np.float32(1)
    low = np.uint64(0xFFFF)
    # Four uniform numbers of 16 bits have a variance of 4 * 65536^2 / 12.
    unit = np.float32(noise / (65536.0 / math.sqrt(3.0)))
    middle = np.float32(2 * 65535)
    share = np.float32(loss * 65536.0)
    seen = 0
    for i in range(rows):
        for k in range(cols):
            v = depth[i, k]
            out[i, k] = one
            if v >= one:
                continue
            start = key + np.uint64(2) * np.uint64(i * cols + k)
            if share > 0:
                edge = False
                for n in range(4):
                    r = i + (n == 0) - (n == 1)
                    c = k + (n == 2) - (n == 3)
                    if r >= 0 and r < rows and c >= 0 and c < cols:
                        other = depth[r, c]
                        edge = edge or other >= one or abs(other - v) > jump
                if edge and np.float32(mix(start + np.uint64(1)) & low) < share:
                    continue
            bits = mix(start)
            total = np.float32(bits & low) + np.float32((bits >> np.uint64(16)) & low)
            total += np.float32((bits >> np.uint64(32)) & low) + np.float32((bits >> np.uint64(48)) & low)
            v += unit * (total - middle)
            out[i, k] = max(-one, min(v, LAST))
            seen += 1
    return seen
