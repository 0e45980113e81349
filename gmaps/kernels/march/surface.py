"""Distances along the depth surface, not in the plane: sweeping over its triangles, joints in SIMD lanes.

The cells' surface points are the vertices of a triangle mesh: every square of four hand cells is cut along its
shorter diagonal, three hand cells of a square make one triangle, and a step in depth is a steep triangle, so that
crossing it costs its real length. A cell is updated from the opposite edge of each of its triangles, along which T
is taken as linear (Kimmel and Sethian, 1998). With a and b the edge's ends seen from the cell, that update is

    T = T_b + share (T_a - T_b) + sqrt(reach - bend (T_a - T_b)^2)

    share = a'.(a' - b') / |a' - b'|^2 turned into the closed form below,  least <= T_a - T_b <= most,

where the bounds are the differences at which the front runs along a or along b. All five numbers depend on the
triangle alone, so that they are worked out once and serve all joints. Cutting along the shorter diagonal keeps
the angle at the cell from being obtuse, which this update needs.
"""

from __future__ import annotations

import math

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march.bridge import bridge
from gmaps.kernels.march.lanes import FAR, LANES, relax_triangle
from gmaps.kernels.march.starts import find_starts
from gmaps.kernels.whole import floor

#: Cells around a joint in which the straight distance in space stands for the way along the surface.
REACH = 2.5


@jit(inline="always")
def _square(x, y, z):
    return x * x + y * y + z * z


@jit
def _shape(points, i, a, b, shapes, at):
    """The five numbers of triangle (i; a, b), seen from i; a side alone where a equals b."""
    ax = points[a, 0] - points[i, 0]
    ay = points[a, 1] - points[i, 1]
    az = points[a, 2] - points[i, 2]
    aa = _square(ax, ay, az)
    la = math.sqrt(aa)
    bx = points[b, 0] - points[i, 0]
    by = points[b, 1] - points[i, 1]
    bz = points[b, 2] - points[i, 2]
    bb = _square(bx, by, bz)
    lb = math.sqrt(bb)
    ab = ax * bx + ay * by + az * bz
    opposite = aa - 2 * ab + bb
    area = aa * bb - ab * ab
    if opposite <= 0 or area <= 0:
        shapes[at, 0] = 0.0
        shapes[at, 1] = bb
        shapes[at, 2] = 0.0
        shapes[at, 3] = 0.0
        shapes[at, 4] = 0.0
        return
    # With Q the inverse Gram matrix of a and b: share, 1 / c and det Q / c^2, where c sums the entries of Q.
    shapes[at, 0] = (bb - ab) / opposite
    shapes[at, 1] = area / opposite
    shapes[at, 2] = area / (opposite * opposite)
    shapes[at, 3] = ab / la - la
    shapes[at, 4] = lb - ab / lb


@jit
def triangulate(mask, depth, spacing):
    """Mesh of a silhouette's surface, as fans of triangles around each cell.

    Parameters
    ----------
    mask : (H, W) bool
    depth : (H, W) float32
        Same unit as `spacing`; not read in the void.
    spacing : float

    Returns
    -------
    cells : (n,) int32
        Raveled hand cells, row by row.
    number : (H * W,) int32
        The inverse; n for void.
    row_ptr : (H + 1,) int32
    points : (n, 3) float64
        x, y, z of the cells.
    fan_ptr : (n + 1,) int32
        Cell i has triangles `fan_ptr[i]` to `fan_ptr[i + 1]`.
    fan : (m, 2) int32
        The other two cells of each.
    shapes : (m, 5) float32
        share, reach, bend, least, most.
    """
    rows, cols = mask.shape
    number = np.empty(rows * cols, np.int32)
    row_ptr = np.empty(rows + 1, np.int32)
    n = 0
    for r in range(rows):
        row_ptr[r] = n
        for c in range(cols):
            n += mask[r, c]
    row_ptr[rows] = n
    cells = np.empty(n, np.int32)
    points = np.empty((n, 3), np.float64)
    i = 0
    for r in range(rows):
        for c in range(cols):
            number[r * cols + c] = n
            if mask[r, c]:
                cells[i] = r * cols + c
                number[r * cols + c] = i
                points[i, 0] = c * spacing
                points[i, 1] = r * spacing
                points[i, 2] = depth[r, c]
                i += 1
    # At most two triangles in each of four squares, and four sides that belong to no triangle.
    fan = np.empty((12 * n, 2), np.int32)
    fan_ptr = np.empty(n + 1, np.int32)
    shapes = np.empty((12 * n, 5), np.float32)
    m = 0
    for i in range(n):
        fan_ptr[i] = m
        r = cells[i] // cols
        c = cells[i] % cols
        for down in (-1, 1):
            for right in (-1, 1):
                v = number[(r + down) * cols + c] if 0 <= r + down < rows else n
                h = number[r * cols + c + right] if 0 <= c + right < cols else n
                d = n
                if 0 <= r + down < rows and 0 <= c + right < cols:
                    d = number[(r + down) * cols + c + right]
                own_diagonal = d < n
                if v < n and h < n and d < n:
                    across = _square(points[v, 0] - points[h, 0], points[v, 1] - points[h, 1],
                                     points[v, 2] - points[h, 2])  # fmt: skip
                    along = _square(points[d, 0] - points[i, 0], points[d, 1] - points[i, 1],
                                    points[d, 2] - points[i, 2])  # fmt: skip
                    # Ties go to the falling diagonal, from wherever the square is looked at.
                    own_diagonal = along < across or (along == across and down == right)
                if own_diagonal:
                    if v < n:
                        fan[m, 0] = v
                        fan[m, 1] = d
                        _shape(points, i, v, d, shapes, m)
                        m += 1
                    if h < n:
                        fan[m, 0] = h
                        fan[m, 1] = d
                        _shape(points, i, h, d, shapes, m)
                        m += 1
                elif v < n and h < n:
                    fan[m, 0] = v
                    fan[m, 1] = h
                    _shape(points, i, v, h, shapes, m)
                    m += 1
                else:
                    # Perhaps a side of no triangle: it costs little to let it count twice.
                    only = min(v, h)
                    if only < n:
                        fan[m, 0] = only
                        fan[m, 1] = only
                        _shape(points, i, only, only, shapes, m)
                        m += 1
    fan_ptr[n] = m
    return cells, number, row_ptr, points, fan_ptr, fan, shapes


@jit(inline="always")
def _relax(t, fan_ptr, fan, shapes, i, width, changed):
    here = i * width
    for k in range(fan_ptr[i], fan_ptr[i + 1]):
        a = fan[k, 0] * width
        b = fan[k, 1] * width
        for g in range(0, width, LANES):
            changed |= relax_triangle(t, shapes, a + g, b + g, here + g, 5 * k)
    return changed


@jit
def solve(t, row_ptr, fan_ptr, fan, shapes):
    """Sweep until nothing changes; `t` as in `gmaps.kernels.march.sweep.solve`, in units of length."""
    rows = row_ptr.size - 1
    width = t.shape[1]
    dirty = np.ones(rows + 2, np.bool_)
    again = True
    passes = 0
    while again:
        again = False
        for step in range(rows):
            r = step if passes % 2 == 0 else rows - 1 - step
            first = row_ptr[r]
            last = row_ptr[r + 1]
            if first == last or not dirty[r + 1]:
                continue
            forth = np.uint8(0)
            back = np.uint8(0)
            for i in range(first, last):
                forth = _relax(t, fan_ptr, fan, shapes, i, width, forth)
            if forth:
                for i in range(last - 1, first - 1, -1):
                    back = _relax(t, fan_ptr, fan, shapes, i, width, back)
            dirty[r + 1] = back != 0
            if forth:
                dirty[r] = True
                dirty[r + 2] = True
                again = True
        passes += 1


@jit
def march(mask, depth, joints_px, spacing, slowness):
    """Distance along the surface from every joint to every hand cell.

    A joint on the silhouette starts on the surface, at its sub-pixel position, from the cells within `REACH` of it
    that it sees and that rise no more than they are away, at their straight distances in space. Any other joint
    starts as in `find_starts`, at distances in the plane, since nothing is known of the depth there.

    Parameters
    ----------
    mask : (H, W) bool
    depth : (H, W) float32
        Same unit as `spacing`.
    joints_px : (J, 2) float64
    spacing : float
    slowness : float
        As in `gmaps.kernels.march.sweep.march`; the void is crossed in the plane.

    Returns
    -------
    cells : (n,) int32
    t : (n + 1, L) float32
        Units of `spacing`; `FAR` or more where a joint cannot reach.
    """
    cells, number, row_ptr, _, fan_ptr, fan, shapes = triangulate(mask, depth, spacing)
    n = cells.size
    rows, cols = mask.shape
    joints = joints_px.shape[0]
    width = (joints + LANES - 1) // LANES * LANES
    t = np.full((n + 1, width), FAR, np.float32)
    ptr, start_cell, start_value = find_starts(mask, joints_px, True)
    for j in range(joints):
        row = min(max(joints_px[j, 0], -0.5), rows - 0.5)
        col = min(max(joints_px[j, 1], -0.5), cols - 0.5)
        if ptr[j] == ptr[j + 1]:
            continue
        r0 = min(floor(row + 0.5), rows - 1)
        c0 = min(floor(col + 0.5), cols - 1)
        on_hand = mask[r0, c0]
        # The surface's depth at the joint, from those cells around it that lie on its own cell's sheet.
        total = 0.0
        z = 0.0
        for k in range(ptr[j], ptr[j + 1]):
            r = start_cell[k] // cols
            c = start_cell[k] % cols
            if abs(depth[r, c] - depth[r0, c0]) > 2 * spacing:
                continue
            weight = max(1 - abs(r - row), 0.0) * max(1 - abs(c - col), 0.0)
            total += weight
            z += weight * depth[r, c]
        for k in range(ptr[j], ptr[j + 1]):
            r = start_cell[k] // cols
            c = start_cell[k] % cols
            d = start_value[k] * spacing
            if on_hand:
                rise = abs(depth[r, c] - z / total)
                # Beyond a slope of one, the straight line may cut through a step: leave that to the march.
                if (start_value[k] > REACH or rise > d) and not (r == r0 and c == c0):
                    continue
                d = math.sqrt(d * d + rise * rise)
            t[number[start_cell[k]], j] = d
    solve(t, row_ptr, fan_ptr, fan, shapes)
    if slowness > 0:
        bridge(cells, t, rows, cols, spacing, slowness)
    return cells, t


@jit
def surface_distance(mask, depth, joints_px, spacing, slowness, out):
    """`march`, written to (J, H, W) float32 planes; +inf where nothing was reached."""
    cells, t = march(mask, depth, joints_px, spacing, slowness)
    flat = out.reshape(out.shape[0], -1)
    for j in range(out.shape[0]):
        flat[j, :] = np.inf
        for i in range(cells.size):
            if t[i, j] < FAR * np.float32(0.5):
                flat[j, cells[i]] = t[i, j]
