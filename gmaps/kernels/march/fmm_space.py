"""Fast marching in space that equals scikit-fmm's `distance`, for what the original HandMap makes in voxels.

The arithmetic of `march.fmm`, on three axes; with signs, for a phi that is negative beyond the surface; and with a
narrow band, beyond which nothing is computed. It is no faster than it must be: only `profile="handmap"` needs it.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit

PAD = 2


@jit
def _push(keys, cells, n, key, cell):
    """Onto a binary heap of n entries."""
    at = n
    while at > 0 and keys[(at - 1) // 2] > key:
        up = (at - 1) // 2
        keys[at] = keys[up]
        cells[at] = cells[up]
        at = up
    keys[at] = key
    cells[at] = cell


@jit
def _pop(keys, cells, n):
    """Drop the first of n entries."""
    key = keys[n - 1]
    cell = cells[n - 1]
    n -= 1
    at = 0
    while 2 * at + 1 < n:
        low = 2 * at + 1
        if low + 1 < n and keys[low + 1] < keys[low]:
            low += 1
        if keys[low] >= key:
            break
        keys[at] = keys[low]
        cells[at] = cells[low]
        at = low
    keys[at] = key
    cells[at] = cell


@jit
def _solve(frozen, p, strides, idx2, order, negative):
    """A cell's distance from what is frozen around it; NaN is not frozen."""
    nine_fourths = 9.0 / 4.0
    one_third = 1.0 / 3.0
    a = 0.0
    b = 0.0
    c = 0.0
    for axis in range(3):
        v1 = np.inf
        v2 = np.inf
        for side in range(2):
            step = strides[axis] if side else -strides[axis]
            v = frozen[p + step]
            # A comparison with NaN is false.
            if abs(v) < abs(v1):
                v1 = v
                beyond = frozen[p + 2 * step]
                # Not reset where the second side takes over without one: that is what scikit-fmm does.
                if order == 2 and ((beyond <= v1 and v1 >= 0) or (beyond >= v1 and v1 <= 0)):
                    v2 = beyond
        if v2 < np.inf:
            t = one_third * (4 * v1 - v2)
            a += idx2 * nine_fourths
            b -= idx2 * 2 * nine_fourths * t
            c += idx2 * nine_fourths * (t * t)
        elif v1 < np.inf:
            a += idx2
            b -= idx2 * 2 * v1
            c += idx2 * (v1 * v1)
    c -= 1
    det = b * b - 4 * a * c
    if det >= 0:
        return (-b - np.sqrt(det)) / 2.0 / a if negative else (-b + np.sqrt(det)) / 2.0 / a
    if order == 2:
        return np.nan
    return -b / (2.0 * a)


@jit
def _update(frozen, p, strides, idx2, negative):
    d = _solve(frozen, p, strides, idx2, 2, negative)
    return _solve(frozen, p, strides, idx2, 1, negative) if np.isnan(d) else d


@jit
def fast_marching(allowed, start, negative, spacing, narrow, out):
    """Signed distance of order 2 from cells of known distance.

    Parameters
    ----------
    allowed : (X, Y, Z) bool
        Where the march may go.
    start : (X, Y, Z) float64
        Signed distances of the allowed cells that it begins with; NaN for all others.
    negative : (X, Y, Z) bool
        Cells whose distances are negative.
    spacing : float
        Size of a cell.
    narrow : float
        How far it goes; 0 for no limit.
    out : (X, Y, Z) float64
        Filled; inf where it did not come.
    """
    nx, ny, nz = allowed.shape
    line = nz + 2 * PAD
    plane = (ny + 2 * PAD) * line
    size = (nx + 2 * PAD) * plane
    strides = np.array([plane, line, 1], np.int64)
    idx2 = 1 / spacing / spacing
    open_ = np.zeros(size, np.bool_)
    below = np.zeros(size, np.bool_)
    frozen = np.full(size, np.nan)
    tentative = np.full(size, np.nan)
    count = 0
    begun = 0
    batch = np.empty(allowed.size + 1, np.int64)
    for x in range(nx):
        for y in range(ny):
            for z in range(nz):
                p = (x + PAD) * plane + (y + PAD) * line + z + PAD
                if allowed[x, y, z]:
                    open_[p] = True
                    below[p] = negative[x, y, z]
                    count += 1
                    if not np.isnan(start[x, y, z]):
                        frozen[p] = start[x, y, z]
                        batch[begun] = p
                        begun += 1
    # A cell comes in once for each change of its value: at most once per neighbour, two away included.
    keys = np.empty(14 * count + 1)
    cells = np.empty(14 * count + 1, np.int64)
    n = 0
    while begun > 0:
        for i in range(begun):
            p = batch[i]
            for axis in range(3):
                for side in range(2):
                    step = strides[axis] if side else -strides[axis]
                    q = p + step
                    if not open_[q]:
                        continue
                    if not np.isnan(frozen[q]):
                        # Order 2 also looks beyond a frozen neighbour, at a cell that has a value.
                        q += step
                        if not open_[q] or not np.isnan(frozen[q]) or np.isnan(tentative[q]):
                            continue
                    d = _update(frozen, q, strides, idx2, below[q])
                    if d == tentative[q]:
                        continue
                    tentative[q] = d
                    _push(keys, cells, n, abs(d), q)
                    n += 1
        # Freeze the smallest value, with all that equal it; entries that have changed since are passed over.
        begun = 0
        value = np.inf
        while n > 0:
            d = keys[0]
            q = cells[0]
            if begun > 0 and d != value:
                break
            _pop(keys, cells, n)
            n -= 1
            if not np.isnan(frozen[q]) or abs(tentative[q]) != d:
                continue
            if narrow > 0 and d > narrow:
                n = 0
                break
            value = d
            frozen[q] = tentative[q]
            batch[begun] = q
            begun += 1
    for x in range(nx):
        for y in range(ny):
            for z in range(nz):
                v = frozen[(x + PAD) * plane + (y + PAD) * line + z + PAD]
                out[x, y, z] = np.inf if np.isnan(v) else v
