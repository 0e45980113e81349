"""Maps in voxels: what a 3D network reads, on a grid of twice the maps' size, and what it learns.

Axes are x, y, z; V is 2 H for what is read (`occupancy`, `density`, `tsdf`, `truncated_distance`) and H for the rest.
A voxel is occupied if a point of the crop lies in it; the others are void, and 0 in kinds with values for each joint.
A joint outside the cube is moved to the nearest place in it, but for `voxel_vector` and `voxel_offset`, which can
point there; `Crop.inside` flags it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.frame import Crop
from gmaps.kernels import voxel
from gmaps.kernels.march import voxel as voxel_march
from gmaps.maps.base import Encoded, MapKind, Scene, register_map
from gmaps.maps.decode import vote
from gmaps.maps.multiview import points, voxels
from gmaps.skeleton import Skeleton

#: Neighbouring pixels whose depths differ by less (mm) lie on one surface, as in a crop.
SAME_SURFACE = 10.0


def centers(index: NDArray[np.integer], crop: Crop, size: int) -> NDArray[np.float64]:
    """Centres of voxels.

    Parameters
    ----------
    index : (n,) int
        Raveled, z fastest.
    crop
        Gives the cube.
    size
        V.

    Returns
    -------
    (n, 3) float64
        mm, camera axes.
    """
    xyz = np.stack(np.unravel_index(index, (size,) * 3), axis=-1)
    return ((xyz + 0.5) / size * 2 - 1) * crop.cube.half_side + np.asarray(crop.cube.center)


def joint_cells(crop: Crop, size: int) -> NDArray[np.int64]:
    """(J,) int64: the raveled voxel of each joint, of one outside the cube the nearest."""
    at = np.floor((crop.joints.astype(np.float64) + 1) / 2 * size)
    x, y, z = np.clip(at, 0, size - 1).astype(np.int64).T
    raveled: NDArray[np.int64] = (x * size + y) * size + z
    return raveled


def _counted(scene: Scene) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Occupied voxels of the grid that is read, and how many points each voxel of it holds."""

    def make() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        counts = np.zeros((2 * scene.size) ** 3, np.float32)
        return voxel.count(points(scene), 2 * scene.size, counts), counts

    found: tuple[NDArray[np.int64], NDArray[np.float32]] = scene.once("counted", make)
    return found


def _occupied(scene: Scene) -> NDArray[np.int64]:
    """Occupied voxels of the grid that is learned, ascending."""
    found: NDArray[np.int64] = scene.once("occupied", lambda: np.flatnonzero(voxels(scene)))
    return found


def _joined(scene: Scene) -> NDArray[np.bool_]:
    """Occupied voxels and those that the surface passes between neighbouring pixels."""
    crop = scene.crop
    out = voxels(scene).copy()
    depth = np.ascontiguousarray(crop.depth, np.float32)
    h = crop.cube.half_side
    voxel.join(depth, *crop.cube.center, h, crop.projection == "perspective", SAME_SURFACE / h, out)
    return out


def _cube(size: int, channels: int) -> NDArray[np.float32]:
    return np.zeros((size, size, size, channels), np.float32)


def _relative(scene: Scene) -> NDArray[np.float64]:
    return scene.crop.joints_mm.astype(np.float64) - np.asarray(scene.crop.cube.center)


def _occupancy(scene: Scene) -> NDArray[np.float32]:
    out = _cube(2 * scene.size, 1)
    out.reshape(-1)[_counted(scene)[0]] = 1
    return out


def _density(scene: Scene) -> NDArray[np.float32]:
    out = _cube(2 * scene.size, 1)
    cells, counts = _counted(scene)
    out.reshape(-1)[cells] = counts[cells] / counts[cells].max(initial=1)
    return out


def _tsdf(scene: Scene) -> NDArray[np.float32]:
    size = 2 * scene.size
    out = np.empty((size, size, size, 3), np.float32)
    voxel.tsdf(_counted(scene)[0], size, out.reshape(-1))
    return _far_is_zero(out) if scene.profile == "handmap" else out


def _truncated(scene: Scene) -> NDArray[np.float32]:
    size = 2 * scene.size
    out = np.empty((size, size, size, 1), np.float32)
    voxel.truncated_distance(_counted(scene)[0], size, out.reshape(-1))
    return _far_is_zero(out) if scene.profile == "handmap" else out


def _far_is_zero(out: NDArray[np.float32]) -> NDArray[np.float32]:
    # Beyond its narrow band the original keeps the 0 that stands for "on the surface".
    out[np.abs(out) == 1] = 0
    return out


def _joint(scene: Scene) -> NDArray[np.float32]:
    out = _cube(scene.size, scene.joints)
    out.reshape(-1, scene.joints)[joint_cells(scene.crop, scene.size), np.arange(scene.joints)] = 1
    return out


def _label(scene: Scene) -> Encoded:
    side = np.full(scene.joints, scene.cell, np.float32)
    return Encoded(joint_cells(scene.crop, scene.size).astype(np.float32), side)


def _vector(scene: Scene) -> NDArray[np.float32]:
    out = _cube(scene.size, 3 * scene.joints)
    flat = out.reshape(-1, 3 * scene.joints)
    voxel.vectors(_occupied(scene), scene.size, _relative(scene), scene.theta, flat)
    return out


def _offset(scene: Scene) -> NDArray[np.float32]:
    out = _cube(scene.size, 4 * scene.joints)
    flat = out.reshape(-1, 4 * scene.joints)
    voxel.offsets(_occupied(scene), scene.size, _relative(scene), scene.theta, flat)
    return out


def _geodesic(scene: Scene) -> Encoded:
    out = _cube(scene.size, scene.joints)
    scale = np.empty(scene.joints, np.float32)
    at = _relative(scene) / scene.cell + (scene.size - 1) / 2
    theta = scene.theta if scene.normalize == "theta" else 0.0
    flat = out.reshape(-1, scene.joints)
    occupied = voxels(scene)
    passed = occupied if scene.profile == "handmap" else _joined(scene)
    cells = np.flatnonzero(passed)
    voxel_march.geodesic(cells, occupied.reshape(-1), scene.size, at, scene.cell, theta, flat, scale)
    return Encoded(out, scale)


def _decode_offset(array: NDArray[np.float32], crop: Crop, scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """As `offset`, from the voxels' centres."""
    size, joints = len(array), array.shape[-1] // 4
    hand = _occupied(Scene(crop, size))
    values = array.reshape(-1, 4 * joints)[hand]
    return vote(centers(hand, crop, size), values, 2 * crop.cube.half_side)


def _decode_joint(array: NDArray[np.float32], crop: Crop, scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Centre of each joint's largest voxel."""
    return centers(array.reshape(-1, array.shape[-1]).argmax(axis=0), crop, len(array)).astype(np.float32)


def _decode_label(array: NDArray[np.float32], crop: Crop, scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Centre of each joint's voxel."""
    if scale is None or len(scale) != len(array):
        raise UsageError("labels count voxels whose side is their scale, one a joint, mm: give decode scale=")
    size = round(2 * crop.cube.half_side / float(scale[0]))
    index = np.rint(array).astype(np.int64)
    if index.min(initial=0) < 0 or index.max(initial=0) >= size**3:
        raise UsageError(f"labels of {size} x {size} x {size} voxels are 0 to {size**3 - 1}, got {index.tolist()}")
    return centers(index, crop, size).astype(np.float32)


def _read(size: int) -> tuple[int, ...]:
    return (2 * size,) * 3


def _learned(size: int) -> tuple[int, ...]:
    return (size,) * 3


def _times(n: int) -> Callable[[Skeleton], int]:
    return lambda skeleton: n * len(skeleton)


OCCUPANCY = register_map(
    MapKind(
        name="occupancy",
        summary="Voxels, twice as fine as the maps: 1 where a point lies",
        formula="1 if a point of the crop lies in the voxel, else 0",
        channels=lambda skeleton: 1,
        value_range=(0.0, 1.0),
        encode=_occupancy,
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
        original="tsdf3",
        grid=_read,
        depends="depth",
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
        original="truncd",
        grid=_read,
        depends="depth",
    )
)
VOXEL_JOINT = register_map(
    MapKind(
        name="voxel_joint",
        summary="Voxels: 1 in each joint's",
        formula="1 in the joint's voxel, or the nearest to a joint outside the cube, else 0",
        channels=len,
        value_range=(0.0, 1.0),
        encode=_joint,
        decode=_decode_joint,
        original="pose_hit",
        grid=_learned,
        depends="joint",
    )
)
VOXEL_LABEL = register_map(
    MapKind(
        name="voxel_label",
        summary="The number of each joint's voxel; the scale is a voxel's side",
        formula="(x V + y) V + z of the joint's voxel, or the nearest to a joint outside the cube",
        channels=len,
        value_range=(0.0, np.inf),
        encode=_label,
        decode=_decode_label,
        scaled=True,
        original="pose_lab",
        grid=lambda size: (),
        # Larger than float16 counts.
        keep_as="float32",
        depends="joint",
    )
)
VOXEL_VECTOR = register_map(
    MapKind(
        name="voxel_vector",
        summary="Voxels: from each occupied one's centre to each joint",
        formula="x_j - x(v) in mm, x y z, joint by joint; 0 in the void",
        channels=_times(3),
        value_range=(-np.inf, np.inf),
        encode=_vector,
        unit="mm",
        original="vxoff",
        grid=_learned,
    )
)
VOXEL_OFFSET = register_map(
    MapKind(
        name="voxel_offset",
        summary="Voxels: offset, from each occupied one's centre",
        formula="1 - min(d, theta) / theta of all joints, then unit vectors x y z joint by joint; 0 in the void",
        channels=_times(4),
        value_range=(-1.0, 1.0),
        encode=_offset,
        decode=_decode_offset,
        original="vxudir",
        grid=_learned,
    )
)
VOXEL_GEODESIC = register_map(
    MapKind(
        name="voxel_geodesic",
        summary="Voxels: distance from each joint travelled through occupied ones, near is 1",
        formula="1 - T / max T, |grad T| = 1 in occupied voxels; 0 in the void",
        channels=len,
        value_range=(0.0, 1.0),
        encode=_geodesic,
        scaled=True,
        original="vxedt",
        grid=_learned,
        depends="joint",
    )
)
