"""Crops as a fit of depth takes them: of right hands, and shown to a network as it has learnt them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.mirror import mirror_joints
from gmaps.frame import BACKGROUND, Crop, Cube
from gmaps.inference.fit_depth import DepthFit, fit_depth
from gmaps.inference.predictor import Predictor
from gmaps.skeleton import get_skeleton
from gmaps.synth.fit_many import fit_hands

MSRA = get_skeleton("msra21")


def fit_crops(
    crops: list[Crop], joints: NDArray[np.floating], joints_mm: float | NDArray[np.floating], *, steps: int = 60
) -> DepthFit:
    """`fit_depth` of crops that begin with joints.

    Parameters
    ----------
    crops
        Of right hands, of one size and projection.
    joints : (N, 21, 3)
        mm, camera axes, in the order of msra21.
    joints_mm : number or (N,)
        Their standard deviation.
    steps
        Of the descent.
    """
    depth = np.stack([c.depth if c.hand is None else np.where(c.hand, c.depth, BACKGROUND) for c in crops])
    cubes = np.stack([c.cube.to_array() for c in crops])
    return fit_depth(
        depth, cubes, fit_hands(joints), projection=crops[0].projection, joints_mm=joints_mm, steps=steps
    )


def joints_of(predictor: Predictor, crops: list[Crop]) -> NDArray[np.float64]:
    """(N, 21, 3): what a network says of crops, mm, in the order of msra21."""
    seen = [of_half_side(crop, predictor.half_side) for crop in crops]
    found = predictor.crops(seen)[:, list(predictor.skeleton.mapping_to(MSRA))]
    return found.astype(np.float64)


def of_half_side(crop: Crop, half: float) -> Crop:
    """What a crop shows, as a crop of a cube of another size about the same place, such as a network has learnt."""
    share, size = half / crop.cube.half_side, crop.size
    if share == 1:
        return crop
    at = np.rint((((2 * np.arange(size) + 1) / size - 1) * share + 1) / 2 * size - 0.5).astype(np.int64)
    within = (at >= 0) & (at < size)
    seen = crop.depth[np.ix_(at.clip(0, size - 1), at.clip(0, size - 1))]
    depth = seen / np.float32(share)
    shown = within[:, None] & within & (seen < BACKGROUND) & (depth >= -1) & (depth < BACKGROUND)
    return Crop(
        np.where(shown, depth, np.float32(BACKGROUND)), Cube(crop.cube.center, half), crop.joints_mm, crop.projection
    )


def mirrored(crop: Crop) -> Crop:
    """A left hand's crop as a right one's."""
    x, y, z = crop.cube.center
    return Crop(
        np.ascontiguousarray(crop.depth[:, ::-1]), Cube((-x, y, z), crop.cube.half_side),
        mirror_joints(crop.joints_mm), crop.projection,
        hand=None if crop.hand is None else np.ascontiguousarray(crop.hand[:, ::-1]),
    )  # fmt: skip
