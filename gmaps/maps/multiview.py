"""Maps of three orthographic views of a crop's points: along z, y and x (HandMap's multi-view variant).

A view's (row, col) is (y, x), (x, z) and (z, y). Channels are view 0's joints, then view 1's, then view 2's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import Crop
from gmaps.kernels import three_views
from gmaps.kernels.planar import along
from gmaps.maps import original
from gmaps.maps.geodesic import STEP_MM, STEP_PIXELS, WEIGHT
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.scene import Encoded, Profile, Scene

#: (row, col) of each view, as axes x = 0, y = 1, z = 2.
AXES = ((1, 0), (0, 2), (2, 1))


def _points_of(crop: Crop) -> NDArray[np.float32]:
    depth = np.ascontiguousarray(crop.depth, np.float32)
    found: NDArray[np.float32] = three_views.points_of(
        depth, *crop.cube.center, crop.cube.half_side, crop.projection == "perspective"
    )
    return found


def views(crop: Crop, size: int | None = None, profile: Profile = "default") -> NDArray[np.float32]:
    """Three images of a crop's points, each storing the coordinate that it looks along.

    Parameters
    ----------
    crop
        What is looked at.
    size
        S, rows and columns; the crop's own by default.
    profile
        "handmap" stores z in all three, that of the farthest point, as the original does: its second and third view
        are mere silhouettes.

    Returns
    -------
    (S, S, 3) float32
        Cube units, -1 to 1; 1 where nothing is seen. The nearest point, of the smallest coordinate, wins.
    """
    size = crop.size if size is None else size
    out = np.empty((size, size, 3), np.float32)
    three_views.look(_points_of(crop), out, 2 if profile == "handmap" else -1)
    return out


def points(scene: Scene) -> NDArray[np.float32]:
    """(n, 3) float32: the points of the crop's hand pixels that lie in the cube, cube units."""
    found: NDArray[np.float32] = scene.once("points", lambda: _points_of(scene.crop))
    return found


def voxels(scene: Scene) -> NDArray[np.bool_]:
    """(H, H, H) bool, axes x, y, z: where a point lies."""
    found: NDArray[np.bool_] = scene.once("voxels", lambda: three_views.occupied(points(scene), scene.size))
    return found


def silhouettes(scene: Scene) -> list[NDArray[np.bool_]]:
    """The three silhouettes, (H, H) bool each: a cell is hand if any of its points is."""
    v = voxels(scene)
    seen = (np.any(v, axis=2).T, np.any(v, axis=1), np.any(v, axis=0).T)
    return [np.ascontiguousarray(s) for s in seen]


def draw(crop: Crop) -> NDArray[np.bool_]:
    """(3, S, S) bool: the silhouettes as fine as the crop, the surface drawn on between neighbouring pixels."""
    size = crop.size
    out = np.zeros((3, size, size), bool)
    h, perspective = crop.cube.half_side, crop.projection == "perspective"
    step = max(STEP_MM / h, STEP_PIXELS * 2 / size)
    three_views.draw(np.ascontiguousarray(crop.depth, np.float32), *crop.cube.center, h, perspective, step, out)
    return out


def _euclidean(scene: Scene) -> NDArray[np.float32]:
    out = np.empty((scene.size, scene.size, 3 * scene.joints), np.float32)
    relative = scene.crop.joints_mm.astype(np.float64) - np.asarray(scene.crop.cube.center)
    least = original.LEAST if scene.profile == "handmap" else 0.0
    three_views.euclidean(voxels(scene), relative, scene.theta, least, out)
    return out


def _geodesic(scene: Scene) -> Encoded:
    if scene.profile == "handmap":
        return _original(scene)
    n = scene.joints
    out = np.empty((scene.size, scene.size, 3 * n), np.float32)
    scales = np.empty(3 * n, np.float32)
    unit = scene.crop.joints.astype(np.float64)
    theta = scene.theta if scene.normalize == "theta" else 0.0
    fine = draw(scene.crop)
    for view, (silhouette, axes) in enumerate(zip(silhouettes(scene), AXES, strict=True)):
        px = (unit[:, axes] + 1) / 2 * scene.size - 0.5
        plane = np.empty((scene.size, scene.size, n), np.float32)
        scale = np.empty(n, np.float32)
        px = np.ascontiguousarray(px)
        along.geodesic_mask(silhouette, fine[view], px, scene.slowness, scene.cell, theta, plane, scale)
        out[..., view * n : (view + 1) * n] = plane
        scales[view * n : (view + 1) * n] = scale
    return Encoded(out, scales)


def _original(scene: Scene) -> Encoded:
    """The way in each view's own silhouette, for which the farthest z decides in all three."""
    step = original.stride(scene.crop.size, scene.size)
    images = views(scene.crop, profile="handmap")[::step, ::step]
    unit = (scene.crop.joints_mm.astype(np.float64) - np.asarray(scene.crop.cube.center)) / scene.crop.cube.half_side
    made = [
        original.geodesic(original.hand_of(images[..., view]), (unit[:, axes] + 1) / 2 * scene.size - 0.5)
        for view, axes in enumerate(AXES)
    ]
    cells = np.concatenate([cells for _, cells in made])
    return Encoded(np.concatenate([values for values, _ in made], axis=2), cells * np.float32(scene.cell))


def _weighted(scene: Scene) -> NDArray[np.float32]:
    return scene.get(VIEWS_GEODESIC) * scene.get(VIEWS_EUCLIDEAN)


def _kind(name: str, summary: str, formula: str, original: str, **rest: Any) -> MapKind:
    return register_map(
        MapKind(
            name=name,
            summary=summary,
            formula=formula,
            channels=lambda skeleton: 3 * len(skeleton),
            value_range=(0.0, 1.0),
            original=original,
            views=3,
            names=lambda skeleton: [f"{joint}, seen along {axis}" for axis in "zyx" for joint in skeleton.joints],
            **rest,
        )
    )


VIEWS_EUCLIDEAN = _kind(
    "views_euclidean",
    "Straight 3D distance to each joint, seen along z, y and x",
    "largest 1 - min(d, theta) / theta of a cell's occupied voxels, d from the voxel's centre; 0 in the void",
    "ov3dist2",
    encode=_euclidean,
)
VIEWS_GEODESIC = _kind(
    "views_geodesic",
    "geodesic in the silhouettes seen along z, y and x",
    "geodesic, in the silhouette of each view",
    "ov3edt2",
    encode=_geodesic,
    scaled=True,
    weight=WEIGHT,
)
VIEWS_GEODESIC_WEIGHTED = _kind(
    "views_geodesic_weighted",
    "views_geodesic x views_euclidean: HandMap's best",
    "views_geodesic(p) * views_euclidean(p)",
    "ov3edt2m",
    encode=_weighted,
    weight=WEIGHT,
)
