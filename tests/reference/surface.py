"""Slow readable twin of `march.surface`: the shortest way over triangles, by search along their edges."""

from __future__ import annotations

import itertools
import math

import numpy as np


def triangles(mask: np.ndarray, depth: np.ndarray, spacing: float) -> tuple[dict, list[tuple]]:
    """Points of the hand cells, and the triangles between them, as triples of (row, col)."""
    points = {
        (int(r), int(c)): np.array([c * spacing, r * spacing, depth[r, c]], float) for r, c in np.argwhere(mask)
    }
    found = []
    for r, c in itertools.product(range(mask.shape[0] - 1), range(mask.shape[1] - 1)):
        square = [(r, c), (r, c + 1), (r + 1, c + 1), (r + 1, c)]
        present = [p for p in square if p in points]
        if len(present) == 3:
            found.append(tuple(present))
        if len(present) == 4:
            a, b, d, e = square  # a-d falls, b-e rises
            falling = ((points[a] - points[d]) ** 2).sum()
            rising = ((points[b] - points[e]) ** 2).sum()
            found += [(a, b, d), (a, e, d)] if falling <= rising else [(a, b, e), (b, d, e)]
    return points, found


def _over_edge(p, a, b, ta, tb) -> float:
    """min over f in [0, 1] of f ta + (1 - f) tb + |p - (f a + (1 - f) b)|: convex, so by ternary search."""
    low, high = 0.0, 1.0

    def cost(f):
        return f * ta + (1 - f) * tb + math.dist(p, f * a + (1 - f) * b)

    for _ in range(60):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if cost(left) < cost(right) else (left, high)
    return cost((low + high) / 2)


def march(mask: np.ndarray, depth: np.ndarray, spacing: float, starts: dict[tuple[int, int], float]) -> np.ndarray:
    """Update every cell over every edge opposite to it, and along every side, until nothing moves."""
    points, faces = triangles(mask, depth, spacing)
    t = dict.fromkeys(points, math.inf) | dict(starts)
    sides = {frozenset(s) for f in faces for s in itertools.combinations(f, 2)}
    for r, c in points:
        sides |= {frozenset(((r, c), n)) for n in ((r, c + 1), (r + 1, c)) if n in points}
    moved = True
    while moved:
        moved = False
        for side in sides:
            a, b = side
            for p, q in ((a, b), (b, a)):
                new = t[q] + math.dist(points[p], points[q])
                if new < t[p] - 1e-9:
                    t[p], moved = new, True
        for face in faces:
            for k in range(3):
                p, a, b = face[k], face[k - 1], face[k - 2]
                if math.isinf(t[a]) or math.isinf(t[b]):
                    continue
                new = _over_edge(points[p], points[a], points[b], t[a], t[b])
                if new < t[p] - 1e-7:
                    t[p], moved = new, True
    out = np.full(mask.shape, math.inf)
    for cell, value in t.items():
        out[cell] = value
    return out
