"""Colour images on a crop's grid."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.whole import ceil, floor


@jit
def _between(image, u, v, out):
    """Colour at a point between four pixels; black outside the image."""
    rows, cols = image.shape[0], image.shape[1]
    if not (u >= -0.5 and v >= -0.5 and u < cols - 0.5 and v < rows - 0.5):
        out[:] = np.uint8(0)
        return
    u, v = min(max(u, 0.0), cols - 1.0), min(max(v, 0.0), rows - 1.0)
    c0, r0 = int(u), int(v)
    c1, r1 = min(c0 + 1, cols - 1), min(r0 + 1, rows - 1)
    fu, fv = u - c0, v - r0
    for k in range(3):
        top = image[r0, c0, k] + fu * (float(image[r0, c1, k]) - image[r0, c0, k])
        bottom = image[r1, c0, k] + fu * (float(image[r1, c1, k]) - image[r1, c0, k])
        out[k] = np.uint8(top + fv * (bottom - top) + 0.5)


@jit
def cut(image, left, top, step_u, step_v, out):
    """A part of an image, scaled to a grid.

    Each cell is the mean of the pixels whose centres lie in it, or what lies at its centre where none does.

    Parameters
    ----------
    image : (H, W, 3) uint8
    left, top : float
        Pixels: where the first cell begins; an integer is a pixel's centre.
    step_u, step_v : float
        Pixels in a cell.
    out : (S, S, 3) uint8
        Filled; black where the image does not reach.
    """
    size = out.shape[0]
    rows, cols = image.shape[0], image.shape[1]
    for i in range(size):
        r0, r1 = ceil(top + i * step_v), ceil(top + (i + 1) * step_v)
        for j in range(size):
            c0, c1 = ceil(left + j * step_u), ceil(left + (j + 1) * step_u)
            if r1 <= r0 or c1 <= c0:
                _between(image, left + (j + 0.5) * step_u, top + (i + 0.5) * step_v, out[i, j])
                continue
            red, green, blue = 0, 0, 0
            for r in range(max(r0, 0), min(r1, rows)):
                for c in range(max(c0, 0), min(c1, cols)):
                    red += image[r, c, 0]
                    green += image[r, c, 1]
                    blue += image[r, c, 2]
            n = (r1 - r0) * (c1 - c0)
            out[i, j, 0] = np.uint8((red + n // 2) // n)
            out[i, j, 1] = np.uint8((green + n // 2) // n)
            out[i, j, 2] = np.uint8((blue + n // 2) // n)


@jit
def on_surface(image, depth, fx, fy, cx, cy, x, y, z, h, out):
    """The colour of what an orthographic crop shows.

    Parameters
    ----------
    image : (H, W, 3) uint8
    depth : (S, S) float32
        The crop: cube units, 1 where nothing is seen, which stays black.
    fx, fy, cx, cy : float
        Intrinsics, pixels.
    x, y, z, h : float
        The cube's centre and half side, mm.
    out : (S, S, 3) uint8
        Filled.
    """
    size = depth.shape[0]
    for i in range(size):
        for j in range(size):
            if not depth[i, j] < np.float32(1):
                out[i, j, :] = np.uint8(0)
                continue
            d = z + h * depth[i, j]
            u = (x + h * ((2 * j + 1) / size - 1)) / d * fx + cx
            v = (y + h * ((2 * i + 1) / size - 1)) / d * fy + cy
            _between(image, u, v, out[i, j])


@jit
def warp(image, inverse, out):
    """An image through an affine map of its grid, as `gmaps.kernels.warp` moves depth.

    Parameters
    ----------
    image : (S, S, 3) uint8
    inverse : (2, 3) float64
        (row, col, 1) of the result -> (row, col) in `image`.
    out : (S, S, 3) uint8
        Filled; black where the image does not reach.
    """
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            r = inverse[0, 0] * i + inverse[0, 1] * j + inverse[0, 2]
            c = inverse[1, 0] * i + inverse[1, 1] * j + inverse[1, 2]
            if abs(r - floor(r + 0.5)) < 1e-4 and abs(c - floor(c + 0.5)) < 1e-4:
                r, c = float(floor(r + 0.5)), float(floor(c + 0.5))
            _between(image, c, r, out[i, j])
