"""HO-Cap's JSON: what a recording says of itself, joints by camera and moment, and calibrations."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import DatasetError

_SERIAL = re.compile(r"[A-Za-z0-9]{4,32}")
_MOMENT = re.compile(r"[0-9]{1,6}")
_SIDES = ("right", "left")


class Hands(NamedTuple):
    """The hands of a recording, N of them.

    Parameters
    ----------
    serials
        Of the cameras.
    camera, time : (N,)
        Place in `serials`, and moment.
    right : (N,) bool
        Whether it is a right hand.
    joints : (N, 21, 3) float32
        mm, camera axes.
    """

    serials: tuple[str, ...]
    camera: NDArray[np.int16]
    time: NDArray[np.int32]
    right: NDArray[np.bool_]
    joints: NDArray[np.float32]


def _parse(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{name}: no JSON ({str(error)[:100]}); restore it from the archive") from error
    if not isinstance(found, dict):
        raise DatasetError(f"{name}: no names and values; restore it from the archive")
    return found


def parse_recording(data: bytes, name: str) -> tuple[str, ...]:
    """Serial numbers of the RealSense cameras, from a `meta.json`.

    Raises
    ------
    DatasetError
        Not one.
    """
    said = _parse(data, name).get("realsense")
    serials = said.get("serials") if isinstance(said, dict) else None
    if not isinstance(serials, list) or not serials or not all(
        isinstance(s, str) and _SERIAL.fullmatch(s) for s in serials
    ):  # fmt: skip
        raise DatasetError(f"{name}: realsense.serials is no list of serial numbers; restore it")
    return tuple(serials)


def parse_hands(data: bytes, name: str, serials: tuple[str, ...]) -> Hands:
    """All hands of a `hand_benchmark.json`, by camera, moment and side.

    Parameters
    ----------
    data, name
        The file's bytes, and what messages call it.
    serials
        The cameras that may be in it.

    Raises
    ------
    DatasetError
        Cameras, moments or joints that cannot be; the message says which.
    """
    said = _parse(data, name)
    rows: list[tuple[int, int, bool]] = []
    joints: list[Any] = []
    for c, serial in enumerate(serials):
        moments = said.get(serial, {})
        if not isinstance(moments, dict) or not all(_MOMENT.fullmatch(m) for m in moments):
            raise DatasetError(f"{name}: {serial} has no moments by their numbers; restore it")
        for moment in sorted(moments, key=int):
            values = moments[moment]
            hands = values.get("landmarks_3d") if isinstance(values, dict) else None
            if not isinstance(hands, dict):
                raise DatasetError(f"{name}: {serial}, frame {moment}: no landmarks_3d; restore it")
            for side in _SIDES:
                rows.append((c, int(moment), side == "right"))
                joints.append(hands.get(side))
    points = np.full((len(rows), 21, 3), -1.0)
    for k, value in enumerate(joints):
        if value is None:
            continue
        try:
            points[k] = np.array(value, np.float64).reshape(21, 3)
        except (TypeError, ValueError, OverflowError):
            camera, moment, _ = rows[k]
            raise DatasetError(f"{name}: {serials[camera]}, frame {moment}: joints are not 21 x 3 numbers") from None
    there = ~(points == -1).all(axis=(1, 2))
    kept = [row for row, seen in zip(rows, there, strict=True) if seen]
    columns = np.array(kept, np.int64).reshape(-1, 3)
    with np.errstate(over="ignore", invalid="ignore"):
        mm = (points[there] * 1000).astype(np.float32)
    return Hands(serials, columns[:, 0].astype(np.int16), columns[:, 1].astype(np.int32), columns[:, 2] == 1, mm)


def parse_calibration(data: bytes, name: str, size: tuple[int, int]) -> Camera:
    """The colour camera of an `intrinsics/*.json`.

    Raises
    ------
    DatasetError
        No such numbers.
    """
    said = _parse(data, name).get("color")
    values: list[Any] = [said.get(k) for k in ("fx", "fy", "ppx", "ppy")] if isinstance(said, dict) else []
    if len(values) != 4 or not all(type(v) in (int, float) and abs(v) < 1e5 for v in values):
        raise DatasetError(f"{name}: color has no fx, fy, ppx and ppy; restore it from the archive")
    if min(values[:2]) < 1:
        raise DatasetError(f"{name}: focal lengths of {values[0]:g} and {values[1]:g} pixels are no camera's")
    fx, fy, cx, cy = (float(v) for v in values)
    return Camera(fx, fy, cx, cy, *size)
