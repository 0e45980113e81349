"""HandMap's maps, step by step with SciPy and scikit-fmm, as the original makes them: a peer and a twin.

Written from a description of what the original computes (ECCV 2018, depth-hand): masked arrays, one scikit-fmm call a
joint, spacing 0.1, order 2. The faults are its own; `encode(..., profile="handmap")` must give the same numbers.
"""

from __future__ import annotations

import numpy as np
import skfmm
from scipy.ndimage import distance_transform_edt, gaussian_filter


def unit_image(depth: np.ndarray, size: int) -> np.ndarray:
    """Crop depth in [-1, 1] to the original's image: (z + 1) / 2, void 0, every (S / H)-th pixel."""
    step = max(depth.shape[0] // size, 1)
    small = depth[::step, ::step]
    return np.where(small < 1, (small.astype(np.float64) + 1) / 2, 0.0)


def geodesic(image: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Geodesic maps.

    Parameters
    ----------
    image : (H, H) float64
        From `unit_image`.
    cells : (J, 2) int
        (row, col) of the joints.

    Returns
    -------
    (H, H, J) float64
    """
    step = 2.0 / image.shape[0]
    void = image < 1e-4
    hand = np.ma.masked_array(image, void)
    signed = image - distance_transform_edt(void) * step
    planes = []
    for row, col in cells:
        value = signed[row, col]
        if value < 0:
            dot = np.ones_like(image)
            dot[row, col] = 0
            ring = -distance_transform_edt(dot)
            # Pixels compared with a distance in normalised units: only the joint's own pixel stays open.
            ring = np.ma.masked_array(ring, np.logical_and(value > ring, void))
            ring = np.max(ring) - ring
            ring[~void] = 0
            phi = image + ring + 1
        else:
            phi = hand.copy()
        phi[row, col] = 0.0
        t = skfmm.distance(phi, dx=1e-1)
        largest = np.max(t)
        if largest > 1e-2:
            t = (largest - t) / largest
        t[void] = 0.0
        t[t > 1.0] = 0.0
        planes.append(np.asarray(np.ma.getdata(t)))
    return np.stack(planes, axis=2)


def signed_edt(image: np.ndarray) -> np.ndarray:
    """Two transforms, as SciPy's users write it; cells."""
    hand = image >= 1e-4
    return distance_transform_edt(hand) - distance_transform_edt(~hand)


def heatmap(joints_unit: np.ndarray, cells: np.ndarray, size: int) -> np.ndarray:
    """One pixel set to the joint's normalised depth, blurred with sigma 0.8."""
    planes = []
    for (row, col), z in zip(cells, joints_unit[:, 2], strict=True):
        image = np.zeros((size, size))
        image[row, col] = (z + 1) / 2
        planes.append(gaussian_filter(image, sigma=0.8))
    return np.stack(planes, axis=2)


def offset(image: np.ndarray, joints_mm: np.ndarray, center: np.ndarray, half_side: float) -> np.ndarray:
    """(H, H, 4 J): 3D distances, then vectors over them, from the cells' corners, with (z + 1) / 2 taken for z."""
    size = image.shape[0]
    hand, points = corners(image, center, half_side)
    near, vectors = clipped(points, joints_mm, 2 * half_side)
    out = np.zeros((size, size, 4 * len(joints_mm)))
    out[hand] = np.hstack([near, vectors.reshape(len(near), -1)])
    return out


def euclidean(image: np.ndarray, joints_mm: np.ndarray, center: np.ndarray, half_side: float) -> np.ndarray:
    """(H, H, J): the first part of `offset`."""
    hand, points = corners(image, center, half_side)
    d = np.linalg.norm(joints_mm[:, None] - points, axis=-1)
    out = np.zeros((*image.shape, len(joints_mm)))
    out[hand] = 1 - np.clip(d, 1e-2, 2 * half_side).T / (2 * half_side)
    return out


def corners(image: np.ndarray, center: np.ndarray, half_side: float) -> tuple[np.ndarray, np.ndarray]:
    """Hand cells, (H, H) bool, and their points, mm."""
    size, hand = image.shape[0], image >= 1e-4
    rows, cols = np.nonzero(hand)
    unit = np.stack([cols / size * 2 - 1, rows / size * 2 - 1, image[hand]], axis=1)
    return hand, unit * half_side + center


def clipped(points: np.ndarray, joints_mm: np.ndarray, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """1 - d / theta, and offsets over d, with d clipped to 0.01 mm and theta."""
    away = joints_mm.astype(np.float64) - points[:, None]
    d = np.clip(np.linalg.norm(away, axis=-1), 1e-2, theta)
    return (theta - d) / theta, away / d[..., None]


def view_images(points: np.ndarray, size: int) -> list[np.ndarray]:
    """Three images of (z + 1) / 2, void 0: painted from the nearest to the farthest along z, whatever the view."""
    points = points[np.argsort(points[:, 2], kind="stable")]
    images = []
    for roll in range(3):
        first, second = np.roll(np.arange(3), roll)[:2]
        cells = np.floor((points + 1) / 2 * size).astype(int).clip(0, size - 1)
        image = np.zeros((size, size))
        image[cells[:, second], cells[:, first]] = (points[:, 2] + 1) / 2
        images.append(image)
    return images


def views_geodesic(points: np.ndarray, joints_unit: np.ndarray, size: int, cells: int) -> np.ndarray:
    """(H, H, 3 J): `geodesic` in each view."""
    step, maps = size // cells, []
    for roll, image in enumerate(view_images(points, size)):
        first, second = np.roll(np.arange(3), roll)[:2]
        at = np.floor((joints_unit[:, [second, first]] + 1) / 2 * cells).astype(int).clip(0, cells - 1)
        maps.append(geodesic(image[::step, ::step], at))
    return np.concatenate(maps, axis=2)


def views_euclidean(offsets: np.ndarray) -> np.ndarray:
    """(H, H, 3 J): the largest of `voxel_offset`'s distances along each axis."""
    near = offsets[..., : offsets.shape[-1] // 4]
    return np.concatenate(
        [near.max(axis=2).swapaxes(0, 1), near.max(axis=1), near.max(axis=0).swapaxes(0, 1)], axis=2
    )


def truncated_distance(occupied: np.ndarray) -> np.ndarray:
    """(V, V, V): what scikit-fmm leaves beneath the mask beyond the narrow band is 0."""
    return np.ma.getdata(skfmm.distance(np.where(occupied, 0.0, 1.0), dx=1e-1, narrow=0.2))


def tsdf(occupied: np.ndarray) -> np.ndarray:
    """(V, V, V, 3): signed distance to what is seen along the last axis, of axes rolled three times."""
    found, rolled = [], occupied
    for _ in range(3):
        rolled = np.rollaxis(rolled, -1)
        size = len(rolled)
        phi = np.ones(rolled.shape)
        for i, k in np.ndindex(size, size):
            seen = np.flatnonzero(rolled[i, k])
            if len(seen):
                phi[i, k, seen[0]] = 0
                phi[i, k, seen[0] + 1 :] = -1
        found.append(np.ma.getdata(skfmm.distance(phi, dx=1e-1, narrow=0.3)))
    return np.stack(found, axis=3)


def voxel_geodesic(occupied: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(V, V, V, J), in masked arrays, whose hidden values come out at the end."""
    planes = []
    for cell in cells:
        phi = np.ma.masked_array(distance_transform_edt(occupied), ~occupied)
        phi[tuple(cell)] = 0.0
        t = skfmm.distance(phi, dx=1e-1)
        largest = np.max(t)
        t = (largest - t) / largest
        t[~occupied] = 0.0
        planes.append(np.ma.getdata(t))
    return np.stack(planes, axis=3)


def voxel_offset(occupied: np.ndarray, joints_mm: np.ndarray, center: np.ndarray, half_side: float) -> np.ndarray:
    """(V, V, V, 4 J): `offset` from the centres of voxels."""
    size, n = len(occupied), len(joints_mm)
    near, vectors = clipped(
        ((np.argwhere(occupied) + 0.5) / size * 2 - 1) * half_side + center, joints_mm, 2 * half_side
    )
    out = np.zeros((*occupied.shape, 4 * n))
    out[occupied] = np.hstack([near, vectors.reshape(len(near), -1)])
    return out


def geodesic_path(mask: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The reference path of the speed table: silhouette in, geodesic maps out."""
    return geodesic(np.where(mask, 0.5, 0.0), cells)
