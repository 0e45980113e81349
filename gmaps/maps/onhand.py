"""Maps for a store: those that are 0 in the void as the hand's cells alone, from one compiled call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import Crop, OnHand
from gmaps.kernels import onhand
from gmaps.maps.base import FRONT_MM, MapParams, Maps, Scene, check_joints, encode_params
from gmaps.maps.geodesic import ORDER
from gmaps.skeleton import Skeleton

#: Kinds that one call gives, and what of it they take: 1 along the hand, 2 straight.
_WAYS = {"geodesic": 1, "euclidean": 2, "geodesic_weighted": 3}

#: What a store writes: a whole map, or its hand.
Made = NDArray[np.float32] | OnHand


def encode_on_hand(
    crop: Crop, params: MapParams, skeleton: Skeleton | None = None
) -> tuple[dict[str, Made], dict[str, NDArray[np.float32]]]:
    """As `encode_params`, bit for bit, for a writer that keeps of a map no more than its hand.

    Parameters
    ----------
    crop, params, skeleton
        As there.

    Returns
    -------
    maps, scale
        Kind -> (H, H, C) float32, or `OnHand`; kind -> (C,) float32, mm.

    Raises
    ------
    FrameError
        Joints that are not finite.
    """
    ways = 0
    for name in params.maps:
        ways |= _WAYS.get(name, 0)
    if ways == 0 or params.profile != "default":
        whole: Maps = encode_params(crop, params, skeleton)
        return dict(whole), whole.scale
    check_joints(crop, params)
    scene = Scene(crop, params.size, params.profile, params.normalize, skeleton, float(params.bridge))
    cube = crop.cube
    silhouette, surface, cells, along, straight, scale = onhand.on_hand(
        np.ascontiguousarray(crop.depth, np.float32), params.size, FRONT_MM / cube.half_side,
        np.ascontiguousarray(crop.joints_mm, np.float32), scene.joints_px, *cube.center, cube.half_side,
        crop.projection == "perspective", ORDER, scene.slowness,
        scene.theta if params.normalize == "theta" else 0.0, ways,
    )  # fmt: skip
    scene.pool_is(silhouette, surface)
    made: dict[str, Made] = {}
    for name in params.maps:
        if name not in _WAYS:
            made[name] = scene.get(name)
            continue
        values = {1: along, 2: straight}.get(_WAYS[name])
        made[name] = OnHand(params.size, cells, along * straight if values is None else values)
    if "geodesic" in params.maps:
        scene.scale["geodesic"] = scale
    return made, {name: scene.scale[name] for name in params.maps if name in scene.scale}
