"""The filters of PNG undone, for a window of an image alone (PNG specification, third edition, section 9).

A byte is kept as its difference to a guess from the bytes to its left, above it and above left, so of a window all
is needed that lies above its lower edge and left of its right edge, and nothing else. The guess depends on the byte
just decoded, which leaves a processor waiting: one row after the other takes 18 instructions a byte. Here `_ROWS`
rows are decoded together, each a pixel behind the row above it, so that all of their left and upper neighbours are
known at once: the rows are transposed into columns of 16 bytes, slanted by a pixel a row, and one step decodes a
byte of every row. All five filters are computed and a mask takes each row's own, so mixed filters cost nothing.

Numba does not vectorise this by itself, as it cannot know that the columns do not overlap; so the two primitives,
`_transpose` and `_step`, are written as vectors for LLVM, which has them on every processor.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from gmaps.kernels._jit import jit

#: Rows in a vector. The first is the row above the others, which is decoded already.
_LANES = 16
_ROWS = _LANES - 1
_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4
#: Zeros before each row: where those further down have not begun, as the slant is of at most 3 bytes a row.
_PAD = 3 * _LANES
_BYTES = ir.VectorType(ir.IntType(8), _LANES)
_WORDS = ir.VectorType(ir.IntType(16), _LANES)


def _load(builder, pointer, at):
    vector = builder.load(builder.bitcast(builder.gep(pointer, [at]), ir.PointerType(_BYTES)))
    vector.align = 1
    return vector


def _store(builder, vector, pointer, at):
    builder.store(vector, builder.bitcast(builder.gep(pointer, [at]), ir.PointerType(_BYTES))).align = 1


def _shuffle(builder, first, second, places):
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), _LANES), places))


@intrinsic
def _transpose(typingctx, source, at, pitch, out, to, out_pitch):
    """16 x 16 bytes: byte j of the vector at `at + i * pitch` becomes byte i of that at `to + j * out_pitch`."""

    def generate(context, builder, signature, args):
        source, out = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 3))
        (at, pitch), (to, out_pitch) = args[1:3], args[4:6]
        rows = []
        for _ in range(_LANES):
            rows.append(_load(builder, source, at))
            at = builder.add(at, pitch)
        # Four perfect shuffles of the 256 bytes turn the order of (i, j) into that of (j, i).
        low = [k // 2 + k % 2 * _LANES for k in range(_LANES)]
        high = [k + _LANES // 2 for k in low]
        for _ in range(4):
            rows = [
                _shuffle(builder, rows[k // 2], rows[k // 2 + _LANES // 2], high if k % 2 else low)
                for k in range(_LANES)
            ]
        for row in rows:
            _store(builder, row, out, to)
            to = builder.add(to, out_pitch)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, out, types.intp, types.intp), generate


@intrinsic
def _step(typingctx, columns, at, back, masks):
    """Decode the column at `at`; those at `at - back` and `at - 2 back` are one and two pixels before it.

    Lane k is a pixel behind lane k - 1: what lane k - 1 gave a pixel ago lies above it, and that of two pixels ago
    above left.
    """

    def generate(context, builder, signature, args):
        columns, masks = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 3))
        at, back = args[1:3]
        zeros = ir.Constant(_BYTES, [0] * _LANES)
        down = [_LANES, *range(_LANES - 1)]  # by a lane, a zero into the first
        before = builder.sub(at, back)
        left = _load(builder, columns, before)
        up = _shuffle(builder, left, zeros, down)
        corner = _shuffle(builder, _load(builder, columns, builder.sub(before, back)), zeros, down)
        a, b, c = (builder.zext(v, _WORDS) for v in (left, up, corner))
        total = builder.add(a, b)
        average = builder.trunc(builder.lshr(total, ir.Constant(_WORDS, [1] * _LANES)), _BYTES)
        # Paeth's choice, the one of a, b, c that is nearest to a + b - c, without its three distances: c lies a third
        # of the way or more below the larger or above the smaller of the two, or else is chosen itself.
        less = builder.icmp_unsigned("<", a, b)
        low, high = builder.select(less, a, b), builder.select(less, b, a)
        turn = builder.sub(builder.add(builder.add(c, c), c), total)
        chosen = builder.select(builder.icmp_signed("<=", high, turn), low, c)
        chosen = builder.trunc(builder.select(builder.icmp_signed("<=", turn, low), high, chosen), _BYTES)
        value = _load(builder, columns, at)
        for k, guess in enumerate((left, up, average, chosen)):  # as _SUB, _UP, _AVERAGE, _PAETH
            mask = _load(builder, masks, ir.Constant(at.type, k * _LANES))
            value = builder.add(value, builder.and_(guess, mask))
        _store(builder, value, columns, at)
        return context.get_dummy_value()

    return types.void(columns, types.intp, types.intp, masks), generate


@jit
def _decode_rows(rows, pitch, size, pixel, columns, masks):
    """Decode `_ROWS` rows together, in place; row k begins at `k * pitch + _PAD` and has `size` bytes."""
    back = pixel * _LANES
    first = 2 * back
    columns[:first] = 0
    slant = pitch - pixel
    for at in range(0, size + pixel * _ROWS, _LANES):
        column = first + at * _LANES
        _transpose(rows, _PAD + at, slant, columns, column, _LANES)
        for j in range(_LANES):
            _step(columns, column + j * _LANES, back, masks)
        _transpose(columns, column, _LANES, rows, _PAD + at, slant)


@jit
def unfilter(data, height, pixel, top, bottom, left, right, out):
    """Bytes of a window of a PNG's pixels.

    Parameters
    ----------
    data : (height * (1 + width * pixel),) uint8
        What the file holds, inflated: of each row a filter's number, then its bytes.
    height : int
    pixel : int
        Bytes of a pixel: 1, 2 or 3.
    top, bottom, left, right : int
        The window, pixels, ends excluded. Not empty, and within the image.
    out : (bottom - top, (right - left) * pixel) uint8
        Filled.

    Returns
    -------
    int
        The first row of the image whose filter there is not, and nothing is filled; -1 if all are right.

    References
    ----------
    PNG specification, third edition, section 9 (Filtering): https://www.w3.org/TR/png-3/#9Filters
    """
    stride = data.size // height
    for r in range(height):
        if data[r * stride] > _PAETH:
            return r
    start = top
    while start > 0 and data[start * stride] > _SUB:  # rows of the first two filters do not look up
        start -= 1
    size = right * pixel
    pitch = _PAD + size + _PAD + _LANES  # the last columns of a slanted block end behind the row
    rows = np.zeros(_LANES * pitch, np.uint8)
    columns = np.empty((2 * pixel + size + pixel * _ROWS + _LANES) * _LANES, np.uint8)
    masks = np.empty(4 * _LANES, np.uint8)
    while start < bottom:
        count = min(_ROWS, bottom - start)
        masks[:] = 0
        for k in range(count):
            at = (start + k) * stride
            kind = data[at]
            if kind:
                masks[(np.intp(kind) - 1) * _LANES + k + 1] = 255
            line, filtered = rows[(k + 1) * pitch + _PAD :], data[at + 1 :]
            for i in range(size):
                line[i] = filtered[i]
        _decode_rows(rows, pitch, size, pixel, columns, masks)
        for k in range(max(top - start, 0), count):
            line, target = rows[(k + 1) * pitch + _PAD + left * pixel :], out[start + k - top]
            for i in range(target.size):
                target[i] = line[i]
        above, line = rows[_PAD:], rows[count * pitch + _PAD :]
        for i in range(size):
            above[i] = line[i]
        start += count
    return -1
