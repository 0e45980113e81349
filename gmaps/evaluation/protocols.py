"""Evaluations by the names of their data sets, whose modules say them as `PROTOCOL`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gmaps.camera import Camera
from gmaps.datasets import dataset_protocol, list_datasets
from gmaps.datasets.protocol import PALM, Coordinates, Protocol, palm_of
from gmaps.errors import DatasetError, StoreError, UnknownNameError, UsageError, unknown_name

if TYPE_CHECKING:
    from gmaps.store import Store

__all__ = ["PROTOCOLS", "Coordinates", "Protocol", "get_protocol", "protocol_of_place"]


class _Protocols(Mapping[str, Protocol]):
    """Data set -> its evaluation; a module is imported when its data set is asked for."""

    def __getitem__(self, name: str) -> Protocol:
        try:
            found = dataset_protocol(name)
        except UnknownNameError:
            found = None
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        for name in list_datasets():
            try:
                known = dataset_protocol(name) is not None
            except DatasetError:  # another distribution's, which does not import
                known = False
            if known:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)


#: Data set -> its evaluation, those that other distributions add included.
PROTOCOLS: Mapping[str, Protocol] = _Protocols()


def get_protocol(name: str) -> Protocol:
    """The evaluation of a data set.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise unknown_name("evaluation", name, PROTOCOLS) from None


def protocol_of_place(path: str | os.PathLike[str], dataset: str | None = None) -> Protocol:
    """The evaluation of the data set that a store was built from.

    Where the data set fixes none, as frames of one's own, the store says: its skeleton's joints, or those that its
    `evaluation` names, by its camera.

    Parameters
    ----------
    path
        The store.
    dataset
        What the data set is said to be.

    Raises
    ------
    UsageError
        The place is no store, which a file of joints does not say.
    StoreError
        The store is of another data set, or so old that it does not say its camera.
    """
    if not Path(path).is_dir():
        if dataset is not None:
            return get_protocol(dataset)
        raise UsageError(f"of which data set is {os.fspath(path)}? Say --dataset: {', '.join(PROTOCOLS)}")
    from gmaps.store import open_store  # here, because a text file needs no zarr

    store = open_store(Path(path))
    name = store.attributes["dataset"]["name"]
    if dataset not in (None, name):
        if dataset not in list_datasets():
            get_protocol(dataset)  # with the nearest name
        raise StoreError(f"{os.fspath(path)}: is a store of {name}, not of {dataset}; say --dataset {name}")
    try:
        return PROTOCOLS[name]
    except KeyError:
        return _of_store(store)


def _of_store(store: Store) -> Protocol:
    if "camera" not in store.attributes:
        raise StoreError(f"{store.path}: does not say its camera, so pixels cannot be turned into mm; build it again")
    skeleton = store.skeleton
    evaluated = skeleton.evaluation or tuple(range(len(skeleton)))
    joints = tuple(skeleton.joints[j] for j in evaluated)
    return Protocol(
        name=store.attributes["dataset"]["name"],
        camera=Camera(**store.attributes["camera"]),
        joints=joints,
        printed=tuple(range(len(joints))),
        palm=palm_of(joints) if set(PALM) <= set(joints) else None,
        evaluated=evaluated,
        whole=len(skeleton),
    )
