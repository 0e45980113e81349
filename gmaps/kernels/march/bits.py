"""Silhouettes as bits: 64 pixels of a row to a word, column c of it in bit c % 64 of word c // 64.

What a row of pixels is asked for (is all of this piece hand? where is the nearest hand pixel?) is then one or two
instructions for 64 of them.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gmaps.kernels._jit import jit

ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONE = np.uint64(1)
_WORD = ir.IntType(64)
_SINGLES = ir.VectorType(ir.FloatType(), 64)
_BYTES = ir.VectorType(ir.IntType(8), 64)


def _address(context, builder, array_type, array, offset, kind):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), kind.as_pointer())


@intrinsic
def below(typingctx, values, offset, limit):
    """uint64: which of the 64 float32 values from an offset on are below a limit."""

    def codegen(context, builder, sig, args):
        at = _address(context, builder, sig.args[0], args[0], args[1], _SINGLES)
        one = builder.insert_element(ir.Constant(_SINGLES, ir.Undefined), args[2], ir.IntType(32)(0))
        bound = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))
        return builder.bitcast(builder.fcmp_ordered("<", builder.load(at, align=4), bound), _WORD)

    return types.uint64(values, types.intp, types.float32), codegen


@intrinsic
def alike(typingctx, values, first, second, limit):
    """uint64: which of 64 float32 values differ by at most a limit from those at a second offset."""

    def codegen(context, builder, sig, args):
        a, b = (
            builder.load(_address(context, builder, sig.args[0], args[0], k, _SINGLES), align=4) for k in args[1:3]
        )
        one = builder.insert_element(ir.Constant(_SINGLES, ir.Undefined), args[3], ir.IntType(32)(0))
        bound = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))
        less = builder.fcmp_ordered("<=", builder.fsub(a, b), bound)
        more = builder.fcmp_ordered("<=", builder.fsub(b, a), bound)
        return builder.bitcast(builder.and_(less, more), _WORD)

    return types.uint64(values, types.intp, types.intp, types.float32), codegen


@intrinsic
def nonzero(typingctx, values, offset):
    """uint64: which of the 64 bytes from an offset on are not 0."""

    def codegen(context, builder, sig, args):
        at = _address(context, builder, sig.args[0], args[0], args[1], _BYTES)
        return builder.bitcast(
            builder.icmp_unsigned("!=", builder.load(at, align=1), ir.Constant(_BYTES, [0] * 64)), _WORD
        )

    return types.uint64(values, types.intp), codegen


@intrinsic
def popcount(typingctx, word):
    """How many bits of a uint64 are set."""

    def codegen(context, builder, sig, args):
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_WORD, [_WORD]), "llvm.ctpop.i64")
        return builder.call(function, [args[0]])

    return types.int64(types.uint64), codegen


@intrinsic
def lowest(typingctx, word):
    """Number of a uint64's lowest set bit; 64 for 0."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_WORD, [_WORD, ir.IntType(1)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.cttz.i64")
        return builder.call(function, [args[0], ir.IntType(1)(0)])

    return types.int64(types.uint64), codegen


@intrinsic
def highest(typingctx, word):
    """Number of a uint64's highest set bit; -1 for 0."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_WORD, [_WORD, ir.IntType(1)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.ctlz.i64")
        return builder.sub(_WORD(63), builder.call(function, [args[0], ir.IntType(1)(0)]))

    return types.int64(types.uint64), codegen


@jit(inline="always")
def cut(rows, r, c, n):
    """n <= 8 pixels of row r from column c on, as the low bits."""
    word = c >> 6
    shift = np.uint64(c & 63)
    x = rows[r, word] >> shift
    if shift > np.uint64(56):
        x |= rows[r, word + 1] << (np.uint64(64) - shift)
    return x & ((_ONE << np.uint64(n)) - _ONE)


@jit
def holds(rows, r, first, last):
    """Whether all of columns `first` to `last`, both counted, are set in row r; so are none."""
    if first > last:
        return True
    a = first >> 6
    b = last >> 6
    low = ALL << np.uint64(first & 63)
    high = ALL >> np.uint64(63 - (last & 63))
    if a == b:
        return (rows[r, a] & low & high) == (low & high)
    for k in range(a + 1, b):
        if rows[r, k] != ALL:
            return False
    return (rows[r, a] & low) == low and (rows[r, b] & high) == high


@jit
def nearest(rows, r, c):
    """Distance, in columns, from column c (a float) to the nearest set one of row r; inf where there is none."""
    best = np.inf
    words = rows.shape[1] - 1
    at = min(max(int(np.floor(c)), 0), 64 * words - 1)
    k = at >> 6
    x = rows[r, k] & (ALL >> np.uint64(63 - (at & 63)))
    while True:
        if x:
            best = abs(c - (64 * k + highest(x)))
            break
        k -= 1
        if k < 0:
            break
        x = rows[r, k]
    # The next column may be nearer than the one before, also where both are set.
    k = (at + 1) >> 6
    x = rows[r, k] & (ALL << np.uint64((at + 1) & 63))
    while True:
        if x:
            best = min(best, abs(64 * k + lowest(x) - c))
            break
        k += 1
        if k >= words:
            break
        x = rows[r, k]
    return best


@jit
def hand_rows(depth):
    """Hand pixels of a crop.

    Parameters
    ----------
    depth : (S, S) float32
        1 is background.

    Returns
    -------
    (S, W + 1) uint64
        One word more than a row needs, of zeros.
    """
    size = depth.shape[0]
    words = (size + 63) // 64
    rows = np.empty((size, words + 1), np.uint64)
    padded = depth
    if size % 64:
        padded = np.ones((size, 64 * words), np.float32)
        for r in range(size):
            for c in range(size):
                padded[r, c] = depth[r, c]
    for r in range(size):
        for k in range(words):
            rows[r, k] = below(padded, (r * words + k) * 64, np.float32(1))
        rows[r, words] = np.uint64(0)
    return rows


@jit
def mask_rows(mask):
    """`hand_rows` of an (S, S) bool silhouette."""
    size = mask.shape[0]
    words = (size + 63) // 64
    rows = np.empty((size, words + 1), np.uint64)
    padded = mask
    if size % 64:
        padded = np.zeros((size, 64 * words), np.bool_)
        for r in range(size):
            for c in range(size):
                padded[r, c] = mask[r, c]
    for r in range(size):
        for k in range(words):
            rows[r, k] = nonzero(padded, (r * words + k) * 64)
        rows[r, words] = np.uint64(0)
    return rows


@jit
def touching(rows):
    """Which pixels touch the next.

    Parameters
    ----------
    rows : (S, W + 1) uint64
        From `hand_rows`.

    Returns
    -------
    right, down : (S, W + 1) uint64
        Pixels that are hand and have hand to their right, and below.
    """
    right = np.zeros_like(rows)
    down = np.zeros_like(rows)
    size, words = rows.shape
    for r in range(size):
        for k in range(words - 1):
            here = rows[r, k]
            right[r, k] = here & ((here >> _ONE) | (rows[r, k + 1] << np.uint64(63)))
            if r + 1 < size:
                down[r, k] = here & rows[r + 1, k]
    return right, down


@jit
def on_one_surface(rows, depth, step):
    """`touching`, of pixels that differ by at most `step` in depth.

    Parameters
    ----------
    rows : (S, W + 1) uint64
    depth : (S, S) float32
    step : float32
        In units of depth.

    Returns
    -------
    right, down : (S, W + 1) uint64
    """
    size = depth.shape[0]
    words = rows.shape[1] - 1
    wide = 64 * words + 64
    padded = np.ones((size + 1, wide), np.float32)
    for r in range(size):
        for c in range(size):
            padded[r, c] = depth[r, c]
    right, down = touching(rows)
    for r in range(size):
        for k in range(words):
            at = r * wide + 64 * k
            if right[r, k]:
                right[r, k] &= alike(padded, at, at + 1, step)
            if down[r, k]:
                down[r, k] &= alike(padded, at, at + wide, step)
    return right, down
