"""Directions and closeness in the plane, and the joint's depth behind the skin: IPNet's "plainoffset_depthoffset"."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop
from gmaps.kernels.planar import drawn
from gmaps.kernels.planar.ball import ball
from gmaps.maps.ball_offset import grid_points, joints_in, to_camera
from gmaps.maps.decode import ball_vote, shares
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.options import Option
from gmaps.maps.scene import Scene
from gmaps.skeleton import Skeleton


def decode_plane_offset(
    array: NDArray[np.floating], crop: Crop, *, k: float = 80.0, weights: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Joints as the mean over the hand's cells of p + u k (1 - c) in the plane and of depth behind + depth.

    Parameters
    ----------
    array : (H, H, 4 J)
    crop
        Gives the cube and the surface; its joints are not used.
    k
        As it was made with, mm.
    weights : (H, H, J), optional
        Learned: a softmax of them; without, softmax(30 c) of the cells where c > 0.

    Returns
    -------
    (J, 3) float32
        mm, camera axes.

    Raises
    ------
    UsageError
        No hand in the crop.
    """
    scene = Scene(crop, array.shape[0])
    hand = scene.silhouette
    if not hand.any():
        raise UsageError("the crop holds no hand, so no point of it can tell where the joints are")
    points = grid_points(scene, "uvd")[hand].astype(np.float64)
    values = np.asarray(array, np.float64)[hand]
    learned = None if weights is None else np.asarray(weights, np.float64)[hand]
    n = values.shape[1] // 4
    share = shares(values[:, 2 * n : 3 * n], weights=learned)
    deep = ((values[:, 3 * n :] * crop.cube.half_side + points[:, 2:]) * share).sum(axis=0)
    plane = ball_vote(points[:, :2], values[:, : 3 * n], k, weights=learned)
    return to_camera(np.column_stack([plane, deep]), crop, "uvd")


def _names(skeleton: Skeleton) -> list[str]:
    plane = [f"{joint} {axis}" for joint in skeleton.joints for axis in "uv"]
    return [*plane, *skeleton.joints, *(f"{joint} depth" for joint in skeleton.joints)]


def plane_offset(name: str = "plane_offset", *, k: float = 80.0) -> MapKind:
    """The kind of one radius (mm)."""

    def encode(scene: Scene) -> NDArray[np.float32]:
        n, size = scene.joints, scene.size
        flat, joints = (
            np.ascontiguousarray(a[..., :2]) for a in (grid_points(scene, "uvd"), joints_in(scene, "uvd"))
        )
        out, plane = (np.empty((size, size, c * n), np.float32) for c in (4, 3))
        ball(flat, scene.silhouette, joints, k, plane)
        deep = np.ascontiguousarray(scene.crop.joints[:, 2], np.float32)
        out[..., : 2 * n] = plane[..., : 2 * n]
        behind = np.empty((size, size, 2 * n), np.float32)
        drawn.depths(np.ascontiguousarray(plane[..., 2 * n :]), scene.surface, scene.silhouette, deep, 0.0, behind)
        out[..., 2 * n :] = behind
        return out

    def decode(array: NDArray[np.float32], crop: Crop, scale: Any) -> NDArray[np.float32]:
        return decode_plane_offset(array, crop, k=k)

    return MapKind(
        name=name,
        weight=2.0,
        summary=f"Directions and closeness in the plane within {k:g} mm of each joint, and its depth behind the skin",
        formula="o / |o|, u v joint by joint, (k - |o|) / k, (z_j - z(p)) / half_side, where |o| < k in the plane on "
        "the hand; else 0",
        channels=lambda skeleton: 4 * len(skeleton),
        value_range=(-np.inf, np.inf),
        encode=encode,
        decode=decode,
        names=_names,
        options=(Option("k", 80.0, "radius of the disc around a joint, mm", low=1.0, high=1000.0),),
        parameters={"k": k},
        variant=plane_offset,
    )


PLANE_OFFSET = register_map(plane_offset())
