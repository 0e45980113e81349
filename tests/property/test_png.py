"""PNG's filters undone, of windows, against the specification byte by byte and against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmaps.formats import png
from gmaps.kernels import png_filter as kernel
from tests.reference import png as reference


@st.composite
def images(draw):
    """Noise, flat areas or slopes, of any kind and size; and a filter a row."""
    kind = draw(st.sampled_from(["rgb8", "grey8", "grey16"]))
    # More than two blocks of 15 rows, and rows longer and shorter than a vector.
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    dtype = np.uint16 if kind == "grey16" else np.uint8
    shape = (height, width, 3) if kind == "rgb8" else (height, width)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    image = rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    look = draw(st.sampled_from(["noise", "flat", "slope"]))
    if look == "flat":
        image[...] = np.where(rng.random(shape) < 0.1, image, rng.integers(0, 9))
    elif look == "slope":
        steps = np.arange(height).reshape(-1, *[1] * (image.ndim - 1)) * 3 + np.arange(width).reshape(
            1, -1, *[1] * (image.ndim - 2)
        )
        image[...] = steps + image % 3
    one = draw(st.integers(0, 5))  # one filter throughout, as many encoders do, or any mixture
    filters = [one] * height if one < 5 else rng.integers(0, 5, height).tolist()
    return kind, image, filters


@st.composite
def windows(draw, height, width):
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    return top, draw(st.integers(top + 1, height)), left, draw(st.integers(left + 1, width))


@settings(deadline=None, max_examples=150)
@given(images(), st.integers(1, 4), st.data())
def test_windows_are_those_of_opencv(made, pieces, data):
    kind, image, filters = made
    file = reference.write_png(image, filters, pieces=pieces)
    size = image.shape[1], image.shape[0]
    found = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    whole = png.decode(file, "f", kind, size)
    np.testing.assert_array_equal(whole, found[..., ::-1] if kind == "rgb8" else found)
    np.testing.assert_array_equal(whole, image)
    assert whole.dtype == image.dtype
    top, bottom, left, right = window = data.draw(windows(*image.shape[:2]))
    part = png.decode(file, "f", kind, size, window)
    assert part.flags.c_contiguous
    np.testing.assert_array_equal(part, image[top:bottom, left:right])


@settings(deadline=None, max_examples=100)
@given(images(), st.data())
def test_the_kernel_is_its_slow_twin_and_stays_within_its_arrays(made, data):
    _, image, filters = made
    pixel = image.itemsize * (image.shape[2] if image.ndim == 3 else 1)
    filtered = reference.filtered(image, filters)
    want = reference.unfilter(filtered, len(image), pixel)
    top, bottom, left, right = window = data.draw(windows(*image.shape[:2]))
    # Guards around what is read and what is written.
    guarded = np.full(len(filtered) + 128, 99, np.uint8)
    guarded[64:-64] = np.frombuffer(filtered, np.uint8)
    size = (bottom - top) * (right - left) * pixel
    around = np.full(size + 128, 77, np.uint8)
    out = around[64:-64].reshape(bottom - top, -1)
    assert kernel.unfilter(guarded[64:-64], len(image), pixel, *window, out) == -1
    np.testing.assert_array_equal(out, want[top:bottom, left * pixel : right * pixel])
    assert (around[:64] == 77).all()
    assert (around[-64:] == 77).all()
    np.testing.assert_array_equal(guarded[64:-64], np.frombuffer(filtered, np.uint8))


@pytest.mark.parametrize("pixel", [1, 2, 3])
@pytest.mark.parametrize("width", [1, 2, 5, 15, 16, 17, 47, 64])
def test_scratch_is_as_large_as_its_use(pixel, width):
    """The vectors have no bounds of their own, so the arrays that they work in are put between guards."""
    size = width * pixel
    pitch, rng = kernel._PAD + size + kernel._PAD + 16, np.random.default_rng(width)
    rows = np.full(16 * pitch + 256, 55, np.uint8)
    inner = rows[128:-128]
    inner[:] = 0
    for k in range(16):
        inner[k * pitch + kernel._PAD : k * pitch + kernel._PAD + size] = rng.integers(0, 256, size)
    columns = np.full((2 * pixel + size + pixel * 15 + 16) * 16 + 256, 66, np.uint8)
    masks = np.zeros(64, np.uint8)
    masks[48 + 1 :] = 255  # Paeth, but for the row above
    kernel._decode_rows(inner, pitch, size, pixel, columns[128:-128], masks)
    assert (rows[:128] == 55).all()
    assert (rows[-128:] == 55).all()
    assert (columns[:128] == 66).all()
    assert (columns[-128:] == 66).all()
    # Where rows have not begun, zeros stay: the next block counts on them.
    assert not inner.reshape(16, pitch)[:, : kernel._PAD].any()


def test_all_triples_of_neighbours_have_the_guess_of_the_specification():
    values = np.array([0, 1, 2, 3, 7, 85, 127, 128, 129, 170, 200, 253, 254, 255])
    a, b, c = (v.ravel() for v in np.meshgrid(values, values, values, indexing="ij"))
    for kind in range(5):
        # Two rows of two pixels: c b above, a ? below; and the byte that is asked for is 0 but for the guess.
        for start in range(0, len(a), 15):
            part = slice(start, start + 15)
            for x, y, z in zip(a[part].tolist(), b[part].tolist(), c[part].tolist(), strict=True):
                lines = bytes([0, z, y]) + bytes([kind, (x - reference._guess(kind, 0, z, 0)) % 256, 0])
                out = np.empty((2, 2), np.uint8)
                assert kernel.unfilter(np.frombuffer(lines, np.uint8), 2, 1, 0, 2, 0, 2, out) == -1
                assert out[1].tolist() == [x, reference._guess(kind, x, y, z)]
