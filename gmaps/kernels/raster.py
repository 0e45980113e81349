"""From a depth image to the crop's grid, and from the crop's grid to the map's."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

#: Largest float16 below 1, the background: a hand pixel on the cube's far face stays a hand pixel.
LAST = np.float32(0.99951171875)
#: Neighbouring pixels whose depths differ by less than this (mm) lie on one surface, and no gap opens between them.
_SAME_SURFACE = np.float32(10.0)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def round_half(values):
    """Round float32 values in [-1, 1] to what float16 can hold, to nearest, ties to even, in place.

    Parameters
    ----------
    values : (S, S) float32
    """
    bits = values.view(np.int32)
    smallest_normal = np.float32(6.103515625e-05)
    for r in range(values.shape[0]):
        for c in range(values.shape[1]):
            if abs(values[r, c]) < smallest_normal:
                values[r, c] = np.rint(values[r, c] * np.float32(16777216)) / np.float32(16777216)
            else:
                b = bits[r, c]
                bits[r, c] = (b + 0xFFF + ((b >> 13) & 1)) & ~0x1FFF


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _window(depth, fx, fy, cx, cy, x, y, z, h):
    """Pixels that can lie in the cube: rows r0 to r1, columns c0 to c1, ends excluded."""
    near = max(z - h, 1.0)
    far = z + h
    c0 = math.floor(min((x - h) / near, (x - h) / far) * fx + cx)
    c1 = math.ceil(max((x + h) / near, (x + h) / far) * fx + cx) + 1
    r0 = math.floor(min((y - h) / near, (y - h) / far) * fy + cy)
    r1 = math.ceil(max((y + h) / near, (y + h) / far) * fy + cy) + 1
    rows, cols = depth.shape
    return max(r0, 0), min(r1, rows), max(c0, 0), min(c1, cols)


@nb.njit(nogil=True, cache=True, inline="always", error_model="numpy")
def _edge(here, other, x_here, x_other, half):
    """Where a pixel's footprint ends towards a neighbour: half way to it on one surface, else half a pixel on.

    On a slope seen aslant, rows of pixels shift against each other and footprints are no rectangles: a little overlap
    on one surface closes the gaps at their corners.
    """
    if other > 0 and abs(other - here) < _SAME_SURFACE:
        middle = (x_here + x_other) * np.float32(0.5) + half * np.float32(0.3)
        return max(x_here + half, middle) if half > 0 else min(x_here + half, middle)
    return x_here + half


@nb.njit(nogil=True, cache=True, error_model="numpy")
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
        Filled with (depth - z) / h in [-1, 1), or 1 where nothing is seen.

    Returns
    -------
    int
        How many pixels lie in the cube.
    """
    size = out.shape[0]
    out[:, :] = np.float32(1)
    r0, r1, c0, c1 = _window(depth, fx, fy, cx, cy, x, y, z, h)
    rows, cols = depth.shape
    per_mm = np.float32(size / (2 * h))
    left = np.float32(x - h)
    top = np.float32(y - h)
    zf, hf = np.float32(z), np.float32(h)
    ifx, ify = np.float32(1 / fx), np.float32(1 / fy)
    seen = 0
    for r in range(r0, r1):
        ray_y = np.float32(r - cy) * ify
        for c in range(c0, c1):
            d = depth[r, c]
            # Written so that NaN fails it.
            if not (d > 0 and abs(d - zf) <= hf):
                continue
            ray_x = np.float32(c - cx) * ifx
            px = ray_x * d
            py = ray_y * d
            if abs(px - np.float32(x)) > hf or abs(py - np.float32(y)) > hf:
                continue
            seen += 1
            half_x = np.float32(0.5) * d * ifx
            half_y = np.float32(0.5) * d * ify
            x_lo, x_hi, y_lo, y_hi = px - half_x, px + half_x, py - half_y, py + half_y
            if c > 0:
                n = depth[r, c - 1]
                x_lo = _edge(d, n, px, (ray_x - ifx) * n, -half_x)
            if c + 1 < cols:
                n = depth[r, c + 1]
                x_hi = _edge(d, n, px, (ray_x + ifx) * n, half_x)
            if r > 0:
                n = depth[r - 1, c]
                y_lo = _edge(d, n, py, (ray_y - ify) * n, -half_y)
            if r + 1 < rows:
                n = depth[r + 1, c]
                y_hi = _edge(d, n, py, (ray_y + ify) * n, half_y)
            value = min((d - zf) / hf, LAST)
            # The point's own cell, then all whose centres lie in the footprint.
            own_c = min(max(int((px - left) * per_mm), 0), size - 1)
            own_r = min(max(int((py - top) * per_mm), 0), size - 1)
            from_c = min(own_c, max(math.ceil((x_lo - left) * per_mm - 0.5), 0))
            to_c = max(own_c, min(math.floor((x_hi - left) * per_mm - 0.5), size - 1))
            from_r = min(own_r, max(math.ceil((y_lo - top) * per_mm - 0.5), 0))
            to_r = max(own_r, min(math.floor((y_hi - top) * per_mm - 0.5), size - 1))
            for i in range(from_r, to_r + 1):
                for k in range(from_c, to_c + 1):
                    if value < out[i, k]:
                        out[i, k] = value
    return seen


@nb.njit(nogil=True, cache=True, error_model="numpy")
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
        r0 = math.ceil(v0)
        r1 = math.floor(v1)
        if r1 < r0:
            r0 = r1 = math.floor((v0 + v1) * 0.5 + 0.5)
        for k in range(size):
            u0 = (x - h + k * step) * fx / z + cx
            u1 = u0 + step * fx / z
            c0 = math.ceil(u0)
            c1 = math.floor(u1)
            if c1 < c0:
                c0 = c1 = math.floor((u0 + u1) * 0.5 + 0.5)
            best = np.float32(1)
            for r in range(max(r0, 0), min(r1, rows - 1) + 1):
                for c in range(max(c0, 0), min(c1, cols - 1) + 1):
                    d = depth[r, c]
                    if d > 0 and abs(d - zf) <= hf:
                        seen += 1
                        best = min(best, min((d - zf) / hf, LAST))
            out[i, k] = best
    return seen


@nb.njit(nogil=True, cache=True, error_model="numpy")
def pool(depth, size, thickness):
    """Silhouette and front surface on the map's grid.

    Parameters
    ----------
    depth : (S, S) float32
        A crop's depth; 1 is background.
    size : int
        H.
    thickness : float
        In units of depth: pixels of a cell that lie further than this behind its nearest one belong to something
        that it hides.

    Returns
    -------
    silhouette : (H, H) bool
        True where any of a cell's pixels is hand.
    surface : (H, H) float32
        Mean depth of the hand pixels of each cell's front surface; 1 in the void.
    """
    s = depth.shape[0]
    silhouette = np.zeros((size, size), np.bool_)
    surface = np.ones((size, size), np.float32)
    one = np.float32(1)
    tolerance = np.float32(thickness)
    for i in range(size):
        r0 = i * s // size
        r1 = max(((i + 1) * s + size - 1) // size, r0 + 1)
        for k in range(size):
            c0 = k * s // size
            c1 = max(((k + 1) * s + size - 1) // size, c0 + 1)
            near = one
            for r in range(r0, r1):
                for c in range(c0, c1):
                    near = min(near, depth[r, c])
            if near >= one:
                continue
            total = np.float32(0)
            count = np.float32(0)
            for r in range(r0, r1):
                for c in range(c0, c1):
                    d = depth[r, c]
                    if d < one and d - near <= tolerance:
                        total += d
                        count += one
            silhouette[i, k] = True
            surface[i, k] = total / count
    return silhouette, surface


@nb.njit(nogil=True, cache=True, error_model="numpy")
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
