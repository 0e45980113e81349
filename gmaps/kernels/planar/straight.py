"""Straight distances in space from what the cells show to the joints, and their directions."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit


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
def closeness(jx, jy, jz, x, y, z, limit, inverse, out):
    """`euclidean` of one cell."""
    for j in range(jx.size):
        dx = jx[j] - x
        dy = jy[j] - y
        dz = jz[j] - z
        d = np.sqrt(dx * dx + dy * dy + dz * dz)
        d = d if d < limit else limit
        out[j] = np.float32(1) - d * inverse


@jit
def points(surface, x, y, z, h, perspective, out):
    """Surface points of the map's cells.

    Parameters
    ----------
    surface : (H, H) float32
        Depth in the cube.
    x, y, z, h : float
        The cube, mm.
    perspective : bool
        Whether rows and columns are the image's.
    out : (H, H, 3) float32
        mm, camera axes.
    """
    size = surface.shape[0]
    across = middles(size, h)
    for r in range(size):
        for c in range(size):
            d = surface[r, c]
            out[r, c, 0], out[r, c, 1], out[r, c, 2] = surface_point(d, across[r], across[c], x, y, z, h, perspective)


@jit
def euclidean(points, silhouette, joints, theta, out):
    """1 - min(d, theta) / theta, with d the distance from a cell's surface point to a joint; void 0.

    Parameters
    ----------
    points : (H, H, 3) float32
        Surface points, mm.
    silhouette : (H, H) bool
    joints : (J, 3) float32
        mm, same axes.
    theta : float
        Most of d, mm.
    out : (H, H, J) float32
    """
    size = silhouette.shape[0]
    jx = joints[:, 0].copy()
    jy = joints[:, 1].copy()
    jz = joints[:, 2].copy()
    limit = np.float32(theta)
    inverse = np.float32(1.0 / theta)
    for r in range(size):
        for c in range(size):
            if not silhouette[r, c]:
                out[r, c, :] = np.float32(0)
                continue
            x, y, z = points[r, c, 0], points[r, c, 1], points[r, c, 2]
            closeness(jx, jy, jz, x, y, z, limit, inverse, out[r, c])


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
