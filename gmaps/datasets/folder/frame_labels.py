"""Joints of a folder: numbers in `.npy`, `.npz`, `.txt`, `.csv` or `.json`, of one frame or of many."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.folder.description import Joints
from gmaps.errors import FrameError
from gmaps.formats import npy
from gmaps.formats.label_lines import filled_lines
from gmaps.frame import FARTHEST_MM

#: Bytes; the joints of a million frames as text.
LARGEST = 2**30
#: Numbers in a line, for 1,000 joints; and bad lines more than good ones, in a file that is worth going on with.
_MOST_NUMBERS, _MOST_FAULTS = 3000, 20
_BETWEEN = re.compile(rb"[,;\s]")


class Labels(NamedTuple):
    """A file's joints.

    Parameters
    ----------
    joints : (N, J, 3) float32
        mm, camera axes; NaN in rows that cannot be read.
    names
        Of the N rows' frames, where the file says them; else empty.
    faults
        Row -> what is wrong with it. One bad line costs one frame, not a build.
    """

    joints: NDArray[np.float32]
    names: tuple[str, ...]
    faults: dict[int, str]


def parse_labels(data: bytes, name: str, spec: Joints, count: int, camera: Camera) -> Labels:
    """The joints in a file.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.
    spec
        [joints] of the description.
    count
        J, the skeleton's joints.
    camera
        For `kind = "uvd"`.

    Raises
    ------
    FrameError
        A file that is not what its name says, or has another number of joints.
    """
    suffix = spec.files.suffix
    names: tuple[str, ...] = ()
    faults: dict[int, str] = {}
    if suffix in (".txt", ".csv"):
        values, names, faults = _text(data, name, spec)
    elif suffix == ".json":
        values, names = _json(data, name, spec)
    else:
        values = npy.parse_npy(data, name) if suffix == ".npy" else npy.parse_npz(data, name, spec.array)
    rows = _rows(values, name, spec, count)
    if spec.order:
        rows = rows[:, list(spec.order)]
    with np.errstate(all="ignore"):  # whatever numbers a file holds; check_joints judges them, frame by frame
        if spec.kind == "uvd":
            mm = camera.unproject(rows * [1.0, 1.0, spec.axes.unit])
        else:
            mm = spec.axes.to_camera(rows)
        mm[~(np.abs(mm) < FARTHEST_MM)] = np.nan
        return Labels(mm.astype(np.float32), names, faults)


def _rows(values: NDArray[Any], name: str, spec: Joints, count: int) -> NDArray[np.float64]:
    """(N, joints in the file, 3) of what shape a file may have: N is 1 for a file of one frame."""
    shape = values.shape
    if not spec.shared:  # (J, 3), (3 J,), (1, 3 J) or (1, J, 3); never (3, J), which would pass for it
        triples = shape[-1:] == (3,) or len(shape) == 1 or (len(shape) == 2 and shape[0] == 1)
        flat = values.reshape(1, -1) if triples else values[None]
    else:
        flat = values.reshape(shape[0], -1) if len(shape) == 3 and shape[2] == 3 else values
    if flat.ndim != 2 or flat.shape[1] % 3:
        want = "(frames, joints, 3)" if spec.shared else "(joints, 3)"
        raise FrameError(f"{name}: an array of shape {shape}, where joints are {want}")
    there = flat.shape[1] // 3
    if there < max(spec.order) + 1 if spec.order else there != count:
        raise FrameError(
            f"{name}: {there} joints a frame, where the skeleton has {count}; describe the file's own joints in "
            "[skeleton], or say in joints.order which of them they are"
        )
    return np.asarray(flat, np.float64).reshape(len(flat), there, 3)


def _text(data: bytes, name: str, spec: Joints) -> tuple[NDArray[np.float64], tuple[str, ...], dict[int, str]]:
    """A line a frame; in a file of one frame, a line a joint or one of all."""
    lines, numbers = filled_lines(data)
    first = sum(number <= spec.skip for number in numbers)
    lines, numbers = lines[first:], numbers[first:]
    named = spec.shared and spec.rows == "name"
    names, good, at = [], [], []
    faults: dict[int, str] = {}
    width = 0
    for i, line in enumerate(lines):
        text, line = _name_and_rest(line) if named else (b"", line)
        names.append(text.decode("utf-8", "replace"))
        words = line.replace(b",", b" ").replace(b";", b" ").replace(b'"', b" ").split()
        width = width or len(words)
        try:
            row = [float(w) for w in words]
            problem = "" if len(row) == width else f"{len(row)} numbers, not {width} as in the first"
            if b"_" in line and any(b"_" in w for w in words):  # Python takes 1_0 for 10
                problem = f"{next(w for w in words if b'_' in w)[:40]!r} is no number"
        except ValueError as error:
            problem = str(error)
        if width == 0 or width > _MOST_NUMBERS:
            problem = f"{width} numbers"
        if not problem:
            good.append(row)
            at.append(i)
            continue
        faults[i] = f"{name}, line {numbers[i]}: {problem[:200]}"
        # A wrong first line would shift all others; one frame's joints are whole or none.
        if i == 0 or not spec.shared or len(faults) > len(good) + _MOST_FAULTS:
            raise FrameError(f"{faults[i]}; are joints.rows and joints.skip right?")
    rows = np.full((len(lines), width), np.nan)
    if good:
        rows[at] = good
    return rows, tuple(names) if named else (), faults


def _name_and_rest(line: bytes) -> tuple[bytes, bytes]:
    """A frame's name, which may be in quotes, and what stands behind it."""
    if line[:1] == b'"' and b'"' in line[1:]:
        name, _, rest = line[1:].partition(b'"')
        return name, rest
    found = _BETWEEN.search(line)
    return (line[: found.start()], line[found.end() :]) if found else (line, b"")


def _json(data: bytes, name: str, spec: Joints) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Lists of numbers; with rows = "name" an object of them."""
    try:
        values: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"{name}: is no JSON: {str(error)[:100]}; restore it") from error
    if spec.array:
        if not isinstance(values, dict) or spec.array not in values:
            raise FrameError(f"{name}: is no JSON object with {spec.array!r} in it, as joints.array says")
        values = values[spec.array]
    names: tuple[str, ...] = ()
    if spec.shared and spec.rows == "name":
        if not isinstance(values, dict):
            raise FrameError(f"{name}: is no JSON object of frames and their joints, as joints.rows = 'name' says")
        names, values = tuple(values), list(values.values())
    try:
        return np.array(values, np.float64), names
    except (ValueError, TypeError, OverflowError) as error:
        raise FrameError(f"{name}: is no list of joints, all of the same number: {str(error)[:100]}") from error
