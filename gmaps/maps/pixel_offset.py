"""How far each joint is from every cell, in columns, rows and depth: what JGR-P2O learns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import Crop
from gmaps.maps.ball_offset import grid_points, joints_in, to_camera
from gmaps.maps.decode import shares
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.scene import Scene
from gmaps.skeleton import Skeleton


def _encode(scene: Scene) -> NDArray[np.float32]:
    h = np.float32(scene.crop.cube.half_side)
    away = joints_in(scene, "uvd") - grid_points(scene, "uvd")[:, :, None]
    return (away / h).reshape(scene.size, scene.size, -1)


def decode_pixel_offset(
    array: NDArray[np.floating], crop: Crop, *, weights: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Joints as the weighted mean of p + offset, exact from exact maps.

    Parameters
    ----------
    array : (H, H, 3 J)
        Cube units.
    crop
        Gives the cube and the surface; its joints are not used.
    weights : (H, H, J), optional
        Learned: a softmax of them over the hand's cells; without, each cell counts alike. Where there is no hand all
        cells count.

    Returns
    -------
    (J, 3) float32
        mm, camera axes.
    """
    scene = Scene(crop, array.shape[0])
    voting = scene.silhouette if scene.silhouette.any() else np.ones_like(scene.silhouette)
    joints = array.shape[-1] // 3
    offset = np.asarray(array, np.float64)[voting].reshape(-1, joints, 3) * crop.cube.half_side
    logits = np.zeros((len(offset), joints)) if weights is None else np.asarray(weights, np.float64)[voting]
    votes = grid_points(scene, "uvd")[voting][:, None] + offset
    found = (votes * shares(logits, weights=logits)[..., None]).sum(axis=0)
    return to_camera(found, crop, "uvd")


def _decode(array: NDArray[np.float32], crop: Crop, scale: Any) -> NDArray[np.float32]:
    return decode_pixel_offset(array, crop)


def each_uvd(skeleton: Skeleton) -> list[str]:
    """Names of u, v and d joint by joint."""
    return [f"{joint} {axis}" for joint in skeleton.joints for axis in "uvd"]


PIXEL_OFFSET = register_map(
    MapKind(
        name="pixel_offset",
        weight=3.0,
        summary="How far each joint is from every cell, in columns, rows and depth",
        formula="u_j - u, v_j - v, d_j - d(p), joint by joint, in half sides of the cube; d = 1 in the void",
        channels=lambda skeleton: 3 * len(skeleton),
        # A joint outside the cube is as far away as it is.
        value_range=(-np.inf, np.inf),
        encode=_encode,
        decode=_decode,
        names=each_uvd,
        background=True,
    )
)
