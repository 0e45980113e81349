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
from gmaps.kernels.march.bits import ALL, hand_rows, lowest

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


@jit
def _mixed(depth, r, c0, c1, aside, out):
    """How much of row r is hand at the cells' centres: 0 to 1, between the pixels on both sides."""
    row = depth[r]
    for k in range(out.size):
        left = _ONE if row[c0[k]] < _ONE else _ZERO
        right = _ONE if row[c1[k]] < _ONE else _ZERO
        out[k] = (_ONE - aside[k]) * left + aside[k] * right


@jit
def _along_row(rows, r, pixels, centers, base, hand, gap):
    """Distances along row r of pixels from the cells' centres to the nearest hand and void pixel, run by run."""
    size = centers.size
    for k in range(size):
        hand[k] = _FAR
        gap[k] = base[k]
    words = rows.shape[1] - 1
    c = 0
    while c < pixels:
        # The next run of hand pixels, from `start` to before `stop`.
        x = rows[r, c >> 6] & (ALL << np.uint64(c & 63))
        while x == 0 and (c >> 6) + 1 < words:
            c = ((c >> 6) + 1) << 6
            x = rows[r, c >> 6]
        if x == 0:
            break
        start = (c >> 6 << 6) + lowest(x)
        c = start
        x = ~rows[r, c >> 6] & (ALL << np.uint64(c & 63))
        while x == 0 and (c >> 6) + 1 < words:
            c = ((c >> 6) + 1) << 6
            x = ~rows[r, c >> 6]
        stop = min((c >> 6 << 6) + lowest(x) if x else 64 * words, pixels)
        c = stop
        left = np.float32(start)
        right = np.float32(stop - 1)
        # What lies outside the grid is no void.
        before = left - _ONE if start > 0 else -_FAR
        after = right + _ONE if stop < pixels else _FAR
        for k in range(size):
            at = centers[k]
            d = max(max(left - at, at - right), base[k])
            hand[k] = d if d < hand[k] else hand[k]
            d = min(at - before, after - at)
            gap[k] = d if d > gap[k] else gap[k]


@jit
def _nearest_in_rows(squared, center, low, high, best):
    """Lower best[k] to the least squared[r, k] + (r - center)^2 of rows `low` to before `high`, from near to far."""
    size = best.size
    above = min(int(np.floor(center)), high - 1)
    below = max(above + 1, low)
    while above >= low or below < high:
        up = center - np.float32(above) if above >= low else _FAR
        down = np.float32(below) - center if below < high else _FAR
        step = min(up, down)
        worst = _ZERO
        for k in range(size):
            worst = max(worst, best[k])
        if step * step >= worst:
            break
        # A few rows at a time: whether the rest is too far costs as much to ask as a row.
        for _ in range(4):
            if above >= low:
                d = (center - np.float32(above)) ** 2
                for k in range(size):
                    x = squared[above, k] + d
                    best[k] = x if x < best[k] else best[k]
                above -= 1
            if below < high:
                d = (np.float32(below) - center) ** 2
                for k in range(size):
                    x = squared[below, k] + d
                    best[k] = x if x < best[k] else best[k]
                below += 1


@jit
def at_centers(depth, spacing, out):
    """Signed distance of a crop's silhouette at the centres of a map's cells.

    Where all (up to four) pixels around a centre are hand, the distance to the nearest void pixel's centre; where all
    are void, minus that to the nearest hand pixel's centre; where some are each, the edge runs through the cell, and
    the value is what interpolation between +1 and -1 pixel gives. At a pixel's centre this is `signed_edt`.

    Parameters
    ----------
    depth : (S, S) float32
        1 is background.
    spacing : float
        Size of a pixel.
    out : (H, H) float32
        Filled, in units of `spacing`; +inf everywhere when all is hand, -inf when nothing is.
    """
    pixels = depth.shape[0]
    size = out.shape[0]
    rows = hand_rows(depth)
    centers = np.empty(size, np.float32)
    base = np.empty(size, np.float32)
    # The pixels on both sides of each centre, and how near it is to the second.
    before = np.empty(size, np.uint64)
    behind = np.empty(size, np.uint64)
    aside = np.empty(size, np.float32)
    for k in range(size):
        centers[k] = np.float32((k + 0.5) * pixels / size - 0.5)
        share = centers[k] - np.floor(centers[k])
        base[k] = min(share, _ONE - share)
        first = min(max(int(np.floor(centers[k])), 0), pixels - 1)
        before[k] = first
        behind[k] = min(first + 1, pixels - 1) if centers[k] > first else first
        aside[k] = min(max(centers[k] - np.float32(first), _ZERO), _ONE)
    hand = np.empty((pixels, size), np.float32)
    gap = np.empty((pixels, size), np.float32)
    low = pixels
    high = 0
    for r in range(pixels):
        some = np.uint64(0)
        for k in range(rows.shape[1]):
            some |= rows[r, k]
        if some:
            low = min(low, r)
            high = r + 1
            _along_row(rows, r, pixels, centers, base, hand[r], gap[r])
            for k in range(size):
                hand[r, k] = min(hand[r, k] * hand[r, k], _FAR)
                gap[r, k] = min(gap[r, k] * gap[r, k], _FAR)
        else:
            for k in range(size):
                hand[r, k] = _FAR
                gap[r, k] = base[k] * base[k]
    to_hand = np.empty(size, np.float32)
    to_gap = np.empty(size, np.float32)
    upper = np.empty(size, np.float32)
    lower = np.empty(size, np.float32)
    around = np.empty(size, np.float32)
    scale = np.float32(spacing)
    limit = np.sqrt(_FAR) * np.float32(0.5)
    for i in range(size):
        y = centers[i]
        r0 = np.int64(before[i])
        r1 = np.int64(behind[i])
        share = aside[i]
        _mixed(depth, r0, before, behind, aside, upper)
        _mixed(depth, r1, before, behind, aside, lower)
        for k in range(size):
            around[k] = (_ONE - share) * upper[k] + share * lower[k]
            # Only the other class is looked for: a 0 never holds the search back.
            to_hand[k] = _FAR if around[k] <= 0 else _ZERO
            to_gap[k] = _FAR if around[k] >= 1 else _ZERO
        _nearest_in_rows(hand, y, low, high, to_hand)
        _nearest_in_rows(gap, y, 0, pixels, to_gap)
        for k in range(size):
            length = np.sqrt(to_gap[k] + to_hand[k])
            length = length * scale if length < limit else np.float32(np.inf)
            mixed = (_ONE + _ONE) * around[k] - _ONE
            out[i, k] = mixed * length if abs(mixed) >= _ONE else mixed * scale
