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


@jit(inline="always")
def _add(a, b, fan, m):
    """Triangle (i; a, b), or the side to a where b is a."""
    fan[m, 0] = a
    fan[m, 1] = b
    return m + 1


@jit(inline="always")
def _add_if(a, b, wanted, fan, m):
    fan[m, 0] = a
    fan[m, 1] = b
    return m + np.int64(wanted)


@jit
def _measure(points, own, fan, shapes):
    """Fill along, away, length, inverse, and how far a and b are, of all triangles; without branches, in vectors."""
    none = np.float32(0)
    for k in range(np.uint64(shapes.shape[0])):
        i = np.uint64(own[k])
        a = np.uint64(fan[k, 0])
        b = np.uint64(fan[k, 1])
        aa = _away(points, i, a)
        bb = _away(points, i, b)
        length = np.sqrt(_away(points, a, b))
        inverse = np.float32(0.5) / length
        along = (aa - bb) * inverse + np.float32(0.5) * length
        height = aa - along * along
        to_a = np.sqrt(aa)
        side = a == b
        shapes[k, 0] = none if side else along
        shapes[k, 1] = to_a if side else np.sqrt(height if height > none else none)
        shapes[k, 2] = length
        shapes[k, 3] = none if side else inverse
        shapes[k, 4] = to_a
        shapes[k, 5] = np.sqrt(bb)


@jit
def _bent(touch, i, v, straight, bent, fan, m):
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
            m = _add(v, d, fan, m)
    return m


@jit
def _quarter(touch, i, vertical, horizontal, fan, m):
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
            m = _add(v, h, fan, m)
        m = _bent(touch, i, v, vertical, horizontal, fan, m)
    for b in range(TOUCHED):
        h = touch[i, horizontal, b]
        if h < 0:
            break
        m = _bent(touch, i, h, horizontal, vertical, fan, m)
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
                m = _add(v, v, fan, m)
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
    special = np.zeros(n + 1, np.bool_)
    linked = np.zeros(n, np.bool_)
    others = np.empty(2 * links.shape[0], np.int32)
    for i in range(n):
        special[i] = (touch[i, 0, 1] & touch[i, 1, 1] & touch[i, 2, 1] & touch[i, 3, 1]) >= 0
    for k in range(links.shape[0]):
        linked[links[k, 0]] = True
        linked[links[k, 1]] = True
    m = 0
    for i in range(n):
        if m + 512 + 4 * links.shape[0] > fan.shape[0]:
            more = np.empty((2 * fan.shape[0] + 1024 + 4 * links.shape[0], 2), np.int32)
            for k in range(m):
                more[k, 0] = fan[k, 0]
                more[k, 1] = fan[k, 1]
            fan = more
        ends = 0
        if linked[i]:
            for k in range(links.shape[0]):
                if links[k, 0] == i or links[k, 1] == i:
                    others[ends] = links[k, 1] if links[k, 0] == i else links[k, 0]
                    ends += 1
        for quarter in range(4):
            fan_ptr[4 * i + quarter] = m
            vertical = np.int64(quarter >> 1)
            horizontal = np.int64(2 + (quarter & 1))
            v = touch[i, vertical, 0]
            h = touch[i, horizontal, 0]
            # Most parts touch one at most on each side: what `_quarter` does, without its loops.
            if special[i] | special[v] | special[h]:
                m = _quarter(touch, i, vertical, horizontal, fan, m)
            else:
                d = touch[v, horizontal, 0] if v >= 0 else np.int32(-1)
                e = touch[h, vertical, 0] if h >= 0 else np.int32(-1)
                # Written first and counted then: branches that nobody can foretell cost more than all the rest.
                m = _add_if(v, h, (v >= 0) & (h >= 0), fan, m)
                m = _add_if(v, d, (d >= 0) & (d != e), fan, m)
                m = _add_if(h, e, (e >= 0) & (d != e), fan, m)
                m = _add_if(v, v, (v >= 0) & (d < 0) & (h < 0), fan, m)
                m = _add_if(h, h, (h >= 0) & (e < 0) & (v < 0), fan, m)
            for k in range(ends):
                m = _add(others[k], others[k], fan, m)
    fan_ptr[4 * n] = m
    own = np.empty(m, np.int32)
    for i in range(n):
        for k in range(fan_ptr[4 * i], fan_ptr[4 * i + 4]):
            own[k] = i
    shapes = np.empty((m, 6), np.float32)
    _measure(points, own, fan, shapes)
    return fan_ptr, fan[:m], shapes


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
