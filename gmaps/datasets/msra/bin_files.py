"""Bytes of MSRA's two kinds of file: a depth frame in its box, and a gesture's joints.

They take bytes and give arrays, so that any bytes at all can be tried on them.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import DatasetError, FrameError
from gmaps.formats.label_lines import filled_lines, parse_number
from gmaps.frame import FARTHEST_MM
from gmaps.kernels.pixels import copy_depth
from gmaps.kernels.text import parse_lines

CAMERA = Camera(241.42, 241.42, 160.0, 120.0, 320, 240)
#: img_width, img_height, left, top, right, bottom; then (right - left) x (bottom - top) float32, row by row.
HEADER = struct.Struct("<6I")
#: Size of a frame of the set of 2014: no header, the whole image.
WHOLE = 4 * CAMERA.width * CAMERA.height
#: A joint.txt has more bytes a line than this, even if most of its lines are bad.
_SHORTEST = 32


def parse_depth(data: bytes, name: str) -> NDArray[np.float32]:
    """The depth image in a `_depth.bin`.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.

    Returns
    -------
    (240, 320) float32
        mm, 0 outside the file's box and wherever there is no data.

    Raises
    ------
    FrameError
        Truncated, a header that cannot be or disagrees with the size, values that are no depths.
    """
    box, left, top = parse_box(data, name)
    depth = np.zeros((CAMERA.height, CAMERA.width), np.float32)
    depth[top : top + box.shape[0], left : left + box.shape[1]] = box
    return depth


def parse_box(data: bytes, name: str) -> tuple[NDArray[np.float32], int, int]:
    """As `parse_depth`, the file's box alone: its depth, and the column and row at which it lies."""
    if len(data) == WHOLE:  # the set of 2014; no box of the image's factors gives this size with a header
        left, top, right, bottom = 0, 0, CAMERA.width, CAMERA.height
        values = np.frombuffer(data, "<f4")
    else:
        left, top, right, bottom = parse_header(data[: HEADER.size], len(data), name)
        values = np.frombuffer(data, "<f4", offset=HEADER.size)
    # A copy, because bytes cannot be written to: Numba compiles kernels once more for such arrays.
    depth = np.empty(values.size, np.float32)
    if not copy_depth(values, np.float32(FARTHEST_MM), depth):
        with np.errstate(invalid="ignore"):  # signalling NaNs
            low, high = depth.min(), depth.max()
        raise FrameError(f"{name}: depths from {low} to {high} mm, not all of 0 or more; restore it from the archive")
    return depth.reshape(bottom - top, right - left), left, top


def parse_header(head: bytes, file_size: int, name: str) -> tuple[int, int, int, int]:
    """left, top, right, bottom of the box: half open, within the image, and as large as the file says."""
    if len(head) < HEADER.size:
        raise FrameError(f"{name}: {file_size} bytes, shorter than its header of {HEADER.size}; restore it")
    width, height, left, top, right, bottom = HEADER.unpack(head)
    if (width, height) != (CAMERA.width, CAMERA.height):
        raise FrameError(
            f"{name}: its header says {width} x {height} pixels, not {CAMERA.width} x {CAMERA.height}; "
            "it is no MSRA frame, or damaged: restore it from the archive"
        )
    if not (left < right <= width and top < bottom <= height):
        raise FrameError(
            f"{name}: its header's box, columns {left} to {right} and rows {top} to {bottom}, is empty or outside "
            f"{width} x {height}; restore it from the archive"
        )
    need = HEADER.size + 4 * (right - left) * (bottom - top)
    if file_size != need:
        kind = "truncated" if file_size < need else "too long"
        raise FrameError(f"{name}: {kind}, {file_size:,} bytes where its header asks for {need:,}; restore it")
    return left, top, right, bottom


def parse_joints(data: bytes, name: str) -> tuple[NDArray[np.float32], dict[int, str]]:
    """The labels of one gesture.

    Parameters
    ----------
    data
        The bytes of a `joint.txt`: a line with N, then N lines of 63 numbers.
    name
        What messages call it.

    Returns
    -------
    joints : (N, 21, 3) float32
        mm, camera axes; NaN in rows that cannot be read.
    faults : dict
        Row -> what is wrong with it. One bad line costs one frame, not a build.

    Raises
    ------
    DatasetError
        No count, another number of lines than it says, or not one good line.
    """
    lines, numbers = filled_lines(data)
    try:
        count = int(lines[0]) if lines else -1
    except ValueError:
        count = -1
    if count < 0:
        start = lines[0][:40] if lines else b""
        raise DatasetError(f"{name}: its first line must be the number of frames, not {start!r}; restore it")
    if len(lines) - 1 != count:
        raise DatasetError(
            f"{name}: its first line promises {count} frames, {len(lines) - 1} lines follow; restore it"
        )
    if len(data) < _SHORTEST * count:  # before there is an array for lines that cannot hold what it has room for
        raise DatasetError(f"{name}: {count} lines in {len(data)} bytes cannot hold 63 numbers each; restore it")
    rows = np.full((count, 63), np.nan)
    good = np.zeros(count, np.bool_)
    parse_lines(np.frombuffer(b"\n".join(lines[1:]), np.uint8), rows, good)
    rows[~good] = np.nan
    faults: dict[int, str] = {}
    for i in np.flatnonzero(~good).tolist():
        words = lines[i + 1].split()
        if len(words) != 63:
            faults[i] = f"{name}, line {numbers[i + 1]}: {len(words)} numbers, not 63"
            continue
        try:
            rows[i] = [parse_number(w) for w in words]
        except ValueError as error:
            faults[i] = f"{name}, line {numbers[i + 1]}: {error}"
    if count and len(faults) == count:
        raise DatasetError(f"{faults[0]}; so is every line: this is no joint.txt of MSRA; restore it")
    rows[~(np.abs(rows) < FARTHEST_MM)] = np.nan  # check_joints tells when the frame is read
    return (rows.reshape(-1, 21, 3) * [1.0, -1.0, -1.0]).astype(np.float32), faults
