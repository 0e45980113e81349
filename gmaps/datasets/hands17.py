"""HANDS17, the challenge of Yuan et al. (2017): 957,032 labelled frames to train on, 295,510 without labels to test.

Depth is 16-bit grey, mm. A line of `Training_Annotation.txt` is a frame's name and xyz of 21 joints, mm, in the
camera's own axes, which are gmaps' too. A line of `BoundingBox.txt` is a name and the box around the hand: left, top,
width, height, in pixels. Such a frame has no joints; its centre is found within its box.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Check, DatasetInfo, Index, Split, Window
from gmaps.datasets.protocol import Protocol, palm_of
from gmaps.datasets.reader import (
    Pixels,
    Reader,
    check_joints,
    cube_window,
    cut_camera,
    digest,
    frame_numbers,
    read_bytes,
    some_names,
)
from gmaps.errors import DatasetError, FrameError
from gmaps.formats import png
from gmaps.formats.label_lines import Lines, parse_numbers, read_line, scan_file
from gmaps.frame import Frame
from gmaps.skeleton import FINGERS, get_skeleton

SKELETON = get_skeleton("hands17")
CAMERA = Camera(475.065948, 475.065857, 315.944855, 245.287079, 640, 480)
#: Lines of labels in each part.
EXPECTED = {"train": 957_032, "test": 295_510}
#: No label file has more lines than this.
MOST_LINES = 10**6
_SIZE = (CAMERA.width, CAMERA.height)
_LARGEST_PNG = 2**22
#: BigHand's own files give the digits alone.
_NAME = re.compile(rb'"?(?:[^"]*[/\\])?(?:image_D(\d{8})\.png|(\d{1,8}))"?')
_FRAME_FILE = re.compile(r"image_D(\d{8})\.png")

INFO = DatasetInfo(
    name="hands17",
    title="HANDS17 challenge, single frames (of BigHand2.2M)",
    homepage="http://icvl.ee.ic.ac.uk/hands17/challenge/",
    terms="Given on request, for research; ask the organisers.",
    tree="ROOT/training/{Training_Annotation.txt, images/image_D00000001.png, ...} and "
    "ROOT/frame/{BoundingBox.txt, images/image_D00000001.png, ...}; one of the two may be missing",
    citation="S. Yuan, Q. Ye, G. Garcia-Hernando, T.-K. Kim. The 2017 Hands in the Million Challenge on 3D Hand Pose "
    "Estimation. arXiv:1707.02237, 2017.",
    skeleton=SKELETON.name,
    half_side=125.0,
    depth_range=(100.0, 1000.0),
    notes="The test frames have a box and no joints, so `all` means those that are labelled, as `train`. To build "
    "the test split, take --center com and maps of depth alone: --maps signed_edt.",
)

_PRINTED = ("Thumb", "Index", "Mid", "Ring", "Pinky")
PROTOCOL = Protocol(
    "hands17", CAMERA,
    ("Wrist", *(f"{f}.M" for f in _PRINTED), *(f"{f}.{k}" for f in _PRINTED for k in "PDT")),
    printed=(SKELETON.joints.index("wrist"), *(j for finger in FINGERS for j in SKELETON.fingers[finger])),
    parts=(("test", EXPECTED["test"]),), coordinates="xyz", palm=palm_of(SKELETON.joints),
)  # fmt: skip


class Part(NamedTuple):
    """One label file and the folder of its frames, below the root."""

    labels: str
    images: str
    subject: str
    sequence: str
    first: int  # number of its first line among those of the whole data set
    expected: int | None = None
    boxed: bool = False


class _Table(NamedTuple):
    """The frames of a split, and where their labels are."""

    part: NDArray[np.int16]
    row: NDArray[np.int64]  # among the lines of the whole data set, blank ones left out
    number: NDArray[np.int64]  # as in the frame's name
    start: NDArray[np.int64]
    line: NDArray[np.int64]
    digests: list[str]


def parse_depth(data: bytes, name: str, pixels: Pixels | None = None) -> NDArray[np.float32]:
    """The depth image in an `image_D*.png`, or those of its pixels: (480, 640) float32, mm, 0 where there is no data.

    Raises
    ------
    FrameError
        Not a 16-bit grey PNG of 640 x 480, or torn.
    """
    return png.decode(data, name, "grey16", _SIZE, pixels).astype(np.float32)


def parse_name(word: bytes) -> int | None:
    """The number in a frame's name, "image_D00000001.png" or "00000001", folders or not; None in any other."""
    found = _NAME.fullmatch(word)
    return int(found[1] or found[2]) if found else None


def parse_labels(line: bytes, name: str) -> NDArray[np.float32]:
    """The joints of one line: (21, 3) float32, mm, camera axes.

    Raises
    ------
    FrameError
        Not 63 numbers. What no hand can be is left to `check_joints`.
    """
    with np.errstate(over="ignore"):
        return parse_numbers(line, 63, name).reshape(21, 3).astype(np.float32)


def parse_box(line: bytes, name: str) -> tuple[float, float, float, float]:
    """The box of one line: left, top, width, height, pixels.

    Raises
    ------
    FrameError
        Not four numbers, or a box that holds no pixel of the image.
    """
    left, top, width, height = (float(v) for v in parse_numbers(line, 4, name))
    within = width > 0 and height > 0 and left < _SIZE[0] and top < _SIZE[1] and left + width > 0 and top + height > 0
    if not (within and np.isfinite([left, top, width, height]).all()):
        raise FrameError(
            f"{name}: the box at {left:g}, {top:g} of {width:g} x {height:g} pixels is off the image; correct it"
        )
    return left, top, width, height


class Hands17(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    skeleton = SKELETON
    camera = CAMERA

    def __init__(self, root: Path, split: Split, options: dict[str, Any]) -> None:
        super().__init__(root, split, options)
        self.path = root.absolute()

    def _all_parts(self) -> list[Part]:
        """The parts of the data set in order, those of all splits."""
        return list(PARTS.values())

    def _chosen(self, part: Part) -> bool:
        return part is PARTS["test" if self.split == "test" else "train"]

    @cached_property
    def _parts(self) -> list[Part]:
        return self._all_parts()

    @cached_property
    def _table(self) -> _Table:
        columns: list[tuple[NDArray[Any], ...]] = []
        digests, labelled = [], 0
        for k, part in enumerate(self._parts):
            if self._chosen(part) and (self.path / part.labels).is_file():
                self.note_labels(self.path / part.labels)
                lines, numbers = read_part(self.path, part)
                rows = np.flatnonzero(np.isin(numbers, frame_numbers(self.path / part.images, _FRAME_FILE)))
                columns.append((np.full(len(rows), k), part.first + rows, *(x[rows] for x in (numbers, *lines[:2]))))
                digests.append(lines.digest)
                labelled += len(numbers)
        return self._joined(columns, digests, labelled)

    def _joined(self, columns: list[tuple[NDArray[Any], ...]], digests: list[str], labelled: int) -> _Table:
        if not columns:
            files = " nor ".join(p.labels for p in self._parts if self._chosen(p))
            raise DatasetError(
                f"{self.path}: no {files or 'label file'} here, but {some_names(self.path)}; "
                f"the tree must be {self.info.tree}"
            )
        part, row, number, start, line = (np.concatenate(column) for column in zip(*columns, strict=True))
        if not len(row):
            raise DatasetError(
                f"{self.path}: labels of {labelled} frames, and none of these frames is here; "
                f"the tree must be {self.info.tree}"
            )
        self.note_left_out(labelled - len(row), labelled)
        return _Table(part.astype(np.int16), row, number, start, line, digests)

    def _make_index(self) -> Index:
        table, parts = self._table, self._parts
        subjects = tuple(dict.fromkeys(p.subject for p in parts))
        sequences = tuple(dict.fromkeys(p.sequence for p in parts))
        subject = np.array([subjects.index(p.subject) for p in parts], np.int16)
        sequence = np.array([sequences.index(p.sequence) for p in parts], np.int16)
        return Index(table.row, subject[table.part], sequence[table.part], subjects, sequences)

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`. One without labels has joints of NaN and a box."""
        index, table, i = self._index, self._table, self.position(i)
        part, name = self._parts[table.part[i]], self._frame_name(i)
        where = f"{name}: {part.labels}, line {table.line[i]}"
        line = read_line(self.path / part.labels, int(table.start[i]), name)
        box = None
        if part.boxed:
            box, joints = parse_box(line, where), np.full((len(self.skeleton), 3), np.nan, np.float32)
        else:
            joints = parse_labels(line, where)
            check_joints(joints, name)
        pixels = cube_window(CAMERA, joints, window)
        if box is not None:
            box = box[0] - pixels[2], box[1] - pixels[0], *box[2:]
        depth = parse_depth(read_bytes(self.path / name, name, _LARGEST_PNG), name, pixels)
        place = int(index.frame[i]), int(index.subject[i]), int(index.sequence[i])
        return Frame(depth, cut_camera(CAMERA, pixels), joints, *place, name, box)

    def _frame_name(self, i: int) -> str:
        return f"{self._parts[self._table.part[i]].images}/image_D{self._table.number[i]:08d}.png"

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`."""
        table = self._table
        return {
            "dataset": self.info.name, "split": self.split, "frames": len(self), **self.options,
            "labels": table.digests, "index": digest(table.part, table.row, table.number),
        }  # fmt: skip


PARTS = {
    "train": Part("training/Training_Annotation.txt", "training/images", "train", "training", 0, EXPECTED["train"]),
    "test": Part(
        "frame/BoundingBox.txt", "frame/images", "test", "frame", EXPECTED["train"], EXPECTED["test"], boxed=True
    ),
}


def read_part(root: Path, part: Part, strict: bool = True) -> tuple[Lines, NDArray[np.int64]]:
    """The lines of a part's label file, and the numbers of the frames that they name.

    Raises
    ------
    DatasetError
        No such file, a line that names no frame, or more lines than the part has.
    """
    lines, names = scan_file(root / part.labels, parse_name, strict)
    most = MOST_LINES if part.expected is None else part.expected
    if len(names) > most:
        raise DatasetError(
            f"{root / part.labels}: {len(names)} lines of labels, where there are {most}; "
            "it is of another release, or holds lines twice: restore it from the archive"
        )
    return lines, np.array(names, np.int64)


def load(root: Path, *, split: Split = "all") -> Hands17:
    """A reader; called by `gmaps.load_dataset`."""
    made = Hands17(Path(root), split, {})
    made.labelled = split != "test"
    return made


def check(root: Path) -> list[Check]:
    """Counts of labels and frames, every line of labels, every frame's PNG header; no pixel is read."""
    checks = []
    for part in PARTS.values():
        if (Path(root) / part.labels).is_file():
            checks += check_part(Path(root), part)
        else:
            checks.append(Check(part.labels, 0, part.expected, "no such file; the other part can be built"))
    return checks


def check_part(root: Path, part: Part) -> list[Check]:
    """What is missing or broken in one part: a line about its labels, one about its frames."""
    try:
        _, numbers = read_part(root, part, strict=False)
    except DatasetError as error:
        return [Check(part.labels, "unreadable", part.expected, str(error))]
    problems, bad = [], []
    if part.expected not in (None, len(numbers)):
        problems.append(f"{len(numbers)} lines, not {part.expected}: another release, or a part of it")
    with open(root / part.labels, "rb") as f:
        for k, line in enumerate(f, 1):
            try:
                if line.isspace():
                    continue
                if part.boxed:
                    parse_box(line, f"line {k}")
                else:
                    check_joints(parse_labels(line, f"line {k}"), f"line {k}")
            except FrameError as error:
                bad.append(str(error))
    if bad:
        problems.append(f"{len(bad)} bad lines, first: {bad[0]}")
    if twice := len(numbers) - len(np.unique(numbers)):
        problems.append(f"{twice} lines name a frame that another line names")
    return [Check(part.labels, len(numbers), part.expected, "; ".join(problems)), _check_frames(root, part, numbers)]


def _check_frames(root: Path, part: Part, numbers: NDArray[np.int64]) -> Check:
    try:
        there = frame_numbers(root / part.images, _FRAME_FILE)
    except DatasetError as error:
        return Check(part.images, 0, part.expected, str(error))
    problems = png.check_files(root, (f"{part.images}/image_D{n:08d}.png" for n in there), "grey16", _SIZE)
    missing = np.setdiff1d(numbers, there)
    if len(missing):
        problems.append(
            f"{len(missing)} frames that labels name are not here, first: image_D{missing[0]:08d}.png; "
            "the others can be built"
        )
    if extra := len(np.setdiff1d(there, numbers)):
        problems.append(f"{extra} frames have no labels and are left out")
    return Check(part.images, len(there), part.expected, "; ".join(problems))
