"""A mesh over an image: its faces that look at the camera, shaded."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from numpy.typing import NDArray

from gmaps.camera import Camera

_TINT = np.array([0.98, 0.58, 0.25])


def draw_mesh(
    axes: Axes, camera: Camera, vertices: NDArray[np.floating], triangles: NDArray[np.integer], alpha: float = 0.65
) -> int:
    """Draw a closed mesh over the image of its camera.

    Parameters
    ----------
    axes
        Of the image, in its pixels.
    camera
        Which took it.
    vertices : (V, 3)
        mm, camera axes.
    triangles : (T, 3)
        Counter-clockwise from outside.
    alpha
        How much of the image it hides.

    Returns
    -------
    int
        Faces that were drawn: those in front of the camera that look at it.
    """
    corners = np.asarray(vertices, np.float64)[np.asarray(triangles)]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    middle = corners.mean(axis=1)
    facing = -(normal * middle).sum(-1) / np.maximum(
        np.linalg.norm(normal, axis=1) * np.linalg.norm(middle, axis=1), 1e-12
    )
    seen = (facing > 0) & (corners[..., 2] > 0).all(axis=1)
    order = np.flatnonzero(seen)[np.argsort(-middle[seen, 2], kind="stable")]  # the nearest last, over the others
    shade = (0.35 + 0.65 * facing[order, None]) * _TINT
    flat = camera.project(corners[order].reshape(-1, 3))[:, :2].reshape(-1, 3, 2)
    colours = np.concatenate([shade, np.full((len(shade), 1), alpha)], axis=1)
    axes.add_collection(
        PolyCollection(list(flat), facecolors=colours, edgecolors="none", antialiaseds=False, zorder=1.5)
    )
    return len(order)
