"""Maps in voxels that a 3D network learns: V = H, axes x, y, z.

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
from gmaps.kernels.march import voxel_march
from gmaps.maps import original
from gmaps.maps.decode import vote
from gmaps.maps.geodesic import WEIGHT
from gmaps.maps.kind import MapKind, each_along, register_map, with_directions
from gmaps.maps.multiview import voxels
from gmaps.maps.occupancy import empty_cube
from gmaps.maps.scene import Encoded, Scene
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
    result: NDArray[np.float64] = ((xyz + 0.5) / size * 2 - 1) * crop.cube.half_side + np.asarray(crop.cube.center)
    return result


def as_image(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map as images, one a channel: itself in the plane; voxels with rows y and columns x.

    Parameters
    ----------
    values : (H, W, C) or (V, V, V, C)
        Of voxels what is largest along z is seen, or the middle cut where all have a value.

    Returns
    -------
    (H, W, C) float32
    """
    if values.ndim == 3:
        return values
    if np.count_nonzero(values) > values.size / 2:
        seen = values[:, :, values.shape[2] // 2]
    else:
        at = np.abs(values).argmax(axis=2)[:, :, None]
        seen = np.take_along_axis(values, at, axis=2)[:, :, 0]
    return seen.swapaxes(0, 1)


def joint_cells(crop: Crop, size: int) -> NDArray[np.int64]:
    """(J,) int64: the raveled voxel of each joint, of one outside the cube the nearest."""
    at = np.floor((crop.joints.astype(np.float64) + 1) / 2 * size)
    x, y, z = np.clip(at, 0, size - 1).astype(np.int64).T
    raveled: NDArray[np.int64] = (x * size + y) * size + z
    return raveled


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


def _relative(scene: Scene) -> NDArray[np.float64]:
    result: NDArray[np.float64] = scene.crop.joints_mm.astype(np.float64) - np.asarray(scene.crop.cube.center)
    return result


def _joint(scene: Scene) -> NDArray[np.float32]:
    out = empty_cube(scene.size, scene.joints)
    out.reshape(-1, scene.joints)[joint_cells(scene.crop, scene.size), np.arange(scene.joints)] = 1
    return out


def _label(scene: Scene) -> Encoded:
    side = np.full(scene.joints, scene.cell, np.float32)
    return Encoded(joint_cells(scene.crop, scene.size).astype(np.float32), side)


def _vector(scene: Scene) -> NDArray[np.float32]:
    out = empty_cube(scene.size, 3 * scene.joints)
    flat = out.reshape(-1, 3 * scene.joints)
    voxel.vectors(_occupied(scene), scene.size, _relative(scene), scene.theta, flat)
    return out


def _offset(scene: Scene) -> NDArray[np.float32]:
    out = empty_cube(scene.size, 4 * scene.joints)
    flat = out.reshape(-1, 4 * scene.joints)
    if scene.profile == "handmap":
        near, unit = original.voxel_distances(_occupied(scene), scene.size, scene.crop)
        flat[_occupied(scene)] = np.hstack([near, unit.reshape(len(near), -1)])
        return out
    voxel.offsets(_occupied(scene), scene.size, _relative(scene), scene.theta, flat)
    return out


def _geodesic(scene: Scene) -> Encoded:
    occupied = voxels(scene)
    if scene.profile == "handmap":
        values, longest = original.voxel_geodesic(occupied, joint_cells(scene.crop, scene.size))
        return Encoded(values, longest * np.float32(scene.cell))
    out = empty_cube(scene.size, scene.joints)
    scale = np.empty(scene.joints, np.float32)
    at = _relative(scene) / scene.cell + (scene.size - 1) / 2
    theta = scene.theta if scene.normalize == "theta" else 0.0
    flat = out.reshape(-1, scene.joints)
    cells = np.flatnonzero(_joined(scene))
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


def _learned(size: int) -> tuple[int, ...]:
    return (size,) * 3


def _times(n: int) -> Callable[[Skeleton], int]:
    return lambda skeleton: n * len(skeleton)


VOXEL_JOINT = register_map(
    MapKind(
        name="voxel_joint",
        summary="Voxels: 1 in each joint's",
        formula="1 in the joint's voxel, or the nearest to a joint outside the cube, else 0",
        channels=len,
        value_range=(0.0, 1.0),
        encode=_joint,
        background=True,
        loss="cross_entropy",
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
        names=each_along,
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
        names=with_directions,
    )
)
VOXEL_GEODESIC = register_map(
    MapKind(
        name="voxel_geodesic",
        weight=WEIGHT,
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
