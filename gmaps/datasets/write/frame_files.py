"""Writers of real data sets' files, from gmaps' own convention back to theirs: for tests and for other programs."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.datasets import nyu
from gmaps.datasets.msra.bin_files import CAMERA as MSRA_CAMERA
from gmaps.datasets.msra.bin_files import HEADER as MSRA_HEADER
from gmaps.errors import UsageError

# MATLAB files begin with a line that says when they were made; the same hands shall give the same bytes.
_MAT_TEXT = b"MATLAB 5.0 MAT-file, written by gmaps".ljust(116)


def write_msra_bin(path: str | os.PathLike[str], depth: NDArray[np.float32], *, header: bool = True) -> None:
    """Write an MSRA `_depth.bin`.

    Parameters
    ----------
    path
        The file.
    depth : (240, 320) float32
        mm, 0 = no data.
    header
        True: the set of 2015, a header and the box around the hand. False: the set of 2014, the whole image.

    Raises
    ------
    UsageError
        An image of another size, or an empty one: a box needs a pixel.
    """
    shape = (MSRA_CAMERA.height, MSRA_CAMERA.width)
    if depth.shape != shape:
        raise UsageError(f"an MSRA frame is {shape} pixels, got {depth.shape}")
    with open(path, "wb") as f:
        if header:
            rows, cols = np.flatnonzero(depth.any(axis=1)), np.flatnonzero(depth.any(axis=0))
            if not len(rows):
                raise UsageError(f"{path}: an MSRA frame has a box around its hand, and this image is empty")
            left, top, right, bottom = cols[0], rows[0], cols[-1] + 1, rows[-1] + 1
            f.write(MSRA_HEADER.pack(MSRA_CAMERA.width, MSRA_CAMERA.height, left, top, right, bottom))
            depth = depth[top:bottom, left:right]
        f.write(depth.astype("<f4").tobytes())


def write_joint_txt(path: str | os.PathLike[str], joints: ArrayLike) -> None:
    """Write an MSRA `joint.txt`: y up, z negative, nine digits, so that float32 survives.

    Parameters
    ----------
    path
        The file.
    joints : (N, 21, 3)
        mm, camera axes.
    """
    own = np.asarray(joints, np.float64).reshape(-1, 21, 3) * [1.0, -1.0, -1.0]
    lines = [f"{len(own)}", *(" ".join(f"{v:.9g}" for v in row) for row in own.reshape(len(own), 63))]
    Path(path).write_text("\n".join(lines) + "\n")


def write_nyu_png(path: str | os.PathLike[str], depth: NDArray[np.float32]) -> None:
    """Write an NYU `depth_1_*.png`: G * 256 + B mm, the data set's background where there is no data.

    Parameters
    ----------
    path
        The file.
    depth : (H, W) float32
        mm, 0 = no data; rounded to whole mm.
    """
    whole = np.where(depth > 0, np.rint(depth), np.float32(nyu.BACKGROUND_MM))
    if whole.max() > nyu.BACKGROUND_MM:
        raise UsageError(f"{path}: NYU depths end at {nyu.BACKGROUND_MM} mm, got {whole.max():g}")
    blue_green_red = np.zeros((*depth.shape, 3), np.uint8)
    blue_green_red[..., :2] = whole.astype("<u2").view(np.uint8).reshape(*depth.shape, 2)
    ok, data = cv2.imencode(".png", blue_green_red)
    if not ok:
        raise UsageError(f"{path}: OpenCV cannot encode an image of shape {depth.shape}")
    Path(path).write_bytes(data.tobytes())


def write_joint_data(path: str | os.PathLike[str], joints: ArrayLike) -> None:
    """Write an NYU `joint_data.mat` whose first camera has these joints; the other two have none (0).

    Parameters
    ----------
    path
        The file.
    joints : (F, 36, 3)
        mm, camera axes.
    """
    from scipy.io import savemat

    own = np.asarray(joints, np.float64)
    xyz, uvd = np.zeros((2, nyu.CAMERA_COUNT, *own.shape))
    xyz[0] = own * [1.0, -1.0, 1.0]
    uvd[0] = nyu.CAMERA.project(own)
    names = np.array(nyu.SKELETON.joints, object)
    savemat(path, {"joint_names": names, "joint_uvd": uvd, "joint_xyz": xyz})
    with open(path, "r+b") as f:
        f.write(_MAT_TEXT)


def write_grey_png(path: str | os.PathLike[str], image: NDArray[np.floating] | NDArray[np.uint8]) -> None:
    """Write an image of one channel: 8-bit as it is, depths as 16-bit whole numbers.

    Parameters
    ----------
    path
        The file.
    image : (H, W)
        uint8, or floats, which are rounded and must fit.

    Raises
    ------
    UsageError
        Floats that are negative or above 65,535.
    """
    if image.dtype != np.uint8:
        whole = np.rint(image)
        if not 0 <= whole.min() <= whole.max() <= 65535:
            raise UsageError(f"{path}: 16 bits hold 0 to 65535, got {whole.min():g} to {whole.max():g}")
        ok, data = cv2.imencode(".png", whole.astype(np.uint16))
    else:
        ok, data = cv2.imencode(".png", image.astype(np.uint8))
    if not ok:
        raise UsageError(f"{path}: OpenCV cannot encode an image of shape {image.shape}")
    Path(path).write_bytes(data.tobytes())
