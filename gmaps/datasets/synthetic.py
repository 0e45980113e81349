"""The embedded data set: a made-up hand, posed, given flesh and rendered when it is asked for.

Frame n is a function of (seed, people, n) alone, whatever the number of frames. Ten people take turns, or as many as
asked for, and every tenth of them is in the test split, so that no hand of the tests is trained on.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.base import Check, DatasetInfo, FrameArray, Index, Split, Window
from gmaps.datasets.msra import PROTOCOL as MSRA
from gmaps.datasets.reader import Reader
from gmaps.errors import UsageError, unknown_name
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton
from gmaps.synth.hand import ANGLES
from gmaps.synth.poses import FAMILIES, SHAPES
from gmaps.synth.render import Image, render_mesh
from gmaps.synth.sensor import SENSORS, get_sensor
from gmaps.synth.skin import PARTS, hand_mesh
from gmaps.synth.stage import PosedHand, Stage, make_hand

SKELETON = get_skeleton("msra21")
#: MSRA's.
CAMERA = MSRA.camera
#: People who take turns unless more are asked for; one in ten is tested on.
PEOPLE = 10
#: Goes into fingerprints; raise it whenever `read` starts to return other values.
RELEASE = 3
#: Hands are 250 to 550 mm away.
STAGE = Stage(CAMERA, (250.0, 550.0))

#: Of `Image.parts`.
_FOREARM = 1 + PARTS.index("forearm")
#: What can be had of every frame besides depth and joints.
ARRAYS = ("angles", "turn", "lengths", "proportions", "side", "vertices")
#: Names for several of them: what networks of pose and shape learn from.
LABELS = {"pose": ("angles", "turn", "lengths", "proportions"), "mesh": ("vertices",)}

#: Of the random numbers that say which frames lack labels.
_UNLABELLED = 0x1AB

INFO = DatasetInfo(
    name="synthetic",
    title="Synthetic right hand, made on the fly",
    homepage="none: it comes with gmaps",
    terms="None: no person and no camera was involved.",
    tree="no files",
    citation="none needed",
    skeleton=SKELETON.name,
    half_side=120.0,
    depth_range=(100.0, 700.0),
    notes=f"A hand of skin and bones, one closed mesh, in {len(FAMILIES)} families of poses, 250 to 550 mm from a "
    "320 x 240 camera with sensor noise and missing pixels. Ten people, S0 to S9, or more; every tenth, S9 first, is "
    "the test split. Good for trying things out, for tests and for pretraining. `gmaps synth` writes such hands as "
    "files.",
    needs_root=False,
    options={
        "frames": "how many in all (default 10000)",
        "seed": "which ones: 0 (default) to 2**32 - 1",
        "people": "how many take turns (default 10): more make a network know more hands",
        "sensor": f"the camera's faults: {', '.join(SENSORS)} (default tof)",
        "mask": "hand: frames say which pixels are hand, the forearm's are not (default: they do not say)",
        "labelled": "share of the frames that have labels (default 1); joints and arrays of the others are NaN",
        "arrays": f"what a store shall hold besides, comma-separated: {', '.join(ARRAYS)}; pose, mesh",
    },
)

#: MSRA's, with any number of frames.
PROTOCOL = replace(MSRA, name="synthetic", parts=(), other_release=None)


class Synthetic(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    skeleton = SKELETON
    camera = CAMERA

    def __init__(
        self, split: Split, frames: int, seed: int, sensor: str, people: int = PEOPLE, arrays: tuple[str, ...] = (),
        mask: str = "", labelled: float = 1.0,
    ) -> None:  # fmt: skip
        more: dict[str, Any] = {"arrays": ",".join(arrays)} if arrays else {}
        more |= {"mask": mask} if mask else {}
        more |= {"labelled": labelled} if labelled < 1 else {}
        self.share_labelled, self.labelled = labelled, labelled > 0
        self.segmented = bool(mask)
        super().__init__(None, split, {"frames": frames, "seed": seed, "sensor": sensor, "people": people, **more})
        self.arrays = tuple(_frame_array(name) for name in arrays)
        self.frames, self.seed, self.sensor, self.people = frames, seed, get_sensor(sensor), people

    def _make_index(self) -> Index:
        frame = np.arange(self.frames, dtype=np.int64)
        test = frame % self.people % 10 == 9
        frame = {"all": frame, "test": frame[test], "train": frame[~test]}[self.split]
        if not len(frame):
            raise UsageError(f"{self.frames} synthetic frames hold none to test: every 10th is; ask for more frames")
        subject = (frame % self.people).astype(np.int16)
        sequence = self._family(frame).astype(np.int16)
        return Index(frame, subject, sequence, tuple(f"S{k}" for k in range(self.people)), FAMILIES)

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`."""
        scene = self.scene(i)
        vertices = scene.vertices()
        seen = render_mesh(vertices, CAMERA)
        depth = seen.depth
        if self.sensor is not None:
            depth = self.sensor.apply(depth, CAMERA, scene.rng)
        number = int(self._index.frame[i])
        subject, sequence = int(self._index.subject[i]), int(self._index.sequence[i])
        joints = scene.joints.astype(np.float32)
        known = {
            "angles": scene.angles.astype(np.float32),
            "turn": scene.pose.palm[0].astype(np.float32),
            "lengths": scene.person.shape.lengths.astype(np.float32),
            "proportions": scene.person.proportions.astype(np.float32),
            "side": np.int8(1),
            "vertices": vertices.astype(np.float32),
        }
        arrays = {a.name: np.asarray(known[a.name]) for a in self.arrays}
        if not self._is_labelled(number):
            joints = np.full_like(joints, np.nan)
            arrays = {name: a if a.dtype.kind == "i" else np.full_like(a, np.nan) for name, a in arrays.items()}
        name = f"synthetic frame {number}"
        mask = (seen.parts > 0) & (seen.parts != _FOREARM) if self.segmented else None
        return Frame(depth, CAMERA, joints, number, subject, sequence, name, arrays=arrays, mask=mask)

    def _is_labelled(self, number: int) -> bool:
        # No attribute whose name begins with an underscore is pickled.
        share = self.share_labelled
        return share >= 1 or bool(np.random.default_rng([self.seed, number, _UNLABELLED]).random() < share)

    def scene(self, i: int) -> PosedHand:
        """The hand of the frame at position i: its shape, its angles, its bones in camera axes."""
        number = int(self._index.frame[self.position(i)])
        family = FAMILIES[int(self._family(np.asarray(number)))]
        return make_hand(self.seed, number, number % self.people, family, STAGE)

    def _family(self, frame: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which family of poses frames show. Ten people in turn show one; of more people, each shows all in time."""
        passes = frame // self.people if self.people != PEOPLE else 0
        return (frame // PEOPLE + passes) % len(FAMILIES)

    def mesh(self, i: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The hand of the frame at position i as a closed surface.

        Returns
        -------
        vertices : (V, 3) float64
            mm, camera axes.
        triangles : (T, 3) int32
            Counter-clockwise from outside.
        """
        return self.scene(i).vertices(), hand_mesh().triangles

    def truth(self, i: int) -> Image:
        """The frame at position i as a perfect camera sees it, with the part of the hand that each pixel shows."""
        return render_mesh(self.scene(i).vertices(), CAMERA)

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`."""
        return {"dataset": INFO.name, "release": RELEASE, "split": self.split, **self.options}


def _frame_array(name: str) -> FrameArray:
    if name == "angles":
        return FrameArray(name, (len(ANGLES),), "float32", "degree", f"of the pose: {', '.join(ANGLES)}")
    if name == "turn":
        return FrameArray(name, (4,), "float32", "", "unit quaternion w x y z: palm axes to camera axes")
    if name == "lengths":
        return FrameArray(name, (5, 3), "float32", "mm", "of bones: index, middle, ring, little, thumb, root to tip")
    if name == "proportions":
        return FrameArray(name, (len(SHAPES),), "float32", "", f"shares of the mean hand: {', '.join(SHAPES)}")
    if name == "side":
        return FrameArray(name, (), "int8", about="1 for a right hand; there are no others")
    return FrameArray(name, hand_mesh().vertices.shape, "float32", "mm", "of the hand's surface, camera axes")


def _whole(name: str, value: int | str, low: int, high: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = low - 1
    if (number != value and str(number) != str(value)) or not low <= number <= high:
        raise UsageError(f"{name} of the synthetic data set is a whole number from {low} to {high}, not {value!r}")
    return number


def load(
    root: None = None,
    *,
    split: Split = "all",
    frames: int | str = 10_000,
    seed: int | str = 0,
    sensor: str = "tof",
    people: int | str = PEOPLE,
    arrays: str = "",
    mask: str = "",
    labelled: float | str = 1.0,
) -> Synthetic:
    """A reader; called by `gmaps.load_dataset`."""
    named = (name.strip() for name in str(arrays).split(",") if name.strip())
    wanted = tuple(dict.fromkeys(array for name in named for array in LABELS.get(name, (name,))))
    for name in wanted:
        if name not in ARRAYS:
            raise unknown_name("array of the synthetic data set", name, (*ARRAYS, *LABELS))
    if mask not in ("", "hand"):
        raise UsageError(f"the synthetic data set's mask is hand, or none is given, not {mask!r}")
    try:
        share = float(labelled)
    except (TypeError, ValueError):
        share = math.nan
    if not 0 <= share <= 1:
        raise UsageError(f"labelled of the synthetic data set is a share from 0 to 1, not {labelled!r}")
    count, first = _whole("frames", frames, 1, 10**7), _whole("seed", seed, 0, 2**32 - 1)
    return Synthetic(split, count, first, str(sensor), _whole("people", people, 10, 30_000), wanted, mask, share)


def check(root: None = None) -> list[Check]:
    """Nothing is on disk, so one frame is made."""
    depth = load(frames=1).read(0).depth
    return [Check("frame 0 renders", f"{np.count_nonzero(depth)} hand pixels", None)]
