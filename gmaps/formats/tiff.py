"""Depth TIFFs, read strictly: the directory of tags must be that of one plain image before a pixel is decoded."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 259, 262, 274
_SAMPLES, _PREDICTOR, _FORMAT = 277, 317, 339
_STRIPS, _STRIP_BYTES, _TILE_SIZES, _TILES, _TILE_BYTES = 273, 279, (322, 323), 324, 325
_DEFAULTS = {_BITS: 1, _COMPRESSION: 1, _PHOTOMETRIC: 1, _ORIENTATION: 1, _SAMPLES: 1, _PREDICTOR: 1, _FORMAT: 1}
#: none, LZW, two of deflate, PackBits
_LOSSLESS = (1, 5, 8, 32946, 32773)
#: Those after which libtiff, which decodes, undoes a predictor; after others it gives differences without a word.
_PREDICTED, _PACKBITS = (5, 8, 32946), 32773
_TYPES = {
    (16, 1): "uint16", (16, 2): "int16", (32, 1): "uint32", (32, 2): "int32", (32, 3): "float32", (64, 3): "float64"
}  # fmt: skip
_CODES = {1: "B", 3: "H", 4: "I"}
_MOST_TAGS, _MOST_PIECES = 200, 2**16


def check_tiff(file: BinaryIO, file_size: int, name: str, size: tuple[int, int]) -> np.dtype[Any]:
    """See that a TIFF is one depth image.

    Parameters
    ----------
    file
        Open for reading and seeking.
    file_size
        Bytes.
    name
        What messages call it.
    size
        (width, height), pixels.

    Returns
    -------
    dtype
        Of its pixels.

    Raises
    ------
    FrameError
        Another kind of file or image, or a torn one; the message says what was found.
    """
    tags = _read_tags(file, file_size, name)
    one = {tag: tags.get(tag, (default,))[0] for tag, default in _DEFAULTS.items()}
    width, height = tags.get(_WIDTH, (0,))[0], tags.get(_HEIGHT, (0,))[0]
    dtype = _TYPES.get((one[_BITS], one[_FORMAT]))
    if dtype is None or one[_SAMPLES] != 1 or one[_PHOTOMETRIC] != 1:
        raise FrameError(
            f"{name}: a TIFF of {one[_SAMPLES]} x {one[_BITS]} bits, sample format {one[_FORMAT]}, photometric "
            f"{one[_PHOTOMETRIC]}, where depth is one channel of {', '.join(sorted(_TYPES.values()))}, 0 being black"
        )
    if (width, height) != size:
        raise FrameError(f"{name}: {width} x {height} pixels, not {size[0]} x {size[1]}; take the file unscaled")
    if one[_COMPRESSION] not in _LOSSLESS or one[_ORIENTATION] != 1:
        raise FrameError(
            f"{name}: a TIFF of compression {one[_COMPRESSION]} and orientation {one[_ORIENTATION]}; depth is kept "
            "without loss and the right way up"
        )
    tiled = any(t in tags for t in (*_TILE_SIZES, _TILES, _TILE_BYTES))
    if not _is_undone(one[_PREDICTOR], one[_COMPRESSION]) and (tiled or not _is_differences(tags)):
        raise FrameError(
            f"{name}: a TIFF of compression {one[_COMPRESSION]} with predictor {one[_PREDICTOR]}, which programs "
            "read differently; write it without predictor, or compress it by LZW or deflate"
        )
    if tiled and not all(0 < tags.get(t, (0,))[0] <= max(size) + 1024 for t in _TILE_SIZES):
        raise FrameError(f"{name}: a TIFF of tiles larger than its image; restore it")
    starts, lengths = tags.get(_TILES if tiled else _STRIPS, ()), tags.get(_TILE_BYTES if tiled else _STRIP_BYTES, ())
    itself = width * height * np.dtype(dtype).itemsize
    whole = one[_COMPRESSION] != 1 or sum(lengths) >= itself
    inside = all(s + n <= file_size and n > 0 for s, n in zip(starts, lengths, strict=False))
    if not starts or len(starts) != len(lengths) or not whole or not inside:
        raise FrameError(f"{name}: torn, {file_size:,} bytes do not hold the pixels that its tags say; restore it")
    return np.dtype(dtype)


def decode_tiff(data: bytes, name: str, size: tuple[int, int]) -> NDArray[Any]:
    """Pixels of a depth TIFF.

    Parameters
    ----------
    data
        The whole file.
    name, size
        As in `check_tiff`.

    Returns
    -------
    (H, W) uint16, int16, uint32, int32, float32 or float64

    Raises
    ------
    FrameError
        As `check_tiff`, or when the pixels cannot be decoded. TIFF has no checksums: altered pixels may pass.
    """
    dtype = check_tiff(io.BytesIO(data), len(data), name, size)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FrameError(f"{name}: cannot be decoded ({error.err}); restore it from the archive") from error
    if image is None or image.shape != (size[1], size[0]) or image.dtype != dtype:
        raise FrameError(f"{name}: its pixels cannot be decoded; restore it from the archive")
    if _is_differences(_read_tags(io.BytesIO(data), len(data), name)):
        return np.cumsum(image, axis=1, dtype=dtype)
    return image


def _is_undone(predictor: int, compression: int) -> bool:
    return predictor == 1 or (predictor in (2, 3) and compression in _PREDICTED)


def _is_differences(tags: dict[int, tuple[int, ...]]) -> bool:
    """Whether rows come as differences from pixel to pixel: whole numbers, packed by PackBits."""
    predictor, compression, form = (tags.get(t, (1,))[0] for t in (_PREDICTOR, _COMPRESSION, _FORMAT))
    return predictor == 2 and compression == _PACKBITS and form in (1, 2)


def _read_tags(file: BinaryIO, file_size: int, name: str) -> dict[int, tuple[int, ...]]:
    """Tag -> its values, for tags of whole numbers."""

    def at(offset: int, length: int) -> bytes:
        file.seek(offset)
        found = file.read(length) if offset + length <= file_size else b""
        if len(found) < length:
            raise FrameError(f"{name}: torn, {file_size:,} bytes end within its tags; restore it from the archive")
        return found

    head = at(0, 8) if file_size >= 8 else b""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(head[:4])
    if order is None:
        raise FrameError(f"{name}: no TIFF (nor one that gmaps reads), it starts with {head[:8]!r}; restore it")
    (start,) = struct.unpack(order + "I", head[4:])
    (count,) = struct.unpack(order + "H", at(start, 2))
    if count > _MOST_TAGS:
        raise FrameError(f"{name}: a TIFF of {count} tags; restore it")
    tags: dict[int, tuple[int, ...]] = {}
    for k in range(count):
        tag, kind, number, _ = struct.unpack(order + "HHII", entry := at(start + 2 + 12 * k, 12))
        if kind not in _CODES or not 0 < number <= _MOST_PIECES:
            continue
        length = number * struct.calcsize(_CODES[kind])
        data = entry[8 : 8 + length] if length <= 4 else at(struct.unpack(order + "I", entry[8:])[0], length)
        tags[tag] = struct.unpack(f"{order}{number}{_CODES[kind]}", data)
    return tags
