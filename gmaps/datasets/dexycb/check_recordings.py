"""`gmaps datasets dexycb --check ROOT`: what is there of what the recordings say of themselves."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gmaps.datasets.base import Check
from gmaps.datasets.dexycb.recordings import (
    HEIGHT,
    SEQUENCES,
    SERIALS,
    SUBJECTS,
    WIDTH,
    HandRecording,
    read_betas,
    read_camera,
    read_recordings,
)
from gmaps.errors import DatasetError
from gmaps.formats import png

_DEPTH = re.compile(r"aligned_depth_to_color_(\d{6})\.png")
_LABELS = re.compile(r"labels_(\d{6})\.npz")


def check_recordings(root: Path) -> list[Check]:
    """A line for each person, calibration and recording.

    Parameters
    ----------
    root
        The data set.
    """
    try:
        recordings = read_recordings(root)
    except DatasetError as error:
        return [Check("recordings", 0, len(SUBJECTS) * SEQUENCES, str(error))]
    checks = []
    for s, subject in enumerate(SUBJECTS):
        count = sum(r.subject == s for r in recordings)
        missing = "setups s0 and s3 need all of a person's; s1 and s2 can be built"
        problem = "" if count == SEQUENCES else "not here; the others can be built" if count == 0 else missing
        checks.append(Check(subject, count, SEQUENCES, problem))
    checks += [_calibration(f"calibration of {serial}", lambda s=serial: read_camera(root, s)) for serial in SERIALS]
    for mano in sorted({r.mano for r in recordings}):
        checks.append(_calibration(f"calibration/mano_{mano}", lambda m=mano: read_betas(root, m)))
    return checks + [_check_recording(root, r) for r in recordings]


def _calibration(what: str, read: object) -> Check:
    try:
        read()  # type: ignore[operator]
    except DatasetError as error:
        return Check(what, "unreadable", None, str(error))
    return Check(what, "read")


def _check_recording(root: Path, recording: HandRecording) -> Check:
    what = f"{SUBJECTS[recording.subject]}/{recording.name}"
    problems, found = [], 0
    for serial in SERIALS:
        folder = f"{what}/{serial}"
        try:
            names = os.listdir(root / folder)
        except OSError as error:
            problems.append(f"{serial}: {error.strerror or error}")
            continue
        depth = {int(m[1]) for n in names if (m := _DEPTH.fullmatch(n))}
        labels = {int(m[1]) for n in names if (m := _LABELS.fullmatch(n))}
        wanted = set(range(recording.frames))
        found += len(depth & labels & wanted)
        for kind, there in (("depth images", depth), ("label files", labels)):
            if there != wanted:
                problems.append(f"{serial}: {len(there & wanted)} {kind}, and meta.yml says {recording.frames}")
        files = (f"{folder}/aligned_depth_to_color_{n:06d}.png" for n in sorted(depth & wanted))
        problems += png.check_files(root, files, "grey16", (WIDTH, HEIGHT))
    return Check(what, found, len(SERIALS) * recording.frames, "; ".join(problems))
