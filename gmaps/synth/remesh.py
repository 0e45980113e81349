"""From the flesh to triangles: marching tetrahedra, then edges of even length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gmaps.synth import turns
from gmaps.synth.flesh import JOINTS, Array, finger, flesh, slope, to_surface

Triangles = NDArray[np.int64]


def triangulate(low: Array, high: Array, h: float) -> tuple[Array, Triangles]:
    """Marching tetrahedra, six a cube: always closed, never ambiguous."""
    axes = [np.arange(a, b + h, h) for a, b in zip(low, high, strict=True)]
    shape = tuple(len(a) for a in axes)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    value = np.concatenate([flesh(part) for part in np.array_split(points, 40)])
    value[np.abs(value) < 1e-6] = 1e-6
    cell = np.stack(np.meshgrid(*(np.arange(n - 1) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    step = np.array([shape[1] * shape[2], shape[2], 1])
    corner = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) @ step
    tets = np.array([[0, 5, 1, 7], [0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7]])
    tet = ((cell @ step)[:, None] + corner)[:, tets].reshape(-1, 4)
    inside = value[tet] < 0
    tet, inside = tet[inside.any(1) & ~inside.all(1)], inside[inside.any(1) & ~inside.all(1)]
    order = np.argsort(~inside, axis=1, kind="stable")  # those inside first
    v, n = np.take_along_axis(tet, order, axis=1), inside.sum(axis=1)
    edges = []
    for k, cuts in ((1, [[(0, 1), (0, 2), (0, 3)]]), (3, [[(0, 3), (1, 3), (2, 3)]]),
                    (2, [[(0, 2), (0, 3), (1, 3)], [(0, 2), (1, 3), (1, 2)]])):  # fmt: skip
        for cut in cuts:
            edges.append(v[n == k][:, np.array(cut)])
    cut_edges = np.sort(np.concatenate(edges), axis=-1)  # (T, 3, 2)
    keys, triangles = np.unique(cut_edges.reshape(-1, 2), axis=0, return_inverse=True)
    va, vb = value[keys[:, 0]], value[keys[:, 1]]
    t = (va / (va - vb))[:, None]
    vertices = points[keys[:, 0]] * (1 - t) + points[keys[:, 1]] * t
    triangles = triangles.reshape(-1, 3)
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # Slivers have no normal to speak of: the tetrahedron's own inside tells their side.
    wrong = (normal * slope(flesh, corners.mean(axis=1))).sum(-1) < 0
    triangles[wrong] = triangles[wrong][:, ::-1]
    return vertices, triangles


def wanted(p: Array) -> Array:
    """Length of an edge, mm: fine at the fingers, coarse at the forearm."""
    tips = np.linalg.norm(p[:, None] - JOINTS[[4, 8, 12, 16, 20]], axis=-1).min(axis=1)
    fingers = np.min([finger(p, f) for f in range(5)], axis=0)
    length = 3.9 + 1.9 * np.clip((fingers - 1) / 9, 0, 1) - 0.7 * np.clip(1.6 - tips / 9, 0, 1)
    result: Array = length + 2.2 * np.clip((-p[:, 1] - 8) / 30, 0, 1)
    return result


class Remesher:
    """Triangles that can be split, merged and flipped."""

    def __init__(self, vertices: Array, triangles: Triangles) -> None:
        self.v: list[Array] = list(vertices)
        self.t: dict[int, tuple[int, int, int]] = {i: tuple(map(int, t)) for i, t in enumerate(triangles)}  # type: ignore[misc]
        self.around: dict[int, set[int]] = {i: set() for i in range(len(vertices))}
        for i, t in self.t.items():
            for a in t:
                self.around[a].add(i)
        self.next = len(self.t)
        self.length: Array = wanted(vertices)

    def edges(self) -> Iterator[tuple[int, int]]:
        for t in list(self.t.values()):
            for k in range(3):
                if t[k] < t[k - 1]:
                    yield t[k], t[k - 1]

    def ring(self, a: int) -> set[int]:
        return {b for i in self.around[a] for b in self.t[i]} - {a}

    def _drop(self, i: int) -> None:
        for a in self.t.pop(i):
            self.around[a].discard(i)

    def _add(self, t: tuple[int, int, int]) -> None:
        self.t[self.next] = t
        for a in t:
            self.around[a].add(self.next)
        self.next += 1

    def want(self, a: int, b: int) -> float:
        result: float = 0.5 * (self.length[a] + self.length[b])
        return result

    def long(self, a: int, b: int) -> float:
        return float(np.linalg.norm(self.v[a] - self.v[b]))

    def split(self) -> None:
        fresh = []
        for a, b in list(self.edges()):
            both = self.around[a] & self.around[b]
            if len(both) != 2 or self.long(a, b) <= 4 / 3 * self.want(a, b):
                continue
            m = len(self.v)
            self.v.append(0.5 * (self.v[a] + self.v[b]))
            fresh.append(self.want(a, b))
            self.length = np.append(self.length, self.want(a, b))
            self.around[m] = set()
            for i in both:
                t = self.t[i]
                self._drop(i)
                self._add(tuple(m if c == a else c for c in t))  # type: ignore[arg-type]
                self._add(tuple(m if c == b else c for c in t))  # type: ignore[arg-type]

    def merge(self) -> None:
        for a, b in list(self.edges()):
            if not self.around.get(a) or not self.around.get(b) or not self.around[a] & self.around[b]:
                continue
            if self.long(a, b) >= 4 / 5 * self.want(a, b) or len(self.ring(a) & self.ring(b)) != 2:
                continue
            middle = 0.5 * (self.v[a] + self.v[b])
            ring = (self.ring(a) | self.ring(b)) - {a, b}
            if any(np.linalg.norm(self.v[c] - middle) > 4 / 3 * self.want(a, c) for c in ring):
                continue
            if any(self._turns_over(i, {a, b}, middle) for i in self.around[a] ^ self.around[b]):
                continue
            self.v[a] = middle
            for i in list(self.around[b]):
                t = self.t[i]
                self._drop(i)
                if a not in t:
                    self._add(tuple(a if c == b else c for c in t))  # type: ignore[arg-type]
            del self.around[b]

    def _turns_over(self, i: int, moved: set[int], to: Array) -> bool:
        old = [self.v[c] for c in self.t[i]]
        new = [to if c in moved else self.v[c] for c in self.t[i]]
        n0 = np.cross(old[1] - old[0], old[2] - old[0])
        n1 = np.cross(new[1] - new[0], new[2] - new[0])
        return bool(n0 @ n1 < 0.2 * np.linalg.norm(n0) * np.linalg.norm(n1))

    def flip(self) -> None:
        for a, b in list(self.edges()):
            both = list(self.around[a] & self.around[b])
            if len(both) != 2:
                continue
            c, d = (next(x for x in self.t[i] if x not in (a, b)) for i in both)
            if d in self.ring(c):
                continue
            counts = [len(self.around[x]) for x in (a, b, c, d)]
            before = sum(abs(n - 6) for n in counts)
            after = sum(abs(n - 6 + e) for n, e in zip(counts, (-1, -1, 1, 1), strict=True))
            if after >= before:
                continue
            t = self.t[both[0]]
            if t[(t.index(a) + 1) % 3] != b:
                c, d = d, c  # c lies left of a -> b
            old = sum(np.cross(self.v[q] - self.v[p], self.v[r] - self.v[p]) for p, q, r in ((a, b, c), (b, a, d)))
            new = [(a, d, c), (d, b, c)]
            if any(np.cross(self.v[q] - self.v[p], self.v[r] - self.v[p]) @ old <= 0 for p, q, r in new):
                continue
            for i in both:
                self._drop(i)
            for tri in new:
                self._add(tri)

    def pack(self) -> tuple[Array, Triangles]:
        used = sorted(self.around)
        number = {a: i for i, a in enumerate(used)}
        triangles = np.array([[number[a] for a in t] for t in self.t.values()])
        return np.array([self.v[a] for a in used]), triangles


def relax(vertices: Array, triangles: Triangles, share: float = 0.6) -> Array:
    """Move each vertex towards its neighbours' middle, along the surface, and back onto it."""
    normal = turns.unit(slope(flesh, vertices))
    shift = share * (neighbours_mean(vertices, triangles) - vertices)
    return to_surface(vertices + shift - (shift * normal).sum(-1, keepdims=True) * normal)


def neighbours_mean(values: Array, triangles: Triangles) -> Array:
    """(V, n): mean of each vertex's neighbours."""
    total, count = np.zeros_like(values), np.zeros(len(values))
    for i, j in ((0, 1), (1, 2), (2, 0)):
        np.add.at(total, triangles[:, i], values[triangles[:, j]])
        np.add.at(count, triangles[:, i], 1)
    return total / count[:, None]
