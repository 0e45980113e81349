"""What each data set's evaluation fixes: camera, joints and their printed names, test frames and their parts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.camera import Camera
from gmaps.errors import StoreError, UsageError, unknown_name

Coordinates = Literal["uvd", "xyz"]

_MSRA_FRAMES = {"P0": 8499, "P1": 8492, "P2": 8412, "P3": 8488, "P4": 8500, "P5": 8497, "P6": 8497, "P7": 8498,
                "P8": 8492}  # fmt: skip
_FINGERS = ("Index", "Mid", "Ring", "Pinky", "Thumb")


@dataclass(frozen=True)
class Protocol:
    """One data set's evaluation.

    Parameters
    ----------
    name
        As `--dataset` says it.
    camera
        With which u v d become x y z. The evaluation's own, which for ICVL is not the one that most code uses.
    joints
        J names as papers print them, in the order of a file's columns.
    printed
        Joints in the order in which the field prints them.
    parts
        Names and numbers of frames of the parts of the whole test set, in its order: subjects, sequences.
    coordinates
        What a file holds unless said otherwise.
    palm
        Wrist and roots of index, middle and little finger, where viewpoint curves are drawn.
    other_release
        A number of frames that tells another release, and what that is.
    evaluated
        Joints of the data set's full skeleton that are evaluated, in the order of `joints`, where it has more.
    """

    name: str
    camera: Camera
    joints: tuple[str, ...]
    printed: tuple[int, ...]
    parts: tuple[tuple[str, int], ...] = ()
    coordinates: Coordinates = "uvd"
    palm: tuple[int, int, int, int] | None = None
    other_release: tuple[int, str] | None = None
    evaluated: tuple[int, ...] = ()

    @property
    def frames(self) -> int:
        """Frames of the whole test set; 0 where that is not fixed."""
        return sum(count for _, count in self.parts)

    def to_xyz(self, values: ArrayLike, coordinates: str | None = None) -> NDArray[np.float64]:
        """A file's values as mm: (N, J, 3), x right, y down, z forward.

        Raises
        ------
        UnknownNameError
            Coordinates that are neither "uvd" nor "xyz".
        """
        coordinates = coordinates or self.coordinates
        if coordinates == "uvd":
            return self.camera.unproject(values)
        if coordinates == "xyz":
            return np.asarray(values, np.float64)
        raise unknown_name("kind of coordinates", coordinates, ("uvd", "xyz"))

    def to_file(self, xyz: ArrayLike) -> NDArray[np.float64]:
        """mm, camera axes, as a file of this data set holds them: the inverse of `to_xyz`."""
        p = np.asarray(xyz, np.float64)
        if self.coordinates == "xyz":
            return p
        if not (p[..., 2] > 0).all():
            raise UsageError("joints to be written as u v d must lie before the camera (z > 0)")
        return self.camera.project(p)

    def select(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, J, 3) the evaluated joints, of those or of the full skeleton's."""
        if joints.shape[1] == len(self.joints):
            return joints
        if self.evaluated and joints.shape[1] > max(self.evaluated):
            return joints[:, self.evaluated]
        raise UsageError(f"{self.name} is evaluated on {len(self.joints)} joints, got {joints.shape[1]}")

    def groups(self, frames: int) -> dict[str, NDArray[np.bool_]]:
        """Part -> (N,) bool; empty unless `frames` is the whole test set."""
        if len(self.parts) < 2 or frames != self.frames:
            return {}
        number = np.repeat(np.arange(len(self.parts)), [count for _, count in self.parts])
        return {name: number == k for k, (name, _) in enumerate(self.parts)}


def _msra_like(name: str, parts: tuple[tuple[str, int], ...] = ()) -> Protocol:
    joints = ("Wrist", *(f"{f}.{k}" for f in _FINGERS for k in "MPDT"))
    return Protocol(
        name, Camera(241.42, 241.42, 160.0, 120.0, 320, 240), joints, tuple(range(21)), parts, palm=(0, 1, 5, 13)
    )


def _msra() -> Protocol:
    plain = _msra_like("msra", tuple(_MSRA_FRAMES.items()))
    return Protocol(**{**vars(plain), "other_release": (76391, "the release that V2V's centre files are of")})


def _nyu() -> Protocol:
    # The field prints these reversed: from the palm to the little finger's tip.
    joints = ("Pinky.T", "Pinky.R", "Ring.T", "Ring.R", "Mid.T", "Mid.R", "Index.T", "Index.R", "Thumb.T", "Thumb.R2",
              "Thumb.R1", "Wrist2", "Wrist1", "Palm")  # fmt: skip
    camera = Camera(588.03, 587.07, 320.0, 240.0, 640, 480)
    # Rows 0 to 2439 show the person of the training set, the others a second one with a smaller hand.
    parts = (("test_1", 2440), ("test_2", 5812))
    chosen = (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32)
    return Protocol("nyu", camera, joints, tuple(range(13, -1, -1)), parts, evaluated=chosen)


def _icvl() -> Protocol:
    joints = ("Palm", *(f"{f}.{k}" for f in ("Thumb", "Index", "Mid", "Ring", "Pinky") for k in "RMT"))
    camera = Camera(240.99, 240.96, 160.0, 120.0, 320, 240)
    return Protocol("icvl", camera, joints, tuple(range(16)), (("test_seq_1", 702), ("test_seq_2", 894)))


def _hands17() -> Protocol:
    # Wrist, then the roots of all fingers, then the other three joints of each, thumb first.
    fingers = ("Thumb", "Index", "Mid", "Ring", "Pinky")
    joints = ("Wrist", *(f"{f}.M" for f in fingers), *(f"{f}.{k}" for f in fingers for k in "PDT"))
    printed = (0, *(j for f in range(5) for j in (1 + f, 6 + 3 * f, 7 + 3 * f, 8 + 3 * f)))
    camera = Camera(475.065948, 475.065857, 315.944855, 245.287079, 640, 480)
    return Protocol("hands17", camera, joints, printed, (("test", 295510),), "xyz", (0, 2, 3, 5))


#: Data set -> its evaluation. That of the embedded hands has MSRA's joints and camera, and any number of frames.
PROTOCOLS: dict[str, Protocol] = {p.name: p for p in (_nyu(), _icvl(), _msra(), _hands17(), _msra_like("synthetic"))}


def get_protocol(name: str) -> Protocol:
    """The evaluation of a data set.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise unknown_name("evaluation", name, PROTOCOLS) from None


def protocol_of_place(path: str | os.PathLike[str]) -> Protocol:
    """The evaluation of the data set that a store was built from.

    Raises
    ------
    UsageError
        The place is no store, which a file of joints does not say.
    StoreError
        The data set has none.
    """
    if not Path(path).is_dir():
        raise UsageError(f"of which data set is {os.fspath(path)}? Say --dataset: {', '.join(PROTOCOLS)}")
    from gmaps.store import open_store  # here, because a text file needs no zarr

    name = open_store(Path(path)).attributes["dataset"]["name"]
    if name not in PROTOCOLS:
        raise StoreError(
            f"{os.fspath(path)} is of {name}, for which no evaluation is known, only {', '.join(PROTOCOLS)}"
        )
    return PROTOCOLS[name]
