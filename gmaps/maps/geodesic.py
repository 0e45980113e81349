"""Distances inside the silhouette: to its edge, and from the joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop
from gmaps.kernels.march import fmm
from gmaps.kernels.planar import along
from gmaps.maps.decode import lift, multilaterate
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.scene import Encoded, Scene

#: Of the upwind scheme. Order 2 costs half as much again as order 1 and halves the error.
ORDER = 2
#: Of the loss of maps of distances along the hand, measured for those in the plane: see docs/training.md.
WEIGHT = 4.0


def _signed_edt(scene: Scene) -> NDArray[np.float32]:
    return scene.signed_edt[..., None]


def _geodesic(scene: Scene) -> Encoded:
    if scene.profile == "handmap":
        return _original(scene)
    out = np.empty((scene.size, scene.size, scene.joints), np.float32)
    scale = np.empty(scene.joints, np.float32)
    theta = scene.theta if scene.normalize == "theta" else 0.0
    along.geodesic(scene.silhouette, scene.joints_px, ORDER, scene.slowness, scene.cell, theta, out, scale)
    return Encoded(out, scale)


def _surface(scene: Scene) -> Encoded:
    out = np.empty((scene.size, scene.size, scene.joints), np.float32)
    scale = np.empty(scene.joints, np.float32)
    theta = scene.theta if scene.normalize == "theta" else 0.0
    depth = scene.surface * np.float32(scene.crop.cube.half_side)
    along.geodesic_surface(scene.silhouette, depth, scene.joints_px, scene.slowness, scene.cell, theta, out, scale)
    return Encoded(out, scale)


def _original(scene: Scene) -> Encoded:
    """What the original computes, faults included, with our bit-identical fast marching.

    Spacing 0.1, order 2, from the cell that holds the joint. A joint in the void opens a disc around it to bridge the
    gap, but of a radius in units of the half grid where pixels are meant: H / 2 times too small. So a joint that
    touches the hand by an edge gets a map, and any other one a map of zeros. Hand cells that the march does not
    reach keep the value T_max, because that is what NumPy's masked arithmetic leaves there, unless it exceeds 1.
    """
    mask = scene.silhouette
    cells = np.clip(np.floor(scene.joints_px + 0.5).astype(np.int64), 0, scene.size - 1)
    out = np.zeros((scene.size, scene.size, scene.joints), np.float32)
    scale = np.zeros(scene.joints, np.float32)
    t = np.empty((1, scene.size, scene.size))
    ptr, start, value = np.array([0, 1], np.int32), np.empty(1, np.int32), np.zeros(1)
    rows, cols = np.mgrid[: scene.size, : scene.size]
    for j, (row, col) in enumerate(cells):
        start[0] = row * scene.size + col
        opened = mask
        if not mask[row, col]:
            away = np.hypot(rows - row, cols - col)
            radius = away[mask].min(initial=np.inf) * (2 / scene.size)
            opened = mask | (away <= radius)
        fmm.fast_marching(opened, ptr, start, value, 0.1, 2, t)
        reached = np.isfinite(t[0])
        largest = t[0][reached].max()
        if largest <= 1e-2:
            continue
        plane = np.where(reached, (largest - t[0]) / largest, largest)
        plane[~mask] = 0.0
        plane[plane > 1.0] = 0.0
        out[..., j] = plane
        scale[j] = largest * 10 * scene.cell
    return Encoded(out, scale)


def _weighted(scene: Scene) -> NDArray[np.float32]:
    return scene.get(GEODESIC) * scene.euclidean


def _decode(array: NDArray[np.float32], crop: Crop, scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """To mm by the scale, then to the point that the smallest distances are measured from; z is the surface's."""
    if scale is None or len(scale) != array.shape[-1]:
        raise UsageError("a geodesic map becomes mm by its scale, one a joint: give decode scale=")
    size = array.shape[0]
    known = Scene(crop, size).silhouette
    px = np.empty((array.shape[-1], 2))
    for j in range(len(px)):
        reached = known & (array[..., j] > 0)
        t = (1 - array[..., j]) * float(scale[j]) / (2 * crop.cube.half_side / size)
        px[j] = multilaterate(t, reached) if reached.any() else (size - 1) / 2
    return lift(px, crop, size)


SIGNED_EDT = register_map(
    MapKind(
        name="signed_edt",
        summary="Signed distance to the silhouette's edge, positive inside",
        formula="EDT(silhouette) - EDT(void), between cell centres",
        channels=lambda skeleton: 1,
        value_range=(-np.inf, np.inf),
        encode=_signed_edt,
        unit="mm",
        depends="depth",
        background=True,
        turns=True,
        mirrors=True,
        flat=True,
    )
)
GEODESIC = register_map(
    MapKind(
        name="geodesic",
        weight=WEIGHT,
        summary="Distance from each joint travelled inside the silhouette, near is 1",
        formula="1 - T / max T, |grad T| = 1 inside the silhouette, T = 0 at the joint; 0 in the void",
        channels=len,
        value_range=(0.0, 1.0),
        encode=_geodesic,
        decode=_decode,
        scaled=True,
        original="edt2",
        depends="joint",
        smooth=True,
        factors=("along",),
        turns=True,
        mirrors=True,
        flat=True,
    )
)
GEODESIC_SURFACE = register_map(
    MapKind(
        name="geodesic_surface",
        weight=WEIGHT,
        summary="Distance from each joint along the depth surface: a finger before the palm is no short cut",
        formula="1 - T / max T, T measured in 3D along the triangulated front surface; 0 in the void",
        channels=len,
        value_range=(0.0, 1.0),
        encode=_surface,
        scaled=True,
        depends="joint",
        # Neither turns nor mirrors: the triangles' diagonals do not turn with the crop, which is up to 0.01.
        smooth=True,
    )
)
GEODESIC_WEIGHTED = register_map(
    MapKind(
        name="geodesic_weighted",
        weight=WEIGHT,
        summary="geodesic x euclidean: near both along the hand and in space",
        formula="geodesic(p) * euclidean(p)",
        channels=len,
        value_range=(0.0, 1.0),
        encode=_weighted,
        original="edt2m",
        depends="joint",
        smooth=True,
        factors=("along", "straight"),
        turns=True,
        mirrors=True,
    )
)
