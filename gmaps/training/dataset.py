"""A store as a PyTorch data set: maps as they were stored, or computed from the crop on the fly."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from gmaps.errors import StoreError
from gmaps.frame import Crop, Cube
from gmaps.maps import MapParams, Scene, encode_params, get_map
from gmaps.store import Store, open_store

Item = dict[str, Any]


class GuidanceDataset(Dataset[Item]):
    """Crops, joints and guidance maps of a store.

    Parameters
    ----------
    store
        A store, or its path.
    maps
        Kinds to give; all in the store by default, none for ().
    on_the_fly
        Compute the maps from the stored crop, by the function that a build uses, instead of reading them: bit-equal
        to a store of float32, and any kind can be had.
    valid_only
        Leave out rejected frames. With False they come with depth 1, maps 0 and joints NaN.
    transform
        Called with each item; its result is given instead.

    Notes
    -----
    An item is a dict, which PyTorch's default collation stacks:

    - "depth": (1, S, S) float32 in [-1, 1], background 1
    - "maps": kind -> (C, H, H) float32
    - "silhouette": (1, H, H) bool, the cells in which maps mean something
    - "joints": (J, 3) float32, cube units
    - "joints_mm": (J, 3) float32, mm, camera axes
    - "cube": (4,) float32, centre and half side, mm
    - "index": int, row in the store

    Nothing is opened before the first item, and nothing open travels to a worker: all start methods work.

    Raises
    ------
    StoreError
        A kind that the store does not hold is asked for, and not on the fly.

    Examples
    --------
    >>> data = GuidanceDataset("msra.zarr", ("geodesic",))  # doctest: +SKIP
    >>> loader = DataLoader(data, batch_size=128, shuffle=True, num_workers=2)  # doctest: +SKIP
    """

    def __init__(
        self,
        store: Store | str | os.PathLike[str],
        maps: Sequence[str] | None = None,
        *,
        on_the_fly: bool = False,
        valid_only: bool = True,
        transform: Callable[[Item], Item] | None = None,
    ) -> None:
        self.store = store if isinstance(store, Store) else open_store(os.fspath(store))
        self.maps = tuple(self.store.maps if maps is None else maps)
        self.on_the_fly = on_the_fly
        self.transform = transform
        for name in self.maps:
            get_map(name)
        missing = [name for name in self.maps if name not in self.store.maps]
        if missing and not on_the_fly:
            raise StoreError(
                f"{self.store.path} does not hold {', '.join(missing)}, only {', '.join(self.store.maps)}: "
                "build it with these maps, or use on_the_fly=True"
            )
        self.params = MapParams.from_dict(self.store.attributes["maps"])
        if self.maps:
            self.params = replace(self.params, maps=self.maps)
        self.rows = np.arange(len(self.store))
        if valid_only:
            self.rows = self.rows[np.asarray(self.store.column("valid"), bool)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Item:
        row = int(self.rows[index])
        names = ["depth", "joints", "cube"]
        if not self.on_the_fly:
            names += [f"maps/{name}" for name in self.maps]
        read = {name: values[0] for name, values in self.store.read([row], names).items()}
        item: Item = {
            "depth": torch.from_numpy(read["depth"][None]),
            "joints_mm": torch.from_numpy(read["joints"]),
            "cube": torch.from_numpy(read["cube"]),
            "index": row,
        }
        if np.isfinite(read["cube"]).all():
            crop = self._crop(read)
            scene = Scene(crop, self.params.size, self.params.profile)
            silhouette, joints = scene.silhouette, crop.joints
        else:
            silhouette = np.zeros((self.params.size, self.params.size), bool)
            joints = np.full_like(read["joints"], np.nan)
        if self.on_the_fly:
            found = self._encode(read)
        else:
            found = {name: read[f"maps/{name}"] for name in self.maps}
        # Channels last in the store, first in PyTorch: the same memory, seen otherwise.
        item["maps"] = {name: torch.from_numpy(np.moveaxis(m, -1, 0)) for name, m in found.items()}
        item["silhouette"] = torch.from_numpy(silhouette[None])
        item["joints"] = torch.from_numpy(joints)
        return item if self.transform is None else self.transform(item)

    def _crop(self, read: dict[str, np.ndarray]) -> Crop:
        projection = self.store.attributes["crop"]["projection"]
        return Crop(read["depth"], Cube.from_array(read["cube"]), read["joints"], projection)

    def _encode(self, read: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not np.isfinite(read["cube"]).all():
            size, skeleton = self.params.size, self.store.skeleton
            return {name: np.zeros(get_map(name).shape(size, skeleton), np.float32) for name in self.maps}
        return dict(encode_params(self._crop(read), self.params, self.store.skeleton))
