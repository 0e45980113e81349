"""Voxel grids of a crop's points. Axes are x, y, z; a cell is its raveled index, z fastest.

Few voxels hold a point, so kernels take the list of those and write nowhere else: the caller hands in zeros, which
cost nothing until they are touched.
"""

from __future__ import annotations

import math

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.three_views import _cell, place

#: Distances are truncated at this many voxels.
BAND = 3


@jit
def count(points, size, counts):
    """How many points each voxel holds.

    Parameters
    ----------
    points : (n, 3) float32
        x, y, z in cube units, -1 to 1.
    size : int
        V, voxels along an axis.
    counts : (V^3,) float32
        Zeros; filled.

    Returns
    -------
    (m,) int64
        The voxels that hold a point, in the order in which they were met.
    """
    cells = np.empty(points.shape[0], np.int64)
    m = 0
    for i in range(points.shape[0]):
        x = _cell(points[i, 0], size)
        y = _cell(points[i, 1], size)
        z = _cell(points[i, 2], size)
        at = (x * size + y) * size + z
        if counts[at] == 0:
            cells[m] = at
            m += 1
        counts[at] += np.float32(1)
    return cells[:m].copy()


@jit
def join(depth, cx, cy, cz, h, perspective, step, voxels):
    """Mark the voxels that the surface passes between neighbouring pixels.

    On a steep part, neighbours fall into voxels that do not touch. Half the way in depth is made at the one pixel,
    half at the other: on grids no finer than the crop, all voxels of a surface then hang together by faces.

    Parameters
    ----------
    depth : (S, S) float32
        A crop's.
    cx, cy, cz, h : float
        The cube, mm.
    perspective : bool
        Whether rows and columns are the image's.
    step : float
        Neighbours whose depths differ by more, in cube units, lie on different surfaces.
    voxels : (V, V, V) bool
        Axes x, y, z; changed in place.
    """
    rows = depth.shape[0]
    size = voxels.shape[0]
    for r in range(rows):
        for c in range(rows):
            z = depth[r, c]
            if z >= 1:
                continue
            x, y = place(r, c, z, rows, cx, cy, cz, h, perspective)
            if abs(x) > 1 or abs(y) > 1:
                continue
            for down in range(2):
                r2 = r + down
                c2 = c + 1 - down
                if r2 >= rows or c2 >= rows:
                    continue
                z2 = depth[r2, c2]
                if z2 >= 1 or abs(z2 - z) > step:
                    continue
                x2, y2 = place(r2, c2, z2, rows, cx, cy, cz, h, perspective)
                if abs(x2) > 1 or abs(y2) > 1:
                    continue
                middle = _cell((z + z2) * 0.5, size)
                here = _cell(z, size)
                there = _cell(z2, size)
                for k in range(min(here, middle), max(here, middle) + 1):
                    voxels[_cell(x, size), _cell(y, size), k] = True
                for k in range(min(there, middle), max(there, middle) + 1):
                    voxels[_cell(x2, size), _cell(y2, size), k] = True


@jit(inline="always")
def _splat(cell, size, lut, out, channels, channel):
    """Lower the magnitudes around a voxel to their distance from it, in thirds of a voxel; signs stay."""
    reach = BAND - 1
    z = cell % size
    y = cell // size % size
    x = cell // (size * size)
    z0 = max(z - reach, 0)
    z1 = min(z + reach, size - 1)
    for i in range(max(x - reach, 0), min(x + reach, size - 1) + 1):
        for k in range(max(y - reach, 0), min(y + reach, size - 1) + 1):
            square = (i - x) * (i - x) + (k - y) * (k - y)
            line = (i * size + k) * size
            for l in range(z0, z1 + 1):
                d = lut[square + (l - z) * (l - z)]
                at = (line + l) * channels + channel
                old = out[at]
                if d < abs(old):
                    out[at] = -d if old < 0 else d


@jit
def _distances():
    """Distance by its square, voxels, divided by `BAND` and at most 1."""
    lut = np.ones(3 * BAND * BAND, np.float32)
    for k in range(BAND * BAND):
        lut[k] = math.sqrt(k) / BAND
    return lut


@jit
def truncated_distance(cells, size, out):
    """Distance to the nearest voxel that holds a point, over `BAND` voxels, at most 1.

    Parameters
    ----------
    cells : (m,) int64
    size : int
        V.
    out : (V^3,) float32
        Filled.
    """
    lut = _distances()
    out[:] = np.float32(1)
    for i in range(cells.size):
        _splat(cells[i], size, lut, out, 1, 0)


@jit
def tsdf(cells, size, out):
    """Signed distance to the surface as seen along each axis, over `BAND` voxels, cut to [-1, 1].

    Seen along an axis is, on each line of voxels, the first that holds a point. The distance is that to the nearest
    one seen; it is positive before the one seen on the voxel's own line, and where there is none, negative behind.

    Parameters
    ----------
    cells : (m,) int64
    size : int
        V.
    out : (V^3 * 3,) float32
        Filled; the channel is the axis looked along.
    """
    lut = _distances()
    front = np.full((3, size, size), size, np.int32)
    for i in range(cells.size):
        z = cells[i] % size
        y = cells[i] // size % size
        x = cells[i] // (size * size)
        front[0, y, z] = min(front[0, y, z], x)
        front[1, x, z] = min(front[1, x, z], y)
        front[2, x, y] = min(front[2, x, y], z)
    one = np.float32(1)
    at = 0
    for x in range(size):
        for y in range(size):
            first = front[2, x, y]
            for z in range(size):
                out[at] = -one if x > front[0, y, z] else one
                out[at + 1] = -one if y > front[1, x, z] else one
                out[at + 2] = -one if z > first else one
                at += 3
    for i in range(cells.size):
        z = cells[i] % size
        y = cells[i] // size % size
        x = cells[i] // (size * size)
        if front[0, y, z] == x:
            _splat(cells[i], size, lut, out, 3, 0)
        if front[1, x, z] == y:
            _splat(cells[i], size, lut, out, 3, 1)
        if front[2, x, y] == z:
            _splat(cells[i], size, lut, out, 3, 2)


@jit
def vectors(cells, size, joints, theta, out):
    """From the centre of each voxel that holds a point to each joint, mm.

    Parameters
    ----------
    cells : (m,) int64
    size : int
        V.
    joints : (J, 3) float64
        Relative to the cube's centre, mm.
    theta : float
        The cube's side, mm.
    out : (V^3, 3 J) float32
        Zeros; x, y, z of joint 0, then of joint 1, ... are written where a voxel holds a point.
    """
    cell = theta / size
    for i in range(cells.size):
        at = cells[i]
        x = (at // (size * size) + 0.5) * cell - 0.5 * theta
        y = (at // size % size + 0.5) * cell - 0.5 * theta
        z = (at % size + 0.5) * cell - 0.5 * theta
        for j in range(joints.shape[0]):
            out[at, 3 * j] = joints[j, 0] - x
            out[at, 3 * j + 1] = joints[j, 1] - y
            out[at, 3 * j + 2] = joints[j, 2] - z


@jit
def offsets(cells, size, joints, theta, out):
    """Nearness and direction of each joint from the centre of each voxel that holds a point.

    Parameters
    ----------
    cells, size, joints, theta
        As for `vectors`.
    out : (V^3, 4 J) float32
        Zeros; where a voxel holds a point, 1 - min(d, theta) / theta of all joints, then their unit vectors.
    """
    cell = theta / size
    n = joints.shape[0]
    for i in range(cells.size):
        at = cells[i]
        x = (at // (size * size) + 0.5) * cell - 0.5 * theta
        y = (at // size % size + 0.5) * cell - 0.5 * theta
        z = (at % size + 0.5) * cell - 0.5 * theta
        for j in range(n):
            dx = joints[j, 0] - x
            dy = joints[j, 1] - y
            dz = joints[j, 2] - z
            d = math.sqrt(dx * dx + dy * dy + dz * dz)
            f = 1 / d if d > 1e-6 else 0.0
            out[at, j] = max(1 - d / theta, 0.0)
            out[at, n + 3 * j] = dx * f
            out[at, n + 3 * j + 1] = dy * f
            out[at, n + 3 * j + 2] = dz * f
