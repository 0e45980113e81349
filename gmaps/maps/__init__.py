"""Guidance maps: pure functions of one crop and its joints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop, Cube
from gmaps.maps.kind import MapKind, get_map, list_maps, map_traits, register_map
from gmaps.maps.scene import MAPS_VERSION, Encoded, Normalize, Profile, Scene

# Imported for their registrations, in the order in which `list_maps` shows them.
from gmaps.maps import geodesic, euclidean, heatmap, limb, multiview, occupancy, volumetric  # noqa: F401  # isort: skip
from gmaps.maps import ball_offset, heatmap_depth, pixel_offset, plane_offset, points  # noqa: F401  # isort: skip
from gmaps.maps.encoder import Encoder, MapParams, Maps
from gmaps.skeleton import Skeleton, get_skeleton

#: What a build makes unless asked otherwise.
DEFAULT_MAPS = ("signed_edt", "geodesic", "geodesic_weighted", "euclidean", "heatmap")

__all__ = [
    "DEFAULT_MAPS",
    "Encoded",
    "Encoder",
    "MapKind",
    "MapParams",
    "Maps",
    "Scene",
    "decode",
    "encode",
    "fingerprint",
    "get_map",
    "list_maps",
    "map_traits",
    "register_map",
    "warm_up",
]


def encode(
    crop: Crop,
    maps: Sequence[str] = ("geodesic",),
    *,
    size: int = 32,
    profile: Profile = "default",
    normalize: Normalize = "joint",
    bridge: bool | float = False,
    skeleton: Skeleton | None = None,
) -> Maps:
    """Guidance maps of one crop.

    Parameters
    ----------
    crop
        Depth, cube and joints.
    maps
        Kinds: see `list_maps`.
    size
        H, rows and columns of the maps.
    profile
        "default", or "handmap" for what the original HandMap code computes, faults included.
    normalize
        "joint": geodesic maps are divided by each joint's own maximum, kept in `.scale`. "theta": by the side of the
        cube.
    bridge
        Reach parts of the hand that are cut off from a joint across the void, in geodesic maps; a number is the
        slowness of the void relative to hand, True is 1. False leaves them at 0.
    skeleton
        Needed only by kinds that draw bones.

    Returns
    -------
    Maps
        A dict of float32 arrays, (H, H, C), or (V, V, V, C) in voxels; `.scale[kind]` is (C,) float32, mm that a
        value of 1 stands for.

    Raises
    ------
    UnknownNameError
        No such kind; the message suggests the nearest.
    FrameError
        Joints that are not finite.
    """
    if isinstance(maps, str):
        maps = (maps,)
    return Encoder(MapParams(tuple(maps), size, profile, normalize, bridge), skeleton).crop(crop)


def decode(
    name: str, array: NDArray[np.floating], crop: Crop, *, scale: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Joints from a map, for kinds that can be inverted.

    Parameters
    ----------
    name
        The kind.
    array : (H, H, C) or (V, V, V, C)
        Its values, as `encode` gives them.
    crop
        Gives the cube and the surface; its joints are not used.
    scale : (C,), optional
        For kinds normalised per channel.

    Returns
    -------
    (J, 3) float32
        mm, camera axes.

    Raises
    ------
    UsageError
        When the kind cannot be inverted.
    """
    kind = get_map(name)
    if kind.decode is None:
        able = [n for n in list_maps() if get_map(n).decode]
        raise UsageError(
            f"a map of kind {name!r} cannot be inverted; those that can: {', '.join(able) or 'none yet'}"
        )
    values = np.ascontiguousarray(array, np.float32)
    return kind.decode(values, crop.hand_only(), None if scale is None else np.asarray(scale, np.float32))


def fingerprint() -> dict[str, Any]:
    """What decides the values of maps besides their parameters."""
    return {"maps_version": MAPS_VERSION}


def warm_up(params: MapParams | None = None, skeleton: Skeleton | None = None) -> None:
    """Compile, or load from Numba's cache, all kernels that making these maps needs.

    Call it once before starting worker processes, so that they find the compiled code on disk.
    """
    from gmaps.camera import Camera
    from gmaps.crop import crop_frame
    from gmaps.frame import Frame

    depth = np.full((64, 64), 400.0, np.float32)
    skeleton = skeleton or get_skeleton("msra21")
    somewhere = np.tile(np.array([0, 0, 400], np.float32), (len(skeleton), 1))
    frame = Frame(depth, Camera(100.0, 100.0, 32.0, 32.0, 64, 64), somewhere)
    encoder = Encoder(params or MapParams(DEFAULT_MAPS), skeleton)
    for projection in ("orthographic", "perspective"):
        crop = crop_frame(frame, Cube((0.0, 0.0, 400.0), 100.0), projection=projection)
        encoder.crop(crop)
