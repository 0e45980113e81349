"""The packed codec, writing: maps of many channels on a grid, hand cells only, predicted and bit-packed.

Lossless for uint8 and float16. docs/packed-codec.md specifies the bytes; tests/reference/packed.py is a slow twin.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gmaps.store.half import half_to_float

#: How values became the 16-bit codes that are predicted.
BYTES, FIXED, ORDERED = 0, 1, 2
#: A FIXED float16 is a whole number of these: the spacing of float16 below 1.
STEP = 2.0**-11
HEADER = 12
#: Zeros behind the last group, so that a decoder can read words of 8 bytes.
PAD = 8
GROUP = 8
U = np.uint64
VERSION = 1


def grid(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns and lanes of a chunk: the last axis is the lanes, the one before it the columns."""
    padded = (1, 1, *shape)
    return int(np.prod(padded[:-2], dtype=np.int64)), padded[-2], padded[-1]


@njit(nogil=True, cache=True)
def quantise(values):
    """Values (n,) float32 rounded to multiples of 2^-11; those beyond [-1, 1], and NaN, as they are."""
    out = np.empty_like(values)
    for i in range(values.size):
        whole = np.rint(values[i] * np.float32(1 / STEP))
        rounded = np.float32(whole * np.float32(STEP)) if abs(whole) <= np.float32(1 / STEP) else values[i]
        out[i] = rounded + np.float32(0)  # which turns -0 into 0
    return out


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def pack_codes(code, rows, cols, lanes, mode, off, out):
    """Codes (rows * cols * lanes,) int16 to a chunk in `out`; returns its length.

    `out` has room for `largest(...)` bytes.
    """
    cells = rows * cols
    bitmap = HEADER
    out[: HEADER + (cells + 7) // 8] = np.uint8(0)
    stride = cols + 3
    rank = np.full((rows + 2) * stride + 3, -1, np.int32)
    where = np.empty(cells + 1, np.int32)
    n = 0
    for i in range(cells):
        differs = False
        for j in range(i * lanes, (i + 1) * lanes):
            differs |= code[j] != off
        if differs:
            out[bitmap + (i >> 3)] |= np.uint8(1 << (i & 7))
            where[n] = i
            n += 1
    groups = (n * lanes + GROUP - 1) // GROUP
    zig = np.zeros(groups * GROUP, np.uint16)
    zeros = np.zeros(lanes, np.int16)
    for k in range(n):
        at = (where[k] // cols + 2) * stride + where[k] % cols + 2
        a, b, d = ranks(rank, at, n, stride)
        rank[at] = k
        va = zeros if a == n else code[where[a] * lanes : (where[a] + 1) * lanes]
        vb = zeros if b == n else code[where[b] * lanes : (where[b] + 1) * lanes]
        vd = zeros if d == n else code[where[d] * lanes : (where[d] + 1) * lanes]
        for j in range(lanes):
            r = np.int16(np.int32(code[where[k] * lanes + j]) - va[j] - vb[j] + vd[j])
            zig[k * lanes + j] = np.uint16((np.int32(r) << 1) ^ (np.int32(r) >> 15))
    widths = bitmap + (cells + 7) // 8
    at = widths + (groups + 1) // 2
    out[widths:at] = np.uint8(0)
    start = at
    for g in range(groups):
        used = 0
        for j in range(g * GROUP, (g + 1) * GROUP):
            used |= np.int32(zig[j])
        width = 0
        while used >> width:
            width += 1
        if width == 15:
            width = 16
        out[widths + (g >> 1)] |= np.uint8(min(width, 15) << (4 * (g & 1)))
        held, bits = np.uint64(0), 0
        for j in range(g * GROUP, (g + 1) * GROUP):
            held |= np.uint64(zig[j]) << np.uint64(bits)
            bits += width
            while bits >= 8:
                out[at] = np.uint8(held & np.uint64(255))
                held >>= np.uint64(8)
                bits -= 8
                at += 1
    size = at - start
    out[at : at + PAD] = np.uint8(0)
    out[0], out[1] = np.uint8(VERSION), np.uint8(mode)
    out[2], out[3] = np.uint8(off & 255), np.uint8((off >> 8) & 255)
    for i in range(4):
        out[4 + i] = np.uint8((n >> (8 * i)) & 255)
        out[8 + i] = np.uint8((size >> (8 * i)) & 255)
    return at + PAD


def largest(rows: int, cols: int, lanes: int) -> int:
    """No chunk of this shape is longer."""
    groups = (rows * cols * lanes + GROUP - 1) // GROUP
    return HEADER + (rows * cols + 7) // 8 + (groups + 1) // 2 + groups * 16 + PAD


def pack(values: NDArray[np.uint8] | NDArray[np.float16], fill: float) -> bytes:
    """One chunk of an array, packed.

    Parameters
    ----------
    values
        uint8 or float16, contiguous; (..., columns, lanes).
    fill
        The value of cells that are not stored.
    """
    shape = grid(values.shape)
    flat = values.reshape(-1)
    if values.dtype == np.uint8:
        mode, code, off = BYTES, flat.astype(np.int16), int(fill)
    else:
        bits = np.append(flat, np.float16(fill)).view(np.uint16)
        code = np.empty(bits.size, np.int16)
        mode = FIXED if to_codes(bits, code, True) else ORDERED
        if mode == ORDERED:
            to_codes(bits, code, False)
        code, off = code[:-1], int(code[-1])
    out = np.empty(largest(*shape), np.uint8)
    return out[: pack_codes(code, *shape, mode, off, out)].tobytes()
