"""What a data set's evaluation fixes: camera, joints and their printed names, test frames and their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.camera import Camera
from gmaps.errors import UsageError, unknown_name

Coordinates = Literal["uvd", "xyz"]
#: Wrist and roots of index, middle and little finger, as skeletons call them.
PALM = ("wrist", "index_mcp", "middle_mcp", "little_mcp")


@dataclass(frozen=True)
class Protocol:
    """One data set's evaluation: the `PROTOCOL` of its module.

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
    whole
        How many joints the full skeleton has, where it has more.
    aligned
        What else is judged, besides joints as they are: "root", with first joints put upon each other, "scale", also
        as large as the truth from the first joint to the root of the middle finger, and "procrustes", after the
        similarity that fits best.
    numbered
        Whether a line of a result file begins with the place of its frame in the split, and frames without a hand
        are left out.
    read_json
        Of a `.json`: path -> (N, J, 3) float64, mm, camera axes, in the order of `joints`; None where there are none.
    format_json
        The inverse: joints -> the text of such a file.
    sided
        Whether a store may hold left hands mirrored, and results are of hands as the camera saw them.
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
    whole: int = 0
    aligned: tuple[str, ...] = ()
    numbered: bool = False
    sided: bool = False
    read_json: Callable[[str], NDArray[np.float64]] | None = None
    format_json: Callable[[NDArray[np.float64]], str] | None = None

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

    @property
    def counts(self) -> tuple[int, ...]:
        """Numbers of joints that a line of a file may have: those that are evaluated, or all."""
        return (len(self.joints), *([self.whole] if self.whole > len(self.joints) else []))

    def groups(self, frames: int) -> dict[str, NDArray[np.bool_]]:
        """Part -> (N,) bool; empty unless `frames` is the whole test set."""
        if len(self.parts) < 2 or frames != self.frames:
            return {}
        number = np.repeat(np.arange(len(self.parts)), [count for _, count in self.parts])
        return {name: number == k for k, (name, _) in enumerate(self.parts)}


def palm_of(joints: Sequence[str]) -> tuple[int, int, int, int]:
    """Where joints, by the names of gmaps' skeletons, have the four of `Protocol.palm`."""
    wrist, index, middle, little = (joints.index(name) for name in PALM)
    return wrist, index, middle, little
