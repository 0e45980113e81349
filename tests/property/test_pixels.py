"""Pixels to millimetres, against NumPy in plain steps."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gmaps.kernels.pixels import green_blue_mm


@settings(deadline=None)  # the first call compiles
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 70), st.just(3))),
    st.integers(0, 65535),
    st.booleans(),
    st.data(),
)
def test_green_and_blue_are_one_number(image, background, red, data):
    if not red:
        image[..., 2] = 0
    top, left = (data.draw(st.integers(0, n - 1)) for n in image.shape[:2])
    part = image[top:, left:]
    part = part[: data.draw(st.integers(0, len(part))), : data.draw(st.integers(0, part.shape[1]))]
    out = np.full(part.shape[:2], np.nan, np.float32)
    found = green_blue_mm(image, top, left, background, out)
    mm = part[..., 1].astype(int) * 256 + part[..., 0]
    np.testing.assert_array_equal(out, np.where(mm < background, mm, 0))
    assert bool(found) == part[..., 2].any()
