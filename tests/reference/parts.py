"""Slow readable twins of the march over parts (hand_parts, seeds, waves, cells), and of the EDT at cells."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import ndimage

#: Directions to neighbouring blocks, (rows, columns).
_SIDES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


class Parts:
    """The graph of a silhouette: for each part its block, pixels, centroid (row, col, depth), and what it touches."""

    def __init__(self, mask, blocks, depth=None, step=math.inf):
        self.mask, self.blocks, self.size = mask, blocks, len(mask)
        self.depth = np.zeros(mask.shape) if depth is None else np.asarray(depth, float) * (blocks / 2)
        # Two pixels side by side touch if both are hand, and on one surface.
        self.step = step if depth is None else step * blocks / 2
        own = [(2 * p + 1) * blocks // (2 * self.size) for p in range(self.size)]
        label = np.full(mask.shape, -1)
        self.block, self.pixels, self.at = [], [], []
        for block in itertools.product(range(blocks), repeat=2):
            left = {(r, c) for r, c in zip(*np.nonzero(mask), strict=True) if (own[r], own[c]) == block}
            while left:
                todo = [min(left)]
                piece = set(todo)
                while todo:
                    here = todo.pop()
                    for there in self._beside(here):
                        if there in left - piece and self.touches(here, there):
                            piece.add(there)
                            todo.append(there)
                left -= piece
                for r, c in piece:
                    label[r, c] = len(self.block)
                rows, cols = np.array(sorted(piece)).T
                scale = blocks / self.size
                z = float(np.mean([self.depth[p] for p in piece]))
                self.at.append(np.array([(rows.mean() + 0.5) * scale - 0.5, (cols.mean() + 0.5) * scale - 0.5, z]))
                self.block.append(block)
                self.pixels.append(piece)
        self.label = label
        self.joined = {k: set() for k in range(len(self.block))}
        for here in zip(*np.nonzero(mask), strict=True):
            for there in self._beside(here):
                if mask[there] and self.touches(here, there) and label[here] != label[there]:
                    self.joined[label[here]].add(int(label[there]))
        self.links = self._links()

    def _beside(self, p):
        for dr, dc in _SIDES.values():
            if 0 <= p[0] + dr < self.size and 0 <= p[1] + dc < self.size:
                yield int(p[0] + dr), int(p[1] + dc)

    def touches(self, p, q):
        return bool(self.mask[p] and self.mask[q] and abs(self.depth[p] - self.depth[q]) <= self.step * (1 + 1e-6))

    def _links(self):
        piece = list(range(len(self.block)))

        def join(a, b):
            old, new = piece[a], piece[b]
            for k, p in enumerate(piece):
                if p == old:
                    piece[k] = new

        for a, others in self.joined.items():
            for b in others:
                join(a, b)
        middle = (self.blocks - 1) / 2
        pairs = []
        for a, b in itertools.combinations(range(len(piece)), 2):
            apart = abs(self.block[a][0] - self.block[b][0]) + abs(self.block[a][1] - self.block[b][1])
            if apart <= 1 and piece[a] != piece[b]:
                square = ((self.at[a] - self.at[b]) ** 2).sum()
                off = (((self.at[a] + self.at[b])[:2] / 2 - middle) ** 2).sum()
                pairs.append((round(square * 1e6), off, a, b))
        links = []
        for _, _, a, b in sorted(pairs):
            if piece[a] != piece[b]:
                join(a, b)
                links.append((a, b))
        return links

    def sees(self, start, stop):
        """Whether the straight line between two (row, col), pixels, runs over pixels that touch one by one."""
        d = np.subtract(stop, start)
        shares = {0.0, 1.0}
        for axis in (0, 1):
            if d[axis] == 0:
                continue
            low, high = sorted((start[axis], stop[axis]))
            for line in np.arange(math.floor(low + 0.5) + 0.5, high, 1.0):
                if low < line < high:
                    shares.add((line - start[axis]) / d[axis])
        ordered = sorted(shares)
        before = None
        for a, b in itertools.pairwise(ordered):
            p = tuple(int(v) for v in np.floor(start + (a + b) / 2 * d + 0.5))
            if not self.mask[p] or (before is not None and p != before and not self.touches(before, p)):
                return False
            before = p
        return True

    def starts(self, joint):
        """Part -> distance, for a joint at (row, col), pixels."""
        row, col = (min(max(float(v), -0.5), self.size - 0.5) for v in joint)
        own = (min(math.floor(row + 0.5), self.size - 1), min(math.floor(col + 0.5), self.size - 1))
        scale = self.blocks / self.size
        here = (np.array([row, col]) + 0.5) * scale - 0.5
        if not self.mask.any():
            return {}
        if not self.mask[own]:
            hand = np.argwhere(self.mask)
            radius = np.hypot(*(hand - (row, col)).T).min()
            gap = np.maximum(np.abs(hand - (row, col)) - 0.5, 0)
            found = {int(self.label[tuple(p)]) for p in hand[(gap**2).sum(axis=1) <= radius**2 + 1e-9]}
            return {k: float(np.hypot(*(self.at[k][:2] - here))) for k in found}
        around = [own, *(p for p in self._beside(own) if self.touches(own, p))]
        there = np.array([*here, np.mean([self.depth[p] for p in around])])
        mine = int(self.label[own])
        found = {mine: float(np.linalg.norm(self.at[mine] - there))}
        for k, at in enumerate(self.at):
            away = np.abs(np.subtract(self.block[k], self.block[mine])).max()
            flat = np.hypot(*(at[:2] - there[:2]))
            stop = (at[:2] + 0.5) / scale - 0.5
            if k != mine and away <= 1 and abs(at[2] - there[2]) <= flat and self.sees(np.array([row, col]), stop):
                found[k] = float(np.linalg.norm(at - there))
        return found

    def triangles(self):
        """(part, a, b) of all updates; a is b where there is but a side."""
        found = []
        for i in range(len(self.block)):

            def beside(k, side):
                return [n for n in self.joined[k] if tuple(np.subtract(self.block[n], self.block[k])) == _SIDES[side]]

            for v_side, h_side in itertools.product(("up", "down"), ("left", "right")):
                vs, hs = beside(i, v_side), beside(i, h_side)
                mine = [(v, h) for v in vs for h in hs]
                for first, others, straight, bent in ((vs, hs, v_side, h_side), (hs, vs, h_side, v_side)):
                    for a in first:
                        for d in beside(a, bent):
                            if not any(d in beside(o, straight) for o in others):
                                mine.append((a, d))
                known = {k for pair in mine for k in pair}
                mine += [(k, k) for k in vs + hs if k not in known]
                found += [(i, a, b) for a, b in mine]
        for a, b in self.links:
            found += [(a, b, b), (b, a, a)]
        return found


def straight_way(p, a, b, ta, tb):
    """The way to p from the point ta from a and tb from b, beyond the edge a-b; along a side where it misses that.

    In the plane of the triangle: a at 0, b at (c, 0), p at (x, -y).
    """
    la, lb, c = math.dist(p, a), math.dist(p, b), math.dist(a, b)
    side = min(ta + la, tb + lb)
    if c < 1e-6 or math.isinf(ta) or math.isinf(tb):
        return side
    x = (la * la - lb * lb + c * c) / (2 * c)
    y = math.sqrt(max(la * la - x * x, 0))
    foot = (ta * ta - tb * tb + c * c) / (2 * c)
    if ta * ta < foot * foot:
        return side
    height = math.sqrt(ta * ta - foot * foot)
    if height + y == 0:
        return side
    crossing = x + (foot - x) * y / (height + y)
    way = math.hypot(foot - x, height + y)
    return min(side, way) if 0 <= crossing <= c and way >= max(ta, tb) else side


def march(parts, starts):
    """Distances of all parts, blocks; inf where nothing leads."""
    t = [math.inf] * len(parts.block)
    for k, d in starts.items():
        t[k] = d
    updates = parts.triangles()
    moved = True
    while moved:
        moved = False
        for i, a, b in updates:
            new = straight_way(parts.at[i], parts.at[a], parts.at[b], t[a], t[b])
            if new < t[i] - 1e-7:
                t[i], moved = new, True
    return np.array(t)


def stands_for(parts, size, row, col):
    """The parts of the piece that a map's cell stands for."""
    side = max(parts.blocks // size, 1)
    inside = [k for k, b in enumerate(parts.block) if (b[0] // side, b[1] // side) == (row, col)]
    if parts.blocks < size or not inside:
        n = parts.size
        pixels = [
            (r, c)
            for r in range(row * n // size, max(-(-(row + 1) * n // size), row * n // size + 1))
            for c in range(col * n // size, max(-(-(col + 1) * n // size), col * n // size + 1))
            if parts.mask[r, c]
        ]
        middle = (np.array([row, col]) + 0.5) * n / size - 0.5
        return [int(parts.label[min(pixels, key=lambda p: math.dist(p, middle))])]
    pieces = []
    for k in inside:
        mine = [p for p in pieces if any(q in parts.joined[k] for q in p)]
        pieces = [*(p for p in pieces if p not in mine), [k for p in mine for k in p] + [k]]
    most = max(sum(len(parts.pixels[k]) for k in p) for p in pieces)
    equal = [p for p in pieces if sum(len(parts.pixels[k]) for k in p) == most]
    middle = (parts.blocks - 1) / 2
    return min(equal, key=lambda p: round(((parts.at[p[0]][:2] - middle) ** 2).sum(), 6) if side == 1 else min(p))


def signed_edt(mask, size):
    """Signed distance at the centres of cells, pixels: to the other class where all around are one."""
    n = len(mask)
    at = (np.arange(size) + 0.5) * n / size - 0.5
    hand, void = np.argwhere(mask), np.argwhere(~mask)
    out = np.empty((size, size))
    soft = ndimage.map_coordinates(mask.astype(float), np.meshgrid(at, at, indexing="ij"), order=1, mode="nearest")
    for (i, k), share in np.ndenumerate(soft):
        p = (at[i], at[k])
        if share > 1 - 1e-6:
            out[i, k] = np.hypot(*(void - p).T).min() if len(void) else math.inf
        elif share < 1e-6:
            out[i, k] = -np.hypot(*(hand - p).T).min() if len(hand) else -math.inf
        else:
            out[i, k] = 2 * share - 1
    return out
