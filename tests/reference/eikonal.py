"""Slow readable twins of the kernels in `gmaps.kernels`: EDT, start cells and the eikonal solvers."""

from __future__ import annotations

import heapq
import itertools
import math

import numpy as np


def signed_edt(mask: np.ndarray) -> np.ndarray:
    """For each cell, the distance to the nearest cell of the other class; brute force."""
    cells = np.argwhere(np.ones_like(mask))
    out = np.empty(mask.shape)
    for r, c in cells:
        other = np.argwhere(mask != mask[r, c])
        d = np.hypot(*(other - (r, c)).T).min() if len(other) else math.inf
        out[r, c] = d if mask[r, c] else -d
    return out


def _order_one(t: dict, known, r: int, c: int) -> float:
    a = min(t[n] if known(n) else math.inf for n in ((r - 1, c), (r + 1, c)))
    b = min(t[n] if known(n) else math.inf for n in ((r, c - 1), (r, c + 1)))
    low, high = min(a, b), max(a, b)
    if high - low >= 1:
        return low + 1
    return (a + b + math.sqrt(2 - (a - b) ** 2)) / 2


def march(mask: np.ndarray, starts: dict[tuple[int, int], float]) -> np.ndarray:
    """Textbook fast marching of order 1, spacing 1, from given cells; inf where unreachable."""
    final: dict[tuple[int, int], float] = {}
    trial = dict(starts)
    heap = [(v, n) for n, v in starts.items()]
    heapq.heapify(heap)
    rows, cols = mask.shape
    while heap:
        value, cell = heapq.heappop(heap)
        if cell in final or value != trial[cell]:
            continue
        final[cell] = value
        r, c = cell
        for n in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            inside = 0 <= n[0] < rows and 0 <= n[1] < cols and mask[n]
            if not inside or n in final:
                continue
            new = _order_one(final, final.__contains__, *n)
            if new < trial.get(n, math.inf):
                trial[n] = new
                heapq.heappush(heap, (new, n))
    out = np.full(mask.shape, math.inf)
    for cell, value in final.items():
        out[cell] = value
    return out


def starts(mask: np.ndarray, row: float, col: float, inscribed: bool) -> dict[tuple[int, int], float]:
    """Where a march from (row, col) starts: the rule of `find_starts`, cell by cell."""
    rows, cols = mask.shape
    row, col = min(max(row, -0.5), rows - 0.5), min(max(col, -0.5), cols - 0.5)
    own = (min(math.floor(row + 0.5), rows - 1), min(math.floor(col + 0.5), cols - 1))
    hand = [tuple(int(v) for v in c) for c in np.argwhere(mask)]
    distance = {c: math.hypot(c[0] - row, c[1] - col) for c in hand}

    def to_square(c):
        return math.hypot(max(abs(row - c[0]) - 0.5, 0), max(abs(col - c[1]) - 0.5, 0))

    if not hand:
        return {}
    if not mask[own]:
        radius = min(distance.values())
        return {c: distance[c] for c in hand if to_square(c) <= radius + 1e-9}
    found = {}
    for c in hand:
        if abs(c[0] - row) >= 1 or abs(c[1] - col) >= 1:
            continue
        diagonal = c[0] != own[0] and c[1] != own[1]
        if diagonal and not (mask[own[0], c[1]] or mask[c[0], own[1]]):
            continue
        found[c] = distance[c]
    if inscribed:
        around = itertools.product(range(-1, rows + 1), range(-1, cols + 1))
        void = [c for c in around if not (0 <= c[0] < rows and 0 <= c[1] < cols and mask[c])]
        radius = min(to_square(c) for c in void)
        found |= {c: d for c, d in distance.items() if d <= radius}
        near = [c for c in hand if max(abs(c[0] - own[0]), abs(c[1] - own[1])) <= 2]
        for c in near:
            line = [(row + f * (c[0] - row), col + f * (c[1] - col)) for f in [*(np.arange(16) + 0.5) / 16, 1.0]]
            crossed = [own] + [(math.floor(r + 0.5), math.floor(k + 0.5)) for r, k in line]
            on_hand = all(0 <= r < rows and 0 <= k < cols and mask[r, k] for r, k in crossed)
            if on_hand and all(
                a[0] == b[0] or a[1] == b[1] or mask[a[0], b[1]] or mask[b[0], a[1]]
                for a, b in itertools.pairwise(crossed)
            ):
                found[c] = distance[c]
    return found
