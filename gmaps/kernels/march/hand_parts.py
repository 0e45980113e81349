"""The graph of a silhouette's parts: coarse as the map's grid, with the topology of the crop's own pixels.

The grid is cut into blocks of at most 8 x 8 pixels, one to a cell of the map unless cells are larger. A *part* is a
connected component of the hand's pixels within a block: mostly there is one, and two where two fingers share it.
Parts touch where their pixels do, across the border of their blocks. A block is one word of 64 bits, row by row, so
that finding its parts, their pixels' centroids and what they touch is a handful of instructions for each.

Pieces of the hand that no pixel joins, though their blocks lie side by side (a finger behind the shadow of another,
a speck at a frayed edge), are linked where they come nearest, as a tree: no loop is closed, so no way between parts
that hang together gets shorter. What is farther off is an island.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march.bits import ALL, cut, lowest, popcount

#: Most pixels to a block's side.
SIDE = 8
#: Most parts of a neighbouring block that one part touches: every other pixel of a side.
TOUCHED = 4
_NOT_LAST = np.uint64(0x7F7F7F7F7F7F7F7F)
_FIRST_COLUMN = np.uint64(0x0101010101010101)
_FIRST_ROW = np.uint64(0xFF)
_EIGHT = np.uint64(8)
_ONE = np.uint64(1)


@jit
def borders(size, blocks):
    """Where each block along a side begins, and the end: a pixel belongs to the block that holds its centre."""
    first = np.empty(blocks + 1, np.int64)
    for k in range(blocks + 1):
        # The first pixel p with (p + 0.5) / size >= k / blocks.
        first[k] = (2 * k * size + blocks - 1) // (2 * blocks)
    return first


@jit(inline="always")
def _block(rows, r0, h, c0, w):
    x = np.uint64(0)
    for y in range(h):
        x |= cut(rows, r0 + y, c0, w) << np.uint64(8 * y)
    return x


@jit(inline="always")
def _component(x, right, down):
    """The bits that hang together with the lowest one of x."""
    c = x & (~x + _ONE)
    while True:
        sideways = ((c & right & _NOT_LAST) << _ONE) | ((c >> _ONE) & right & _NOT_LAST)
        grown = (c | sideways | ((c & down) << _EIGHT) | ((c >> _EIGHT) & down)) & x
        if grown == c:
            return c
        c = grown


@jit(inline="always")
def _middle(bits):
    """Mean row and column of a block's bits, and their number; sums by the binary digits of their places."""
    n: int = popcount(bits)
    col = popcount(bits & np.uint64(0xAAAAAAAAAAAAAAAA)) + 2 * popcount(bits & np.uint64(0xCCCCCCCCCCCCCCCC))
    col += 4 * popcount(bits & np.uint64(0xF0F0F0F0F0F0F0F0))
    row = popcount(bits & np.uint64(0xFF00FF00FF00FF00)) + 2 * popcount(bits & np.uint64(0xFFFF0000FFFF0000))
    row += 4 * popcount(bits & np.uint64(0xFFFFFFFF00000000))
    return row / n, col / n, n


@jit(inline="always")
def _touch(touch, i, side, j, other):
    for k in range(TOUCHED):
        if touch[i, side, k] < 0:
            touch[i, side, k] = j
            break
    for k in range(TOUCHED):
        if touch[j, other, k] < 0:
            touch[j, other, k] = i
            break


@jit
def _cut_up(rows, right, down, sheets, first, ptr):
    """Bits of all parts, block by block; `ptr` is filled."""
    size = rows.shape[0]
    words = rows.shape[1] - 1
    blocks = first.size - 1
    most = 0
    for r in range(size):
        for k in range(words):
            most += popcount(rows[r, k])
    bits = np.empty(most, np.uint64)
    together = np.empty(words + 1, np.uint64)
    n = 0
    for i in range(blocks):
        r0 = first[i]
        h = first[i + 1] - r0
        for k in range(words + 1):
            some = np.uint64(0)
            for r in range(r0, r0 + h):
                some |= rows[r, k]
            together[k] = some
        for b in range(blocks):
            c0 = first[b]
            w = first[b + 1] - c0
            word = c0 >> 6
            some = together[word] >> np.uint64(c0 & 63)
            if (c0 & 63) + w > 64:
                some |= together[word + 1] << np.uint64(64 - (c0 & 63))
            if some & ((_ONE << np.uint64(w)) - _ONE):
                x = _block(rows, r0, h, c0, w)
                to_right = ALL
                to_down = ALL
                whole = popcount(x) == w * h
                if sheets:
                    to_right = _block(right, r0, h, c0, w)
                    to_down = _block(down, r0, h, c0, w)
                    whole &= popcount(to_right) == w * h and popcount(to_down) == w * h
                if whole:
                    bits[n] = x
                    n += 1
                    x = np.uint64(0)
                while x:
                    c = _component(x, to_right, to_down)
                    x &= ~c
                    bits[n] = c
                    n += 1
            ptr[i * blocks + b + 1] = n
    return bits[:n]


@jit
def find_parts(rows, right, down, sheets, blocks):
    """All parts of a silhouette, block by block, and what they touch.

    Parameters
    ----------
    rows, right, down : (S, W + 1) uint64
        Hand pixels, and which of them touch the next: see `gmaps.kernels.march.bits`.
    sheets : bool
        Whether some pixels that are side by side do not touch, as on a surface with steps.
    blocks : int
        B, blocks along a side; S / B is 1 to `SIDE`.

    Returns
    -------
    ptr : (B * B + 1,) int32
        Block b, row by row, holds parts `ptr[b]` to `ptr[b + 1]`, in the order of their first pixels.
    bits : (n,) uint64
        Pixels of each part, bit 8 y + x for row y and column x of its block.
    points : (n, 3) float64
        Column, row and depth of each part's centroid: blocks, an integer is a block's centre; depth is 0.
    count : (n,) int32
        Pixels.
    touch : (n, 4, TOUCHED) int32
        Parts that each touches above, below, left and right; -1 for none.
    """
    size = rows.shape[0]
    first = borders(size, blocks)
    ptr = np.zeros(blocks * blocks + 1, np.int32)
    bits = _cut_up(rows, right, down, sheets, first, ptr)
    n = bits.size
    points = np.empty((n, 3), np.float64)
    count = np.empty(n, np.int32)
    touch = np.full((n, 4, TOUCHED), -1, np.int32)
    per_pixel = blocks / size
    for i in range(blocks):
        r0 = first[i]
        if ptr[i * blocks] == ptr[(i + 1) * blocks]:
            continue
        for b in range(blocks):
            at = i * blocks + b
            start = ptr[at]
            stop = ptr[at + 1]
            if start == stop:
                continue
            c0 = first[b]
            for k in range(start, stop):
                row, col, count[k] = _middle(bits[k])
                points[k, 0] = (c0 + col + 0.5) * per_pixel - 0.5
                points[k, 1] = (r0 + row + 0.5) * per_pixel - 0.5
                points[k, 2] = 0.0
            if b > 0 and ptr[at - 1] < start:
                # The left neighbour's pixels that touch this block's first column.
                across = _block(right, r0, first[i + 1] - r0, c0 - 1, 1) if sheets else ALL
                shift = np.uint64(c0 - first[b - 1] - 1)
                for j in range(ptr[at - 1], start):
                    edge = (bits[j] >> shift) & _FIRST_COLUMN & across
                    for k in range(start, stop):
                        if edge & bits[k]:
                            _touch(touch, k, 2, j, 3)
            if i > 0 and ptr[at - blocks] < ptr[at - blocks + 1]:
                across = cut(down, r0 - 1, c0, first[b + 1] - c0) if sheets else ALL
                shift = np.uint64(8 * (r0 - first[i - 1] - 1))
                for j in range(ptr[at - blocks], ptr[at - blocks + 1]):
                    edge = (bits[j] >> shift) & _FIRST_ROW & across
                    for k in range(start, stop):
                        if edge & bits[k]:
                            _touch(touch, k, 0, j, 1)
    return ptr, bits, points, count, touch


@jit
def part_at(ptr, bits, first, r, c, blocks, size):
    """The part that holds hand pixel (r, c)."""
    i = (2 * r + 1) * blocks // (2 * size)
    b = (2 * c + 1) * blocks // (2 * size)
    bit = _ONE << np.uint64(8 * (r - first[i]) + c - first[b])
    k = ptr[i * blocks + b]
    while not bits[k] & bit:
        k += 1
    return k


@jit
def depths(ptr, bits, count, depth, unit, blocks, points):
    """Fill the depth of `points`: the mean over each part's pixels, times `unit`."""
    size = depth.shape[0]
    first = borders(size, blocks)
    for i in range(blocks):
        for b in range(blocks):
            for k in range(ptr[i * blocks + b], ptr[i * blocks + b + 1]):
                total = 0.0
                x = bits[k]
                while x:
                    at: int = lowest(x)
                    total += depth[first[i] + (at >> 3), first[b] + (at & 7)]
                    x &= x - _ONE
                points[k, 2] = total / count[k] * unit


@jit(inline="always")
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def _sorted(length):
    """Numbers of the lengths, the shortest first, equal ones in order: Shell's sort, which compiles in no time."""
    order = np.empty(length.size, np.int64)
    for k in range(length.size):
        order[k] = k
    gap = length.size // 2
    while gap > 0:
        for i in range(gap, length.size):
            k = order[i]
            j = i
            while j >= gap:
                other = order[j - gap]
                if length[other] < length[k] or (length[other] == length[k] and other < k):
                    break
                order[j] = other
                j -= gap
            order[j] = k
        gap //= 2
    return order


@jit(inline="always")
def off_middle(points, i, blocks):
    """Squared distance of a part from the grid's middle: the same in a crop that is turned or mirrored."""
    x = points[i, 0] - (blocks - 1) / 2
    y = points[i, 1] - (blocks - 1) / 2
    return x * x + y * y


@jit
def find_links(ptr, points, touch, blocks):
    """Links between pieces of the hand that do not touch, though their blocks do: the shortest that join them.

    Returns
    -------
    (m, 2) int32
        Pairs of parts, in one block or in two that share a side.
    """
    n = points.shape[0]
    parent = np.empty(n, np.int32)
    for i in range(n):
        parent[i] = i
    pieces = n
    for i in range(n):
        for side in (0, 2):
            for k in range(TOUCHED):
                j = touch[i, side, k]
                if j < 0:
                    break
                a = _root(parent, i)
                b = _root(parent, j)
                if a != b:
                    parent[max(a, b)] = min(a, b)
                    pieces -= 1
    links = np.empty((max(pieces - 1, 0), 2), np.int32)
    if pieces < 2:
        return links
    for i in range(n):
        parent[i] = _root(parent, i)
    pairs = np.empty((64, 2), np.int32)
    used = 0
    column = -1
    for at in range(blocks * blocks):
        column = column + 1 if column + 1 < blocks else 0
        if ptr[at] == ptr[at + 1]:
            continue
        for side in range(3):
            other = at if side == 0 else (at + 1 if side == 1 else at + blocks)
            if (side == 1 and column == blocks - 1) or other >= blocks * blocks:
                continue
            for i in range(ptr[at], ptr[at + 1]):
                for j in range(max(ptr[other], i + 1), ptr[other + 1]):
                    if parent[i] == parent[j]:
                        continue
                    if used == pairs.shape[0]:
                        more = np.empty((2 * used, 2), np.int32)
                        for k in range(used):
                            more[k, 0] = pairs[k, 0]
                            more[k, 1] = pairs[k, 1]
                        pairs = more
                    pairs[used, 0] = i
                    pairs[used, 1] = j
                    used += 1
    length = np.empty(used, np.float64)
    middle = (blocks - 1) / 2
    for k in range(used):
        i, j = pairs[k, 0], pairs[k, 1]
        square = 0.0
        for axis in range(3):
            square += (points[i, axis] - points[j, axis]) ** 2
        x = (points[i, 0] + points[j, 0]) / 2 - middle
        y = (points[i, 1] + points[j, 1]) / 2 - middle
        # Of equal ones that nearest to the grid's middle, so that a crop that is turned or mirrored has the same.
        length[k] = np.rint(square * 1e6) + (x * x + y * y) / (4 * middle * middle + 4)
    m = 0
    for k in _sorted(length):
        i, j = pairs[k, 0], pairs[k, 1]
        a = _root(parent, i)
        b = _root(parent, j)
        if a != b:
            parent[max(a, b)] = min(a, b)
            links[m, 0] = i
            links[m, 1] = j
            m += 1
    return links[:m].copy()
