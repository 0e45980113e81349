"""DexYCB's tree: recordings of ten people, what each `meta.yml` says of them, calibrations, and the setups."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Split
from gmaps.datasets.reader import read_bytes, some_names
from gmaps.errors import DatasetError, FrameError, UsageError
from gmaps.formats.strict_yaml import numbers, parse_yaml

SUBJECTS = (
    "20200709-subject-01", "20200813-subject-02", "20200820-subject-03", "20200903-subject-04",
    "20200908-subject-05", "20200918-subject-06", "20200928-subject-07", "20201002-subject-08",
    "20201015-subject-09", "20201022-subject-10",
)  # fmt: skip
#: The cameras, in the order of the toolkit's indices.
SERIALS = (
    "836212060125", "839512060362", "840412060917", "841412060263", "932122060857", "932122060861", "932122061900",
    "932122062010",
)  # fmt: skip
#: Recordings of each person; setups count them, so that a part of them tells no split.
SEQUENCES = 100
#: Ways to divide the set: by recording, by person, by camera, by object grasped.
SETUPS = ("s0", "s1", "s2", "s3")
WIDTH, HEIGHT = 640, 480
#: No recording is longer: the mean is 73 frames.
_LONGEST = 10_000
_RECORDING = re.compile(r"\d{8}_\d{6}")
_WORD = re.compile(r"[\w.-]{1,80}")
_LARGEST_YAML = 2**16


class HandRecording(NamedTuple):
    """One sequence, of all cameras.

    Parameters
    ----------
    subject
        Place in `SUBJECTS`.
    number
        Its place among the person's, by name.
    name
        "20200709_141754".
    frames
        Of each camera.
    right
        Whether a right hand is seen; else a left one.
    mano
        Folder of the hand's shape below `calibration`, without "mano_".
    """

    subject: int
    number: int
    name: str
    frames: int
    right: bool
    mano: str


def parse_meta(data: bytes, name: str) -> tuple[int, bool, str]:
    """Number of frames, whether the hand is a right one, and its calibration, from a `meta.yml`.

    Raises
    ------
    DatasetError
        Not one.
    """
    said = parse_yaml(data, name)
    if not isinstance(said, dict):
        raise DatasetError(f"{name}: no list of names and values; restore it from the archive")
    frames, sides, mano = (said.get(key) for key in ("num_frames", "mano_sides", "mano_calib"))
    if not isinstance(frames, int) or not 0 <= frames <= _LONGEST:
        raise DatasetError(f"{name}: num_frames is {str(frames)[:40]!r}, not a number from 0 to {_LONGEST:,}")
    sides, mano = ([v] if isinstance(v, str) else v for v in (sides, mano))
    if not isinstance(sides, list) or sides not in (["right"], ["left"]):
        raise DatasetError(f"{name}: mano_sides is {str(sides)[:40]}, neither right nor left; restore it")
    if not isinstance(mano, list) or len(mano) != 1 or not _WORD.fullmatch(str(mano[0])) or ".." in str(mano[0]):
        raise DatasetError(f"{name}: mano_calib is {str(mano)[:80]}, not one name; restore it")
    return frames, sides == ["right"], str(mano[0])


def read_recordings(root: Path) -> list[HandRecording]:
    """All recordings that are there, in the toolkit's order: by person, by name.

    Raises
    ------
    DatasetError
        None is there, or one has no usable `meta.yml`.
    """
    found = []
    for s, subject in enumerate(SUBJECTS):
        for number, name in enumerate(recording_names(root / subject)):
            file = f"{subject}/{name}/meta.yml"
            found.append(HandRecording(s, number, name, *parse_meta(_read(root, file), file)))
    if not found:
        raise DatasetError(
            f"{root}: no recording of {SUBJECTS[0]} to {SUBJECTS[-1]} is here, but {some_names(root)}; the tree must "
            "be ROOT/20200709-subject-01/20200709_141754/meta.yml and so on"
        )
    return found


def recording_names(folder: Path) -> list[str]:
    """Names of a person's recordings, sorted; none where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if _RECORDING.fullmatch(e.name) and e.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DatasetError(
            f"{folder}: cannot be listed ({error.strerror or error}); see to its permissions"
        ) from error


def _read(root: Path, file: str) -> bytes:
    try:
        return read_bytes(root / file, file, _LARGEST_YAML)
    except FrameError as error:
        raise DatasetError(f"{root}: {error}") from error


def parse_intrinsics(data: bytes, name: str) -> Camera:
    """The colour camera of a `<serial>_640x480.yml`: depth is aligned to it, so it is depth's, too.

    Raises
    ------
    DatasetError
        No such numbers.
    """
    said = parse_yaml(data, name)
    colour = said.get("color") if isinstance(said, dict) else None
    if not isinstance(colour, dict):
        raise DatasetError(f"{name}: has no `color`, whose camera is the aligned depth's; restore it")
    fx, fy, cx, cy = numbers([colour.get(k) for k in ("fx", "fy", "ppx", "ppy")], 4, name, "color's fx, fy, ppx, ppy")
    if not (1 < fx < 1e5 and 1 < fy < 1e5):
        raise DatasetError(f"{name}: focal lengths of {fx:g} and {fy:g} pixels are no camera's; restore it")
    return Camera(fx, fy, cx, cy, WIDTH, HEIGHT)


def parse_betas(data: bytes, name: str) -> NDArray[np.float32]:
    """(10,) float32: MANO's shape of a hand, from a `mano.yml`.

    Raises
    ------
    DatasetError
        No such numbers.
    """
    said = parse_yaml(data, name)
    betas = said.get("betas") if isinstance(said, dict) else None
    with np.errstate(over="ignore"):
        return np.array(numbers(betas, 10, name, "betas"), np.float32)


def read_camera(root: Path, serial: str) -> Camera:
    """The colour camera of a serial number; see `parse_intrinsics`."""
    file = f"calibration/intrinsics/{serial}_{WIDTH}x{HEIGHT}.yml"
    return parse_intrinsics(_read(root, file), file)


def read_betas(root: Path, mano: str) -> NDArray[np.float32]:
    """The shape of a hand; see `parse_betas`."""
    file = f"calibration/mano_{mano}/mano.yml"
    return parse_betas(_read(root, file), file)


def in_split(
    setup: str, split: Split, recordings: list[HandRecording]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which recordings and which cameras a split of a setup has, as the toolkit divides them.

    Returns
    -------
    (R,) bool, (8,) bool

    Raises
    ------
    UsageError
        A person of whom not all recordings are there, where their number decides.
    """
    number = np.array([r.number for r in recordings])
    subject = np.array([r.subject for r in recordings])
    every = np.ones(len(SERIALS), bool)
    if split == "all":
        return np.ones(len(number), bool), every
    if setup == "s1":
        people = {"train": (0, 1, 2, 3, 4, 5, 9), "val": (6,), "test": (7, 8)}[split]
        return np.isin(subject, people), every
    if setup == "s2":
        cameras = {"train": range(6), "val": (6,), "test": (7,)}[split]
        return np.ones(len(number), bool), np.isin(np.arange(len(SERIALS)), cameras)
    for s in np.unique(subject).tolist():
        count = int((subject == s).sum())
        if count != SEQUENCES:
            raise UsageError(
                f"{SUBJECTS[s]} has {count} recordings here, not {SEQUENCES}, and setup {setup} divides them by "
                "their number: restore the others, or take setup=s1 or s2, or split all"
            )
    if setup == "s3":
        group = number // 5
        val, test = np.isin(group, (3, 19)), np.isin(group, (7, 11, 15))
        return {"train": ~val & ~test, "val": val, "test": test}[split], every
    late = number % 5 == 4
    return {"train": ~late, "val": late & (subject < 2), "test": late & (subject >= 2)}[split], every
