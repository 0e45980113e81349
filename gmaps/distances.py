"""The two distances everything rests on: the signed Euclidean one, and the geodesic one inside the silhouette."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import MissingExtraError, UsageError, unknown_name
from gmaps.kernels import edt
from gmaps.kernels.march import fmm, starts, surface, sweep

Solver = Literal["sweep", "fmm", "skfmm"]


def _as_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    # What a masked array masks is not hand, as in scikit-fmm.
    m = np.ascontiguousarray(np.ma.filled(mask, False) if isinstance(mask, np.ma.MaskedArray) else mask)
    if m.ndim != 2 or m.dtype != np.bool_:
        raise UsageError(f"a mask is a boolean array (H, W), got {m.dtype} {m.shape}; write `depth < 1` or the like")
    if not 0 < max(m.shape) <= edt.MAX_SIDE:
        raise UsageError(f"a mask has 1 to {edt.MAX_SIDE} rows and columns, got {m.shape}")
    return m


def _as_numbers(values: ArrayLike, dtype: type[np.floating]) -> NDArray[Any]:
    """Numbers, NaN where they are masked."""
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(dtype), np.nan)
    return np.ascontiguousarray(values, dtype)


def _as_spacing(spacing: float) -> float:
    value = float(spacing)
    if not (np.isfinite(value) and value > 0):
        raise UsageError(f"spacing is the size of a cell and must be positive, got {spacing}")
    return value


def signed_edt(mask: ArrayLike, spacing: float = 1.0) -> NDArray[np.float32]:
    """Signed 2D Euclidean distance transform of a silhouette.

    Parameters
    ----------
    mask : (H, W) bool
        True on the hand; what a masked array masks is not.
    spacing
        Size of a cell, mm or whatever unit the result shall have.

    Returns
    -------
    (H, W) float32
        EDT(mask) - EDT(~mask), between cell centres: from each hand cell the distance to the nearest void cell,
        positive; from each void cell that to the nearest hand cell, negative. Never 0. All +inf when no cell is
        void, all -inf when none is hand.

    Raises
    ------
    UsageError
        When the mask is not boolean and two-dimensional, or the spacing not positive.

    Examples
    --------
    >>> import numpy as np, gmaps
    >>> gmaps.signed_edt(np.array([[False, True, True, True, False]])).tolist()
    [[-1.0, 1.0, 2.0, 1.0, -1.0]]
    """
    m = _as_mask(mask)
    out = np.empty(m.shape, np.float32)
    edt.signed_edt(m, _as_spacing(spacing), out)
    return out


def geodesic_distance(
    mask: ArrayLike,
    joints_px: ArrayLike,
    *,
    spacing: float = 1.0,
    solver: Solver = "sweep",
    order: int = 1,
    depth: ArrayLike | None = None,
    bridge: bool | float = False,
    inscribed: bool = False,
) -> NDArray[np.float32]:
    """Distance from each joint to each hand cell, travelled inside the silhouette.

    Solves |grad T| = 1 on the mask with T = 0 at the joint. A joint whose cell is on the hand starts in the cells
    around its sub-pixel position; one off the hand starts in the hand cells touched by the smallest disc around it
    that reaches the hand, at their straight distances. Positions outside the grid are clipped to it.

    Parameters
    ----------
    mask : (H, W) bool
        True on the hand; what a masked array masks is not.
    joints_px : (J, 2)
        (row, col) of the joints; an integer is a cell's centre. NaN, or masked, gives a plane of inf.
    spacing
        Size of a cell.
    solver
        "sweep": fast sweeping, all joints at once. "fmm": fast marching, bit-identical to scikit-fmm in float64
        for joints at the centres of hand cells, then rounded to float32. "skfmm": scikit-fmm itself, from the
        hand cell nearest to the joint.
    order
        Of the upwind scheme, 1 or 2. At order 1 "sweep" and "fmm" have the same solution.
    depth : (H, W), optional
        Depth of the cells, same unit as `spacing`, not read in the void: distances are then measured along the
        triangulated surface instead of in the plane, with steps in depth costing their length. Solver "sweep" only;
        `order` and `inscribed` have no meaning for it.
    bridge
        Reach hand cells that are cut off from a joint across the void. True takes the void at the cost of hand; a
        number is its slowness relative to hand. Solver "sweep" only.
    inscribed
        Start from all cells of the largest disc of hand around the joint, where straight distances are exact:
        removes most of the error of a point source. Not for "skfmm", which knows only points.

    Returns
    -------
    (J, H, W) float32
        In units of `spacing`; np.inf off the mask and where a joint cannot reach.

    Raises
    ------
    UsageError
        Arguments of the wrong shape or value.
    UnknownNameError
        No such solver.
    MissingExtraError
        scikit-fmm is asked for and not installed.

    Examples
    --------
    >>> import numpy as np, gmaps
    >>> corner = np.array([[True, False], [True, True]])
    >>> gmaps.geodesic_distance(corner, [[0, 0]], spacing=7.5)[0].tolist()
    [[0.0, inf], [7.5, 15.0]]
    """
    m = _as_mask(mask)
    p = _as_numbers(joints_px, np.float64)
    if p.ndim != 2 or p.shape[1] != 2:
        raise UsageError(f"joints_px holds a (row, col) for each joint, shape (J, 2); got {p.shape}")
    if order not in (1, 2):
        raise UsageError(f"order is 1 or 2, got {order}")
    h = _as_spacing(spacing)
    slowness = float(bridge)
    if not (np.isfinite(slowness) and slowness >= 0):
        raise UsageError(f"bridge is False, True or a positive slowness, got {bridge}")
    if solver != "sweep" and (depth is not None or slowness):
        raise UsageError(f"solver {solver!r} knows neither depth nor bridges; solver 'sweep' does")
    out = np.empty((len(p), *m.shape), np.float32)
    if depth is not None:
        z = _as_numbers(depth, np.float32)
        if z.shape != m.shape or not np.isfinite(z[m]).all():
            raise UsageError(f"depth must be finite on the mask and of its shape {m.shape}, got shape {z.shape}")
        surface.surface_distance(m, z, p, h, slowness, out)
        return out
    if solver == "sweep":
        sweep.sweep_distance(m, p, inscribed, order, slowness, h, out)
        return out
    if solver == "fmm":
        ptr, cells, values = starts.find_starts(m, p, inscribed)
        fmm.fast_marching(m, ptr, cells, values * h, h, order, out)
        return out
    if solver == "skfmm":
        return _scikit_fmm(m, p, h, order, out)
    raise unknown_name("solver", str(solver), get_args(Solver))


def _scikit_fmm(
    mask: NDArray[np.bool_],
    joints_px: NDArray[np.float64],
    spacing: float,
    order: int,
    out: NDArray[np.float32],
) -> NDArray[np.float32]:
    try:
        import skfmm
    except ImportError:
        raise MissingExtraError("scikit-fmm", "skfmm", 'solver="skfmm"') from None
    out[:] = np.inf
    hand = np.argwhere(mask)
    for plane, p in zip(out, joints_px, strict=True):
        if len(hand) == 0 or np.isnan(p).any():
            continue
        distance = np.hypot(*(hand - p).T)
        nearest = int(distance.argmin())
        phi = np.ones(mask.shape)
        phi[tuple(hand[nearest])] = 0
        t = skfmm.distance(np.ma.MaskedArray(phi, ~mask), dx=spacing, order=order)
        plane[:] = np.ma.filled(t, np.inf) if np.ma.isMA(t) else t
        plane += np.float32(distance[nearest] * spacing)
    return out
