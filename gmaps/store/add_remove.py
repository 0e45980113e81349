"""Changing which arrays a finished store has, so that a reader sees the old ones or the new, never a half.

The group's `zarr.json` says which arrays there are, and is replaced in one step: written after what it names has
come, and before what it no longer names goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmaps.errors import CorruptStoreError
from gmaps.formats.regular import read_regular
from gmaps.store.file_records import read_checksums
from gmaps.store.group_metadata import parse_json
from gmaps.store.metadata import metadata_files
from gmaps.store.names import is_inner
from gmaps.store.ours import remove_tree
from gmaps.store.schema import ROW_ARRAYS, ArraySpec
from gmaps.store.writer import (
    FileRecord,
    checksums_content,
    disk_errors,
    remove_temporaries,
    sync_directories,
    write_file,
)

GROUP = "zarr.json"
#: Within a store: what is being removed from it.
REMOVING, INTENT = ".gmaps-removing", "arrays.json"


def add_arrays(
    root: Path,
    stage: Path,
    layout: Sequence[ArraySpec],
    kept: Iterable[str],
    rows: int,
    shard_samples: int,
    attributes: Mapping[str, Any],
    shards: Iterable[FileRecord],
) -> None:
    """Moves finished arrays into a store, and lets it show them.

    Parameters
    ----------
    root
        The store.
    stage
        A directory on the same file system that holds the arrays' shards.
    layout
        The new arrays.
    kept
        Names of those that the store has.
    rows, shard_samples, attributes
        See `gmaps.store.metadata.metadata_files`; the attributes are the new ones.
    shards
        The new arrays' files.
    """
    metadata = metadata_files(layout, rows, shard_samples, attributes, _existing(root, kept))
    fresh = [write_file(stage, f"{a.name}/{GROUP}", metadata[f"{a.name}/{GROUP}"]) for a in layout]
    remove_temporaries(stage)
    sync_directories(stage)
    with disk_errors(root):
        for a in layout:
            (root / a.name).parent.mkdir(exist_ok=True)
            (stage / a.name).rename(root / a.name)
    _show(root, metadata[GROUP], [*read_checksums(root), *shards, *fresh], checksums_first=True)


def remove_arrays(
    root: Path,
    names: Iterable[str],
    kept: Iterable[str],
    rows: int,
    shard_samples: int,
    attributes: Mapping[str, Any],
) -> int:
    """Takes arrays out of a store. Stopped at any moment, the same call finishes; see `pending_removal`.

    Parameters
    ----------
    root
        The store.
    names
        Arrays that go, also those that are no more than a directory.
    kept
        Arrays that stay.
    rows, shard_samples, attributes
        As for `add_arrays`.

    Returns
    -------
    int
        Bytes that are free now.
    """
    gone = list(names)
    for name in gone:
        if not is_inner(name) or name in ROW_ARRAYS:
            raise ValueError(f"{name!r} is no array that can be removed")
    metadata = metadata_files((), rows, shard_samples, attributes, _existing(root, kept))
    stay = [r for r in read_checksums(root) if not any(r.path.startswith(f"{name}/") for name in gone)]
    # What is to go is written down first, so that whoever finds the rest of it knows what it is.
    write_file(root, f"{REMOVING}/{INTENT}", json.dumps({"arrays": gone}).encode())
    sync_directories(root / REMOVING)
    _show(root, metadata[GROUP], stay, checksums_first=False)
    freed = 0
    with disk_errors(root):
        for name in gone:
            if (root / name).is_dir():
                freed += sum(f.stat().st_size for f in (root / name).glob("*"))
                remove_tree(root / name, GROUP)
        remove_tree(root / REMOVING, INTENT)
    sync_directories(root)
    return freed


def pending_removal(root: Path) -> list[str]:
    """Arrays of a removal that was stopped; empty where there is none."""
    try:
        found = parse_json(read_regular(root / REMOVING / INTENT), root / REMOVING / INTENT)["arrays"]
    except (OSError, CorruptStoreError, KeyError, TypeError):
        return []
    good = isinstance(found, list) and all(is_inner(n) and n.startswith("maps/") and n.count("/") == 1 for n in found)
    return list(found) if good else []


def clear_leftovers(root: Path) -> None:
    """Removes what killed changes of a store left, but for what is pending; while the lock is held."""
    remove_temporaries(root)
    if (root / REMOVING).is_dir() and not pending_removal(root):
        with disk_errors(root):
            remove_tree(root / REMOVING, INTENT)


def _existing(root: Path, names: Iterable[str]) -> dict[str, bytes]:
    files = [f"maps/{GROUP}", *(f"{name}/{GROUP}" for name in names)]
    try:
        return {file: read_regular(root / file) for file in files}
    except OSError as error:
        raise CorruptStoreError(
            f"{error.filename or root} cannot be read: {error.strerror}; `gmaps verify` tells what else is damaged"
        ) from error


def _show(root: Path, group: bytes, records: Sequence[FileRecord], *, checksums_first: bool) -> None:
    """Writes the group's `zarr.json` and the checksums."""
    from google_crc32c import value

    own = FileRecord(GROUP, len(group), value(group))
    # What an interrupted addition had written already comes twice, the newest last.
    files = {r.path: r for r in [*records, own]}
    checksums = checksums_content(files.values())
    steps = [checksums, (GROUP, group)] if checksums_first else [(GROUP, group), checksums]
    for name, content in steps:
        write_file(root, name, content)
    sync_directories(root)
