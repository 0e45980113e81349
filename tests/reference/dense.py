"""Slow readable twins of the maps that current networks learn, cell by cell."""

from __future__ import annotations

import math

import numpy as np


def ball(points: np.ndarray, silhouette: np.ndarray, joints: np.ndarray, k: float) -> np.ndarray:
    """Unit vectors joint by joint, then closeness, within k of a joint and on the hand."""
    joints = joints.astype(float)
    n, axes = joints.shape
    out = np.zeros((*silhouette.shape, (axes + 1) * n))
    for r, c in np.argwhere(silhouette):
        for j in range(n):
            o = joints[j] - points[r, c]
            d = float(np.linalg.norm(o))
            if d < k:
                out[r, c, axes * n + j] = (k - d) / k
                if d > 1e-6:
                    out[r, c, axes * j : axes * (j + 1)] = o / d
    return out


def heatmap_depth(
    px: np.ndarray, depth: np.ndarray, surface: np.ndarray, silhouette: np.ndarray, sigma: float
) -> np.ndarray:
    """Gaussians, then how far joints of a depth lie behind the surface where the Gaussian is above 0.01."""
    size, n = len(silhouette), len(px)
    out = np.zeros((size, size, 2 * n))
    for r in range(size):
        for c in range(size):
            for j in range(n):
                h = math.exp(-((r - px[j, 0]) ** 2 + (c - px[j, 1]) ** 2) / (2 * sigma**2))
                out[r, c, j] = h
                if silhouette[r, c] and h > 0.01:
                    out[r, c, n + j] = depth[j] - surface[r, c]
    return out


def pixel_offset(places: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """From every cell's (u, v, d) to every joint's."""
    size, n = len(places), len(joints)
    out = np.zeros((size, size, 3 * n))
    for r in range(size):
        for c in range(size):
            for j in range(n):
                out[r, c, 3 * j : 3 * j + 3] = joints[j] - places[r, c]
    return out


def plane_offset(places: np.ndarray, silhouette: np.ndarray, joints: np.ndarray, k: float) -> np.ndarray:
    """Directions and closeness in the plane, then how much deeper the joint is, within k."""
    n = len(joints)
    out = np.concatenate([ball(places[..., :2], silhouette, joints[:, :2], k), np.zeros((*silhouette.shape, n))], -1)
    for r, c in np.argwhere(silhouette):
        for j in range(n):
            if np.linalg.norm(joints[j, :2] - places[r, c, :2]) < k:
                out[r, c, 3 * n + j] = joints[j, 2] - places[r, c, 2]
    return out
