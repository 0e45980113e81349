"""Points of the crop's surface, and a ball offset at each: what networks on point clouds read and learn."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop
from gmaps.kernels.planar.ball import ball
from gmaps.maps.ball_offset import unit_then_closeness
from gmaps.maps.decode import ball_vote
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.options import Option
from gmaps.maps.scene import Scene
from gmaps.skeleton import Skeleton

#: Points that vote for a joint: Ge et al., "Point-to-Point Regression PointNet", 2018.
VOTERS = 25


@functools.lru_cache(maxsize=8)
def turns(size: int) -> NDArray[np.int64]:
    """(S S,): in which turn each pixel of a crop is taken, as if drawn by lot, but the same for every crop."""
    with np.errstate(over="ignore"):
        z = np.arange(1, size * size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.argsort(np.argsort(z, kind="stable"), kind="stable")


def chosen(crop: Crop, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the pixels that a crop's points are of.

    Each pixel has its turn, spread over the crop as if by lot; the hand's first `count` are taken. So points cover
    the hand evenly, and a pixel that stays hand in the next frame stays a point. A hand of fewer pixels gives some
    of them again, from the first on; a crop without a hand gives none.
    """
    hand = np.flatnonzero(crop.mask)
    if not len(hand):
        return hand, hand
    turn = turns(crop.size)[hand]
    first = hand[np.argsort(turn, kind="stable")[:count]]
    rows, columns = np.divmod(np.resize(first, count), crop.size)
    return rows, columns


def points_of(crop: Crop, count: int) -> NDArray[np.float32]:
    """(N, 3) float32, mm, camera axes: the crop's points; all 0 without a hand."""
    rows, columns = chosen(crop, count)
    if not len(rows):
        return np.zeros((count, 3), np.float32)
    h = crop.cube.half_side
    x, y, z = crop.cube.center
    plane = (np.column_stack([columns, rows]) + 0.5) / crop.size * 2 - 1
    deep = crop.depth[rows, columns].astype(np.float64) * h + z
    ratio = deep / z if crop.projection == "perspective" else np.ones_like(deep)
    xy = (plane * h + (x, y)) * ratio[:, None]
    return np.column_stack([xy, deep]).astype(np.float32)


def decode_point_offset(
    array: NDArray[np.floating],
    crop: Crop,
    *,
    k: float = 80.0,
    weights: NDArray[np.floating] | None = None,
    points: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Joints as the mean of p + u k (1 - c) over the 25 points of largest c, weighted by it.

    Parameters
    ----------
    array : (N, 4 J)
    crop
        Of which the points are.
    k
        As it was made with, mm.
    weights : (N, J), optional
        Learned: a softmax of them instead.
    points : (N, 3), optional
        mm, where they are others than `points_of` gives.

    Returns
    -------
    (J, 3) float32
        mm, camera axes.

    Raises
    ------
    UsageError
        No hand in the crop, and no points given.
    """
    if points is None:
        if not crop.mask.any():
            raise UsageError("the crop holds no hand, so no point of it can tell where the joints are")
        points = points_of(crop, len(array))
    learned = None if weights is None else np.asarray(weights, np.float64)
    found = ball_vote(np.asarray(points, np.float64), np.asarray(array, np.float64), k, VOTERS, learned)
    return found.astype(np.float32)


def _axes(skeleton: Skeleton) -> list[str]:
    return ["x", "y", "z"]


def cloud(name: str = "points", *, n: int = 1024) -> MapKind:
    """The kind of so many points."""

    def encode(scene: Scene) -> NDArray[np.float32]:
        made = points_of(scene.crop, n) - np.asarray(scene.crop.cube.center, np.float32)
        return (made / np.float32(scene.crop.cube.half_side)) if scene.crop.mask.any() else made * np.float32(0)

    return MapKind(
        name=name,
        summary=f"{n} points of the hand's surface",
        formula="(x(p) - center) / half_side of the hand's pixels p whose turn comes first",
        channels=lambda skeleton: 3,
        # In a perspective crop the rear of the cube is wider than its middle.
        value_range=(-np.inf, np.inf),
        encode=encode,
        grid=lambda size: (n,),
        depends="depth",
        names=_axes,
        options=(_COUNT,),
        parameters={"n": n},
        variant=cloud,
    )


def point_offset(name: str = "point_offset", *, n: int = 1024, k: float = 80.0) -> MapKind:
    """The kind of so many points and one radius (mm)."""

    def encode(scene: Scene) -> NDArray[np.float32]:
        out = np.empty((n, 1, 4 * scene.joints), np.float32)
        hand = np.full((n, 1), bool(scene.crop.mask.any()))
        joints = np.ascontiguousarray(scene.crop.joints_mm, np.float32)
        ball(points_of(scene.crop, n)[:, None], hand, joints, k, out)
        return out[:, 0]

    def decode(array: NDArray[np.float32], crop: Crop, scale: Any) -> NDArray[np.float32]:
        return decode_point_offset(array, crop, k=k)

    return MapKind(
        name=name,
        weight=2.0,
        summary=f"ball_offset of {k:g} mm at {n} points of the hand's surface",
        formula="o / |o|, x y z joint by joint, then (k - |o|) / k, with o = x_j - x(p), where |o| < k; else 0",
        channels=lambda skeleton: 4 * len(skeleton),
        value_range=(-1.0, 1.0),
        encode=encode,
        decode=decode,
        grid=lambda size: (n,),
        names=unit_then_closeness,
        options=(_COUNT, Option("k", 80.0, "radius of the ball around a joint, mm", low=1.0, high=1000.0)),
        parameters={"n": n, "k": k},
        variant=point_offset,
    )


_COUNT = Option("n", 1024, "points", low=16, high=65536, whole=True)
POINTS = register_map(cloud())
POINT_OFFSET = register_map(point_offset())
