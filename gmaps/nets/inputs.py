"""Entries of a batch by name, and how those that a network reads are had from a crop alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gmaps.errors import UsageError
from gmaps.frame import Crop
from gmaps.maps import Encoder, MapParams
from gmaps.maps.multiview import views
from gmaps.skeleton import Skeleton

_MAP = "maps/"
#: Of every batch, whatever the store holds.
ALWAYS = ("depth", "joints", "joints_mm", "cube", "silhouette", "index")
#: Computed from the crop: (crop, S) -> (S, S, C).
DERIVED: dict[str, Callable[[Crop, int], NDArray[np.float32]]] = {"views": views}


def map_kinds(names: Iterable[str]) -> tuple[str, ...]:
    """Kinds of map among names of entries, each once."""
    return tuple(dict.fromkeys(name.removeprefix(_MAP) for name in names if name.startswith(_MAP)))


def further_arrays(names: Iterable[str]) -> tuple[str, ...]:
    """Names of what only some stores hold: `Store.further`, as their data sets declare it."""
    others = (n for n in names if not n.startswith(_MAP) and n not in ALWAYS and n not in DERIVED)
    return tuple(dict.fromkeys(others))


def entries(batch: Mapping[str, Any], names: Sequence[str]) -> tuple[Tensor, ...]:
    """What a network is called with, out of a collated batch."""
    return tuple(batch["maps"][n.removeprefix(_MAP)] if n.startswith(_MAP) else batch[n] for n in names)


def batch_of(
    crops: Sequence[Crop], names: Sequence[str], size: int | None, maps: Mapping[str, Any], skeleton: Skeleton
) -> dict[str, Any]:
    """A batch that holds what a network reads, and "cube", of crops that no store holds.

    Parameters
    ----------
    crops
        At least one, all of one size.
    names
        The network's `inputs`.
    size
        The network's: S of what is derived; None for that of the crops.
    maps
        How maps are made that the network reads: "size" and the like of `MapParams`; kinds are those of `names`.
    skeleton
        Of kinds that must have one.
    """
    found: dict[str, Any] = {
        "depth": torch.from_numpy(np.stack([crop.depth[None] for crop in crops])),
        "cube": torch.from_numpy(np.stack([crop.cube.to_array() for crop in crops])),
        "maps": {},
    }
    for name in names:
        if name == "color" and all(crop.color is not None for crop in crops):
            found[name] = torch.from_numpy(np.stack([np.asarray(crop.color) for crop in crops]))
        if name in DERIVED:
            made = np.stack([DERIVED[name](crop, size or crop.size) for crop in crops])
            found[name] = torch.from_numpy(np.moveaxis(made, -1, 1).copy())
    kinds = map_kinds(names)
    if kinds:
        encoder = Encoder(MapParams.from_dict({**maps, "maps": kinds}), skeleton)
        made_maps = [encoder.crop(crop) for crop in crops]
        found["maps"] = {
            kind: torch.from_numpy(np.moveaxis(np.stack([m[kind] for m in made_maps]), -1, 1).copy())
            for kind in kinds
        }
    lacking = [n for n in names if not n.startswith(_MAP) and n not in found]
    if lacking:
        raise UsageError(f"the network reads {', '.join(lacking)}, which a crop alone does not give: predict a store")
    return found
