"""HO-3D's JSON of joints: what is submitted, `pred.json`, and the evaluation's truth that was released in 2024."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.datasets.ho3d.meta_file import FROM_MANO, TO_MANO, TURN
from gmaps.errors import PredictionError

#: Bytes: 20,137 frames of 21 joints and 778 vertices, digits and all.
_LARGEST = 2**31


def from_json(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 21, 3) of a file, metres in OpenGL's axes and MANO's order, as gmaps has them: mm, the thumb first."""
    result: NDArray[np.float64] = values[:, list(FROM_MANO)] * (TURN * 1000)
    return result


def to_json(joints: ArrayLike) -> NDArray[np.float64]:
    """The inverse of `from_json`."""
    result: NDArray[np.float64] = np.asarray(joints, np.float64)[:, list(TO_MANO)] * (TURN / 1000)
    return result


def parse_joints_json(data: bytes, name: str) -> NDArray[np.float64]:
    """Joints of all frames of an `evaluation_xyz.json` or of a `pred.json`.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.

    Returns
    -------
    (N, 21, 3) float64
        mm, camera axes, in the order of openpose21.

    Raises
    ------
    PredictionError
        No JSON, or not lists of 21 x 3 finite numbers.
    """
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PredictionError(f"{name}: no JSON ({str(error)[:100]}); restore it") from error
    rows = found
    # A submission is two lists: joints, then vertices.
    if isinstance(found, list) and len(found) == 2 and _depth(found[0]) == 3:
        rows = found[0]
    try:
        values = np.array(rows, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PredictionError(f"{name}: does not hold 21 x 3 numbers of each frame ({str(error)[:80]})") from error
    if values.ndim != 3 or values.shape[1:] != (21, 3) or not len(values):
        raise PredictionError(f"{name}: holds numbers of shape {values.shape}, not (frames, 21, 3)")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=(1, 2)))[0])
        raise PredictionError(f"{name}: joints of frame {row} (from 0) are not finite")
    return from_json(values)


def _depth(value: Any) -> int:
    """Levels of lists within lists, down their first items, 4 at most."""
    depth = 0
    while isinstance(value, list) and value and depth < 4:
        value, depth = value[0], depth + 1
    return depth


def read_joints_json(path: str | Path) -> NDArray[np.float64]:
    """See `parse_joints_json`."""
    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise PredictionError(f"{file}: {file.stat().st_size / 2**30:.1f} GiB is no file of joints")
        with file.open("rb") as stream:  # which may be a pipe
            data = stream.read(_LARGEST)
    except OSError as error:
        raise PredictionError(f"{file}: cannot be read: {error.strerror or error}") from None
    return parse_joints_json(data, str(file))


def format_submission(joints: ArrayLike) -> str:
    """The text of a `pred.json`.

    Parameters
    ----------
    joints : (N, 21, 3)
        mm, camera axes, in the order of openpose21.

    Returns
    -------
    str
        Joints, then one vertex of each frame, its wrist: no mesh is predicted, and the server asks for a list.
    """
    own = np.round(to_json(joints), 6)
    return json.dumps([own.tolist(), own[:, :1].tolist()])
