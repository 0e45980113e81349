"""Augmentation of a batch's rows, in place. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gmaps.augment.changes import Augment
from gmaps.augment.view import Change
from gmaps.frame import Crop, Cube, Projection
from gmaps.skeleton import Skeleton


def augment_rows(
    augment: Augment,
    depth: NDArray[np.float32],
    cube: NDArray[np.float32],
    joints: NDArray[np.float32],
    projection: Projection,
    epoch: int,
    rows: NDArray[np.integer],
    skeleton: Skeleton | None = None,
    hand: NDArray[np.bool_] | None = None,
    color: NDArray[np.uint8] | None = None,
) -> list[Change | None]:
    """Augment rows of a store in place.

    Parameters
    ----------
    augment
        What to do.
    depth : (B, S, S) float32
    cube : (B, 4) float32
    joints : (B, J, 3) float32
        As a store holds them; rejected rows, whose cube is not finite, are left alone.
    projection
        Of the crops.
    epoch
        From 0.
    rows : (B,)
        In the store.
    skeleton
        Of the joints.
    hand : (B, S, S) bool, optional
        Which pixels are hand, where that is known; moved along.
    color : (B, S, S, 3) uint8, optional
        Moved along, too.

    Returns
    -------
    list of Change
        None for rejected rows.
    """
    changes: list[Change | None] = []
    for k, row in enumerate(rows):
        if not np.isfinite(cube[k]).all():
            changes.append(None)
            continue
        known = None if hand is None else hand[k]
        crop = Crop(depth[k], Cube.from_array(cube[k]), joints[k], projection, hand=known)
        if color is not None:
            crop = replace(crop, color=color[k])
        crop, change = augment(crop, epoch, int(row), skeleton=skeleton)
        if hand is not None:
            hand[k] = crop.hand
        if color is not None and crop.color is not None:
            color[k] = crop.color
        depth[k], cube[k], joints[k] = crop.depth, crop.cube.to_array(), crop.joints_mm
        changes.append(change)
    return changes
