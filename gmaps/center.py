"""Where the hand is: the centre of its cube, with and without ground truth."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import DatasetError, FrameError, UsageError
from gmaps.formats.label_lines import filled_lines, parse_number
from gmaps.formats.regular import read_regular
from gmaps.frame import Frame
from gmaps.kernels import joints as joint_kernels
from gmaps.kernels import raster

#: Steps of the mean shift that `com` takes; it rests after three or four.
_STEPS = 8
#: A surface this big, in pixels, counts as something and not as noise.
_ENOUGH = 64
#: A hand that points at the camera shows this much of itself, mm^2; a few stray pixels do not.
_HAND_MM2 = 500.0
#: Surfaces that are looked at, from the nearest on.
_TRIES = 8

Center = tuple[float, float, float]


def find_center(
    frame: Frame, how: str | NDArray[np.floating], half_side: float, depth_range: tuple[float, float]
) -> Center:
    """Centre of the hand's cube.

    Parameters
    ----------
    frame
        Depth and joints.
    how
        "joints": the middle of the joints' bounding box, as HandMap takes it; needs labels. "mean": the mean of the
        joints, as the literature of DexYCB takes it; needs labels, too. "com": the centre of
        mass of the points, from nothing but depth: the nearest surface within `depth_range`, then mean shift with a
        box of the cube's size; within the frame's own box, where it has one. Or a position (3,), mm.
    half_side
        Half the side of the cube, mm.
    depth_range
        Nearest and farthest depth at which "com" looks, mm.

    Returns
    -------
    tuple of 3 floats
        mm, camera axes.

    Raises
    ------
    FrameError
        Joints or position are not finite, or nothing of a hand's size lies in the range.
    """
    if not isinstance(how, str):
        position = np.asarray(how, np.float64)
        if position.shape != (3,) or not np.isfinite(position).all():
            raise FrameError(f"{frame.name}: its row of the centre file is marked invalid")
        return float(position[0]), float(position[1]), float(position[2])
    if how in ("joints", "mean"):
        if not frame.labelled:
            raise FrameError(f"{frame.name}: has no labels, so take its centre from its depth: --center com")
        middle: Center = center_of_joints(frame.joints, how)
        if not math.isfinite(sum(middle)):
            raise FrameError(f"{frame.name}: a joint is not a number")
        return middle
    if how == "com":
        return _center_of_mass(frame, half_side, depth_range)
    raise UsageError(f"the centre comes from 'joints', 'mean', 'com' or a position, not {how!r}")


def center_of_joints(joints: NDArray[np.floating], how: str) -> Center:
    """The middle of the joints' bounding box ("joints"), or their mean ("mean"): mm; not finite where a joint is not.

    Parameters
    ----------
    joints : (J, 3)
        mm.
    how
        "joints" or "mean".
    """
    if how == "mean":
        x, y, z = np.asarray(joints, np.float64).mean(axis=0).tolist()
        return x, y, z
    middle: Center = joint_kernels.middle(np.ascontiguousarray(joints, np.float32))
    return middle


def _center_of_mass(frame: Frame, half_side: float, depth_range: tuple[float, float]) -> Center:
    depth, cam = _within_box(frame)
    # As the image's own numbers: a limit between two of them would count a pixel out that was found within.
    near, far = (float(np.float32(v)) for v in depth_range)
    within = (depth >= near) & (depth <= far)
    if not within.any():
        raise FrameError(f"{frame.name}: no depth between {near:g} and {far:g} mm, so there is no hand to be found")
    # What is out of range is no hand: the box must not wander off to a wall behind.
    depth = depth * within
    for _ in range(_TRIES):
        found = depth[depth > 0]
        counts, edges = np.histogram(found, bins=64, range=(near, far))
        first = float(edges[np.flatnonzero(counts.cumsum() >= min(_ENOUGH, len(found)))[0]])
        x, y, z, area = _nearest(depth, cam, first, half_side)
        if area >= _HAND_MM2:
            return x, y, z
        depth = depth * (depth > first + half_side / 2)  # stray pixels: what is behind them?
        if not depth.any():
            break
    raise FrameError(
        f"{frame.name}: nothing of a hand's size between {near:g} and {far:g} mm, only stray pixels; there is no hand"
    )


def _nearest(depth: NDArray[np.float32], cam: Camera, first: float, half_side: float) -> tuple[float, ...]:
    """The middle of what is nearest, x, y, z in mm, and how large it looks, mm^2."""
    intrinsics = (cam.fx, cam.fy, cam.cx, cam.cy)
    # The front of what is nearest: a hand before its owner's body. Then the box around its mean, until that rests.
    front = half_side / 4
    x, y, z, n = raster.center_of_mass(depth, *intrinsics, 0.0, 0.0, first + front, np.inf, front)
    for _ in range(_STEPS):
        nx, ny, nz, inside = raster.center_of_mass(depth, *intrinsics, x, y, z, half_side, half_side)
        if inside == 0:
            break
        n = inside
        moved = max(abs(nx - x), abs(ny - y), abs(nz - z))
        x, y, z = nx, ny, nz
        if moved < 0.5:
            break
    return float(x), float(y), float(z), n * z * z / (cam.fx * cam.fy)


def _within_box(frame: Frame) -> tuple[NDArray[np.float32], Camera]:
    """The part of the image that the frame's box leaves, with a camera to match."""
    depth, cam = np.asarray(frame.depth, np.float32), frame.camera
    if frame.box is not None:
        height, width = depth.shape
        left, top = max(math.floor(frame.box[0]), 0), max(math.floor(frame.box[1]), 0)
        right = min(math.ceil(frame.box[0] + frame.box[2]), width)
        bottom = min(math.ceil(frame.box[1] + frame.box[3]), height)
        if left >= right or top >= bottom:
            raise FrameError(f"{frame.name}: its box {frame.box} holds no pixel of {width} x {height}; correct it")
        depth = depth[top:bottom, left:right]
        cam = cam.cut(left, top, right - left, bottom - top)
    return np.ascontiguousarray(depth), cam


def load_centers(path: str | os.PathLike[str], camera: Camera, count: int) -> NDArray[np.float32]:
    """Read a centre file: one row a frame, three numbers, or the word `invalid`.

    Rows are u v d in pixels and mm when the file's name contains "uvd", else x y z in mm, in camera axes: x right, y
    down, z forward. V2V-PoseNet's files hold each data set's own axes: for NYU turn the sign of y.

    Parameters
    ----------
    path
        The text file.
    camera
        Intrinsics, for u v d.
    count
        How many frames there are: the file must have as many rows.

    Returns
    -------
    (N, 3) float32
        mm, camera axes; NaN where invalid.

    Raises
    ------
    DatasetError
        No such file, another number of rows, or a row that is neither.
    """
    file = Path(path)
    try:
        lines, numbers = filled_lines(read_regular(file))
    except FileNotFoundError:
        raise DatasetError(f"{file}: no such centre file; --center takes 'joints', 'mean', 'com' or a file") from None
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read as a centre file: {error}") from None
    rows = np.full((len(lines), 3), np.nan)
    for n, (line, number) in enumerate(zip(lines, numbers, strict=True)):
        words = line.replace(b",", b" ").split()
        if words[:1] == [b"invalid"]:
            continue
        try:
            rows[n, 0], rows[n, 1], rows[n, 2] = (parse_number(w) for w in words)  # no more and no fewer
            if np.isinf(rows[n]).any():
                raise ValueError
        except ValueError:
            shown = ascii(line[:60].decode("ascii", "replace"))
            raise DatasetError(
                f"{file}, line {number}: a centre is three numbers or 'invalid', got {shown}"
            ) from None
    if len(rows) != count:
        raise DatasetError(
            f"{file} has {len(rows)} centres, the data set has {count} frames: they belong to different releases or "
            "splits"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is an invalid centre
        if "uvd" in file.name:
            rows = camera.unproject(rows)
        return rows.astype(np.float32)
