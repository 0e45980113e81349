"""Do joints lie where depth shows a hand? If not, and they would in another convention, labels are in that one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.conventions import SHARE, Reading, ways
from gmaps.datasets.base import DataSet
from gmaps.datasets.children import scout
from gmaps.errors import FrameError
from gmaps.frame import Frame

#: Frames that are looked at, and of how many something can be told.
_FRAMES, _FEWEST = 16, 6
#: A joint lies so far before or behind the surface that is seen where it is, mm: it is within the hand.
_BEFORE_MM, _BEHIND_MM = 30.0, 90.0
#: Labels are not looked into while at least this share of joints lies so.
_GOOD = 0.5


class Verdict(NamedTuple):
    """Share of joints within the hand as they were read, and how they should be read, if that is otherwise."""

    share: float
    reading: Reading | None
    better: float


def judge_labels(dataset: DataSet) -> Verdict | None:
    """Look at some frames of a data set; None where too few have joints.

    Parameters
    ----------
    dataset
        Any with labels.
    """
    if not getattr(dataset, "labelled", True):
        return None

    def read(i: int) -> Frame:
        try:
            return dataset.read(i)
        except Exception as error:  # a frame that breaks is the build's business, which says where it broke
            raise FrameError(str(error)) from error

    rows = np.unique(np.linspace(0, len(dataset) - 1, _FRAMES).astype(int)).tolist()
    found = [frame for _, frame in scout(read, rows) if isinstance(frame, Frame)]
    frames = [f for f in found if f.labelled and np.isfinite(f.joints).all()]
    if len(frames) < _FEWEST:
        return None
    return _judge(frames)


def _judge(frames: Sequence[Frame]) -> Verdict:
    camera = frames[0].camera
    joints = np.stack([f.joints for f in frames]).astype(np.float64)
    share = _on_hand(frames, joints)
    if share >= _GOOD:
        return Verdict(share, None, share)
    with np.errstate(all="ignore"):
        found = [(kind, flip, unit, _on_hand(frames, p)) for kind, flip, unit, p in ways(joints, camera, "xyz")]
    most = max(s for *_, s in found)
    if 1 - most < SHARE * (1 - share):
        kind, flip, unit, better = next(f for f in found if f[3] >= most - 0.02)
        return Verdict(share, Reading(kind, flip, unit, (), 1 - share, 1 - better), better)
    return Verdict(share, None, share)


def _on_hand(frames: Sequence[Frame], joints: NDArray[np.float64]) -> float:
    """Share of joints at whose pixel a surface is seen about as far away as they are."""
    good = 0
    for frame, points in zip(frames, joints, strict=True):
        u, v, d = np.moveaxis(frame.camera.project(points), -1, 0)
        height, width = frame.depth.shape
        seen = np.flatnonzero((d > 0) & (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5))
        surface = frame.depth[np.rint(v[seen]).astype(int), np.rint(u[seen]).astype(int)]
        behind = d[seen] - surface
        good += int(((surface > 0) & (behind > -_BEFORE_MM) & (behind < _BEHIND_MM)).sum())
    return good / joints[..., 0].size
