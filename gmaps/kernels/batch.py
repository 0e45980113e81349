"""Whole batches in one call: what training computes on the fly."""

from __future__ import annotations

import numba as nb
import numpy as np

from gmaps.kernels import planar, raster


@nb.njit(nogil=True, cache=True, error_model="numpy")
def silhouettes(depth, thickness, out):
    """`raster.pool` of each of n crops.

    Parameters
    ----------
    depth : (n, S, S) float32
        1 is background.
    thickness : (n,) float64
    out : (n, H, H) bool
        Filled; void where the thickness is not finite.
    """
    for k in range(depth.shape[0]):
        if np.isfinite(thickness[k]):
            out[k] = raster.pool(depth[k], out.shape[1], thickness[k])[0]
        else:
            out[k] = False


@nb.njit(nogil=True, cache=True, error_model="numpy")
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
