"""One depth image: a hand found by the network that ships, then fitted to the depth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.crop import crop_frame
from gmaps.datasets.pose_file import Side, to_right
from gmaps.frame import Cube, Frame
from gmaps.inference.detector import middle
from gmaps.inference.fit_crops import MSRA, fit_crops, mirrored
from gmaps.inference.fit_depth import NETWORK
from gmaps.inference.shipped import find_hand, load_pretrained
from gmaps.nets.hand_layer import HandLayer


class HandOfFrame(NamedTuple):
    """What `fit_frame` gives.

    Parameters
    ----------
    frame
        With the fitted joints, mm, in the order of msra21.
    side, confidence, sure
        As `gmaps.inference.find_hand` saw it.
    vertices : (V, 3) float32
        The mesh, mm, camera axes.
    triangles : (T, 3)
        Counter-clockwise from outside.
    depth_mm
        Median distance of the crop's pixels from the mesh.
    moved_mm
        How far, in the mean, joints are from those that the network had found.
    """

    frame: Frame
    side: Side
    confidence: float
    sure: bool
    vertices: NDArray[np.float32]
    triangles: NDArray[np.int64]
    depth_mm: float
    moved_mm: float


def fit_frame(
    depth: NDArray[np.float32], camera: Camera, *, name: str = "frame",
    depth_range: tuple[float, float] = (100.0, 1500.0), center: tuple[float, float, float] | None = None,
    side: str = "auto", steps: int = 60, device: str = "auto",
) -> HandOfFrame:  # fmt: skip
    """Find a hand in one depth image with the network that ships, and fit the hand layer to its depth.

    Parameters
    ----------
    depth, camera, name, depth_range, center, side
        See `gmaps.inference.find_hand`.
    steps
        See `fit_depth`.
    device
        Of the network.

    Raises
    ------
    FrameError
        Nothing of a hand's size lies in the range, or around the centre.
    """
    predictor = load_pretrained(device=device)
    seen = find_hand(predictor, depth, camera, name=name, side=side, depth_range=depth_range, center=center)
    settings, joints = predictor.crop_params, seen.frame.joints
    x, y, z = (float(v) for v in middle(joints))
    around = Cube((x, y, z), settings.half_side)
    crop = crop_frame(seen.frame, around, size=settings.size, projection=settings.projection)
    left = seen.hand.side == "left"
    own = mirrored(crop) if left else crop
    order = list(predictor.skeleton.mapping_to(MSRA))
    fit = fit_crops([own], own.joints_mm[None, order], NETWORK, steps=steps)
    mirror = to_right(seen.hand.side)
    faces = HandLayer().triangles.numpy()
    found = fit.joints[0] * mirror
    return HandOfFrame(
        Frame(seen.frame.depth, camera, found, name=name), seen.hand.side, seen.hand.confidence, seen.sure,
        fit.vertices()[0] * mirror, faces[:, ::-1] if left else faces, float(fit.depth_mm[0]),
        float(np.sqrt(((found - joints[order]) ** 2).sum(-1)).mean()),
    )  # fmt: skip
