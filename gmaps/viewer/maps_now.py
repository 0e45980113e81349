"""Maps of one row: as the store keeps them, or computed as they are asked for. No part of the first page."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.distances import geodesic_distance
from gmaps.errors import GmapsError, UsageError
from gmaps.frame import Crop
from gmaps.maps import Encoder, MapParams, Scene, get_map, list_maps, map_traits
from gmaps.maps.volumetric import as_image
from gmaps.skeleton import Skeleton
from gmaps.store import Store
from gmaps.viewer.packet import Packet


def list_kinds(store: Store) -> list[dict[str, Any]]:
    """What the page can show: name, whether the store keeps it, its channels, unit and range."""
    stored = [_described(name, True, store.skeleton, store.shape(f"maps/{name}")[-1]) for name in store.maps]
    others = [name for name in list_maps() if name not in store.maps]
    if store.flat:
        others = [name for name in others if not get_map(name).needs_depth]
    return stored + [
        _described(name, False, store.skeleton, get_map(name).channels(store.skeleton)) for name in others
    ]


def _described(name: str, stored: bool, skeleton: Skeleton, channels: int) -> dict[str, Any]:
    kind = map_traits(name)
    try:
        names = list(kind.channel_names(skeleton))
    except GmapsError:
        names = []
    if len(names) != channels:
        names = [f"channel {k}" for k in range(channels)]
    return {"name": name, "stored": stored, "channels": names, "per_joint": channels == len(skeleton),
            "unit": kind.unit, "summary": kind.summary}  # fmt: skip


def _encoder(store: Store, kind: str) -> Encoder:
    """As the store's own maps were made."""
    how = store.attributes["maps"]
    params = MapParams(
        (kind,), int(how.get("size", 32)), how.get("profile", "default"), how.get("normalize", "joint"),
        how.get("bridge", False),
    )  # fmt: skip
    return Encoder(params, store.skeleton)


def one_channel(store: Store, row: int, crop: Crop, kind: str, channel: int) -> Packet:
    """One channel of a map.

    Parameters
    ----------
    store, row, crop
        The row, and its crop.
    kind, channel
        Of the store, or any that is registered.

    Raises
    ------
    UsageError, FrameError
        No such kind or channel, or it cannot be made of this crop.
    """
    kept, scales = kind in store.maps, None
    if kept:
        name = f"maps/{kind}"
        names = [name, *([f"{name}_scale"] if f"{name}_scale" in store.names else [])]
        read = store.read([row], names)
        values, scales = read[name][0], read[names[-1]][0] if len(names) > 1 else None
    else:
        made = _encoder(store, kind).crop(crop)
        values, scales = made[kind], made.scale.get(kind)
    if not 0 <= channel < values.shape[-1]:
        raise UsageError(f"{kind} has channels 0 to {values.shape[-1] - 1}, not {channel}")
    traits = map_traits(kind)
    picture = np.array(as_image(values)[..., channel] if values.ndim > 2 else values.T, np.float32)
    low, high = traits.value_range
    signed = not (math.isfinite(low) and low >= 0)
    if signed or not math.isfinite(high):
        high = float(np.abs(picture).max()) or 1.0
        low = -high if signed else low
    arrays: dict[str, NDArray[Any]] = {"values": picture}
    if values.ndim == 3 and values.shape[0] == values.shape[1] and traits.views == 1 and not crop.flat:
        profile = store.attributes["maps"].get("profile", "default")
        arrays["hand"] = Scene(crop, values.shape[0], profile).silhouette.astype(np.uint8)
    return Packet(
        {"kind": kind, "channel": channel, "low": low, "high": high, "signed": signed, "unit": traits.unit,
         "background": traits.background or signed, "scale": None if scales is None else float(scales[channel]),
         "stored": kept},
        arrays,
    )  # fmt: skip


def distances_from(crop: Crop, at: tuple[float, float], along: str) -> Packet:
    """Geodesic distances over the hand from a point of the crop; from the hand that is nearest, if it is beside it.

    Parameters
    ----------
    crop
        Of a row.
    at
        (row, column), pixels of the crop; an integer is a pixel's centre.
    along
        "plane": within the silhouette. "surface": along what the camera saw, steps in depth included.
    """
    cell = 2 * crop.cube.half_side / crop.size
    depth = np.where(crop.mask, crop.depth, 0) * np.float32(crop.cube.half_side) if along == "surface" else None
    # Of one layout and type, for a kernel is compiled for each.
    found = geodesic_distance(np.ascontiguousarray(crop.mask), [at], spacing=cell, depth=depth)[0]
    reached = np.isfinite(found)
    return Packet({"at": list(at), "far": float(found[reached].max()) if reached.any() else 0.0}, {"mm": found})
