"""DexYCB, Chao et al. (CVPR 2021): 1,000 recordings of ten people who grasp objects, seen by eight cameras.

Depth is 16-bit grey, mm, aligned to the colour camera, whose intrinsics hold. `labels_*.npz` has 21 joints in metres
in that camera's axes, which are gmaps' too, all -1 where the hand is not in the picture; MANO's parameters; and which
pixels are hand. Left hands are mirrored, image and joints, as the field does, unless told otherwise.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Check, DatasetInfo, FrameArray, Index, Split, Window
from gmaps.datasets.dexycb.check_recordings import check_recordings
from gmaps.datasets.dexycb.label_file import POSE, parse_labels, parse_mask
from gmaps.datasets.dexycb.recordings import (
    HEIGHT,
    SERIALS,
    SETUPS,
    SUBJECTS,
    WIDTH,
    HandRecording,
    in_split,
    read_betas,
    read_camera,
    read_recordings,
)
from gmaps.datasets.mirror import mirror_camera, mirror_joints, mirror_pixels
from gmaps.datasets.protocol import Protocol, palm_of
from gmaps.datasets.reader import Pixels, Reader, check_joints, cube_window, cut_camera, digest, read_bytes
from gmaps.errors import DatasetError, FrameError, UsageError, unknown_name
from gmaps.formats import png
from gmaps.formats.picture import parse_picture
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton

__all__ = ["INFO", "PROTOCOL", "DexYcb", "check", "load", "parse_depth", "parse_labels", "parse_mask"]

SKELETON = get_skeleton("openpose21")
#: Frames of a split before those without a hand are left out, where the field states it.
EXPECTED = {("s0", "train"): 465_504}
_SIZE = (WIDTH, HEIGHT)
_LARGEST_PNG = 2**22
_LARGEST_LABELS = 2**22
#: What can be had of every frame besides; see `load`.
ARRAYS = {
    "side": FrameArray("side", (), "int8", about="1 for a right hand, -1 for a left one"),
    "pose": FrameArray("pose", (POSE,), about="MANO: turn (3), 45 principal components, place (3, metres); own side"),
    "betas": FrameArray("betas", (10,), about="MANO: the hand's shape"),
}

INFO = DatasetInfo(
    name="dexycb",
    title="DexYCB: hands that grasp objects, eight cameras",
    homepage="https://dex-ycb.github.io/",
    terms="CC BY-NC 4.0; MANO's parameters also under MANO's own licence.",
    tree="ROOT/20200709-subject-01 ... 20201022-subject-10/20200709_141754 (100 each)/{meta.yml, 836212060125 (8 "
    "cameras)/{aligned_depth_to_color_000000.png, labels_000000.npz, color_000000.jpg}} and "
    "ROOT/calibration/{intrinsics/836212060125_640x480.yml, mano_*/mano.yml}; people may be missing",
    citation="Y.-W. Chao, W. Yang, Y. Xiang, P. Molchanov, A. Handa, J. Tremblay, Y. S. Narang, K. Van Wyk, U. "
    "Iqbal, S. Birchfield, J. Kautz, D. Fox. DexYCB: A Benchmark for Capturing Hand Grasping of Objects. CVPR 2021.",
    skeleton=SKELETON.name,
    splits=("train", "val", "test", "all"),
    half_side=125.0,
    center="mean",
    depth_range=(300.0, 1500.0),
    notes="Two protocols. The literature's, the default: a cube of 250 mm whose centre is the mean of the 21 true "
    "joints, which tells a network more than it could know. --center com: needs no truth, but finds whatever is "
    "nearest. Say which. Frames without a hand, one in eight, are listed as rejected: --max-rejects 20%.",
    options={
        "setup": "how train, val and test are divided: s0 by recording (default), s1 by person, s2 by camera, s3 by "
        "object",
        "mirror": "left (default): left hands become right ones, image and joints; none: as they are",
        "color": "on: crops have colour, too (default: they have not)",
        "arrays": f"what to keep of each frame besides, comma-separated: {', '.join(ARRAYS)} (default side)",
    },
)

_PRINTED = ("Thumb", "Index", "Mid", "Ring", "Pinky")
PROTOCOL = Protocol(
    "dexycb", Camera(615.0, 615.0, 320.0, 240.0, WIDTH, HEIGHT),  # about what all eight are: frames have their own
    ("Wrist", *(f"{f}.{k}" for f in _PRINTED for k in "MPDT")),
    printed=tuple(range(len(SKELETON))), coordinates="xyz", palm=palm_of(SKELETON.joints),
    aligned=("root", "procrustes"), numbered=True, sided=True,
)  # fmt: skip


class _Table(NamedTuple):
    """Every frame of the split."""

    recording: NDArray[np.int16]
    camera: NDArray[np.int16]
    time: NDArray[np.int32]
    number: NDArray[np.int64]  # among the frames of all recordings that are here


def parse_depth(data: bytes, name: str, pixels: Pixels | None = None) -> NDArray[np.float32]:
    """The depth image in an `aligned_depth_to_color_*.png`, or a part of it: (480, 640) float32, mm, 0 = no data.

    Raises
    ------
    FrameError
        Not a 16-bit grey PNG of 640 x 480, or torn.
    """
    return png.decode(data, name, "grey16", _SIZE, pixels).astype(np.float32)


class DexYcb(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    skeleton = SKELETON
    camera = PROTOCOL.camera
    segmented = True

    def __init__(
        self, root: Path, split: Split, setup: str, mirror: str, arrays: tuple[str, ...], color: bool = False
    ) -> None:
        more = {"color": "on"} if color else {}
        super().__init__(root, split, {"setup": setup, "mirror": mirror, "arrays": ",".join(arrays), **more})
        self.colored = color
        self.path = root.absolute()
        self.arrays = tuple(ARRAYS[name] for name in arrays)

    @cached_property
    def _recordings(self) -> list[HandRecording]:
        return read_recordings(self.path)

    @cached_property
    def _cameras(self) -> tuple[Camera, ...]:
        return tuple(read_camera(self.path, serial) for serial in SERIALS)

    @cached_property
    def _betas(self) -> dict[str, NDArray[np.float32]]:
        return {mano: read_betas(self.path, mano) for mano in sorted({r.mano for r in self._recordings})}

    @cached_property
    def _table(self) -> _Table:
        recordings, cameras = self._recordings, len(SERIALS)
        wanted, seen = in_split(self.options["setup"], self.split, recordings)
        parts, first = [], 0
        for k, r in enumerate(recordings):
            if wanted[k]:
                camera, time = np.divmod(np.arange(cameras * r.frames, dtype=np.int32), max(r.frames, 1))
                keep = seen[camera]
                number = np.arange(first, first + len(camera), dtype=np.int64)
                parts.append(
                    (np.full(keep.sum(), k, np.int16), camera[keep].astype(np.int16), time[keep], number[keep])
                )
            first += cameras * r.frames
        table = _Table(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else None
        if table is None or not len(table.number):
            raise DatasetError(
                f"{self.path}: no frame here is in split {self.split} of setup {self.options['setup']}; the tree "
                f"must be {INFO.tree}"
            )
        return table

    def _make_index(self) -> Index:
        table, recordings = self._table, self._recordings
        subject = np.array([r.subject for r in recordings], np.int16)[table.recording]
        names = tuple(r.name for r in recordings)
        return Index(table.number, subject, table.recording, SUBJECTS, names, table.camera, SERIALS, table.time)

    def camera_of(self, i: int) -> Camera:
        """The camera of the whole image at position i, mirrored where the image is."""
        i = self.position(i)
        camera = self._cameras[self._table.camera[i]]
        return mirror_camera(camera) if self._mirrored(self._recordings[self._table.recording[i]]) else camera

    def _mirrored(self, recording: HandRecording) -> bool:
        return self.options["mirror"] == "left" and not recording.right

    def _names(self, i: int) -> tuple[str, str]:
        """The file of the pixels of the frame at position i, and that of its labels."""
        table = self._table
        recording, time = self._recordings[table.recording[i]], int(table.time[i])
        folder = f"{SUBJECTS[recording.subject]}/{recording.name}/{SERIALS[table.camera[i]]}"
        return f"{folder}/aligned_depth_to_color_{time:06d}.png", f"{folder}/labels_{time:06d}.npz"

    def frame_files(self, i: int) -> tuple[str, ...]:
        """See `Reader.frame_files`; with the file of its labels."""
        return tuple(f"{self.path}/{name}" for name in self._names(i))

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`."""
        i = self.position(i)
        table = self._table
        recording = self._recordings[table.recording[i]]
        name, said = self._names(i)
        labels = read_bytes(f"{self.path}/{said}", said, _LARGEST_LABELS)
        joints, pose = parse_labels(labels, said)
        if np.isnan(joints).all():
            raise FrameError(f"{name}: no hand is in this picture (its joints are -1)")
        mirrored = self._mirrored(recording)
        joints = mirror_joints(joints) if mirrored else joints
        check_joints(joints, said)
        camera = self.camera_of(i)
        pixels = cube_window(camera, joints, window)
        own = mirror_pixels(pixels, WIDTH) if mirrored else pixels
        depth = parse_depth(read_bytes(f"{self.path}/{name}", name, _LARGEST_PNG), name, own)
        mask = None
        if window is None or window.mask:
            mask = parse_mask(labels, said, _SIZE, own)
            mask = np.ascontiguousarray(mask[:, ::-1]) if mirrored else mask
        known = {"side": np.int8(1 if recording.right else -1), "pose": pose}
        if "betas" in self.options["arrays"]:
            known["betas"] = self._betas[recording.mano]
        return Frame(
            np.ascontiguousarray(depth[:, ::-1]) if mirrored else depth, cut_camera(camera, pixels), joints,
            int(table.number[i]), recording.subject, int(table.recording[i]), name,
            arrays={a.name: np.asarray(known[a.name]) for a in self.arrays}, mask=mask,
            color=self._color(name, own, mirrored) if self.colored else None,
        )  # fmt: skip

    def _color(self, depth: str, pixels: Pixels, mirrored: bool) -> NDArray[np.uint8]:
        name = depth.replace("aligned_depth_to_color", "color").replace(".png", ".jpg")
        image = parse_picture(read_bytes(f"{self.path}/{name}", name, _LARGEST_PNG), name, _SIZE)
        top, bottom, left, right = pixels
        part = image[top:bottom, left:right]
        return np.ascontiguousarray(part[:, ::-1] if mirrored else part)

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`. Labels have a file a frame, half a million, and are not looked at."""
        t, recordings = self._table, self._recordings
        said = "\n".join("/".join(map(str, r)) for r in recordings)
        cameras = np.array([[c.fx, c.fy, c.cx, c.cy] for c in self._cameras])
        return {
            "dataset": INFO.name, "split": self.split, "frames": len(self), **self.options,
            "labels": digest(t.recording, t.camera, t.time, np.frombuffer(said.encode(), np.uint8), cameras),
        }  # fmt: skip


def load(
    root: Path, *, split: Split = "all", setup: str = "s0", mirror: str = "left", arrays: str = "side",
    color: str = "",
) -> DexYcb:  # fmt: skip
    """A reader; called by `gmaps.load_dataset`."""
    if setup not in SETUPS:
        raise unknown_name("setup of dexycb", str(setup), SETUPS)
    if mirror not in ("left", "none"):
        raise UsageError(f"dexycb mirrors left hands (mirror=left) or none (mirror=none), not {mirror!r}")
    wanted = tuple(name.strip() for name in str(arrays).split(",") if name.strip())
    for name in wanted:
        if name not in ARRAYS:
            raise unknown_name("array of dexycb", name, ARRAYS)
    if color not in ("", "on"):
        raise UsageError(f"color of dexycb is on, or left away, not {color!r}")
    return DexYcb(Path(root), split, str(setup), str(mirror), wanted, color == "on")


def check(root: Path) -> list[Check]:
    """Recordings, what each says of itself, and every frame's PNG header; no pixel and no label is read."""
    return check_recordings(Path(root))
