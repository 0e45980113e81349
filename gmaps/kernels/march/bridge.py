"""Reaching islands: hand cells that are cut off from a joint, across the void."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march.lanes import FAR


@jit
def bridge(cells, t, rows, cols, unit, slowness):
    """Give unreached hand cells the time of the fastest way over hand and void, in place.

    What is reached inside the hand keeps its value: the void is no short cut. From there the eikonal equation of
    order 1 is solved over the whole grid, with the cells' size as cost on the hand and `slowness` times that in the
    void.

    Parameters
    ----------
    cells : (n,) int32
        Raveled hand cells.
    t : (n + 1, L) float32
        From a march; `FAR` or more where a joint cannot reach.
    rows, cols : int
    unit : float
        Size of a cell in the units of `t`.
    slowness : float
        Cost of void relative to hand, positive.
    """
    n = cells.size
    half = FAR * np.float32(0.5)
    hand = np.zeros((rows, cols), np.bool_)
    for i in range(n):
        hand[cells[i] // cols, cells[i] % cols] = True
    plane = np.empty((rows + 2, cols + 2), np.float64)
    fixed = np.empty((rows, cols), np.bool_)
    for j in range(t.shape[1]):
        missing = 0
        for i in range(n):
            missing += t[i, j] >= half
        if missing == 0 or missing == n:
            continue
        plane[:, :] = np.inf
        fixed[:, :] = False
        for i in range(n):
            if t[i, j] < half:
                r = cells[i] // cols
                c = cells[i] % cols
                plane[r + 1, c + 1] = t[i, j]
                fixed[r, c] = True
        changed = True
        direction = 0
        while changed:
            changed = False
            for rr in range(rows):
                r = rr if direction % 2 == 0 else rows - 1 - rr
                for cc in range(cols):
                    c = cc if direction // 2 % 2 == 0 else cols - 1 - cc
                    if fixed[r, c]:
                        continue
                    a = min(plane[r, c + 1], plane[r + 2, c + 1])
                    b = min(plane[r + 1, c], plane[r + 1, c + 2])
                    low = min(a, b)
                    if low == np.inf:
                        continue
                    f = unit if hand[r, c] else unit * slowness
                    d = min(max(a, b) - low, f)
                    new = low + 0.5 * (d + np.sqrt(2 * f * f - d * d))
                    if new < plane[r + 1, c + 1] - 1e-9 * unit:
                        plane[r + 1, c + 1] = new
                        changed = True
            direction += 1
        for i in range(n):
            t[i, j] = plane[cells[i] // cols + 1, cells[i] % cols + 1]
