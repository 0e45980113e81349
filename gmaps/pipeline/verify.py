"""Are a store's values those that its source gives?"""

from __future__ import annotations

import os
from collections.abc import Iterable

from gmaps.center import load_centers
from gmaps.crop import CropParams
from gmaps.datasets import load_dataset
from gmaps.errors import FrameError, UsageError
from gmaps.maps import MapParams, fingerprint
from gmaps.pipeline.fingerprint import differences
from gmaps.pipeline.worker import make_sample, sample_row
from gmaps.store.reader import Store
from gmaps.store.verify import compare_sample


def store_params(store: Store) -> tuple[CropParams, MapParams]:
    """How a store's crops and maps were made."""
    return CropParams(**store.attributes["crop"]), MapParams.from_dict(store.attributes["maps"])


def recompute_rows(
    store: Store,
    rows: Iterable[int],
    *,
    root: str | os.PathLike[str] | None = None,
    center: str | os.PathLike[str] | None = None,
) -> list[str]:
    """Makes rows of a store again from its data set, and compares.

    Parameters
    ----------
    store
        The store.
    rows
        Which rows.
    root
        Where the data set is, as for `load_dataset`.
    center
        The centre file, for a store that was built with one.

    Returns
    -------
    list of str
        One line a difference; empty when all values lie within the rounding of their stored type.

    Raises
    ------
    UsageError
        When the store was built with a centre file and none is given.
    DatasetError
        When the data set cannot be read.
    """
    a = store.attributes
    dataset = load_dataset(**{**a["dataset"]["spec"], "root": root})
    changed = differences(a["dataset"]["fingerprint"], dataset.fingerprint(), "data set")
    changed += differences(a["fingerprint_of"]["versions"], fingerprint(), "versions")
    if changed:
        return [f"the source is not what the store was built from: {c}" for c in changed]
    crop, maps = store_params(store)
    centers = None
    if crop.center == "file":
        if center is None:
            raise UsageError(f"{store.path} was built with a centre file: give it as center")
        centers = load_centers(center, dataset.camera, len(dataset))
    problems = []
    for i in rows:
        sample = store[i]
        row = sample.index
        try:
            made = sample_row(*make_sample(dataset, row, crop, maps, None if centers is None else centers[row]))
        except FrameError as error:
            if sample.valid:
                problems.append(f"row {row}: valid in the store, but its frame cannot be used now: {error}")
            continue
        if not sample.valid:
            problems.append(f"row {row}: rejected in the store, but its frame can be used now")
            continue
        problems += compare_sample(store, row, made)
    return problems
