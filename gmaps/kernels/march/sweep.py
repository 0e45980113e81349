"""Fast sweeping for many sources at once: joints are SIMD lanes, and only hand cells are visited.

The upwind scheme of order 1 for the eikonal equation |grad T| = 1 has one solution, which Gauss-Seidel sweeps in
alternating directions reach in a few passes (Zhao, 2005). All joints share the silhouette, so the walk over its
cells is shared as well: a cell's neighbours are looked up once, and each step of the arithmetic serves eight
joints. Cells are stored compactly; void is one sentinel cell, far from everything.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march.bridge import bridge
from gmaps.kernels.march.lanes import FAR, LANES, relax_one, relax_two
from gmaps.kernels.march.starts import find_starts

#: Order 2 is no contraction: it stops when no distance moves by more than this, cells.
_TOLERANCE = np.float32(1e-4)
#: Cells that are written at a time: as many as a line of a cache holds of a plane.
_TAKEN = 16


@jit
def compact(mask):
    """Number the hand cells row by row.

    Parameters
    ----------
    mask : (H, W) bool

    Returns
    -------
    cells : (n,) int32
        Raveled cells.
    number : (H * W,) int32
        The inverse; n for void.
    neighbours : (n + 1, 4) int32
        Numbers of the cells above, below, left and right; n for void. Row n is void itself.
    row_ptr : (H + 1,) int32
        Row r holds numbers `row_ptr[r]` to `row_ptr[r + 1]`.
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
    neighbours = np.full((n + 1, 4), n, np.int32)
    i = 0
    for r in range(rows):
        for c in range(cols):
            at = r * cols + c
            if not mask[r, c]:
                number[at] = n
                continue
            cells[i] = at
            number[at] = i
            if r > 0 and mask[r - 1, c]:
                above = number[at - cols]
                neighbours[i, 0] = above
                neighbours[above, 1] = i
            if c > 0 and mask[r, c - 1]:
                neighbours[i, 2] = i - 1
                neighbours[i - 1, 3] = i
            i += 1
    return cells, number, neighbours, row_ptr


@jit(inline="always")
def _relax_one(t, neighbours, i, width, changed):
    up = neighbours[i, 0] * width
    down = neighbours[i, 1] * width
    left = neighbours[i, 2] * width
    right = neighbours[i, 3] * width
    here = i * width
    for g in range(0, width, LANES):
        changed |= relax_one(t, up + g, down + g, left + g, right + g, here + g)
    return changed


@jit(inline="always")
def _relax_two(t, starts, neighbours, i, width, changed):
    up, down, left, right = neighbours[i, 0], neighbours[i, 1], neighbours[i, 2], neighbours[i, 3]
    up2, down2 = neighbours[up, 0] * width, neighbours[down, 1] * width
    left2, right2 = neighbours[left, 2] * width, neighbours[right, 3] * width
    up, down, left, right, here = up * width, down * width, left * width, right * width, i * width
    for g in range(0, width, LANES):
        changed |= relax_two(
            t, starts, up + g, down + g, left + g, right + g, up2 + g, down2 + g, left2 + g, right2 + g,
            here + g, _TOLERANCE,
        )  # fmt: skip
    return changed


@jit
def solve(t, starts, neighbours, row_ptr, order):
    """Sweep until nothing changes.

    Parameters
    ----------
    t : (n + 1, L) float32, L a multiple of `LANES`
        Distances in cells: starts set and the rest `FAR` for order 1, a solution of order 1 for order 2. Row n is
        void. Changed in place.
    starts : (n + 1, L) float32
        For order 2: distances that stay as they are, the rest `FAR`. Not read at order 1.
    neighbours, row_ptr
        From `compact`.
    order : int
        1 or 2.
    """
    rows = row_ptr.size - 1
    width = t.shape[1]
    # A row is visited only while it, or a row whose cells it reads, changed since its last visit.
    dirty = np.ones(rows + 4, np.bool_)
    again = True
    passes = 0
    # Order 1 ends by itself. Order 2 could in principle cycle, so it gets more passes than any hand needs.
    while again and (order == 1 or passes < 64):
        again = False
        for step in range(rows):
            r = step if passes % 2 == 0 else rows - 1 - step
            first = row_ptr[r]
            last = row_ptr[r + 1]
            if first == last or not dirty[r + 2]:
                continue
            forth = np.uint8(0)
            back = np.uint8(0)
            if order == 1:
                # From both ends at once: each update waits for the one before it, and two rows of them wait together.
                for k in range(last - first):
                    forth = _relax_one(t, neighbours, first + k, width, forth)
                    back = _relax_one(t, neighbours, last - 1 - k, width, back)
                forth |= back
            else:
                for i in range(first, last):
                    forth = _relax_two(t, starts, neighbours, i, width, forth)
                if forth:
                    for i in range(last - 1, first - 1, -1):
                        back = _relax_two(t, starts, neighbours, i, width, back)
            dirty[r + 2] = back != 0
            if forth:
                dirty[r : r + 2] = True
                dirty[r + 3 : r + 5] = True
                again = True
        passes += 1


@jit
def march(mask, joints_px, inscribed, order, slowness):
    """Distance travelled inside the silhouette from every joint to every hand cell.

    Parameters
    ----------
    mask : (H, W) bool
    joints_px : (J, 2) float64
        (row, col); see `find_starts`, also for `inscribed`.
    inscribed : bool
    order : int
        1 or 2.
    slowness : float
        Cost of the void for cells that cannot be reached inside the hand; 0 leaves them unreached.

    Returns
    -------
    cells : (n,) int32
        Raveled hand cells.
    t : (n + 1, L) float32
        Distances in cells, joint j in column j; `FAR` or more where a joint cannot reach. Row n is void.
    """
    ptr, start_cell, start_value = find_starts(mask, joints_px, inscribed)
    cells, number, neighbours, row_ptr = compact(mask)
    n = cells.size
    joints = joints_px.shape[0]
    width = (joints + LANES - 1) // LANES * LANES
    t = np.full((n + 1, width), FAR, np.float32)
    for j in range(joints):
        for k in range(ptr[j], ptr[j + 1]):
            t[number[start_cell[k]], j] = start_value[k]
    if order == 1:
        solve(t, t, neighbours, row_ptr, 1)
    else:
        starts = t.copy()
        solve(t, starts, neighbours, row_ptr, 1)
        solve(t, starts, neighbours, row_ptr, 2)
    if slowness > 0:
        bridge(cells, t, mask.shape[0], mask.shape[1], 1.0, slowness)
    return cells, t


@jit
def sweep_distance(mask, joints_px, inscribed, order, slowness, spacing, out):
    """`march`, written to (J, H, W) float32 planes in units of `spacing`; +inf where nothing was reached."""
    cells, t = march(mask, joints_px, inscribed, order, slowness)
    joints = out.shape[0]
    flat = out.reshape(joints, -1)
    scale = np.float32(spacing)
    limit = FAR * np.float32(0.5)
    flat[:] = np.inf
    # A few cells at a time, whose rows of `t` stay at hand while every joint's plane takes its own.
    for first in range(0, cells.size, _TAKEN):
        last = min(first + _TAKEN, cells.size)
        for j in range(joints):
            plane = flat[j]
            for i in range(np.uint64(first), np.uint64(last)):
                v = t[i, np.uint64(j)]
                plane[np.uint64(cells[i])] = v * scale if v < limit else np.float32(np.inf)
