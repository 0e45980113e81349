"""Several maps of a crop, or one map of many crops, in one call.

Of maps that are 0 in the void `on_hand` gives the values of the hand's cells alone: a hand covers a fifth of its map,
and a store keeps no more than that, so a build need not make the rest.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march.cells import march
from gmaps.kernels.planar.along import geodesic, nearness
from gmaps.kernels.planar.pool import pool
from gmaps.kernels.planar.straight import closeness, middles, surface_point


@jit
def on_hand(depth, size, thickness, joints, joints_px, x, y, z, h, perspective, slowness, theta, ways):
    """Values of `along.geodesic` and `straight.euclidean` in the hand's cells.

    Parameters
    ----------
    depth, size, thickness
        See `pool.pool`.
    joints : (J, 3) float32
        mm.
    joints_px : (J, 2) float64
        (row, col) on the map's grid.
    x, y, z, h : float
        The cube, mm.
    perspective : bool
        Whether rows and columns are the image's.
    slowness, theta
        Of `along.geodesic`.
    ways : int
        1 for along the hand, 2 for straight, 3 for both; what is not asked for is of no rows.

    Returns
    -------
    silhouette : (H, H) bool
    surface : (H, H) float32
    cells : (n,) int32
        Raveled.
    along, straight : (n, J) float32
    scale : (J,) float32
        Of `along`, mm.
    """
    n_joints = joints.shape[0]
    silhouette, surface = pool(depth, size, thickness)
    scale = np.empty(n_joints, np.float32)
    if ways & 1:
        cells, t = march(silhouette, depth, joints_px, slowness)
        along = np.empty((cells.size, n_joints), np.float32)
        nearness(t, np.float32(1), 2 * h / size, theta, along, scale)
    else:
        cells = np.flatnonzero(silhouette).astype(np.int32)
        along = np.empty((0, n_joints), np.float32)
    straight = np.empty((cells.size if ways & 2 else 0, n_joints), np.float32)
    if ways & 2:
        jx = joints[:, 0].copy()
        jy = joints[:, 1].copy()
        jz = joints[:, 2].copy()
        across = middles(size, h)
        limit = np.float32(2 * h)
        inverse = np.float32(1.0 / (2 * h))
        for i in range(cells.size):
            r = cells[i] // size
            c = cells[i] % size
            px, py, pz = surface_point(surface[r, c], across[r], across[c], x, y, z, h, perspective)
            closeness(jx, jy, jz, px, py, pz, limit, inverse, straight[i])
    return silhouette, surface, cells, along, straight, scale


@jit
def geodesics(silhouette, depth, joints_px, slowness, cell, theta, out, scale):
    """`along.geodesic` of each of n crops.

    Parameters
    ----------
    silhouette : (n, H, H) bool
    depth : (n, S, S) float32
    joints_px : (n, J, 2) float64
    slowness : float
        As there.
    cell, theta : (n,) float64
    out : (n, H, H, J) float32
    scale : (n, J) float32
        Filled.
    """
    for k in range(silhouette.shape[0]):
        geodesic(silhouette[k], depth[k], joints_px[k], slowness, cell[k], theta[k], out[k], scale[k])
