"""Rows of a file of many frames' joints, put to their frames: by number, in order, or by name.

A row that belongs to no frame is refused, however rows are matched: a file that has more of them than there are
frames is of another release, or holds a stray line, and then every frame may have its neighbour's joints.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.folder.description import IMAGES, Description, Joints
from gmaps.datasets.folder.find_files import Frames, numbers
from gmaps.datasets.folder.frame_labels import Labels
from gmaps.datasets.folder.patterns import PLACEHOLDERS, Pattern
from gmaps.errors import DatasetError

#: Suffixes that a name of a frame may have: of its depth, or of the picture beside it.
_SUFFIXES = {*IMAGES, ".jpg", ".jpeg", ".bmp", ".bin"}


def match_labels(
    frames: Frames, rows: NDArray[np.int64], labels: Labels, said: Description, joints: Joints, name: str
) -> NDArray[np.int64]:
    """Where each frame's joints are in one file.

    Parameters
    ----------
    frames
        Of the whole tree.
    rows : (N,)
        Those whose joints are in the file.
    labels
        The file's.
    said, joints
        The description, and its [joints].
    name
        What messages call the file.

    Returns
    -------
    (N,) int64
        Rows of `labels`; -1 where the file does not name the frame.

    Raises
    ------
    DatasetError
        Frames and labels are not of one release, with both counts; or names that mean no frame, or several.
    """
    count = len(labels.joints)
    if joints.rows == "order":
        if count != len(rows):
            raise DatasetError(
                f"{name}: joints of {count} frames, where {len(rows)} frames are; both must be of one release"
            )
        return np.arange(count)
    if joints.rows == "name":
        return _by_name(frames, rows, labels, said.depth.files, name)
    lines = _by_number(frames, rows, count, joints, name)
    if count > len(rows):
        raise DatasetError(
            f"{name}: joints of {count} frames, where {len(rows)} frames are: frames are missing, or the file holds "
            "lines that are no frame's; both must be of one release"
        )
    return lines


def _by_number(frames: Frames, rows: NDArray[np.int64], count: int, joints: Joints, name: str) -> NDArray[np.int64]:
    texts = frames.frame[rows]
    lines = numbers(texts) - joints.first
    wrong = np.flatnonzero((lines < 0) | (lines >= count) | ~np.char.isdigit(texts))
    if len(wrong):
        raise DatasetError(
            f"{name}: joints of {count} frames, from {joints.first} on, but of {len(rows)} frames one is called "
            f"{texts[wrong[0]].decode()!r}; both must be of one release, and joints.rows and joints.first right"
        )
    order = np.argsort(lines, kind="stable")
    twice = np.flatnonzero(np.diff(lines[order]) == 0)
    if len(twice):
        first, second = ("/".join(filter(None, frames.values(int(rows[order[k]])))) for k in (twice[0], twice[0] + 1))
        raise DatasetError(
            f"{name}: frames {first} and {second} would both have row {lines[order[twice[0]]]} of it; put "
            "{subject} or {sequence} into joints.files, or say rows = 'order' or 'name'"
        )
    return lines


def _by_name(frames: Frames, rows: NDArray[np.int64], labels: Labels, files: Pattern, name: str) -> NDArray[np.int64]:
    names = _Names(frames, rows, files, name)
    lines = np.full(len(rows), -1, np.int64)
    strange = []
    for k, text in enumerate(labels.names):
        at = names.find(text)
        if at is None:
            strange.append(text)
        elif lines[at] >= 0:
            raise DatasetError(f"{name}: names frame {frames.text(int(rows[at]))!r} twice; correct the labels")
        else:
            lines[at] = k
    if strange:
        missing = [f"{frames.text(int(r))!r}" for r in rows[lines < 0][:3]] or [f"{frames.text(int(rows[0]))!r}"]
        raise DatasetError(
            f"{name}: {len(strange)} of its {len(labels.names)} names are of no frame here: it holds "
            f"{', '.join(repr(t) for t in strange[:3])}, where frames are called {', '.join(missing)}; "
            "write the text of {frame} there, or leave out lines of frames that are not here"
        )
    return lines


class _Names:
    """Finds a frame by what a label file calls it: as in its path, with or without folders, suffix, quotes, zeros."""

    def __init__(self, frames: Frames, rows: NDArray[np.int64], files: Pattern, name: str) -> None:
        self.frames, self.rows, self.files, self.name = frames, rows, files, name
        self.by_text: dict[str, list[int]] = {}
        self.by_number: dict[int, list[int]] = {}
        for at, text in enumerate(frames.frame[rows].tolist()):
            self.by_text.setdefault(text.decode(), []).append(at)
        for at, number in enumerate(numbers(frames.frame[rows]).tolist()):
            if number >= 0:
                self.by_number.setdefault(number, []).append(at)
        self.steps = files.steps()
        self.others = [k for k, p in enumerate(PLACEHOLDERS) if p in files.names and p != "frame"]

    def find(self, text: str) -> int | None:
        """Position of the frame in `rows`; None where there is none of this name.

        Raises
        ------
        DatasetError
            Several have it.
        """
        path = text.strip().strip("\"'").strip().replace("\\", "/").strip("/")
        parts = path.split("/")
        suffix = PurePosixPath(parts[-1]).suffix
        if suffix.lower() in _SUFFIXES:
            parts[-1] = parts[-1][: -len(suffix)]
        bound = self._bound(parts) or {"frame": parts[-1]}
        frame = bound["frame"]
        found = self.by_text.get(frame, [])
        if not found and frame.isdecimal() and len(frame) <= 18:
            found = self.by_number.get(int(frame), [])
        found = [at for at in found if self._fits(at, bound, parts[:-1])]
        if len(found) > 1:
            a, b = (self.files.path(self.frames.values(int(self.rows[at]))) for at in found[:2])
            raise DatasetError(f"{self.name}: names {text!r}, which may be {a} or {b}; write folders there, too")
        return found[0] if found else None

    def _bound(self, parts: list[str]) -> dict[str, str]:
        """Placeholders and what they stand for, where the last parts of a path are as the last of the pattern."""
        parts = [*parts[:-1], parts[-1] + self.files.suffix]
        for length in range(min(len(parts), len(self.steps)), 0, -1):
            bound: dict[str, str] = {}
            for part, step in zip(parts[-length:], self.steps[-length:], strict=True):
                if isinstance(step, str):
                    if part.lower() != step.lower():
                        break
                    continue
                match = step.fullmatch(part)
                if match is None or any(bound.get(k, v) != v for k, v in match.groupdict().items()):
                    break
                bound |= match.groupdict()
            else:
                if "frame" in bound:
                    return bound
        return {}

    def _fits(self, at: int, bound: dict[str, str], folders: list[str]) -> bool:
        values = self.frames.values(int(self.rows[at]))
        return all(
            values[k] == bound[PLACEHOLDERS[k]] if PLACEHOLDERS[k] in bound else not folders or values[k] in folders
            for k in self.others
        )
