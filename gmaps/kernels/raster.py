"""From a depth image to the crop's grid, and from the crop's grid to the map's."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.whole import ceil, clamp, floor

#: Largest float16 below 1, the background: a hand pixel on the cube's far face stays a hand pixel.
LAST = np.float32(0.99951171875)
#: Neighbouring pixels whose depths differ by less than this (mm) lie on one surface, and no gap opens between them.
_SAME_SURFACE = np.float32(10.0)


@jit(inline="always")
def half(value):
    """A float32 in [-1, 1] to the nearest that float16 can hold, ties to even; without a branch."""
    bits = np.float32(value).view(np.int32)
    normal = np.int32((bits + np.int32(0xFFF) + ((bits >> np.int32(13)) & np.int32(1))) & np.int32(~0x1FFF))
    small = np.float32(np.rint(value * np.float32(16777216)) * np.float32(1 / 16777216))
    return small if abs(value) < np.float32(6.103515625e-05) else np.int32(normal).view(np.float32)


@jit
def round_half(values):
    """`half` of all of (S, S) float32 values, in place."""
    for r in range(values.shape[0]):
        for c in range(values.shape[1]):
            values[r, c] = half(values[r, c])


@jit
def window(rows, cols, fx, fy, cx, cy, x, y, z, h):
    """Pixels of an image that can lie in the cube: rows r0 to r1, columns c0 to c1, ends excluded.

    There are none where r1 <= r0 or c1 <= c0.
    """
    near = max(z - h, 1.0)
    far = z + h
    c0 = floor(min((x - h) / near, (x - h) / far) * fx + cx)
    c1 = ceil(max((x + h) / near, (x + h) / far) * fx + cx) + 1
    r0 = floor(min((y - h) / near, (y - h) / far) * fy + cy)
    r1 = ceil(max((y + h) / near, (y + h) / far) * fy + cy) + 1
    return max(r0, 0), min(r1, rows), max(c0, 0), min(c1, cols)


@jit(inline="always")
def _edge(here, other, x_here, x_other, half):
    """Where a pixel's footprint ends towards a neighbour: half way to it on one surface, else half a pixel on.

    On a slope seen aslant, rows of pixels shift against each other and footprints are no rectangles: a little overlap
    on one surface closes the gaps at their corners.
    """
    alone = x_here + half
    middle = (x_here + x_other) * np.float32(0.5) + half * np.float32(0.3)
    further = (middle > alone) == (half > 0)
    joined = (other > 0) & (abs(other - here) < _SAME_SURFACE)
    return middle if joined & further else alone


@jit(inline="always")
def _first(t, own, size):
    """The first cell whose centre lies at t - 0.5 or later, within the grid, and at most `own`."""
    t = clamp(t - np.float32(0.5), np.float32(-1), np.float32(size))
    i = np.int32(t)
    # Truncation rounds towards 0. The types are said, since each mix of them is an operation more.
    i = np.int32(i + np.int32(np.float32(i) < t))
    i = max(i, np.int32(0))
    return min(i, own)


@jit(inline="always")
def _last(t, own, size):
    t = clamp(t - np.float32(0.5), np.float32(-1), np.float32(size))
    i = np.int32(t)
    i = np.int32(i - np.int32(np.float32(i) > t))
    i = min(i, np.int32(size - 1))
    return max(i, own)


@jit(inline="always")
def _own(t, size):
    return np.int32(clamp(t, np.float32(0), np.float32(size - 1)))


@jit
def _footprints(lines, r, start, stop, rays, ray_y, ifx, ify, x, y, z, h, left, top, per_mm, size, found):
    """The cells that each pixel of a row covers; without branches and with few arrays, so that it runs in vectors.

    Parameters
    ----------
    lines : (3 * (n + 2),) float32
        Row r of the depth image lies in third r % 3, between its neighbours; a pixel more at both ends. mm.
    r, start, stop : int
        The row, and the pixels in it that are asked for.
    rays : (n,) float32
        x / z of each column.
    ray_y, ifx, ify : float32
        y / z of the row, and what a pixel adds to it and to `rays`.
    x, y, z, h, left, top : float32
        The cube and two of its sides, mm.
    per_mm : float32
        Cells.
    size : int
        S.
    found : (3 * n,) int32
        Filled with the first row and 65,536 times the last, or -1 where a pixel is not in the cube; with columns
        alike; and with the bits of the pixels' depths, cube units.
    """
    # Unsigned, so that no index can count from the end: that test alone would keep the loop out of vectors. One array
    # that is read and one that is written: whether any two overlap is asked of every row.
    n = np.uint64(rays.size)
    wide = n + np.uint64(2)
    above = np.uint64((r + 2) % 3) * wide + np.uint64(1)
    here = np.uint64(r % 3) * wide + np.uint64(1)
    below = np.uint64((r + 1) % 3) * wide + np.uint64(1)
    for k in range(np.uint64(start), np.uint64(stop)):
        d = lines[here + k]
        west = lines[here + k - np.uint64(1)]
        east = lines[here + k + np.uint64(1)]
        north = lines[above + k]
        south = lines[below + k]
        ray_x = rays[k]
        px = ray_x * d
        py = ray_y * d
        # NaN fails it.
        seen = (d > 0) & (abs(d - z) <= h) & (abs(px - x) <= h) & (abs(py - y) <= h)
        half_x = np.float32(0.5) * d * ifx
        half_y = np.float32(0.5) * d * ify
        x_lo = _edge(d, west, px, (ray_x - ifx) * west, -half_x)
        x_hi = _edge(d, east, px, (ray_x + ifx) * east, half_x)
        y_lo = _edge(d, north, py, (ray_y - ify) * north, -half_y)
        y_hi = _edge(d, south, py, (ray_y + ify) * south, half_y)
        # The point's own cell, then all whose centres lie in the footprint.
        own_c = _own((px - left) * per_mm, size)
        own_r = _own((py - top) * per_mm, size)
        high = _last((y_hi - top) * per_mm, own_r, size)
        low = _first((y_lo - top) * per_mm, own_r, size)
        found[k] = np.int32(low | (high << np.int32(16))) if seen else np.int32(-1)
        high = _last((x_hi - left) * per_mm, own_c, size)
        low = _first((x_lo - left) * per_mm, own_c, size)
        found[n + k] = np.int32(low | (high << np.int32(16)))
        found[n + n + k] = np.float32(half(min((d - z) / h, LAST))).view(np.int32)


@jit
def _copy_row(depth, r, low, high, lines, at):
    """Columns `low` to before `high` of row r to `lines` from `at` on; 0 for the row behind the last."""
    to = np.uint64(at)
    if r == depth.shape[0]:
        for c in range(np.uint64(high - low)):
            lines[to + c] = np.float32(0)
        return
    row = depth[r]
    for c in range(np.uint64(high - low)):
        lines[to + c] = row[np.uint64(low) + c]


@jit
def orthographic(depth, fx, fy, cx, cy, x, y, z, h, out):
    """Look at the cube's content along z: columns are x, rows are y, the nearest point wins.

    Every pixel covers the cells whose centres its footprint covers, and the footprints of neighbours on one surface
    meet, so that a surface that spreads over more cells than it had pixels has no holes.

    Parameters
    ----------
    depth : (H, W) float32
        mm, 0 where there is no data.
    fx, fy, cx, cy : float
        Intrinsics, pixels.
    x, y, z, h : float
        The cube's centre and half side, mm.
    out : (S, S) float32
        Filled with (depth - z) / h in [-1, 1), rounded to what float16 can hold, or 1 where nothing is seen.

    Returns
    -------
    int
        How many pixels lie in the cube.
    """
    size = out.shape[0]
    out[:, :] = np.float32(1)
    rows, cols = depth.shape
    r0, r1, c0, c1 = window(rows, cols, fx, fy, cx, cy, x, y, z, h)
    n = c1 - c0
    if r1 <= r0 or n <= 0:
        return 0
    ifx, ify = np.float32(1 / fx), np.float32(1 / fy)
    cube = (np.float32(x), np.float32(y), np.float32(z), np.float32(h), np.float32(x - h), np.float32(y - h))
    per_mm = np.float32(size / (2 * h))
    # Vectors are of eight pixels: so many more have room that the last one of a row need not be done one by one.
    n += 7
    found = np.empty(3 * n, np.int32)
    zs = found[2 * n :].view(np.float32)
    rays = np.empty(n, np.float32)
    for k in range(n):
        rays[k] = np.float32(np.float64(np.int32(c0 + k)) - cx) * ifx
    # The window's rows, three at a time, with a pixel more on each side; what lies outside the image is no data.
    lines = np.zeros(3 * (n + 2), np.float32)
    low = max(c0 - 1, 0)
    high = min(c1 + 1, cols)
    for r in range(max(r0 - 1, 0), r0 + 1):
        _copy_row(depth, r, low, high, lines, (r % 3) * (n + 2) + low - c0 + 1)
    seen = 0
    for r in range(r0, r1):
        _copy_row(depth, r + 1, low, high, lines, ((r + 1) % 3) * (n + 2) + low - c0 + 1)
        # Most of a window is void: look for the ends of what is not.
        here = np.uint64((r % 3) * (n + 2) + 1)
        first, last = here, here + np.uint64(c1 - c0)
        while first < last and not abs(lines[first] - cube[2]) <= cube[3]:
            first += np.uint64(1)
        while first < last and not abs(lines[last - np.uint64(1)] - cube[2]) <= cube[3]:
            last -= np.uint64(1)
        start, stop = np.int64(first - here), np.int64(last - here)
        ray_y = np.float32(r - cy) * ify
        whole = start + ((stop - start + 7) & ~7)
        _footprints(lines, r, start, whole, rays, ray_y, ifx, ify, *cube, per_mm, size, found)
        # Unsigned as above, and without a branch on which point is nearer.
        for k in range(np.uint64(start), np.uint64(stop)):
            rows_of, cols_of = found[k], found[np.uint64(n) + k]
            if rows_of < 0:
                continue
            seen += 1
            v = zs[k]
            top, bottom = np.uint64(rows_of & 0xFFFF), np.uint64(rows_of >> 16)
            left, right = np.uint64(cols_of & 0xFFFF), np.uint64(cols_of >> 16)
            if (bottom - top) | (right - left) <= np.uint64(1):
                # Most cover one cell or two each way. Four corners, some of them the same, take less time than loops
                # whose lengths nobody can foretell.
                a, b, c, d = out[top, left], out[top, right], out[bottom, left], out[bottom, right]
                out[top, left] = min(v, a)
                out[top, right] = min(v, b)
                out[bottom, left] = min(v, c)
                out[bottom, right] = min(v, d)
                continue
            for i in range(top, bottom + np.uint64(1)):
                for j in range(left, right + np.uint64(1)):
                    out[i, j] = min(v, out[i, j])
    return seen


@jit
def perspective(depth, fx, fy, cx, cy, x, y, z, h, out):
    """Cut the image window into which the cube's central plane projects, scaled to the grid.

    Each cell takes the nearest of the image pixels in it, or the one pixel at its centre where cells are smaller.

    Parameters and result are those of `orthographic`; only depth, not x and y, decides what lies in the cube.
    """
    size = out.shape[0]
    rows, cols = depth.shape
    zf, hf = np.float32(z), np.float32(h)
    seen = 0
    step = 2 * h / size
    for i in range(size):
        v0 = (y - h + i * step) * fy / z + cy
        v1 = v0 + step * fy / z
        r0 = ceil(v0)
        r1 = floor(v1)
        if r1 < r0:
            r0 = r1 = floor((v0 + v1) * 0.5 + 0.5)
        for k in range(size):
            u0 = (x - h + k * step) * fx / z + cx
            u1 = u0 + step * fx / z
            c0 = ceil(u0)
            c1 = floor(u1)
            if c1 < c0:
                c0 = c1 = floor((u0 + u1) * 0.5 + 0.5)
            best = np.float32(1)
            for r in range(max(r0, 0), min(r1, rows - 1) + 1):
                for c in range(max(c0, 0), min(c1, cols - 1) + 1):
                    d = depth[r, c]
                    if d > 0 and abs(d - zf) <= hf:
                        seen += 1
                        best = min(best, min((d - zf) / hf, LAST))
            out[i, k] = half(best)
    return seen


@jit
def center_of_mass(depth, fx, fy, cx, cy, x, y, z, hx, hz):
    """Mean of the points in a box around (x, y, z), mm, and their number.

    Parameters
    ----------
    depth : (H, W) float32
    fx, fy, cx, cy : float
        Intrinsics, pixels.
    x, y, z : float
        Centre of the box, mm.
    hx, hz : float
        Half its side across the view and along it, mm; infinite where there is no limit.
    """
    rows, cols = depth.shape
    sx = sy = sz = 0.0
    n = 0
    for r in range(rows):
        ry = (r - cy) / fy
        for c in range(cols):
            d = depth[r, c]
            if not (d > 0 and abs(d - z) <= hz):
                continue
            px = (c - cx) / fx * d
            py = ry * d
            if abs(px - x) > hx or abs(py - y) > hx:
                continue
            sx += px
            sy += py
            sz += d
            n += 1
    if n > 0:
        return sx / n, sy / n, sz / n, n
    return x, y, z, 0
