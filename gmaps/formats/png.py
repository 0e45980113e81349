"""Depth PNGs, read strictly.

OpenCV converts whatever it finds and fills what is missing: an 8-bit preview becomes millimetres, a torn file a
hand without fingers. So the header must say what is expected, and every chunk's checksum must be right, before a
pixel is decoded.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError

Kind = Literal["rgb8", "grey8", "grey16"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}
_EXPECTED = {"rgb8": (8, 2), "grey8": (8, 0), "grey16": (16, 0)}
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
            file = os.open(f"{root}/{name}", os.O_RDONLY)  # a million times: no objects that are not needed
            try:
                check_header(os.read(file, HEADER_BYTES), name, kind, size)
            finally:
                os.close(file)
        except OSError as error:
            bad.append(f"{name}: {error.strerror or error}")
        except FrameError as error:
            bad.append(str(error))
    return [f"{len(bad)} frames cannot be read, first: {bad[0]}"] if bad else []


def decode(data: bytes, name: str, kind: Kind, size: tuple[int, int]) -> NDArray[Any]:
    """Pixels of a depth PNG.

    Parameters
    ----------
    data
        The whole file.
    name, kind, size
        As in `check_header`.

    Returns
    -------
    (H, W, 3) uint8, blue first, for "rgb8"; (H, W) uint8 or uint16 for "grey8" and "grey16".

    Raises
    ------
    FrameError
        Another kind of file, a torn or altered one.
    """
    check_header(data, name, kind, size)
    _check_chunks(data, name)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FrameError(f"{name}: cannot be decoded ({error.err}); restore it from the archive") from error
    shape = (size[1], size[0], 3) if kind == "rgb8" else (size[1], size[0])
    if image is None or image.shape != shape or image.dtype != (np.uint16 if kind == "grey16" else np.uint8):
        raise FrameError(f"{name}: its pixels cannot be decoded; restore it from the archive")
    return image


def _check_chunks(data: bytes, name: str) -> None:
    view, at = memoryview(data), len(_SIGNATURE)
    while at + 12 <= len(data):
        length, tag = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        (crc,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[at + 4 : end - 4]) != crc:
            raise FrameError(f"{name}: damaged at byte {at} (checksum of {tag!r}); restore it from the archive")
        if tag == b"IEND":
            return
        at = end
    raise FrameError(f"{name}: torn, {len(data):,} bytes and no end; restore it from the archive")
