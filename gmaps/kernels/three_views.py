"""Three orthographic looks at the points of a crop: along z, y and x.

Views are (row, col) = (y, x), (x, z) and (z, y); the axis that is looked along is z, y and x.
"""

from __future__ import annotations

import math

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.whole import floor


@jit(inline="always")
def place(r, c, z, size, cx, cy, cz, h, perspective):
    """x and y of a crop's pixel at depth z, cube units; see `points_of`."""
    x = (c + 0.5) / size * 2 - 1
    y = (r + 0.5) / size * 2 - 1
    if perspective:
        ratio = (cz + z * h) / cz
        x = ((x * h + cx) * ratio - cx) / h
        y = ((y * h + cy) * ratio - cy) / h
    return x, y


@jit
def points_of(depth, cx, cy, cz, h, perspective):
    """Points of a crop's hand pixels that lie in the cube.

    Parameters
    ----------
    depth : (S, S) float32
    cx, cy, cz, h : float
        The cube, mm.
    perspective : bool
        Whether rows and columns are the image's.

    Returns
    -------
    (n, 3) float32
        x, y, z in cube units.
    """
    size = depth.shape[0]
    points = np.empty((size * size, 3), np.float32)
    n = 0
    for r in range(size):
        for c in range(size):
            z = depth[r, c]
            if z >= 1:
                continue
            x, y = place(r, c, z, size, cx, cy, cz, h, perspective)
            if abs(x) > 1 or abs(y) > 1:
                continue
            points[n, 0] = x
            points[n, 1] = y
            points[n, 2] = z
            n += 1
    return points[:n].copy()


@jit(inline="always")
def _cell(unit, size):
    return min(max(floor((unit + 1) * 0.5 * size), 0), size - 1)


@jit
def look(points, out, stored):
    """Three images of the points; the nearest along the axis looked along, the smallest, wins.

    Parameters
    ----------
    points : (n, 3) float32
    out : (S, S, 3) float32
        Filled with the coordinate that is looked along, in cube units; 1 where nothing is seen.
    stored : int
        -1, or the axis whose coordinate is stored in all three views, the largest winning, as the original does with
        z (2).
    """
    size = out.shape[0]
    nearest = np.full(out.shape, np.inf, np.float32)
    out[:] = np.float32(1)
    for i in range(points.shape[0]):
        for view in range(3):
            along = 2 - view
            row = 1 if view == 0 else (0 if view == 1 else 2)
            col = 0 if view == 0 else (2 if view == 1 else 1)
            r = _cell(points[i, row], size)
            c = _cell(points[i, col], size)
            rank = points[i, along] if stored < 0 else -points[i, stored]
            if rank < nearest[r, c, view]:
                nearest[r, c, view] = rank
                out[r, c, view] = points[i, stored if stored >= 0 else along]


@jit
def occupied(points, size):
    """(size, size, size) bool, axes x, y, z: voxels that hold a point."""
    out = np.zeros((size, size, size), np.bool_)
    for i in range(points.shape[0]):
        out[_cell(points[i, 0], size), _cell(points[i, 1], size), _cell(points[i, 2], size)] = True
    return out


@jit
def euclidean(voxels, joints, theta, least, out):
    """For each view, the largest 1 - min(d, theta) / theta of the occupied voxels behind a cell; void 0.

    Parameters
    ----------
    voxels : (H, H, H) bool
        Axes x, y, z.
    joints : (J, 3) float64
        Relative to the cube's centre, mm.
    theta, least : float
        The cube's side, and the least d, mm.
    out : (H, H, 3 J) float32
        Filled: view 0's joints, then view 1's, then view 2's.
    """
    size = voxels.shape[0]
    n = joints.shape[0]
    cell = theta / size
    out[:] = np.float32(0)
    for x in range(size):
        for y in range(size):
            for z in range(size):
                if not voxels[x, y, z]:
                    continue
                for j in range(n):
                    dx = joints[j, 0] - ((x + 0.5) * cell - 0.5 * theta)
                    dy = joints[j, 1] - ((y + 0.5) * cell - 0.5 * theta)
                    dz = joints[j, 2] - ((z + 0.5) * cell - 0.5 * theta)
                    d = max(math.sqrt(dx * dx + dy * dy + dz * dz), least)
                    near = np.float32(max(1 - d / theta, 0.0))
                    out[y, x, j] = max(out[y, x, j], near)
                    out[x, z, n + j] = max(out[x, z, n + j], near)
                    out[z, y, 2 * n + j] = max(out[z, y, 2 * n + j], near)


@jit
def _line(x, y, z, xx, yy, zz, out):
    """Mark what a straight line passes in each view, at points half a pixel apart."""
    size = out.shape[1]
    long = max(abs(xx - x), abs(yy - y), abs(zz - z)) * size
    steps = max(math.ceil(long), 1)
    for i in range(steps + 1):
        f = i / steps
        px = x + f * (xx - x)
        py = y + f * (yy - y)
        pz = z + f * (zz - z)
        a = _cell(px, size)
        b = _cell(py, size)
        c = _cell(pz, size)
        out[0, b, a] = True
        out[1, a, c] = True
        out[2, c, b] = True


@jit
def draw(depth, cx, cy, cz, h, perspective, step, out):
    """Silhouettes of a crop's surface in the three views, as fine as the crop.

    Parameters
    ----------
    depth : (S, S) float32
    cx, cy, cz, h : float
        The cube, mm.
    perspective : bool
        Whether rows and columns are the image's.
    step : float
        In cube units: neighbouring pixels whose depths differ by no more lie on one surface, which is drawn on from
        one to the other.
    out : (3, S, S) bool
        All False; filled, views as in `look`.
    """
    size = depth.shape[0]
    for r in range(size):
        for c in range(size):
            z = depth[r, c]
            if z >= 1:
                continue
            x, y = place(r, c, z, size, cx, cy, cz, h, perspective)
            if abs(x) > 1 or abs(y) > 1:
                continue
            _line(x, y, z, x, y, z, out)
            for k in range(2):
                rr, cc = r + k, c + 1 - k
                if rr == size or cc == size:
                    continue
                zz = depth[rr, cc]
                if zz >= 1 or abs(zz - z) > step:
                    continue
                xx, yy = place(rr, cc, zz, size, cx, cy, cz, h, perspective)
                if abs(xx) <= 1 and abs(yy) <= 1:
                    _line(x, y, z, xx, yy, zz, out)
