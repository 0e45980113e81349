"""Pixels to millimetres, against NumPy in plain steps."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gmaps.kernels.pixels import green_blue_mm, red_green_mm


@settings(deadline=None)  # the first call compiles
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 70), st.just(3))),
    st.integers(0, 65535),
    st.booleans(),
)
def test_green_and_blue_are_one_number(image, background, red):
    if not red:
        image[..., 0] = 0
    out = np.full(image.shape[:2], np.nan, np.float32)
    found = green_blue_mm(image, background, out)
    mm = image[..., 1].astype(int) * 256 + image[..., 2]
    np.testing.assert_array_equal(out, np.where(mm < background, mm, 0))
    assert bool(found) == image[..., 0].any()


@settings(deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 70), st.just(3))),
    st.floats(0.01, 2.0),
    st.booleans(),
)
def test_red_and_green_are_one_number(image, scale, blue):
    if not blue:
        image[..., 2] = 0
    out = np.full(image.shape[:2], np.nan, np.float32)
    found = red_green_mm(image, np.float32(scale), out)
    count = image[..., 0].astype(int) + image[..., 1].astype(int) * 256
    np.testing.assert_allclose(out, count * np.float64(np.float32(scale)), rtol=1e-6)
    assert bool(found) == image[..., 2].any()
