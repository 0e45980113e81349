"""A frame as a mirror shows it: a left hand becomes a right one. Columns change places, and x its sign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.reader import Pixels


def mirror_camera(camera: Camera) -> Camera:
    """The camera of an image whose columns are reversed."""
    return replace(camera, cx=camera.width - 1 - camera.cx)


def mirror_joints(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) mm with x negated: where they lie before `mirror_camera`."""
    return joints * np.array([-1, 1, 1], joints.dtype)


def mirror_pixels(pixels: Pixels, width: int) -> Pixels:
    """Where a part of the mirrored image lies in the image itself."""
    top, bottom, left, right = pixels
    return top, bottom, width - right, width - left
