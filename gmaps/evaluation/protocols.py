"""Evaluations by the names of their data sets, whose modules say them as `PROTOCOL`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gmaps.datasets import dataset_protocol, list_datasets
from gmaps.datasets.protocol import Coordinates, Protocol
from gmaps.errors import DatasetError, StoreError, UnknownNameError, UsageError, unknown_name

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


def protocol_of_place(path: str | os.PathLike[str]) -> Protocol:
    """The evaluation of the data set that a store was built from.

    Raises
    ------
    UsageError
        The place is no store, which a file of joints does not say.
    StoreError
        The data set has none.
    """
    if not Path(path).is_dir():
        raise UsageError(f"of which data set is {os.fspath(path)}? Say --dataset: {', '.join(PROTOCOLS)}")
    from gmaps.store import open_store  # here, because a text file needs no zarr

    name = open_store(Path(path)).attributes["dataset"]["name"]
    if name not in PROTOCOLS:
        raise StoreError(
            f"{os.fspath(path)} is of {name}, for which no evaluation is known, only {', '.join(PROTOCOLS)}"
        )
    return PROTOCOLS[name]
