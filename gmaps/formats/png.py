"""Depth PNGs, read strictly, and of a window alone.

OpenCV converts whatever it finds and fills what is missing: an 8-bit preview becomes millimetres, a torn file a
hand without fingers. So the header must say what is expected, and every chunk's checksum must be right, before a
pixel is decoded. What depth PNGs are is decoded here: libdeflate inflates them, and a kernel undoes the filters of
the rows and columns that a window needs. Interlaced ones, and those with a transparent colour, a palette that is
suggested or an animation, are left to OpenCV.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import deflate
import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError, UsageError
from gmaps.kernels.png_filter import unfilter

Kind = Literal["rgb8", "grey8", "grey16"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}
_EXPECTED = {"rgb8": (8, 2), "grey8": (8, 0), "grey16": (16, 0)}
_PIXEL_BYTES = {"rgb8": 3, "grey8": 1, "grey16": 2}
#: Chunks that anything but ignoring them takes more than a line.
_SPECIAL = (b"tRNS", b"acTL")
#: No byte of deflated data holds more bytes than this.
_MOST_INFLATED = 1032
#: Bytes of a chunk's data, and what it is.
_HEAD = struct.Struct(">I4s")
#: Bytes from the file's start to the end of the header.
HEADER_BYTES = 33


def check_header(data: bytes, name: str, kind: Kind, size: tuple[int, int]) -> None:
    """See that a PNG is what a data set promises.

    Parameters
    ----------
    data
        The file, or at least its first `HEADER_BYTES` bytes.
    name
        What messages call it.
    kind
        "rgb8" (8 bits, three channels), "grey8" or "grey16" (8 or 16 bits, one channel).
    size
        (width, height), pixels.

    Raises
    ------
    FrameError
        No PNG, or another one; the message says what was found.
    """
    if len(data) < HEADER_BYTES or data[:8] != _SIGNATURE or data[8:16] != b"\x00\x00\x00\rIHDR":
        raise FrameError(f"{name}: no PNG, it starts with {data[:8]!r}; restore it from the archive")
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    want_bits, want_colour = _EXPECTED[kind]
    if (bits, colour) != (want_bits, want_colour):
        raise FrameError(
            f"{name}: an {bits}-bit {_COLOURS.get(colour, f'colour type {colour}')} PNG, where depth is kept as "
            f"{want_bits}-bit {_COLOURS[want_colour]}; take the depth file, unconverted, from the archive"
        )
    if not (width and height):
        raise FrameError(f"{name}: {width} x {height} pixels; restore it from the archive")
    if (width, height) != size:
        raise FrameError(
            f"{name}: {width} x {height} pixels, not {size[0]} x {size[1]}; take the file, unscaled, from the archive"
        )


def check_files(root: Path, names: Iterable[str], kind: Kind, size: tuple[int, int]) -> list[str]:
    """What is wrong with the headers of many files, for a check of a tree.

    Parameters
    ----------
    root, names
        The files, below one directory.
    kind, size
        As in `check_header`.

    Returns
    -------
    list of str
        Empty, or one message with their number and the first of them.
    """
    bad = []
    for name in names:
        try:
            # A million times: no objects that are not needed.
            file = os.open(f"{root}/{name}", os.O_RDONLY | os.O_NONBLOCK)
            try:
                check_header(os.read(file, HEADER_BYTES), name, kind, size)
            finally:
                os.close(file)
        except OSError as error:
            bad.append(f"{name}: {error.strerror or error}")
        except FrameError as error:
            bad.append(str(error))
    return [f"{len(bad)} frames cannot be read, first: {bad[0]}"] if bad else []


def decode(
    data: bytes, name: str, kind: Kind, size: tuple[int, int], window: tuple[int, int, int, int] | None = None
) -> NDArray[Any]:
    """Pixels of a depth PNG, or of a part of it.

    Whether a file is accepted does not depend on the window.

    Parameters
    ----------
    data
        The whole file.
    name, kind, size
        As in `check_header`.
    window
        top, bottom, left, right of the part, pixels, ends excluded; the whole image unless given.

    Returns
    -------
    (h, w, 3) uint8, red first, for "rgb8"; (h, w) uint8 or uint16 for "grey8" and "grey16".

    Raises
    ------
    FrameError
        Another kind of file, a torn or altered one.
    UsageError
        A window that is empty or not within the image.
    """
    check_header(data, name, kind, size)
    top, bottom, left, right = (0, size[1], 0, size[0]) if window is None else window
    if not (0 <= top < bottom <= size[1] and 0 <= left < right <= size[0]):
        raise UsageError(f"{name}: rows {top} to {bottom}, columns {left} to {right} are no part of {size}")
    pieces, plain = _read_chunks(data, name)
    if not plain:
        return np.ascontiguousarray(_decode_special(data, name, kind, size)[top:bottom, left:right])
    pixel = _PIXEL_BYTES[kind]
    filtered = _inflate(pieces, name, size[1] * (1 + size[0] * pixel))
    out = np.empty((bottom - top, (right - left) * pixel), np.uint8)
    bad = unfilter(filtered, size[1], pixel, top, bottom, left, right, out)
    if bad >= 0:
        raise FrameError(f"{name}: row {bad} has a filter that PNG has not; restore it from the archive")
    if kind == "grey16":
        return out.view(">u2").astype(np.uint16)
    return out.reshape(*out.shape[:1], -1, 3) if kind == "rgb8" else out


def _read_chunks(data: bytes, name: str) -> tuple[list[memoryview], bool]:
    """The pieces of deflated data, every checksum of the file being right, and whether this module can decode it."""
    view, at = memoryview(data), len(_SIGNATURE)
    pieces: list[memoryview] = []
    plain, last = data[26:29] == b"\0\0\0", b""  # deflate, the five filters, not interlaced
    while at + 12 <= len(data):
        length, tag = _HEAD.unpack_from(data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if deflate.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise FrameError(f"{name}: damaged at byte {at} (checksum of {tag!r}); restore it from the archive")
        if tag == b"IEND":
            return pieces, plain
        if tag == b"IDAT":
            plain &= not pieces or last == tag
            pieces.append(view[at + 8 : end - 4])
        else:  # a lower case letter tells what may be ignored
            plain &= tag not in _SPECIAL and (bool(tag[0] & 32) or (tag == b"IHDR" and not last))
        last, at = tag, end
    raise FrameError(f"{name}: torn, {len(data):,} bytes and no end; restore it from the archive")


def _inflate(pieces: list[memoryview], name: str, size: int) -> NDArray[np.uint8]:
    """`size` bytes, which is all that the pieces may hold; their checksum is right."""
    packed = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if size > _MOST_INFLATED * len(packed):
        raise FrameError(f"{name}: {len(packed):,} bytes of pixels, which cannot be all; restore it from the archive")
    try:
        found = np.frombuffer(deflate.zlib_decompress(packed, size), np.uint8)
    except deflate.DeflateError as error:
        raise FrameError(
            f"{name}: its pixels cannot be inflated, or are more than there should be; restore it from the archive"
        ) from error
    if found.size != size:
        raise FrameError(f"{name}: {found.size:,} of {size:,} bytes of pixels; restore it from the archive")
    return found


def _decode_special(data: bytes, name: str, kind: Kind, size: tuple[int, int]) -> NDArray[Any]:
    """The whole image, by OpenCV."""
    import cv2  # here, because it takes long to import, and hardly any frame needs it

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FrameError(f"{name}: cannot be decoded ({error.err}); restore it from the archive") from error
    shape = (size[1], size[0], 3) if kind == "rgb8" else (size[1], size[0])
    if image is None or image.shape != shape or image.dtype != (np.uint16 if kind == "grey16" else np.uint8):
        raise FrameError(f"{name}: its pixels cannot be decoded; restore it from the archive")
    return image[..., ::-1] if kind == "rgb8" else image
