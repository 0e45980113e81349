"""Maps in voxels that a 3D network reads, on a grid of twice the maps' size: V = 2 H, axes x, y, z.

A voxel is occupied if a point of the crop lies in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.kernels import voxel
from gmaps.maps import original
from gmaps.maps.kind import MapKind, register_map
from gmaps.maps.multiview import points
from gmaps.maps.scene import Scene


def _counted(scene: Scene) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Occupied voxels of the grid that is read, and how many points each voxel of it holds."""

    def make() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        counts = np.zeros((2 * scene.size) ** 3, np.float32)
        return voxel.count(points(scene), 2 * scene.size, counts), counts

    found: tuple[NDArray[np.int64], NDArray[np.float32]] = scene.once("counted", make)
    return found


def empty_cube(size: int, channels: int) -> NDArray[np.float32]:
    """(V, V, V, C) float32, of 0."""
    return np.zeros((size, size, size, channels), np.float32)


def _occupancy(scene: Scene) -> NDArray[np.float32]:
    out = empty_cube(2 * scene.size, 1)
    out.reshape(-1)[_counted(scene)[0]] = 1
    return out


def _density(scene: Scene) -> NDArray[np.float32]:
    out = empty_cube(2 * scene.size, 1)
    cells, counts = _counted(scene)
    out.reshape(-1)[cells] = counts[cells] / counts[cells].max(initial=1)
    return out


def _tsdf(scene: Scene) -> NDArray[np.float32]:
    size = 2 * scene.size
    if scene.profile == "handmap":
        return original.tsdf(_occupancy(scene)[..., 0] > 0)
    out = np.empty((size, size, size, 3), np.float32)
    voxel.tsdf(_counted(scene)[0], size, out.reshape(-1))
    return out


def _truncated(scene: Scene) -> NDArray[np.float32]:
    size = 2 * scene.size
    if scene.profile == "handmap":
        return original.truncated_distance(_occupancy(scene)[..., 0] > 0)[..., None]
    out = np.empty((size, size, size, 1), np.float32)
    voxel.truncated_distance(_counted(scene)[0], size, out.reshape(-1))
    return out


def _read(size: int) -> tuple[int, ...]:
    return (2 * size,) * 3


OCCUPANCY = register_map(
    MapKind(
        name="occupancy",
        summary="Voxels, twice as fine as the maps: 1 where a point lies",
        formula="1 if a point of the crop lies in the voxel, else 0",
        channels=lambda skeleton: 1,
        value_range=(0.0, 1.0),
        encode=_occupancy,
        background=True,
        original="vxhit",
        grid=_read,
        depends="depth",
    )
)
DENSITY = register_map(
    MapKind(
        name="density",
        summary="Voxels, twice as fine as the maps: how many points lie in each",
        formula="points in the voxel / most points in any voxel",
        channels=lambda skeleton: 1,
        value_range=(0.0, 1.0),
        encode=_density,
        background=True,
        original="pcnt3",
        grid=_read,
        depends="depth",
    )
)
TSDF = register_map(
    MapKind(
        name="tsdf",
        summary="Voxels, twice as fine as the maps: signed distance to the surface as seen along x, y and z",
        formula="+-min(d, 3) / 3, d voxels to the nearest seen one; + before what is seen along the axis, - behind",
        channels=lambda skeleton: 3,
        value_range=(-1.0, 1.0),
        encode=_tsdf,
        background=True,
        original="tsdf3",
        grid=_read,
        depends="depth",
        names=lambda skeleton: ["seen along x", "seen along y", "seen along z"],
    )
)
TRUNCATED_DISTANCE = register_map(
    MapKind(
        name="truncated_distance",
        summary="Voxels, twice as fine as the maps: distance to the surface",
        formula="min(d, 3) / 3, d voxels to the nearest occupied one",
        channels=lambda skeleton: 1,
        value_range=(0.0, 1.0),
        encode=_truncated,
        background=True,
        original="truncd",
        grid=_read,
        depends="depth",
    )
)
