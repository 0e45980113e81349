"""From maps back to joints: what several kinds' decoders share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop
from gmaps.maps.scene import Scene

#: Points that vote for a joint.
_VOTERS = 5
#: Of closeness, where a softmax of it weighs votes (AWR); and votes that are counted where the largest are (SRN).
SHARPNESS, TOP = 30.0, 30


def vote(points: NDArray[np.floating], values: NDArray[np.floating], theta: float) -> NDArray[np.float32]:
    """Mean over each joint's own five largest e of p + u theta (1 - e), weighted by e.

    Parameters
    ----------
    points : (n, 3)
        p, mm.
    values : (n, 4 J)
        e = 1 - d / theta of all joints, then the unit vectors u, x y z joint by joint.
    theta : float
        mm.

    Returns
    -------
    (J, 3) float32
        mm.

    Raises
    ------
    UsageError
        When there are no points.
    """
    if not len(points):
        raise UsageError("the crop holds no hand, so no point of it can tell where the joints are")
    joints = values.shape[1] // 4
    near = values[:, :joints].astype(np.float64)
    units = values[:, joints:].reshape(-1, joints, 3).astype(np.float64)
    out = np.empty((joints, 3), np.float32)
    for j in range(joints):
        best = np.argsort(-near[:, j], kind="stable")[:_VOTERS]
        e, u = near[best, j], units[best, j]
        u = u / np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-6)
        votes = points[best] + u * (theta * (1 - e))[:, None]
        weight = np.maximum(e, 1e-9)
        out[j] = (votes * weight[:, None]).sum(axis=0) / weight.sum()
    return out


def lift(px: NDArray[np.float64], crop: Crop, size: int) -> NDArray[np.float32]:
    """Positions on a grid to mm, at the depth of the surface there.

    A map of the plane knows nothing of depth: the joint is put on the front surface of its cell, or of the nearest
    cell of hand, so its z is that of the skin before it.

    Parameters
    ----------
    px : (J, 2) float64
        (row, col).
    crop
        Gives the cube and the surface.
    size
        H.

    Returns
    -------
    (J, 3) float32
        mm, camera axes.
    """
    scene = Scene(crop, size)
    hand = np.argwhere(scene.silhouette)
    h = crop.cube.half_side
    x, y, z = crop.cube.center
    out = np.empty((len(px), 3))
    for j, p in enumerate(px):
        depth = z
        if len(hand):
            r, c = hand[((hand - p) ** 2).sum(axis=1).argmin()]
            depth = z + float(scene.surface[r, c]) * h
        plane = (p[::-1] + 0.5) / size * 2 - 1
        ratio = depth / z if crop.projection == "perspective" else 1.0
        out[j] = (x + plane[0] * h) * ratio, (y + plane[1] * h) * ratio, depth
    return out.astype(np.float32)


def peak(plane: NDArray[np.floating]) -> NDArray[np.float64]:
    """(2,) float64, (row, col) of the largest value, to a fraction of a cell.

    The logarithm of a Gaussian is a parabola: its apex follows exactly from the peak's cell and its two neighbours in
    a row and in a column. Where the peak lies on the border there is one neighbour only, and the cell's centre is
    given.
    """
    rows, cols = plane.shape
    at = np.array(np.unravel_index(int(plane.argmax()), plane.shape), float)
    logs = np.log(np.maximum(plane.astype(np.float64), 1e-30))
    r, c = int(at[0]), int(at[1])
    for axis, (k, n) in enumerate(((r, rows), (c, cols))):
        if not 0 < k < n - 1:
            continue
        before, here, after = (logs[r + d, c] if axis == 0 else logs[r, c + d] for d in (-1, 0, 1))
        bend = 2 * here - before - after
        if bend > 1e-9:
            at[axis] += np.clip((after - before) / (2 * bend), -1, 1)
    return at


def multilaterate(t: NDArray[np.floating], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,) float64, (row, col) of the point from which the distances near by are measured.

    Near their source, distances are straight: |x - p|^2 = T^2 for each place x, which is linear in p and |p|^2, and
    is solved by least squares over the nine smallest distances.

    Parameters
    ----------
    t : (n,)
        Distances, cells; at least one.
    at : (n, 2) float64
        (row, col) of where they are measured to: see `Scene.anchors`.
    """
    values = t.astype(np.float64)
    near = np.argsort(values, kind="stable")[:9]
    near = near[values[near] <= values[near[0]] + 3]
    c, d = at[near], values[near]
    origin = c[0]
    c = c - origin
    matrix = np.column_stack([2 * c, -np.ones(len(c))])
    # Of few cells, or of cells in a line, the solution nearest to the smallest distance's cell is taken.
    found, *_ = np.linalg.lstsq(matrix, (c**2).sum(axis=1) - d**2, rcond=1e-9)
    offset = found[:2]
    result: NDArray[np.float64] = origin + offset if np.hypot(*offset) <= d.max() + 3 else origin
    return result


def ball_vote(
    points: NDArray[np.float64],
    values: NDArray[np.float64],
    k: float,
    top: int = 0,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Weighted mean over the points of p + u k (1 - c).

    Parameters
    ----------
    points : (n, D)
        mm; at least one.
    values : (n, (D + 1) J)
        Unit vectors joint by joint, then the closeness c of all joints.
    k
        mm.
    top
        Weighted by c, the so many points of largest c; 0: by softmax(30 c), all where c > 0.
    weights : (n, J), optional
        By a softmax of these instead.

    Returns
    -------
    (J, D) float64
        mm.
    """
    axes = points.shape[1]
    joints = values.shape[1] // (axes + 1)
    close = values[:, axes * joints :]
    units = values[:, : axes * joints].reshape(-1, joints, axes)
    votes = points[:, None] + units * (k * (1 - close))[..., None]
    result: NDArray[np.float64] = (votes * shares(close, top, weights)[..., None]).sum(axis=0)
    return result


def shares(
    close: NDArray[np.float64], top: int = 0, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(n, J): what a point's vote counts, by its closeness (n, J) or learned weights; sums of 1. See `ball_vote`."""
    if weights is not None:
        share = np.exp(weights - weights.max(axis=0))
    elif top:
        order = np.argsort(-close, axis=0, kind="stable")[:top]
        share = np.zeros_like(close)
        np.put_along_axis(share, order, np.maximum(np.take_along_axis(close, order, axis=0), 1e-9), axis=0)
    else:
        # A point outside the ball points nowhere: it has a say only where no point is inside.
        near = (close > 0) | ~(close > 0).any(axis=0)
        share = np.where(near, np.exp(SHARPNESS * (close - close.max(axis=0))), 0.0)
    result: NDArray[np.float64] = share / share.sum(axis=0)
    return result
