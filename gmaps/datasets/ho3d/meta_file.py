"""HO-3D's files of one frame: `meta/*.pkl`, the depth image, the segmentation; and lists of frames."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.reader import Pixels
from gmaps.errors import DatasetError, FrameError
from gmaps.formats import png
from gmaps.formats.label_lines import filled_lines
from gmaps.formats.strict_pickle import parse_pickle
from gmaps.kernels.pixels import red_green_mm

WIDTH, HEIGHT = 640, 480
#: Metres that 1 stands for, in the toolkit and in most recordings.
SCALE = 0.00012498664727900177
#: MANO's order to wrist, thumb, index, middle, ring, little: `joints[FROM_MANO]`.
FROM_MANO = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
#: The inverse.
TO_MANO = tuple(FROM_MANO.index(j) for j in range(21))
#: OpenGL's axes, y up and z towards the viewer, to the camera's; and back.
TURN = np.array([1.0, -1.0, -1.0])
_LINE = re.compile(rb"([A-Za-z0-9_-]{1,40})/([0-9]{4,8})")
_KEYS = ("camMat", "handJoints3D", "handBoundingBox", "handPose", "handTrans", "handBeta", "objRot")


class HandMeta(NamedTuple):
    """What a `meta/*.pkl` says of a hand.

    Parameters
    ----------
    camera
        Of the image.
    joints : (21, 3) float32
        mm, camera axes; NaN where only the root is told.
    root : (3,) float32
        The wrist, mm, camera axes.
    box
        left, top, width, height (px) of the hand's part of the image; None where it is not told.
    pose, betas : (51,), (10,) float32
        MANO's 48 angles (flat hand) and place in metres, in OpenGL's axes, and the hand's shape; NaN where not told.
    """

    camera: Camera
    joints: NDArray[np.float32]
    root: NDArray[np.float32]
    box: tuple[float, float, float, float] | None
    pose: NDArray[np.float32]
    betas: NDArray[np.float32]


def parse_meta(data: bytes, name: str) -> HandMeta:
    """What a `meta/*.pkl` says.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.

    Raises
    ------
    FrameError
        No pickle of arrays, arrays of other shapes, numbers that are not finite, or a frame without annotation.
    """
    said = parse_pickle(data, name, _KEYS)
    if said.get("handJoints3D") is None or ("objRot" in said and said["objRot"] is None):
        raise FrameError(f"{name}: this frame is not annotated")
    joints = _floats(said, "handJoints3D", name, (21, 3), (3,))
    matrix = _floats(said, "camMat", name, (3, 3))
    fx, fy, cx, cy = (float(matrix[k]) for k in ((0, 0), (1, 1), (0, 2), (1, 2)))
    if not (1 < fx < 1e5 and 1 < fy < 1e5) or matrix[2].tolist() != [0, 0, 1]:
        raise FrameError(f"{name}: camMat {matrix.tolist()} is no camera's; restore it")
    own = (joints * TURN * 1000).astype(np.float32)
    every = own[list(FROM_MANO)] if own.ndim == 2 else np.full((21, 3), np.nan, np.float32)
    box = None
    if said.get("handBoundingBox") is not None:
        left, top, right, bottom = _floats(said, "handBoundingBox", name, (4,)).tolist()
        if right > left and bottom > top:
            box = (left, top, right - left, bottom - top)
    pose = np.full(51, np.nan, np.float32)
    betas = np.full(10, np.nan, np.float32)
    if own.ndim == 2 and said.get("handPose") is not None:
        pose[:48] = _floats(said, "handPose", name, (48,))
        pose[48:] = _floats(said, "handTrans", name, (3,))
        betas[:] = _floats(said, "handBeta", name, (10,))
    return HandMeta(Camera(fx, fy, cx, cy, WIDTH, HEIGHT), every, own if own.ndim == 1 else own[0], box, pose, betas)


def _floats(said: dict[str, object], key: str, name: str, *shapes: tuple[int, ...]) -> NDArray[np.float64]:
    value = np.asarray(said.get(key))
    if value.dtype.kind not in "fiu" or value.shape not in shapes:
        raise FrameError(f"{name}: {key} is {value.dtype} {value.shape}, not numbers {shapes[0]}; restore it")
    with np.errstate(all="ignore"):
        found = value.astype(np.float64)
    if not (np.abs(found) < 1e6).all():
        raise FrameError(f"{name}: {key} holds something that no hand can be; restore it")
    return found


def parse_depth(data: bytes, name: str, scale: float = SCALE, pixels: Pixels | None = None) -> NDArray[np.float32]:
    """The depth image of a `depth/*.png`, or a part of it: (480, 640) float32, mm, 0 where there is no data.

    Parameters
    ----------
    data, name
        As in `parse_meta`.
    scale
        Metres that 1 of R + 256 G stands for.
    pixels
        top, bottom, left, right of a part, ends excluded.

    Raises
    ------
    FrameError
        Not an 8-bit RGB PNG of 640 x 480, torn, or with blue in the part: a picture.
    """
    image = png.decode(data, name, "rgb8", (WIDTH, HEIGHT), pixels)
    depth = np.empty(image.shape[:2], np.float32)
    if red_green_mm(image, np.float32(scale * 1000), depth):
        raise FrameError(f"{name}: has blue in it, so it is a picture and no depth (R + 256 G); take depth/*.png")
    return depth


def parse_mask(data: bytes, name: str, pixels: Pixels | None = None) -> NDArray[np.bool_]:
    """Which pixels are hand, from a `seg/*.png`: (480, 640) bool, or those of a part; of half the size, doubled.

    The hand is blue there, the object is not.

    Raises
    ------
    FrameError
        Not an 8-bit RGB PNG of 640 x 480 or 320 x 240, or torn.
    """
    half = data[16:24] == (WIDTH // 2).to_bytes(4, "big") + (HEIGHT // 2).to_bytes(4, "big")
    if not half:
        image = png.decode(data, name, "rgb8", (WIDTH, HEIGHT), pixels)
        return np.asarray((image[..., 2] > 127) & (image[..., 2] >= image[..., 1]))
    image = png.decode(data, name, "rgb8", (WIDTH // 2, HEIGHT // 2))
    whole = ((image[..., 2] > 127) & (image[..., 2] >= image[..., 1])).repeat(2, axis=0).repeat(2, axis=1)
    top, bottom, left, right = pixels or (0, HEIGHT, 0, WIDTH)
    return np.ascontiguousarray(whole[top:bottom, left:right])


def parse_list(data: bytes, name: str) -> list[tuple[str, str]]:
    """Recording and number of each line of a `train.txt` or `evaluation.txt`: [("ABF10", "0000"), ...].

    Raises
    ------
    DatasetError
        A line that is no such pair, or none at all.
    """
    lines, numbers = filled_lines(data)
    found = []
    for line, number in zip(lines, numbers, strict=True):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            shown = ascii(line[:60].decode("ascii", "replace"))
            raise DatasetError(f"{name}, line {number}: {shown} is no SEQUENCE/NUMBER; restore it")
        found.append((match[1].decode(), match[2].decode()))
    if not found:
        raise DatasetError(f"{name}: names no frame; restore it")
    return found
