"""Directions to the joints, and how close they are, within a ball around each; 0 outside it."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit


@jit
def ball(points, silhouette, joints, k, out):
    """(o / |o|, (k - |o|) / k) of o from each cell's point to each joint, where |o| < k on the hand; else 0.

    Parameters
    ----------
    points : (H, W, D) float32
        mm, of two or three axes.
    silhouette : (H, W) bool
    joints : (J, D) float32
        mm, same axes.
    k : float
        Radius of the ball, mm.
    out : (H, W, (D + 1) J) float32
        Filled: the D coordinates of the unit vector to joint 0, then of joint 1, ..., then J closenesses.
    """
    rows, columns = silhouette.shape
    n, axes = joints.shape
    limit = np.float32(k) * np.float32(k)
    radius, inverse = np.float32(k), np.float32(1.0 / k)
    out[:] = np.float32(0)
    for r in range(rows):
        for c in range(columns):
            if not silhouette[r, c]:
                continue
            for j in range(n):
                square = np.float32(0)
                for a in range(axes):
                    o = joints[j, a] - points[r, c, a]
                    square += o * o
                if square >= limit:
                    continue
                d = np.sqrt(square)
                out[r, c, axes * n + j] = (radius - d) * inverse
                # At the joint itself there is no direction.
                if d > np.float32(1e-6):
                    for a in range(axes):
                        out[r, c, axes * j + a] = (joints[j, a] - points[r, c, a]) / d
