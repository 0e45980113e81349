"""The embedded data set: a made-up hand, posed, given flesh and rendered when it is asked for.

Frame n is a function of (seed, n) alone, whatever the number of frames. Ten people take turns, and the last of
them is the test split, so that no hand of the tests is trained on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Check, DatasetInfo, Index, Split
from gmaps.datasets.reader import Reader
from gmaps.errors import UsageError
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton
from gmaps.synth.hand import FAMILIES, HandShape, pose_hand, random_angles, random_rotation, random_shape
from gmaps.synth.render import render_hand
from gmaps.synth.sensor import Sensor

CAMERA = Camera(241.42, 241.42, 160.0, 120.0, 320, 240)
SUBJECTS = tuple(f"S{k}" for k in range(10))
#: Goes into fingerprints; raise it whenever `read` starts to return other values.
RELEASE = 1
#: Distance of the hand's middle, and the least of any joint, mm.
_DISTANCE, _NEAREST = (250.0, 550.0), 180.0
#: Pixels between the image's border and the nearest joint, where the hand is not too large for that.
_MARGIN = 12.0
_SENSOR = Sensor()
# The first word of a stream's seed: people and frames never share one.
_PEOPLE, _FRAMES = 0, 1

INFO = DatasetInfo(
    name="synthetic",
    title="Synthetic right hand, made on the fly",
    homepage="none: it comes with gmaps",
    terms="None: no person and no camera was involved.",
    tree="no files",
    citation="none needed",
    skeleton="msra21",
    half_side=120.0,
    depth_range=(100.0, 700.0),
    notes="A sphere-mesh hand in 14 families of poses, 250 to 550 mm from a 320 x 240 camera with sensor noise and "
    "missing pixels. Ten people, S0 to S9; S9 is the test split. Good for trying things out and for tests, not for "
    "results.",
    needs_root=False,
    options={
        "frames": "how many in all (default 10000)",
        "seed": "which ones: 0 (default) to 2**32 - 1",
    },
)


@lru_cache(maxsize=64)
def _person(seed: int, subject: int) -> HandShape:
    return random_shape(np.random.default_rng([_PEOPLE, seed, subject]))


def _place(hand: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Move a hand, given around any origin in camera axes, to a random spot where the image shows all of it."""
    z = rng.uniform(*_DISTANCE)
    hand = hand - (hand.min(axis=0) + hand.max(axis=0)) / 2
    hand[:, 2] += max(z, _NEAREST - hand[:, 2].min())
    spot = rng.uniform(size=2)
    for axis, (focal, center, size) in enumerate(
        ((CAMERA.fx, CAMERA.cx, CAMERA.width), (CAMERA.fy, CAMERA.cy, CAMERA.height))
    ):
        # A joint stays in the image while the hand's shift is between these two.
        low = ((_MARGIN - center) * hand[:, 2] / focal - hand[:, axis]).max()
        high = ((size - 1 - _MARGIN - center) * hand[:, 2] / focal - hand[:, axis]).min()
        hand[:, axis] += low + spot[axis] * (high - low) if low < high else (low + high) / 2
    return hand


def _make_joints(seed: int, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    shape = _person(seed, number % len(SUBJECTS))
    angles = random_angles(FAMILIES[number // len(SUBJECTS) % len(FAMILIES)], rng)
    return _place(pose_hand(shape, angles) @ random_rotation(rng).T, rng)


class Synthetic(Reader):
    """The reader; see `INFO` and the module's docstring."""

    info = INFO
    skeleton = get_skeleton("msra21")
    camera = CAMERA

    def __init__(self, split: Split, frames: int, seed: int) -> None:
        super().__init__(None, split, {"frames": frames, "seed": seed})
        self.frames, self.seed = frames, seed

    def _make_index(self) -> Index:
        frame = np.arange(self.frames, dtype=np.int64)
        test = frame % len(SUBJECTS) == len(SUBJECTS) - 1
        frame = {"all": frame, "test": frame[test], "train": frame[~test]}[self.split]
        if not len(frame):
            raise UsageError(
                f"{self.frames} synthetic frames hold none to test: every {len(SUBJECTS)}th is; ask for more frames"
            )
        subject = (frame % len(SUBJECTS)).astype(np.int16)
        sequence = (frame // len(SUBJECTS) % len(FAMILIES)).astype(np.int16)
        return Index(frame, subject, sequence, SUBJECTS, FAMILIES)

    def read(self, i: int) -> Frame:
        """Frame at position i; see `DataSet.read`."""
        i = self.position(i)
        number = int(self._index.frame[i])
        rng = np.random.default_rng([_FRAMES, self.seed, number])
        joints = _make_joints(self.seed, number, rng)
        radii = _person(self.seed, number % len(SUBJECTS)).radii
        depth = render_hand(joints, CAMERA, radii=radii, sensor=_SENSOR, rng=rng)
        subject, sequence = int(self._index.subject[i]), int(self._index.sequence[i])
        return Frame(depth, CAMERA, joints.astype(np.float32), number, subject, sequence, f"synthetic frame {number}")

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`."""
        return {"dataset": INFO.name, "release": RELEASE, "split": self.split, **self.options}


def _whole(name: str, value: int | str, low: int, high: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = low - 1
    if (number != value and str(number) != str(value)) or not low <= number <= high:
        raise UsageError(f"{name} of the synthetic data set is a whole number from {low} to {high}, not {value!r}")
    return number


def load(root: None = None, *, split: Split = "all", frames: int | str = 10_000, seed: int | str = 0) -> Synthetic:
    """A reader; called by `gmaps.load_dataset`."""
    return Synthetic(split, _whole("frames", frames, 1, 10**7), _whole("seed", seed, 0, 2**32 - 1))


def check(root: None = None) -> list[Check]:
    """Nothing is on disk, so one frame is made."""
    depth = load(frames=1).read(0).depth
    return [Check("frame 0 renders", f"{np.count_nonzero(depth)} hand pixels", None)]
