"""How true geodesic maps are: mm of error against exact polyhedral geodesics, on random synthetic hands.

The reference is Mitchell, Mount and Papadimitriou's exact algorithm (pygeodesic) on the triangles between the cells'
surface points, and on the same triangles laid flat. The joint is a vertex of that mesh, at its sub-pixel place. Every
method sees the same silhouette, depth and joint; errors are over all cells that the reference reaches.

A third reference is the whole closed hand, of which a camera shows a side: there the way from a finger to the palm
behind it leads through the finger's root. It is exact on the hand's mesh, and linear within its triangles of some
5 mm; a cell is where the mesh comes nearest to what the sensor measured.

These judge the solvers, on one pooled silhouette for all. What the coarse grid itself does to a map, `on_pixels`
judges, by the crop's own pixels.

`python -m benchmarks.fidelity [HANDS]`: 200 hands unless said otherwise.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import eikonalfm
import numpy as np
import skfmm
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

import gmaps
from benchmarks.timing import RESULTS, human, take_turns, write
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.kernels.march.surface import triangulate
from gmaps.maps import Scene
from tests.reference import polyhedral

SIZES = (32, 64, 128)
#: Joints of each hand that are measured; the exact algorithm is slow at 128.
JOINTS = {32: 6, 64: 4, 128: 2}
#: The first so many of them are also measured on the closed hand.
CLOSED = 1
_STEPS = 4
#: (15, 3): barycentric weights of points spread over a triangle's inside.
_INSIDE = np.array([(i, j, _STEPS - i - j) for i in range(_STEPS + 1) for j in range(_STEPS + 1 - i)])
_INSIDE = (_INSIDE + 1 / 3) / (_STEPS + 1)
Planes = NDArray[np.floating]


def _cross(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


class Hand:
    """One silhouette with its surface, mm, and the joints that lie on it."""

    def __init__(self, crop: gmaps.Crop, size: int, vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> None:
        scene = Scene(crop, size)
        self.mask, self.h = scene.silhouette, scene.cell
        self.depth = scene.surface * np.float32(crop.cube.half_side)
        cells, _, _, points, fan_ptr, fan, _ = triangulate(self.mask, self.depth, self.h)
        owner = np.repeat(np.arange(len(cells)), np.diff(fan_ptr))
        corners = np.sort(np.column_stack([owner, fan[: fan_ptr[-1]]]), axis=1)
        self.triangles = np.unique(corners[(np.diff(corners, axis=1) > 0).all(axis=1)], axis=0)
        self.cells, self.points = cells, points
        self.all_joints = scene.joints_px
        # The closed hand, in the axes of `points`: x and y in mm from the first cell's centre, z from the cube's.
        half = crop.cube.half_side
        self.vertices = vertices - crop.cube.center
        self.vertices[:, :2] += half - self.h / 2
        self.faces = faces
        spread = np.einsum("wk,tkx->twx", _INSIDE, self.vertices[faces]).reshape(-1, 3)
        self.nearest = cKDTree(spread)

    def locate(self, joint: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]] | None:
        """The triangle that holds (row, col), and the barycentric weights of its corners."""
        if not len(self.triangles):
            return None
        a, b, c = (self.points[self.triangles[:, k], :2] / self.h for k in range(3))
        p = joint[::-1]
        area = _cross(b - a, c - a)
        weights = np.column_stack([_cross(b - p, c - p), _cross(c - p, a - p), _cross(a - p, b - p)])
        weights = weights / area[:, None]
        inside = np.flatnonzero((weights > 1e-3).all(axis=1))
        return (int(inside[0]), weights[inside[0]]) if len(inside) else None

    def exact(self, joint: NDArray[np.float64], flat: bool) -> NDArray[np.float64]:
        """Exact distances at the cells, mm; inf where the mesh does not lead, or the joint is off the mesh."""
        found = self.locate(joint)
        if found is None:
            return np.full(len(self.points), np.inf)
        triangle, weights = found
        points = self.points.copy()
        if flat:
            points[:, 2] = 0
        i, j, k = self.triangles[triangle]
        new = len(points)
        points = np.vstack([points, weights @ points[[i, j, k]]])
        faces = np.vstack([np.delete(self.triangles, triangle, axis=0), [[i, j, new], [j, k, new], [k, i, new]]])
        return polyhedral.distances(points, faces, new)[:new]

    def closed(self, joint: NDArray[np.float64]) -> NDArray[np.float64]:
        """Exact distances on the closed hand at the cells, mm, from where the joint lies on the visible surface."""
        found = self.locate(joint)
        if found is None:
            return np.full(len(self.points), np.inf)
        start = found[1] @ self.points[self.triangles[found[0]]]
        triangle, place = divmod(int(self.nearest.query(start)[1]), len(_INSIDE))
        i, j, k = self.faces[triangle]
        new = len(self.vertices)
        points = np.vstack([self.vertices, _INSIDE[place] @ self.vertices[[i, j, k]]])
        faces = np.vstack([np.delete(self.faces, triangle, axis=0), [[i, j, new], [j, k, new], [k, i, new]]])
        values = polyhedral.distances(points, faces, new)[:new]
        owners, places = np.divmod(self.nearest.query(self.points)[1], len(_INSIDE))
        result: NDArray[np.float64] = (values[self.faces[owners]] * _INSIDE[places]).sum(axis=1)
        return result


def handmap(hand: Hand, joints: NDArray[np.float64]) -> Planes:
    """HandMap's way: scikit-fmm, order 2, from the cell that holds the joint, in the plane."""
    planes = []
    for row, col in np.floor(joints + 0.5).astype(int):
        phi = np.ones(hand.mask.shape)
        phi[row, col] = 0
        t = skfmm.distance(np.ma.MaskedArray(phi, ~hand.mask), dx=hand.h, order=2)
        planes.append(np.ma.filled(t, np.inf) if np.ma.isMA(t) else t)
    return np.stack(planes)


def eikonal(hand: Hand, joints: NDArray[np.float64]) -> Planes:
    """eikonalfm's factored fast marching, order 2, with a slow void."""
    speed = np.where(hand.mask, 1.0, 1e-3)
    cells = np.floor(joints + 0.5).astype(int)
    r, c = np.mgrid[: hand.mask.shape[0], : hand.mask.shape[1]]
    planes = []
    for row, col in cells:
        factor = eikonalfm.factored_fast_marching(speed, (int(row), int(col)), (hand.h, hand.h), 2)
        planes.append(np.where(hand.mask, factor * np.hypot(r - row, c - col) * hand.h, np.inf))
    return np.stack(planes)


def straight(hand: Hand, joints: NDArray[np.float64], flat: bool) -> Planes:
    """The line through the air, from the joint's place on the surface."""
    r, c = np.mgrid[: hand.mask.shape[0], : hand.mask.shape[1]]
    planes = []
    for joint in joints:
        found = hand.locate(joint)
        z = 0.0 if found is None else float(found[1] @ hand.points[hand.triangles[found[0]], 2])
        rise = 0.0 if flat else hand.depth - z
        planes.append(np.sqrt(((r - joint[0]) ** 2 + (c - joint[1]) ** 2) * hand.h**2 + rise**2))
    return np.stack(planes)


def graph(hand: Hand, joints: NDArray[np.float64], flat: bool) -> Planes:
    """SciPy's Dijkstra on eight neighbours, edges as long as they are in space, from the joint's cell."""
    rows, cols = hand.mask.shape
    number = np.full((rows, cols), -1)
    number[hand.mask] = np.arange(hand.mask.sum())
    depth = np.zeros_like(hand.depth) if flat else hand.depth
    edges = []
    for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, rows - dr), slice(max(0, -dc), cols - max(0, dc)))
        there = (slice(dr, rows), slice(max(0, dc), cols + min(0, dc)))
        both = hand.mask[here] & hand.mask[there]
        length = np.sqrt((dr * dr + dc * dc) * hand.h**2 + (depth[here] - depth[there])[both] ** 2)
        edges.append((number[here][both], number[there][both], length))
    i, j, w = (np.concatenate(e) for e in zip(*edges, strict=True))
    n = int(hand.mask.sum())
    at = [number[tuple(p)] for p in np.floor(joints + 0.5).astype(int)]
    distance = dijkstra(coo_matrix((w, (i, j)), (n, n)).tocsr(), directed=False, indices=at)
    planes = np.full((len(joints), rows, cols), np.inf)
    planes[:, hand.mask] = distance
    return planes


def ours_plane(hand: Hand, joints: NDArray[np.float64]) -> Planes:
    """`geodesic`."""
    return gmaps.geodesic_distance(hand.mask, joints, spacing=hand.h, order=2, inscribed=True)


def ours_surface(hand: Hand, joints: NDArray[np.float64]) -> Planes:
    """`geodesic_surface`."""
    return gmaps.geodesic_distance(hand.mask, joints, spacing=hand.h, depth=hand.depth)


Method = Callable[[Hand, NDArray[np.float64]], Planes]
METHODS: dict[str, dict[str, Method]] = {
    "plane": {
        "straight line": lambda h, j: straight(h, j, True),
        "HandMap's way": handmap,
        "Dijkstra, 8 neighbours": lambda h, j: graph(h, j, True),
        "eikonalfm, factored": eikonal,
        "gmaps, plane": ours_plane,
    },
    "surface": {
        "straight line": lambda h, j: straight(h, j, False),
        "HandMap's way": handmap,
        "Dijkstra, 8 neighbours": lambda h, j: graph(h, j, False),
        "eikonalfm, factored": eikonal,
        "gmaps, plane": ours_plane,
        "gmaps, surface": ours_surface,
    },
}
METHODS["closed hand"] = METHODS["surface"]


def run(hands: int = 200) -> list[dict[str, Any]]:
    """Measure, print, plot."""
    seed = secrets.randbelow(2**31)
    print(f"fidelity: {hands} synthetic hands of seed {seed}")
    rng = np.random.default_rng(seed)
    data = gmaps.load_dataset("synthetic", frames=hands, seed=seed)
    crops = [crop_dataset_frame(data.read(i), data.info.depth_range, CropParams()) for i in range(hands)]
    rows: list[dict[str, Any]] = []
    meshes = [data.mesh(i) for i in range(hands)]  # type: ignore[attr-defined]  # only the synthetic hand is closed
    for size in SIZES:
        sums: dict[tuple[str, str], NDArray[np.float64]] = {}
        seconds: dict[tuple[str, str], float] = {}
        for crop, mesh in zip(crops, meshes, strict=True):
            hand = Hand(crop, size, *mesh)
            order = rng.permutation(len(hand.all_joints))
            on_mesh = [hand.all_joints[j] for j in order if hand.locate(hand.all_joints[j]) is not None]
            joints = np.array(on_mesh[: JOINTS[size]]).reshape(-1, 2)
            if not len(joints):
                continue
            truths = {
                "plane": [hand.exact(j, True) for j in joints],
                "surface": [hand.exact(j, False) for j in joints],
            }
            # On the closed hand all can be reached: compared are the same cells as on the surface that is seen.
            truths["closed hand"] = [
                np.where(np.isfinite(seen), hand.closed(j), np.inf)
                for j, seen in zip(joints[:CLOSED], truths["surface"], strict=False)
            ]
            for reference, methods in METHODS.items():
                exact = truths[reference]
                for name, method in methods.items():
                    planes = method(hand, joints)[: len(exact)]
                    total = sums.setdefault((reference, name), np.zeros(3))
                    for plane, truth in zip(planes, exact, strict=True):
                        value = plane.ravel()[hand.cells].astype(float)
                        known = np.isfinite(truth) & np.isfinite(value)
                        error = np.abs(value[known] - truth[known])
                        # Distances below a cell say nothing about a solver, and would rule a mean of ratios.
                        total += [error.sum(), truth[known].sum(), known.sum()]
        timed = Hand(crops[0], size, *meshes[0])
        pick = np.argwhere(timed.mask)
        sources = pick[rng.integers(len(pick), size=21)].astype(float)
        for reference, methods in METHODS.items():
            calls = {n: partial(m, timed, sources) for n, m in methods.items()}
            for name, value in take_turns(calls, rounds=5).items():
                seconds[reference, name] = value
        for (reference, name), (error, truth, count) in sums.items():
            rows.append(
                {"size": size, "reference": reference, "method": name, "mean_error_mm": error / count,
                 "relative": error / truth, "seconds": seconds[reference, name]}
            )  # fmt: skip
    for reference in METHODS:
        print(f"\n## Error against the exact geodesic, {reference}\n")
        print("| method | " + " | ".join(f"{s} x {s}" for s in SIZES) + " | time of 21 joints at 32 / 64 / 128 |")
        print("|---|" + "---|" * (len(SIZES) + 1))
        for name in METHODS[reference]:
            found = [r for r in rows if r["reference"] == reference and r["method"] == name]
            cells = " | ".join(f"{r['mean_error_mm']:.2f} mm, {100 * r['relative']:.1f} %" for r in found)
            print(f"| {name} | {cells} | {' / '.join(human(r['seconds']) for r in found)} |")
    print(f"\nwritten to {write('fidelity', rows)} and {_plot(rows)}")
    from benchmarks import on_pixels  # which uses this module's meshes

    on_pixels.run(max(hands // 5, 1))
    return rows


def _plot(rows: list[dict[str, Any]]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4), layout="constrained")
    for axes, reference in zip(figure.subplots(1, 3), METHODS, strict=True):
        for name in METHODS[reference]:
            found = [r for r in rows if r["reference"] == reference and r["method"] == name]
            style = "-" if name.startswith("gmaps") else "--"
            axes.plot(SIZES, [100 * r["relative"] for r in found], style, marker="o", label=name)
        axes.set(
            xscale="log", ylim=(0, None), xticks=SIZES, xticklabels=SIZES, xlabel="rows and columns of the map",
            ylabel="error, % of the distance", title=f"against the exact geodesic, {reference}",
        )  # fmt: skip
        axes.minorticks_off()
    lines, names = axes.get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=len(names), fontsize=8)
    path = RESULTS / "fidelity.png"
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    return str(path)


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
