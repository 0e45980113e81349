"""Depth frames of a folder: PNG, TIFF, `.npy` and `.npz`, and what their values mean in mm."""

from __future__ import annotations

import math
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.folder.description import Depth, Segmentation
from gmaps.datasets.reader import Pixels
from gmaps.errors import FrameError
from gmaps.formats import npy, png, tiff
from gmaps.frame import FARTHEST_MM

#: Bytes that a header, tags or an archive's directory may have beside the pixels.
_ROOM = 2**20


def largest_file(size: tuple[int, int]) -> int:
    """Bytes that no frame of (width, height) pixels needs more than: 8 a pixel, and some."""
    return 9 * size[0] * size[1] + _ROOM


def _largest_array(size: tuple[int, int]) -> int:
    """Bytes of the numbers of (width, height) pixels."""
    return 8 * size[0] * size[1]


def check_image(file: BinaryIO, file_size: int, name: str, kind: Depth | Segmentation, size: tuple[int, int]) -> None:
    """See from its header that a file is what the description says.

    Parameters
    ----------
    file
        Open at its start.
    file_size
        Bytes.
    name
        What messages call it.
    kind
        What the description says.
    size
        (width, height), pixels.

    Raises
    ------
    FrameError
        Another kind of file, another size; the message says what was found.
    """
    suffix = kind.files.suffix
    if suffix == ".png":
        png.check_header(file.read(png.HEADER_BYTES), name, _png_kind(kind), size)
    elif suffix in (".tif", ".tiff"):
        tiff.check_tiff(file, file_size, name, size)
    elif suffix == ".npy":
        header = npy.read_header(file, name)
        _check_array(header.shape, header.dtype, name, kind, size)
        npy.check_size(header, file_size - file.tell(), name)
    else:
        header = npy.read_npz_header(file, name, kind.array, _largest_array(size))
        _check_array(header.shape, header.dtype, name, kind, size)


def parse_depth(
    data: bytes, name: str, depth: Depth, size: tuple[int, int], pixels: Pixels | None = None
) -> NDArray[np.float32]:
    """A depth frame, or a part of it, in mm.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.
    depth
        [depth] of the description.
    size
        (width, height), pixels.
    pixels
        top, bottom, left, right of a part, ends excluded.

    Returns
    -------
    (H, W) float32, or as large as the part
        mm, 0 where there is no data.

    Raises
    ------
    FrameError
        Another kind of file, a torn one, depths that cannot be.
    """
    raw = _parse(data, name, depth, size, pixels)
    if depth.rgb:
        raw = _weighted(raw, name, depth.rgb)
    with np.errstate(all="ignore"):  # NaN, and more than float32 holds
        mm = raw.astype(np.float32)
        if depth.unit != 1:
            mm *= np.float32(depth.unit)
        if raw.dtype.kind == "f":
            mm[~np.isfinite(mm)] = 0
        for value in depth.none:
            mm[raw == value] = 0
        if math.isfinite(depth.farthest):
            mm[mm > depth.farthest] = 0
    low, high = mm.min(), mm.max()
    if not (low >= 0 and high < FARTHEST_MM):
        raise FrameError(
            f"{name}: depths from {low:g} to {high:g} mm; are depth.unit, depth.none and depth.farthest right?"
        )
    return mm


def parse_labels_image(
    data: bytes, name: str, kind: Segmentation, size: tuple[int, int], pixels: Pixels | None = None
) -> NDArray[np.uint8]:
    """A segmentation, or a part of it.

    Parameters
    ----------
    data, name, size, pixels
        As in `parse_depth`.
    kind
        [segmentation] of the description.

    Returns
    -------
    (H, W) uint8, or as large as the part
        Places in `kind.labels`.

    Raises
    ------
    FrameError
        Another kind of file, a torn one, a value without label.
    """
    raw = _parse(data, name, kind, size, pixels)
    low, high = int(raw.min()), int(raw.max())
    if not 0 <= low <= high < len(kind.labels):
        raise FrameError(
            f"{name}: values from {low} to {high}, where segmentation.labels has {len(kind.labels)} names"
        )
    return raw.astype(np.uint8)


def _png_kind(kind: Depth | Segmentation) -> png.Kind:
    if isinstance(kind, Segmentation):
        return "grey8"
    return "rgb8" if kind.rgb else "grey16"


def _parse(
    data: bytes, name: str, kind: Depth | Segmentation, size: tuple[int, int], pixels: Pixels | None
) -> NDArray[Any]:
    suffix = kind.files.suffix
    if suffix == ".png":
        return png.decode(data, name, _png_kind(kind), size, pixels)
    if suffix in (".tif", ".tiff"):
        raw = tiff.decode_tiff(data, name, size)
    else:
        most = _largest_array(size)
        raw = npy.parse_npy(data, name) if suffix == ".npy" else npy.parse_npz(data, name, kind.array, most)
        _check_array(raw.shape, raw.dtype, name, kind, size)
    if pixels is None:
        return raw
    top, bottom, left, right = pixels
    return raw[top:bottom, left:right]


def _check_array(
    shape: tuple[int, ...], dtype: np.dtype[Any], name: str, kind: Depth | Segmentation, size: tuple[int, int]
) -> None:
    if shape != (size[1], size[0]):
        raise FrameError(
            f"{name}: an array of shape {shape}, not {(size[1], size[0])}, the camera's height and width"
        )
    if isinstance(kind, Segmentation):
        if dtype.kind not in "iu":
            raise FrameError(f"{name}: an array of {dtype}, where a segmentation has whole numbers")
    elif dtype.itemsize == 1:
        raise FrameError(f"{name}: an array of {dtype}, which holds no depths; take the depth, not its preview")


def _weighted(image: NDArray[np.uint8], name: str, rgb: tuple[float, ...]) -> NDArray[np.float32]:
    """Depth out of red, green and blue."""
    red, green, blue = cv2.split(image)
    for channel, weight, colour in zip((red, green, blue), rgb, ("red", "green", "blue"), strict=True):
        if not weight and cv2.countNonZero(channel):
            raise FrameError(f"{name}: has {colour} in it, so it is a picture and no depth; take the depth file")
    out = cv2.addWeighted(red, rgb[0], green, rgb[1], 0, dtype=cv2.CV_32F)
    if rgb[2]:
        out = cv2.addWeighted(out, 1, blue, rgb[2], 0, dtype=cv2.CV_32F)
    return out.astype(np.float32, copy=False)
