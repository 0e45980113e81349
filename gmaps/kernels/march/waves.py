"""Distances from many joints over a graph of parts: fast sweeping over triangles, joints in SIMD lanes.

A part is updated from pairs of others: the one beside it and the one above or below it, in each of its four quarters,
and where one of these is missing the other and what lies behind the corner. Such a pair, a and b, is an edge that the
shortest way may cross. It is taken as if what has reached a and b came from one point: the circles around a and b
with radii T_a and T_b meet in it, and T is the straight way from there, if that crosses the edge and is no shorter
than T_a and T_b. This is exact up to where ways first bend, whatever the shape of the triangle, where an update that
takes T as linear along the edge is so for far sources only (Novotni and Klein, 2002). With x the foot of that point
on the line through a and b, seen from a, and y its distance from the line,

    x = (T_a^2 - T_b^2) inverse + length / 2      y^2 = T_a^2 - x^2      T^2 = (x - along)^2 + (y + away)^2

`along` and `away` place the part that is updated alike, and inverse = 1 / (2 length). T never exceeds the way along a
side, T_a or T_b and the distance from there.

A row of blocks is passed to the right and back, rows downwards and then upwards; a pass needs only the triangles that
lie where it comes from, a quarter of them (Zhao, 2005).
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march.hand_parts import TOUCHED
from gmaps.kernels.march.lanes import LANES, relax_round

#: A distance that falls by less, blocks, is not passed on: 8 micrometres of a cell of 7.5 mm.
TOLERANCE = np.float32(1e-3)


@jit(inline="always")
def _away(points, i, j):
    x = points[i, 0] - points[j, 0]
    y = points[i, 1] - points[j, 1]
    z = points[i, 2] - points[j, 2]
    return np.float32(x * x + y * y + z * z)


@jit
def _add(points, i, a, b, fan, shapes, m):
    """Triangle (i; a, b), or the side to a where b is a: along, away, length, inverse, and how far a and b are."""
    aa = _away(points, i, a)
    to_a = np.sqrt(aa)
    fan[m, 0] = a
    fan[m, 1] = b
    if a == b:
        shapes[m, 0] = 0.0
        shapes[m, 1] = to_a
        shapes[m, 2] = 0.0
        shapes[m, 3] = 0.0
        shapes[m, 4] = to_a
        shapes[m, 5] = to_a
        return m + 1
    bb = _away(points, i, b)
    length = np.sqrt(_away(points, a, b))
    inverse = np.float32(0.5) / length
    along = (aa - bb) * inverse + np.float32(0.5) * length
    shapes[m, 0] = along
    shapes[m, 1] = np.sqrt(max(aa - along * along, np.float32(0)))
    shapes[m, 2] = length
    shapes[m, 3] = inverse
    shapes[m, 4] = to_a
    shapes[m, 5] = np.sqrt(bb)
    return m + 1


@jit
def _bent(points, touch, i, v, straight, bent, fan, shapes, m):
    """Triangles (i; v, d) with d beside v that nothing joins to i on the other way round."""
    for a in range(TOUCHED):
        d = touch[v, bent, a]
        if d < 0:
            break
        closed = False
        for b in range(TOUCHED):
            h = touch[i, bent, b]
            if h < 0:
                break
            for c in range(TOUCHED):
                closed |= touch[h, straight, c] == d
        if not closed:
            m = _add(points, i, v, d, fan, shapes, m)
    return m


@jit
def _quarter(points, touch, i, vertical, horizontal, fan, shapes, m):
    """All triangles of part i in one quarter, whatever touches it."""
    before = m
    for a in range(TOUCHED):
        v = touch[i, vertical, a]
        if v < 0:
            break
        for b in range(TOUCHED):
            h = touch[i, horizontal, b]
            if h < 0:
                break
            m = _add(points, i, v, h, fan, shapes, m)
        m = _bent(points, touch, i, v, vertical, horizontal, fan, shapes, m)
    for b in range(TOUCHED):
        h = touch[i, horizontal, b]
        if h < 0:
            break
        m = _bent(points, touch, i, h, horizontal, vertical, fan, shapes, m)
    # Sides that belong to no triangle.
    for side in (vertical, horizontal):
        for a in range(TOUCHED):
            v = touch[i, side, a]
            if v < 0:
                break
            known = False
            for k in range(before, m):
                known |= fan[k, 0] == v or fan[k, 1] == v
            if not known:
                m = _add(points, i, v, v, fan, shapes, m)
    return m


@jit
def triangulate(points, touch, links):
    """Triangles around each part, apart for the four quarters.

    Parameters
    ----------
    points : (n, 3) float64
    touch : (n, 4, TOUCHED) int32
    links : (m, 2) int32
        From `gmaps.kernels.march.hand_parts`.

    Returns
    -------
    fan_ptr : (4 n + 1,) int32
        Part i has triangles `fan_ptr[4 i + q]` to `fan_ptr[4 i + q + 1]` in quarter q: above left, above right, below
        left, below right.
    fan : (k, 2) int32
        The other two parts of each; twice the same where it is but a side.
    shapes : (k, 6) float32
        along, away, length, inverse, and the distances of both.
    """
    n = points.shape[0]
    fan_ptr = np.empty(4 * n + 1, np.int32)
    fan = np.empty((6 * n + 1024, 2), np.int32)
    shapes = np.empty((6 * n + 1024, 6), np.float32)
    special = np.zeros(n + 1, np.bool_)
    for i in range(n):
        for side in range(4):
            special[i] |= touch[i, side, 1] >= 0
    linked = np.zeros(n, np.bool_)
    for k in range(links.shape[0]):
        linked[links[k, 0]] = True
        linked[links[k, 1]] = True
    m = 0
    for i in range(n):
        if m + 512 + 4 * links.shape[0] > fan.shape[0]:
            bigger = 2 * fan.shape[0] + 1024 + 4 * links.shape[0]
            more_fan = np.empty((bigger, 2), np.int32)
            more_shapes = np.empty((bigger, 6), np.float32)
            for k in range(m):
                for q in range(6):
                    more_shapes[k, q] = shapes[k, q]
                more_fan[k, 0] = fan[k, 0]
                more_fan[k, 1] = fan[k, 1]
            fan = more_fan
            shapes = more_shapes
        for quarter in range(4):
            fan_ptr[4 * i + quarter] = m
            vertical = np.int64(quarter >> 1)
            horizontal = np.int64(2 + (quarter & 1))
            v = touch[i, vertical, 0]
            h = touch[i, horizontal, 0]
            # Most parts touch one at most on each side: what `_quarter` does, without its loops.
            if special[i] or special[v] or special[h]:
                m = _quarter(points, touch, i, vertical, horizontal, fan, shapes, m)
            elif v >= 0 or h >= 0:
                d = touch[v, horizontal, 0] if v >= 0 else np.int32(-1)
                e = touch[h, vertical, 0] if h >= 0 else np.int32(-1)
                if v >= 0 and h >= 0:
                    m = _add(points, i, v, h, fan, shapes, m)
                if d >= 0 and d != e:
                    m = _add(points, i, v, d, fan, shapes, m)
                if e >= 0 and d != e:
                    m = _add(points, i, h, e, fan, shapes, m)
                if d < 0 and h < 0:
                    m = _add(points, i, v, v, fan, shapes, m)
                if e < 0 and v < 0:
                    m = _add(points, i, h, h, fan, shapes, m)
            if linked[i]:
                for k in range(links.shape[0]):
                    if links[k, 0] == i or links[k, 1] == i:
                        j = links[k, 1] if links[k, 0] == i else links[k, 0]
                        m = _add(points, i, j, j, fan, shapes, m)
    fan_ptr[4 * n] = m
    return fan_ptr, fan[:m], shapes[:m]


@jit(inline="always")
def _relax(t, fan_ptr, fan, shapes, i, quarter, width, changed):
    here = i * width
    for k in range(fan_ptr[4 * i + quarter], fan_ptr[4 * i + quarter + 1]):
        a = fan[k, 0] * width
        b = fan[k, 1] * width
        for g in range(0, width, LANES):
            changed |= relax_round(t, shapes, a + g, b + g, here + g, 6 * k, TOLERANCE)
    return changed


@jit
def solve(t, ptr, blocks, fan_ptr, fan, shapes):
    """Sweep until nothing changes.

    Parameters
    ----------
    t : (n + 1, L) float32, L a multiple of `LANES`
        Distances, start values and the rest `FAR`. Changed in place.
    ptr : (B * B + 1,) int32
    blocks : int
        B.
    fan_ptr, fan, shapes
        From `triangulate`.
    """
    width = t.shape[1]
    # Whether a row or one beside it changed since it was last passed, in each of the two directions.
    dirty = np.ones((2, blocks + 2), np.bool_)
    direction = 0
    idle = 0
    while idle < 2:
        idle += 1
        for step in range(blocks):
            r = step if direction == 0 else blocks - 1 - step
            first = ptr[r * blocks]
            last = ptr[(r + 1) * blocks]
            if first == last or not dirty[direction, r + 1]:
                continue
            dirty[direction, r + 1] = False
            forth = np.uint8(0)
            back = np.uint8(0)
            for i in range(first, last):
                forth = _relax(t, fan_ptr, fan, shapes, i, 2 * direction, width, forth)
            for i in range(last - 1, first - 1, -1):
                back = _relax(t, fan_ptr, fan, shapes, i, 2 * direction + 1, width, back)
            if forth | back:
                idle = 0
                for d in range(2):
                    dirty[d, r] = True
                    dirty[d, r + 2] = True
                dirty[1 - direction, r + 1] = True
                dirty[direction, r + 1] |= back != 0
        direction = 1 - direction
