"""Whole numbers out of floats that may be anything.

To convert a float that no integer can hold is undefined: the compiler may then leave out the very comparison that
keeps an index in its array. So a float is cut to some range first, and NaN becomes its lower end.
"""

from __future__ import annotations

import math

from gmaps.kernels._jit import jit

#: Far beyond any grid, and far from where int32 ends.
LIMIT = 2.0**30


@jit(inline="always")
def clamp(value, low, high):
    """`value` within low and high; low where it is NaN."""
    # Not by `min` and `max`, of which each compiler has its own idea what they make of NaN.
    cut = value if value > low else low
    return cut if cut < high else high


@jit(inline="always")
def floor(value):
    """The largest whole number that is not larger, within 2^30 of 0."""
    return math.floor(clamp(value, -LIMIT, LIMIT))


@jit(inline="always")
def ceil(value):
    """The smallest whole number that is not smaller, within 2^30 of 0."""
    return math.ceil(clamp(value, -LIMIT, LIMIT))
