"""Which convention numbers are in, judged by what they say: y up, uvd for xyz, metres, another order of joints.

Such numbers are finite and in range, and wrong by centimetres. Where reading them otherwise would leave less than a
third of the distance from what they are compared with, they are not what they are taken for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera

#: A reading must leave less than this share of the distance to be believed.
SHARE = 1 / 3
#: Frames that are looked at, from the first to the last.
SAMPLE = 256
_FLIPS = {
    "": (1, 1, 1), "x to the left": (-1, 1, 1), "y up": (1, -1, 1), "z towards the viewer": (1, 1, -1),
    "y up and z towards the viewer": (1, -1, -1),
}  # fmt: skip
_UNITS = {"": 1.0, "metres": 1000.0, "centimetres": 10.0, "tenths of a mm": 0.1, "thousandths of a mm": 0.001}
Points = NDArray[np.float64]


class Reading(NamedTuple):
    """Another way to read points, and how far they then are from the truth.

    Parameters
    ----------
    coordinates
        "uvd" or "xyz".
    flip, unit
        What else differs from mm, x right, y down, z forward; as people say it, or empty.
    order
        Place in the file of each joint; empty where they are in order.
    before, after
        Mean distance, mm, as they were read and as this says.
    """

    coordinates: str
    flip: str
    unit: str
    order: tuple[int, ...]
    before: float
    after: float

    @property
    def axes(self) -> str:
        """As `--axes` takes them."""
        right, down, forward = _FLIPS[self.flip]
        return ",".join((("left", "", "right")[right + 1], ("up", "", "down")[down + 1],
                         ("backward", "", "forward")[forward + 1]))  # fmt: skip

    @property
    def mm(self) -> float:
        """As `--unit` takes it."""
        return _UNITS[self.unit]

    def describe(self) -> str:
        """As in "they are xyz, y up, in metres"."""
        parts = [self.coordinates, self.flip, self.unit and f"in {self.unit}"]
        return ", ".join(filter(None, [*parts, "with joints in another order" if self.order else ""]))


def find_reading(points: Points, true: Points, camera: Camera, read_as: str, floor: float) -> Reading | None:
    """A reading that explains why points are so far from what is true.

    Parameters
    ----------
    points, true : (N, J, 3) float64
        mm, camera axes, as they were read.
    camera
        Turns pixels into mm.
    read_as
        "uvd" or "xyz": how `points` were read.
    floor
        mm; points that are no farther off are not looked at.

    Returns
    -------
    Reading or None
        The best, if it leaves less than `SHARE` of the distance. Of those that are about as good, the plainest.
    """
    rows = np.unique(np.linspace(0, len(points) - 1, SAMPLE).astype(int))
    near, goal = points[rows], true[rows]
    with np.errstate(all="ignore"):
        before = _distance(near, goal)
        if not before > floor:
            return None
        found = [
            Reading(kind, flip, unit, (), before, _distance(p, goal))
            for kind, flip, unit, p in ways(near, camera, read_as)
        ]
        best = _plainest(found)
        if best is None and points.shape[1] > 1:
            found = [
                Reading(kind, flip, unit, *_order(p, goal, before))
                for kind, flip, unit, p in ways(near, camera, read_as)
            ]
            best = _plainest(found)
    return best


def _plainest(found: list[Reading]) -> Reading | None:
    """The first, plain ones standing first, that is about as good as the best."""
    good = [r for r in found if r.after < SHARE * r.before]
    least = min((r.after for r in good), default=0.0)
    return next((r for r in good if r.after <= 1.2 * least + 1e-6), None)


def swap(points: Points, camera: Camera, read_as: str) -> Points:
    """What points are, in mm, if their numbers are not what they were read as but the other of uvd and xyz."""
    return camera.project(points) if read_as == "uvd" else camera.unproject(points)


def ways(points: Points, camera: Camera, read_as: str) -> Iterator[tuple[str, str, str, Points]]:
    """Coordinates, flip, unit, and the points in mm: of every way to read them, as they were read first."""
    other = "xyz" if read_as == "uvd" else "uvd"
    for kind, read in ((read_as, points), (other, swap(points, camera, read_as))):
        for unit, mm in _UNITS.items():
            for flip, signs in _FLIPS.items():
                yield kind, flip, unit, read * (np.array(signs) * mm)


def _distance(a: Points, b: Points) -> float:
    distance = float(np.linalg.norm(a - b, axis=2).mean())
    return distance if np.isfinite(distance) else np.inf


def _order(points: Points, true: Points, before: float) -> tuple[tuple[int, ...], float, float]:
    """The order of joints that fits best, and the distances before and with it."""
    from scipy.optimize import linear_sum_assignment  # here, because it takes long to import

    cost = np.linalg.norm(points[:, :, None] - true[:, None], axis=3).mean(axis=0)
    if not np.isfinite(cost).all():
        return (), before, np.inf
    place, joint = linear_sum_assignment(cost)
    order = tuple(int(p) for p in place[np.argsort(joint)])
    return order, before, float(cost[place, joint].mean())
