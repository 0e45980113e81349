"""Frames of a folder and their labels: which frame belongs to which split, and to which row of which file."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.folder.description import FILE, Description, Joints
from gmaps.datasets.folder.find_files import Frames, find_frames
from gmaps.datasets.folder.frame_labels import LARGEST, Labels, parse_labels
from gmaps.datasets.folder.match_rows import match_labels
from gmaps.datasets.reader import read_bytes, some_names
from gmaps.errors import DatasetError, FrameError, UsageError


class FrameTable(NamedTuple):
    """Every frame of the tree, and the labels of shared files; None where each frame has its own, or none has any."""

    frames: Frames
    joints: NDArray[np.float32] | None
    faults: dict[int, str]


def in_split(frames: Frames, split: str, said: Description, root: Path) -> NDArray[np.bool_]:
    """(N,) bool, the frames of "train" or "test"."""
    place = {"split": 0, "subject": 1, "sequence": 2}
    _check_names(frames, said, root)

    def chosen(wanted: dict[str, tuple[str, ...]]) -> NDArray[np.bool_]:
        mask = np.ones(len(frames), bool)
        for key, names in wanted.items():
            k = place[key]
            mask &= np.array([n in names for n in frames.names[k]])[frames.codes[:, k]]
        return mask

    if not said.splits:
        if "split" not in said.depth.files.names:
            raise DatasetError(f"{root / FILE} tells of no train and test: write [splits], or say split all")
        if split not in frames.names[0]:
            raise DatasetError(
                f"{root}: no frame of the {len(frames)} here is in split {split}: {{split}} of depth.files is "
                f"{', '.join(frames.names[0])}; say in [splits] of {FILE} which is which"
            )
        return chosen({"split": (split,)})
    masks = {name: chosen(wanted) for name, wanted in said.splits.items()}
    if split not in masks:  # the rest
        return ~next(iter(masks.values()))
    if len(masks) == 2 and (both := np.flatnonzero(masks["train"] & masks["test"])).size:
        name = said.depth.files.path(frames.values(int(both[0])))
        raise DatasetError(f"{root / FILE}: {len(both)} frames, first {name}, are in train and in test of [splits]")
    return masks[split]


def _check_names(frames: Frames, said: Description, root: Path) -> None:
    """Refuse names in [splits] that no frame has: by a slip, its frames would be trained on instead of tested."""
    for split, wanted in said.splits.items():
        for key, names in wanted.items():
            there = frames.names[("split", "subject", "sequence").index(key)]
            for name in names:
                if name not in there:
                    near = difflib.get_close_matches(name.lower(), [n.lower() for n in there], n=1, cutoff=0.5)
                    meant = next((n for n in there if near and n.lower() == near[0]), None)
                    hint = f" Did you mean {meant!r}?" if meant else ""
                    raise DatasetError(
                        f"{root / FILE}: splits.{split} names {key} {name!r}, and no frame here has it.{hint} There "
                        f"are {', '.join(there[:20])}"
                    )


def read_table(root: Path, said: Description, note: Callable[[Path], None] = lambda path: None) -> FrameTable:
    """Walk the tree, and put shared labels to their frames.

    Parameters
    ----------
    root, said
        The tree, and its description.
    note
        Told each file of labels before it is read.

    Raises
    ------
    DatasetError
        Not one frame, or labels that do not fit the frames.
    """
    frames = find_frames(root, said.depth.files)
    if not len(frames):
        raise DatasetError(
            f"{root}: no file matches {said.depth.files.text!r}, depth.files of {FILE}; here are {some_names(root)}"
        )
    if said.joints is None or not said.joints.shared:
        return FrameTable(frames, None, {})
    joints = np.full((len(frames), len(said.skeleton), 3), np.nan, np.float32)
    faults: dict[int, str] = {}
    for name, rows in label_files(frames, said.joints).items():
        note(root / name)
        labels = read_shared(root, name, said)
        lines = match_labels(frames, rows, labels, said, said.joints, name)
        joints[rows[lines >= 0]] = labels.joints[lines[lines >= 0]]
        for row, line in zip(rows.tolist(), lines.tolist(), strict=True):
            if line < 0:
                faults[row] = f"{name}: has no joints of frame {frames.text(row)!r}, but of {labels.names[0]!r}"
            elif line in labels.faults:
                faults[row] = labels.faults[line]
    return FrameTable(frames, joints, faults)


def label_files(frames: Frames, said: Joints) -> dict[str, NDArray[np.int64]]:
    """File of many frames' joints -> the rows of these frames."""
    kinds, which = np.unique(frames.codes, axis=0, return_inverse=True)
    files: dict[str, list[int]] = {}
    for k, (split, subject, sequence) in enumerate(kinds.tolist()):
        values = (frames.names[0][split], frames.names[1][subject], frames.names[2][sequence], "")
        files.setdefault(said.files.path(values), []).append(k)
    order = np.argsort(which.ravel(), kind="stable")
    bounds = np.searchsorted(which.ravel()[order], np.arange(len(kinds) + 1))
    return {f: np.sort(np.concatenate([order[bounds[k] : bounds[k + 1]] for k in ks])) for f, ks in files.items()}


def read_shared(root: Path, name: str, said: Description) -> Labels:
    """A file of many frames' joints.

    Raises
    ------
    DatasetError
        It cannot be read.
    """
    if said.joints is None:
        raise UsageError(f"{root / FILE} has no [joints]")
    try:
        data = read_bytes(root / name, name, LARGEST)
        return parse_labels(data, name, said.joints, len(said.skeleton), said.camera)
    except FrameError as error:
        raise DatasetError(f"{root}: {error}") from error
