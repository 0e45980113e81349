"""Hands that hold something over a table, before any camera: what data sets of hands and objects show."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from gmaps.camera import Camera
from gmaps.skeleton import get_skeleton
from gmaps.synth.render import render_mesh
from gmaps.synth.stage import Stage, make_hand

CAMERA = Camera(613.7, 613.9, 318.4, 241.2, 640, 480)
FAMILIES = ("grasp", "pinch", "claw", "relaxed", "point")


class Held(NamedTuple):
    """depth (480, 640) float32 whole mm; joints (21, 3) mm in openpose21's order; hand, thing: (480, 640) bool."""

    depth: np.ndarray
    joints: np.ndarray
    hand: np.ndarray
    thing: np.ndarray
    camera: Camera


@cache
def held(k: int, camera: Camera = CAMERA, left: bool = False) -> Held:
    """Hand k: a ball between its fingers, partly before it, and a table behind both."""
    right_camera = camera if not left else camera_mirror(camera)
    scene = make_hand(11, k, k % 10, FAMILIES[k % len(FAMILIES)], Stage(right_camera, (450.0, 700.0)))
    order = list(get_skeleton("msra21").mapping_to(get_skeleton("openpose21")))
    joints = np.asarray(scene.joints, np.float64)[order]
    bare = render_mesh(scene.vertices(), right_camera).depth
    v, u = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    ball = _ball(u, v, right_camera, joints[[4, 8, 12]].mean(axis=0) - (0, 0, 5), 28.0)
    table = joints[:, 2].max() + 25 + 0.1 * (v - v.mean())
    layers = np.stack([np.where(bare > 0, bare, np.inf), ball, table])
    front = layers.argmin(axis=0)
    depth = np.rint(layers.min(axis=0)).astype(np.float32)
    hand, thing = front == 0, front == 1
    if left:
        depth, hand, thing = (np.ascontiguousarray(a[:, ::-1]) for a in (depth, hand, thing))
        joints = joints * (-1, 1, 1)
    return Held(depth, joints.astype(np.float32), hand, thing, camera)


def camera_mirror(camera: Camera) -> Camera:
    return Camera(camera.fx, camera.fy, camera.width - 1 - camera.cx, camera.cy, camera.width, camera.height)


def _ball(u: np.ndarray, v: np.ndarray, camera: Camera, middle: np.ndarray, radius: float) -> np.ndarray:
    """z where each pixel's ray meets a ball first; infinite where it does not."""
    ray = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1)
    a, b = (ray * ray).sum(axis=-1), ray @ middle
    under = b * b - a * (middle @ middle - radius**2)
    return np.where(under > 0, (b - np.sqrt(np.maximum(under, 0))) / a, np.inf)
