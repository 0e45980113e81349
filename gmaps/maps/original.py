"""What the original HandMap computes, faults included, so that its numbers can be reproduced.

Of a crop's silhouette, surface and joints to `profile="handmap"`: the formulas of depth-hand's `ops_abc.py`, with our
own marches, which equal scikit-fmm's to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import BACKGROUND, Crop
from gmaps.kernels.march import fmm, fmm_space

#: The side of a cell in its marches: it never says how large it is in space.
SPACING = 0.1
#: mm: no distance is less.
LEAST = 1e-2
#: What it takes as void in an image of (z + 1) / 2.
VOID = 1e-4


def stride(size: int, cells: int) -> int:
    """Every how many pixels of a crop of `size` rows one is taken for a map of `cells`.

    Raises
    ------
    UsageError
        It is no whole number: the original would read the corner of the crop for the whole.
    """
    if size % cells:
        raise UsageError(
            f'profile "handmap" takes every (S / H)-th pixel: crops of {size} rows have no maps of {cells}; '
            f"say a crop size that is a multiple of {cells}"
        )
    return size // cells


def hand_of(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The cells of an image of z in cube units that are hand: not void, nor so near that they are taken for void."""
    return np.less(image, BACKGROUND) & (((image + 1) / 2) >= VOID)


def distances(
    hand: NDArray[np.bool_], surface: NDArray[np.float32], crop: Crop
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of n hand cells, in the order of `hand`: (n, J) 1 - d / theta, and (n, J, 3) vectors to the joints over d.

    A cell's point is taken at its corner, and (z + 1) / 2 for its z; d is clipped to theta, which shortens vectors
    that are longer.
    """
    size, (x, y, z), h = len(hand), crop.cube.center, crop.cube.half_side
    rows, cols = np.nonzero(hand)
    depth = z + (surface[hand].astype(np.float64) + 1) / 2 * h
    ratio = depth / z if crop.projection == "perspective" else 1.0
    across = (x + (cols / size * 2 - 1) * h) * ratio
    down = (y + (rows / size * 2 - 1) * h) * ratio
    return _nearness(np.stack([across, down, depth], axis=-1), crop)


def voxel_distances(
    cells: NDArray[np.int64], size: int, crop: Crop
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `distances`, from the centres of voxels."""
    xyz = np.stack(np.unravel_index(cells, (size,) * 3), axis=-1)
    return _nearness(((xyz + 0.5) / size * 2 - 1) * crop.cube.half_side + np.asarray(crop.cube.center), crop)


def _nearness(points: NDArray[np.float64], crop: Crop) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    theta = 2 * crop.cube.half_side
    away = crop.joints_mm.astype(np.float64) - points[:, None]
    d = np.clip(np.linalg.norm(away, axis=-1), LEAST, theta)
    return (theta - d) / theta, away / d[..., None]


def spread(hand: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values of the hand's cells on their grid, 0 in the void."""
    out = np.zeros((*hand.shape, values.shape[1]), np.float32)
    out[hand] = values
    return out


def geodesic(
    mask: NDArray[np.bool_], joints_px: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ways in the plane, (H, H, J), and the largest of each joint, cells.

    From the cell that holds the joint. A joint in the void opens a disc around it to bridge the gap, but of a radius
    in units of the half grid where pixels are meant: H / 2 times too small. So a joint that touches the hand by an
    edge gets a map, and any other one a map of zeros. Hand cells that the march does not reach keep the value T_max,
    because that is what NumPy's masked arithmetic leaves there, unless it exceeds 1.
    """
    size, joints = len(mask), len(joints_px)
    cells = np.clip(np.floor(joints_px + 0.5).astype(np.int64), 0, size - 1)
    out, scale = np.zeros((size, size, joints), np.float32), np.zeros(joints, np.float32)
    t = np.empty((1, size, size))
    ptr, start, value = np.array([0, 1], np.int32), np.empty(1, np.int32), np.zeros(1)
    rows, cols = np.mgrid[:size, :size]
    for j, (row, col) in enumerate(cells):
        start[0] = row * size + col
        opened = mask
        if not mask[row, col]:
            away = np.hypot(rows - row, cols - col)
            radius = away[mask].min(initial=np.inf) * (2 / size)
            opened = mask | (away <= radius)
        fmm.fast_marching(opened, ptr, start, value, SPACING, 2, t)
        reached = np.isfinite(t[0])
        largest = t[0][reached].max()
        if largest <= LEAST:
            continue
        plane = np.where(reached, (largest - t[0]) / largest, largest)
        plane[~mask] = 0.0
        plane[plane > 1.0] = 0.0
        out[..., j] = plane
        scale[j] = largest / SPACING
    return out, scale


def voxel_geodesic(
    occupied: NDArray[np.bool_], joints: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ways through voxels, (V, V, V, J), and the largest of each joint, voxels.

    As in the plane, but nothing bridges a gap: a joint in an empty voxel with no occupied one beside it has a map of
    zeros. And what the march does not reach keeps T_max whatever it is.
    """
    out = np.zeros((*occupied.shape, len(joints)), np.float32)
    scale = np.zeros(len(joints), np.float32)
    t, nowhere = np.empty(occupied.shape), np.zeros(occupied.shape, bool)
    for j, cell in enumerate(joints):
        allowed, start = occupied.copy(), np.full(occupied.shape, np.nan)
        allowed.reshape(-1)[cell], start.reshape(-1)[cell] = True, 0.0
        fmm_space.fast_marching(allowed, start, nowhere, SPACING, 0.0, t)
        reached = np.isfinite(t)
        largest = t[reached].max()
        if largest > 0:
            out[..., j] = np.where(occupied, np.where(reached, (largest - t) / largest, largest), 0.0)
        scale[j] = largest / SPACING
    return out, scale


def truncated_distance(occupied: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(V, V, V): 0.1 a voxel to the nearest occupied one, by a march, up to 0.2; beyond, 0."""
    start = np.where(occupied, 0.0, np.nan)
    return _narrow(start, np.zeros(occupied.shape, bool), 0.2)


def tsdf(occupied: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(V, V, V, 3): 0.1 a voxel to what is seen along an axis, + before it, up to 0.3; beyond, 0.

    Seen along y, x and z; and each channel's axes are rolled, so that what was looked along is last: (z, x, y),
    (y, z, x) and (x, y, z).
    """
    channels = []
    for axes in ((2, 0, 1), (1, 2, 0), (0, 1, 2)):
        rolled = occupied.transpose(axes)
        size = rolled.shape[2]
        front = np.where(rolled.any(axis=2), rolled.argmax(axis=2), size)[..., None]
        side = np.sign(front - np.arange(size)).astype(np.float64)
        channels.append(_narrow(_around_zero(side), side < 0, 0.3))
    return np.stack(channels, axis=-1)


def _around_zero(side: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a march from the zero set of +1, 0 and -1 begins: the zeros, and half a voxel off where signs meet."""
    axes = np.zeros(side.shape, np.int64)
    for axis in range(3):
        meet = np.zeros(side.shape, bool)
        a, b = np.moveaxis(side, axis, 0), np.moveaxis(meet, axis, 0)
        change = a[1:] * a[:-1] < 0
        b[1:] |= change
        b[:-1] |= change
        axes += meet
    # By the number of axes along which they meet.
    half = np.array([np.nan, *np.sqrt(1 / np.cumsum([1 / (SPACING / 2) / (SPACING / 2)] * 3))])
    return np.where(side == 0, 0.0, side * half[axes])


def _narrow(start: NDArray[np.float64], negative: NDArray[np.bool_], far: float) -> NDArray[np.float32]:
    out = np.empty(start.shape)
    fmm_space.fast_marching(np.ones(start.shape, bool), start, negative, SPACING, far, out)
    return np.where(np.isfinite(out), out, 0.0).astype(np.float32)
