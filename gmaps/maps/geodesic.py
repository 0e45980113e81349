"""Distances inside the silhouette: to its edge, and from the joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop
from gmaps.kernels.planar import along
from gmaps.maps import original
from gmaps.maps.decode import lift, multilaterate
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.scene import Encoded, Scene

#: Pixels side by side whose depths differ by more (mm, and pixels) lie on two surfaces, as in a crop.
STEP_MM, STEP_PIXELS = 10.0, 3.0
#: Of the loss of maps of distances along the hand, measured for those in the plane: see docs/training.md.
WEIGHT = 4.0


def _signed_edt(scene: Scene) -> NDArray[np.float32]:
    return scene.signed_edt[..., None]


def _geodesic(scene: Scene) -> Encoded:
    if scene.profile == "handmap":
        values, cells = original.geodesic(scene.silhouette, scene.joints_px)
        return Encoded(values, cells * np.float32(scene.cell))
    out = np.empty((scene.size, scene.size, scene.joints), np.float32)
    scale = np.empty(scene.joints, np.float32)
    theta = scene.theta if scene.normalize == "theta" else 0.0
    depth = np.ascontiguousarray(scene.crop.depth, np.float32)
    along.geodesic(scene.silhouette, depth, scene.joints_px, scene.slowness, scene.cell, theta, out, scale)
    return Encoded(out, scale)


def _surface(scene: Scene) -> Encoded:
    out = np.empty((scene.size, scene.size, scene.joints), np.float32)
    scale = np.empty(scene.joints, np.float32)
    theta = scene.theta if scene.normalize == "theta" else 0.0
    if scene.profile == "handmap":
        z = scene.surface * np.float32(scene.crop.cube.half_side)
        along.surface_of_cells(scene.silhouette, z, scene.joints_px, scene.slowness, scene.cell, theta, out, scale)
        return Encoded(out, scale)
    depth = np.ascontiguousarray(scene.crop.depth, np.float32)
    # In cube units, of which a pixel is 2 / S.
    step = max(STEP_MM / scene.crop.cube.half_side, STEP_PIXELS * 2 / scene.crop.size)
    px, slowness = scene.joints_px, scene.slowness
    along.geodesic_surface(scene.silhouette, depth, step, px, slowness, scene.cell, theta, out, scale)
    return Encoded(out, scale)


def _weighted(scene: Scene) -> NDArray[np.float32]:
    return scene.get(GEODESIC) * scene.euclidean


def _decode(array: NDArray[np.float32], crop: Crop, scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """To mm by the scale, then to the point that the smallest distances are measured from; z is the surface's."""
    if scale is None or len(scale) != array.shape[-1]:
        raise UsageError("a geodesic map becomes mm by its scale, one a joint: give decode scale=")
    size = array.shape[0]
    at = Scene(crop, size).anchors
    known = np.isfinite(at[..., 0])
    px = np.empty((array.shape[-1], 2))
    for j in range(len(px)):
        reached = known & (array[..., j] > 0)
        t = (1 - array[..., j]) * float(scale[j]) / (2 * crop.cube.half_side / size)
        px[j] = multilaterate(t[reached], at[reached]) if reached.any() else (size - 1) / 2
    return lift(px, crop, size)


SIGNED_EDT = register_map(
    MapKind(
        name="signed_edt",
        summary="Signed distance to the silhouette's edge, positive inside",
        formula="EDT(silhouette) - EDT(void) of the crop's pixels, at the cell's centre",
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
        formula="1 - T / max T, |grad T| = 1 over the crop's hand pixels, T = 0 at the joint; 0 in the void",
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
