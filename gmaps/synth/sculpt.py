"""Make `hand.npz`, the mesh of the mean hand at rest: `python -m gmaps.synth.sculpt [FILE]`.

The file is shipped, because it takes a minute, and because the last bits of such sums differ between machines. The
flesh is a signed distance field: a smooth union of tapered capsules around the bones, pads, webs and forearm. Its
zero level is cut out of a grid by marching tetrahedra, and remeshed to triangles of even shape, small at the
fingertips (after Botsch and Kobbelt, "A Remeshing Approach to Multiresolution Modeling", 2004). What moves each
vertex, the weights, come from its place along the bones; across fingers they mix in the webs only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gmaps.synth import turns
from gmaps.synth.hand import MEAN_RADII, REST

Array = NDArray[np.float64]
Triangles = NDArray[np.int64]
HERE = Path(__file__).parent

JOINTS = REST.joints[0]
#: Length of the forearm's stump, mm.
ARM = 64.0
_GRID = 2.5


# --- the field -------------------------------------------------------------------------------------------------


def round_cone(p: Array, a: Array, b: Array, ra: float, rb: float) -> Array:
    """Signed distance to the hull of two spheres (Quilez, "Distance functions")."""
    ba = b - a
    l2 = ba @ ba
    rr = ra - rb
    a2 = l2 - rr * rr
    pa = p - a
    y = pa @ ba
    z = y - l2
    x2 = ((pa * l2 - y[..., None] * ba) ** 2).sum(-1)
    y2, z2 = y * y * l2, z * z * l2
    k = np.sign(rr) * rr * rr * x2
    mantle = (np.sqrt(x2 * a2 / l2) + y * rr) / l2 - ra
    cap_b = np.sqrt(x2 + z2) / l2 - rb
    cap_a = np.sqrt(x2 + y2) / l2 - ra
    return np.where(np.sign(z) * a2 * z2 > k, cap_b, np.where(np.sign(y) * a2 * y2 < k, cap_a, mantle))


def smooth(a: Array, b: Array, k: float) -> Array:
    """Minimum with a fillet where both are within k, mm."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - h * h * k / 4


def flat_cone(p: Array, bone: int, a: Array, b: Array, ra: float, rb: float, thick: float) -> Array:
    """A round cone, pressed together along the axis in which the bone bends."""
    z = turns.matrix(REST.turns[0, bone])[:, 2]
    squash = 1 / thick - 1
    q = p + ((p - a) @ z)[..., None] * z * squash
    c = b + ((b - a) @ z) * z * squash
    return round_cone(q, a, c, ra, rb) * min(thick, 1.0)


def finger(p: Array, f: int) -> Array:
    """One of four fingers, or (4) the thumb without its root."""
    first = 1 + 4 * f
    joints, radii = JOINTS[first : first + 4], MEAN_RADII[first : first + 4]
    field = np.full(p.shape[:-1], np.inf)
    for k in range(1 if f == 4 else 0, 3):
        bone = 5 + 3 * f + k
        m = turns.matrix(REST.turns[0, bone])
        a, b, ra, rb = joints[k], joints[k + 1], radii[k], radii[k + 1]
        mid, waist = 0.5 * (a + b), 0.5 * (ra + rb) * (0.94 if k < 2 else 1.0)
        thick = 1.0 if k == 0 else (0.97 if k == 1 else 0.9)
        bone_field = flat_cone(p, bone, a, mid, ra, waist, thick)
        bone_field = smooth(bone_field, flat_cone(p, bone, mid, b, waist, rb, thick), 3.0)
        # The pad of flesh on the inner side.
        pad = mid + m[:, 2] * (0.20 * waist) - m[:, 1] * 0.1 * (ra + rb) * (k == 0)
        reach = m[:, 1] * np.linalg.norm(b - a) * 0.22
        bone_field = smooth(bone_field, round_cone(p, pad - reach, pad + reach, 0.90 * waist, 0.88 * waist), 4.0)
        field = bone_field if k == 0 or (f == 4 and k == 1) else smooth(field, bone_field, 2.5)
    # The knuckle in the middle stands out a little at the back.
    m = turns.matrix(REST.turns[0, 5 + 3 * f + 1])
    knuckle = joints[1] - m[:, 2] * 0.12 * radii[1]
    return smooth(field, np.linalg.norm(p - knuckle, axis=-1) - 0.93 * radii[1], 3.0)


def palm(p: Array) -> Array:
    """Metacarpals, balls of thumb and little finger, pads below the fingers, webs."""
    field = np.full(p.shape[:-1], np.inf)
    carpals = np.array([[12.0, 5, 0.5], [4, 6, -0.5], [-5, 6, -0.5], [-13, 4, 0.5]])
    for f in range(4):
        root = JOINTS[1 + 4 * f]
        r = MEAN_RADII[1 + 4 * f]
        cone = round_cone(p, carpals[f], root + np.array([0, 0, 0.4]), 12.2, r + 0.2)
        field = cone if f == 0 else smooth(field, cone, 8.0)
        field = smooth(
            field, round_cone(p, root + np.array([0, -3, 3.4]), root + np.array([0, 6, 3.0]), r - 1.6, r - 2.4), 7.0
        )  # pad
        field = smooth(field, np.linalg.norm(p - (root - np.array([0, 0, 2.4])), axis=-1) - (r - 1.4), 5.0)  # knuckle
    thumb, tip = JOINTS[17], JOINTS[18]
    thenar = round_cone(p, np.array([11.0, 11, 7]), 0.45 * thumb + 0.55 * tip, 12.0, 12.6)
    thenar = smooth(thenar, round_cone(p, 0.5 * (thumb + tip), tip, 12.4, MEAN_RADII[18] + 0.2), 5.0)
    field = smooth(field, thenar, 12.0)
    little = round_cone(p, np.array([-15.0, 10, 5]), np.array([-26.5, 42, 4]), 12.0, 10.2)
    field = smooth(field, little, 9.0)
    # The web between thumb and index finger, a sheet that hangs between them.
    top, low = 0.30 * JOINTS[17] + 0.70 * JOINTS[18], np.array([25.0, 52, 2])
    for s in np.linspace(0.2, 1.0, 5):
        start = (1 - s) * np.array([18.0, 26, 7]) + s * low
        end = (1 - s) * np.array([18.0, 26, 7]) + s * top
        middle = 0.5 * (start + end) - (np.array([1.0, 1, 0]) * 3.0 * s)
        sheet = smooth(round_cone(p, start, middle, 6.5, 5.2), round_cone(p, middle, end, 5.2, 6.5), 3.0)
        field = smooth(field, sheet, 6.0)
    # The webs between the fingers.
    for f in range(3):
        a0, a1 = JOINTS[1 + 4 * f], JOINTS[2 + 4 * f]
        b0, b1 = JOINTS[5 + 4 * f], JOINTS[6 + 4 * f]
        for share, r in ((0.14, 7.2), (0.34, 5.6)):
            a, b = a0 + share * (a1 - a0), b0 + share * (b1 - b0)
            field = smooth(field, round_cone(p, a + np.array([0, 0, 1.6]), b + np.array([0, 0, 1.6]), r, r), 4.0)
    return field


def arm(p: Array) -> Array:
    """The forearm's stump: an elliptic cone, cut off."""
    q = p * [1.0, 1.0, 1 / 0.72]
    cone = round_cone(q, np.array([0.0, 4, 0]), np.array([0.0, -30, 0]), 25.5, 27.5)
    cone = smooth(cone, round_cone(q, np.array([0.0, -30, 0]), np.array([0.0, -ARM - 30, 0]), 27.5, 33.0), 8.0) * 0.72
    return -smooth(-cone, p[..., 1] + ARM, 12.0)


def flesh(p: Array) -> Array:
    """The whole hand: negative inside, about mm."""
    fingers = np.full(p.shape[:-1], np.inf)
    for f in range(5):
        one = finger(p, f)
        fingers = one if f == 0 else smooth(fingers, one, 2.0)
    return smooth(smooth(palm(p), arm(p), 16.0), fingers, 5.0)


def slope(field: Callable[[Array], Array], p: Array, h: float = 0.05) -> Array:
    """Its gradient, by central differences."""
    steps = np.concatenate([np.eye(3), -np.eye(3)]) * h
    values = field((p[None] + steps[:, None]).reshape(-1, 3)).reshape(6, -1)
    return ((values[:3] - values[3:]) / (2 * h)).T


def settle(p: Array, steps: int = 3) -> Array:
    """Newton's steps onto the zero level."""
    for _ in range(steps):
        g = slope(flesh, p)
        p = p - (flesh(p) / np.maximum((g * g).sum(-1), 0.2))[:, None] * g
    return p


# --- from field to triangles -----------------------------------------------------------------------------------


def march(low: Array, high: Array, h: float) -> tuple[Array, Triangles]:
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
    return length + 2.2 * np.clip((-p[:, 1] - 8) / 30, 0, 1)


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
        return 0.5 * (self.length[a] + self.length[b])

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
    return settle(vertices + shift - (shift * normal).sum(-1, keepdims=True) * normal)


def neighbours_mean(values: Array, triangles: Triangles) -> Array:
    """(V, n): mean of each vertex's neighbours."""
    total, count = np.zeros_like(values), np.zeros(len(values))
    for i, j in ((0, 1), (1, 2), (2, 0)):
        np.add.at(total, triangles[:, i], values[triangles[:, j]])
        np.add.at(count, triangles[:, i], 1)
    return total / count[:, None]


def sculpt() -> tuple[Array, Triangles]:
    """The mesh, its vertices from the forearm to the fingertips."""
    reach = 14.0
    vertices, triangles = march(JOINTS.min(0) - [reach + 12, ARM + 3, reach + 12], JOINTS.max(0) + reach, _GRID)
    for _ in range(9):
        mesh = Remesher(vertices, triangles)
        mesh.split()
        mesh.merge()
        mesh.flip()
        vertices, triangles = mesh.pack()
        vertices = relax(vertices, triangles)
    for _ in range(4):
        mesh = Remesher(vertices, triangles)
        mesh.flip()
        vertices, triangles = mesh.pack()
        vertices = relax(vertices, triangles, 0.4)
    order = np.argsort(vertices[:, 1], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    triangles = rank[triangles]
    first = triangles.argmin(axis=1)
    triangles = np.take_along_axis(triangles, (first[:, None] + np.arange(3)) % 3, axis=1)
    return vertices[order], triangles[np.lexsort(triangles.T[::-1])]


# --- what carries each vertex ----------------------------------------------------------------------------------


def ramp(x: Array, low: float, high: float) -> Array:
    """0 below, 1 above, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def to_segment(p: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Distance to a segment, and how far along it the nearest point is."""
    t = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(p - a - t[:, None] * (b - a), axis=1), t


def weigh(p: Array, triangles: Triangles) -> Array:
    """(V, 20): share of each bone in each vertex."""
    chains, apart = np.zeros((4, len(p), 20)), np.zeros((4, len(p)))
    metacarpal = np.zeros((4, len(p)))
    for f in range(4):
        joints, radii = JOINTS[1 + 4 * f : 5 + 4 * f], MEAN_RADII[1 + 4 * f : 5 + 4 * f]
        heading = [turns.unit(joints[0]), *turns.unit(np.diff(joints, axis=0))]
        bends = []
        for k in range(3):
            s = (p - joints[k]) @ turns.unit(heading[k] + heading[k + 1])
            if k == 0:  # the crease of the palm lies farther out than the knuckle
                inner = (p - joints[0]) @ turns.matrix(REST.turns[0, 5 + 3 * f])[:, 2]
                bends.append(ramp(s - 0.5 * np.clip(inner, 0, 12), -9.0, 11.0))
            else:
                bends.append(ramp(s, -0.85 * radii[k], 0.85 * radii[k]))
        first = 5 + 3 * f
        chains[f, :, 1 + f] = 1 - bends[0]
        chains[f, :, first] = bends[0] * (1 - bends[1])
        chains[f, :, first + 1] = bends[0] * bends[1] * (1 - bends[2])
        chains[f, :, first + 2] = bends[0] * bends[1] * bends[2]
        near = []
        for k in range(3):
            d, t = to_segment(p, joints[k], joints[k + 1])
            near.append(d - (radii[k] + t * (radii[k + 1] - radii[k])))
        apart[f] = np.min(near, axis=0)
        metacarpal[f] = to_segment(p, 0.15 * joints[0], joints[0])[0]
    share = np.clip(1 - (apart - apart.min(axis=0)) / 8.0, 0, 1) ** 2
    share /= share.sum(axis=0)
    lateral = np.exp(-(metacarpal - metacarpal.min(axis=0)) / 5.0)
    lateral /= lateral.sum(axis=0)
    weights = np.zeros((len(p), 20))
    for f in range(4):
        part = chains[f].copy()
        rigid = part[:, 1 + f].copy()
        part[:, 1 + f] = 0
        weights += share[f, :, None] * part
        weights[:, 1:5] += (share[f] * rigid)[:, None] * lateral.T
    # The thumb: its ball and web go half with it, half with the palm.
    a, b, c, d = JOINTS[17:21]
    to_thumb, t = to_segment(p, a - 0.15 * (b - a), b)
    to_palm = np.min([to_segment(p, 0.1 * JOINTS[j], JOINTS[j])[0] for j in (1, 5)], axis=0)
    beyond = np.minimum(to_segment(p, b, c)[0] - 10.5, to_segment(p, c, d)[0] - 8.5)
    thumb = ramp(to_palm / (to_thumb + to_palm), 0.22, 0.72) * ramp((p - a) @ turns.unit(b - a), -12.0, 22.0)
    thumb = np.maximum(thumb, ramp(-beyond, -9.0, -3.5) * (t > 0.5))
    axes = turns.unit(np.diff(JOINTS[17:21], axis=0))
    mcp = ramp((p - b) @ turns.unit(axes[0] + axes[1]), -9.0, 9.0)
    ip = ramp((p - c) @ turns.unit(axes[1] + axes[2]), -8.0, 8.0)
    near_thumb = np.minimum(to_thumb, beyond + 9.0) < 30  # the bends' planes cut the fingers, too
    mcp, ip = mcp * near_thumb, ip * near_thumb
    fingers = weights[:, 5:17].sum(axis=1)
    thumb = np.where(apart.min(axis=0) < np.minimum(beyond, to_thumb - 10), thumb * (1 - fingers), thumb)
    weights *= (1 - thumb)[:, None]
    weights[:, 17] = thumb * (1 - mcp)
    weights[:, 18] = thumb * mcp * (1 - ip)
    weights[:, 19] = thumb * mcp * ip
    arm_share = 1 - ramp(p[:, 1], -13.0, 9.0)
    weights *= (1 - arm_share)[:, None]
    weights[:, 0] += arm_share
    for _ in range(4):
        weights = 0.5 * weights + 0.5 * neighbours_mean(weights, triangles)
    return weights


def label(p: Array, weights: Array) -> Array:
    """(V, 7): how much of each part a vertex is; the thumb begins halfway along its first bone."""
    a, b = JOINTS[17:19]
    ball = ramp((p - a) @ (b - a) / ((b - a) @ (b - a)), 0.45, 0.65)
    thumb = weights[:, 18:].sum(axis=1) + ball * weights[:, 17]
    fingers = [weights[:, 5 + 3 * f : 8 + 3 * f].sum(axis=1) for f in range(4)]
    palm_part = weights[:, 1:5].sum(axis=1) + (1 - ball) * weights[:, 17]
    return np.stack([*fingers, thumb, palm_part, weights[:, 0]], axis=1)


def main(path: Path) -> None:
    """Make the file."""
    vertices, triangles = sculpt()
    weights = weigh(vertices, triangles)
    parts = label(vertices, weights)
    bones = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    shares = np.take_along_axis(weights, bones, axis=1)
    shares[shares < 0.004] = 0
    shares /= shares.sum(axis=1, keepdims=True)
    np.savez_compressed(
        path,
        vertices=vertices.astype(np.float32),
        triangles=triangles.astype(np.uint16),
        bones=bones.astype(np.uint8),
        weights=shares.astype(np.float32),
        labels=(1 + parts[triangles].sum(axis=1).argmax(axis=1)).astype(np.uint8),
        vertex_labels=(1 + parts.argmax(axis=1)).astype(np.uint8),
    )
    print(f"{path}: {len(vertices)} vertices, {len(triangles)} triangles, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "hand.npz")
