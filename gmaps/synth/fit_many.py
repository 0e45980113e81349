"""Angles and bones of many real hands at once: `gmaps.synth.fit_hand.fit_hand` of msra21, compiled."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError
from gmaps.kernels.fit_joints import fit_joints
from gmaps.synth.fit_hand import EASE
from gmaps.synth.hand import FAN, LIMITS, MEAN_ROOTS, THUMB_TURN, THUMB_TURN_PER_LIFT, Pose, follow_joints, pose_hand
from gmaps.synth.hand import place_pose as place
from gmaps.synth.poses import family_angles
from gmaps.synth.skin import shape_rest, skin

Array = NDArray[np.float64]
_BLOCK = 512
#: What labels show: all angles but the wrist's two.
_SHOWN = slice(2, 23)


class FittedHands(NamedTuple):
    """Hands that hold labelled poses as well as joints that bend like a hand's can.

    Parameters
    ----------
    angles : (N, 23) float64
        Degrees, within `gmaps.synth.hand.LIMITS`; the wrist's two, which joints do not show, are 0.
    roots, lengths : (N, 5, 3) float64
        As in `gmaps.synth.hand.HandShape`, mm.
    girth : (N,) float64
        How many times as thick as the mean hand's its flesh is taken to be: the palm's size.
    turn : (N, 4) float64
        Palm axes to the labels' axes.
    wrist : (N, 3) float64
        mm, labels' axes.
    error_mm : (N,) float64
        Mean distance of its 21 joints from the labels.
    """

    angles: Array
    roots: Array
    lengths: Array
    girth: Array
    turn: Array
    wrist: Array
    error_mm: Array

    def pose(self) -> Pose:
        """The hands' joints and bones, in the labels' axes."""
        return place(pose_hand(self.roots, self.lengths, self.angles), self.turn, self.wrist)

    def vertices(self) -> Array:
        """(N, V, 3) float64: their meshes, mm, in the labels' axes; some 60 kB a hand."""
        girth = np.broadcast_to(self.girth[:, None, None], (len(self.girth), 20, 3))
        return skin(self.pose(), *shape_rest(self.roots, self.lengths, girth))

    def rows(self, which: slice | NDArray[np.int64]) -> FittedHands:
        """Some of them."""
        return FittedHands(*(part[which] for part in self))


def fit_hands(joints: ArrayLike, *, threads: int | None = None) -> FittedHands:
    """Angles of many hands, in parallel.

    Parameters
    ----------
    joints : (N, 21, 3)
        mm, in the order of skeleton msra21, right hands, any right-handed axes. Mirror left ones first.
    threads
        By default one a core that this process may use.

    Returns
    -------
    FittedHands
        Each the best of two descents, from an open and from a closed hand, with the labels' own bone lengths.

    Raises
    ------
    UsageError
        Joints of another shape, or not finite.
    """
    p = np.ascontiguousarray(joints, np.float64)
    if p.ndim != 3 or p.shape[1:] != (21, 3) or not np.isfinite(p).all():
        raise UsageError(f"hands are fitted to finite joints (N, 21, 3) in mm, got {p.shape}")
    count = len(p)
    guess, roots, lengths = follow_joints(p) if count else (Pose(p, np.zeros((0, 20, 4)), np.zeros((0, 4))), p, p)
    low, high = np.radians(LIMITS[_SHOWN]).T.copy()
    easy = np.radians(family_angles("relaxed"))[_SHOWN].copy()
    starts = np.clip(np.radians([family_angles(f)[_SHOWN] for f in ("relaxed", "fist")]), low, high)
    thumb = np.array([np.radians(THUMB_TURN), THUMB_TURN_PER_LIFT])
    turns, wrists, angles, costs = (np.empty((count, *s)) for s in ((4,), (3,), (21,), ()))

    def work(at: int) -> None:
        part = slice(at, at + _BLOCK)
        fit_joints(
            p[part], guess.palm[part], roots[part], lengths[part], starts, low, high, easy, np.degrees(EASE),
            np.radians(FAN), thumb, turns[part], wrists[part], angles[part], costs[part],
        )  # fmt: skip

    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        list(pool.map(work, range(0, count, _BLOCK)))
    whole = np.concatenate([np.zeros((count, 2)), np.degrees(angles)], axis=1)
    whole = np.clip(whole, LIMITS[:, 0], LIMITS[:, 1])  # degrees of radians may be a last bit beyond
    reach = np.sqrt((roots[:, :4] ** 2).sum(-1)).mean(axis=1) / np.sqrt((MEAN_ROOTS[:4] ** 2).sum(-1)).mean()
    found = FittedHands(whole, roots, lengths, reach, turns, wrists, np.zeros(count))
    gap = found.pose().joints - p if count else p
    return found._replace(error_mm=np.sqrt((gap**2).sum(-1)).mean(axis=1))
