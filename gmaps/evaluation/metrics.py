"""Errors and what is made of them. N frames, J joints."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError, unknown_name

#: Where the field draws its success curves, mm.
THRESHOLDS_MM: NDArray[np.int64] = np.arange(85)
#: Where papers on hands with objects draw theirs, mm: joint by joint, up to 5 cm.
NEAR_MM: NDArray[np.float64] = np.linspace(0.0, 50.0, 100)
Over = Literal["max", "mean", "joint"]
#: See `pck_2d`.
PCK_DEFINITIONS = ("box", "nsrm")
#: A crop of NSRM's is so many times as wide as the box around the hand.
NSRM_CROP = 2.2


def joint_errors(predicted: ArrayLike, true: ArrayLike) -> NDArray[np.float64]:
    """Euclidean distances.

    Parameters
    ----------
    predicted, true : (N, J, 3)
        mm, the same axes. Nothing is aligned, centred or left out.

    Returns
    -------
    (N, J) float64
        mm.

    Raises
    ------
    UsageError
        Shapes that differ, or are not (N, J, 3).
    """
    a, b = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if a.shape != b.shape or a.ndim != 3 or a.shape[2] != 3 or not a.size:
        raise UsageError(f"joints have shape (N, J, 3), predicted and true alike; got {a.shape} and {b.shape}")
    result: NDArray[np.float64] = np.linalg.norm(a - b, axis=2)
    return result


def align(predicted: ArrayLike, true: ArrayLike, how: str, middle: int = 0) -> NDArray[np.float64]:
    """Predictions, moved to where they fit the truth best.

    Parameters
    ----------
    predicted, true : (N, J, 3)
        mm.
    how
        "root": each frame's first joint is put upon the true one. "scale": so, too, after it was made as large as the
        truth from there to `middle`. "procrustes": each frame is turned, moved and scaled, as the field's programs do
        it (FreiHAND, Zimmermann et al., ICCV 2019), which admit a reflection.
    middle
        The root of the middle finger, for "scale".

    Returns
    -------
    (N, J, 3) float64
        mm.

    Raises
    ------
    UnknownNameError
        No such way.
    UsageError
        As `joint_errors`.
    """
    a, b = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    joint_errors(a, b)  # refuses shapes
    if how == "scale":
        sizes = [np.linalg.norm(p[:, middle] - p[:, 0], axis=1) for p in (a, b)]
        a = a * np.divide(sizes[1], sizes[0], out=np.ones(len(a)), where=sizes[0] > 0)[:, None, None]
    if how in ("root", "scale"):
        return a - a[:, :1] + b[:, :1]
    if how != "procrustes":
        raise unknown_name("alignment", how, ("root", "scale", "procrustes"))
    middle_a, middle_b = a.mean(axis=1, keepdims=True), b.mean(axis=1, keepdims=True)
    a, b = a - middle_a, b - middle_b
    u, s, vt = np.linalg.svd(a.swapaxes(1, 2) @ b)
    size = (a * a).sum(axis=(1, 2))
    scale = np.divide(s.sum(axis=1), size, out=np.zeros(len(a)), where=size > 0)
    result: NDArray[np.float64] = a @ (u @ vt) * scale[:, None, None] + middle_b
    return result


def success_rate(errors: ArrayLike, thresholds: ArrayLike = THRESHOLDS_MM, over: Over = "max") -> NDArray[np.float64]:
    """Share of frames, or of joints, whose error is at most a threshold.

    Parameters
    ----------
    errors : (N, J)
        mm.
    thresholds : (T,)
        mm.
    over
        What of a frame must be below: its worst joint ("max"), its mean ("mean"); or each joint for itself ("joint").

    Returns
    -------
    (T,) float64
        0 to 1.
    """
    e = np.asarray(errors, np.float64)
    if e.ndim != 2 or not e.size:
        raise UsageError(f"errors have shape (N, J), got {e.shape}")
    if over not in ("max", "mean", "joint"):
        raise unknown_name("success rate", over, ("max", "mean", "joint"))
    of = e.max(axis=1) if over == "max" else e.mean(axis=1) if over == "mean" else e.ravel()
    return np.searchsorted(np.sort(of), np.asarray(thresholds, np.float64), side="right") / len(of)


def area_under(rates: ArrayLike, thresholds: ArrayLike = THRESHOLDS_MM) -> float:
    """Area under a success curve by the trapezoid rule, divided by that of a perfect one: 0 to 1.

    Parameters
    ----------
    rates : (T,)
        As `success_rate` gives them.
    thresholds : (T,)
        Increasing.
    """
    x, y = np.asarray(thresholds, np.float64), np.asarray(rates, np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2 or not (np.diff(x) > 0).all():
        raise UsageError(f"an area needs rates at two or more increasing thresholds, got {y.shape} at {x.shape}")
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / (x[-1] - x[0]))


def pck_2d(
    predicted: ArrayLike,
    true: ArrayLike,
    thresholds: ArrayLike = (0.05, 0.1, 0.15, 0.2),
    *,
    size: ArrayLike | None = None,
    visible: ArrayLike | None = None,
    definition: str = "box",
    width: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Percentage of correct keypoints in the image, as a share: those within a threshold of the truth.

    Parameters
    ----------
    predicted, true : (N, J, 2)
        Pixels.
    thresholds : (T,)
        In units of the hand's size.
    size : (N,), optional
        Pixels; by default the longer side of the box around each frame's true, visible joints.
    visible : (N, J) bool, optional
        Joints that count; all by default.
    definition
        "box": a distance equal to the threshold is correct. "nsrm", as the program of NSRM (WACV 2020) prints it: it
        is not, and the hand's size is `width` / 2.2, because its crops are squares of 2.2 times the box. All joints
        count there.
    width : (N,) or float, optional
        Pixels: of the square crops, for "nsrm"; where it is not given, 2.2 times `size`.

    Returns
    -------
    (T,) float64
        0 to 1.

    Raises
    ------
    UsageError
        Shapes that do not fit, a hand without size, `width` for another definition.
    UnknownNameError
        No such definition.
    """
    if definition not in PCK_DEFINITIONS:
        raise unknown_name("definition of PCK", definition, PCK_DEFINITIONS)
    if width is not None:
        if definition != "nsrm" or size is not None:
            raise UsageError("width is of NSRM's square crops: say definition='nsrm', and no size")
        size = np.asarray(width, np.float64) / NSRM_CROP
    a, b = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if a.shape != b.shape or a.ndim != 3 or a.shape[2] != 2:
        raise UsageError(f"keypoints have shape (N, J, 2), predicted and true alike; got {a.shape} and {b.shape}")
    seen = np.ones(a.shape[:2], bool) if visible is None else np.asarray(visible, bool)
    if seen.shape != a.shape[:2] or not seen.any():
        raise UsageError(f"visible has shape {a.shape[:2]} and marks at least one joint, got {seen.shape}")
    if size is None:
        low = np.where(seen[..., None], b, np.inf).min(axis=1)
        high = np.where(seen[..., None], b, -np.inf).max(axis=1)
        of = np.where(seen.any(axis=1), (high - low).max(axis=1), 1.0)
    else:
        of = np.broadcast_to(np.asarray(size, np.float64), len(a))
    if not (of[seen.any(axis=1)] > 0).all():
        row = int(np.flatnonzero(~(of > 0) & seen.any(axis=1))[0])
        raise UsageError(f"frame {row}: a hand's size must be positive (px), got {of[row]:g}; give size=")
    distance = (np.linalg.norm(a - b, axis=2) / of[:, None])[seen]
    side: Literal["left", "right"] = "right" if definition == "box" else "left"
    return np.searchsorted(np.sort(distance), np.asarray(thresholds, np.float64), side=side) / len(distance)
