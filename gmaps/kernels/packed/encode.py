"""The packed codec, writing: maps of many channels on a grid, hand cells only, predicted and bit-packed.

Lossless for uint8 and float16. docs/packed-codec.md specifies the bytes; tests/reference/packed.py is a slow twin.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gmaps.kernels._jit import jit
from gmaps.kernels.packed.half import half_to_float
from gmaps.kernels.packed.vectors import zigzag8

#: How values became the 16-bit codes that are predicted.
BYTES, FIXED, ORDERED = 0, 1, 2
#: A FIXED float16 is a whole number of these: the spacing of float16 below 1.
STEP = 2.0**-11
HEADER = 12
#: Zeros behind the last group, so that a decoder can read words of 8 bytes.
PAD = 8
GROUP = 8
U, U32 = np.uint64, np.uint32
VERSION = 1


@lru_cache(maxsize=256)
def grid(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns and lanes of a chunk: the last axis is the lanes, the one before it the columns."""
    padded = (1, 1, *shape)
    return math.prod(padded[:-2]), padded[-2], padded[-1]


@jit
def quantise(values):
    """Values (n,) float32 rounded to multiples of 2^-11; those beyond [-1, 1], and NaN, as they are."""
    out = np.empty_like(values)
    for i in range(values.size):
        whole = np.rint(values[i] * np.float32(1 / STEP))
        rounded = np.float32(whole * np.float32(STEP)) if abs(whole) <= np.float32(1 / STEP) else values[i]
        out[i] = rounded + np.float32(0)  # which turns -0 into 0
    return out


@jit
def to_codes(values, code, fixed):
    """Bits of float16 (n,) uint16 to codes (n,) int16; False where one is no FIXED number."""
    if not fixed:
        for i in range(values.size):
            h = np.int32(values[i])
            code[i] = np.int16(h ^ 0x7FFF if h & 0x8000 else h)
        return True
    floats = np.empty(values.size, np.float32)
    half_to_float(values, floats.view(np.uint32))
    good = True
    for i in range(values.size):
        k = floats[i] * np.float32(1 / STEP)
        # Written so that NaN is no number; the bits of -0 would be lost.
        good &= (np.abs(k) <= np.float32(1 / STEP)) & (np.rint(k) == k) & (values[i] != np.uint16(0x8000))
        code[i] = np.int16(min(max(k, np.float32(-1 / STEP)), np.float32(1 / STEP)))
    return good


@jit
def ranks(rank, cell, here, width):
    """Three rows of codes A, B, D, so that A + B - D predicts a cell; `here` is the row of zeros."""
    w = rank[cell - 1]
    n = rank[cell - width]
    if w >= 0:
        if n >= 0:
            d = rank[cell - width - 1]
            if d >= 0:
                return w, n, d
            e = rank[cell - width + 1]
            if e >= 0:
                return w, e, n
        ww = rank[cell - 2]
        if ww >= 0:
            return w, w, ww
    if n >= 0:
        nn = rank[cell - 2 * width]
        if nn >= 0:
            return n, n, nn
    if w >= 0:
        return w, here, here
    if n >= 0:
        return n, here, here
    e = rank[cell - width + 1]
    if e >= 0:
        return e, here, here
    d = rank[cell - width - 1]
    if d >= 0:
        return d, here, here
    return here, here, here


@jit
def float_codes(values, code):
    """FIXED codes (n,) int16 of values (n,) float32, as `quantise` rounds them; False if one is beyond [-1, 1]."""
    good = True
    for i in range(values.size):
        k = np.rint(values[i] * np.float32(1 / STEP))
        good &= np.abs(k) <= np.float32(1 / STEP)  # NaN is not
        code[i] = np.int16(min(max(k, np.float32(-1 / STEP)), np.float32(1 / STEP)))
    return good


@jit
def put_word(out, at, word):
    """Eight bytes, little-endian, from `at` on; unsigned places need no look at what lies before the start."""
    at = U(at)
    out[at] = np.uint8(word & U(255))
    out[at + U(1)] = np.uint8((word >> U(8)) & U(255))
    out[at + U(2)] = np.uint8((word >> U(16)) & U(255))
    out[at + U(3)] = np.uint8((word >> U(24)) & U(255))
    out[at + U(4)] = np.uint8((word >> U(32)) & U(255))
    out[at + U(5)] = np.uint8((word >> U(40)) & U(255))
    out[at + U(6)] = np.uint8((word >> U(48)) & U(255))
    out[at + U(7)] = np.uint8((word >> U(56)) & U(255))


@jit
def pack_codes(code, cells, rows, cols, lanes, mode, off, out):
    """Codes ((n + 1) * lanes + 8,) int16 of `cells`, then zeros, to a chunk in `out`; returns its length.

    `cells` (n,) int32 are raveled and rise; all others have code `off`. `out` has room for `largest(...)` bytes.
    """
    bitmap = HEADER
    widths = bitmap + (rows * cols + 7) // 8
    out[:widths] = np.uint8(0)
    stride = cols + 3
    rank = np.full((rows + 2) * stride + 3, -1, np.int32)
    where = np.empty(cells.size + 1, np.int32)
    away = np.int16(off)
    n = 0
    for i in range(cells.size):
        differs = np.int16(0)
        here = U(i) * U(lanes)
        if lanes >= 16:
            # Sixteen at a time are one vector; the last ones may be looked at twice.
            for k in range(U(0), U(lanes - 15), U(16)):
                for j in range(U(16)):
                    differs |= code[here + k + j] ^ away
            for j in range(U(16)):
                differs |= code[here + U(lanes - 16) + j] ^ away
        else:
            for j in range(U(lanes)):
                differs |= code[here + j] ^ away
        if differs != 0:
            cell = cells[i]
            out[bitmap + (cell >> 3)] |= np.uint8(1 << (cell & 7))
            where[n] = i
            n += 1
    where[n] = cells.size  # the zeros: what stands for a neighbour that is not there
    groups = (n * lanes + GROUP - 1) // GROUP
    # Lanes are worked on eight at a time. What is too much of a cell, the next one writes over.
    zig = np.empty(n * lanes + 2 * GROUP, np.uint16)
    origin, target = U(code.ctypes.data), U(zig.ctypes.data)
    step = U(2 * lanes)  # bytes
    r = 0
    for k in range(n):
        cell = cells[where[k]]
        while cell >= (r + 1) * cols:  # a division would cost more than all the rest
            r += 1
        at = (r + 2) * stride + cell - r * cols + 2
        a, b, d = ranks(rank, at, n, stride)
        rank[at] = k
        here = origin + U(where[k]) * step
        a, b, d = origin + U(where[a]) * step, origin + U(where[b]) * step, origin + U(where[d]) * step
        to = target + U(k) * step
        for g in range(U(0), step, U(2 * GROUP)):
            zigzag8(to + g, here + g, a + g, b + g, d + g)
    zig[n * lanes :] = np.uint16(0)
    at = U(widths + (groups + 1) // 2)
    start = at
    nibble = U(widths)
    for g in range(U(groups)):
        z = U(GROUP) * g
        z0, z1, z2, z3 = U(zig[z]), U(zig[z + U(1)]), U(zig[z + U(2)]), U(zig[z + U(3)])
        z4, z5, z6, z7 = U(zig[z + U(4)]), U(zig[z + U(5)]), U(zig[z + U(6)]), U(zig[z + U(7)])
        used = z0 | z1 | z2 | z3 | z4 | z5 | z6 | z7
        # Bits of the largest, from a float's exponent, since a loop that ends at chance costs more than the rest.
        w = U(max(np.int32(np.float32(np.int32(used)).view(np.uint32) >> U32(23)) - np.int32(126), np.int32(0)))
        w = U(16) if w == U(15) else w
        short = np.uint8(min(w, U(15)))
        if g & U(1):
            out[nibble] |= np.uint8(short << np.uint8(4))
            nibble += U(1)
        else:
            out[nibble] = short
        # Half a group's bits, 4 times `w`, fit a word; both halves together are `w` bytes.
        low = z0 | z1 << w | z2 << U(2) * w | z3 << U(3) * w
        high = z4 | z5 << w | z6 << U(2) * w | z7 << U(3) * w
        half = U(4) * w
        if U(0) < half < U(64):
            low |= high << half
            high >>= U(64) - half
        # Always a whole word: what is too much of it, the next group writes over.
        put_word(out, at, low)
        if w > U(8):
            put_word(out, at + U(8), high)
        at += w
    size = at - start
    for i in range(U(PAD)):
        out[at + i] = np.uint8(0)
    out[0], out[1] = np.uint8(VERSION), np.uint8(mode)
    out[2], out[3] = np.uint8(off & 255), np.uint8((off >> 8) & 255)
    for i in range(4):
        out[4 + i] = np.uint8((n >> (8 * i)) & 255)
        out[8 + i] = np.uint8((size >> (8 * i)) & 255)
    return int(at) + PAD


@lru_cache(maxsize=256)
def largest(rows: int, cols: int, lanes: int) -> int:
    """No chunk of this shape is longer."""
    groups = (rows * cols * lanes + GROUP - 1) // GROUP
    return HEADER + (rows * cols + 7) // 8 + (groups + 1) // 2 + groups * 16 + PAD


@lru_cache(maxsize=256)
def _every_cell(rows: int, cols: int) -> NDArray[np.int32]:
    return np.arange(rows * cols, dtype=np.int32)


def pack(
    values: NDArray[np.uint8] | NDArray[np.float16],
    fill: float,
    cells: NDArray[np.int32] | None = None,
    shape: tuple[int, ...] = (),
) -> bytes:
    """One chunk of an array, packed.

    Parameters
    ----------
    values
        uint8 or float16, contiguous; (..., columns, lanes), or (n, lanes) of some cells.
    fill
        The value of cells that are not stored.
    cells : (n,) int32, optional
        Raveled and rising, where only these are given, and all others are `fill`.
    shape
        Then: that of the whole chunk.
    """
    flat = values.reshape(-1)
    whole = grid(shape or values.shape)
    code = _room(flat.size, whole[2])
    if values.dtype == np.uint8:
        mode, off = BYTES, int(fill)
        code[: flat.size] = flat
    else:
        bits, away = flat.view(np.uint16), np.array([fill], np.float16).view(np.uint16)
        mode, last = FIXED, np.empty(1, np.int16)
        if not (to_codes(away, last, True) and to_codes(bits, code[: flat.size], True)):
            mode = ORDERED
            to_codes(away, last, False)
            to_codes(bits, code[: flat.size], False)
        off = int(last[0])
    return _packed(code, cells, whole, mode, off)


@jit
def pack_values(values, cells, rows, cols, lanes, off, out):
    """`float_codes` of values (n * lanes,), then `pack_codes`; -1 where one is beyond [-1, 1]."""
    code = np.empty(values.size + lanes + GROUP, np.int16)
    code[values.size :] = np.int16(0)
    if not float_codes(values, code[: values.size]):
        return -1
    return pack_codes(code, cells, rows, cols, lanes, FIXED, off, out)


def pack_floats(
    values: NDArray[np.float32], fill: float, cells: NDArray[np.int32] | None = None, shape: tuple[int, ...] = ()
) -> bytes | None:
    """One chunk of a float16 array from float32 values, as `pack` makes it of what `quantise` makes of them.

    None where that takes more than FIXED codes: some value, or the fill, lies beyond [-1, 1].
    """
    whole = grid(shape or values.shape)
    off = fill / STEP
    if not (abs(fill) <= 1 and off == int(off)):
        return None
    out = np.empty(largest(*whole), np.uint8)
    some = _every_cell(*whole[:2]) if cells is None else cells
    size = pack_values(np.ascontiguousarray(values).reshape(-1), some, *whole, int(off), out)
    return None if size < 0 else out[:size].tobytes()


def _room(size: int, lanes: int) -> NDArray[np.int16]:
    # Zeros for a neighbour that is not there, and so many more that eight lanes can be read at once.
    code = np.empty(size + lanes + GROUP, np.int16)
    code[size:] = 0
    return code


def _packed(
    code: NDArray[np.int16], cells: NDArray[np.int32] | None, shape: tuple[int, int, int], mode: int, off: int
) -> bytes:
    out = np.empty(largest(*shape), np.uint8)
    some = _every_cell(*shape[:2]) if cells is None else cells
    return out[: pack_codes(code, some, *shape, mode, off, out)].tobytes()
