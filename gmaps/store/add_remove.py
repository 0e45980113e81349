"""Changing which arrays a finished store has, so that a reader sees the old ones or the new, never a half.

The group's `zarr.json` says which arrays there are, and is replaced in one step: written after what it names has
come, and before what it no longer names goes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmaps.store.checksums import read_checksums
from gmaps.store.metadata import metadata_files
from gmaps.store.schema import ArraySpec
from gmaps.store.writer import (
    FileRecord,
    checksums_content,
    disk_errors,
    remove_temporaries,
    sync_directories,
    write_file,
)

GROUP = "zarr.json"


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
    """Takes arrays out of a store, those included that an interrupted removal left behind.

    Parameters
    ----------
    root
        The store.
    names
        Arrays that go.
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
    metadata = metadata_files((), rows, shard_samples, attributes, _existing(root, kept))
    stay = [r for r in read_checksums(root) if not any(r.path.startswith(f"{name}/") for name in gone)]
    _show(root, metadata[GROUP], stay, checksums_first=False)
    freed = 0
    for name in gone:
        freed += sum(f.stat().st_size for f in (root / name).glob("*"))
        shutil.rmtree(root / name, ignore_errors=True)
    sync_directories(root)
    return freed


def _existing(root: Path, names: Iterable[str]) -> dict[str, bytes]:
    files = [f"maps/{GROUP}", *(f"{name}/{GROUP}" for name in names)]
    return {file: (root / file).read_bytes() for file in files}


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
