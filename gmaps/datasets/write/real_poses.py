"""Angles of real hands, to be shown by other people's hands, from other sides."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets import load_dataset
from gmaps.datasets.pose_file import Side, read_joints, right_hands
from gmaps.errors import DatasetError, FrameError
from gmaps.formats.npy import parse_npz
from gmaps.formats.regular import read_regular
from gmaps.synth.fit_many import fit_hands
from gmaps.synth.hand import ANGLES, LIMITS

Array = NDArray[np.float64]
#: Farther from its labels than this, mm on average, a fitted hand shows another pose.
FARTHEST_MM = 6.0
#: A palm this many times as large as the mean hand's is a person's; another unit's is not.
PALMS = (0.4, 2.0)


def read_poses(
    source: str | os.PathLike[str], count: int, *, skeleton: str = "msra21", unit: str = "mm", side: Side = "right"
) -> Array:
    """(P, 23) degrees: the angles of real hands.

    Parameters
    ----------
    source
        An .npz of `gmaps fit`; a file of joints (see `gmaps.datasets.pose_file.read_joints`); or a root of DexYCB.
    count
        Of a root of DexYCB, so many frames are read, evenly taken; of a file all.
    skeleton, unit, side
        Of a file's joints.

    Raises
    ------
    DatasetError
        Nothing there that a hand can be fitted to within `FARTHEST_MM`.
    """
    path = Path(source)
    if path.is_dir():
        joints = _of_dexycb(path, count)
    else:
        kept = _angles_of(path)
        if kept is not None:
            return kept
        joints = right_hands(read_joints(path), skeleton=skeleton, unit=unit, side=side)
    known = joints[np.isfinite(joints).all(axis=(1, 2))]
    found = fit_hands(known)
    angles: Array = found.angles[_credible(found.error_mm, found.girth)]
    if not len(angles):
        raise DatasetError(
            f"{path}: none of {len(joints)} hands is of a person's size and within {FARTHEST_MM:g} mm of a pose: "
            "say --skeleton, --unit, --side"
        )
    return angles


def _angles_of(path: Path) -> Array | None:
    """Of a file that `gmaps fit` wrote; None of any other."""
    try:
        content = read_regular(path)
        angles, error, girth = (
            parse_npz(content, str(path), name).astype(np.float64) for name in ("angles", "error_mm", "girth")
        )
    except (OSError, FrameError):
        return None
    if error.ndim != 1 or error.shape != girth.shape or angles.shape != (len(error), len(ANGLES)):
        return None
    near: Array = angles[_credible(error, girth)]
    if not len(near):
        raise DatasetError(
            f"{path}: none of its {len(error)} hands is of a person's size and within {FARTHEST_MM:g} mm of its "
            "labels: give `gmaps fit` their --skeleton, --unit and --side"
        )
    return np.clip(near, LIMITS[:, 0], LIMITS[:, 1])


def _credible(error: Array, girth: Array) -> NDArray[np.bool_]:
    """Which fitted hands show their labels' pose; what is not a number does not."""
    return (error < FARTHEST_MM) & (girth > PALMS[0]) & (girth < PALMS[1])


def _of_dexycb(root: Path, count: int) -> Array:
    data = load_dataset("dexycb", root)
    joints = []
    for i in np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int)).tolist():
        try:
            joints.append(data.read(i).joints)
        except FrameError:
            continue  # a frame that cannot be used shows no pose
    if not joints:
        raise DatasetError(f"{root}: no frame of DexYCB that can be read")
    return right_hands(np.stack(joints), skeleton=data.skeleton.name)
