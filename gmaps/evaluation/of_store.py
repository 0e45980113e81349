"""Predictions of a store's frames, row by row: which are worst, and where on a sample the joints are put."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmaps.evaluation.evaluate import Evaluation, evaluate_file
from gmaps.evaluation.groundtruth import is_json, own_sides, read_groundtruth, read_joints
from gmaps.evaluation.protocols import protocol_of_place
from gmaps.store import Store


@dataclass(frozen=True)
class Judged:
    """Predicted joints of a store's valid rows, beside its own.

    Parameters
    ----------
    name
        The prediction's.
    rows : (N,) int64
        Of the store, ascending.
    joints : (N, J, 3) float64
        mm, in the axes of the store's joints.
    errors : (N, J) float64
        mm.
    evaluated
        Which joints of the skeleton these are.
    """

    name: str
    rows: NDArray[np.int64]
    joints: NDArray[np.float64]
    errors: NDArray[np.float64]
    evaluated: tuple[int, ...]

    def of_row(self, row: int) -> NDArray[np.float64] | None:
        """(J, 3) mm, or None for a row that was rejected."""
        at = int(np.searchsorted(self.rows, row))
        return self.joints[at] if at < len(self.rows) and self.rows[at] == row else None

    def error_of(self, row: int) -> float:
        """Mean error of a row, mm; NaN where it was rejected."""
        return float(self.errors[self.rows == row].mean()) if (self.rows == row).any() else float("nan")

    def worst(self, count: int) -> list[int]:
        """Rows of the largest mean errors, the worst first."""
        return [int(row) for row in self.rows[worst_first(self.errors)[:count]]]


def worst_first(errors: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) places of frames by their mean error, the largest first; of equals the earlier one."""
    return np.argsort(-errors.mean(axis=1), kind="stable")


def judge_store(store: Store, path: str | os.PathLike[str]) -> Judged:
    """Read a file of predictions, as `gmaps predict STORE --out` writes it, for the rows of its store.

    Raises
    ------
    PredictionError
        The file cannot be read, does not fit the store, or is of another convention.
    StoreError
        The store does not say how its data set is evaluated.
    """
    protocol = protocol_of_place(store.path)
    truth = read_groundtruth(store.path, protocol)
    found: Evaluation = evaluate_file(path, truth, protocol)
    values = truth.match(read_joints(path, protocol), protocol)
    joints = protocol.select(protocol.to_xyz(values, "xyz" if is_json(path, protocol) else None))
    rows = np.flatnonzero(truth.valid)
    sides = own_sides(store) if protocol.sided else None
    if sides is not None:
        joints = joints * np.stack([sides[rows], np.ones(len(rows)), np.ones(len(rows))], axis=1)[:, None]
    return Judged(found.name, rows, joints, found.errors, protocol.evaluated or tuple(range(len(store.skeleton))))
