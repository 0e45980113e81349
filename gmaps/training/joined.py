"""Several stores as one to train on: rows one after the other, and NaN for what frames of one of them lack.

So a network learns from joints of real frames and from joints, angles and meshes of synthetic ones in one run, as
DeepHPS does (Malik et al., 3DV 2018).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import StoreError, UsageError, unknown_name
from gmaps.maps import get_map
from gmaps.skeleton import Skeleton
from gmaps.store import Store
from gmaps.store.group_metadata import Attributes

#: Of a crop, what must be the same in all stores; how its centre was found need not be.
_SAME = ("size", "half_side", "projection", "silhouette", "flat")


class JoinedStore(Store):
    """Stores of the same kind of crops, as one; `join_stores` makes it.

    Names, rows, `read`, `column`, `shape`, `maps`, `further`, `skeleton` and `attributes` are those of `Store`. Maps
    are those that all hold; a further array is had where one store holds it, and is NaN in the rows of others.

    Parameters
    ----------
    stores
        At least two.

    Attributes
    ----------
    stores
        As given.
    lacking
        Name of a further array -> the stores that do not hold it.

    Raises
    ------
    StoreError
        Their crops or maps are of different kinds.
    UsageError
        No store's joints are had from all others, or one is given twice.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = tuple(stores)
        self.path = " + ".join(str(s.path) for s in stores)
        _check(self.stores)
        target = _skeleton(self.stores)
        self._taken = [list(s.skeleton.mapping_to(target)) for s in self.stores]
        counts = [len(s) for s in self.stores]
        self._first = np.concatenate([[0], np.cumsum(counts)])
        self._length = int(self._first[-1])
        names, self._subject_offset = _people(self.stores)
        first = self.stores[0].attributes
        crop = dict(first["crop"])
        if not all(s.colored for s in self.stores):
            crop.pop("color", None)
        whole = "+".join(str(s.attributes.get("fingerprint", s.path)) for s in self.stores)
        self.attributes = Attributes({
            **first, "skeleton": target.to_dict(), "crop": crop, "dataset": {**first["dataset"], "subjects": names},
            "fingerprint": hashlib.sha256(whole.encode()).hexdigest(),
        })  # fmt: skip
        self.lacking: dict[str, tuple[str, ...]] = {}
        self._items = self._find_items(target)
        self._arrays = self._items  # type: ignore[assignment]  # whose names alone are looked at
        self._dtypes = {n: np.result_type(*(s.read([], [n])[n] for s in self._having(n))) for n in self._items}

    def _having(self, name: str) -> list[Store]:
        return [s for s in self.stores if name in s.names]

    def _find_items(self, target: Skeleton) -> dict[str, tuple[int, ...]]:
        """Name of an array -> shape of a row."""
        found: dict[str, tuple[int, ...]] = {}
        same = all(taken == list(range(len(s.skeleton))) for taken, s in zip(self._taken, self.stores, strict=True))
        for name in dict.fromkeys(n for s in self.stores for n in s.names):
            having = self._having(name)
            shapes = {s.shape(name) for s in having}
            if name == "joints":
                found[name] = (len(target), 3)
            elif len(having) == len(self.stores):
                per_joint = name.startswith("maps/") and get_map(_kind(name)).depends == "joint"
                if per_joint:
                    shapes = {(*shape[:-1], len(target)) for shape in shapes}
                # Channels that are not one a joint are of the store's own skeleton.
                fixed = name.startswith("maps/") and not same and get_map(_kind(name)).depends == "joints"
                if len(shapes) == 1 and not fixed and (name != "color" or all(s.colored for s in having)):
                    found[name] = shapes.pop()
            elif not name.startswith("maps/") and len(shapes) == 1 and _float(having[0], name):
                found[name] = shapes.pop()
                self.lacking[name] = tuple(str(s.path) for s in self.stores if name not in s.names)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.stores,)

    @property
    def shard_samples(self) -> int:
        """Rows that are shuffled together: of the first store's files."""
        return self.stores[0].shard_samples

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of an array."""
        if name not in self._items:
            raise unknown_name(f"array in {self.path}", name, self._items)
        return self._items[name]

    def column(self, name: str) -> NDArray[Any]:
        """All N rows of a small array."""
        return self.read(range(len(self)), [name])[name]

    def read(
        self, indices: Iterable[int] | slice, names: Iterable[str] | None = None, *, decode: bool = True,
        out: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, NDArray[Any]]:  # fmt: skip
        """See `Store.read`; values are always decoded, as stores may keep them differently."""
        if not decode:
            raise UsageError(f"{self.path}: joined stores give decoded values alone; read one of them")
        rows, wanted = self._rows_of(indices), list(self._items if names is None else names)
        shapes = {name: self.shape(name) for name in wanted}
        found = {n: np.empty((len(rows), *shapes[n]), self._dtypes[n]) for n in wanted if n not in (out or {})}
        found |= {name: buffer for name, buffer in (out or {}).items() if name in wanted}
        which = np.searchsorted(self._first, rows, side="right") - 1
        for k, store in enumerate(self.stores):
            at = np.flatnonzero(which == k)
            if not len(at):
                continue
            part = store.read(rows[at] - self._first[k], [n for n in wanted if n in store.names])
            for name in wanted:
                found[name][at] = self._own(k, name, part[name]) if name in part else np.nan
        return {name: found[name] for name in wanted}

    def _own(self, k: int, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """Values of a store as they are called here."""
        if name == "joints":
            return values[:, self._taken[k]]
        if name == "subject":
            return np.where(values < 0, values, values.astype(np.int64) + self._subject_offset[k])
        if name.startswith("maps/") and get_map(_kind(name)).depends == "joint":
            return np.take(values, self._taken[k], axis=-1)
        return values


def join_stores(stores: Sequence[Store]) -> Store:
    """One store as it is, or several as one.

    Raises
    ------
    StoreError, UsageError
        See `JoinedStore`.
    """
    return stores[0] if len(stores) == 1 else JoinedStore(stores)


def _kind(name: str) -> str:
    return name.removeprefix("maps/").removesuffix("_scale")


def _float(store: Store, name: str) -> bool:
    return bool(store.read([], [name])[name].dtype.kind == "f")


def _check(stores: Sequence[Store]) -> None:
    first = stores[0]
    places = [os.path.realpath(s.path) if isinstance(s.path, Path) else s.path for s in stores]
    for k, store in enumerate(stores):
        if places[k] in places[:k]:
            raise UsageError(f"{store.path} is given twice: its people would be trained on and validated on")
        for key in _SAME:
            a, b = (s.attributes["crop"].get(key) for s in (first, store))
            if a != b:
                raise StoreError(
                    f"crops of {first.path} are of {key} {a}, those of {store.path} of {b}: "
                    "build both alike to train on both"
                )
        maps = [{k: v for k, v in s.attributes["maps"].items() if k != "maps"} for s in (first, store)]
        for key in sorted(maps[0].keys() | maps[1].keys()):
            a, b = (m.get(key) for m in maps)
            if a != b:
                raise StoreError(
                    f"maps of {first.path} are made with {key} {a}, those of {store.path} with {b}: "
                    "build both alike to train on both"
                )


def _skeleton(stores: Sequence[Store]) -> Skeleton:
    """The first one whose joints all stores have."""
    problem: UsageError | None = None
    for candidate in stores:
        try:
            for store in stores:
                store.skeleton.mapping_to(candidate.skeleton)
            return candidate.skeleton
        except UsageError as error:
            problem = problem or error
    raise UsageError(
        f"{' and '.join(str(s.path) for s in stores)} cannot be trained on together: {problem}"
    ) from problem


def _people(stores: Sequence[Store]) -> tuple[list[str], list[int]]:
    """Names of all people, and at which number each store's begin; the same name in two stores is two people."""
    own = [[str(n) for n in s.attributes["dataset"].get("subjects", [])] for s in stores]
    most = [
        max([len(names) - 1, *np.asarray(s.column("subject")).tolist()]) + 1
        for names, s in zip(own, stores, strict=True)
    ]
    names: list[str] = []
    for k, (store, known) in enumerate(zip(stores, own, strict=True)):
        others = {n for j, theirs in enumerate(own) if j != k for n in theirs}
        stem = os.path.basename(str(store.path).rstrip("/")).removesuffix(".zarr")
        names += [f"{stem}:{n}" if n in others else n for n in known] + [""] * (most[k] - len(known))
    return names, [0, *np.cumsum(most[:-1]).tolist()]
