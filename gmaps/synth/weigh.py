"""What carries each vertex of the mesh: its bones' shares, and the part of the hand that it belongs to."""

from __future__ import annotations

import numpy as np

from gmaps.synth import turns
from gmaps.synth.flesh import JOINTS, Array
from gmaps.synth.hand import MEAN_RADII, REST
from gmaps.synth.remesh import Triangles, neighbours_mean


def ramp(x: Array, low: float, high: float) -> Array:
    """0 below, 1 above, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def to_segment(p: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Distance to a segment, and how far along it the nearest point is."""
    t = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(p - a - t[:, None] * (b - a), axis=1), t


def weigh(p: Array, triangles: Triangles) -> Array:
    """(V, 20): share of each bone in each vertex."""
    chains, apart = np.zeros((4, len(p), 20)), np.zeros((4, len(p)))
    metacarpal = np.zeros((4, len(p)))
    for f in range(4):
        joints, radii = JOINTS[1 + 4 * f : 5 + 4 * f], MEAN_RADII[1 + 4 * f : 5 + 4 * f]
        heading = [turns.unit(joints[0]), *turns.unit(np.diff(joints, axis=0))]
        bends = []
        for k in range(3):
            s = (p - joints[k]) @ turns.unit(heading[k] + heading[k + 1])
            if k == 0:  # the crease of the palm lies farther out than the knuckle
                inner = (p - joints[0]) @ turns.matrix(REST.turns[0, 5 + 3 * f])[:, 2]
                bends.append(ramp(s - 0.5 * np.clip(inner, 0, 12), -9.0, 11.0))
            else:
                bends.append(ramp(s, -0.85 * radii[k], 0.85 * radii[k]))
        first = 5 + 3 * f
        chains[f, :, 1 + f] = 1 - bends[0]
        chains[f, :, first] = bends[0] * (1 - bends[1])
        chains[f, :, first + 1] = bends[0] * bends[1] * (1 - bends[2])
        chains[f, :, first + 2] = bends[0] * bends[1] * bends[2]
        near = []
        for k in range(3):
            d, t = to_segment(p, joints[k], joints[k + 1])
            near.append(d - (radii[k] + t * (radii[k + 1] - radii[k])))
        apart[f] = np.min(near, axis=0)
        metacarpal[f] = to_segment(p, 0.15 * joints[0], joints[0])[0]
    share = np.clip(1 - (apart - apart.min(axis=0)) / 8.0, 0, 1) ** 2
    share /= share.sum(axis=0)
    lateral = np.exp(-(metacarpal - metacarpal.min(axis=0)) / 5.0)
    lateral /= lateral.sum(axis=0)
    weights = np.zeros((len(p), 20))
    for f in range(4):
        part = chains[f].copy()
        rigid = part[:, 1 + f].copy()
        part[:, 1 + f] = 0
        weights += share[f, :, None] * part
        weights[:, 1:5] += (share[f] * rigid)[:, None] * lateral.T
    _add_thumb(weights, p, apart.min(axis=0))
    arm_share = 1 - ramp(p[:, 1], -13.0, 9.0)
    weights *= (1 - arm_share)[:, None]
    weights[:, 0] += arm_share
    for _ in range(4):
        weights = 0.5 * weights + 0.5 * neighbours_mean(weights, triangles)
    return weights


def _add_thumb(weights: Array, p: Array, to_fingers: Array) -> None:
    """Give the thumb's bones their share of each vertex; `to_fingers` is how far each lies from the other fingers."""
    # The thumb: its ball and web go half with it, half with the palm.
    a, b, c, d = JOINTS[17:21]
    to_thumb, t = to_segment(p, a - 0.15 * (b - a), b)
    to_palm = np.min([to_segment(p, 0.1 * JOINTS[j], JOINTS[j])[0] for j in (1, 5)], axis=0)
    beyond = np.minimum(to_segment(p, b, c)[0] - 10.5, to_segment(p, c, d)[0] - 8.5)
    thumb = ramp(to_palm / (to_thumb + to_palm), 0.22, 0.72) * ramp((p - a) @ turns.unit(b - a), -12.0, 22.0)
    thumb = np.maximum(thumb, ramp(-beyond, -9.0, -3.5) * (t > 0.5))
    axes = turns.unit(np.diff(JOINTS[17:21], axis=0))
    mcp = ramp((p - b) @ turns.unit(axes[0] + axes[1]), -9.0, 9.0)
    ip = ramp((p - c) @ turns.unit(axes[1] + axes[2]), -8.0, 8.0)
    near_thumb = np.minimum(to_thumb, beyond + 9.0) < 30  # the bends' planes cut the fingers, too
    mcp, ip = mcp * near_thumb, ip * near_thumb
    fingers = weights[:, 5:17].sum(axis=1)
    thumb = np.where(to_fingers < np.minimum(beyond, to_thumb - 10), thumb * (1 - fingers), thumb)
    weights *= (1 - thumb)[:, None]
    weights[:, 17] = thumb * (1 - mcp)
    weights[:, 18] = thumb * mcp * (1 - ip)
    weights[:, 19] = thumb * mcp * ip


def label(p: Array, weights: Array) -> Array:
    """(V, 7): how much of each part a vertex is; the thumb begins halfway along its first bone."""
    a, b = JOINTS[17:19]
    ball = ramp((p - a) @ (b - a) / ((b - a) @ (b - a)), 0.45, 0.65)
    thumb = weights[:, 18:].sum(axis=1) + ball * weights[:, 17]
    fingers = [weights[:, 5 + 3 * f : 8 + 3 * f].sum(axis=1) for f in range(4)]
    palm_part = weights[:, 1:5].sum(axis=1) + (1 - ball) * weights[:, 17]
    return np.stack([*fingers, thumb, palm_part, weights[:, 0]], axis=1)
