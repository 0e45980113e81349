"""Where a march starts: the cells around each joint, with their straight distances to it."""

from __future__ import annotations

import math

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.whole import floor

#: Slack for equal distances, in cells: positions come from arithmetic in double precision.
_EPS = 1e-9


@jit
def _touches(row, col, r, c, radius):
    """Whether the disc around (row, col) touches the unit square around cell (r, c)."""
    dr = max(abs(row - r) - 0.5, 0.0)
    dc = max(abs(col - c) - 0.5, 0.0)
    return dr * dr + dc * dc <= radius * radius + _EPS


@jit
def _sees(mask, row, col, r, c):
    """Whether the straight line from (row, col) to the centre of cell (r, c) runs over hand, at 16 points of it.

    It may pass between two cells that meet at a corner only where one of the two beside that corner is hand.
    """
    r_last = min(floor(row + 0.5), mask.shape[0] - 1)
    c_last = min(floor(col + 0.5), mask.shape[1] - 1)
    if row + 0.5 < mask.shape[0] and col + 0.5 < mask.shape[1]:
        # Most lines run well inside the hand: all cells between the two ends are hand, and need no looking at points.
        clear = True
        for rr in range(min(r_last, r), max(r_last, r) + 1):
            for cc in range(min(c_last, c), max(c_last, c) + 1):
                clear &= mask[rr, cc]
        if clear:
            return True
    for k in range(17):
        f = min((k + 0.5) / 16, 1.0)
        rr = floor(row + f * (r - row) + 0.5)
        cc = floor(col + f * (c - col) + 0.5)
        if rr < 0 or cc < 0 or rr >= mask.shape[0] or cc >= mask.shape[1] or not mask[rr, cc]:
            return False
        if rr != r_last and cc != c_last and not (mask[rr, c_last] or mask[r_last, cc]):
            return False
        r_last = rr
        c_last = cc
    return True


@jit
def _nearest(mask, row, col, r0, c0):
    """Squared distance from a point in cell (r0, c0) to the nearest hand cell's centre; inf where there is none."""
    rows, cols = mask.shape
    best = np.inf
    for k in range(rows):
        if (k - 1) ** 2 > best:
            break
        for r in range(r0 - k, r0 + k + 1, max(2 * k, 1)):
            if r < 0 or r >= rows:
                continue
            # Outwards along the row, to the left and to the right.
            for c in range(c0, -1, -1):
                away = (r - row) ** 2 + (c - col) ** 2
                if away >= best or mask[r, c]:
                    best = min(best, away)
                    break
            for c in range(c0 + 1, cols):
                away = (r - row) ** 2 + (c - col) ** 2
                if away >= best or mask[r, c]:
                    best = min(best, away)
                    break
    return best


@jit
def find_starts(mask, joints_px, inscribed):
    """Start cells of every joint.

    A joint whose cell is on the hand starts there and in those of the (up to four) cells around it that are less
    than a cell away and joined to its own by edges. With `inscribed`, it starts in all cells of the largest disc
    around it that holds only hand, and in those it sees up to two rows and columns away: there the straight distance
    is the exact geodesic, and a scheme of order 2 never looks across the joint. A joint off the silhouette starts
    in the hand cells touched by the smallest disc that reaches a hand cell's centre. Positions outside the grid are
    clipped to it first.

    Parameters
    ----------
    mask : (H, W) bool
    joints_px : (J, 2) float64
        (row, col); an integer is a cell's centre. NaN starts nowhere.
    inscribed : bool
        Start from the inscribed disc.

    Returns
    -------
    start_ptr : (J + 1,) int32
    start_cell : (K,) int32
        Raveled cells; `start_ptr[j]` to `start_ptr[j + 1]` are joint j's. None on an empty mask.
    start_value : (K,) float64
        Distances, cells.
    """
    rows, cols = mask.shape
    n = joints_px.shape[0]
    cell = np.empty(16 * n + 16, np.int32)
    value = np.empty(16 * n + 16, np.float64)
    ptr = np.zeros(n + 1, np.int32)
    used = 0
    for j in range(n):
        row = joints_px[j, 0]
        col = joints_px[j, 1]
        if math.isnan(row) or math.isnan(col):
            ptr[j + 1] = used
            continue
        row = min(max(row, -0.5), rows - 0.5)
        col = min(max(col, -0.5), cols - 0.5)
        r0 = min(max(floor(row + 0.5), 0), rows - 1)
        c0 = min(max(floor(col + 0.5), 0), cols - 1)
        if used + rows * cols > cell.size:
            bigger = used + max(rows * cols, cell.size)
            more_cell = np.empty(bigger, np.int32)
            more_value = np.empty(bigger, np.float64)
            more_cell[:used] = cell[:used]
            more_value[:used] = value[:used]
            cell = more_cell
            value = more_value
        if not mask[r0, c0]:
            radius = math.sqrt(_nearest(mask, row, col, r0, c0))
            if radius < np.inf:
                for r in range(max(floor(row - radius), 0), min(floor(row + radius) + 2, rows)):
                    for c in range(max(floor(col - radius), 0), min(floor(col + radius) + 2, cols)):
                        if mask[r, c] and _touches(row, col, r, c, radius):
                            cell[used] = r * cols + c
                            value[used] = math.sqrt((r - row) ** 2 + (c - col) ** 2)
                            used += 1
        else:
            # The four cells that surround the joint, or fewer where it lies on a row or column of centres.
            up = r0 if row >= r0 else r0 - 1
            left = c0 if col >= c0 else c0 - 1
            for r in range(up, up + 2):
                for c in range(left, left + 2):
                    if r < 0 or c < 0 or r >= rows or c >= cols or not mask[r, c]:
                        continue
                    if abs(r - row) >= 1 or abs(c - col) >= 1:
                        continue
                    if r != r0 and c != c0 and not (mask[r0, c] or mask[r, c0]):
                        continue
                    cell[used] = r * cols + c
                    value[used] = math.sqrt((r - row) ** 2 + (c - col) ** 2)
                    used += 1
            if inscribed:
                reach = 1
                clear = True
                # Grow square rings until one holds void or leaves the grid: cheap, and exact for the disc in it.
                radius = np.inf
                while clear:
                    for r in range(r0 - reach, r0 + reach + 1):
                        for c in range(c0 - reach, c0 + reach + 1, 1 if abs(r - r0) == reach else 2 * reach):
                            if r < 0 or c < 0 or r >= rows or c >= cols or not mask[r, c]:
                                dr = max(abs(row - r) - 0.5, 0.0)
                                dc = max(abs(col - c) - 0.5, 0.0)
                                radius = min(radius, math.sqrt(dr * dr + dc * dc))
                                clear = False
                    reach += 1
                first = ptr[j]
                kept = used
                reach = max(reach, 2)
                for r in range(max(r0 - reach, 0), min(r0 + reach + 1, rows)):
                    for c in range(max(c0 - reach, 0), min(c0 + reach + 1, cols)):
                        if not mask[r, c]:
                            continue
                        d = math.sqrt((r - row) ** 2 + (c - col) ** 2)
                        if d > radius and not (abs(r - r0) <= 2 and abs(c - c0) <= 2 and _sees(mask, row, col, r, c)):
                            continue
                        known = False
                        if abs(r - row) < 1 and abs(c - col) < 1:
                            for k in range(first, kept):
                                known = known or cell[k] == r * cols + c
                        if not known:
                            cell[used] = r * cols + c
                            value[used] = d
                            used += 1
        ptr[j + 1] = used
    return ptr, cell[:used].copy(), value[:used].copy()
