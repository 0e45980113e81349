"""Fast marching that equals scikit-fmm bit for bit, for many sources on one silhouette.

Same arithmetic, in the same order, as scikit-fmm 2025.6.23's `distance` for a phi that is 0 at the source and
positive elsewhere: upwind quadratic of order 1 or 2 per axis, the smallest tentative value frozen first, equal
values frozen together before their neighbours are updated. What differs is how the work is done:

- A cell's frozen value is +inf until it freezes, so "in bounds, on the hand, frozen and smaller" is one
  comparison; two cells of padding replace every bounds check.
- The narrow band is a sorted array, not a heap. A front advances by about one cell, so a new value belongs
  within a few places of the end, and the smallest is simply the first.
- Order 2 also updates the cell beyond a frozen neighbour. That can change its value only when the newly frozen
  cell is not larger than the one between, which is rare: the other updates are skipped.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit

PAD = 2


@jit
def _order_one(frozen, p, stride, idx2):
    a = 0.0
    b = 0.0
    c = 0.0
    v = min(frozen[p - stride], frozen[p + stride])
    if v < np.inf:
        a += idx2
        b -= idx2 * 2 * v
        c += idx2 * (v * v)
    v = min(frozen[p - 1], frozen[p + 1])
    if v < np.inf:
        a += idx2
        b -= idx2 * 2 * v
        c += idx2 * (v * v)
    c -= 1
    det = b * b - 4 * a * c
    if det >= 0:
        return (-b + np.sqrt(det)) / 2.0 / a
    # The two axes disagree by more than a cell: the minimum of the parabola, as scikit-fmm takes it.
    return -b / (2.0 * a)


@jit(inline="always")
def _two_back(frozen, p, step):
    """Smaller frozen neighbour along one axis, and the value beyond it (inf if it may not be used).

    The value beyond is not reset when the plus side takes over: that is what scikit-fmm does.
    """
    v1 = frozen[p - step]
    v2 = np.inf
    if v1 < np.inf and frozen[p - 2 * step] <= v1:
        v2 = frozen[p - 2 * step]
    if frozen[p + step] < v1:
        v1 = frozen[p + step]
        if frozen[p + 2 * step] <= v1:
            v2 = frozen[p + 2 * step]
    return v1, v2


@jit
def _order_two(frozen, p, stride, idx2):
    nine_fourths = 9.0 / 4.0
    one_third = 1.0 / 3.0
    a = 0.0
    b = 0.0
    c = 0.0
    v1, v2 = _two_back(frozen, p, stride)
    if v2 < np.inf:
        t = one_third * (4 * v1 - v2)
        a += idx2 * nine_fourths
        b -= idx2 * 2 * nine_fourths * t
        c += idx2 * nine_fourths * (t * t)
    elif v1 < np.inf:
        a += idx2
        b -= idx2 * 2 * v1
        c += idx2 * (v1 * v1)
    v1, v2 = _two_back(frozen, p, 1)
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
        return (-b + np.sqrt(det)) / 2.0 / a
    return _order_one(frozen, p, stride, idx2)


@jit
def fast_marching(mask, start_ptr, start_cell, start_value, spacing, order, out):
    """Distance travelled inside a silhouette from each of J sources.

    Parameters
    ----------
    mask : (H, W) bool
    start_ptr : (J + 1,) int32
        Source j starts at entries `start_ptr[j]` to `start_ptr[j + 1]` of the next two.
    start_cell : (K,) int32
        Raveled cells, all on the mask.
    start_value : (K,) float64
        Their distances, units of `spacing`.
    spacing : float
        Size of a cell; bit-identity holds for scikit-fmm's `dx` of the same value.
    order : int
        1 or 2.
    out : (J, H, W) float64
        Filled with distances; +inf off the mask and where a source cannot reach.
    """
    rows, cols = mask.shape
    stride = cols + 2 * PAD
    size = (rows + 2 * PAD) * stride
    idx2 = 1 / spacing / spacing
    count = 0
    hand = np.zeros(size, np.bool_)
    for r in range(rows):
        for c in range(cols):
            if mask[r, c]:
                hand[(r + PAD) * stride + c + PAD] = True
                count += 1
    frozen = np.empty(size, np.float64)
    tentative = np.empty(size, np.float64)
    # A cell enters the band once for each change of its value: at most once per neighbour, two away included.
    keys = np.empty(8 * count + 8, np.float64)
    cells = np.empty(8 * count + 8, np.int32)
    batch = np.empty(count + 1, np.int32)
    steps = np.array([-stride, stride, -1, 1], np.int32)

    for j in range(start_ptr.size - 1):
        frozen[:] = np.inf
        tentative[:] = np.inf
        n_batch = 0
        for k in range(start_ptr[j], start_ptr[j + 1]):
            p = (start_cell[k] // cols + PAD) * stride + start_cell[k] % cols + PAD
            frozen[p] = start_value[k]
            batch[n_batch] = p
            n_batch += 1
        head = 0
        tail = 0
        while n_batch > 0:
            for i in range(n_batch):
                p = batch[i]
                for s in range(4):
                    step = steps[s]
                    q = p + step
                    if not hand[q]:
                        continue
                    if frozen[q] < np.inf:
                        if order == 1 or frozen[p] > frozen[q]:
                            continue
                        q += step
                        if not hand[q] or frozen[q] < np.inf or tentative[q] == np.inf:
                            continue
                    d = _order_one(frozen, q, stride, idx2) if order == 1 else _order_two(frozen, q, stride, idx2)
                    if d == tentative[q]:
                        continue
                    tentative[q] = d
                    at = tail
                    while at > head and keys[at - 1] > d:
                        keys[at] = keys[at - 1]
                        cells[at] = cells[at - 1]
                        at -= 1
                    keys[at] = d
                    cells[at] = q
                    tail += 1
            # Freeze the smallest value, with all that equal it. Entries whose cell has since changed or frozen
            # are stale: pass over them.
            n_batch = 0
            value = np.inf
            while head < tail:
                d = keys[head]
                if n_batch > 0 and d != value:
                    break
                q = cells[head]
                head += 1
                if frozen[q] < np.inf or tentative[q] != d:
                    continue
                value = d
                frozen[q] = d
                batch[n_batch] = q
                n_batch += 1
            if head == tail:
                head = 0
                tail = 0
        for r in range(rows):
            for c in range(cols):
                out[j, r, c] = frozen[(r + PAD) * stride + c + PAD]
