"""Maps of many crops at once, bit-equal to those of one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import Crop, Cube
from gmaps.kernels import batch
from gmaps.maps.base import MapParams, Scene, encode_params
from gmaps.maps.geodesic import ORDER
from gmaps.skeleton import Skeleton


def silhouettes(
    depth: NDArray[np.float32], cube: NDArray[np.float32], size: int, profile: str = "default"
) -> NDArray[np.bool_]:
    """`Scene.silhouette` of n crops; the cells in which maps mean something.

    Parameters
    ----------
    depth : (n, S, S)
        Cube units.
    cube : (n, 4)
        Centre and half side, mm; NaN for a rejected frame, whose silhouette is void.
    size, profile
        Of the maps.

    Returns
    -------
    (n, H, H) bool
    """
    out = np.empty((len(depth), size, size), bool)
    if profile == "default":
        batch.silhouettes(depth, out)
        out[~np.isfinite(cube).all(axis=1)] = False
        return out
    nowhere = np.zeros((0, 3), np.float32)
    for k, row in enumerate(cube):
        known = np.isfinite(row).all()
        out[k] = Scene(Crop(depth[k], Cube.from_array(row), nowhere), size, "handmap").silhouette if known else False
    return out


def encode_batch(
    crops: Sequence[Crop],
    params: MapParams,
    skeleton: Skeleton | None,
    silhouette: NDArray[np.bool_],
    out: Mapping[str, NDArray[np.float32]],
) -> None:
    """`encode_params` of n crops. `geodesic` is made for all in one call without the GIL, other kinds crop by crop.

    Parameters
    ----------
    crops, params, skeleton
        As there.
    silhouette : (n, H, H) bool
        See `silhouettes`.
    out
        Kind -> (n, H, H, C) float32, filled.

    Raises
    ------
    FrameError
        Joints that are not finite.
    """
    names = params.maps
    if not crops:
        return
    at_once = "geodesic" in names and params.profile == "default"
    if at_once and all(np.isfinite(crop.joints_mm).all() for crop in crops):
        # As `Scene` has them: the cell and theta, mm.
        half = np.array([crop.cube.half_side for crop in crops])
        theta = 2 * half if params.normalize == "theta" else np.zeros(len(crops))
        px = np.stack([crop.joints_px(params.size) for crop in crops])
        batch.geodesics(silhouette, px, ORDER, float(params.bridge), 2 * half / params.size, theta, out["geodesic"])
        rest = [name for name in names if name != "geodesic"]
        for k, crop in enumerate(crops if rest else ()):
            scene = Scene(crop, params.size, params.profile, params.normalize, skeleton, float(params.bridge))
            scene.keep("geodesic", out["geodesic"][k])
            for name in rest:
                out[name][k] = scene.get(name)
        return
    for k, crop in enumerate(crops):
        for name, values in encode_params(crop, params, skeleton).items():
            out[name][k] = values
