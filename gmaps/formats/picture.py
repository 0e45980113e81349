"""Colour pictures, JPEG or PNG: the size is known before memory is taken, and what is decoded is what was said."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError

#: Pixels of the largest picture that is decoded.
_MOST_PIXELS = 2**25
#: Markers of a JPEG that begin a frame's header.
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


def picture_size(data: bytes, name: str) -> tuple[int, int]:
    """(width, height) of a JPEG or PNG, from its header.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.

    Raises
    ------
    FrameError
        Neither, or a header that is torn.
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 33:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += (
            2
            if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD7
            else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        )
    raise FrameError(f"{name}: no JPEG or PNG, it starts with {data[:8]!r}; restore it from the archive")


def parse_picture(data: bytes, name: str, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """A colour picture: (H, W, 3) uint8, red first.

    Parameters
    ----------
    data, name
        As in `picture_size`.
    size
        (width, height) that it must have.

    Raises
    ------
    FrameError
        No such picture, a torn one, or one of another size.
    """
    found = picture_size(data, name)
    if not (0 < found[0] * found[1] <= _MOST_PIXELS) or (size is not None and found != size):
        wanted = f"not {size[0]} x {size[1]}" if size else "which no camera takes"
        raise FrameError(f"{name}: {found[0]} x {found[1]} pixels, {wanted}; restore it from the archive")
    import cv2  # here, because it takes long to import

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise FrameError(f"{name}: cannot be decoded ({error.err}); restore it from the archive") from error
    if image is None or image.shape != (found[1], found[0], 3):
        raise FrameError(f"{name}: its pixels cannot be decoded; restore it from the archive")
    return np.ascontiguousarray(image[..., ::-1])
