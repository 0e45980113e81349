"""The bones of a right hand: their sizes, the angles between them, how far these go, and forward kinematics.

Palm axes: origin at the wrist, x towards the thumb, y towards the fingertips, z out of the palm. A bone's own axes:
y along it, z where it bends to, x what it bends about. The mean palm's layout and bone lengths follow the real
hands of MSRA's 2014 recordings. All is batched and made of array operations alone; see `gmaps.synth.turns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError
from gmaps.synth import turns

Array = NDArray[np.float64]
FINGERS = ("index", "middle", "ring", "little", "thumb")

#: Bones: the forearm, four metacarpals (rigid with the palm), three phalanges a finger, the thumb's three.
BONES: tuple[str, ...] = (
    "forearm",
    *(f"{f}_metacarpal" for f in FINGERS[:4]),
    *(f"{f}_{b}" for f in FINGERS[:4] for b in ("proximal", "middle", "distal")),
    "thumb_metacarpal", "thumb_proximal", "thumb_distal",
)  # fmt: skip
FOREARM, METACARPALS, PHALANGES = 0, slice(1, 5), slice(5, 20)
#: The bone that each bone hangs on; -1 is the palm.
PARENTS: NDArray[np.int64] = np.array(
    [-1, -1, -1, -1, -1, *(b for f in range(5) for b in (-1, 5 + 3 * f, 6 + 3 * f))]
)
#: The joints (of skeleton msra21) where a bone begins and ends; the forearm's end is none.
STARTS: NDArray[np.int64] = np.array([0, 0, 0, 0, 0, *(1 + 4 * f + k for f in range(5) for k in range(3))])
ENDS: NDArray[np.int64] = np.array([-1, 1, 5, 9, 13, *(2 + 4 * f + k for f in range(5) for k in range(3))])

#: Knuckles of index, middle, ring and little finger, and the thumb's root, from the wrist: a mean hand, mm.
MEAN_ROOTS: Array = np.array([[27, 67, 0], [8, 74, 2], [-11, 71, 1], [-29, 62, -2], [20, 17, 9]], np.float64)
#: Bone lengths beyond these, root to tip, mm.
MEAN_LENGTHS: Array = np.array([[38, 23, 19], [41, 26, 20], [38, 25, 20], [30, 19, 18], [38, 30, 24]], np.float64)
#: Flesh around each joint of the mean hand, mm.
MEAN_RADII: Array = np.array(
    [15.5, 10.3, 9.3, 8.2, 6.8, 10.5, 9.5, 8.3, 7.0, 10.1, 9.0, 7.8, 6.6, 9.2, 7.9, 7.0, 5.9, 13.5, 11.3, 10.0, 7.8]
)
#: How the straight fingers fan out, degrees towards the thumb.
FAN: Array = np.array([6.0, 1.0, -4.0, -10.0])
#: The thumb's turn about its own axis, degrees, and how much more of it a degree of lift brings: opposition.
THUMB_TURN, THUMB_TURN_PER_LIFT = -72.0, -0.55
#: A finger's last joint follows its middle one.
DIP_PER_PIP = 2 / 3

#: The angles of a pose beside the whole hand's three, degrees, and their limits.
ANGLES: tuple[str, ...] = (
    "wrist_flexion", "wrist_deviation",
    *(f"{f}_{a}" for f in FINGERS[:4] for a in ("spread", "mcp", "pip", "dip")),
    "thumb_spread", "thumb_lift", "thumb_twist", "thumb_mcp", "thumb_ip",
)  # fmt: skip
LIMITS: Array = np.array(
    [[-60, 60], [-25, 20], *([[-18, 18], [-30, 92], [-5, 108], [-8, 80]] * 4),
     [-10, 75], [-20, 70], [-20, 20], [-15, 80], [-20, 85]],
    np.float64,
)  # fmt: skip
#: Where each group of angles stands in a pose.
WRIST, FINGER_ANGLES, THUMB_ANGLES = slice(0, 2), slice(2, 18), slice(18, 23)


@dataclass(frozen=True)
class HandShape:
    """The size of one person's hand.

    Parameters
    ----------
    roots : (5, 3) float64
        Knuckles of index, middle, ring and little finger, and the thumb's root, from the wrist; palm axes, mm.
    lengths : (5, 3) float64
        Bones from these to the tips, mm.
    girth : (20, 3) float64
        How many times as wide (x), long (y; of the forearm alone, the others' follows from the joints) and thick (z)
        as the mean hand's the flesh around each bone is, in the bone's axes.
    """

    roots: Array
    lengths: Array
    girth: Array

    def __post_init__(self) -> None:
        for name, shape in (("roots", (5, 3)), ("lengths", (5, 3)), ("girth", (20, 3))):
            values = np.asarray(getattr(self, name), np.float64)
            if values.shape != shape or not np.isfinite(values).all():
                raise UsageError(f"a hand's {name} are finite numbers {shape}, got {values.shape}")
            object.__setattr__(self, name, values)
        if self.lengths.min() <= 0 or self.girth.min() <= 0:
            raise UsageError(f"bones are longer than 0 mm and girths positive, got {self.lengths.min()} mm")

    @property
    def radii(self) -> Array:
        """(21,) float64: flesh around each joint, mm, from its slimmer bone."""
        width = self.girth[:, [0, 2]].mean(axis=1)
        at = np.empty(21)
        at[0] = width[FOREARM]
        for finger in range(5):
            first = 5 + 3 * finger
            at[1 + 4 * finger : 5 + 4 * finger] = width[[first, first, first + 1, first + 2]]
        return MEAN_RADII * at


def mean_shape() -> HandShape:
    """An average adult's hand."""
    return HandShape(MEAN_ROOTS, MEAN_LENGTHS, np.ones((20, 3)))


class Pose(NamedTuple):
    """A batch of posed hands.

    Parameters
    ----------
    joints : (B, 21, 3) float64
        mm, in the order of skeleton msra21.
    turns : (B, 20, 4) float64
        Each bone's axes as a quaternion, in the order of `BONES`.
    palm : (B, 4) float64
        The palm's axes as a quaternion.
    """

    joints: Array
    turns: Array
    palm: Array


def pose_hand(roots: ArrayLike, lengths: ArrayLike, angles: ArrayLike) -> Pose:
    """Forward kinematics.

    Parameters
    ----------
    roots : (5, 3) or (B, 5, 3)
        As in `HandShape`, mm.
    lengths : (5, 3) or (B, 5, 3)
        Likewise.
    angles : (B, 23)
        Degrees, as `ANGLES` names them; the caller keeps them within `LIMITS`.

    Returns
    -------
    Pose
        In palm axes.

    Raises
    ------
    UsageError
        Angles of another shape.
    """
    a = np.radians(np.asarray(angles, np.float64))
    if a.ndim != 2 or a.shape[1] != len(ANGLES):
        raise UsageError(f"poses are (B, {len(ANGLES)}) angles, got an array of shape {a.shape}")
    count = len(a)
    palm = np.zeros((count, 4))
    palm[:, 0] = 1.0
    q = np.empty((count, 20, 4))
    q[:, METACARPALS] = palm[:, None]  # rigid
    q[:, FOREARM] = turns.product(turns.about(2, -a[:, 1]), turns.about(0, -a[:, 0]))
    # Five chains alike: to the side, out of the palm, about the bone's own axis, and two bends.
    fingers, thumb = a[:, FINGER_ANGLES].reshape(count, 4, 4), a[:, THUMB_ANGLES]
    side, lift, roll, bend, tip = np.zeros((5, count, 5))
    # Bent fingers close ranks: what spreads a straight finger hardly moves a bent one.
    side[:, :4] = (np.radians(FAN) + fingers[..., 0]) * np.cos(fingers[..., 1])
    lift[:, :4], bend[:, :4], tip[:, :4] = fingers[..., 1], fingers[..., 2], fingers[..., 3]
    side[:, 4], lift[:, 4], bend[:, 4], tip[:, 4] = thumb[:, 0], thumb[:, 1], thumb[:, 3], thumb[:, 4]
    roll[:, 4] = np.radians(THUMB_TURN) + THUMB_TURN_PER_LIFT * thumb[:, 1] + thumb[:, 2]
    chain = np.empty((count, 5, 3, 4))
    swing = turns.product(turns.about(2, -side), turns.about(0, lift))
    chain[:, :, 0] = turns.product(swing, turns.about(1, roll))
    chain[:, :, 1] = turns.product(chain[:, :, 0], turns.about(0, bend))
    chain[:, :, 2] = turns.product(chain[:, :, 1], turns.about(0, tip))
    q[:, PHALANGES] = chain.reshape(count, 15, 4)
    joints = np.zeros((count, 21, 3))
    bones = turns.along(chain) * np.asarray(lengths)[..., None]
    of_fingers = joints[:, 1:].reshape(count, 5, 4, 3)
    of_fingers[:, :, 0] = roots
    of_fingers[:, :, 1:] = np.asarray(roots)[..., None, :] + np.cumsum(bones, axis=2)
    return Pose(joints, q, palm)


def place_pose(pose: Pose, turn: ArrayLike, shift: ArrayLike) -> Pose:
    """Turn whole hands about their wrists, then shift them: palm axes to camera axes.

    Parameters
    ----------
    pose
        The hands.
    turn : (B, 4) or (4,)
        Quaternions.
    shift : (B, 3) or (3,)
        mm.
    """
    q = np.broadcast_to(np.asarray(turn, np.float64), pose.palm.shape)
    shift = np.broadcast_to(np.asarray(shift, np.float64), (len(q), 3))
    joints = turns.apply(q[:, None], pose.joints) + shift[:, None]
    return Pose(joints, turns.product(q[:, None], pose.turns), turns.product(q, pose.palm))


def follow_joints(joints: ArrayLike) -> tuple[Pose, Array, Array]:
    """Bones through any joints, a real hand's for example, whether or not joints can bend so.

    The palm's axes come from the wrist and the knuckles. Each bone turns as little against its parent as leads it
    through its two joints; the forearm prolongs the palm.

    Parameters
    ----------
    joints : (B, 21, 3)
        mm, in the order of skeleton msra21, any right-handed axes.

    Returns
    -------
    pose
        In the joints' axes; its joints are those given.
    roots, lengths : (B, 5, 3) float64
        As in `HandShape`.
    """
    p = np.asarray(joints, np.float64)
    if p.ndim != 3 or p.shape[1:] != (21, 3) or not np.isfinite(p).all():
        raise UsageError(f"a hand is 21 finite joints (21, 3) in mm, got {p.shape[1:]}: {p.ravel()[:3]}...")
    count = len(p)
    knuckles = p[:, [1, 5, 9, 13]] - p[:, :1]
    y = turns.unit(knuckles.mean(axis=1))
    x = knuckles[:, 0] - knuckles[:, 3]
    x = turns.unit(x - (x * y).sum(axis=-1, keepdims=True) * y)
    # All in one place, or in one line: any palm will do.
    x = np.where((x * x).sum(-1, keepdims=True) > 0.5, x, _across(y))
    palm = turns.from_matrix(np.stack([x, y, turns.cross(x, y)], axis=-1))
    back = turns.inverse(palm)[:, None]
    fingers = p[:, 1:].reshape(count, 5, 4, 3)
    bones = np.diff(fingers, axis=2)
    lengths = np.sqrt((bones * bones).sum(axis=-1))
    q = np.repeat(palm[:, None], 20, axis=1)
    # A finger's bone starts from the palm's axes. The thumb starts as a thumb does, its nail not to the back.
    parent = np.repeat(palm[:, None], 5, axis=1)
    parent[:, 4] = turns.product(palm, REST.turns[0, 17])
    for k in range(3):
        heading = turns.unit(bones[:, :, k])
        swing = turns.between(turns.along(parent), heading)
        parent = turns.unit(turns.product(swing, parent))
        q[:, 5 + k : 20 : 3] = parent
    return Pose(p, q, palm), turns.apply(back, fingers[:, :, 0] - p[:, :1]), lengths


def _across(y: Array) -> Array:
    """(B, 3): unit vectors at right angles to y; x where y is nothing."""
    least = np.eye(3)[np.argmin(np.abs(y), axis=-1)]
    return turns.unit(turns.cross(y, least) + np.where((y * y).sum(-1, keepdims=True) > 0, 0.0, [1.0, 0.0, 0.0]))


#: The pose in which the mesh was made: fingers apart and nearly straight, the thumb aside.
REST_ANGLES: Array = np.array([0, 0, 9, 6, 8, 5, 1, 6, 8, 5, -6, 6, 8, 5, -14, 6, 8, 5, 48, 26, 0, 8, 8], np.float64)
REST: Pose = pose_hand(MEAN_ROOTS, MEAN_LENGTHS, REST_ANGLES[None])
