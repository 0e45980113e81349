"""Angles and bones of real hands: what the synthetic hand must do to hold a labelled pose."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError
from gmaps.skeleton import get_skeleton
from gmaps.synth import turns
from gmaps.synth.hand import LIMITS, MEAN_LENGTHS, MEAN_ROOTS, HandShape, Pose, follow_joints, place_pose, pose_hand
from gmaps.synth.nyu_joints import nyu_joints
from gmaps.synth.poses import family_angles

Array = NDArray[np.float64]
#: What 10 degrees away from a relaxed hand weigh, against mm of distance: it decides what labels do not.
EASE = 0.02
#: Shares of the mean hand that 14 joints decide: size, fingers, palm; and how far they go.
_SIZES = np.array([[0.7, 1.5], [0.75, 1.3], [0.75, 1.3]])
_EVALUATION = np.array(get_skeleton("nyu36").evaluation)
# Joint angles of a pose that labels can show: the wrist's two they cannot.
_SHOWN = slice(2, 23)


class FittedHand(NamedTuple):
    """A hand that holds a labelled pose as well as joints that bend like a hand's can.

    Parameters
    ----------
    shape
        Its size.
    angles : (23,) float64
        Degrees, within `gmaps.synth.hand.LIMITS`.
    pose
        A batch of one, in the labels' axes.
    error_mm
        Root mean square distance from the labels.
    """

    shape: HandShape
    angles: Array
    pose: Pose
    error_mm: float


def fit_hand(joints: ArrayLike, skeleton: str = "msra21") -> FittedHand:
    """Find angles, and as much of the bones as labels show.

    Parameters
    ----------
    joints : (21, 3) or (14, 3)
        mm, any right-handed axes.
    skeleton
        "msra21": bones have the labels' own lengths. "nyu14": three shares of the mean hand are found beside the
        angles.

    Returns
    -------
    FittedHand
        The best of two descents, one from an open hand and one from a closed one.

    Raises
    ------
    UsageError
        Another skeleton, another number of joints, or numbers that are not finite.
    """
    p = np.asarray(joints, np.float64)
    if skeleton not in ("msra21", "nyu14"):
        raise UsageError(f"a hand is fitted to joints of msra21 or nyu14, not of {skeleton}")
    if p.shape != (len(get_skeleton(skeleton)), 3) or not np.isfinite(p).all():
        raise UsageError(f"{skeleton} has {len(get_skeleton(skeleton))} finite joints (J, 3), got {p.shape}")
    if skeleton == "msra21":
        pose, roots, lengths = follow_joints(p[None])
        return _descend(p, pose.palm[0], p[0], 0, lambda x: (roots, lengths), lambda made: made)
    wrist = 0.5 * (p[11] + p[12])
    y = turns.unit(p[13] - wrist)
    x = p[12] - p[11]
    x = turns.unit(x - (x @ y) * y)
    palm = turns.from_matrix(np.stack([x, y, turns.cross(x, y)], axis=-1))

    def sizes(x: Array) -> tuple[Array, Array]:
        size, finger, back = (x[:, k, None, None] for k in range(3))
        stretch = np.concatenate([np.ones_like(back), back, np.ones_like(back)], axis=-1)
        return MEAN_ROOTS * size * stretch, MEAN_LENGTHS * size * finger

    return _descend(p, palm, wrist, len(_SIZES), sizes, lambda made: nyu_joints(made)[:, _EVALUATION])


def _descend(
    labels: Array,
    palm: Array,
    wrist: Array,
    extra: int,
    bones: Callable[[Array], tuple[Array, Array]],
    show: Callable[[Array], Array],
) -> FittedHand:
    """Least squares over sizes, a turn and a shift of the palm's first guess, and angles."""
    from scipy.optimize import least_squares  # here, because it takes long to import

    easy = family_angles("relaxed")

    def pose_of(x: Array) -> Pose:
        angles = np.concatenate([np.zeros((len(x), 2)), x[:, extra + 6 :]], axis=1)
        made = pose_hand(*bones(x), angles)
        half = 0.5 * x[:, extra : extra + 3]
        small = turns.unit(np.concatenate([np.ones((len(x), 1)), half], axis=1))
        return place_pose(made, turns.product(palm, small), wrist + 10 * x[:, extra + 3 : extra + 6])

    def residual(x: Array) -> Array:
        gap = show(pose_of(x).joints) - labels
        ease = EASE * (x[:, extra + 6 :] - easy[_SHOWN])
        return np.concatenate([gap.reshape(len(x), -1), ease], axis=1)

    step = np.concatenate([np.full(extra + 6, 1e-5), np.full(21, 1e-3)])

    def slope(x: Array) -> Array:
        rows = residual(x + np.concatenate([np.diag(step), -np.diag(step)]))
        result: Array = ((rows[: len(x)] - rows[len(x) :]) / (2 * step[:, None])).T
        return result

    low = np.concatenate([_SIZES[:extra, 0], np.full(6, -20.0), LIMITS[_SHOWN, 0]])
    high = np.concatenate([_SIZES[:extra, 1], np.full(6, 20.0), LIMITS[_SHOWN, 1]])
    found = []
    for family in ("relaxed", "fist"):
        start = np.concatenate([np.ones(extra), np.zeros(6), family_angles(family)[_SHOWN]])
        descent = least_squares(
            lambda x: residual(x[None])[0], np.clip(start, low + 1e-6, high - 1e-6), slope, (low, high),
            x_scale=np.concatenate([np.full(extra, 0.1), np.full(6, 0.3), np.full(21, 15.0)]), max_nfev=60,
        )  # fmt: skip
        found.append(descent)
    best = min(found, key=lambda d: d.cost)
    x = best.x[None]
    pose = pose_of(x)
    roots, lengths = (np.broadcast_to(b, (1, 5, 3))[0] for b in bones(x))
    reach = np.sqrt((roots[:4] ** 2).sum(-1)).mean() / np.sqrt((MEAN_ROOTS[:4] ** 2).sum(-1)).mean()
    error = float(np.sqrt(((show(pose.joints)[0] - labels) ** 2).sum(-1).mean()))
    angles = np.concatenate([[0.0, 0.0], best.x[extra + 6 :]])
    return FittedHand(HandShape(roots, lengths, np.full((20, 3), reach)), angles, pose, error)
