"""Fast marching that equals scikit-fmm bit for bit, for many sources on one silhouette.

Same arithmetic, in the same order, as scikit-fmm 2025.6.23's `distance` for a phi that is 0 at the source and
positive elsewhere: upwind quadratic of order 1 or 2 per axis, the smallest tentative value frozen first, equal
values frozen together before their neighbours are updated. What differs is how the work is done:

- A cell's frozen value is +inf until it freezes, so "in bounds, on the hand, frozen and smaller" is one
  comparison; two cells of padding replace every bounds check.
- The narrow band is no heap. A front advances by about a cell, so the band's values span little more than one: they
  are thrown into buckets, a fraction of a cell wide, and only what is in the bucket at hand (or belongs before it) is
  sorted, in the run. So an entry costs the same however long the front is. Buckets are used again and again, as the
  hours of a clock are: an entry of a later round stays until its own comes.
- Order 2 also updates the cell beyond a frozen neighbour. That can change its value only when the newly frozen
  cell is not larger than the one between, which is rare: the other updates are skipped.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.whole import floor

PAD = 2
#: Buckets to a cell's width, and to a round; the latter is a power of two.
_PER_CELL, _BUCKETS = 16, 64


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
def _along_axis(frozen, p, step):
    """What one axis adds to the quadratic of order 2: its weight and its value; 0 and 0 where nothing is frozen.

    The value beyond the smaller neighbour counts where it is frozen and not larger. It is not reset when the plus
    side takes over without one: that is what scikit-fmm does. These are selections, not branches, because no
    processor guesses which way they go.
    """
    minus = frozen[p - step]
    plus = frozen[p + step]
    beyond_minus = frozen[p - 2 * step]
    beyond_plus = frozen[p + 2 * step]
    from_plus = plus < minus
    v1 = plus if from_plus else minus
    v2 = beyond_minus if (minus < np.inf) & (beyond_minus <= minus) else np.inf
    v2 = beyond_plus if from_plus & (beyond_plus <= plus) else v2
    second = v2 < np.inf
    known = v1 < np.inf
    weight = 9.0 / 4.0 if second else (1.0 if known else 0.0)
    value = 1.0 / 3.0 * (4 * v1 - v2) if second else (v1 if known else 0.0)
    return weight, value


@jit
def _order_two(frozen, p, stride, idx2):
    w, t = _along_axis(frozen, p, stride)
    a = idx2 * w
    b = 0.0 - idx2 * 2 * w * t
    c = idx2 * w * (t * t)
    w, t = _along_axis(frozen, p, 1)
    a += idx2 * w
    b -= idx2 * 2 * w * t
    c += idx2 * w * (t * t)
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
    out : (J, H, W) float64 or float32
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
    most = 8 * count + 8
    keys = np.empty(most, np.float64)
    cells = np.empty(most, np.int32)
    # Entries that wait in buckets; `following` is the next one of the same bucket, or of those that are free again.
    waiting_key = np.empty(most, np.float64)
    waiting_cell = np.empty(most, np.int32)
    following = np.empty(most, np.int32)
    buckets = np.empty(_BUCKETS, np.int32)
    per_unit = _PER_CELL / spacing
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
        # The run is entries `head` to `tail` of `keys`, and holds what belongs into bucket `now` or before it.
        head = 0
        tail = 0
        now = 0
        waiting = 0
        used = np.int32(0)
        free = np.int32(-1)
        buckets[:] = -1
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
                    number = floor(d * per_unit)
                    if number > now:
                        entry = free
                        if entry >= 0:
                            free = following[entry]
                        else:
                            entry = used
                            used += np.int32(1)
                        waiting_key[entry] = d
                        waiting_cell[entry] = q
                        following[entry] = buckets[number & (_BUCKETS - 1)]
                        buckets[number & (_BUCKETS - 1)] = entry
                        waiting += 1
                        continue
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
            while True:
                if head == tail:
                    head = 0
                    tail = 0
                    while waiting > 0 and tail == 0:
                        now += 1
                        entry = buckets[now & (_BUCKETS - 1)]
                        buckets[now & (_BUCKETS - 1)] = -1
                        while entry >= 0:
                            after = following[entry]
                            d = waiting_key[entry]
                            if floor(d * per_unit) == now:
                                at = tail
                                while at > 0 and keys[at - 1] > d:
                                    keys[at] = keys[at - 1]
                                    cells[at] = cells[at - 1]
                                    at -= 1
                                keys[at] = d
                                cells[at] = waiting_cell[entry]
                                tail += 1
                                waiting -= 1
                                following[entry] = free
                                free = entry
                            else:
                                following[entry] = buckets[now & (_BUCKETS - 1)]
                                buckets[now & (_BUCKETS - 1)] = entry
                            entry = after
                    if tail == 0:
                        break
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
        for r in range(rows):
            for c in range(cols):
                out[j, r, c] = frozen[(r + PAD) * stride + c + PAD]
