"""MSRA15, the hand gestures of Sun et al. (CVPR 2015): nine people, 17 gestures, 76,375 frames.

A frame is a box of float32 mm behind a header of six uint32. `joint.txt` holds a gesture's joints in axes of its
own, x right, y up, z towards the viewer: y and z change sign here. Frames of the older set of 2014 (no header,
the whole image) are told by their size and read alike.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.base import Check, DatasetInfo, Index, Split, Window
from gmaps.datasets.msra.bin_files import CAMERA, HEADER, WHOLE, parse_box, parse_depth, parse_header, parse_joints
from gmaps.datasets.protocol import Protocol, palm_of
from gmaps.datasets.reader import Reader, check_joints, digest, frame_numbers, read_bytes, some_names
from gmaps.errors import DatasetError, FrameError, unknown_name
from gmaps.formats.regular import open_regular, read_regular
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton

SKELETON = get_skeleton("msra21")
SUBJECTS = tuple(f"P{k}" for k in range(9))
GESTURES = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "I", "IP", "L", "MP", "RP", "T", "TIP", "Y")
_FRAME_FILE = re.compile(r"(\d{6})_depth\.bin")
_LABELS = "joint.txt"

#: Frames of each folder of the common release, where they are not 500.
_NOT_500 = {
    "P0": {"T": 499},
    "P1": {"4": 499, "6": 498, "9": 499, "L": 498, "Y": 498},
    "P2": {"MP": 417, "RP": 498, "T": 497},
    "P3": {"5": 499, "6": 497, "7": 499, "8": 497, "9": 498, "I": 499, "Y": 499},
    "P5": {"1": 499, "3": 499, "T": 499},
    "P6": {"2": 499, "4": 499, "Y": 499},
    "P7": {"1": 498},
    "P8": {"2": 497, "3": 498, "4": 499, "5": 499, "Y": 499},
}
#: Frames of each subject in the other release, where they are not as many as in this one.
_OTHER_RELEASE = {"P1": 8499, "P2": 8406, "P3": 8498, "P6": 8498, "P8": 8496}
#: Frames whose labels are known to be wrong (DeepPrior++ leaves them out).
_FAULTY = {
    ("P2", "TIP"): frozenset(range(172, 175)),
    ("P2", "MP"): frozenset([*range(173, 176), *range(345, 355), 356, 359, 360]),
    ("P3", "T"): frozenset([120, 489]),
    ("P8", "4"): frozenset([168]),
}


def expected_frames(subject: str, gesture: str) -> int:
    """Frames that a folder of the common release holds."""
    return _NOT_500.get(subject, {}).get(gesture, 500)


#: Frames of each subject in the common release.
EXPECTED = {s: sum(expected_frames(s, g) for g in GESTURES) for s in SUBJECTS}
TOTAL, OTHER_TOTAL = (sum(e.values()) for e in (EXPECTED, EXPECTED | _OTHER_RELEASE))

INFO = DatasetInfo(
    name="msra",
    title="MSRA15 hand gestures (cvpr15_MSRAHandGestureDB)",
    homepage="https://jimmysuen.github.io/",
    terms="The archive states none: ask the authors. The readme asks for the citation.",
    tree="ROOT/P0 ... P8/1 2 3 4 5 6 7 8 9 I IP L MP RP T TIP Y/{000000_depth.bin, ..., joint.txt}; "
    "subjects may be missing",
    citation="X. Sun, Y. Wei, S. Liang, X. Tang, J. Sun. Cascaded Hand Pose Regression. CVPR 2015.",
    skeleton=SKELETON.name,
    half_side=120.0,
    depth_range=(100.0, 700.0),
    notes="Protocol: leave one subject out, nine times; errors are pooled over all. Two releases are about, of "
    f"{TOTAL:,} and {OTHER_TOTAL:,} frames: files of centres or results of one do not fit the other. "
    f"{sum(map(len, _FAULTY.values()))} frames with known wrong labels are rejected.",
    options={"test_subject": "the subject of the test split, P0 to P8 (default P0); all others train"},
)

PROTOCOL = Protocol(
    "msra",
    CAMERA,
    ("Wrist", *(f"{f}.{k}" for f in ("Index", "Mid", "Ring", "Pinky", "Thumb") for k in "MPDT")),
    printed=tuple(range(len(SKELETON))),
    parts=tuple(EXPECTED.items()),
    palm=palm_of(SKELETON.joints),
    other_release=(OTHER_TOTAL, "the release that V2V's centre files are of"),
)


class _Table(NamedTuple):
    """Every frame of the tree, in the protocol's order."""

    subject: NDArray[np.int16]
    gesture: NDArray[np.int16]
    number: NDArray[np.int32]
    joints: NDArray[np.float32]
    faults: dict[int, str]


class _Gesture(NamedTuple):
    """One folder: the frames that are there, their joints, what is wrong with which, and how many have labels."""

    numbers: NDArray[np.int64]
    joints: NDArray[np.float32]
    faults: dict[int, str]
    labelled: int


def _read_gesture(root: Path, folder: str) -> _Gesture:
    path, name = root / folder / _LABELS, f"{folder}/{_LABELS}"
    try:
        joints, faults = parse_joints(read_regular(path), name)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error}); restore the folder") from error
    numbers = frame_numbers(root / folder, _FRAME_FILE)
    if len(numbers) and numbers[-1] >= len(joints):
        raise DatasetError(
            f"{root / folder}: {len(numbers)} frames, the last {numbers[-1]:06d}, but labels of {len(joints)} only "
            f"(frames 0 to {len(joints) - 1}); frames and labels must be of one release"
        )
    # Of a folder with gaps some frames were left out, and their numbers say which labels are whose.
    if len(numbers) and numbers[-1] + 1 == len(numbers) < len(joints):
        raise DatasetError(
            f"{root / folder}: labels of {len(joints)} frames, but {len(numbers)} frames only, the last "
            f"{numbers[-1]:06d}; frames and labels must be of one release: restore the others"
        )
    here = {i: faults[n] for i, n in enumerate(numbers.tolist()) if n in faults}
    return _Gesture(numbers, joints[numbers], here, len(joints))


class Msra(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    skeleton = SKELETON
    camera = CAMERA

    def __init__(self, root: Path, split: Split, test_subject: str) -> None:
        super().__init__(root, split, {"test_subject": test_subject})
        self.path = root.absolute()

    @cached_property
    def _table(self) -> _Table:
        present = _subjects_present(self.path)
        parts, faults, total, labelled = [], {}, 0, 0
        for s, g in ((s, g) for s in present for g in range(len(GESTURES))):
            folder = f"{SUBJECTS[s]}/{GESTURES[g]}"
            if not (self.path / folder).is_dir():
                continue
            self.note_labels(self.path / folder / _LABELS)
            numbers, joints, bad, rows = _read_gesture(self.path, folder)
            labelled += rows
            parts.append((np.full(len(numbers), s), np.full(len(numbers), g), numbers, joints))
            faults.update({total + i: why for i, why in bad.items()})
            total += len(numbers)
        if not total:
            raise DatasetError(f"{self.path}: not one frame; the tree must be {INFO.tree}")
        self.note_left_out(labelled - total, labelled)
        subject, gesture, number, joints = (np.concatenate(column) for column in zip(*parts, strict=True))
        return _Table(subject.astype(np.int16), gesture.astype(np.int16), number.astype(np.int32), joints, faults)

    def _make_index(self) -> Index:
        table = self._table
        test = table.subject == SUBJECTS.index(self.options["test_subject"])
        keep = {"all": np.ones_like(test), "test": test, "train": ~test}[self.split]
        if not keep.any():
            there = ", ".join(SUBJECTS[s] for s in np.unique(table.subject))
            raise DatasetError(
                f"{self.path}: no frames to {self.split} with subject {self.options['test_subject']} left out; "
                f"subjects there: {there}. Choose another test_subject, or split all"
            )
        return Index(np.flatnonzero(keep), table.subject[keep], table.gesture[keep], SUBJECTS, GESTURES)

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`. With a window, the box that the file holds, whatever the cube."""
        data, place = self._bytes(i)
        if window is None:
            return Frame(parse_depth(data, place[-1]), CAMERA, *place)
        depth, left, top = parse_box(data, place[-1])
        height, width = depth.shape
        return Frame(depth, CAMERA.cut(left, top, width, height), *place)

    def _frame_name(self, i: int) -> str:
        table, row = self._table, self._index.frame[i]
        return f"{SUBJECTS[table.subject[row]]}/{GESTURES[table.gesture[row]]}/{table.number[row]:06d}_depth.bin"

    def _bytes(self, i: int) -> tuple[bytes, tuple[NDArray[np.float32], int, int, int, str]]:
        """A frame's file, and what a `Frame` has besides depth and camera."""
        row = int(self._index.frame[self.position(i)])
        table = self._table
        subject, gesture, number = int(table.subject[row]), int(table.gesture[row]), int(table.number[row])
        name = self._frame_name(i)
        if row in table.faults:
            raise FrameError(f"{name}: {table.faults[row]}; restore the file from the archive")
        data = read_bytes(f"{self.path}/{name}", name, WHOLE + HEADER.size)
        if len(data) != WHOLE and number in _FAULTY.get((SUBJECTS[subject], GESTURES[gesture]), ()):
            raise FrameError(f"{name}: its labels are known to be wrong (DeepPrior++ leaves it out, too)")
        joints = table.joints[row]
        check_joints(joints, name)
        return data, (joints, row, subject, gesture, name)

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`."""
        t = self._table
        return {
            "dataset": INFO.name, "split": self.split, "frames": len(self),
            "labels": digest(t.subject, t.gesture, t.number, t.joints, self._index.frame),
        }  # fmt: skip


def _subjects_present(root: Path) -> list[int]:
    present = [s for s, name in enumerate(SUBJECTS) if (root / name).is_dir()]
    if not present:
        raise DatasetError(f"{root}: none of P0 to P8 is here, but {some_names(root)}; the tree must be {INFO.tree}")
    return present


def load(root: Path, *, split: Split = "all", test_subject: str = "P0") -> Msra:
    """A reader; called by `gmaps.load_dataset`."""
    if test_subject not in SUBJECTS:
        raise unknown_name("subject of msra", str(test_subject), SUBJECTS)
    return Msra(Path(root), split, test_subject)


def check(root: Path) -> list[Check]:
    """Counts of frames and labels, and every frame's header against its size; no pixel is read."""
    root = Path(root)
    present = _subjects_present(root)
    checks: list[Check] = []
    counts = dict.fromkeys(SUBJECTS, 0)
    for s, subject in enumerate(SUBJECTS):
        if s not in present:
            expected = sum(expected_frames(subject, g) for g in GESTURES)
            checks.append(Check(subject, 0, expected, "not here; the other subjects can be built"))
            continue
        for gesture in GESTURES:
            checks.append(_check_folder(root, subject, gesture))
            counts[subject] += int(checks[-1].found)
    found = sum(counts.values())
    total = sum(expected_frames(s, g) for s in SUBJECTS for g in GESTURES)
    problem = "" if found == total else "incomplete, or another release: results on it compare with no paper's"
    if all(counts[s] == n for s, n in _OTHER_RELEASE.items()):
        problem = (
            f"the release of {found:,} frames: centre files and results of the release of {total:,} do not fit it, "
            "row for row, nor does a comparison with most papers"
        )
    return [*checks, Check("frames", found, total, problem)]


def _check_folder(root: Path, subject: str, gesture: str) -> Check:
    folder, expected = f"{subject}/{gesture}", expected_frames(subject, gesture)
    if not (root / folder).is_dir():
        return Check(folder, 0, expected, "no such folder; restore it from the archive")
    numbers = frame_numbers(root / folder, _FRAME_FILE)
    problems = []
    try:
        found = _read_gesture(root, folder)
        problems += [f"{len(found.faults)} bad lines, first: {min(found.faults.items())[1]}"] if found.faults else []
        if found.labelled != len(numbers):
            problems.append(f"labels of {found.labelled} frames, and {len(numbers)} are here: restore the others")
    except DatasetError as error:
        problems.append(str(error))
    bad = []
    for number in numbers:
        name = f"{folder}/{number:06d}_depth.bin"
        try:
            with open_regular(root / name) as f:
                size = os.fstat(f.fileno()).st_size
                if size != WHOLE:
                    parse_header(f.read(HEADER.size), size, name)
        except OSError as error:
            bad.append(f"{name}: {error.strerror or error}")
        except FrameError as error:
            bad.append(str(error))
    if bad:
        problems.append(f"{len(bad)} frames cannot be read, first: {bad[0]}")
    if len(numbers) != expected:
        problems.append(
            f"{len(numbers)} frames, the release of {TOTAL:,} has {expected}: incomplete or another release"
        )
    return Check(folder, len(numbers), expected, "; ".join(problems))
