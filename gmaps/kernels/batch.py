"""Whole batches in one call: what training computes on the fly."""

from __future__ import annotations

import numpy as np

from gmaps.kernels import planar
from gmaps.kernels._jit import jit


@jit
def silhouettes(depth, out):
    """The silhouette that `raster.pool` gives of each of n crops, without the surface.

    Parameters
    ----------
    depth : (n, S, S) float32
        1 is background.
    out : (n, H, H) bool
        Filled: True where any of a cell's pixels is hand.
    """
    s = depth.shape[1]
    size = out.shape[1]
    row = np.empty(s, np.float32)
    for k in range(depth.shape[0]):
        for i in range(size):
            r0 = i * s // size
            r1 = max(((i + 1) * s + size - 1) // size, r0 + 1)
            row[:] = depth[k, r0]
            for r in range(r0 + 1, r1):
                line = depth[k, r]
                for c in range(s):
                    row[c] = line[c] if line[c] < row[c] else row[c]
            for j in range(size):
                c0 = j * s // size
                c1 = max(((j + 1) * s + size - 1) // size, c0 + 1)
                nearest = row[c0]
                for c in range(c0 + 1, c1):
                    nearest = min(nearest, row[c])
                out[k, i, j] = nearest < np.float32(1)


@jit
def geodesics(silhouette, joints_px, order, slowness, cell, theta, out):
    """`planar.geodesic` of each of n silhouettes.

    Parameters
    ----------
    silhouette : (n, H, H) bool
    joints_px : (n, J, 2) float64
    order, slowness
        As there.
    cell, theta : (n,) float64
    out : (n, H, H, J) float32
        Filled.
    """
    scale = np.empty(out.shape[3], np.float32)
    for k in range(silhouette.shape[0]):
        planar.geodesic(silhouette[k], joints_px[k], order, slowness, cell[k], theta[k], out[k], scale)
