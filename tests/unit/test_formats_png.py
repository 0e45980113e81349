"""PNG files that are torn, altered, hostile, or unusual and right: an exact refusal, or OpenCV's pixels."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from gmaps.errors import FrameError, UsageError
from gmaps.formats import png
from tests.reference.png import SIGNATURE, chunk, filtered, header, write_png

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 2**16, (24, 20), np.uint16)
FILTERS = [r % 5 for r in range(24)]
SIZE = (20, 24)
LINES = filtered(IMAGE, FILTERS)
PACKED = zlib.compress(LINES)
HEAD, END = SIGNATURE + header("grey16", *SIZE), chunk(b"IEND", b"")


def decode(data, window=None):
    return png.decode(data, "f.png", "grey16", SIZE, window)


def with_pixels(packed, *, before=b"", after=b""):
    return HEAD + before + chunk(b"IDAT", packed) + after + END


def opencv(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


BAD = {
    "no pixels at all": (HEAD + END, "0 bytes of pixels"),
    "an empty piece": (with_pixels(b""), "0 bytes of pixels"),
    "fewer rows": (with_pixels(zlib.compress(LINES[:-41])), "943 of 984 bytes"),
    "a byte less": (with_pixels(zlib.compress(LINES[:-1])), "983 of 984 bytes"),
    "more rows": (with_pixels(zlib.compress(LINES + LINES[:41])), "more than there should be"),
    "an inflate bomb": (with_pixels(zlib.compress(bytes(2**26), 9)), "more than there should be"),
    "Adler-32": (with_pixels(PACKED[:-1] + b"\0"), "cannot be inflated"),
    "cut short with right checksums": (with_pixels(PACKED[:-9]), "cannot be inflated"),
    "no deflated data": (with_pixels(b"\x78\x9c" + bytes(range(100))), "cannot be inflated"),
    "a dictionary": (with_pixels(b"\x78\xbb" + bytes(100)), "cannot be inflated"),
    "a filter that is none": (with_pixels(zlib.compress(LINES[:41] + b"\5" + LINES[42:])), "row 1 has a filter"),
    "the last row's filter is none": (with_pixels(zlib.compress(LINES[:-41] + b"\xff" + LINES[-40:])), "row 23 has"),
    "a chunk that is longer than the file": (HEAD + struct.pack(">I", 2**31) + b"IDAT" + bytes(50), "torn"),
    "a length of all ones": (HEAD + b"\xff\xff\xff\xffIDAT" + bytes(50), "torn"),
    "no end": (with_pixels(PACKED)[:-12], "torn"),
    "a part of the end": (with_pixels(PACKED)[:-1], "torn"),
    "only a header": (HEAD, "torn"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("window", [None, (0, 1, 0, 1)])
def test_broken_files_are_refused_whatever_the_window(data, message, window):
    with pytest.raises(FrameError, match=f"^f.png: .*{message}"):
        decode(data, window)


def test_every_cut_and_every_flipped_byte_is_found():
    data = write_png(IMAGE, FILTERS, pieces=3)
    for length in range(len(data)):
        with pytest.raises(FrameError, match=r"^f\.png: "):
            decode(data[:length])
    for at in range(len(data)):
        with pytest.raises(FrameError, match=r"^f\.png: "):
            decode(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])


def test_nothing_that_deflated_data_may_hold_does_harm():
    """Random deflated data behind right checksums: an image or a refusal, never anything else."""
    refused = 0
    packed = zlib.compress(LINES, 1)
    for _ in range(1500):
        torn = bytearray(packed)
        for at in RNG.integers(0, len(torn), RNG.integers(1, 4)):
            torn[at] = RNG.integers(256)
        try:
            assert decode(with_pixels(bytes(torn))).shape == (24, 20)
        except FrameError:
            refused += 1
    assert refused > 1400  # Adler-32 tells


def test_a_huge_size_takes_no_memory():
    size = (2**31 - 1, 2**31 - 1)
    data = SIGNATURE + header("grey16", *size) + chunk(b"IDAT", zlib.compress(bytes(1000))) + END
    with pytest.raises(FrameError, match="which cannot be all"):
        png.decode(data, "f.png", "grey16", size)
    with pytest.raises(FrameError, match="0 x 7 pixels"):
        png.decode(SIGNATURE + header("grey16", 0, 7) + END, "f.png", "grey16", (0, 7))


UNUSUAL = {
    "pieces of a byte": b"".join(chunk(b"IDAT", bytes([b])) for b in PACKED),
    "empty pieces": chunk(b"IDAT", b"") + chunk(b"IDAT", PACKED) + chunk(b"IDAT", b""),
    "bytes behind the deflated data": chunk(b"IDAT", PACKED + b"more"),
    "stored, not deflated": chunk(b"IDAT", zlib.compress(LINES, 0)),
    "notes before and after": chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", PACKED) + chunk(b"tIME", bytes(7)),
    "gamma and significant bits": chunk(b"gAMA", b"\0\0\xb1\x8f") + chunk(b"sBIT", b"\x0c")
    + chunk(b"IDAT", PACKED),
}  # fmt: skip


@pytest.mark.parametrize("body", UNUSUAL.values(), ids=UNUSUAL)
@pytest.mark.parametrize("behind", [b"", b"and more", SIGNATURE])
def test_unusual_files_are_read_as_opencv_reads_them(body, behind):
    data = HEAD + body + END + behind
    np.testing.assert_array_equal(decode(data), IMAGE)
    np.testing.assert_array_equal(opencv(data), IMAGE)


def test_interlaced_files_are_opencvs():
    """Adam7: seven images, each a grid of the pixels that those before it left out."""
    grids = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [np.ascontiguousarray(IMAGE[row::rows, column::columns]) for row, column, rows, columns in grids]
    packed = zlib.compress(b"".join(filtered(part, [0] * len(part)) for part in parts))
    data = SIGNATURE + header("grey16", *SIZE, interlace=1) + chunk(b"IDAT", packed) + END
    assert not png._read_chunks(data, "f")[1]
    np.testing.assert_array_equal(decode(data), IMAGE)
    np.testing.assert_array_equal(decode(data, (3, 9, 2, 7)), IMAGE[3:9, 2:7])


@pytest.mark.parametrize(
    "body",
    [
        chunk(b"tRNS", b"\0\1") + chunk(b"IDAT", PACKED),
        chunk(b"IDAT", PACKED[:50]) + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", PACKED[50:]),
        chunk(b"ABCD", b"critical") + chunk(b"IDAT", PACKED),
        header("grey16", 2, 2) + chunk(b"IDAT", PACKED),
    ],
    ids=["a transparent grey", "notes between pieces", "a chunk that must not be ignored", "two headers"],
)
def test_what_is_not_plain_is_opencvs_to_judge(body):
    data = HEAD + body + END
    assert not png._read_chunks(data, "f")[1]
    image = opencv(data)
    if image is None or image.shape != IMAGE.shape or image.dtype != np.uint16:
        with pytest.raises(FrameError, match="cannot be decoded"):
            decode(data)
    else:
        np.testing.assert_array_equal(decode(data, (3, 9, 2, 7)), image[3:9, 2:7])


def test_colours_are_red_first_also_where_opencv_decodes():
    image = RNG.integers(0, 256, (5, 6, 3), np.uint8)
    data = write_png(image, [1] * 5)
    np.testing.assert_array_equal(png.decode(data, "f", "rgb8", (6, 5)), image)
    body = chunk(b"PLTE", bytes(range(9)))  # a palette that is suggested
    marked = data[:33] + body + data[33:]
    assert not png._read_chunks(marked, "f")[1]
    np.testing.assert_array_equal(png.decode(marked, "f", "rgb8", (6, 5)), image)


@pytest.mark.parametrize(
    "window", [(0, 0, 0, 5), (3, 2, 0, 5), (-1, 4, 0, 5), (0, 25, 0, 5), (0, 5, 0, 21), (0, 5, 7, 7)]
)
def test_a_window_must_be_a_part_of_the_image(window):
    with pytest.raises(UsageError, match="are no part of"):
        decode(write_png(IMAGE, FILTERS), window)
