"""Slow readable twins of the voxel kinds: voxel by voxel, from the points of `tests.reference.multiview`."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np

from tests.reference.multiview import cell, points

Voxel = tuple[int, int, int]


def counts(crop, size: int) -> Counter[Voxel]:
    """Points in each voxel."""
    return Counter(tuple(cell(u, size) for u in p) for p in points(crop))


def center(voxel: Voxel, crop, size: int) -> np.ndarray:
    """mm, camera axes."""
    return ((np.array(voxel) + 0.5) / size * 2 - 1) * crop.cube.half_side + np.array(crop.cube.center)


def filled(voxels: dict[Voxel, float], size: int) -> np.ndarray:
    """(V, V, V, 1), 0 elsewhere."""
    out = np.zeros((size, size, size, 1))
    for v, value in voxels.items():
        out[v] = value
    return out


def truncated_distance(occupied: set[Voxel], size: int) -> np.ndarray:
    out = np.ones((size, size, size, 1))
    for v in itertools.product(range(size), repeat=3):
        out[v] = min([1.0, *(math.dist(v, o) / 3 for o in occupied)])
    return out


def tsdf(occupied: set[Voxel], size: int) -> np.ndarray:
    """For each axis: which voxels are seen along it, how far the nearest is, and on which side of them one is."""
    out = np.ones((size, size, size, 3))
    for axis in range(3):
        front: dict[tuple[int, ...], int] = {}
        for o in occupied:
            line = o[:axis] + o[axis + 1 :]
            front[line] = min(front.get(line, size), o[axis])
        seen = [(*line[:axis], first, *line[axis:]) for line, first in front.items()]
        for v in itertools.product(range(size), repeat=3):
            sign = -1 if v[axis] > front.get(v[:axis] + v[axis + 1 :], size) else 1
            out[(*v, axis)] = sign * min([1.0, *(math.dist(v, s) / 3 for s in seen)])
    return out


def vectors(crop, size: int) -> np.ndarray:
    out = np.zeros((size, size, size, 3 * len(crop.joints_mm)))
    for v in counts(crop, size):
        out[v] = (crop.joints_mm.astype(float) - center(v, crop, size)).ravel()
    return out


def offsets(crop, size: int) -> np.ndarray:
    theta, n = 2 * crop.cube.half_side, len(crop.joints_mm)
    out = np.zeros((size, size, size, 4 * n))
    for v in counts(crop, size):
        away = crop.joints_mm.astype(float) - center(v, crop, size)
        d = np.linalg.norm(away, axis=1)
        out[v][:n] = 1 - np.minimum(d, theta) / theta
        out[v][n:] = (away / np.maximum(d, 1e-6)[:, None]).ravel()
    return out


def joined(crop, size: int) -> set[Voxel]:
    """Occupied voxels, and those between neighbours of one surface, half the way at each of the two."""
    found = set(counts(crop, size))
    at = {(r, c): p for r, c in np.argwhere(crop.mask) if (p := _point(crop, r, c)) is not None}
    for (r, c), p in at.items():
        for other in ((r + 1, c), (r, c + 1)):
            q = at.get(other)
            if q is None or abs(q[2] - p[2]) * crop.cube.half_side > 10:
                continue
            middle = cell((p[2] + q[2]) / 2, size)
            for end in (p, q):
                x, y, z = (cell(u, size) for u in end)
                found |= {(x, y, k) for k in range(min(z, middle), max(z, middle) + 1)}
    return found


def _point(crop, row: int, col: int) -> np.ndarray | None:
    alone = np.ones_like(crop.depth)
    alone[row, col] = crop.depth[row, col]
    found = points(type(crop)(alone, crop.cube, crop.joints_mm, crop.projection))
    return found[0] if found else None


def update(near: list[float]) -> float:
    """Smallest T with sum of (T - t)^2 = 1 over the nearest axes, each of which must be passed before T."""
    near = sorted(near)
    best = near[0] + 1
    for k in (2, 3):
        t = np.array(near[:k])
        if not np.isfinite(t).all() or best <= t[-1]:
            break
        s, q = t.sum(), (t**2).sum()
        best = (s + math.sqrt(max(s * s - k * (q - 1), 0))) / k
    return best


def starts(allowed: set[Voxel], joint: np.ndarray, size: int) -> dict[Voxel, float]:
    """Where a march begins, and at which distances."""
    p = np.clip(joint, -0.5, size - 0.5)
    own = tuple(int(i) for i in np.minimum(np.floor(p + 0.5), size - 1))
    if own in allowed:
        block = {v for v in allowed if all(abs(i - u) < 1 for i, u in zip(v, p, strict=True))}
        found, edge = {own}, [own]
        while edge:
            v = edge.pop()
            # Steps lead away from the joint's own voxel.
            for w in block - found:
                if math.dist(v, w) == 1 and math.dist(w, own) > math.dist(v, own):
                    found.add(w)
                    edge.append(w)
        return {v: math.dist(v, p) for v in found}
    if not allowed:
        return {}
    radius = min(math.dist(v, p) for v in allowed)
    gap = lambda v: math.hypot(*(max(abs(i - u) - 0.5, 0) for i, u in zip(v, p, strict=True)))  # noqa: E731
    return {v: math.dist(v, p) for v in allowed if gap(v) ** 2 <= radius**2 + 1e-9}


def march(allowed: set[Voxel], joint: np.ndarray, size: int) -> dict[Voxel, float]:
    """Distance of every voxel from a joint (voxels, an integer is a centre), by sweeps until nothing moves."""
    t = dict.fromkeys(allowed, math.inf) | starts(allowed, joint, size)
    moved = True
    while moved:
        moved = False
        for v in sorted(allowed):
            axes = []
            for a in range(3):
                beside = [tuple(i + d * (k == a) for k, i in enumerate(v)) for d in (-1, 1)]
                axes.append(min(t.get(b, math.inf) for b in beside))
            if min(axes) < math.inf and (new := update(axes)) < t[v] - 1e-9:
                t[v], moved = new, True
    return t
