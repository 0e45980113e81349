"""Unit vectors and closeness within a ball around each joint: what AWR, SRN, IPNet and their descendants learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop
from gmaps.kernels.planar.ball import ball
from gmaps.maps.decode import TOP, ball_vote
from gmaps.maps.kind import MapKind, each_along, register_map
from gmaps.maps.options import Option
from gmaps.maps.scene import Scene
from gmaps.skeleton import Skeleton

#: In which the vectors are: mm of the camera's axes, or columns, rows and depth of the crop, times the half side.
AXES = ("camera", "uvd")


def grid_points(scene: Scene, axes: str) -> NDArray[np.float32]:
    """(H, H, 3) float32, mm: where each cell's surface point is, in camera axes or the crop's.

    The crop's own are (u, v, d) from the cube's centre: -half_side to half_side across its columns, down its rows and
    along its depth. In an orthographic crop both differ by the cube's centre alone.
    """
    if axes == "camera":
        return scene.points
    h = scene.crop.cube.half_side
    across = ((np.arange(scene.size) + 0.5) / scene.size * 2 - 1) * h
    out = np.empty((scene.size, scene.size, 3), np.float32)
    out[..., 0], out[..., 1], out[..., 2] = across, across[:, None], scene.surface * np.float32(h)
    return out


def joints_in(scene: Scene, axes: str) -> NDArray[np.float32]:
    """(J, 3) float32, mm: the joints in the axes of `grid_points`."""
    if axes == "camera":
        return np.ascontiguousarray(scene.crop.joints_mm, np.float32)
    h = scene.crop.cube.half_side
    plane = ((scene.joints_px + 0.5) / scene.size * 2 - 1) * h
    depth = scene.crop.joints_mm[:, 2].astype(np.float64) - scene.crop.cube.center[2]
    return np.column_stack([plane[:, 1], plane[:, 0], depth]).astype(np.float32)


def to_camera(found: NDArray[np.floating], crop: Crop, axes: str) -> NDArray[np.float32]:
    """Joints in the axes of `grid_points` as mm in camera axes."""
    if axes == "camera":
        return np.asarray(found, np.float32)
    out: NDArray[np.float64] = np.asarray(found, np.float64) + np.asarray(crop.cube.center)
    if crop.projection == "perspective":
        out[:, :2] *= out[:, 2:] / crop.cube.center[2]
    return out.astype(np.float32)


def decode_ball_offset(
    array: NDArray[np.floating],
    crop: Crop,
    *,
    k: float = 80.0,
    axes: str = "camera",
    how: str = "softmax",
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Joints from a ball offset: the weighted mean of p + u k (1 - c) over the hand's cells.

    Parameters
    ----------
    array : (H, H, 4 J)
        Unit vectors, then closeness.
    crop
        Gives the cube and the surface; its joints are not used.
    k, axes
        As it was made with.
    how
        "softmax": weights are softmax(30 c) over the cells where c > 0. "top": the 30 cells of largest c, weighted
        by c. Where no cell is near, the nearest to be had is taken.
    weights : (H, H, J), optional
        Instead of both: a softmax of these over the hand's cells, such as a network learns.

    Returns
    -------
    (J, 3) float32
        mm, camera axes.

    Raises
    ------
    UsageError
        No hand in the crop, or no such way.
    """
    if how not in ("softmax", "top"):
        raise UsageError(f"a ball offset is read by softmax or top, not {how!r}")
    scene = Scene(crop, array.shape[0])
    hand = scene.silhouette
    if not hand.any():
        raise UsageError("the crop holds no hand, so no point of it can tell where the joints are")
    points = grid_points(scene, axes)[hand].astype(np.float64)
    values = np.asarray(array, np.float64)[hand]
    learned = None if weights is None else np.asarray(weights, np.float64)[hand]
    return to_camera(ball_vote(points, values, k, TOP if how == "top" else 0, learned), crop, axes)


def unit_then_closeness(skeleton: Skeleton) -> list[str]:
    """Names of x, y and z joint by joint, then of one channel a joint."""
    return [*each_along(skeleton), *skeleton.joints]


def ball_offset(name: str = "ball_offset", *, k: float = 80.0, axes: str = "camera") -> MapKind:
    """The kind of one radius (mm) in one pair of axes."""

    def encode(scene: Scene) -> NDArray[np.float32]:
        out = np.empty((scene.size, scene.size, 4 * scene.joints), np.float32)
        ball(grid_points(scene, axes), scene.silhouette, joints_in(scene, axes), k, out)
        return out

    def decode(array: NDArray[np.float32], crop: Crop, scale: Any) -> NDArray[np.float32]:
        return decode_ball_offset(array, crop, k=k, axes=axes)

    return MapKind(
        name=name,
        weight=WEIGHT,
        summary=f"Unit vectors to each joint, and closeness, within {k:g} mm of it",
        formula="o / |o|, x y z joint by joint, then (k - |o|) / k, with o = x_j - x(p), where |o| < k on the hand; "
        "else 0",
        channels=lambda skeleton: 4 * len(skeleton),
        value_range=(-1.0, 1.0),
        encode=encode,
        decode=decode,
        names=unit_then_closeness,
        smooth=True,
        options=OPTIONS,
        parameters={"k": k, "axes": axes},
        variant=ball_offset,
    )


#: Beside the pose's loss; see `MapKind.weight`.
WEIGHT = 2.0
OPTIONS = (
    Option("k", 80.0, "radius of the ball around a joint, mm", low=1.0, high=1000.0),
    Option("axes", "camera", "mm in the camera's axes, or uvd: the crop's columns, rows and depth", choices=AXES),
)
BALL_OFFSET = register_map(ball_offset())
