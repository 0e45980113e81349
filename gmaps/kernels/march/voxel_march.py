"""Distances through voxels, all joints at once: joints are SIMD lanes, and only the voxels of the hand are visited.

The upwind scheme of order 1 for |grad T| = 1 on six neighbours, by Gauss-Seidel sweeps, as `march.sweep` does it in
the plane.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import intrinsic

from gmaps.kernels._jit import jit
from gmaps.kernels.march.lanes import FAR, LANES, _Vectors
from gmaps.kernels.whole import floor

#: Slack for equal distances, voxels.
_EPS = 1e-9


@intrinsic
def relax_space(typingctx, t, x0, x1, y0, y1, z0, z1, here):
    """Order 1 in space. Arguments are offsets into `t` in elements; returns a bit for every lane that decreased."""
    signature = types.uint8(t, *[types.intp] * 7)

    def codegen(context, builder, sig, args):
        v = _Vectors(context, builder, sig.args[0], args[0])
        one, half, third = v.fill(1.0), v.fill(0.5), v.fill(1 / 3)
        a = v.low(v.load(args[1]), v.load(args[2]))
        b = v.low(v.load(args[3]), v.load(args[4]))
        c = v.low(v.load(args[5]), v.load(args[6]))
        small, large = v.low(a, b), v.high(a, b)
        low, high = v.low(small, c), v.high(large, c)
        middle = v.high(small, v.low(large, c))
        # All relative to the smallest. A second axis that is too far to help is clipped to where it changes nothing,
        # which is 1; so is the third, and for that it is what two axes give.
        m = v.low(builder.fsub(middle, low), one)
        root = v.sqrt(builder.fsub(v.fill(2.0), builder.fmul(m, m)))
        two = builder.fmul(half, builder.fadd(m, root))
        h = v.low(builder.fsub(high, low), two)
        total = builder.fadd(m, h)
        squares = builder.fadd(builder.fmul(m, m), builder.fmul(h, h))
        excess = builder.fmul(v.fill(3.0), builder.fsub(squares, one))
        disc = v.high(builder.fsub(builder.fmul(total, total), excess), v.fill(0.0))
        new = builder.fadd(low, builder.fmul(third, builder.fadd(total, v.sqrt(disc))))
        old = v.load(args[7])
        v.store(v.low(new, old), args[7])
        return v.any(builder.fcmp_ordered("<", new, old))

    return signature, codegen


@jit
def _number(cells, size):
    """Numbers of the voxels by raveled cell, and of their six neighbours; n for empty ones."""
    n = cells.size
    number = np.full(size * size * size, n, np.int32)
    for i in range(n):
        number[cells[i]] = i
    neighbours = np.full((n + 1, 6), n, np.int32)
    for i in range(n):
        at = cells[i]
        z = at % size
        y = at // size % size
        x = at // (size * size)
        if x > 0:
            neighbours[i, 0] = number[at - size * size]
        if x < size - 1:
            neighbours[i, 1] = number[at + size * size]
        if y > 0:
            neighbours[i, 2] = number[at - size]
        if y < size - 1:
            neighbours[i, 3] = number[at + size]
        if z > 0:
            neighbours[i, 4] = number[at - 1]
        if z < size - 1:
            neighbours[i, 5] = number[at + 1]
    return number, neighbours


@jit
def _start(cells, number, size, joint, j, t):
    """Set joint j's start voxels to their straight distances from it."""
    n = cells.size
    p = np.empty(3)
    own = np.empty(3, np.int64)
    for a in range(3):
        p[a] = min(max(joint[a], -0.5), size - 0.5)
        own[a] = min(floor(p[a] + 0.5), size - 1)
    if number[(own[0] * size + own[1]) * size + own[2]] < n:
        # Of the eight voxels around it those less than a voxel away, and joined by faces to its own. Bit a of a
        # corner says whether it differs from its own along axis a.
        joined = np.zeros(8, np.bool_)
        for corner in range(8):
            at = 0
            square = 0.0
            near = True
            reached = corner == 0
            for a in range(3):
                i = own[a]
                if corner >> a & 1:
                    i += 1 if p[a] > own[a] else -1
                    reached = reached or joined[corner ^ (1 << a)]
                near = near and 0 <= i < size and abs(i - p[a]) < 1
                square += (i - p[a]) * (i - p[a])
                at = at * size + i
            if near and reached and number[at] < n:
                joined[corner] = True
                t[number[at], j] = math.sqrt(square)
        return
    nearest = np.inf
    for i in range(n):
        dx = cells[i] // (size * size) - p[0]
        dy = cells[i] // size % size - p[1]
        dz = cells[i] % size - p[2]
        nearest = min(nearest, dx * dx + dy * dy + dz * dz)
    for i in range(n):
        dx = abs(cells[i] // (size * size) - p[0])
        dy = abs(cells[i] // size % size - p[1])
        dz = abs(cells[i] % size - p[2])
        gap_x = max(dx - 0.5, 0.0)
        gap_y = max(dy - 0.5, 0.0)
        gap_z = max(dz - 0.5, 0.0)
        if gap_x * gap_x + gap_y * gap_y + gap_z * gap_z <= nearest + _EPS:
            t[i, j] = math.sqrt(dx * dx + dy * dy + dz * dz)


@jit(inline="always")
def _relax(t, neighbours, i, width, changed):
    x0 = neighbours[i, 0] * width
    x1 = neighbours[i, 1] * width
    y0 = neighbours[i, 2] * width
    y1 = neighbours[i, 3] * width
    z0 = neighbours[i, 4] * width
    z1 = neighbours[i, 5] * width
    here = i * width
    for g in range(0, width, LANES):
        changed |= relax_space(t, x0 + g, x1 + g, y0 + g, y1 + g, z0 + g, z1 + g, here + g)
    return changed


@jit
def march(cells, size, joints):
    """Distance from every joint through the given voxels.

    A joint in one of them starts there, and in those of the eight around it that hang together with it by faces.
    Any other starts in those that the ball around it touches that reaches the nearest one's centre. Starts have
    their straight distance to the joint. Positions outside the grid are moved to the nearest place on it first.

    Parameters
    ----------
    cells : (n,) int64
        Raveled voxels, in ascending order.
    size : int
        V.
    joints : (J, 3) float64
        x, y, z; an integer is a voxel's centre.

    Returns
    -------
    (n + 1, L) float32
        Voxels, joint j in column j; `FAR` where a joint cannot reach. Row n is the void.
    """
    number, neighbours = _number(cells, size)
    n = cells.size
    width = (joints.shape[0] + LANES - 1) // LANES * LANES
    t = np.full((n + 1, width), FAR, np.float32)
    for j in range(joints.shape[0]):
        _start(cells, number, size, joints[j], j, t)
    # Slabs of equal x. One is visited only while it, or one beside it, changed since its last visit.
    slab = np.zeros(size + 1, np.int64)
    for i in range(n):
        slab[cells[i] // (size * size) + 1] += 1
    slab = np.cumsum(slab)
    dirty = np.ones(size + 2, np.bool_)
    again = True
    passes = 0
    while again:
        again = False
        for step in range(size):
            x = step if passes % 2 == 0 else size - 1 - step
            if slab[x] == slab[x + 1] or not dirty[x + 1]:
                continue
            forth = np.uint8(0)
            back = np.uint8(0)
            for i in range(slab[x], slab[x + 1]):
                forth = _relax(t, neighbours, i, width, forth)
            if forth:
                for i in range(slab[x + 1] - 1, slab[x] - 1, -1):
                    back = _relax(t, neighbours, i, width, back)
            dirty[x + 1] = back != 0
            if forth:
                dirty[x] = True
                dirty[x + 2] = True
                again = True
        passes += 1
    return t


@jit
def geodesic(cells, occupied, size, joints, cell, theta, out, scale):
    """1 - T / T_max, T from `march`.

    Parameters
    ----------
    cells, size, joints
        As for `march`.
    occupied : (V^3,) bool
        The cells that count and get a value; the rest are only passed through.
    cell : float
        Side of a voxel, mm.
    theta : float
        What T is divided by, mm; 0 for each joint's own maximum.
    out : (V^3, J) float32
        Zeros; written where `occupied`. 0 where a joint cannot reach.
    scale : (J,) float32
        Filled with what T was divided by, mm: T_max, or a voxel more than T_min where that is more.
    """
    t = march(cells, size, joints)
    n = cells.size
    half = FAR * np.float32(0.5)
    for j in range(joints.shape[0]):
        high = np.float32(0)
        low = half
        for i in range(n):
            v = t[i, j] if occupied[cells[i]] else FAR
            high = v if (v < half and v > high) else high
            low = v if v < low else low
        # Where all that is reached is equally far, T_max alone would give a map of zeros.
        largest = np.float32(theta / cell) if theta > 0 else max(high, (low if low < half else 0) + 1)
        scale[j] = largest * cell
        for i in range(n):
            if occupied[cells[i]]:
                v = np.float32(1) - t[i, j] / np.float32(largest)
                out[cells[i], j] = v if v > 0 else np.float32(0)
