"""Are the bytes on disk those that were written, and are the values those that the source gives?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.formats.litter import is_litter
from gmaps.store.codec import crc32c
from gmaps.store.file_records import check_file, read_checksums
from gmaps.store.local import Store
from gmaps.store.object_store import Place, is_remote, local_path
from gmaps.store.ours import MARK
from gmaps.store.writer import CHECKSUMS, FileRecord

#: Bytes that are fetched at once from an object store.
FETCH = 1 << 26


def verify_checksums(path: str | os.PathLike[str]) -> list[str]:
    """Checks every file of a finished store, wherever it lies. It need not be one that can be opened.

    Returns
    -------
    list of str
        One line a problem, with the file's path in the store; empty when all is well. A file that the store
        does not know is a problem too: readers may take it for a chunk. What operating systems leave in every
        folder is none.

    Raises
    ------
    StoreError
        When the path is no finished store.
    CorruptStoreError
        When `checksums.json` is itself damaged.
    """
    if is_remote(path):
        place = Place(os.fspath(path))
        records = read_checksums(place)
        sizes = place.sizes([r.path for r in records])
        problems, present = _check_remote(place, records, sizes), set(sizes)
    else:
        root = local_path(path)
        records = read_checksums(root)
        problems = [line for r in records if (line := check_file(root, r))]
        present = _files_below(root)
    known = {r.path for r in records} | {CHECKSUMS, MARK}
    strange = sorted(name for name in present - known if not is_litter(name.rpartition("/")[2]))
    return problems + [f"{name}: not part of the store" for name in strange]


def _files_below(root: Path) -> set[str]:
    """All that is no directory: files, and what a reader might take for one."""
    tree = os.walk(root)
    return {os.path.relpath(os.path.join(directory, name), root) for directory, _, files in tree for name in files}


def _check_remote(place: Place, records: Sequence[FileRecord], sizes: Mapping[str, int]) -> list[str]:
    """As `check_file`, many files at once, but no more than fit into some memory."""
    problems = [f"{r.path}: missing" for r in records if r.path not in sizes]
    for r in records:
        if sizes.get(r.path, r.size) != r.size:
            problems.append(f"{r.path}: has {sizes[r.path]} bytes, {r.size} were written")
    whole = [r for r in records if sizes.get(r.path) == r.size]
    pieces = [(r.path, at, min(at + FETCH, r.size)) for r in whole for at in range(0, r.size, FETCH)]
    sums = dict.fromkeys((r.path for r in whole), 0)
    while pieces:
        taken, size = 0, 0
        while taken < len(pieces) and (taken == 0 or size + pieces[taken][2] - pieces[taken][1] <= FETCH):
            size += pieces[taken][2] - pieces[taken][1]
            taken += 1
        now, pieces = pieces[:taken], pieces[taken:]
        for (name, _, _), content in zip(now, place.read_ranges(now), strict=True):
            sums[name] = crc32c([content], sums[name])
    return problems + [f"{r.path}: its bytes changed (checksum)" for r in whole if sums[r.path] != r.crc]


def compare_sample(store: Store, row: int, expected: Mapping[str, NDArray[Any]]) -> list[str]:
    """Compares a row with values computed anew.

    Parameters
    ----------
    store
        The store.
    row
        Its row.
    expected
        Array name -> float values before they were quantised; what the store does not have is not looked at.

    Returns
    -------
    list of str
        One line for each array that differs by more than `Store.rounding`.
    """
    problems = []
    names = [n for n in expected if n in store.names]
    for name, stored in store.read([row], names).items():
        want = np.asarray(expected[name])
        got = stored[0]
        if got.shape != want.shape:
            problems.append(f"row {row}, {name}: shape {got.shape} in the store, {want.shape} computed")
            continue
        with np.errstate(invalid="ignore"):  # inf - inf, where both agree
            error = np.abs(got.astype(np.float64) - want.astype(np.float64))
        wrong = ~((got == want) | (np.isnan(got) & np.isnan(want)) | (error <= store.rounding(name, want)))
        if wrong.any():
            worst = float(np.nanmax(np.where(wrong, error, 0)))
            problems.append(
                f"row {row}, {name}: {int(wrong.sum())} of {wrong.size} values differ, by up to {worst:.3g}"
            )
    return problems
