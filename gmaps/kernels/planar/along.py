"""Distances travelled on the hand, as maps."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march import surface
from gmaps.kernels.march.cells import march, march_mask, march_surface
from gmaps.kernels.march.lanes import FAR


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
def geodesic(silhouette, depth, joints_px, slowness, cell, theta, out, scale):
    """`cells.march` over a crop's pixels, then `nearness`; `cell` and `theta` in mm."""
    cells, t = march(silhouette, depth, joints_px, slowness)
    values = np.empty((cells.size, out.shape[2]), np.float32)
    nearness(t, np.float32(1), cell, theta, values, scale)
    spread(cells, values, out)


@jit
def geodesic_mask(silhouette, mask, joints_px, slowness, cell, theta, out, scale):
    """`geodesic` over an (S, S) bool silhouette."""
    cells, t = march_mask(silhouette, mask, joints_px, slowness)
    values = np.empty((cells.size, out.shape[2]), np.float32)
    nearness(t, np.float32(1), cell, theta, values, scale)
    spread(cells, values, out)


@jit
def geodesic_surface(silhouette, depth, step, joints_px, slowness, cell, theta, out, scale):
    """`cells.march_surface`, then `nearness`; `step` in units of depth, `cell` and `theta` in mm."""
    cells, t = march_surface(silhouette, depth, step, joints_px, slowness)
    values = np.empty((cells.size, out.shape[2]), np.float32)
    nearness(t, np.float32(1), cell, theta, values, scale)
    spread(cells, values, out)


@jit
def surface_of_cells(silhouette, depth, joints_px, slowness, cell, theta, out, scale):
    """`surface.march` over the map's own cells at `depth` mm, then `nearness`."""
    cells, t = surface.march(silhouette, depth, joints_px, cell, slowness)
    values = np.empty((cells.size, out.shape[2]), np.float32)
    nearness(t, np.float32(cell), 1.0, theta, values, scale)
    spread(cells, values, out)
