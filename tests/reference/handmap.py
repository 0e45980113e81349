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


def euclidean(image: np.ndarray, joints_mm: np.ndarray, center: np.ndarray, half_side: float) -> np.ndarray:
    """3D distances with the original's depth: (z + 1) / 2 taken for z."""
    size = image.shape[0]
    rows, cols = np.nonzero(image >= 1e-4)
    across = lambda i: ((i + 0.5) / size * 2 - 1) * half_side  # noqa: E731
    points = np.stack([across(cols), across(rows), image[rows, cols] * half_side], axis=1) + center
    length = np.linalg.norm(joints_mm[:, None] - points, axis=-1)
    theta = 2 * half_side
    length = np.clip(length, 1e-2, theta)
    out = np.zeros((size, size, len(joints_mm)))
    out[rows, cols] = ((theta - length) / theta).T
    return out


def geodesic_path(mask: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The reference path of the speed table: silhouette in, geodesic maps out."""
    return geodesic(np.where(mask, 0.5, 0.0), cells)
