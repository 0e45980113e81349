"""HO-Cap, Wang et al. (2024): nine people who handle objects with one hand or two, seen by eight RealSense cameras.

Depth is 16-bit grey, mm, in the colour camera's pixels. A recording's `hand_benchmark.json` has, by camera and
moment, 21 joints of the right and of the left hand, metres in the camera's axes, which are gmaps' too, -1 where there
is no hand. Each hand is a frame of its own; left ones are mirrored unless told otherwise.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Check, DatasetInfo, FrameArray, Index, Split, Window
from gmaps.datasets.hocap.hand_json import Hands, parse_calibration, parse_hands, parse_recording
from gmaps.datasets.mirror import mirror_camera, mirror_joints, mirror_pixels
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
from gmaps.errors import DatasetError, FrameError, UsageError, unknown_name
from gmaps.formats import npy, png
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton

__all__ = ["INFO", "HoCap", "check", "load", "parse_depth"]

SKELETON = get_skeleton("openpose21")
SUBJECTS = tuple(f"subject_{k}" for k in range(1, 10))
WIDTH, HEIGHT = 640, 480
_SIZE = (WIDTH, HEIGHT)
_LARGEST_PNG, _LARGEST_JSON, _LARGEST_POSES = 2**22, 2**28, 2**26
_META, _HANDS, _POSES = "meta.json", "hand_benchmark.json", "poses_m.npy"
ARRAYS = {
    "side": FrameArray("side", (), "int8", about="1 for a right hand, -1 for a left one"),
    "pose": FrameArray("pose", (51,), about="MANO: turn (3), 45 principal components, place (metres); of the world"),
}

INFO = DatasetInfo(
    name="hocap",
    title="HO-Cap: hands and objects, eight cameras",
    homepage="https://irvlutd.github.io/HOCap/",
    terms="CC BY 4.0; MANO's parameters also under MANO's own licence.",
    tree="ROOT/subject_1 ... subject_9/20231025_165502/{meta.json, hand_benchmark.json, poses_m.npy, "
    "037522251142/{depth_000000.png, color_000000.jpg}} and ROOT/calibration/intrinsics/037522251142_640x480.json; "
    "people may be missing",
    citation="J. Wang, Q. Zhang, Y.-W. Chao, B. Wen, X. Guo, Y. Xiang. HO-Cap: A Capture System and Dataset for 3D "
    "Reconstruction and Pose Tracking of Hand-Object Interaction. arXiv:2406.06843, 2024.",
    skeleton=SKELETON.name,
    half_side=125.0,
    depth_range=(300.0, 1500.0),
    notes="Joints are those of the benchmark's hand_benchmark.json: gmaps has no hand model that poses_m.npy would "
    "need. A moment with two hands is two frames.",
    options={
        "test_subject": "the person of the test split, subject_1 to subject_9 (default subject_9); others train",
        "mirror": "left (default): left hands become right ones, image and joints; none: as they are",
        "arrays": f"what to keep of each frame besides, comma-separated: {', '.join(ARRAYS)} (default side)",
    },
)


class _Recording(NamedTuple):
    subject: int
    name: str
    serials: tuple[str, ...]
    hands: Hands


class _Table(NamedTuple):
    """Every hand of the tree: recording, camera (among all serial numbers), moment, side and joints."""

    recordings: list[_Recording]
    serials: tuple[str, ...]
    recording: NDArray[np.int16]
    camera: NDArray[np.int16]
    time: NDArray[np.int32]
    right: NDArray[np.bool_]
    joints: NDArray[np.float32]


def parse_depth(data: bytes, name: str, pixels: Pixels | None = None) -> NDArray[np.float32]:
    """The depth image in a `depth_*.png`, or a part of it: (480, 640) float32, mm, 0 where there is no data.

    Raises
    ------
    FrameError
        Not a 16-bit grey PNG of 640 x 480, or torn.
    """
    return png.decode(data, name, "grey16", _SIZE, pixels).astype(np.float32)


class HoCap(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    skeleton = SKELETON
    camera = Camera(615.0, 615.0, 320.0, 240.0, WIDTH, HEIGHT)  # about what all are: frames have their own

    def __init__(self, root: Path, split: Split, test_subject: str, mirror: str, arrays: tuple[str, ...]) -> None:
        super().__init__(root, split, {"test_subject": test_subject, "mirror": mirror, "arrays": ",".join(arrays)})
        self.path = root.absolute()
        self.arrays = tuple(ARRAYS[name] for name in arrays)

    @cached_property
    def _table(self) -> _Table:
        recordings = read_recordings(self.path)
        serials = tuple(sorted({s for r in recordings for s in r.serials}))
        at = {serial: k for k, serial in enumerate(serials)}
        parts = []
        for k, r in enumerate(recordings):
            camera = np.array([at[r.hands.serials[c]] for c in r.hands.camera.tolist()], np.int16)
            parts.append((np.full(len(camera), k, np.int16), camera, r.hands.time, r.hands.right, r.hands.joints))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        if not len(columns[0]):
            raise DatasetError(f"{self.path}: no hand is in any {_HANDS}; the tree must be {INFO.tree}")
        return _Table(recordings, serials, *columns)

    @cached_property
    def _cameras(self) -> dict[str, Camera]:
        return {serial: read_camera(self.path, serial) for serial in self._table.serials}

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        table = self._table
        subject = np.array([r.subject for r in table.recordings])[table.recording]
        test = subject == SUBJECTS.index(self.options["test_subject"])
        rows = np.flatnonzero({"all": np.ones_like(test), "test": test, "train": ~test}[self.split])
        if not len(rows):
            there = ", ".join(SUBJECTS[s] for s in np.unique(subject))
            raise DatasetError(
                f"{self.path}: no hand is in split {self.split} with test_subject={self.options['test_subject']}; "
                f"people there: {there}"
            )
        return rows

    def _make_index(self) -> Index:
        table, rows = self._table, self._rows
        subject = np.array([r.subject for r in table.recordings], np.int16)[table.recording]
        names = tuple(r.name for r in table.recordings)
        return Index(
            rows, subject[rows], table.recording[rows], SUBJECTS, names, table.camera[rows], table.serials,
            table.time[rows],
        )  # fmt: skip

    def _mirrored(self, row: int) -> bool:
        return self.options["mirror"] == "left" and not self._table.right[row]

    def camera_of(self, i: int) -> Camera:
        """The camera of the whole image at position i, mirrored where the image is."""
        row = int(self._rows[self.position(i)])
        camera = self._cameras[self._table.serials[self._table.camera[row]]]
        return mirror_camera(camera) if self._mirrored(row) else camera

    def _depth_name(self, row: int) -> str:
        table = self._table
        recording = table.recordings[table.recording[row]]
        folder = f"{SUBJECTS[recording.subject]}/{recording.name}"
        return f"{folder}/{table.serials[table.camera[row]]}/depth_{table.time[row]:06d}.png"

    def frame_files(self, i: int) -> tuple[str, ...]:
        """See `Reader.frame_files`."""
        return (f"{self.path}/{self._depth_name(int(self._rows[self.position(i)]))}",)

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`."""
        row, table = int(self._rows[self.position(i)]), self._table
        recording = table.recordings[table.recording[row]]
        folder = f"{SUBJECTS[recording.subject]}/{recording.name}"
        name = self._depth_name(row)
        mirrored = self._mirrored(row)
        joints = mirror_joints(table.joints[row]) if mirrored else table.joints[row]
        check_joints(joints, name)
        camera = self.camera_of(i)
        pixels = cube_window(camera, joints, window)
        own = mirror_pixels(pixels, WIDTH) if mirrored else pixels
        depth = parse_depth(read_bytes(f"{self.path}/{name}", name, _LARGEST_PNG), name, own)
        known: dict[str, Any] = {"side": np.int8(1 if table.right[row] else -1)}
        if "pose" in self.options["arrays"]:
            known["pose"] = self._pose(folder, bool(table.right[row]), int(table.time[row]))
        return Frame(
            np.ascontiguousarray(depth[:, ::-1]) if mirrored else depth, cut_camera(camera, pixels), joints, row,
            recording.subject, int(table.recording[row]), name,
            arrays={a.name: np.asarray(known[a.name]) for a in self.arrays},
        )  # fmt: skip

    def _pose(self, folder: str, right: bool, time: int) -> NDArray[np.float32]:
        if folder not in self._poses:
            name = f"{folder}/{_POSES}"
            self._poses[folder] = npy.parse_npy(read_bytes(self.path / name, name, _LARGEST_POSES), name)
        found = self._poses[folder]
        if found.ndim != 3 or found.shape[0] != 2 or found.shape[2] != 51 or not time < found.shape[1]:
            raise FrameError(f"{folder}/{_POSES}: shape {found.shape}, not (2, frames, 51) with frame {time}")
        return np.asarray(found[0 if right else 1, time], np.float32)

    @cached_property
    def _poses(self) -> dict[str, NDArray[Any]]:
        return {}

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`."""
        t = self._table
        said = "\n".join(f"{r.subject}/{r.name}" for r in t.recordings)
        cameras = np.array([[c.fx, c.fy, c.cx, c.cy] for c in self._cameras.values()])
        return {
            "dataset": INFO.name, "split": self.split, "frames": len(self), **self.options,
            "labels": digest(self._rows, t.recording, t.camera, t.time, t.right, t.joints, cameras,
                             np.frombuffer(said.encode(), np.uint8)),
        }  # fmt: skip


def read_recordings(root: Path) -> list[_Recording]:
    """All recordings that have joints, by person and name.

    Raises
    ------
    DatasetError
        None is there, or one cannot be read.
    """
    found = []
    for s, subject in enumerate(SUBJECTS):
        for folder in sorted((root / subject).glob("2*_*")):
            if not (folder / _HANDS).is_file():
                continue
            name = f"{subject}/{folder.name}"
            serials = parse_recording(_read(root, f"{name}/{_META}"), f"{name}/{_META}")
            hands = parse_hands(_read(root, f"{name}/{_HANDS}"), f"{name}/{_HANDS}", serials)
            found.append(_Recording(s, folder.name, serials, hands))
    if not found:
        raise DatasetError(
            f"{root}: no {SUBJECTS[0]}/*/{_HANDS} is here, but {some_names(root)}; the tree must be {INFO.tree}"
        )
    return found


def read_camera(root: Path, serial: str) -> Camera:
    """The colour camera of a serial number, in whose pixels depth is, too."""
    name = f"calibration/intrinsics/{serial}_{WIDTH}x{HEIGHT}.json"
    return parse_calibration(_read(root, name), name, _SIZE)


def _read(root: Path, name: str) -> bytes:
    try:
        return read_bytes(root / name, name, _LARGEST_JSON)
    except FrameError as error:
        raise DatasetError(f"{root}: {error}") from error


def load(
    root: Path, *, split: Split = "all", test_subject: str = "subject_9", mirror: str = "left", arrays: str = "side"
) -> HoCap:
    """A reader; called by `gmaps.load_dataset`."""
    if test_subject not in SUBJECTS:
        raise unknown_name("subject of hocap", str(test_subject), SUBJECTS)
    if mirror not in ("left", "none"):
        raise UsageError(f"hocap mirrors left hands (mirror=left) or none (mirror=none), not {mirror!r}")
    wanted = tuple(name.strip() for name in str(arrays).split(",") if name.strip())
    for name in wanted:
        if name not in ARRAYS:
            raise unknown_name("array of hocap", name, ARRAYS)
    return HoCap(Path(root), split, test_subject, mirror, wanted)


def check(root: Path) -> list[Check]:
    """Every recording's labels, each camera's calibration, and every depth image's header; no pixel is read."""
    root, checks = Path(root), []
    try:
        recordings = read_recordings(root)
    except DatasetError as error:
        return [Check("recordings", 0, None, str(error))]
    for r in recordings:
        folder = f"{SUBJECTS[r.subject]}/{r.name}"
        places = zip(r.hands.camera.tolist(), r.hands.time.tolist(), strict=True)
        pairs = sorted({(r.hands.serials[c], t) for c, t in places})
        files = (f"{folder}/{serial}/depth_{time:06d}.png" for serial, time in pairs)
        problems = png.check_files(root, files, "grey16", _SIZE)
        checks.append(Check(folder, len(r.hands.joints), None, "; ".join(problems)))
    for serial in sorted({s for r in recordings for s in r.serials}):
        try:
            read_camera(root, serial)
            checks.append(Check(f"calibration of {serial}", "read"))
        except DatasetError as error:
            checks.append(Check(f"calibration of {serial}", "unreadable", None, str(error)))
    return checks
