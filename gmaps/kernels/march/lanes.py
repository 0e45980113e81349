"""One upwind update of eight joints of one cell, as vector instructions.

A compiler cannot vectorise such an update by itself, because the rows of distances that it reads and writes may
overlap as far as it can tell. So it is spelled out here, in LLVM's portable vectors: wider or narrower machines
split them as they need.

Along one axis alone T = low + 1; along both, sum w (T - t)^2 = 1 over the axes, with w = 1 and t the smaller
neighbour at order 1, w = 9/4 and t = (4 v1 - v2) / 3 at order 2 where the cell beyond, v2, is not larger (Sethian,
1999). Distances are in cells.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Joints to a vector.
LANES = 8
#: Distance of what was not reached. Above any path on a grid, in cells or mm, and small enough for float32 sums.
FAR = np.float32(1 << 20)

_VECTOR = ir.VectorType(ir.FloatType(), LANES)


class _Vectors:
    """The few vector operations an update needs, over one float32 array."""

    def __init__(self, context, builder, array_type, array):
        self.b = builder
        self.data = context.make_array(array_type)(context, builder, array).data
        self.sqrt_function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.sqrt.v{LANES}f32"
        )

    def _address(self, offset):
        return self.b.bitcast(self.b.gep(self.data, [offset]), _VECTOR.as_pointer())

    def load(self, offset):
        return self.b.load(self._address(offset), align=4)

    def store(self, value, offset):
        self.b.store(value, self._address(offset), align=4)

    def fill(self, value):
        return ir.Constant(_VECTOR, [value] * LANES)

    def low(self, x, y):
        return self.b.select(self.b.fcmp_ordered("<", x, y), x, y)

    def high(self, x, y):
        return self.b.select(self.b.fcmp_ordered(">", x, y), x, y)

    def distance(self, x, y):
        return self.high(self.b.fsub(x, y), self.b.fsub(y, x))

    def sqrt(self, x):
        return self.b.call(self.sqrt_function, [x])

    def broadcast(self, scalar):
        one = self.b.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
        return self.b.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    def any(self, bits):
        return self.b.bitcast(bits, ir.IntType(LANES))


@intrinsic
def relax_one(typingctx, t, up, down, left, right, here):
    """Order 1. Arguments are offsets into `t` in elements; returns a bit for every lane that decreased."""
    signature = types.uint8(t, *[types.intp] * 5)

    def codegen(context, builder, sig, args):
        v = _Vectors(context, builder, sig.args[0], args[0])
        a = v.low(v.load(args[1]), v.load(args[2]))
        b = v.low(v.load(args[3]), v.load(args[4]))
        # (a + b + sqrt(2 - (a - b)^2)) / 2 with the difference clipped to 1 is low + 1 where one axis is too far.
        d = v.low(v.distance(a, b), v.fill(1.0))
        root = v.sqrt(builder.fsub(v.fill(2.0), builder.fmul(d, d)))
        new = builder.fadd(v.low(a, b), builder.fmul(v.fill(0.5), builder.fadd(d, root)))
        old = v.load(args[5])
        v.store(v.low(new, old), args[5])
        return v.any(builder.fcmp_ordered("<", new, old))

    return signature, codegen


@intrinsic
def relax_two(typingctx, t, starts, up, down, left, right, up2, down2, left2, right2, here, tolerance):
    """Order 2. The new value replaces the old one, except where `starts` (same layout as `t`) is not `FAR`.

    Returns a bit for every lane that moved by more than `tolerance`.
    """
    signature = types.uint8(t, starts, *[types.intp] * 9, types.float32)

    def codegen(context, builder, sig, args):
        v = _Vectors(context, builder, sig.args[0], args[0])
        fixed = _Vectors(context, builder, sig.args[1], args[1])

        def axis(minus, plus, minus2, plus2):
            first, other = v.load(minus), v.load(plus)
            from_minus = builder.fcmp_ordered("<=", first, other)
            near = v.low(first, other)
            beyond = builder.select(from_minus, v.load(minus2), v.load(plus2))
            second = builder.fcmp_ordered("<=", beyond, near)
            t2 = builder.fmul(v.fill(1 / 3), builder.fsub(builder.fmul(v.fill(4.0), near), beyond))
            value = builder.select(second, t2, near)
            weight = builder.select(second, v.fill(9 / 4), v.fill(1.0))
            alone = builder.fadd(value, builder.select(second, v.fill(2 / 3), v.fill(1.0)))
            return near, value, weight, alone

        near_x, x, wx, alone_x = axis(args[2], args[3], args[6], args[7])
        near_y, y, wy, alone_y = axis(args[4], args[5], args[8], args[9])
        total = builder.fadd(wx, wy)
        gap = v.distance(x, y)
        disc = builder.fsub(total, builder.fmul(builder.fmul(wx, wy), builder.fmul(gap, gap)))
        root = v.sqrt(v.high(disc, v.fill(0.0)))
        mean = builder.fadd(builder.fmul(wx, x), builder.fmul(wy, y))
        both = builder.fdiv(builder.fadd(mean, root), total)
        # Upwind: both axes count only if the result is not smaller than what it comes from.
        solved = builder.fcmp_ordered(">", disc, v.fill(0.0))
        upwind = builder.fcmp_ordered(">=", both, v.high(near_x, near_y))
        new = builder.select(builder.and_(solved, upwind), both, v.low(alone_x, alone_y))
        start = fixed.load(args[10])
        new = builder.select(
            builder.fcmp_ordered("<", start, v.fill(float(FAR))), start, v.low(new, v.fill(float(FAR)))
        )
        old = v.load(args[10])
        v.store(new, args[10])
        return v.any(builder.fcmp_ordered(">", v.distance(new, old), v.broadcast(args[11])))

    return signature, codegen


@intrinsic
def relax_triangle(typingctx, t, shapes, first, second, here, shape):
    """Update a cell from the opposite edge of one of its triangles; T is linear along that edge.

    `first`, `second` and `here` are offsets into `t`, `shape` is one into `shapes` (float32), whose five numbers
    `gmaps.kernels.march.surface` explains. Returns a bit for every lane that decreased.
    """
    signature = types.uint8(t, shapes, *[types.intp] * 4)

    def codegen(context, builder, sig, args):
        v = _Vectors(context, builder, sig.args[0], args[0])
        numbers = context.make_array(sig.args[1])(context, builder, args[1]).data

        def number(k):
            at = builder.add(args[5], context.get_constant(types.intp, k))
            return v.broadcast(builder.load(builder.gep(numbers, [at])))

        share, reach, bend, least, most = (number(k) for k in range(5))
        a, b = v.load(args[2]), v.load(args[3])
        # A front from outside the triangle comes along one of its sides, as if the far end had just the time that a
        # front along the side would give it.
        a_side = v.low(a, builder.fadd(b, most))
        b_side = v.low(b, builder.fsub(a, least))
        delta = builder.fsub(a_side, b_side)
        radicand = builder.fsub(reach, builder.fmul(bend, builder.fmul(delta, delta)))
        root = v.sqrt(v.high(radicand, v.fill(0.0)))
        new = builder.fadd(builder.fadd(b_side, builder.fmul(share, delta)), root)
        old = v.load(args[4])
        v.store(v.low(new, old), args[4])
        return v.any(builder.fcmp_ordered("<", new, old))

    return signature, codegen


@intrinsic
def relax_round(typingctx, t, shapes, first, second, here, shape, tolerance):
    """Update a point from the opposite edge of one of its triangles, as if what reaches the edge came from one point.

    `first`, `second` and `here` are offsets into `t`, `shape` is one into `shapes` (float32), whose six numbers
    `gmaps.kernels.march.waves` explains. Returns a bit for every lane that decreased by more than `tolerance`.
    """
    signature = types.uint8(t, shapes, *[types.intp] * 4, types.float32)

    def codegen(context, builder, sig, args):
        v = _Vectors(context, builder, sig.args[0], args[0])
        numbers = context.make_array(sig.args[1])(context, builder, args[1]).data
        b = builder

        def number(k):
            at = b.add(args[5], context.get_constant(types.intp, k))
            return v.broadcast(b.load(b.gep(numbers, [at])))

        along, away, length, inverse, to_first, to_second = (number(k) for k in range(6))
        t_a, t_b = v.load(args[2]), v.load(args[3])
        side = v.low(b.fadd(t_a, to_first), b.fadd(t_b, to_second))
        # The source's foot on the edge, from its first end, and its distance from the edge.
        x = b.fadd(b.fmul(b.fmul(b.fsub(t_a, t_b), b.fadd(t_a, t_b)), inverse), b.fmul(length, v.fill(0.5)))
        height = b.fsub(b.fmul(t_a, t_a), b.fmul(x, x))
        whole = b.fadd(v.sqrt(v.high(height, v.fill(0.0))), away)
        across = b.fsub(x, along)
        # Where the straight way crosses the edge, times `whole`.
        crossing = b.fadd(b.fmul(along, whole), b.fmul(across, away))
        through = v.sqrt(b.fadd(b.fmul(across, across), b.fmul(whole, whole)))
        good = b.and_(
            b.fcmp_ordered(">=", height, v.fill(0.0)),
            b.and_(
                b.fcmp_ordered(">=", crossing, v.fill(0.0)),
                b.fcmp_ordered("<=", crossing, b.fmul(length, whole)),
            ),
        )
        good = b.and_(good, b.fcmp_ordered(">=", through, v.high(t_a, t_b)))
        new = v.low(side, b.select(good, through, side))
        old = v.load(args[4])
        v.store(v.low(new, old), args[4])
        return v.any(b.fcmp_ordered("<", new, b.fsub(old, v.broadcast(args[6]))))

    return signature, codegen
