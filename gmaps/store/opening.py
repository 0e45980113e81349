"""Opening a store, wherever it lies."""

from __future__ import annotations

import os

from gmaps.store.local import Store
from gmaps.store.object_store import is_remote, local_path


def open_store(path: str | os.PathLike[str]) -> Store:
    """Opens a finished store.

    Parameters
    ----------
    path
        Where it is: a directory, or an address that fsspec knows, like `s3://bucket/x.zarr`.

    Raises
    ------
    StoreError
        When the path is no store, or its build is not finished.
    MissingExtraError
        When the package for an address is not installed.
    """
    if is_remote(path):
        from gmaps.store.remote import RemoteStore  # needs fsspec's packages, which not all have

        return RemoteStore(os.fspath(path))
    return Store(local_path(path))
