"""One prediction, judged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError
from gmaps.evaluation.axes import AXES, refuse_other_convention, refuse_other_truth, turn
from gmaps.evaluation.groundtruth import GroundTruth, is_json, read_joints
from gmaps.evaluation.metrics import (
    NEAR_MM,
    THRESHOLDS_MM,
    Over,
    align,
    area_under,
    joint_errors,
    pck_2d,
    success_rate,
)
from gmaps.evaluation.protocols import Protocol
from gmaps.evaluation.viewpoint import palm_angles, viewpoint_curves

#: Rates that papers put into tables, mm.
TABLE_MM = (10, 20, 30, 40)
#: Thresholds of the 2D rate, in units of the hand's box.
PCK_AT = (0.05, 0.1, 0.2)
#: The sigmas of NSRM's table.
SIGMAS = (0.04, 0.06, 0.08, 0.1, 0.12)
#: No network is this bad, mm: another kind of coordinates, or another order of joints.
_SUSPICIOUS_MM = 150.0


@dataclass(frozen=True)
class Evaluation:
    """Errors of one prediction, and what the field makes of them.

    Parameters
    ----------
    name
        What it is called in tables and legends.
    protocol
        Of which data set.
    errors : (N, J) float64
        mm, joints in the order of the file.
    groups
        Part of the test set -> (N,) bool.
    angles : (N, 2) float64, optional
        Yaw and pitch, degrees, where viewpoint curves are wanted.
    derived_angles
        Whether the angles come from the joints, by `palm_angles`.
    pck : (3,) float64, optional
        Share of joints within 0.05, 0.1 and 0.2 of the hand's box in the image.
    sigmas : (5,) float64, optional
        Share of joints within 0.04 to 0.12, by the definition that was asked for: NSRM's table.
    aligned
        Way -> (N, J) mm, errors after each alignment that the protocol judges, too: see `align`.
    """

    name: str
    protocol: Protocol
    errors: NDArray[np.float64]
    groups: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    angles: NDArray[np.float64] | None = None
    derived_angles: bool = False
    pck: NDArray[np.float64] | None = None
    sigmas: NDArray[np.float64] | None = None
    aligned: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def alignments(self) -> dict[str, tuple[float, float]]:
        """Way -> mean error, mm, and area under the curve of all joints from 0 to 50 mm; "absolute" first."""
        if not self.aligned:
            return {}
        ways = {"absolute": self.errors, **self.aligned}
        return {
            way: (float(e.mean()), area_under(success_rate(e, NEAR_MM, "joint"), NEAR_MM)) for way, e in ways.items()
        }

    @property
    def mean_error(self) -> float:
        """Mean over all frames and joints, mm."""
        return float(self.errors.mean())

    @property
    def joint_means(self) -> dict[str, float]:
        """Mean error of each joint, mm, named and in order as the field prints them."""
        means = self.errors.mean(axis=0)
        return {self.protocol.joints[j]: float(means[j]) for j in self.protocol.printed}

    @property
    def group_means(self) -> dict[str, float]:
        """Mean error of each part, mm. MSRA's nine folds: the mean over all is pooled over frames, not over folds."""
        return {name: float(self.errors[rows].mean()) for name, rows in self.groups.items()}

    def success(self, over: Over = "max", thresholds: ArrayLike = THRESHOLDS_MM) -> NDArray[np.float64]:
        """See `success_rate`."""
        return success_rate(self.errors, thresholds, over)

    def area(self, over: Over = "max") -> float:
        """Area under the success curve from 0 to 84 mm, 0 to 1."""
        return area_under(self.success(over))

    @property
    def warning(self) -> str:
        """Empty, or why the numbers may mean nothing."""
        if np.median(self.errors) <= _SUSPICIOUS_MM:
            return ""
        return (
            f"{self.name}: the median error is {np.median(self.errors):.0f} mm, more than a hand is wide: are its "
            f"columns {self.protocol.coordinates}, and its joints in the order of {self.protocol.name}?"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values; rates are shares from 0 to 1."""
        found: dict[str, Any] = {
            "name": self.name,
            "dataset": self.protocol.name,
            "frames": len(self.errors),
            "joints": self.errors.shape[1],
            "mean_error_mm": self.mean_error,
            "median_error_mm": float(np.median(self.errors)),
            "joint_errors_mm": self.joint_means,
            "parts_mm": self.group_means,
            "auc": {over: self.area(over) for over in _OVER},
            "thresholds_mm": THRESHOLDS_MM.tolist(),
            "success_rate": {over: self.success(over).tolist() for over in _OVER},
        }
        if self.aligned:
            found["alignments"] = {
                way: {"mean_error_mm": mean, "auc_50mm": area} for way, (mean, area) in self.alignments.items()
            }
        if self.pck is not None:
            found["pck_2d"] = dict(zip(map(str, PCK_AT), self.pck.tolist(), strict=True))
        if self.sigmas is not None:
            table = dict(zip(map(str, SIGMAS), self.sigmas.tolist(), strict=True))
            found["pck_sigmas"] = {**table, "mean": float(self.sigmas.mean())}
        if self.angles is not None:
            found["viewpoint"] = {"derived": self.derived_angles}
            for name, (middle, mean, count) in viewpoint_curves(self.errors, self.angles).items():
                found["viewpoint"][name] = {
                    "degrees": middle.tolist(),
                    "mean_error_mm": [None if np.isnan(m) else float(m) for m in mean],
                    "frames": count.tolist(),
                }
        if self.warning:
            found["warning"] = self.warning
        return found


_OVER: tuple[Over, ...] = ("max", "mean", "joint")


def evaluate_joints(
    predicted: ArrayLike,
    true: ArrayLike,
    protocol: Protocol,
    *,
    name: str = "prediction",
    groups: dict[str, NDArray[np.bool_]] | None = None,
    angles: ArrayLike | None = None,
    as_is: bool = False,
    read_as: str = "xyz",
    pck: str = "box",
) -> Evaluation:
    """Judge joints in mm.

    Parameters
    ----------
    predicted, true : (N, J, 3)
        mm, camera axes; J the protocol's evaluated joints, or its full skeleton.
    protocol
        Of the data set.
    name
        What it is called.
    groups
        Parts of the frames; by default the protocol's, where N is the whole test set.
    angles : (N, 2), optional
        Yaw and pitch, degrees; by default from the true joints, where the protocol draws viewpoint curves.
    as_is
        Judge them even where another convention explains why they are so far off.
    read_as
        "uvd" or "xyz": what the joints were read from.
    pck
        "box" or "nsrm": see `pck_2d`.

    Raises
    ------
    UsageError
        Shapes that do not fit, or values that are not finite.
    PredictionError
        Joints of another convention: y up, metres, u v d taken for x y z, another order.
    """
    a = protocol.select(np.asarray(predicted, np.float64))
    b = protocol.select(np.asarray(true, np.float64))
    errors = joint_errors(a, b)
    if not np.isfinite(errors).all():
        row = int(np.flatnonzero(~np.isfinite(errors).all(axis=1))[0])
        raise UsageError(f"{name}: joints of frame {row} (from 0) are not finite")
    if not as_is:
        refuse_other_convention(name, a, b, protocol.camera, read_as)
    groups = protocol.groups(len(errors)) if groups is None else groups
    derived = angles is None and protocol.palm is not None
    if derived and protocol.palm is not None:
        angles = palm_angles(b, *protocol.palm)
    found = None if angles is None else np.asarray(angles, np.float64)
    middle = 0 if protocol.palm is None else protocol.palm[2]
    aligned = {way: joint_errors(align(a, b, way, middle), b) for way in protocol.aligned}
    return Evaluation(name, protocol, errors, groups, found, derived, *_pck(a, b, protocol, pck), aligned)


def _pck(
    a: NDArray[np.float64], b: NDArray[np.float64], protocol: Protocol, definition: str
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """The rates in the image, where there are some: all joints before the camera, no true hand a single point."""
    if not ((a[..., 2] > 0).all() and (b[..., 2] > 0).all()):
        return None, None
    px = [protocol.camera.project(p)[..., :2] for p in (a, b)]
    size = np.ptp(px[1], axis=1).max(axis=1)
    if not (size > 0).all():
        return None, None
    near, table = (pck_2d(px[0], px[1], at, size=size, definition=definition) for at in (PCK_AT, SIGMAS))
    return near, table


def evaluate_file(
    path: str | os.PathLike[str],
    truth: GroundTruth,
    protocol: Protocol,
    *,
    coordinates: str | None = None,
    axes: Sequence[str] = AXES,
    unit: float = 1.0,
    order: Sequence[int] = (),
    as_is: bool = False,
    groups: dict[str, NDArray[np.bool_]] | None = None,
    angles: NDArray[np.float64] | None = None,
    pck: str = "box",
) -> Evaluation:
    """Judge a file in the field's format.

    Parameters
    ----------
    path
        The prediction; its stem is its name.
    truth
        See `read_groundtruth`.
    protocol
        Of the data set.
    coordinates
        What the file holds; by default as usual for the data set.
    axes, unit, order
        Where the file's differ: as ("right", "up", "forward") for y up, 1000 for metres, the place in the file of
        each joint.
    as_is, pck
        As `evaluate_joints` takes them.
    groups, angles
        As `evaluate_joints` takes them, for the truth's valid frames.

    Raises
    ------
    PredictionError
        A file that cannot be read, or does not fit the truth; the message names file, line and cure.
    """
    table = read_joints(path, protocol)
    coordinates = "xyz" if is_json(path, protocol) else coordinates
    xyz = turn(protocol.to_xyz(truth.match(table, protocol), coordinates), axes, unit, order)
    if groups is None and len(truth.valid) == protocol.frames:
        groups = {name: rows[truth.valid] for name, rows in protocol.groups(len(truth.valid)).items()}
    if not as_is and truth.coordinates:
        refuse_other_truth(truth.path, truth.xyz, protocol.select(xyz), protocol.camera, truth.coordinates)
    return evaluate_joints(
        xyz, truth.xyz[truth.valid], protocol, name=Path(path).stem, groups=groups, angles=angles, as_is=as_is,
        read_as=coordinates or protocol.coordinates, pck=pck,
    )  # fmt: skip
