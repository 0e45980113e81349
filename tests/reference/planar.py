"""Slow readable twins of the 2D maps that are no distances in the silhouette."""

from __future__ import annotations

import math

import numpy as np


def to_segment(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Distance of a point from a segment."""
    d = b - a
    along = 0.0 if not d.any() else min(max(float((p - a) @ d / (d @ d)), 0.0), 1.0)
    return math.dist(p, a + along * d)


def beside_segment(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether its projection falls between both ends: flat caps."""
    square = (b - a) @ (b - a)
    return bool(square == 0 or 0 <= (p - a) @ (b - a) <= square)


def limb(joints_px: np.ndarray, channels: list[list[tuple[int, int]]], size: int, probabilistic: bool) -> np.ndarray:
    """Limb masks, cell by cell; a channel is a list of (parent, child)."""
    out = np.zeros((size, size, len(channels)))
    for r in range(size):
        for c in range(size):
            for k, bones in enumerate(channels):
                p = np.array([r, c], float)
                away = [to_segment(p, joints_px[a], joints_px[b]) for a, b in bones]
                if probabilistic:
                    out[r, c, k] = math.exp(-(min(away) ** 2) / 2)
                    continue
                beside = [beside_segment(p, joints_px[a], joints_px[b]) for a, b in bones]
                out[r, c, k] = any(d <= 1 and so for d, so in zip(away, beside, strict=True))
    return out


def offset(points: np.ndarray, silhouette: np.ndarray, joints: np.ndarray, theta: float) -> np.ndarray:
    """euclidean and unit vectors, cell by cell."""
    size, n = len(silhouette), len(joints)
    out = np.zeros((size, size, 4 * n))
    for r, c in np.argwhere(silhouette):
        for j, joint in enumerate(joints):
            v = joint.astype(float) - points[r, c]
            d = float(np.linalg.norm(v))
            out[r, c, j] = 1 - min(d, theta) / theta
            if d > 1e-6:
                out[r, c, n + 3 * j : n + 3 * j + 3] = v / d
    return out
