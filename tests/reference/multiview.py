"""Slow readable twins of the three views."""

from __future__ import annotations

import math

import numpy as np

AXES = {0: (1, 0, 2), 1: (0, 2, 1), 2: (2, 1, 0)}  # row, col, along


def points(crop) -> list[np.ndarray]:
    """The hand pixels' points, cube units."""
    size, h, c = crop.size, crop.cube.half_side, np.array(crop.cube.center)
    found = []
    for row, col in np.argwhere(crop.mask):
        unit = np.array([(col + 0.5) / size * 2 - 1, (row + 0.5) / size * 2 - 1, crop.depth[row, col]], float)
        if crop.projection == "perspective":
            mm = unit * h + c
            mm[:2] *= mm[2] / c[2]
            unit = (mm - c) / h
        if (np.abs(unit) <= 1).all():
            found.append(unit)
    return found


def cell(u: float, size: int) -> int:
    return min(max(math.floor((u + 1) / 2 * size), 0), size - 1)


def look(crop, size: int, stored: int | None = None) -> np.ndarray:
    out, nearest = np.ones((size, size, 3)), np.full((size, size, 3), np.inf)
    for p in points(crop):
        for view, (row, col, along) in AXES.items():
            at = cell(p[row], size), cell(p[col], size), view
            # The original stores the z of the farthest point in each view.
            rank = p[along] if stored is None else -p[stored]
            if rank < nearest[at]:
                nearest[at], out[at] = rank, p[along if stored is None else stored]
    return out


def euclidean(crop, size: int) -> np.ndarray:
    n, h = len(crop.joints_mm), crop.cube.half_side
    out = np.zeros((size, size, 3 * n))
    voxels = {tuple(cell(u, size) for u in p) for p in points(crop)}
    joints = crop.joints_mm - np.array(crop.cube.center)
    for voxel in voxels:
        center = ((np.array(voxel) + 0.5) / size * 2 - 1) * h
        near = np.maximum(1 - np.linalg.norm(joints - center, axis=1) / (2 * h), 0)
        for view, (row, col, _) in AXES.items():
            part = out[voxel[row], voxel[col], view * n : (view + 1) * n]
            np.maximum(part, near, out=part)
    return out
