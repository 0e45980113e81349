"""Are a store's values those that its source gives?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from gmaps.datasets import load_dataset
from gmaps.datasets.base import DataSet
from gmaps.errors import FrameError, UnknownNameError, UsageError
from gmaps.maps import fingerprint
from gmaps.pipeline.fingerprint import differences, plain
from gmaps.pipeline.source import FrameCrops
from gmaps.pipeline.spec import BuildSpec
from gmaps.pipeline.suspects import try_rows
from gmaps.pipeline.worker import make_sample, sample_row
from gmaps.rows import row_numbers
from gmaps.store.checksums import compare_sample
from gmaps.store.local import Store


def recompute_rows(
    store: Store,
    rows: Iterable[int] | slice,
    *,
    root: str | os.PathLike[str] | None = None,
    center: str | os.PathLike[str] | None = None,
    dataset: DataSet | str | None = None,
) -> list[str]:
    """Makes rows of a store again from its data set, and compares.

    Parameters
    ----------
    store
        The store.
    rows
        Which rows: whole numbers, a slice or a mask.
    root
        Where the data set is, as for `load_dataset`.
    center
        The centre file, for a store that was built with one.
    dataset
        The data set, or its name or `module:factory`, where that which the store names is not known by name.

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
    if dataset is None or isinstance(dataset, str):
        named = {} if dataset is None else {"name": dataset}
        try:
            dataset = load_dataset(**{**a["dataset"]["spec"], **named, "root": root})
        except UnknownNameError as error:
            raise UnknownNameError(f"{error} If it is one of your own, name it as module:factory") from None
    changed = differences(a["dataset"]["fingerprint"], plain(dataset.fingerprint()), "data set")
    changed += differences(a["fingerprint_of"]["versions"], fingerprint(), "versions")
    if changed:
        return [f"the source is not what the store was built from: {c}" for c in changed]
    spec = BuildSpec.of_store(store)
    if spec.crop.center == "file" and center is None:
        raise UsageError(f"{store.path} was built with a centre file: give it as center")
    source = FrameCrops(dataset, spec.crop, os.fspath(center) if center and spec.crop.center == "file" else None)
    problems = []

    def make(row: int) -> dict[str, Any]:
        return sample_row(*make_sample(source, row, spec.maps))

    for i in row_numbers(rows, len(store), str(store.path)).tolist():
        sample = store[i]
        row = sample.index
        try:
            # A frame may have been rejected because it ends the process that makes it.
            made = make(row) if sample.valid else next(try_rows(make, [row]))()
        except FrameError as error:
            if sample.valid:
                problems.append(f"row {row}: valid in the store, but its frame cannot be used now: {error}")
            continue
        if not sample.valid:
            problems.append(f"row {row}: rejected in the store, but its frame can be used now")
            continue
        problems += compare_sample(store, row, made)
    return problems
