"""What else a camera sees beside a hand: planes, rounded bodies and boxes, into one depth image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.camera import Camera
from gmaps.synth import turns
from gmaps.synth.render import render_mesh

Depth = NDArray[np.float32]
_BOX = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]], np.int32
)  # fmt: skip


@dataclass(frozen=True)
class Plane:
    """A wall, a floor, a table without edges.

    Parameters
    ----------
    normal : (3,)
        Any length, camera axes.
    point : (3,)
        On it, mm.
    """

    normal: ArrayLike
    point: ArrayLike

    def depth(self, camera: Camera) -> Depth:
        """(H, W) mm; infinite where it is not seen."""
        n = np.asarray(self.normal, np.float64)
        x, y = rays(camera)
        with np.errstate(divide="ignore"):
            t = float(n @ np.asarray(self.point, np.float64)) / (n[0] * x + n[1] * y + n[2])
        return np.where(t > 0, t, np.inf).astype(np.float32)


@dataclass(frozen=True)
class Ellipsoid:
    """A head, a trunk, a ball, an arm.

    Parameters
    ----------
    center : (3,)
        mm, camera axes.
    radii : (3,)
        mm, along its own axes.
    turn : (4,)
        Quaternion, its axes to the camera's.
    """

    center: ArrayLike
    radii: ArrayLike
    turn: ArrayLike = (1.0, 0.0, 0.0, 0.0)

    def depth(self, camera: Camera) -> Depth:
        """(H, W) mm; infinite where it is not seen."""
        m = turns.matrix(np.asarray(self.turn, np.float64)) / np.asarray(self.radii, np.float64)
        c = np.asarray(self.center, np.float64) @ m
        x, y = rays(camera)
        # |t d - c| = 1 in units of its radii, d the ray (x, y, 1): a t^2 - 2 b t + e = 0.
        p = m @ m.T
        q = m @ c
        a = p[0, 0] * x * x + p[1, 1] * y * y + p[2, 2] + 2 * (p[0, 1] * x * y + p[0, 2] * x + p[1, 2] * y)
        b = q[0] * x + q[1] * y + q[2]
        root = b * b - a * (c @ c - 1)
        t = (b - np.sqrt(np.maximum(root, 0))) / a
        return np.where((root > 0) & (t > 0), t, np.inf).astype(np.float32)


@dataclass(frozen=True)
class Box:
    """A block, a table's top, a chair's back.

    Parameters
    ----------
    center : (3,)
        mm, camera axes.
    half : (3,)
        Half its sides, mm.
    turn : (4,)
        Quaternion, its axes to the camera's.
    """

    center: ArrayLike
    half: ArrayLike
    turn: ArrayLike = (1.0, 0.0, 0.0, 0.0)

    def depth(self, camera: Camera) -> Depth:
        """(H, W) mm; infinite where it is not seen."""
        corners = turns.apply(np.asarray(self.turn, np.float64), _BOX * np.asarray(self.half, np.float64))
        labels = np.ones(len(_FACES), np.uint8)
        seen = render_mesh(corners + np.asarray(self.center), camera, triangles=_FACES, parts=labels).depth
        return np.where(seen > 0, seen, np.float32(np.inf))


Thing = Plane | Ellipsoid | Box


def rays(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x / z of the columns (1, W) and y / z of the rows (H, 1)."""
    x = (np.arange(camera.width, dtype=np.float32) - np.float32(camera.cx)) / np.float32(camera.fx)
    y = (np.arange(camera.height, dtype=np.float32) - np.float32(camera.cy)) / np.float32(camera.fy)
    return x[None], y[:, None]


def add_things(depth: Depth, camera: Camera, things: list[Thing]) -> Depth:
    """A depth image with things in it: the nearest is seen.

    Parameters
    ----------
    depth : (H, W) float32
        mm; 0 where nothing is seen.
    camera
        Intrinsics.
    things
        What is there besides.

    Returns
    -------
    (H, W) float32
        A new image.
    """
    near = np.where(depth > 0, depth, np.float32(np.inf))
    for thing in things:
        near = np.minimum(near, thing.depth(camera))
    return np.where(np.isfinite(near), near, np.float32(0))
