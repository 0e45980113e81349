"""NYU Hand Pose, Tompson et al. (2014): 72,757 frames of one person to train, 8,252 of two to test.

Depth in mm is G * 256 + B of an 8-bit RGB PNG, R being 0. Nothing is farther than 2 m: the background is 2001 (and
32001 where renderings mark the invalid). That, and whatever else is 2001 or more, becomes 0 here. `joint_data.mat`
has 36 joints for each of three cameras; only the first, frontal one is used. Its xyz has y up: y changes sign here.
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
from gmaps.datasets.protocol import Protocol
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
from gmaps.errors import DatasetError, FrameError, UsageError
from gmaps.formats import png
from gmaps.formats.mat import read_array
from gmaps.frame import Frame
from gmaps.kernels.pixels import green_blue_mm
from gmaps.skeleton import get_skeleton

SKELETON = get_skeleton("nyu36")
#: The focal lengths of the evaluation.
CAMERA = Camera(588.03, 587.07, 320.0, 240.0, 640, 480)
#: Depths from here on, mm, are no data.
BACKGROUND_MM = 2001
#: Frames of the full data set.
EXPECTED = {"train": 72757, "test": 8252}
#: Test frames from this row on (0-based) show the second person, whose hand is smaller.
SECOND_PERSON = 2440
#: The people of the test set; the first is also the one of the training set.
TESTED = ("test_1", "test_2")
_SIZE = (CAMERA.width, CAMERA.height)
_FRAME_FILE = re.compile(r"depth_1_(\d{7})\.png")
_LABELS = "joint_data.mat"
#: Cameras that a `joint_data.mat` has joints for.
CAMERA_COUNT = 3
#: Bytes of the largest variable of the full data set, all cameras in float64, and of its header.
_LARGEST_VARIABLE = CAMERA_COUNT * EXPECTED["train"] * len(SKELETON) * 3 * 8 + 4096
#: An incompressible PNG of this size is smaller than this.
_LARGEST_PNG = 2**22
#: How far apart (mm) joint_uvd and joint_xyz may put a joint.
_AGREEMENT_MM = 1.0

INFO = DatasetInfo(
    name="nyu",
    title="NYU Hand Pose",
    homepage="https://jonathantompson.github.io/NYU_Hand_Pose_Dataset.htm",
    terms="See the homepage, and ask the authors about what it does not say.",
    tree="ROOT/{train,test}/{joint_data.mat, depth_1_0000001.png, ...}; one of the two may be missing",
    citation="J. Tompson, M. Stein, Y. LeCun, K. Perlin. Real-Time Continuous Pose Recovery of Human Hands Using "
    "Convolutional Networks. ACM Transactions on Graphics 33(5), 2014.",
    skeleton=SKELETON.name,
    half_side=150.0,
    depth_range=(500.0, 1300.0),
    notes=f"Only the frontal camera, depth_1_*. The evaluation uses {len(SKELETON.evaluation)} of the "
    f"{len(SKELETON)} joints. Papers use a cube of 300 mm (half side 150), and of 250 mm for the second "
    f"test person, frames {SECOND_PERSON} and on.",
    options={"joints": "36 (default), or 14: those of the evaluation, in its order"},
)

PROTOCOL = Protocol(
    "nyu", CAMERA,
    ("Pinky.T", "Pinky.R", "Ring.T", "Ring.R", "Mid.T", "Mid.R", "Index.T", "Index.R", "Thumb.T", "Thumb.R2",
     "Thumb.R1", "Wrist2", "Wrist1", "Palm"),
    printed=tuple(reversed(range(len(SKELETON.evaluation)))),  # the field prints from the palm to the little finger
    parts=tuple(zip(TESTED, (SECOND_PERSON, EXPECTED["test"] - SECOND_PERSON), strict=True)),
    evaluated=SKELETON.evaluation,
    whole=len(SKELETON),
)  # fmt: skip


def parse_depth(data: bytes, name: str, pixels: Pixels | None = None) -> NDArray[np.float32]:
    """The depth image in a `depth_1_*.png`, or a part of it.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.
    pixels
        top, bottom, left, right of a part, ends excluded.

    Returns
    -------
    (480, 640) float32, or as large as the part
        mm, 0 where there is no data.

    Raises
    ------
    FrameError
        Not an 8-bit RGB PNG of 640 x 480, torn, or with red in the part.
    """
    image = png.decode(data, name, "rgb8", _SIZE, pixels)
    depth = np.empty(image.shape[:2], np.float32)
    if green_blue_mm(image, BACKGROUND_MM, depth):
        raise FrameError(f"{name}: has red in it, so it is a picture and no depth (G * 256 + B); take depth_1_*.png")
    return depth


def read_labels(path: Path) -> NDArray[np.float32]:
    """Joints of the frontal camera from a `joint_data.mat`.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    (F, 36, 3) float32
        mm, camera axes.

    Raises
    ------
    DatasetError
        No such file, no MATLAB 5 file, other shapes, or `joint_xyz` and `joint_uvd` that contradict each other.
    """
    xyz = _read_variable(path, "joint_xyz") * [1.0, -1.0, 1.0]
    uvd = _read_variable(path, "joint_uvd")
    if xyz.shape != uvd.shape:
        raise DatasetError(f"{path}: joint_xyz {xyz.shape} and joint_uvd {uvd.shape} differ; restore it")
    rows = np.unique(np.linspace(0, len(xyz) - 1, 16).astype(int))
    with np.errstate(all="ignore"):
        apart = np.abs(CAMERA.unproject(uvd[rows]) - xyz[rows]).max(axis=(1, 2))
    apart[~np.isfinite(apart)] = 0  # such rows are refused one by one, when they are read
    worst = int(np.argmax(apart))
    if apart[worst] > _AGREEMENT_MM:
        raise DatasetError(
            f"{path}: in row {rows[worst]}, joint_xyz and joint_uvd are {apart[worst]:.1f} mm apart; gmaps reads xyz "
            "in mm with y up, and uvd in pixels and mm: restore the file, or write it so"
        )
    with np.errstate(over="ignore"):
        return xyz.astype(np.float32)


def _read_variable(path: Path, variable: str) -> NDArray[np.float64]:
    """(F, 36, 3): the first camera's part; the other two, and the rest of the file, leave memory at once."""
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; the tree must be {INFO.tree}")
    values = read_array(path, variable, _LARGEST_VARIABLE)
    if values.ndim != 4 or values.shape[2:] != (36, 3) or 0 in values.shape or values.dtype.kind not in "fiu":
        raise DatasetError(
            f"{path}: {variable} is {values.dtype} {values.shape}, not numbers of shape (cameras, frames, 36, 3)"
        )
    result: NDArray[np.float64] = values[0].astype(np.float64)
    return result


class _Table(NamedTuple):
    """Every frame of both halves that is on disk, train first."""

    half: NDArray[np.int16]  # 0 train, 1 test
    number: NDArray[np.int64]  # as in the file's name, from 1
    joints: NDArray[np.float32]
    test_rows: int


class Nyu(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    camera = CAMERA

    def __init__(self, root: Path, split: Split, joints: str) -> None:
        super().__init__(root, split, {"joints": joints})
        self.path = root.absolute()
        self.skeleton = get_skeleton(f"nyu{joints}")

    @cached_property
    def _table(self) -> _Table:
        wanted = ("train", "test") if self.split == "all" else (self.split,)
        present = [h for h in wanted if (self.path / h).is_dir()]
        if not present:
            raise DatasetError(
                f"{self.path}: no {' nor '.join(wanted)} here, but {some_names(self.path)}; "
                f"the tree must be {INFO.tree}"
            )
        parts, test_rows, labelled = [], 0, 0
        for half in present:
            self.note_labels(self.path / half / _LABELS)
            numbers, joints = _read_half(self.path / half, EXPECTED[half])
            labelled += len(joints)
            if half == "test":
                test_rows = len(joints)
            if len(numbers):
                parts.append((np.full(len(numbers), half == "test"), numbers, joints[numbers - 1]))
        if not parts:
            raise DatasetError(f"{self.path}: not one depth_1_*.png; the tree must be {INFO.tree}")
        half_, number, joints = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.note_left_out(labelled - len(number), labelled)
        if self.options["joints"] == "14":
            joints = joints[:, SKELETON.evaluation]
        return _Table(half_.astype(np.int16), number, joints, test_rows)

    def _make_index(self) -> Index:
        half, number, _, test_rows = self._table
        frame = number - 1 + np.where(half == 1, EXPECTED["train"], 0)
        if test_rows == EXPECTED["test"]:
            subject = np.where(half == 0, 0, np.where(number - 1 < SECOND_PERSON, 1, 2))
            subjects: tuple[str, ...] = ("train", *TESTED)
        else:  # a part of the test set, whose rows do not tell the two people apart
            subject, subjects = half, ("train", "test")
        return Index(frame, subject.astype(np.int16), half, subjects, ("train", "test"))

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`."""
        data, place = self._bytes(i)
        pixels = cube_window(CAMERA, place[0], window)
        return Frame(parse_depth(data, place[-1], pixels), cut_camera(CAMERA, pixels), *place)

    def _frame_name(self, i: int) -> str:
        table = self._table
        return f"{self._index.sequences[table.half[i]]}/depth_1_{table.number[i]:07d}.png"

    def _bytes(self, i: int) -> tuple[bytes, tuple[NDArray[np.float32], int, int, int, str]]:
        """A frame's file, and what a `Frame` has besides depth and camera."""
        index, table, i = self._index, self._table, self.position(i)
        name = self._frame_name(i)
        joints = table.joints[i]
        check_joints(joints, name)
        data = read_bytes(f"{self.path}/{name}", name, _LARGEST_PNG)
        return data, (joints, int(index.frame[i]), int(index.subject[i]), int(index.sequence[i]), name)

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`."""
        table = self._table
        return {
            "dataset": INFO.name, "split": self.split, "frames": len(self), "joints": self.options["joints"],
            "labels": digest(table.half, table.number, table.joints),
        }  # fmt: skip


def _read_half(folder: Path, expected: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Numbers of the frames on disk, and labels of the half, those of absent frames included."""
    joints = read_labels(folder / _LABELS)
    numbers = frame_numbers(folder, _FRAME_FILE)
    if len(joints) > expected:
        raise DatasetError(f"{folder / _LABELS}: {len(joints)} rows of labels, where {folder.name} has {expected}")
    if len(numbers) and (numbers[0] < 1 or numbers[-1] > len(joints)):
        raise DatasetError(
            f"{folder}: {len(numbers)} frames, numbered {numbers[0]} to {numbers[-1]}, but labels of {len(joints)} "
            "(frames 1 and on) only; frames and labels must be of one release"
        )
    return numbers, joints


def load(root: Path, *, split: Split = "all", joints: str | int = "36") -> Nyu:
    """A reader; called by `gmaps.load_dataset`."""
    if str(joints) not in ("36", "14"):
        raise UsageError(f"nyu has 36 joints, or the evaluation's 14; joints={joints!r} is neither")
    return Nyu(Path(root), split, str(joints))


def check(root: Path) -> list[Check]:
    """Counts of frames and labels, and every frame's PNG header; no pixel is read."""
    root, checks = Path(root), []
    for half, expected in EXPECTED.items():
        folder = root / half
        if not folder.is_dir():
            checks.append(Check(half, 0, expected, "no such folder; the other half can be built"))
            continue
        try:
            rows: int | str = len(read_labels(folder / _LABELS))
            problem = "" if rows == expected else f"{rows} rows, not {expected}: another release, or a part of it"
        except DatasetError as error:
            rows, problem = "unreadable", str(error)
        checks.append(Check(f"{half}/{_LABELS}", rows, expected, problem))
        checks.append(_check_frames(folder, expected))
    return checks


def _check_frames(folder: Path, expected: int) -> Check:
    numbers = frame_numbers(folder, _FRAME_FILE)
    names = (f"{folder.name}/depth_1_{number:07d}.png" for number in numbers)
    problems = png.check_files(folder.parent, names, "rgb8", _SIZE)
    if len(numbers) != expected:
        problems.append(f"{len(numbers)} frames, not {expected}: incomplete; those that are here can be built")
    return Check(f"{folder.name}/depth_1_*.png", len(numbers), expected, "; ".join(problems))
