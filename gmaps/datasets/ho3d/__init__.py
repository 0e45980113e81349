"""HO-3D (versions 2 and 3), Hampali et al. (CVPR 2020): right hands that hold objects, some seen by several cameras.

Depth is R + 256 G of an 8-bit RGB PNG, times a scale. A frame's `meta/*.pkl` has the camera, and 21 joints in
metres, in OpenGL's axes and MANO's order: both are turned here. Frames of the evaluation tell the wrist and a box
alone; where the truth that was released in 2024 lies beside them (`evaluation_xyz.json`), it gives their joints.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Check, DatasetInfo, FrameArray, Index, Split, Window
from gmaps.datasets.ho3d.meta_file import (
    HEIGHT,
    SCALE,
    WIDTH,
    HandMeta,
    parse_depth,
    parse_list,
    parse_mask,
    parse_meta,
)
from gmaps.datasets.ho3d.truth import format_submission, read_joints_json
from gmaps.datasets.protocol import Protocol, palm_of
from gmaps.datasets.reader import Reader, check_joints, cube_window, cut_camera, digest, read_bytes, some_names
from gmaps.errors import DatasetError, FrameError, PredictionError, unknown_name
from gmaps.formats import png
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton

__all__ = ["INFO", "PROTOCOL", "Ho3d", "check", "load", "parse_depth", "parse_mask", "parse_meta"]

SKELETON = get_skeleton("openpose21")
#: Folder and list of each split.
_PARTS: dict[str, str] = {"train": "train", "test": "evaluation"}
#: Lines of `train.txt` and `evaluation.txt`, by version.
EXPECTED = {"v2": {"train": 66_034, "test": 11_524}, "v3": {"train": 83_325, "test": 20_137}}
TRUTH = "evaluation_xyz.json"
#: Number of the first frame of the evaluation: no list of training frames is as long.
FIRST_TEST = 100_000
_LARGEST_PNG, _LARGEST_META, _LARGEST_LIST = 2**22, 2**20, 2**24
ARRAYS = {
    "root": FrameArray("root", (3,), unit="mm", about="the wrist, which evaluation frames tell, too; camera axes"),
    "pose": FrameArray("pose", (51,), about="MANO: 48 angles of a flat hand, place (3, metres), OpenGL's axes"),
    "betas": FrameArray("betas", (10,), about="MANO: the hand's shape"),
}

INFO = DatasetInfo(
    name="ho3d",
    title="HO-3D, versions 2 and 3: right hands that hold objects",
    homepage="https://github.com/shreyashampali/ho3d",
    terms="Academic research only; no redistribution.",
    tree=f"ROOT/{{train.txt, evaluation.txt, {TRUTH} (if you have it)}} and "
    "ROOT/{train,evaluation}/ABF10/{depth/0000.png, meta/0000.pkl, seg/0000.png, rgb/0000.png}; one of "
    "the two may be missing",
    citation="S. Hampali, M. Rad, M. Oberweger, V. Lepetit. HOnnotate: A Method for 3D Annotation of Hand and Object "
    "Poses. CVPR 2020.",
    skeleton=SKELETON.name,
    half_side=140.0,
    depth_range=(200.0, 1200.0),
    notes=f"Frames of the evaluation have joints where {TRUTH}, released in 2024, lies beside evaluation.txt; else "
    "the wrist (-O arrays=root) and a box: build them with --center com and maps of depth alone. Papers use a cube "
    "of 280 mm. Figures of versions 2 and 3 do not compare.",
    options={"arrays": f"what to keep of each frame besides, comma-separated: {', '.join(ARRAYS)} (default none)"},
)

_PRINTED = ("Thumb", "Index", "Mid", "Ring", "Pinky")
PROTOCOL = Protocol(
    "ho3d", Camera(615.0, 615.0, 320.0, 240.0, WIDTH, HEIGHT),  # about what all are: frames have their own
    ("Wrist", *(f"{f}.{k}" for f in _PRINTED for k in "MPDT")),
    printed=tuple(range(len(SKELETON))), coordinates="xyz", palm=palm_of(SKELETON.joints),
    aligned=("root", "scale", "procrustes"), read_json=read_joints_json, format_json=format_submission,
)  # fmt: skip


class _Table(NamedTuple):
    """The frames of a split."""

    names: list[tuple[str, str]]
    test: NDArray[np.bool_]
    number: NDArray[np.int64]
    truth: NDArray[np.float32] | None  # of the frames of the evaluation, in their order


class Ho3d(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    skeleton = SKELETON
    camera = PROTOCOL.camera

    def __init__(self, root: Path, split: Split, arrays: tuple[str, ...]) -> None:
        super().__init__(root, split, {"arrays": ",".join(arrays)} if arrays else {})
        self.path = root.absolute()
        self.arrays = tuple(ARRAYS[name] for name in arrays)
        self.labelled = split != "test" or (self.path / TRUTH).is_file()
        self._latest: tuple[int, HandMeta] | None = None

    @cached_property
    def _table(self) -> _Table:
        wanted = [s for s in _PARTS if self.split in (s, "all")]
        present = [s for s in wanted if (self.path / f"{_PARTS[s]}.txt").is_file()]
        if not present:
            lists = " nor ".join(f"{_PARTS[s]}.txt" for s in wanted)
            raise DatasetError(
                f"{self.path}: no {lists} here, but {some_names(self.path)}; the tree must be {INFO.tree}"
            )
        names, test, number = [], [], []
        for split in present:
            self.note_labels(self.path / f"{_PARTS[split]}.txt")
            found = _read_list(self.path, split)
            names += found
            test += [split == "test"] * len(found)
            number.append(np.arange(len(found)) + (FIRST_TEST if split == "test" else 0))
        self.note_labels(self.path / TRUTH)
        truth = _read_truth(self.path, sum(test)) if any(test) else None
        return _Table(names, np.array(test), np.concatenate(number).astype(np.int64), truth)

    @property
    def segmented(self) -> bool:  # type: ignore[override]
        """Whether frames say which pixels are hand: those of the training do, unless `seg` was left out."""
        sequence, number = self._table.names[0]
        return self.split == "train" and (self.path / f"train/{sequence}/seg/{number}.png").is_file()

    def _make_index(self) -> Index:
        table = self._table
        sequences = sorted({sequence for sequence, _ in table.names})
        place = {name: k for k, name in enumerate(sequences)}
        at = np.array([place[sequence] for sequence, _ in table.names], np.int16)
        time = np.array([int(number) for _, number in table.names], np.int32)
        return Index(
            table.number, table.test.astype(np.int16), at, ("train", "evaluation"), tuple(sequences), time=time
        )

    def camera_of(self, i: int) -> Camera:
        """The camera at position i; reads the frame's meta file."""
        return self._meta(self.position(i)).camera

    def _meta(self, i: int) -> HandMeta:
        if self._latest is None or self._latest[0] != i:  # a crop asks twice
            name = self._name(i, "meta", "pkl")
            self._latest = i, parse_meta(read_bytes(f"{self.path}/{name}", name, _LARGEST_META), name)
        return self._latest[1]

    def _name(self, i: int, folder: str, suffix: str) -> str:
        sequence, number = self._table.names[i]
        return f"{_PARTS['test' if self._table.test[i] else 'train']}/{sequence}/{folder}/{number}.{suffix}"

    def frame_files(self, i: int) -> tuple[str, ...]:
        """See `Reader.frame_files`; with the file of its labels."""
        return tuple(f"{self.path}/{self._name(i, *end)}" for end in (("depth", "png"), ("meta", "pkl")))

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`."""
        i = self.position(i)
        table, meta = self._table, self._meta(i)
        name = self._name(i, "depth", "png")
        joints = meta.joints
        if table.test[i] and table.truth is not None:
            joints = table.truth[i - int(np.argmax(table.test))]
        if not np.isnan(joints).all():
            check_joints(joints, name)
        pixels = cube_window(meta.camera, joints, window)
        data = read_bytes(f"{self.path}/{name}", name, _LARGEST_PNG)
        depth = parse_depth(data, name, self._scale(table.names[i][0]), pixels)
        camera, index = cut_camera(meta.camera, pixels), self._index
        box = None if meta.box is None else (meta.box[0] - pixels[2], meta.box[1] - pixels[0], *meta.box[2:])
        mask = None
        if self.segmented and (window is None or window.mask):
            said = self._name(i, "seg", "png")
            mask = parse_mask(read_bytes(f"{self.path}/{said}", said, _LARGEST_PNG), said, pixels)
        known = {"root": meta.root, "pose": meta.pose, "betas": meta.betas}
        return Frame(
            depth, camera, joints, int(index.frame[i]), int(index.subject[i]), int(index.sequence[i]), name, box,
            {a.name: known[a.name] for a in self.arrays}, mask,
        )  # fmt: skip

    def _scale(self, sequence: str) -> float:
        if sequence not in self._scales:
            self._scales[sequence] = read_scale(self.path, sequence)
        return self._scales[sequence]

    @cached_property
    def _scales(self) -> dict[str, float]:
        return {}

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`. Joints have a file a frame and are not looked at; the released truth is."""
        table = self._table
        said = "\n".join("/".join(pair) for pair in table.names)
        truth = np.zeros(0, np.float32) if table.truth is None else table.truth
        return {
            "dataset": INFO.name, "split": self.split, "frames": len(self), **self.options,
            "labels": digest(table.test, np.frombuffer(said.encode(), np.uint8), truth),
        }  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_latest": None}


def _read_list(root: Path, split: str) -> list[tuple[str, str]]:
    name = f"{_PARTS[split]}.txt"
    try:
        return parse_list(read_bytes(root / name, name, _LARGEST_LIST), name)
    except FrameError as error:
        raise DatasetError(f"{root}: {error}") from error


def _read_truth(root: Path, frames: int) -> NDArray[np.float32] | None:
    """(N, 21, 3) mm of the evaluation's frames, where it has been put there."""
    if not (root / TRUTH).is_file():
        return None
    try:
        found = read_joints_json(root / TRUTH)
    except PredictionError as error:
        raise DatasetError(str(error)) from error
    if len(found) != frames:
        raise DatasetError(
            f"{root / TRUTH}: {len(found):,} frames, but evaluation.txt has {frames:,}: they belong to different "
            "versions"
        )
    return found.astype(np.float32)


def read_scale(root: Path, sequence: str) -> float:
    """Metres that 1 of a depth image stands for: what the recording's calibration says, else the toolkit's number.

    Raises
    ------
    FrameError
        A calibration that says something else.
    """
    # ABF10 is what camera 0 saw of recording ABF1.
    name = f"calibration/{sequence[:-1]}/calibration/cam_{sequence[-1]}_depth_scale.txt"
    if not (root / name).is_file():
        return SCALE
    said = read_bytes(root / name, name, 4096).strip()
    try:
        scale = float(said)
    except ValueError:
        scale = np.nan
    if not 1e-6 < scale < 1e-2:
        raise FrameError(f"{name}: {said[:40]!r} is no scale in metres, as {SCALE:g} is; restore it")
    return scale


def load(root: Path, *, split: Split = "all", arrays: str = "") -> Ho3d:
    """A reader; called by `gmaps.load_dataset`."""
    wanted = tuple(name.strip() for name in str(arrays).split(",") if name.strip())
    for name in wanted:
        if name not in ARRAYS:
            raise unknown_name("array of ho3d", name, ARRAYS)
    return Ho3d(Path(root), split, wanted)


def check(root: Path) -> list[Check]:
    """Lists of frames, their files, and every depth image's header; no pixel and no label is read."""
    root, checks = Path(root), []
    for split, folder in _PARTS.items():
        name = f"{folder}.txt"
        if not (root / name).is_file():
            checks.append(Check(name, 0, None, "no such file; the other half can be built"))
            continue
        try:
            names = _read_list(root, split)
        except DatasetError as error:
            checks.append(Check(name, "unreadable", None, str(error)))
            continue
        versions = [v for v, counts in EXPECTED.items() if counts[split] == len(names)]
        counts = " or ".join(f"{c[split]:,} ({v})" for v, c in EXPECTED.items())
        problem = "" if versions else f"{len(names):,} frames, not {counts}: a part, which can be built"
        checks.append(Check(name, len(names), versions[0] if versions else counts, problem))
        files = (f"{folder}/{sequence}/depth/{number}.png" for sequence, number in names)
        problems = png.check_files(root, files, "rgb8", (WIDTH, HEIGHT))
        missing = sum(not (root / folder / s / "meta" / f"{n}.pkl").is_file() for s, n in names)
        problems += [f"{missing:,} frames have no meta/*.pkl"] if missing else []
        checks.append(Check(f"{folder}/*/depth", len(names), None, "; ".join(problems)))
    try:
        truth = _read_truth(root, len(_read_list(root, "test"))) if (root / "evaluation.txt").is_file() else None
        checks.append(Check(TRUTH, 0 if truth is None else len(truth)))
    except DatasetError as error:
        checks.append(Check(TRUTH, "unreadable", None, str(error)))
    return checks
