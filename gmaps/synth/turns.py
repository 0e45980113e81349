"""Rotations as unit quaternions (w, x, y, z) along the last axis, and bare array operations only.

Every function works on any leading shape, broadcasts, and has its namesake in PyTorch, so that a layer can follow
the hand's kinematics line by line. No matrix product: its rounding depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def about(axis: int, angle: ArrayLike) -> Array:
    """(..., 4): the turn by `angle` radians about the axis x, y or z (0, 1 or 2)."""
    half = np.asarray(angle, np.float64) / 2
    q = np.zeros((*half.shape, 4))
    q[..., 0], q[..., 1 + axis] = np.cos(half), np.sin(half)
    return q


def product(p: Array, q: Array) -> Array:
    """(..., 4): first q, then p."""
    pw, px, py, pz = p[..., 0], p[..., 1], p[..., 2], p[..., 3]
    qw, qx, qy, qz = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    out = np.empty(np.broadcast_shapes(p.shape, q.shape))
    out[..., 0] = pw * qw - px * qx - py * qy - pz * qz
    out[..., 1] = pw * qx + px * qw + py * qz - pz * qy
    out[..., 2] = pw * qy - px * qz + py * qw + pz * qx
    out[..., 3] = pw * qz + px * qy - py * qx + pz * qw
    return out


def inverse(q: Array) -> Array:
    """(..., 4): the turn back."""
    result: Array = q * np.array([1.0, -1.0, -1.0, -1.0])
    return result


def matrix(q: Array) -> Array:
    """(..., 3, 3): columns are where x, y and z go."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    m = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(m, axis=-1).reshape(*q.shape[:-1], 3, 3)


def along(q: Array) -> Array:
    """(..., 3): where y goes, which is the direction of a bone."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    out = np.empty((*w.shape, 3))
    out[..., 0], out[..., 1], out[..., 2] = 2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)
    return out


def apply(q: Array, v: Array) -> Array:
    """(..., 3): the vectors v, turned."""
    u, w = q[..., 1:], q[..., :1]
    t = 2 * cross(u, v)
    return v + w * t + cross(u, t)


def cross(a: Array, b: Array) -> Array:
    """(..., 3): a x b."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out[..., 0] = ay * bz - az * by
    out[..., 1] = az * bx - ax * bz
    out[..., 2] = ax * by - ay * bx
    return out


def unit(v: Array) -> Array:
    """(..., n): v over its length; 0 stays 0."""
    n = np.sqrt((v * v).sum(axis=-1, keepdims=True))
    return v / np.where(n > 0, n, 1.0)


def between(a: Array, b: Array) -> Array:
    """(..., 4): the shortest turn from unit vector a to unit vector b.

    Where they are opposite, about x made square to a; about y, where a is near to x.
    """
    w = 1 + (a * b).sum(axis=-1, keepdims=True)
    q = np.concatenate([w, cross(a, b)], axis=-1)
    near_x = np.abs(a[..., :1]) > 0.9
    axis = np.where(near_x, np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]))
    axis = axis - (axis * a).sum(axis=-1, keepdims=True) * a
    half_circle = np.concatenate([np.zeros_like(w), axis], axis=-1)
    return unit(np.where(w > 1e-9, q, half_circle))


def from_matrix(m: Array) -> Array:
    """(..., 4): the turn of a rotation matrix (..., 3, 3); w is not negative.

    The four squares come from the trace; the largest decides, so that nothing small is divided by.
    """
    d = np.stack([m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], axis=-1)
    trace = d.sum(axis=-1)
    xy, xz, yz = (m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    wx, wy, wz = (m[..., i, j] - m[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    rows = np.stack(
        [
            np.stack([1 + trace, wx, wy, wz], axis=-1),
            np.stack([wx, 1 + 2 * d[..., 0] - trace, xy, xz], axis=-1),
            np.stack([wy, xy, 1 + 2 * d[..., 1] - trace, yz], axis=-1),
            np.stack([wz, xz, yz, 1 + 2 * d[..., 2] - trace], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.stack([rows[..., k, k] for k in range(4)], axis=-1), axis=-1)
    q = unit(np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :])
    return np.where(q[..., :1] < 0, -q, q)
