"""Kernels of the 2D maps: one call a frame, all joints, cells in the outer loops and joints innermost."""

from __future__ import annotations

import math

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march import surface
from gmaps.kernels.march.lanes import FAR
from gmaps.kernels.march.sweep import march


@jit
def middles(size, h):
    """Middles of a grid's cells, mm from the cube's centre."""
    across = np.empty(size, np.float32)
    for i in range(size):
        across[i] = np.float32((i + 0.5) / size * 2 - 1) * np.float32(h)
    return across


@jit(inline="always")
def surface_point(d, down, right, x, y, z, h, perspective):
    """x, y and z, mm, of what a cell shows at depth d, cube units."""
    d = d * np.float32(h) + np.float32(z)
    ratio = d / np.float32(z) if perspective else np.float32(1)
    return (right + np.float32(x)) * ratio, (down + np.float32(y)) * ratio, d


@jit(inline="always")
def closeness(jx, jy, jz, x, y, z, least, limit, inverse, out):
    """`euclidean` of one cell."""
    for j in range(jx.size):
        dx = jx[j] - x
        dy = jy[j] - y
        dz = jz[j] - z
        d = np.sqrt(dx * dx + dy * dy + dz * dz)
        d = d if d > least else least
        d = d if d < limit else limit
        out[j] = np.float32(1) - d * inverse


@jit
def points(surface, x, y, z, h, perspective, halved, out):
    """Surface points of the map's cells.

    Parameters
    ----------
    surface : (H, H) float32
        Depth in the cube.
    x, y, z, h : float
        The cube, mm.
    perspective : bool
        Whether rows and columns are the image's.
    halved : bool
        As the original, which undoes z -> (z + 1) / 2 by leaving it as it is.
    out : (H, H, 3) float32
        mm, camera axes.
    """
    size = surface.shape[0]
    across = middles(size, h)
    for r in range(size):
        for c in range(size):
            d = (surface[r, c] + np.float32(1)) / np.float32(2) if halved else surface[r, c]
            out[r, c, 0], out[r, c, 1], out[r, c, 2] = surface_point(d, across[r], across[c], x, y, z, h, perspective)


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
            low = max(math.ceil(at - 8 * sigma), 0)
            high = min(math.floor(at + 8 * sigma), size - 1)
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
def euclidean(points, silhouette, joints, theta, smallest, out):
    """1 - min(d, theta) / theta, with d the distance from a cell's surface point to a joint; void 0.

    Parameters
    ----------
    points : (H, H, 3) float32
        Surface points, mm.
    silhouette : (H, H) bool
    joints : (J, 3) float32
        mm, same axes.
    theta, smallest : float
        Range of d, mm.
    out : (H, H, J) float32
    """
    size = silhouette.shape[0]
    jx = joints[:, 0].copy()
    jy = joints[:, 1].copy()
    jz = joints[:, 2].copy()
    limit = np.float32(theta)
    least = np.float32(smallest)
    inverse = np.float32(1.0 / theta)
    for r in range(size):
        for c in range(size):
            if not silhouette[r, c]:
                out[r, c, :] = np.float32(0)
                continue
            x, y, z = points[r, c, 0], points[r, c, 1], points[r, c, 2]
            closeness(jx, jy, jz, x, y, z, least, limit, inverse, out[r, c])


@jit
def directions(points, silhouette, joints, smallest, near, out):
    """Unit vectors from each cell's surface point to each joint; void 0, as is a vector shorter than `smallest` mm.

    Parameters
    ----------
    points : (H, H, 3) float32
    silhouette : (H, H) bool
    joints : (J, 3) float32
        mm, same axes.
    smallest : float
    near : (H, H, J) float32
        What goes before the vectors.
    out : (H, H, 4 J) float32
        `near`, then x, y, z of joint 0, then of joint 1, ...
    """
    size = silhouette.shape[0]
    n = joints.shape[0]
    jx = joints[:, 0].copy()
    jy = joints[:, 1].copy()
    jz = joints[:, 2].copy()
    least = np.float32(smallest)
    # Apart from the interleaved stores, so that roots and quotients run in vectors.
    factor = np.empty(n, np.float32)
    for r in range(size):
        for c in range(size):
            if not silhouette[r, c]:
                out[r, c, :] = np.float32(0)
                continue
            x = points[r, c, 0]
            y = points[r, c, 1]
            z = points[r, c, 2]
            for j in range(n):
                dx = jx[j] - x
                dy = jy[j] - y
                dz = jz[j] - z
                d = np.sqrt(dx * dx + dy * dy + dz * dz)
                factor[j] = np.float32(1) / d if d > least else np.float32(0)
            for j in range(n):
                out[r, c, j] = near[r, c, j]
            for j in range(n):
                at = n + np.uint32(3) * np.uint32(j)
                out[r, c, at] = (jx[j] - x) * factor[j]
                out[r, c, at + 1] = (jy[j] - y) * factor[j]
                out[r, c, at + 2] = (jz[j] - z) * factor[j]


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
        exp(-D^2 / 2) with D the distance to the segment in cells; else 1 where D <= 1, and 0.
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
        top = max(math.ceil(min(r0, r0 + dr) - reach), 0)
        bottom = min(math.floor(max(r0, r0 + dr) + reach), size - 1)
        left = max(math.ceil(min(c0, c0 + dc) - reach), 0)
        right = min(math.floor(max(c0, c0 + dc) + reach), size - 1)
        for r in range(top, bottom + 1):
            for c in range(left, right + 1):
                along = min(max(((r - r0) * dr + (c - c0) * dc) * inverse, 0.0), 1.0)
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
def nearness(t, cell, unit, theta, out, scale):
    """1 - T / T_max of the hand's cells; those that were not reached 0.

    Parameters
    ----------
    t : (n + 1, L) float32
        Distances from a march, joint j in column j.
    cell : float32
        Size of a cell in units of `t`.
    unit : float
        What one unit of `t` is in mm.
    theta : float
        What T is divided by, mm; 0 for each joint's own maximum.
    out : (n, J) float32
    scale : (J,) float32
        Filled with what T was divided by, mm: T_max, or a cell more than T_min where that is more.
    """
    n, joints = out.shape
    half = FAR * np.float32(0.5)
    high = np.zeros(t.shape[1], np.float32)
    low = np.full(t.shape[1], FAR, np.float32)
    factor = np.zeros(t.shape[1], np.float32)
    for i in range(n):
        # All lanes, also those of no joint: without a rest they are two or three vectors.
        for j in range(t.shape[1]):
            v = t[i, j]
            high[j] = v if (v < half and v > high[j]) else high[j]
            low[j] = v if v < low[j] else low[j]
    for j in range(joints):
        # Where all that is reached is equally far (an island of one cell), T_max alone would give a map of zeros.
        largest = np.float32(theta / unit) if theta > 0 else max(high[j], low[j] + cell)
        scale[j] = largest * np.float32(unit)
        factor[j] = np.float32(1) / largest
    for i in range(n):
        for j in range(joints):
            v = np.float32(1) - t[i, j] * factor[j]
            v = v if t[i, j] < half else np.float32(0)
            out[i, j] = v if v > 0 else np.float32(0)


@jit
def spread(cells, values, out):
    """Values (n, C) of the hand's cells on the map's grid, (H, H, C); the void is 0."""
    size = out.shape[1]
    out[:] = np.float32(0)
    for i in range(cells.size):
        row = out[cells[i] // size, cells[i] % size]
        for j in range(values.shape[1]):
            row[j] = values[i, j]


@jit
def geodesic(silhouette, joints_px, order, slowness, cell, theta, out, scale):
    """`sweep.march` in the plane, then `nearness`; `cell` and `theta` in mm."""
    cells, t = march(silhouette, joints_px, True, order, slowness)
    values = np.empty((cells.size, out.shape[2]), np.float32)
    nearness(t, np.float32(1), cell, theta, values, scale)
    spread(cells, values, out)


@jit
def geodesic_surface(silhouette, depth, joints_px, slowness, cell, theta, out, scale):
    """`surface.march` along the surface at `depth` mm, then `nearness`; `cell` and `theta` in mm."""
    cells, t = surface.march(silhouette, depth, joints_px, cell, slowness)
    values = np.empty((cells.size, out.shape[2]), np.float32)
    nearness(t, np.float32(cell), 1.0, theta, values, scale)
    spread(cells, values, out)
