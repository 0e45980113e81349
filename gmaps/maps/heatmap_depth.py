"""A heat map, and behind it how deep the joint lies: what pixel-wise regression learns.

Zhang et al., "Pixel-wise Regression", 2020, whose code blurs a bilinear splat; here the Gaussian is exact, at the
joint's sub-pixel position. IPNet's is exp(-r^2 / s^2): its s is sigma times the root of 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import Crop
from gmaps.kernels.planar import drawn
from gmaps.maps.decode import lift, peak
from gmaps.maps.heatmap import SIGMA
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.options import Option
from gmaps.maps.scene import Scene
from gmaps.skeleton import Skeleton

#: Of the heat: below it no depth is said.
LEAST = 0.01


def decode_heatmap_depth(array: NDArray[np.floating], crop: Crop) -> NDArray[np.float32]:
    """Joints from heat and depths.

    In the plane the apex of the parabola through the logarithms around the peak; in depth the mean of
    delta + depth(p) over the hand's cells of heat above 0.01, weighted by the heat. A joint that no such cell is near
    gets the depth of the nearest cell of hand.

    Parameters
    ----------
    array : (H, H, 2 J)
    crop
        Gives the cube and the surface; its joints are not used.

    Returns
    -------
    (J, 3) float32
        mm, camera axes.
    """
    joints, size = array.shape[-1] // 2, array.shape[0]
    heat, behind = array[..., :joints], array[..., joints:]
    scene = Scene(crop, size)
    out = lift(np.array([peak(heat[..., j]) for j in range(joints)]), crop, size).astype(np.float64)
    share = np.where(scene.silhouette[..., None] & (heat > LEAST), heat, 0).astype(np.float64)
    total = share.sum(axis=(0, 1))
    unit = (share * (behind + scene.surface[..., None])).sum(axis=(0, 1)) / np.maximum(total, 1e-12)
    z = crop.cube.center[2] + unit * crop.cube.half_side
    z = np.where(total > 0, z, out[:, 2])
    if crop.projection == "perspective":
        out[:, :2] *= (z / out[:, 2])[:, None]
    out[:, 2] = z
    return out.astype(np.float32)


def heat_then_depth(skeleton: Skeleton) -> list[str]:
    """Names of one channel a joint, twice."""
    return [*skeleton.joints, *(f"{joint} depth" for joint in skeleton.joints)]


def heatmap_depth(name: str = "heatmap_depth", *, sigma: float = SIGMA) -> MapKind:
    """The kind of one width (cells) of the Gaussian."""

    def encode(scene: Scene) -> NDArray[np.float32]:
        n, size = scene.joints, scene.size
        heat, out = np.empty((size, size, n), np.float32), np.empty((size, size, 2 * n), np.float32)
        drawn.heatmap(scene.joints_px, sigma, heat)
        depth = np.ascontiguousarray(scene.crop.joints[:, 2], np.float32)
        drawn.depths(heat, scene.surface, scene.silhouette, depth, LEAST, out)
        return out

    def decode(array: NDArray[np.float32], crop: Crop, scale: Any) -> NDArray[np.float32]:
        return decode_heatmap_depth(array, crop)

    return MapKind(
        name=name,
        weight=WEIGHT,
        summary=f"Gaussian of {sigma:g} cells around each joint's projection, and its depth behind the skin",
        formula="h = exp(-|p - p_j|^2 / 2 sigma^2), then (z_j - z(p)) / half_side where h > 0.01 on the hand, else 0",
        channels=lambda skeleton: 2 * len(skeleton),
        # A joint that is marked beyond the cube lies as deep as it is marked.
        value_range=(-np.inf, np.inf),
        encode=encode,
        decode=decode,
        names=heat_then_depth,
        background=True,
        turns=True,
        mirrors=True,
        mirrored=_mirrored,
        options=OPTIONS,
        parameters={"sigma": sigma},
        variant=heatmap_depth,
    )


def _mirrored(skeleton: Skeleton) -> list[int]:
    return [*skeleton.swapped, *(len(skeleton) + j for j in skeleton.swapped)]


#: Beside the pose's loss; see `MapKind.weight`.
WEIGHT = 150.0
OPTIONS = (Option("sigma", SIGMA, "width of the Gaussian, cells", low=0.3, high=32.0),)
HEATMAP_DEPTH = register_map(heatmap_depth())
