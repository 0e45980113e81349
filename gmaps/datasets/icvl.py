"""ICVL hand posture, Tang et al. (2014): ten people to train on, two sequences of 702 and 894 frames to test.

Depth is 16-bit grey, mm. A line of labels is a path, then u v d of 16 joints, pixels and mm, y down: no axis turns,
but millimetres need a camera, and two are in use (`CAMERAS`). The real files end their lines with two returns.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Check, DatasetInfo, Index, Split, Window
from gmaps.datasets.msra.bin_files import CAMERA as MSRA_CAMERA
from gmaps.datasets.protocol import Protocol
from gmaps.datasets.reader import (
    Pixels,
    Reader,
    check_joints,
    cube_window,
    cut_camera,
    digest,
    read_bytes,
    some_names,
)
from gmaps.errors import DatasetError, FrameError, unknown_name
from gmaps.formats import png
from gmaps.formats.label_lines import Lines, parse_numbers, read_line, scan_file
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton

SKELETON = get_skeleton("icvl16")
#: "standard", MSRA's camera, is what nearly all code reads ICVL with: both were taken with the same sensor.
#: "evaluation" is what the common evaluation takes. The mean error of
#: V2V-PoseNet's results is 6.276 mm with the one, 6.284 with the other.
CAMERAS = {
    "standard": MSRA_CAMERA,
    "evaluation": Camera(240.99, 240.96, 160.0, 120.0, 320, 240),
}
#: Lines of labels in each part.
EXPECTED = {"train": 331_006, "test_seq_1": 702, "test_seq_2": 894}
#: Those of the training part that are not copies turned in the image plane.
UNROTATED = 22_068
#: Digests of the test labels that results are evaluated with. Two releases of the labels are about.
EVALUATED = {
    "test_seq_1": "edce68297438e6a2332d0459383ce217",
    "test_seq_2": "c26638bb9f17eb0e7601bf5a3cfeb9f5",
}
PARTS = tuple(EXPECTED)
_FILES = {"train": ("Training", "labels.txt"), **{p: ("Testing", f"{p}.txt") for p in PARTS[1:]}}
_NAME = re.compile(rb"(?:[A-Za-z0-9_-]+/)+image_\d{4,6}\.png")
#: A folder of frames as they were recorded is called by a time of twelve digits, a turned copy by its angle.
_LONGEST_ANGLE = 6
_LARGEST_PNG, _SIZE = 2**20, (320, 240)
_CHOICES = {"rotations": ("all", "none"), "test_sequence": ("both", "1", "2"), "camera": tuple(CAMERAS)}

INFO = DatasetInfo(
    name="icvl",
    title="ICVL hand posture",
    homepage="https://labicvl.github.io/hand.html",
    terms="See the homepage, and ask the authors about what it does not say.",
    tree="ROOT/Training/{labels.txt, Depth/201403121135/image_0000.png, ...} and "
    "ROOT/Testing/{test_seq_1.txt, test_seq_2.txt, Depth/test_seq_1/image_0000.png, ...}; parts may be missing",
    citation="D. Tang, H. J. Chang, A. Tejani, T.-K. Kim. Latent Regression Forest: Structured Estimation of 3D "
    "Articulated Hand Posture. CVPR 2014.",
    skeleton=SKELETON.name,
    half_side=125.0,
    depth_range=(100.0, 500.0),
    notes="Of 331,006 training frames, 22,068 are recorded and the others are those turned in the image plane. Two "
    "releases of the labels are about; --check says whether the test labels are those of the common evaluation.",
    options={
        "rotations": "all (default), or none: training frames as recorded, without turned copies",
        "test_sequence": "both (default), or 1 or 2: that test sequence alone",
        "camera": "standard (default) or evaluation: focal lengths of "
        + " and of ".join(f"{c.fx:g}, {c.fy:g}" for c in CAMERAS.values()),
    },
)

PROTOCOL = Protocol(
    "icvl", CAMERAS["evaluation"],
    ("Palm", *(f"{f}.{k}" for f in ("Thumb", "Index", "Mid", "Ring", "Pinky") for k in "RMT")),
    printed=tuple(range(len(SKELETON))), parts=tuple((part, EXPECTED[part]) for part in PARTS[1:]),
)  # fmt: skip


class _Part(NamedTuple):
    """One label file, and which of the frames that it names are there."""

    name: str
    labels: Path
    lines: Lines
    paths: list[str]  # below the root
    there: NDArray[np.bool_]


class _Table(NamedTuple):
    """The frames of a split, and where their labels are."""

    part: NDArray[np.int16]
    row: NDArray[np.int64]  # among the part's lines that are not blank
    start: NDArray[np.int64]
    line: NDArray[np.int64]
    paths: list[str]
    digests: dict[str, str]


def parse_depth(data: bytes, name: str, pixels: Pixels | None = None) -> NDArray[np.float32]:
    """The depth image in an `image_*.png`, or those of its pixels: (240, 320) float32, mm, 0 where there is no data.

    Raises
    ------
    FrameError
        Not a 16-bit grey PNG of 320 x 240, or torn.
    """
    return png.decode(data, name, "grey16", _SIZE, pixels).astype(np.float32)


def parse_labels(line: bytes, camera: Camera, name: str) -> NDArray[np.float32]:
    """The joints of one line of labels.

    Parameters
    ----------
    line
        A path, and u v d of 16 joints.
    camera
        What makes millimetres of pixels.
    name
        What messages call the line.

    Returns
    -------
    (16, 3) float32
        mm, camera axes. What no hand can be is left to `check_joints`.

    Raises
    ------
    FrameError
        Not 48 numbers.
    """
    with np.errstate(all="ignore"):
        return camera.unproject(parse_numbers(line, 48, name).reshape(16, 3)).astype(np.float32)


def parse_name(word: bytes) -> bytes | None:
    """A frame's path as labels have it, "201403121135/image_0000.png"; None where it is no such path."""
    path = word.strip(b'"').replace(b"\\", b"/")
    return path if _NAME.fullmatch(path) else None


def is_rotated(path: str) -> bool:
    """Whether a training frame is a turned copy, by the name of one of its folders."""
    return any(len(folder) <= _LONGEST_ANGLE for folder in path.split("/")[2:-1])


def _read_part(root: Path, part: str, strict: bool = True) -> _Part:
    half, file = _FILES[part]
    labels = root / half / file
    lines, names = scan_file(labels, parse_name, strict)
    if len(names) > EXPECTED[part]:
        many = f"{len(names)} lines of labels, where {part} of ICVL has {EXPECTED[part]}"
        raise DatasetError(f"{labels}: {many}; it is of another release, or holds lines twice: restore it")
    paths = [f"{half}/Depth/{name.decode()}" for name in names]
    on_disk: set[str] = set()
    for folder in {p.rpartition("/")[0] for p in paths}:
        try:
            on_disk.update(f"{folder}/{name}" for name in os.listdir(root / folder))
        except FileNotFoundError:
            continue  # a part of the data is no fault; `check` counts what is missing
        except OSError as error:
            raise DatasetError(f"{root / folder}: cannot be listed ({error.strerror or error}); see to it") from error
    return _Part(part, labels, lines, paths, np.array([p in on_disk for p in paths], bool))


class Icvl(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    skeleton = SKELETON

    def __init__(self, root: Path, split: Split, rotations: str, test_sequence: str, camera: str) -> None:
        super().__init__(root, split, {"rotations": rotations, "test_sequence": test_sequence, "camera": camera})
        self.path = root.absolute()
        self.camera = CAMERAS[camera]

    def _frame_name(self, i: int) -> str:
        return self._table.paths[i]

    @cached_property
    def _table(self) -> _Table:
        tests = [p for p in PARTS[1:] if self.options["test_sequence"] in ("both", p[-1])]
        wanted = {"train": ["train"], "test": tests, "all": ["train", *tests]}[self.split]
        present = [p for p in wanted if (self.path / "/".join(_FILES[p])).is_file()]
        if not present:
            files = " nor ".join("/".join(_FILES[p]) for p in wanted)
            raise DatasetError(f"{self.path}: no {files} here, but {some_names(self.path)}; tree: {INFO.tree}")
        for p in present:
            self.note_labels(self.path / "/".join(_FILES[p]))
        parts = [_read_part(self.path, p) for p in present]
        columns, paths = [], []
        for part in parts:
            keep = part.there
            if part.name == "train" and self.options["rotations"] == "none":
                keep = keep & ~np.array([is_rotated(p) for p in part.paths], bool)
            rows = np.flatnonzero(keep)
            columns.append((np.full(len(rows), PARTS.index(part.name)), rows, *(x[rows] for x in part.lines[:2])))
            paths += [part.paths[i] for i in rows]
        many, said = sum(len(p.paths) for p in parts), "none of these frames is here"
        if not paths:
            raise DatasetError(f"{self.path}: labels of {many} frames, and {said}; tree: {INFO.tree}")
        self.note_left_out(many - sum(int(p.there.sum()) for p in parts), many)
        number, row, start, line = (np.concatenate(column) for column in zip(*columns, strict=True))
        return _Table(number.astype(np.int16), row, start, line, paths, {p.name: p.lines.digest for p in parts})

    def _make_index(self) -> Index:
        table = self._table
        first = np.cumsum([0, EXPECTED["train"], EXPECTED["test_seq_1"]])
        folders = [p.split("/", 2)[2].rpartition("/")[0] for p in table.paths]
        sequences = tuple(sorted(set(folders)))
        if len(sequences) > np.iinfo(np.int16).max:
            raise DatasetError(f"{self.path}: labels of {len(sequences)} folders, which is not ICVL; restore them")
        at = {folder: k for k, folder in enumerate(sequences)}
        sequence = np.array([at[f] for f in folders], np.int16)
        return Index(table.row + first[table.part], np.minimum(table.part, 1), sequence, ("train", "test"), sequences)

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`."""
        index, table, i = self._index, self._table, self.position(i)
        name, labels = table.paths[i], "/".join(_FILES[PARTS[table.part[i]]])
        line = read_line(self.path / labels, int(table.start[i]), name)
        joints = parse_labels(line, self.camera, f"{name}: {labels}, line {table.line[i]}")
        check_joints(joints, name)
        pixels = cube_window(self.camera, joints, window)
        depth = parse_depth(read_bytes(self.path / name, name, _LARGEST_PNG), name, pixels)
        place = int(index.frame[i]), int(index.subject[i]), int(index.sequence[i])
        return Frame(depth, cut_camera(self.camera, pixels), joints, *place, name)

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`."""
        found = self._table.digests
        release = {p: "evaluated" if found[p] == d else "other" for p, d in EVALUATED.items() if p in found}
        return {
            "dataset": INFO.name, "split": self.split, "frames": len(self), **self.options,
            "release": release, "labels": found, "index": digest(self._table.part, self._table.row),
        }  # fmt: skip


def load(
    root: Path,
    *,
    split: Split = "all",
    rotations: str = "all",
    test_sequence: str | int = "both",
    camera: str = "standard",
) -> Icvl:
    """A reader; called by `gmaps.load_dataset`."""
    options = {"rotations": str(rotations), "test_sequence": str(test_sequence), "camera": str(camera)}
    for key, value in options.items():
        if value not in _CHOICES[key]:
            raise unknown_name(f"{key} of icvl", value, _CHOICES[key])
    return Icvl(Path(root), split, **options)


def check(root: Path) -> list[Check]:
    """Counts of labels and frames, every line of labels, every frame's PNG header; no pixel is read."""
    root, checks = Path(root), []
    for name, expected in EXPECTED.items():
        labels = "/".join(_FILES[name])
        if not (root / labels).is_file():
            checks.append(Check(labels, 0, expected, "no such file; the other parts can be built"))
            continue
        try:
            part = _read_part(root, name, strict=False)
        except DatasetError as error:
            checks.append(Check(labels, "unreadable", expected, str(error)))
            continue
        checks += [_check_labels(part, labels, expected), _check_frames(root, part, expected)]
        if name == "train":
            found = sum(not is_rotated(p) for p in part.paths)
            problem = "" if found == UNROTATED else f"not {UNROTATED} lines: another release, or a part of it"
            checks.append(Check(f"{labels}, not rotated", found, UNROTATED, problem))
    return checks


def _check_labels(part: _Part, labels: str, expected: int) -> Check:
    problems, bad, rows = [], [], len(part.paths)
    if rows != expected:
        problems.append(f"{rows} lines, not {expected}: another release, or a part of it")
    elif part.lines.digest != EVALUATED.get(part.name, part.lines.digest):
        problems.append(
            "not the labels of the common evaluation (the other of ICVL's two releases, or edited): errors measured "
            "with them compare with no paper's"
        )
    with open(part.labels, "rb") as f:
        for number, line in enumerate(f, 1):
            try:
                if line.strip():
                    joints = parse_labels(line, CAMERAS["standard"], f"line {number}")
                    check_joints(joints, f"line {number}")
            except FrameError as error:
                bad.append(str(error))
    if bad:
        problems.append(f"{len(bad)} bad lines, first: {bad[0]}")
    if twice := rows - len(set(part.paths)):
        problems.append(f"{twice} lines name a frame that an earlier line names")
    return Check(labels, rows, expected, "; ".join(problems))


def _check_frames(root: Path, part: _Part, expected: int) -> Check:
    there = [part.paths[i] for i in np.flatnonzero(part.there)]
    problems = png.check_files(root, there, "grey16", _SIZE)
    if missing := len(part.paths) - len(there):
        first = part.paths[int(np.argmin(part.there))]
        problems.append(f"{missing} frames that labels name are not here, first: {first}; the others can be built")
    return Check(f"{part.name} frames", len(there), expected, "; ".join(problems))
