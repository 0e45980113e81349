"""What is drawn in the plane around joints and bones."""

from __future__ import annotations

import math

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.whole import ceil, floor


@jit
def heatmap(joints_px, sigma, out):
    """exp(-|cell - joint|^2 / 2 sigma^2), separably.

    Parameters
    ----------
    joints_px : (J, 2) float64
        (row, col).
    sigma : float
        Cells.
    out : (H, H, J) float32
    """
    size, _, joints = out.shape
    down = np.zeros((size, joints), np.float32)
    across = np.zeros((size, joints), np.float32)
    for j in range(joints):
        for axis in range(2):
            at = joints_px[j, axis]
            # Further than eight sigma a value is below 1e-13: as good as 0, and exp is what costs here.
            low = max(ceil(at - 8 * sigma), 0)
            high = min(floor(at + 8 * sigma), size - 1)
            for i in range(low, high + 1):
                d = (i - at) / sigma
                value = np.float32(math.exp(-0.5 * d * d))
                if axis == 0:
                    down[i, j] = value
                else:
                    across[i, j] = value
    for r in range(size):
        for c in range(size):
            for j in range(joints):
                out[r, c, j] = down[r, j] * across[c, j]


@jit
def limbs(ends, channel, probabilistic, all_first, out):
    """Closeness to limbs in the plane; a channel is the largest of its limbs.

    Parameters
    ----------
    ends : (B, 4) float64
        (row, col) of both ends of each limb.
    channel : (B,) int64
        Channel of each limb.
    probabilistic : bool
        exp(-D^2 / 2) with D the distance to the segment in cells; else 1 where D <= 1 and the cell lies beside the
        segment, not beyond its ends, and 0.
    all_first : bool
        Channel 0 is the largest of all others.
    out : (H, H, C) float32
        Filled.
    """
    size = out.shape[0]
    channels = out.shape[2]
    # Squared distances first: of the limbs of a channel only the nearest needs an exponential. Beyond six cells it
    # would be below 2e-8.
    reach = 6.0 if probabilistic else 1.0
    limit = np.float32(reach * reach + 1e-6)
    out[:] = limit
    for b in range(ends.shape[0]):
        r0, c0 = ends[b, 0], ends[b, 1]
        dr, dc = ends[b, 2] - r0, ends[b, 3] - c0
        square = dr * dr + dc * dc
        inverse = 1.0 / square if square > 0 else 0.0
        k = channel[b]
        top = max(ceil(min(r0, r0 + dr) - reach), 0)
        bottom = min(floor(max(r0, r0 + dr) + reach), size - 1)
        left = max(ceil(min(c0, c0 + dc) - reach), 0)
        right = min(floor(max(c0, c0 + dc) + reach), size - 1)
        for r in range(top, bottom + 1):
            for c in range(left, right + 1):
                along = ((r - r0) * dr + (c - c0) * dc) * inverse
                if not probabilistic and not 0.0 <= along <= 1.0:
                    continue
                along = min(max(along, 0.0), 1.0)
                away = (r - r0 - along * dr) ** 2 + (c - c0 - along * dc) ** 2
                out[r, c, k] = min(out[r, c, k], np.float32(away))
    for r in range(size):
        for c in range(size):
            best = limit
            for k in range(1 if all_first else 0, channels):
                away = out[r, c, k]
                best = min(best, away)
                out[r, c, k] = np.float32(0)
                if away < limit:
                    out[r, c, k] = math.exp(-0.5 * away) if probabilistic else 1.0
            if all_first:
                out[r, c, 0] = np.float32(0)
                if best < limit:
                    out[r, c, 0] = math.exp(-0.5 * best) if probabilistic else 1.0


@jit
def depths(heat, surface, silhouette, joints_d, least, out):
    """What goes behind a heat map: how far each joint lies behind the surface, where its heat is above `least`.

    Parameters
    ----------
    heat : (H, H, J) float32
    surface : (H, H) float32
        Depth of each cell.
    silhouette : (H, H) bool
    joints_d : (J,) float32
        Depth of the joints, same unit.
    least : float
    out : (H, H, 2 J) float32
        Filled: `heat`, then the differences; 0 elsewhere.
    """
    size, _, n = heat.shape
    limit = np.float32(least)
    for r in range(size):
        for c in range(size):
            for j in range(n):
                h = heat[r, c, j]
                out[r, c, j] = h
                behind = joints_d[j] - surface[r, c]
                out[r, c, n + j] = behind if silhouette[r, c] and h > limit else np.float32(0)
