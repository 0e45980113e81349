"""Where a march over parts starts: those around each joint that it sees, at their straight distances."""

from __future__ import annotations

import math

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march.bits import ALL, holds, lowest, nearest
from gmaps.kernels.march.hand_parts import borders, part_at

#: Blocks around a joint's own that it looks at.
REACH = 1
#: Slack for equal distances, pixels.
_EPS = 1e-9


@jit
def sees(right, down, row, col, r, c):
    """Whether the straight line between two points runs over pixels that touch each other one by one.

    Parameters
    ----------
    right, down : (S, W + 1) uint64
        From `gmaps.kernels.march.bits.touching`.
    row, col, r, c : float
        The points, pixels, on the grid; the first lies on a hand pixel.
    """
    here = math.floor(row + 0.5)
    there = math.floor(r + 0.5)
    at = math.floor(col + 0.5)
    goal = math.floor(c + 0.5)
    step = 1 if there > here else -1
    while here != there:
        # Where the line leaves this row of pixels.
        share = (here + 0.5 * step - row) / (r - row)
        out = math.floor(col + share * (c - col) + 0.5)
        if not holds(right, here, min(at, out), max(at, out) - 1):
            return False
        line = here if step > 0 else here - 1
        if not (down[line, out >> 6] >> np.uint64(out & 63)) & np.uint64(1):
            return False
        at = out
        here += step
    return holds(right, here, min(at, goal), max(at, goal) - 1)


@jit
def _seed_around(right, down, ptr, points, own, row, col, z, size, blocks, spatial, j, t):
    """Start from a joint on the hand: in its own part, and in the parts around it that it sees."""
    per_pixel = blocks / size
    y = (row + 0.5) * per_pixel - 0.5
    x = (col + 0.5) * per_pixel - 0.5
    t[own, j] = math.sqrt((points[own, 0] - x) ** 2 + (points[own, 1] - y) ** 2 + (points[own, 2] - z) ** 2)
    i0 = math.floor(points[own, 1] + 0.5)
    b0 = math.floor(points[own, 0] + 0.5)
    for i in range(max(i0 - REACH, 0), min(i0 + REACH + 1, blocks)):
        for k in range(ptr[i * blocks + max(b0 - REACH, 0)], ptr[i * blocks + min(b0 + REACH + 1, blocks)]):
            if k == own:
                continue
            px = points[k, 0] - x
            py = points[k, 1] - y
            pz = points[k, 2] - z
            plane = px * px + py * py
            # Beyond a slope of one, the straight line may cut through a step: leave that to the march.
            if spatial and pz * pz > plane:
                continue
            r = (points[k, 1] + 0.5) / per_pixel - 0.5
            c = (points[k, 0] + 0.5) / per_pixel - 0.5
            if sees(right, down, row, col, r, c):
                t[k, j] = math.sqrt(plane + pz * pz)


@jit
def _seed_nearest(rows, ptr, bits, points, first, row, col, size, blocks, j, t):
    """Start from a joint off the hand: in the parts of the pixels that the smallest disc around it touches."""
    best = np.inf
    r0 = min(max(math.floor(row + 0.5), 0), size - 1)
    for k in range(size):
        if (k - 1) ** 2 > best:
            break
        for r in (r0 - k, r0 + k):
            if 0 <= r < size and (r - row) ** 2 < best:
                best = min(best, (r - row) ** 2 + nearest(rows, r, col) ** 2)
    if best == np.inf:
        return
    radius = math.sqrt(best)
    per_pixel = blocks / size
    y = (row + 0.5) * per_pixel - 0.5
    x = (col + 0.5) * per_pixel - 0.5
    for r in range(max(math.floor(row - radius), 0), min(math.ceil(row + radius) + 1, size)):
        away = max(abs(row - r) - 0.5, 0.0)
        half = best - away * away + _EPS
        if half < 0:
            continue
        half = math.sqrt(half) + 0.5
        c0 = max(math.ceil(col - half), 0)
        c1 = min(math.floor(col + half), size - 1)
        for word in range(c0 >> 6, (c1 >> 6) + 1):
            bit = rows[r, word]
            if word == c0 >> 6:
                bit &= ALL << np.uint64(c0 & 63)
            if word == c1 >> 6:
                bit &= ALL >> np.uint64(63 - (c1 & 63))
            while bit:
                c = 64 * word + lowest(bit)
                bit &= bit - np.uint64(1)
                k = part_at(ptr, bits, first, r, c, blocks, size)
                t[k, j] = math.sqrt((points[k, 0] - x) ** 2 + (points[k, 1] - y) ** 2)


@jit
def _depth_around(right, down, depth, r, c):
    """Mean depth of a hand pixel and of the up to four that touch it."""
    total = np.float64(depth[r, c])
    n = 1
    one = np.uint64(1)
    size = depth.shape[0]
    if (right[r, c >> 6] >> np.uint64(c & 63)) & one:
        total += depth[r, c + 1]
        n += 1
    if c > 0 and (right[r, (c - 1) >> 6] >> np.uint64((c - 1) & 63)) & one:
        total += depth[r, c - 1]
        n += 1
    if r + 1 < size and (down[r, c >> 6] >> np.uint64(c & 63)) & one:
        total += depth[r + 1, c]
        n += 1
    if r > 0 and (down[r - 1, c >> 6] >> np.uint64(c & 63)) & one:
        total += depth[r - 1, c]
        n += 1
    return total / n


@jit
def seed(rows, right, down, depth, unit, ptr, bits, points, joints_px, blocks, t):
    """Start values of every joint.

    A joint on a hand pixel starts in that pixel's part, and in the parts in the blocks around its own whose
    centroids it sees: there the straight distance is the geodesic one. A joint off the hand starts in the parts of
    the pixels that the smallest disc around it touches that reaches a hand pixel's centre; nothing is known of its
    depth, so its distances are those in the plane. Positions outside the grid are moved onto it first.

    Parameters
    ----------
    rows, right, down : (S, W + 1) uint64
        See `gmaps.kernels.march.bits`.
    depth : (S, S) float32
        A joint's depth is that of its pixel and those that touch it, times `unit`; not read where `unit` is 0.
    unit : float
        Blocks; 0 for distances in the plane.
    ptr, bits, points
        From `gmaps.kernels.march.hand_parts`.
    joints_px : (J, 2) float64
        (row, col), pixels; an integer is a pixel's centre. NaN starts nowhere.
    blocks : int
    t : (n + 1, L) float32
        Distances, blocks, lowered in place.
    """
    size = rows.shape[0]
    first = borders(size, blocks)
    for j in range(joints_px.shape[0]):
        row = joints_px[j, 0]
        col = joints_px[j, 1]
        if math.isnan(row) or math.isnan(col):
            continue
        row = min(max(row, -0.5), size - 0.5)
        col = min(max(col, -0.5), size - 0.5)
        r0 = min(math.floor(row + 0.5), size - 1)
        c0 = min(math.floor(col + 0.5), size - 1)
        if (rows[r0, c0 >> 6] >> np.uint64(c0 & 63)) & np.uint64(1):
            own = part_at(ptr, bits, first, r0, c0, blocks, size)
            z = _depth_around(right, down, depth, r0, c0) * unit if unit > 0 else 0.0
            # On the grid's last edge a position belongs to the pixel before it.
            row = min(row, r0 + 0.5 - 1e-9)
            col = min(col, c0 + 0.5 - 1e-9)
            _seed_around(right, down, ptr, points, own, row, col, z, size, blocks, unit > 0, j, t)
        else:
            _seed_nearest(rows, ptr, bits, points, first, row, col, size, blocks, j, t)
