"""Slow twins of the synthetic hand: one vertex, one ray, one pixel at a time."""

from __future__ import annotations

import numpy as np

from gmaps.synth import hand, turns


def skin_vertex(
    pose: hand.Pose, b: int, weights: np.ndarray, rest_joints: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    """(3,): a vertex that is at `rest` when the hand rests, on hand b of the batch; `weights` is (20,)."""
    turn = [turns.product(pose.turns[b, k], turns.inverse(hand.REST.turns[0, k])) for k in range(20)]
    for k, parent in enumerate(hand.PARENTS):
        base = pose.palm[b] if parent < 0 else turn[parent]
        if base @ turn[k] < 0:
            turn[k] = -turn[k]
    real, dual = np.zeros(4), np.zeros(4)
    for k in range(20):
        shift = pose.joints[b, hand.STARTS[k]] - turns.apply(turn[k], rest_joints[hand.STARTS[k]])
        real += weights[k] * turn[k]
        dual += weights[k] * 0.5 * turns.product(np.array([0.0, *shift]), turn[k])
    length = np.linalg.norm(real)
    real, dual = real / length, dual / length
    return turns.apply(real, rest) + 2 * turns.product(dual, turns.inverse(real))[1:]


def ray_depths(vertices: np.ndarray, triangles: np.ndarray, camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth (H, W) of the nearest hit of each pixel's ray and its triangle (-1: none), after Moller and Trumbore, and
    how far inside its triangle the ray is, at least, in barycentric shares."""
    v, u = np.mgrid[: camera.height, : camera.width]
    d = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    depth, owner, margin = np.full(u.shape, np.inf), np.full(u.shape, -1), np.zeros(u.shape)
    for number, (a, b, c) in enumerate(vertices[triangles]):
        e1, e2 = b - a, c - a
        p = np.cross(d, e2)
        with np.errstate(all="ignore"):
            s = -(p @ a) / (p @ e1)
            q = np.cross(-a, e1)
            t = d @ q / (p @ e1)
            z = e2 @ q / (p @ e1)
            inside = np.minimum(np.minimum(s, t), 1 - s - t)
            hit = (inside >= 0) & (z > 0) & (z < depth)
        depth[hit], owner[hit], margin[hit] = z[hit], number, inside[hit]
    return depth, owner, margin


def flight_pixel(depth, r, c, normal, luck, share, noise, step, mixed, edge_loss, loss, jump, reach) -> float:
    """One pixel of a time-of-flight camera; 0 is lost."""
    z = float(depth[r, c])
    if z == 0:
        return 0.0
    padded = np.pad(depth, 1, mode="edge")  # the image's border is no edge
    others = [float(padded[r + 1 + i, c + 1 + j]) for i, j in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    jumps = [o for o in others if abs(o - z) > jump]
    if luck < (edge_loss if jumps else loss):
        return 0.0
    value = z
    if jumps and luck < edge_loss + mixed:
        far = max([z] + [o if o > 0 else z + reach for o in jumps])
        value = z + share * (far - z)
    value += noise * (value / 300.0) ** 2 * normal
    return max(round(value / step) * step if step > 0 else value, 0.0)


def hidden_from_projector(row: np.ndarray, lever: float) -> np.ndarray:
    """(W,) bool: pixels of one row of depths that another pixel hides from a projector on the right."""
    hidden = np.zeros(len(row), bool)
    for c, z in enumerate(row):
        for other in range(c + 1, len(row)):
            if z > 0 and row[other] > 0 and other - lever / row[other] < c - lever / z - 0.5:
                hidden[c] = True
    return hidden
