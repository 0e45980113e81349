"""A right hand of 21 joints: its bones, how far they bend, and random poses that a person could hold.

Hand axes: origin at the wrist, x towards the thumb, y towards the fingertips, z out of the palm. The palm's
layout and the bone lengths follow the real hands of MSRA's 2014 recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError

#: Wrist-to-knuckle layout of a mean hand, mm: index, middle, ring, little, thumb.
_ROOTS = np.array([[27, 67, 0], [8, 74, 2], [-11, 71, 1], [-29, 62, -2], [20, 17, 9]], np.float64)
#: Bone lengths beyond these, root to tip, mm.
_LENGTHS = np.array([[38, 23, 19], [41, 26, 20], [38, 25, 20], [30, 19, 18], [38, 30, 24]], np.float64)
#: How the straight fingers fan out, degrees towards the thumb.
_FAN = np.array([6.0, 1.0, -4.0, -10.0])
#: Flesh around each joint, mm, in the order of the joints.
_RADII = np.array(
    [15.5, 10.5, 8.6, 7.4, 6.0, 10.8, 8.8, 7.5, 6.1, 10.2, 8.2, 7.1, 5.8, 9.2, 7.2, 6.2, 5.1, 15, 11.5, 9.2, 7.0]
)

#: The angles of a pose, degrees, and their limits. A finger's last joint follows its middle one at two thirds.
ANGLES: tuple[str, ...] = (
    *(f"{f}_{a}" for f in ("index", "middle", "ring", "little") for a in ("spread", "mcp", "pip")),
    "thumb_spread", "thumb_lift", "thumb_mcp", "thumb_ip",
)  # fmt: skip
LIMITS: NDArray[np.float64] = np.array(
    [[-15, 15], [-15, 90], [0, 105]] * 4 + [[0, 60], [0, 65], [-5, 60], [-15, 80]], np.float64
)
_DIP_PER_PIP = 2 / 3

# What each family holds, as (mcp, pip) of index, middle, ring, little, then the thumb's four angles.
_UP, _DOWN, _HALF = (3, 6), (82, 98), (45, 55)
_THUMB_OUT, _THUMB_ASIDE, _THUMB_OVER = (52, 12, 4, 4), (18, 22, 10, 10), (52, 45, 46, 66)
_FAMILIES: dict[str, tuple[tuple[int, ...], ...]] = {
    "open": (_UP, _UP, _UP, _UP, _THUMB_OUT),
    "fist": (_DOWN, _DOWN, _DOWN, _DOWN, _THUMB_OVER),
    "point": (_UP, _DOWN, _DOWN, _DOWN, _THUMB_OVER),
    "two": (_UP, _UP, _DOWN, _DOWN, _THUMB_OVER),
    "three": (_UP, _UP, _UP, _DOWN, _THUMB_OVER),
    "four": (_UP, _UP, _UP, _UP, (24, 52, 45, 40)),
    "L": (_UP, _DOWN, _DOWN, _DOWN, _THUMB_OUT),
    "Y": (_DOWN, _DOWN, _DOWN, _UP, _THUMB_OUT),
    "thumb": (_DOWN, _DOWN, _DOWN, _DOWN, _THUMB_OUT),
    "pinch": ((44, 48), (30, 35), (20, 28), (14, 22), (35, 51, 20, 30)),
    "claw": ((10, 75), (8, 78), (8, 78), (10, 72), (40, 35, 15, 35)),
    "relaxed": ((22, 28), (28, 32), (32, 34), (34, 32), _THUMB_ASIDE),
    "grasp": (_HALF, _HALF, _HALF, _HALF, (34, 55, 15, 25)),
}
#: Names of the pose families; "free" draws every finger by itself.
FAMILIES: tuple[str, ...] = (*_FAMILIES, "free")


@dataclass(frozen=True)
class HandShape:
    """The size of one person's hand.

    Parameters
    ----------
    roots : (5, 3) float64
        Knuckles of index, middle, ring and little finger, and the thumb's root, from the wrist; hand axes, mm.
    lengths : (5, 3) float64
        Bones from these to the tips, mm.
    radii : (21,) float64
        Flesh around each joint, mm.
    """

    roots: NDArray[np.float64]
    lengths: NDArray[np.float64]
    radii: NDArray[np.float64]


def mean_shape() -> HandShape:
    """An average adult's hand."""
    return HandShape(_ROOTS.copy(), _LENGTHS.copy(), _RADII.copy())


def random_shape(rng: np.random.Generator) -> HandShape:
    """A hand between a small and a large adult's, its fingers longer or shorter and thicker or thinner."""
    size = rng.uniform(0.86, 1.12)
    palm = np.array([rng.uniform(0.94, 1.07), 1.0, 1.0])
    fingers = rng.uniform(0.95, 1.06) * rng.uniform(0.97, 1.03, (5, 1))
    return HandShape(_ROOTS * palm * size, _LENGTHS * fingers * size, _RADII * (size * rng.uniform(0.92, 1.08)))


def pose_hand(shape: HandShape, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joint positions of a posed hand: forward kinematics.

    Parameters
    ----------
    shape
        The hand.
    angles : (16,)
        Degrees, as `ANGLES` names them; the caller keeps them within `LIMITS`.

    Returns
    -------
    (21, 3) float64
        Joints in the order of skeleton msra21, hand axes, mm.
    """
    angles = np.asarray(angles, np.float64)
    if angles.shape != (len(ANGLES),):
        raise UsageError(f"a pose has {len(ANGLES)} angles, got an array of shape {angles.shape}")
    joints = np.zeros((21, 3))
    spread, mcp, pip = np.radians(angles[:12].reshape(4, 3)).T
    # Bent fingers close ranks: what spreads a straight finger hardly moves a bent one.
    side = (np.radians(_FAN) + spread) * np.cos(mcp)
    bend = np.cumsum([mcp, pip, _DIP_PER_PIP * pip], axis=0).T  # (4 fingers, 3 bones), from straight
    along = np.stack([np.sin(side), np.cos(side), np.zeros(4)], axis=1)
    direction = np.cos(bend)[..., None] * along[:, None] + np.sin(bend)[..., None] * [0.0, 0.0, 1.0]
    chain = np.cumsum(shape.lengths[:4, :, None] * direction, axis=1)
    joints[1:17] = np.concatenate([shape.roots[:4, None], shape.roots[:4, None] + chain], axis=1).reshape(16, 3)
    joints[17:] = _thumb(shape, np.radians(angles[12:]))
    return joints


def _thumb(shape: HandShape, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 3): the thumb bends in a plane of its own, which faces the fingers and not the palm."""
    spread, lift, mcp, ip = angles
    along = np.array([np.sin(spread) * np.cos(lift), np.cos(spread) * np.cos(lift), np.sin(lift)])
    # The more it is lifted out of the palm, the more its bending brings it back over the fingers.
    across = np.array([-1.0, 0.15, 0.25 - 0.9 * np.sin(lift)])
    across -= (across @ along) * along
    across /= np.linalg.norm(across)
    bend = np.array([0.0, mcp, mcp + ip])[:, None]
    bones = shape.lengths[4, :, None] * (np.cos(bend) * along + np.sin(bend) * across)
    return np.concatenate([shape.roots[4:], shape.roots[4] + np.cumsum(bones, axis=0)])


def family_angles(family: str) -> NDArray[np.float64]:
    """(16,) degrees: the pose at the heart of a family."""
    *fingers, thumb = _FAMILIES[family]
    return np.array([a for mcp, pip in fingers for a in (0.0, mcp, pip)] + list(thumb), np.float64)


def random_angles(family: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """(16,) degrees: a random pose of a family, within `LIMITS`.

    A quarter of the poses are on their way to another family, as frames of a film are.
    """
    if family == "free":
        angles = LIMITS[:, 0] + (LIMITS[:, 1] - LIMITS[:, 0]) * rng.uniform(size=len(LIMITS))
        curl = rng.uniform(-10, 80, 2)  # of the hand as a whole: neighbours share tendons
        angles[1:12:3] = 0.5 * angles[1:12:3] + 0.5 * curl[0]
        angles[2:12:3] = 0.5 * angles[2:12:3] + 0.5 * curl[1]
    else:
        angles = family_angles(family)
        if rng.uniform() < 0.25:
            other = list(_FAMILIES)[rng.integers(len(_FAMILIES))]
            angles += rng.uniform(0, 0.8) * (family_angles(other) - angles)
        angles += rng.normal(0, 6, len(LIMITS))
    # Spread fingers fan out together; only a little is each finger's own, so that they do not cross.
    angles[:12:3] = rng.uniform(-4, 11) * np.array([1, 0.2, -0.5, -1.2]) + rng.normal(0, 1.5, 4)
    return np.clip(angles, LIMITS[:, 0], LIMITS[:, 1])


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3, 3): hand axes to camera axes. The palm, or less often the back, faces the camera within some 70 degrees."""
    facing = 0.0 if rng.uniform() < 0.7 else np.pi
    yaw = facing + np.radians(np.clip(rng.normal(0, 32), -90, 90))
    pitch = np.radians(np.clip(rng.normal(0, 28), -60, 60))
    roll = np.radians(np.clip(rng.normal(0, 35), -120, 120))
    upright = np.diag([1.0, -1.0, -1.0])  # fingers up in the image, palm towards the camera
    turn = _about(1, yaw)
    return _about(2, roll) @ _about(0, pitch) @ upright @ turn


def _about(axis: int, angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    m = np.eye(3)
    m[a, a] = m[b, b] = c
    m[b, a], m[a, b] = s, -s
    return m
