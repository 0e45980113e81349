"""The packed codec, reading.

Everything that is read from a chunk is checked before it is used: bytes that were changed give an error or other
values, never an access out of bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.kernels._jit import jit
from gmaps.kernels.packed.encode import BYTES, FIXED, GROUP, HEADER, ORDERED, PAD, STEP, VERSION, U, grid, ranks
from gmaps.kernels.packed.half import float_to_half, half_to_float
from gmaps.kernels.packed.vectors import cut4, restore8

#: What a decoder may find; 0 is no error.
PROBLEMS = (
    "",
    "its header is cut off",
    "its header is of another version or type",
    "its length is not what its header says",
    "its bitmap does not fit its header",
    "its widths do not fit its header",
)


@jit
def _word(chunk, at):
    """Eight bytes, little endian. Unsigned indices: Numba need not look for negative ones, and loads all at once."""
    i = U(at)
    return (
        np.uint64(chunk[i])
        | np.uint64(chunk[i + U(1)]) << np.uint64(8)
        | np.uint64(chunk[i + U(2)]) << np.uint64(16)
        | np.uint64(chunk[i + U(3)]) << np.uint64(24)
        | np.uint64(chunk[i + U(4)]) << np.uint64(32)
        | np.uint64(chunk[i + U(5)]) << np.uint64(40)
        | np.uint64(chunk[i + U(6)]) << np.uint64(48)
        | np.uint64(chunk[i + U(7)]) << np.uint64(56)
    )


@jit
def padded(lanes):
    """Lanes of a cell among the codes: whole vectors."""
    return (lanes + GROUP - 1) // GROUP * GROUP


@jit
def unpack_codes(chunk, rows, cols, lanes, halves, zigzag, code, where, rank):
    """A chunk to the codes of its cells.

    Parameters
    ----------
    chunk : (bytes,) uint8
    rows, cols, lanes
        Its shape.
    halves
        Whether float16 is expected, else uint8.
    zigzag, code, where, rank
        From `scratch`. `code` is filled with the codes of the n stored cells, `padded(lanes)` of them a cell, and
        `where` with these cells.

    Returns
    -------
    problem, n, mode, off
        An index of `PROBLEMS`; how many cells are stored; how their codes are meant; the code of all others.
    """
    cells = rows * cols
    size = chunk.size
    widths = HEADER + (cells + 7) // 8
    if size < widths + PAD:
        return 1, 0, 0, 0
    mode = np.int64(chunk[1])
    if chunk[0] != VERSION or (mode != BYTES) != halves or mode > ORDERED:
        return 2, 0, 0, 0
    off = np.int64(np.int16(np.uint16(chunk[2]) | np.uint16(chunk[3]) << np.uint16(8)))
    n = np.int64(_word(chunk, 4) & np.uint64(0xFFFFFFFF))
    payload = np.int64(_word(chunk, 4) >> np.uint64(32))
    if n > cells:
        return 3, 0, 0, 0
    groups = (n * lanes + GROUP - 1) // GROUP
    start = widths + (groups + 1) // 2
    if size != start + payload + PAD:
        return 3, 0, 0, 0
    found = 0
    for i in range(HEADER, widths):
        byte = np.int64(chunk[i])
        cell = (i - HEADER) * 8
        while byte:
            if byte & 1:
                if cell >= cells or found >= n:
                    return 4, 0, 0, 0
                where[found] = cell
                found += 1
            byte >>= 1
            cell += 1
    if found != n:
        return 4, 0, 0, 0
    at = start
    numbers = U(zigzag.ctypes.data)
    for g in range(groups):
        width = (np.int64(chunk[widths + (g >> 1)]) >> (4 * (g & 1))) & 15
        width = 16 if width == 15 else width
        if at + width > start + payload:
            return 5, 0, 0, 0
        # Two words of four numbers each: 4 * 16 bits are all that a word holds.
        to, w = numbers + U(16 * g), U(width)
        cut4(to, _word(chunk, at), w)
        cut4(to + U(8), _word(chunk, at + (width >> 1)) >> U(4 * (width & 1)), w)
        at += width
    if at != start + payload:
        return 5, 0, 0, 0
    wide = padded(lanes)
    code[n * wide : (n + 1) * wide] = np.int16(0)
    codes, step = U(code.ctypes.data), U(2 * wide)
    stride = cols + 3
    rank[:] = -1
    for k in range(n):
        place = (where[k] // cols + 2) * stride + where[k] % cols + 2
        a, b, d = ranks(rank, place, n, stride)
        rank[place] = k
        here, first = codes + U(k) * step, numbers + U(2 * k * lanes)
        a, b, d = codes + U(a) * step, codes + U(b) * step, codes + U(d) * step
        for j in range(U(0), step, U(16)):
            # The last one reads a few numbers of the next cell, for lanes that nobody looks at.
            restore8(here + j, first + j, a + j, b + j, d + j)
    return 0, n, mode, off


@jit
def to_floats(code, mode, scale, offset, out):
    """Codes (n,) to the values that they stand for, float32."""
    if mode == BYTES:
        for j in range(out.size):
            # Rounded twice, as NumPy does it in `codec.decode_item`.
            out[j] = np.float32(np.float32(code[j]) * scale) + offset
    elif mode == FIXED:
        for j in range(out.size):
            out[j] = np.float32(code[j]) * np.float32(STEP)
    else:
        halves = np.empty(out.size, np.uint16)
        _ordered_bits(code, halves)
        half_to_float(halves, out.view(np.uint32))


@jit
def _ordered_bits(code, out):
    for j in range(out.size):
        c = np.int32(code[j])
        out[j] = np.uint16(c ^ (0x7FFF & (c >> 31)))


@jit
def to_stored(code, mode, out):
    """Codes (n,) to uint8, or to uint16, the bits of float16."""
    if mode == BYTES:
        for j in range(out.size):
            out[j] = code[j]
    elif mode == FIXED:
        floats = np.empty(out.size, np.float32)
        for j in range(out.size):
            floats[j] = np.float32(code[j]) * np.float32(STEP)
        float_to_half(floats.view(np.uint32), out)
    else:
        _ordered_bits(code, out)


@jit
def scatter(values, n, where, lanes, item):
    """Values of n stored cells to their places in a chunk, and the one behind them to all other cells."""
    wide = padded(lanes)
    if (n + 1) * lanes <= item.size:
        item[:] = values[n * wide]
    for c in range(n):
        to, at = U(where[c] * lanes), U(c * wide)
        for j in range(U(lanes)):
            item[to + j] = values[at + j]


@jit
def scratch(rows, cols, lanes):
    """What `unpack_codes` works in: zigzag, code, where, rank."""
    cells = rows * cols
    zigzag = np.empty(cells * lanes + 2 * GROUP, np.uint16)
    code = np.empty((cells + 1) * padded(lanes), np.int16)
    return zigzag, code, np.empty(cells, np.int32), np.empty((rows + 2) * (cols + 3) + 3, np.int32)


@jit
def _unpack_one(chunk, rows, cols, lanes, halves, out):
    zigzag, code, where, rank = scratch(rows, cols, lanes)
    problem, n, mode, off = unpack_codes(chunk, rows, cols, lanes, halves, zigzag, code, where, rank)
    if problem == 0:
        count = n * padded(lanes) + 1
        values = np.empty(count, out.dtype)
        code[count - 1] = off
        to_stored(code[:count], mode, values)
        scatter(values, n, where, lanes, out)
    return problem


def unpack(chunk: NDArray[np.uint8], shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[NDArray[Any], str]:
    """The inverse of `pack` for a chunk of known shape and type: values, and what is wrong, empty for nothing."""
    bits = np.uint16 if dtype == np.float16 else np.uint8
    out = np.zeros(shape, bits)
    problem = _unpack_one(chunk, *grid(shape), dtype == np.float16, out.reshape(-1))
    return out.view(dtype), PROBLEMS[problem]
