"""From the hand's mesh to images: rays through pixel centres, exact planes, one z-buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.camera import Camera
from gmaps.errors import UsageError
from gmaps.kernels.draw_triangles import draw_triangles
from gmaps.synth.skin import hand_mesh, mesh_of_joints

if TYPE_CHECKING:
    from gmaps.synth.sensor import Sensor

_FAR = np.float32(np.inf)


class Image(NamedTuple):
    """What a perfect camera sees of a mesh.

    Parameters
    ----------
    depth : (H, W) float32
        mm along the optical axis; 0 where there is nothing.
    parts : (H, W) uint8
        The part seen: 0 nothing, else 1 + its place in `gmaps.synth.skin.PARTS`.
    """

    depth: NDArray[np.float32]
    parts: NDArray[np.uint8]


def render_mesh(
    vertices: ArrayLike, camera: Camera, *, triangles: ArrayLike | None = None, parts: ArrayLike | None = None
) -> Image:
    """Images of a mesh, by default of the hand's.

    Parameters
    ----------
    vertices : (V, 3)
        mm, camera axes.
    camera
        Intrinsics; the images have its width and height.
    triangles : (T, 3), optional
        By default the hand's.
    parts : (T,), optional
        uint8, the label of each triangle; by default the hand's parts, counted from 1.

    Returns
    -------
    Image
        What lies behind the camera is not seen.
    """
    mesh = hand_mesh()
    corners = np.ascontiguousarray(vertices, np.float64)
    faces = mesh.triangles if triangles is None else np.ascontiguousarray(triangles, np.int32)
    labels = mesh.labels if parts is None else np.ascontiguousarray(parts, np.uint8)
    depth = np.full((camera.height, camera.width), _FAR, np.float32)
    seen = np.zeros((camera.height, camera.width), np.uint8)
    draw_triangles(corners, faces, labels, (camera.fx, camera.fy, camera.cx, camera.cy), depth, seen)
    return Image(depth, seen)


def render_hand(
    joints: ArrayLike,
    camera: Camera,
    *,
    sensor: Sensor | None = None,
    rng: np.random.Generator | None = None,
) -> NDArray[np.float32]:
    """Depth image of a hand of flesh around any 21 joints.

    Parameters
    ----------
    joints : (21, 3)
        mm, camera axes, in the order of skeleton msra21.
    camera
        Intrinsics; the image has its width and height.
    sensor, optional
        Adds noise and loses pixels; without it the image is exact.
    rng, optional
        Randomness of the sensor; needed with one.

    Returns
    -------
    (H, W) float32
        mm along the optical axis; 0 where there is no hand. What lies behind the camera is not seen.

    Raises
    ------
    UsageError
        Joints of another shape or not finite; a sensor without `rng`.
    """
    if sensor is not None and rng is None:
        raise UsageError("a sensor needs rng, a numpy Generator: np.random.default_rng(seed)")
    depth = render_mesh(mesh_of_joints(np.asarray(joints, np.float64)), camera).depth
    if sensor is not None and rng is not None:
        depth = sensor.apply(depth, camera, rng)
    return depth
