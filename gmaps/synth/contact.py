"""Fingers do not pass through each other or the palm: how deep their flesh overlaps, and poses freed of that.

Each bone is a capsule that tapers like its flesh. Neighbours along a finger touch by nature and are not compared, nor
are the parts of neighbouring fingers that the web joins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.synth import turns
from gmaps.synth.hand import FAN, LIMITS, THUMB_TURN_PER_LIFT, HandShape, Pose, pose_hand

Array = NDArray[np.float64]
#: Flesh gives way by this much, mm.
SOFT = 1.0
#: Steps of the projection, and its damping, mm^2: what a pose must not turn far for.
_STEPS, _DAMPING = 10, 20.0
#: Joints between which each capsule runs, and the share of its length where its free part begins: four fingers, the
#: thumb, the palm, and its edge below the little finger, which starts at a point of its own: see `_with_heel`.
_CAPSULES = [
    *((1 + 4 * f + k, 2 + 4 * f + k, 0.4 if k == 0 else 0.0) for f in range(4) for k in range(3)),
    (17, 18, 0.4), (18, 19, 0.15), (19, 20, 0.0),
    *((0, 1 + 4 * f, 0.15) for f in range(4)), (21, 13, 0.0),
]  # fmt: skip
FROM, TO = (np.array([c[k] for c in _CAPSULES]) for k in (0, 1))
START = np.array([c[2] for c in _CAPSULES])
#: Which of them are the palm's.
IN_PALM = (FROM == 0) | (FROM == 21)
#: The palm's flesh around a metacarpal, at the wrist and at the knuckle, in radii of that knuckle.
PALM = (1.9, 1.5)


def _pairs() -> NDArray[np.int64]:
    """Pairs of capsules that can meet and must not; the last bones of fingers are tested against the whole palm."""
    pairs = [(i, j) for i in range(15) for j in range(i + 1, 15) if i // 3 != j // 3]
    pairs = [(i, j) for i, j in pairs if j != 12 or i % 3 == 2]  # only tips reach the thumb's ball
    for palm in range(15, 20):
        pairs += [(i, palm) for i in (2, 5, 8, 11, 14)]
        # A middle bone folds onto its own knuckle.
        pairs += [(3 * f + 1, palm) for f in range(4) if f != min(palm - 15, 3)]
    pairs += [(13, palm) for palm in (16, 17, 18)]
    return np.array(pairs)


PAIRS = _pairs()


class Contacts(NamedTuple):
    """How the flesh of `PAIRS` meets.

    Parameters
    ----------
    depth : (B, P) float64
        Overlap, mm; negative where there is room.
    first, second : (B, P, 3) float64
        The nearest points on the two bones, mm.
    """

    depth: Array
    first: Array
    second: Array


def contacts(joints: Array, radii: Array) -> Contacts:
    """Where the flesh of hands (B, 21, 3), mm, thick as `radii` (21,), meets itself, and how deep."""
    joints = _with_heel(joints)
    start, end = joints[:, FROM], joints[:, TO]
    start = start + START[:, None] * (end - start)
    r_from = radii[np.where(IN_PALM, 0, FROM)]
    r_from = np.where(IN_PALM, PALM[0] * radii[TO], r_from + START * (radii[TO] - r_from))
    r_more = np.where(IN_PALM, PALM[1] * radii[TO], radii[TO]) - r_from
    i, j = PAIRS.T
    a, u, c, v = start[:, i], (end - start)[:, i], start[:, j], (end - start)[:, j]
    s, t = nearest(a, u, c, v)
    p, q = a + s[..., None] * u, c + t[..., None] * v
    gap = np.sqrt(((p - q) ** 2).sum(-1))
    return Contacts(r_from[i] + s * r_more[i] + r_from[j] + t * r_more[j] - gap, p, q)


def _with_heel(joints: Array) -> Array:
    """(B, 22, 3): the joints, and a point in the flesh at the outer side of the wrist."""
    wrist, index, little = joints[:, 0], joints[:, 1], joints[:, 13]
    heel = wrist + 0.3 * (little - index) + 0.15 * (little - wrist)
    return np.concatenate([joints, heel[:, None]], axis=1)


def nearest(a: Array, u: Array, c: Array, v: Array) -> tuple[Array, Array]:
    """Shares s, t from 0 to 1 where the segments a + s u and c + t v come nearest.

    After Ericson, "Real-Time Collision Detection", 5.1.9.
    """
    w = a - c
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    uu, vv = np.maximum(uu, 1e-12), np.maximum(vv, 1e-12)
    s = np.clip((uv * vw - uw * vv) / np.maximum(uu * vv - uv * uv, 1e-9 * uu * vv), 0, 1)
    t = np.clip((uv * s + vw) / vv, 0, 1)
    return np.clip((uv * t - uw) / uu, 0, 1), t


def penetration(joints: Array, radii: Array) -> Array:
    """(B,) float64 mm: the deepest overlap of each hand (B, 21, 3) with flesh `radii` (21,); negative if none."""
    result: Array = contacts(joints, radii).depth.max(axis=1)
    return result


def free_pose(shape: HandShape, angles: Array) -> tuple[Array, Pose]:
    """A pose near `angles` in which no flesh overlaps by more than `SOFT`.

    Where flesh overlaps, the angles that part it turn, each as it can (damped least squares on the contacts); a pose
    that this does not free in a few steps opens as far as it must.

    Parameters
    ----------
    shape
        Whose hand.
    angles : (23,)
        Degrees, within `LIMITS`.

    Returns
    -------
    angles : (23,) float64
        Degrees, within `LIMITS`.
    pose
        The hand that holds it, a batch of one, palm axes.
    """
    radii = shape.radii
    for _ in range(_STEPS):
        pose = pose_hand(shape.roots, shape.lengths, angles[None])
        found = contacts(pose.joints, radii)
        deep = found.depth[0]
        if deep.max() <= SOFT:
            return angles, pose
        k = np.flatnonzero(deep > 0.25 * SOFT)
        grow = _levers(pose, angles, k, found)
        # Depth shall shrink to half of what is allowed; far from touching, nothing turns.
        need = deep[k] - 0.5 * SOFT
        turn = grow.T @ np.linalg.solve(grow @ grow.T + _DAMPING * np.eye(len(k)), need)
        angles = np.clip(angles + np.clip(np.degrees(turn), -15, 15), LIMITS[:, 0], LIMITS[:, 1])
    way = angles + np.linspace(0, 1, 11)[:, None] * (_open(angles) - angles)
    pose = pose_hand(shape.roots, shape.lengths, way)
    deep = penetration(pose.joints, radii)
    free = np.flatnonzero(deep <= SOFT)
    best = int(free[0]) if len(free) else int(np.argmin(deep))
    return way[best], Pose(*(part[best : best + 1] for part in pose))


def _open(angles: Array) -> Array:
    """The open hand, fingers spread, the wrist as it is."""
    calm = np.array([0.0, 0, 9, 5, 8, 5, 2, 5, 8, 5, -5, 5, 8, 5, -12, 5, 8, 5, 45, 20, 0, 6, 6])
    calm[:2] = angles[:2]
    return calm


def _levers(pose: Pose, angles: Array, k: NDArray[np.int64], found: Contacts) -> Array:
    """(K, 23): by how much a radian of each angle makes contacts k shallower, mm."""
    axes = np.zeros((23, 3))
    q = pose.turns[0]
    flex = turns.apply(q, np.array([1.0, 0.0, 0.0]))
    spread, mcp = np.radians(FAN + angles[2:18:4]), np.radians(angles[3:18:4])
    axes[2:18:4, 2] = -np.cos(mcp)
    axes[3:18:4], axes[4:18:4], axes[5:18:4] = flex[5:17:3], flex[6:17:3], flex[7:17:3]
    axes[3:18:4, 2] += spread * np.sin(mcp)  # bent fingers close ranks
    out = np.radians(angles[18])
    axes[18], axes[20] = [0.0, 0.0, -1.0], turns.along(q[17])
    axes[19] = [np.cos(out), -np.sin(out), 0.0] + THUMB_TURN_PER_LIFT * axes[20]
    axes[21], axes[22] = flex[18], flex[19]
    origin = pose.joints[0, _PIVOT]
    i, j = PAIRS[k].T
    p, r = found.first[0, k], found.second[0, k]
    away = turns.unit(p - r)
    first = turns.cross(axes[None], p[:, None] - origin) * _MOVES[i][..., None]
    second = turns.cross(axes[None], r[:, None] - origin) * _MOVES[j][..., None]
    result: Array = (away[:, None] * (first - second)).sum(-1)
    return result


#: The joint about which each angle turns, and which angles move each capsule.
_PIVOT = np.array(
    [0, 0, *(j for f in range(4) for j in (1 + 4 * f, 1 + 4 * f, 2 + 4 * f, 3 + 4 * f)), 17, 17, 17, 18, 19]
)
_MOVES = np.zeros((20, 23))
for _f in range(4):
    for _k in range(3):
        _MOVES[3 * _f + _k, 2 + 4 * _f : 4 + 4 * _f + _k] = 1
for _k in range(3):
    _MOVES[12 + _k, 18 : 21 + _k] = 1
