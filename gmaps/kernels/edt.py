"""Exact signed Euclidean distance transform of a silhouette.

Separable, after Meijster, Roerdink and Hesselink (2000): first, in every row, the distance to the nearest cell of
the other class; then, in every column, the lower envelope of the parabolas that these distances raise. Meijster
finds the envelope with a stack, cell by cell. Here it is found by a scan outwards over whole rows, in SIMD lanes
and without branches, which ends early: distances change by at most one from row to row, so the largest of the
row before bounds how far this one must look. Both classes come out of one call.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit

#: Largest grid side for which every squared distance is an integer that float32 holds exactly.
MAX_SIDE = 2896
_FAR = np.float32(1e30)
_ONE = np.float32(1)
_ZERO = np.float32(0)


@jit
def _rows(mask, hand, gap):
    """Squared distance, within each row, to the nearest hand cell (`hand`) and void cell (`gap`).

    Both have one row more than the mask, far from everything: it stands for all rows outside the grid.
    """
    rows, cols = mask.shape
    for c in range(cols):
        hand[rows, c] = _FAR
        gap[rows, c] = _FAR
    for r in range(rows):
        h = _FAR
        g = _FAR
        for c in range(cols):
            inside = mask[r, c]
            h = _ZERO if inside else h + _ONE
            g = g + _ONE if inside else _ZERO
            hand[r, c] = h
            gap[r, c] = g
        for c in range(cols - 1, -1, -1):
            inside = mask[r, c]
            h = _ZERO if inside else min(h + _ONE, hand[r, c])
            g = min(g + _ONE, gap[r, c]) if inside else _ZERO
            hand[r, c] = min(h * h, _FAR)
            gap[r, c] = min(g * g, _FAR)


@jit
def _column_envelope(squared, r, reach, best):
    """best[c] = min over r' of squared[r', c] + (r - r')^2, for |r - r'| <= reach."""
    rows = squared.shape[0] - 1
    cols = squared.shape[1]
    for c in range(cols):
        best[c] = squared[r, c]
    for k in range(1, min(reach, max(r, rows - 1 - r)) + 1):
        step = np.float32(k * k)
        above = r - k if r >= k else rows
        below = r + k if r + k < rows else rows
        for c in range(cols):
            x = squared[above, c]
            y = squared[below, c]
            x = (x if x < y else y) + step
            y = best[c]
            best[c] = x if x < y else y


@jit
def _reach(best, rows):
    """How far the next row must look: a distance grows by at most one from row to row."""
    worst = _ZERO
    for c in range(best.size):
        worst = max(worst, best[c])
    return rows if worst >= _FAR else int(np.sqrt(worst)) + 1


@jit
def signed_edt(mask, spacing, out):
    """Distance to the nearest void cell inside the silhouette, minus the distance to the nearest hand cell outside.

    Parameters
    ----------
    mask : (H, W) bool
        True on the hand; H and W at most `MAX_SIDE`.
    spacing : float
        Size of a cell.
    out : (H, W) float32
        Filled with the distances between cell centres, in units of `spacing`: at least one spacing inside, at
        most minus one outside; +inf everywhere when all is hand, -inf when nothing is.
    """
    rows, cols = mask.shape
    hand = np.empty((rows + 1, cols), np.float32)
    gap = np.empty((rows + 1, cols), np.float32)
    _rows(mask, hand, gap)
    to_gap = np.empty(cols, np.float32)
    to_hand = np.empty(cols, np.float32)
    gap_reach = rows
    hand_reach = rows
    scale = np.float32(spacing)
    limit = np.sqrt(_FAR) * scale * np.float32(0.5)
    for r in range(rows):
        _column_envelope(gap, r, gap_reach, to_gap)
        _column_envelope(hand, r, hand_reach, to_hand)
        gap_reach = _reach(to_gap, rows)
        hand_reach = _reach(to_hand, rows)
        for c in range(cols):
            # One of the two is 0, so their difference is the signed square.
            square = to_gap[c] - to_hand[c]
            length = np.sqrt(abs(square)) * scale
            length = length if length < limit else np.float32(np.inf)
            out[r, c] = length if square > _ZERO else -length
