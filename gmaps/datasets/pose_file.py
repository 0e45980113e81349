"""Joints of real hands out of one file, as right hands in the order of msra21."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import DatasetError, FrameError, UsageError
from gmaps.formats.npy import parse_npy, parse_npz
from gmaps.formats.regular import read_regular
from gmaps.skeleton import get_skeleton

Side = Literal["right", "left"]
#: mm that a value stands for.
UNITS = {"mm": 1.0, "m": 1000.0}
_MOST_BYTES = 2**32


def to_right(side: Side) -> NDArray[np.float32]:
    """(3,): what points of a hand are multiplied by to be of a right one, and back: x for -x of a left hand."""
    return np.array([-1 if side == "left" else 1, 1, 1], np.float32)


def right_hands(
    joints: ArrayLike, *, skeleton: str = "msra21", unit: str = "mm", side: Side = "right"
) -> NDArray[np.float64]:
    """Any 21 joints as those of right hands: (N, 21, 3) float64, mm, in the order of msra21.

    Parameters
    ----------
    joints : (N, J, 3)
        In a skeleton's order.
    skeleton
        One that has the joints of msra21, "openpose21" or "mano21" for example.
    unit
        "mm" or "m".
    side
        "left" hands are mirrored, x for -x.

    Raises
    ------
    UsageError
        Another shape, an unknown unit or side, or a skeleton without these joints.
    """
    if unit not in UNITS or side not in ("right", "left"):
        raise UsageError(f"joints are in {' or '.join(UNITS)}, of right or left hands, not in {unit}, of {side} ones")
    own = get_skeleton(skeleton)
    order = own.mapping_to(get_skeleton("msra21"))
    p = np.asarray(joints, np.float64)
    if p.ndim != 3 or p.shape[1:] != (len(own), 3):
        raise UsageError(f"joints of {own.name} are (N, {len(own)}, 3), got {p.shape}: say --skeleton")
    p = p[:, list(order)] * UNITS[unit]
    found: NDArray[np.float64] = p * to_right(side)
    return found


def read_joints(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """(N, J, 3) joints of an .npz (its array `joints`, or the only one) or .npy, as they stand there.

    Raises
    ------
    DatasetError
        No such file, or none of joints.
    """
    file = Path(path)
    try:
        data = read_regular(file, most=_MOST_BYTES)
    except OSError as error:
        raise DatasetError(
            f"{file}: {error.strerror}; give an .npz with an array `joints` (N, 21, 3), or .npy"
        ) from None
    try:
        if data[:2] == b"PK":
            try:
                found = parse_npz(data, str(file), "joints")
            except FrameError:
                found = parse_npz(data, str(file), "")
        else:
            found = parse_npy(data, str(file))
    except FrameError as error:
        raise DatasetError(str(error)) from None
    if found.ndim == 2 and found.shape[1] % 3 == 0:
        found = found.reshape(len(found), -1, 3)
    if found.ndim != 3 or found.shape[2] != 3 or not len(found):
        raise DatasetError(f"{file}: joints are (N, J, 3), this file holds {found.shape}")
    return found.astype(np.float64)
