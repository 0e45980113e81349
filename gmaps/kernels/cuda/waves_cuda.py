"""The march over parts on a GPU: a crop to a block of threads, a joint to a thread, distances in shared memory.

What `gmaps.kernels.march.waves.solve` does, update by update: the order of updates shows where ways bend. A thread
writes its own joint's distances alone, so threads wait for each other only to agree on which rows must be passed
again. Products are kept from being fused into sums, which rounds otherwise: a source that lies exactly on an edge
would then here and there be taken to lie beyond it.

Imported in a process with NUMBA_ENABLE_CUDASIM=1 the kernels run in Numba's simulator, on any machine.
"""

from __future__ import annotations

import math

import numpy as np
from numba import config, cuda, float32, uint8

#: Rows of blocks at most: maps have up to 512.
MOST_BLOCKS = 512
#: Bytes of distances that a block of threads may keep in shared memory: what every GPU gives without being asked.
SHARED = 46 * 1024
_HALF = np.float32(0.5)
_ZERO = np.float32(0)

if config.ENABLE_CUDASIM:

    def _mul(a, b):
        return a * b

else:
    from numba.cuda import libdevice

    _mul = libdevice.fmul_rn


@cuda.jit(device=True)
def _through(ta, tb, shapes, k):
    """See `gmaps.kernels.march.waves`; the same operations as `gmaps.kernels.march.lanes.relax_round`."""
    along = shapes[k, 0]
    away = shapes[k, 1]
    length = shapes[k, 2]
    side = min(ta + shapes[k, 4], tb + shapes[k, 5])
    x = _mul(_mul(ta - tb, ta + tb), shapes[k, 3]) + _mul(length, _HALF)
    height = _mul(ta, ta) - _mul(x, x)
    if height < _ZERO:
        return side
    whole = np.float32(math.sqrt(height)) + away
    across = x - along
    crossing = _mul(along, whole) + _mul(across, away)
    if crossing < _ZERO or crossing > _mul(length, whole):
        return side
    way = np.float32(math.sqrt(_mul(across, across) + _mul(whole, whole)))
    return min(side, way) if way >= max(ta, tb) else side


@cuda.jit(device=True)
def _relax(values, begin, j, joints, ptr, ends, shapes, part, quarter, tolerance):
    """Update one part of a crop for one joint; whether it fell by more than is passed on."""
    here = part * joints + j
    old = values[here]
    fell = 0
    at = 4 * (begin + part) + quarter
    for k in range(ptr[at], ptr[at + 1]):
        new = _through(
            values[(ends[k, 0] - begin) * joints + j], values[(ends[k, 1] - begin) * joints + j], shapes, k
        )  # fmt: skip
        if new < old - tolerance:
            fell = 1
        old = min(new, old)
    values[here] = old
    return fell


@cuda.jit(device=True)
def _sweep(values, begin, rows, first_row, blocks, joints, ptr, ends, shapes, tolerance, dirty):
    """Sweep a crop's rows downwards and upwards until nothing changes; all threads of the block go through it."""
    j = cuda.threadIdx.x
    wide = blocks + 2
    direction = 0
    idle = 0
    while idle < 2:
        idle += 1
        for step in range(blocks):
            r = step if direction == 0 else blocks - 1 - step
            first = rows[first_row + r] - begin
            last = rows[first_row + r + 1] - begin
            if first == last or dirty[direction * wide + r + 1] == 0:
                continue
            forth = 0
            back = 0
            for i in range(first, last):
                forth |= _relax(values, begin, j, joints, ptr, ends, shapes, i, 2 * direction, tolerance)
            for i in range(last - 1, first - 1, -1):
                back |= _relax(values, begin, j, joints, ptr, ends, shapes, i, 2 * direction + 1, tolerance)
            fell_back = cuda.syncthreads_or(back)
            fell = cuda.syncthreads_or(forth | back)
            if j == 0:
                dirty[direction * wide + r + 1] = 1 if fell_back else 0
                if fell:
                    dirty[r] = 1
                    dirty[r + 2] = 1
                    dirty[wide + r] = 1
                    dirty[wide + r + 2] = 1
                    dirty[(1 - direction) * wide + r + 1] = 1
            cuda.syncthreads()
            if fell:
                idle = 0
        direction = 1 - direction


@cuda.jit
def march_shared(t, rows, blocks, joints, ptr, ends, shapes, tolerance):
    """Sweep each crop's distances in shared memory.

    Parameters
    ----------
    t : (N * J,) float32
        Start values of all parts, joints innermost; replaced.
    rows : (n * B + 1,) int32
        The first part of each row of blocks, crop by crop.
    blocks, joints : int
        B, J. A launch is of n blocks of J threads, with the distances of the largest crop as dynamic shared memory.
    ptr : (4 N + 1,) int32
    ends : (k, 2) int32
    shapes : (k, 6) float32
        From `gmaps.maps.torch_march.triangulate`.
    tolerance : float32
        A distance that falls by less is not passed on.
    """
    dirty = cuda.shared.array(2 * (MOST_BLOCKS + 2), uint8)
    values = cuda.shared.array(0, float32)
    j = cuda.threadIdx.x
    first_row = cuda.blockIdx.x * blocks
    begin = rows[first_row]
    count = rows[first_row + blocks] - begin
    for k in range(j, 2 * (blocks + 2), joints):
        dirty[k] = 1
    for i in range(count):
        values[i * joints + j] = t[(begin + i) * joints + j]
    cuda.syncthreads()
    _sweep(values, begin, rows, first_row, blocks, joints, ptr, ends, shapes, tolerance, dirty)
    for i in range(count):
        t[(begin + i) * joints + j] = values[i * joints + j]


@cuda.jit
def march_global(t, rows, blocks, joints, ptr, ends, shapes, tolerance):
    """As `march_shared`, of crops whose distances do not fit: they stay where they are."""
    dirty = cuda.shared.array(2 * (MOST_BLOCKS + 2), uint8)
    j = cuda.threadIdx.x
    first_row = cuda.blockIdx.x * blocks
    begin = rows[first_row]
    for k in range(j, 2 * (blocks + 2), joints):
        dirty[k] = 1
    cuda.syncthreads()
    _sweep(t[begin * joints :], begin, rows, first_row, blocks, joints, ptr, ends, shapes, tolerance, dirty)
