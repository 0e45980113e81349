"""Straight distances in space from the surface to the joints, without and with their directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import Crop
from gmaps.kernels.planar import straight
from gmaps.maps import original
from gmaps.maps.decode import vote
from gmaps.maps.kind import MapKind, register_map, with_directions
from gmaps.maps.scene import Scene


def _encode_offset(scene: Scene) -> NDArray[np.float32]:
    if scene.profile == "handmap":
        near, unit = original.distances(scene.silhouette, scene.surface, scene.crop)
        return original.spread(scene.silhouette, np.hstack([near, unit.reshape(len(near), -1)]))
    out = np.empty((scene.size, scene.size, 4 * scene.joints), np.float32)
    straight.directions(scene.points, scene.silhouette, scene.crop.joints_mm, 1e-6, scene.euclidean, out)
    return out


def _decode_offset(array: NDArray[np.float32], crop: Crop, scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Each joint as the cells nearest to it see it."""
    scene = Scene(crop, array.shape[0])
    hand = scene.silhouette
    return vote(scene.points[hand].astype(np.float64), array[hand], scene.theta)


EUCLIDEAN = register_map(
    MapKind(
        name="euclidean",
        weight=12.0,
        summary="Straight 3D distance from each surface point to each joint, near is 1",
        formula="1 - min(|x(p) - x_j|, theta) / theta, theta = 2 half_side; 0 in the void",
        channels=len,
        value_range=(0.0, 1.0),
        encode=lambda scene: scene.euclidean,
        original="dist2",
        depends="joint",
        smooth=True,
        factors=("straight",),
        turns=True,
        mirrors=True,
    )
)
OFFSET = register_map(
    MapKind(
        name="offset",
        weight=2.0,
        summary="euclidean of all joints, then the unit vectors from the surface to them",
        formula="J channels of euclidean, then x y z of (x_j - x(p)) / |x_j - x(p)|, joint by joint; 0 in the void",
        channels=lambda skeleton: 4 * len(skeleton),
        value_range=(-1.0, 1.0),
        encode=_encode_offset,
        decode=_decode_offset,
        original="udir2",
        names=with_directions,
        smooth=True,
    )
)
