"""DexYCB's `labels_*.npz`: which pixels are hand, 21 joints, and MANO's parameters of a frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.reader import Pixels
from gmaps.errors import FrameError
from gmaps.formats.npy import parse_npz

#: The hand's value in the segmentation; objects are 1 to 21.
HAND = 255
JOINTS, POSE = 21, 51
_LARGEST_ARRAY = 2**16


class HandLabels(NamedTuple):
    """Of one frame.

    Parameters
    ----------
    joints : (21, 3) float32
        mm, camera axes; all NaN where the hand is not in the picture.
    pose : (51,) float32
        MANO's: three numbers of the turn of the whole hand, 45 of the fingers in the space of its principal
        components, and the place in metres; 0 without a hand.
    """

    joints: NDArray[np.float32]
    pose: NDArray[np.float32]


def parse_labels(data: bytes, name: str) -> HandLabels:
    """Joints and pose.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.

    Raises
    ------
    FrameError
        No archive, or arrays of other shapes; numbers that are not finite.
    """
    joints = _floats(data, name, "joint_3d", (JOINTS, 3))
    pose = _floats(data, name, "pose_m", (POSE,))
    if (joints == -1).all():
        return HandLabels(np.full((JOINTS, 3), np.nan, np.float32), pose)
    with np.errstate(over="ignore"):
        return HandLabels((joints * np.float32(1000)).astype(np.float32), pose)


def parse_mask(data: bytes, name: str, size: tuple[int, int], pixels: Pixels | None = None) -> NDArray[np.bool_]:
    """Which pixels are hand: (H, W) bool, or those of a part of the image.

    Parameters
    ----------
    data, name
        As in `parse_labels`.
    size
        (width, height).
    pixels
        top, bottom, left, right of a part, ends excluded.

    Raises
    ------
    FrameError
        No such archive, or a segmentation of another shape.
    """
    seg = parse_npz(data, name, "seg", size[0] * size[1] * 8)
    if seg.shape != (size[1], size[0]) or seg.dtype.kind not in "ui":
        raise FrameError(
            f"{name}: seg is {seg.dtype} {seg.shape}, not whole numbers {(size[1], size[0])}; restore it"
        )
    if pixels is not None:
        top, bottom, left, right = pixels
        seg = seg[top:bottom, left:right]
    hand: NDArray[np.bool_] = seg == HAND
    return hand


def _floats(data: bytes, name: str, member: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    values = parse_npz(data, name, member, _LARGEST_ARRAY)
    if values.shape != (1, *shape) or values.dtype.kind != "f":
        raise FrameError(f"{name}: {member} is {values.dtype} {values.shape}, not floats {(1, *shape)}; restore it")
    with np.errstate(all="ignore"):
        found: NDArray[np.float32] = values[0].astype(np.float32)
    if not np.isfinite(found).all():
        raise FrameError(f"{name}: {member} holds something that is not a number; restore it")
    return found
