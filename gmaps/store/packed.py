"""The packed codec, writing: maps of many channels on a grid, hand cells only, predicted and bit-packed.

Lossless for uint8 and float16. docs/packed-codec.md specifies the bytes; tests/reference/packed.py is a slow twin.
"""

from __future__ import annotations

import math
from functools import lru_cache

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
U, U32 = np.uint64, np.uint32
VERSION = 1


@lru_cache(maxsize=256)
def grid(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns and lanes of a chunk: the last axis is the lanes, the one before it the columns."""
    padded = (1, 1, *shape)
    return math.prod(padded[:-2]), padded[-2], padded[-1]


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
def float_codes(values, code):
    """FIXED codes (n,) int16 of values (n,) float32, as `quantise` rounds them; False if one is beyond [-1, 1]."""
    good = True
    for i in range(values.size):
        k = np.rint(values[i] * np.float32(1 / STEP))
        good &= np.abs(k) <= np.float32(1 / STEP)  # NaN is not
        code[i] = np.int16(min(max(k, np.float32(-1 / STEP)), np.float32(1 / STEP)))
    return good


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def pack_codes(code, rows, cols, lanes, mode, off, out):
    """Codes ((rows * cols + 1) * lanes,) int16, zeros behind the last cell, to a chunk in `out`; returns its length.

    `out` has room for `largest(...)` bytes.
    """
    cells = rows * cols
    bitmap = HEADER
    out[: HEADER + (cells + 7) // 8] = np.uint8(0)
    stride = cols + 3
    rank = np.full((rows + 2) * stride + 3, -1, np.int32)
    where = np.empty(cells + 1, np.int32)
    away = np.int16(off)
    n = 0
    for i in range(cells):
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
            out[bitmap + (i >> 3)] |= np.uint8(1 << (i & 7))
            where[n] = i
            n += 1
    where[n] = cells  # the zeros: what stands for a neighbour that is not there
    groups = (n * lanes + GROUP - 1) // GROUP
    zig = np.empty(groups * GROUP, np.uint16)
    zig[n * lanes :] = np.uint16(0)
    for k in range(n):
        at = (where[k] // cols + 2) * stride + where[k] % cols + 2
        a, b, d = ranks(rank, at, n, stride)
        rank[at] = k
        here, a, b, d = U(where[k] * lanes), U(where[a] * lanes), U(where[b] * lanes), U(where[d] * lanes)
        to = U(k * lanes)
        for j in range(U(lanes)):
            r = np.int16(code[here + j] - code[a + j] - code[b + j] + code[d + j])
            zig[to + j] = np.uint16((r << np.int16(1)) ^ (r >> np.int16(15)))
    widths = bitmap + (cells + 7) // 8
    at = widths + (groups + 1) // 2
    out[widths:at] = np.uint8(0)
    start = at
    for g in range(groups):
        z = zig[g * GROUP : (g + 1) * GROUP]
        used = z[0] | z[1] | z[2] | z[3] | z[4] | z[5] | z[6] | z[7]
        # Bits of the largest, from a float's exponent, since a loop that ends at chance costs more than the rest.
        width = max(int(np.float32(used).view(np.uint32) >> U32(23)) - 126, 0)
        width = 16 if width == 15 else width
        out[widths + (g >> 1)] |= np.uint8(min(width, 15) << (4 * (g & 1)))
        # Half a group's bits, 4 times `width`, fit a word; both halves together are `width` bytes.
        w = U(width)
        low = U(z[0]) | U(z[1]) << w | U(z[2]) << U(2) * w | U(z[3]) << U(3) * w
        high = U(z[4]) | U(z[5]) << w | U(z[6]) << U(2) * w | U(z[7]) << U(3) * w
        half = 4 * width
        if 0 < half < 64:
            low |= high << U(half)
            high >>= U(64 - half)
        # Always a whole word: what is too much of it, the next group writes over.
        put_word(out, at, low)
        if width > 8:
            put_word(out, at + 8, high)
        at += width
    size = at - start
    out[at : at + PAD] = np.uint8(0)
    out[0], out[1] = np.uint8(VERSION), np.uint8(mode)
    out[2], out[3] = np.uint8(off & 255), np.uint8((off >> 8) & 255)
    for i in range(4):
        out[4 + i] = np.uint8((n >> (8 * i)) & 255)
        out[8 + i] = np.uint8((size >> (8 * i)) & 255)
    return at + PAD


@lru_cache(maxsize=256)
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
    code = _room(flat.size, shape[2])
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
    return _packed(code, shape, mode, off)


def pack_floats(values: NDArray[np.float32], fill: float) -> bytes | None:
    """One chunk of a float16 array from float32 values, as `pack` makes it of what `quantise` makes of them.

    None where that takes more than FIXED codes: some value, or the fill, lies beyond [-1, 1].
    """
    shape = grid(values.shape)
    flat = np.ascontiguousarray(values).reshape(-1)
    code = _room(flat.size, shape[2])
    off = fill / STEP
    if not (abs(fill) <= 1 and off == int(off) and float_codes(flat, code[: flat.size])):
        return None
    return _packed(code, shape, FIXED, int(off))


def _room(size: int, lanes: int) -> NDArray[np.int16]:
    code = np.empty(size + lanes, np.int16)
    code[size:] = 0
    return code


def _packed(code: NDArray[np.int16], shape: tuple[int, int, int], mode: int, off: int) -> bytes:
    out = np.empty(largest(*shape), np.uint8)
    return out[: pack_codes(code, *shape, mode, off, out)].tobytes()
