"""Random people, poses that they can hold, and the sides from which they are seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError
from gmaps.synth import turns
from gmaps.synth.contact import free_pose
from gmaps.synth.hand import (
    DIP_PER_PIP,
    FOREARM,
    LIMITS,
    MEAN_LENGTHS,
    MEAN_ROOTS,
    METACARPALS,
    PHALANGES,
    THUMB_ANGLES,
    WRIST,
    HandShape,
    Pose,
)

Array = NDArray[np.float64]

#: Parameters of a person's hand beside each bone's own length: shares of the mean hand, and their limits.
SHAPES: tuple[str, ...] = (
    "size", "finger_length", "finger_thickness", "palm_length", "palm_width", "palm_thickness", "finger_spacing",
    "mass",
)  # fmt: skip
SHAPE_LIMITS: Array = np.array(
    [[0.84, 1.14], [0.93, 1.08], [0.90, 1.05], [0.94, 1.06], [0.96, 1.07], [0.92, 1.10], [0.98, 1.06], [0.95, 1.06]]
)
#: Each bone's own share, beside these.
BONE_LIMITS = (0.97, 1.03)

# What each family holds, as (mcp, pip) of index, middle, ring, little, then the thumb's five angles.
_UP, _DOWN, _HALF = (3, 6), (82, 98), (45, 55)
_THUMB_OUT, _THUMB_ASIDE, _THUMB_OVER = (53, 9, 0, 4, 4), (24, 22, 0, 10, 10), (55, 50, 3, 35, 54)
_FAMILIES: dict[str, tuple[tuple[int, ...], ...]] = {
    "open": (_UP, _UP, _UP, _UP, _THUMB_OUT),
    "fist": (_DOWN, _DOWN, _DOWN, _DOWN, _THUMB_OVER),
    "point": (_UP, _DOWN, _DOWN, _DOWN, _THUMB_OVER),
    "two": (_UP, _UP, _DOWN, _DOWN, _THUMB_OVER),
    "three": (_UP, _UP, _UP, _DOWN, (46, 52, 0, 40, 46)),
    "four": (_UP, _UP, _UP, _UP, (30, 52, 0, 40, 36)),
    "L": (_UP, _DOWN, _DOWN, _DOWN, _THUMB_OUT),
    "Y": (_DOWN, _DOWN, _DOWN, _UP, _THUMB_OUT),
    "thumb": (_DOWN, _DOWN, _DOWN, _DOWN, _THUMB_OUT),
    "little": (_DOWN, _DOWN, _DOWN, _UP, _THUMB_OVER),
    "pinch": ((46, 50), (30, 35), (20, 28), (14, 22), (43, 51, 0, 17, 28)),
    "claw": ((10, 75), (8, 78), (8, 78), (10, 72), (40, 35, 0, 15, 35)),
    "relaxed": ((22, 28), (28, 32), (32, 34), (34, 32), _THUMB_ASIDE),
    "grasp": (_HALF, _HALF, _HALF, _HALF, (40, 50, 0, 15, 25)),
    "hook": ((-8, 92), (-8, 94), (-8, 94), (-6, 90), _THUMB_ASIDE),
    "flat": ((70, 8), (75, 8), (76, 8), (77, 10), (30, 22, 0, 6, 8)),
}
#: Names of the pose families; "free" draws every finger by itself.
FAMILIES: tuple[str, ...] = (*_FAMILIES, "free")


def make_shape(values: ArrayLike, bones: ArrayLike | None = None) -> HandShape:
    """A hand of given proportions.

    Parameters
    ----------
    values : (8,)
        As `SHAPES` names them, 1 for the mean hand. Spacing is of the knuckles, beyond the palm's width; mass
        thickens palm, thumb's ball and forearm, and the fingers half as much.
    bones : (5, 3), optional
        The bones' own shares of their lengths; 1 by default.

    Raises
    ------
    UsageError
        Another number of values, or one that is not positive.
    """
    p = np.asarray(values, np.float64)
    own = np.ones((5, 3)) if bones is None else np.asarray(bones, np.float64)
    if p.shape != (len(SHAPES),) or not (np.isfinite(p).all() and p.min() > 0):
        raise UsageError(f"a hand's shape is {len(SHAPES)} positive numbers ({', '.join(SHAPES)}), got {p}")
    size, finger_length, finger_thickness, palm_length, palm_width, palm_thickness, spacing, mass = p
    roots = MEAN_ROOTS * [palm_width, palm_length, palm_thickness] * size
    roots[:4, 0] *= spacing
    girth = np.ones((20, 3))
    girth[PHALANGES] = size * finger_thickness * np.sqrt(mass)
    girth[METACARPALS] = [size * palm_width * spacing, size, size * palm_thickness * mass]
    girth[17] = size * np.sqrt(finger_thickness * palm_thickness) * mass
    girth[FOREARM] = [size * palm_width * mass, size, size * palm_thickness * mass]
    return HandShape(roots, MEAN_LENGTHS * own * finger_length * size, girth)


def random_proportions(rng: np.random.Generator) -> tuple[Array, Array]:
    """Proportions (8,) and bones' shares (5, 3) of a hand between a small and a large adult's: see `make_shape`."""
    low, high = SHAPE_LIMITS.T
    values = low + (high - low) * rng.uniform(size=len(SHAPES))
    return values, rng.uniform(*BONE_LIMITS, (5, 3))


def random_shape(rng: np.random.Generator) -> HandShape:
    """A hand between a small and a large adult's, of its own proportions."""
    return make_shape(*random_proportions(rng))


def family_angles(family: str) -> Array:
    """(23,) degrees: the pose at the heart of a family."""
    *fingers, thumb = _FAMILIES[family]
    bent = [a for mcp, pip in fingers for a in (0.0, mcp, pip, min(DIP_PER_PIP * pip, 78.0))]
    return np.array([0.0, 0.0, *bent, *thumb])


def random_angles(family: str, rng: np.random.Generator) -> Array:
    """(23,) degrees: a random pose of a family, within `LIMITS`; fingers may still meet, see `random_pose`.

    A quarter of the poses are on their way to another family, as frames of a film are.
    """
    low, high = LIMITS.T
    if family == "free":
        angles = low + (high - low) * rng.uniform(size=len(LIMITS))
        curl = rng.uniform(-10, 80, 2)  # of the hand as a whole: neighbours share tendons
        angles[3:18:4] = 0.5 * angles[3:18:4] + 0.5 * curl[0]
        angles[4:18:4] = 0.5 * angles[4:18:4] + 0.5 * curl[1]
    else:
        angles = family_angles(family)
        if rng.uniform() < 0.25:
            other = list(_FAMILIES)[rng.integers(len(_FAMILIES))]
            angles += rng.uniform(0, 0.8) * (family_angles(other) - angles)
        angles += rng.normal(0, 7, len(LIMITS))
        angles[3:18:4] += rng.normal(-3, 10)  # knuckles together
        if rng.uniform() < 0.25:
            angles[THUMB_ANGLES] += rng.normal(0, 20, 5) * [0.5, 0.5, 0.3, 1, 1]
            angles[21] = rng.uniform(*LIMITS[21])
    # Spread fingers fan out together; only a little is each finger's own.
    angles[2:18:4] = rng.uniform(-5, 12) * np.array([1, 0.25, -0.5, -1.25]) + rng.normal(0, 2, 4)
    angles[5:18:4] = DIP_PER_PIP * angles[4:18:4] + rng.normal(0, 5, 4)
    angles[WRIST] = rng.normal(0, [18, 7])
    result: Array = np.clip(angles, low, high)
    return result


def random_pose(family: str, shape: HandShape, rng: np.random.Generator) -> tuple[Array, Pose]:
    """A random pose of a family that this hand can hold, no finger passing through another: see `free_pose`."""
    return free_pose(shape, random_angles(family, rng))


def random_turn(rng: np.random.Generator) -> Array:
    """(4,): palm axes to camera axes.

    Two thirds show the palm or, less often, the back, upright, with the fingers somewhat towards the camera as hands
    before a screen have them; one sixth point at the camera; one sixth are seen from anywhere.
    """
    kind = rng.uniform()
    facing = 0.0 if rng.uniform() < 0.7 else np.pi
    yaw, pitch, roll = rng.normal(0, np.radians([36, 26, 50]))
    if kind < 1 / 6:
        q = turns.unit(rng.normal(size=4))
        return q if q[0] >= 0 else -q
    pitch += np.radians(58.0 if kind < 1 / 3 else 14.0)
    upright = turns.about(0, np.pi)  # fingers up in the image, palm towards the camera
    turn = turns.product(upright, turns.about(1, facing + yaw))
    return turns.product(turns.about(2, roll), turns.product(turns.about(0, pitch), turn))
