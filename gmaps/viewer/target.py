"""What is to be looked at, told from its name and a few bytes, before NumPy is loaded: the page comes first."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Literal

from gmaps.errors import UsageError

Kind = Literal["store", "runs", "recording", "track"]


def kind_of(path: str) -> Kind:
    """Whether a path is a store, a run (or a folder of runs), a recording, or a file of `gmaps track`.

    Raises
    ------
    UsageError
        It is none of them; or nothing is there.
    """
    place = Path(path)
    if "://" in path or (place / "zarr.json").is_file():
        return "store"
    if place.is_dir():
        if run_folders(place):
            return "runs"
        raise UsageError(
            f"{path} is a folder, but no store (no zarr.json in it) and no run of `gmaps train` (no log.csv)"
        )
    if Path(f"{place}.partial").is_dir():
        return "store"  # which says that its build is not finished
    if not place.exists():
        raise UsageError(f"{path} does not exist: `gmaps view` shows a store, a run's folder, or a recording (.npz)")
    if place.is_file():
        found = _of_archive(place) if place.suffix.lower() == ".npz" else _of_lines(place)
        if found is not None:
            return found
    raise UsageError(
        f"{path} is no store, no run's folder, no recording of `gmaps track --record` (.npz), and no file of "
        "`gmaps track --out`"
    )


def run_folders(place: Path) -> list[Path]:
    """A run's own folder, or the runs that lie in a folder, by name."""
    if (place / "log.csv").is_file():
        return [place]
    return sorted(inner for inner in place.iterdir() if (inner / "log.csv").is_file())


def _of_archive(place: Path) -> Kind | None:
    try:
        with zipfile.ZipFile(place) as archive:
            names = set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    if {"camera.npy", "time.npy", "name.npy"} <= names:
        return "recording"
    return "track" if {"joints_mm.npy", "camera.npy", "joint_names.npy"} <= names else None


def _of_lines(place: Path) -> Kind | None:
    with place.open("rb") as file:
        first = file.readline(1 << 16)
    try:
        head = json.loads(first)
    except (ValueError, RecursionError):
        return None
    return "track" if isinstance(head, dict) and head.get("gmaps") == "track" else None
