"""What Numba has no words for: memory by its address, and the steps of coder and decoder eight numbers at a time.

LLVM turns the vectors into what the processor has. Nothing here checks a bound: callers do, before they touch an
address.
"""

from __future__ import annotations

from llvmlite import ir
from numba import carray, types
from numba.core.typing import Signature
from numba.extending import intrinsic

from gmaps.kernels._jit import jit

_I16, _I64 = ir.IntType(16), ir.IntType(64)


@intrinsic
def _pointer(typingctx, address):
    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.uint64), generate


@jit
def bytes_at(address, size):
    """The memory at an address, uint64, as (size,) uint8."""
    return carray(_pointer(address), (size,), types.uint8)


@jit
def words_at(address, size):
    """The memory at an address, uint64 and a multiple of 8, as (size,) uint64."""
    return carray(_pointer(address), (size,), types.uint64)


@intrinsic
def call_decompress(typingctx, function, source, target, size):
    """`blosc_decompress_ctx(source, target, size, 1)`, by its address: bytes written, or an error below 1."""

    def generate(context, builder, signature, args):
        number, place = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(number, [place, place, _I64, number])
        found = builder.inttoptr(args[0], kind.as_pointer())
        origin, to = (builder.inttoptr(a, place) for a in args[1:3])
        return builder.call(found, [origin, to, args[3], ir.Constant(number, 1)])

    return Signature(types.int32, (types.uint64,) * 4, None), generate


def _vector(kind: ir.Type, values: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(kind, len(values)), values)


def _spread(builder, value, kind, count):
    """One number, `count` times."""
    one = builder.insert_element(_vector(kind, [0] * count), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, _vector(ir.IntType(32), [0] * count))


@intrinsic
def cut4(typingctx, target, word, width):
    """Writes the four numbers of `width` bits that a word begins with to four uint16 at address `target`."""

    def generate(context, builder, signature, args):
        words = _spread(builder, args[1], _I64, 4)
        widths = _spread(builder, args[2], _I64, 4)
        moved = builder.lshr(words, builder.mul(widths, _vector(_I64, [0, 1, 2, 3])))
        one = _vector(_I64, [1] * 4)
        mask = builder.sub(builder.shl(one, widths), one)
        numbers = builder.trunc(builder.and_(moved, mask), ir.VectorType(_I16, 4))
        builder.store(numbers, builder.inttoptr(args[0], numbers.type.as_pointer()), align=2)
        return context.get_dummy_value()

    return Signature(types.void, (types.uint64,) * 3, None), generate


@intrinsic
def restore8(typingctx, target, zigzag, a, b, d):
    """Eight codes int16: what eight zigzag numbers uint16 stand for, plus A, plus B, minus D; all are addresses."""

    def generate(context, builder, signature, args):
        kind = ir.VectorType(_I16, 8)
        z, va, vb, vd = (builder.load(builder.inttoptr(x, kind.as_pointer()), align=2) for x in args[1:])
        one, zero = _vector(_I16, [1] * 8), _vector(_I16, [0] * 8)
        r = builder.xor(builder.lshr(z, one), builder.sub(zero, builder.and_(z, one)))
        code = builder.add(r, builder.sub(builder.add(va, vb), vd))
        builder.store(code, builder.inttoptr(args[0], kind.as_pointer()), align=2)
        return context.get_dummy_value()

    return Signature(types.void, (types.uint64,) * 5, None), generate


@intrinsic
def zigzag8(typingctx, target, code, a, b, d):
    """The inverse: eight zigzag numbers uint16 of eight codes int16, minus A, minus B, plus D; all are addresses."""

    def generate(context, builder, signature, args):
        kind = ir.VectorType(_I16, 8)
        v, va, vb, vd = (builder.load(builder.inttoptr(x, kind.as_pointer()), align=2) for x in args[1:])
        r = builder.add(builder.sub(v, builder.add(va, vb)), vd)
        z = builder.xor(builder.shl(r, _vector(_I16, [1] * 8)), builder.ashr(r, _vector(_I16, [15] * 8)))
        builder.store(z, builder.inttoptr(args[0], kind.as_pointer()), align=2)
        return context.get_dummy_value()

    return Signature(types.void, (types.uint64,) * 5, None), generate
