"""HO-3D's files, from gmaps' own convention back to theirs: for tests, and for other programs' data."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.camera import Camera
from gmaps.datasets.ho3d.meta_file import SCALE, TO_MANO, TURN
from gmaps.errors import UsageError


def write_depth(path: str | os.PathLike[str], depth: NDArray[np.float32], scale: float = SCALE) -> None:
    """Write a `depth/*.png`: R + 256 G, blue being 0.

    Parameters
    ----------
    path
        The file.
    depth : (480, 640) float32
        mm, 0 = no data; rounded to what the scale can say.
    scale
        Metres that 1 stands for.
    """
    count = np.rint(depth / (scale * 1000))
    if not 0 <= count.min() <= count.max() <= 65535:
        raise UsageError(f"{path}: depths from 0 to {65535 * scale:.1f} m can be written, got {depth.max():g} mm")
    own = count.astype("<u2").view(np.uint8).reshape(*depth.shape, 2)
    _write_bgr(path, np.dstack([np.zeros_like(own[..., 0]), own[..., 1], own[..., 0]]))


def write_mask(path: str | os.PathLike[str], hand: NDArray[np.bool_], thing: NDArray[np.bool_]) -> None:
    """Write a `seg/*.png`: the hand blue, the object green.

    Parameters
    ----------
    path
        The file.
    hand, thing : (H, W) bool
        Which pixels are which.
    """
    _write_bgr(path, np.dstack([hand * np.uint8(255), thing * np.uint8(255), np.zeros(hand.shape, np.uint8)]))


def write_meta(
    path: str | os.PathLike[str],
    joints: ArrayLike | None,
    camera: Camera,
    *,
    root_only: bool = False,
    pose: ArrayLike | None = None,
    protocol: int = 2,
) -> None:
    """Write a `meta/*.pkl`.

    Parameters
    ----------
    path
        The file.
    joints : (21, 3)
        mm, camera axes, in the order of openpose21; None for a frame that nobody annotated.
    camera
        Of the image.
    root_only
        As frames of the evaluation: the wrist and the box around the hand alone.
    pose : (61,), optional
        MANO's 48 angles, place and shape; 0 unless given.
    protocol
        Of the pickle; the data set's own were written by Python 2.
    """
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], np.float32)
    said: dict[str, object] = {"camMat": matrix, "objName": "025_mug", "objLabel": 14}
    if joints is None:
        said |= {"handJoints3D": None, "objRot": None, "objTrans": None}
    else:
        points = np.asarray(joints, np.float64)
        own = (points[list(TO_MANO)] * TURN / 1000).astype(np.float32)
        u, v, _ = camera.project(points).T
        said |= {"handJoints3D": own[0] if root_only else own, "objRot": np.zeros((3, 1), np.float32)}
        if root_only:
            said["handBoundingBox"] = [int(u.min()), int(v.min()), int(u.max()) + 1, int(v.max()) + 1]
        else:
            values = np.zeros(61) if pose is None else np.asarray(pose, np.float64)
            said |= {"handPose": values[:48], "handTrans": values[48:51], "handBeta": values[51:]}
    Path(path).write_bytes(pickle.dumps(said, protocol=protocol))


def _write_bgr(path: str | os.PathLike[str], image: NDArray[np.uint8]) -> None:
    ok, data = cv2.imencode(".png", image)
    if not ok:
        raise UsageError(f"{path}: OpenCV cannot encode an image of shape {image.shape}")
    Path(path).write_bytes(data.tobytes())
