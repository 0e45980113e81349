"""Flesh around a skeleton: a sphere mesh, that is the convex hulls of pairs and triples of spheres.

Pairs are round cones: the bones of the fingers. Triples are round triangles: the palm, the ball of the thumb, the
web between thumb and index finger, the forearm. Adjoining pieces share spheres, so the surface has no gaps
(Tkach, Pauly and Tagliasacchi, "Sphere-Meshes for Real-Time Hand Modeling and Tracking", 2016).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.synth.hand import mean_shape

_KNUCKLES = np.array([1, 5, 9, 13])
# Spheres beyond the 21 joints: both sides of the wrist and of the forearm's end, the heel of the palm, the web.
_WRIST_R, _WRIST_U, _ARM_R, _ARM_U, _HEEL, _WEB = range(21, 27)
_SPHERES = 27

_BONES = [(j, j + 1) for j in range(1, 20) if j % 4]
_PALM = [
    (_WRIST_R, 1, 5), (_WRIST_R, _WRIST_U, 5), (_WRIST_U, 5, 9), (_WRIST_U, 9, _HEEL), (9, 13, _HEEL),
    (_WRIST_R, 17, 1), (17, 18, _WEB), (17, _WEB, 1),
    (_WRIST_R, _WRIST_U, _ARM_U), (_WRIST_R, _ARM_U, _ARM_R),
]  # fmt: skip


class Flesh(NamedTuple):
    """A sphere mesh.

    Parameters
    ----------
    spheres : (K, 4) float64
        x, y, z and radius, mm; the first 21 are the joints.
    cones : (M, 2) int64
        Pairs of spheres.
    triangles : (T, 3) int64
        Triples of spheres; the cones of their edges are among `cones`.
    """

    spheres: NDArray[np.float64]
    cones: NDArray[np.int64]
    triangles: NDArray[np.int64]


def _topology() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    edges = {tuple(sorted((t[i], t[i - 1]))) for t in _PALM for i in range(3)}
    return np.array(sorted({*_BONES, *edges}), np.int64), np.array(_PALM, np.int64)


_CONES, _TRIANGLES = _topology()


def joint_radii(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """(21,) float64 mm: the mean hand's flesh, scaled to the size of this hand's palm.

    Parameters
    ----------
    joints : (21, 3)
        mm, in the order of skeleton msra21, any axes.
    """
    mean = mean_shape()
    reach = np.linalg.norm(joints[_KNUCKLES] - joints[0], axis=1).mean()
    return mean.radii * (reach / np.linalg.norm(mean.roots[:4], axis=1).mean())


def build_flesh(joints: NDArray[np.float64], radii: NDArray[np.float64] | None = None) -> Flesh:
    """The sphere mesh of any hand.

    Parameters
    ----------
    joints : (21, 3)
        mm, in the order of skeleton msra21, any right-handed axes.
    radii : (21,), optional
        Flesh around each joint, mm, positive; by default `joint_radii`.

    Raises
    ------
    UsageError
        Arrays of another shape, numbers that are not finite, radii that are not positive.
    """
    joints = np.asarray(joints, np.float64)
    if joints.shape != (21, 3) or not np.isfinite(joints).all():
        raise UsageError(f"a hand is 21 finite joints (21, 3) in mm, got {joints.shape}: {joints.ravel()[:3]}...")
    radii = joint_radii(joints) if radii is None else np.asarray(radii, np.float64)
    if radii.shape != (21,) or not (np.isfinite(radii).all() and radii.min() > 0):
        raise UsageError(f"radii are 21 positive numbers in mm, got {radii}")

    spheres = np.empty((_SPHERES, 4))
    spheres[:21, :3], spheres[:21, 3] = joints, radii
    wrist, r = joints[0], radii[0]
    along = _unit(joints[_KNUCKLES].mean(axis=0) - wrist)
    side = joints[1] - joints[13]
    side = _unit(side - (side @ along) * along)
    spheres[_WRIST_R] = [*(wrist + 0.75 * r * side), 0.95 * r]
    spheres[_WRIST_U] = [*(wrist - 0.85 * r * side), 0.90 * r]
    spheres[_ARM_R] = [*(wrist + (0.8 * side - 2.6 * along) * r), 1.05 * r]
    spheres[_ARM_U] = [*(wrist + (-0.8 * side - 2.6 * along) * r), 1.05 * r]
    spheres[_HEEL] = 0.62 * spheres[_WRIST_U] + 0.38 * spheres[13]  # the heel bulges on the little finger's side
    spheres[_HEEL, :3] -= 0.45 * r * side
    spheres[_WEB] = 0.5 * spheres[18] + 0.5 * spheres[1]
    spheres[_WEB, :3] += 0.25 * (spheres[17, :3] - spheres[_WEB, :3])
    spheres[_WEB, 3] *= 0.65
    return Flesh(spheres, _CONES, _TRIANGLES)


def _unit(v: NDArray[np.float64]) -> NDArray[np.float64]:
    n = np.linalg.norm(v)
    return v / n if n > 0 else v
