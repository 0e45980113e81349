"""Gaussians around the joints' projections."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import Crop
from gmaps.kernels.planar import drawn
from gmaps.maps.decode import lift, peak
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.scene import Scene

#: Cells. Tompson et al. (2014) and HandMap.
SIGMA = 0.8


def _encode(scene: Scene) -> NDArray[np.float32]:
    out = np.empty((scene.size, scene.size, scene.joints), np.float32)
    if scene.profile == "handmap":
        return _original(scene, out)
    drawn.heatmap(scene.joints_px, SIGMA, out)
    return out


def _original(scene: Scene, out: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter  # here, because it takes long to import

    # One cell set to the joint's normalised depth, then blurred: the peak depends on how far away the joint is.
    cells = np.clip(np.floor(scene.joints_px + 0.5).astype(int), 0, scene.size - 1)
    for j, (row, col) in enumerate(cells):
        dot = np.zeros((scene.size, scene.size))
        dot[row, col] = (scene.crop.joints[j, 2] + 1) / 2
        out[..., j] = gaussian_filter(dot, sigma=SIGMA)
    return out


def _decode(array: NDArray[np.float32], crop: Crop, scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Sub-pixel argmax in the plane; z is the front surface's."""
    px = np.array([peak(array[..., j]) for j in range(array.shape[-1])])
    return lift(px, crop, array.shape[0])


HEATMAP = register_map(
    MapKind(
        name="heatmap",
        weight=150.0,
        summary="Gaussian around each joint's projection",
        formula="exp(-|p - p_j|^2 / (2 sigma^2)), sigma = 0.8 cells, p_j sub-pixel",
        channels=len,
        value_range=(0.0, 1.0),
        encode=_encode,
        decode=_decode,
        original="hmap2",
        depends="joint",
        smooth=True,
        background=True,
        turns=True,
        mirrors=True,
        flat=True,
        needs_depth=False,
    )
)
