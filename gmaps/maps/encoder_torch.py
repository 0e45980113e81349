"""`Encoder.batch` on tensors: the maps of a batch of crops, on the device where the crops are.

For the training step: a batch then carries depth, cube and joints alone, a thirtieth of the bytes. Importing it
needs torch, the extra `train`; on a GPU distances along the hand also need numba-cuda, the extra `cuda`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gmaps.errors import UsageError
from gmaps.frame import Projection
from gmaps.kernels.march.cells import count_blocks
from gmaps.maps import torch_cells, torch_offsets, torch_planar
from gmaps.maps.encoder import MapParams
from gmaps.maps.geodesic import STEP_MM, STEP_PIXELS
from gmaps.maps.heatmap import SIGMA
from gmaps.maps.heatmap_depth import LEAST
from gmaps.maps.kind import get_map
from gmaps.maps.limb import LIMBS, members_of
from gmaps.maps.options import split_name
from gmaps.maps.scene import FRONT_MM
from gmaps.maps.torch_march import solve
from gmaps.skeleton import Skeleton


class TensorMap(NamedTuple):
    """What is made of a batch.

    Parameters
    ----------
    values : (n, H, H, C) float32
        Or of another grid: see `MapKind.grid`.
    scale : (n, C) float32, optional
        mm that a value of 1 stands for, of kinds normalised per channel.
    """

    values: Tensor
    scale: Tensor | None = None


class TensorScene:
    """A batch of crops on the map's grid: what the kinds share, computed when first asked for and then kept.

    As `gmaps.maps.Scene`, of n crops at once; every crop has a hand and a finite cube.

    Parameters
    ----------
    depth : (n, S, S) float32
    cube : (n, 4) float32
    joints : (n, J, 3) float32
    projection, params, skeleton
        As for `TorchEncoder`.
    """

    def __init__(
        self, depth: Tensor, cube: Tensor, joints: Tensor, projection: Projection, params: MapParams,
        skeleton: Skeleton | None,
    ) -> None:  # fmt: skip
        self.depth, self.cube, self.joints, self.params, self.skeleton = depth, cube, joints, params, skeleton
        self.perspective = projection == "perspective"

    @functools.cached_property
    def _pooled(self) -> tuple[Tensor, Tensor]:
        thickness = (FRONT_MM / self.cube[:, 3].double()).float()
        return torch_planar.pool(self.depth, self.params.size, thickness)

    @property
    def silhouette(self) -> Tensor:
        """(n, H, H) bool."""
        return self._pooled[0]

    @functools.cached_property
    def joints_px(self) -> Tensor:
        """(n, J, 2) float64: (row, col) on the map's grid."""
        return torch_planar.joints_px(self.joints, self.cube, self.params.size, self.perspective)

    @functools.cached_property
    def theta(self) -> Tensor:
        """(n,) float64: the sides of the cubes, mm."""
        return 2 * self.cube[:, 3].double()

    @functools.cached_property
    def signed_edt(self) -> TensorMap:
        """See `gmaps.maps.Scene.signed_edt`."""
        return TensorMap(torch_planar.signed_edt(self.depth, self.params.size, self.theta.float())[..., None])

    @functools.cached_property
    def _towards(self) -> tuple[Tensor, Tensor]:
        points = torch_planar.surface_points(self._pooled[1], self.cube, self.perspective)
        return torch_planar.towards(points, self.joints)

    @functools.cached_property
    def euclidean(self) -> TensorMap:
        """See `gmaps.maps.Scene.euclidean`."""
        limit = self.theta.float()[:, None, None, None]
        near = 1 - torch.minimum(self._towards[1], limit) / limit
        return TensorMap(torch.where(self.silhouette[..., None], near, 0.0))

    @functools.cached_property
    def offset(self) -> TensorMap:
        """Closeness, then unit vectors."""
        away, length = self._towards
        wanted = (length > 1e-6) & self.silhouette[..., None]
        unit = torch.where(wanted[..., None], away / length[..., None].clamp(min=1e-6), 0.0)
        return TensorMap(torch.cat([self.euclidean.values, unit.flatten(3)], dim=3))

    @functools.cached_property
    def geodesic(self) -> TensorMap:
        """Distances over the hand's pixels."""
        return self._along(None)

    @functools.cached_property
    def geodesic_surface(self) -> TensorMap:
        """Distances along the surface."""
        # In cube units, of which a pixel is 2 / S.
        least = STEP_PIXELS * 2 / self.depth.shape[1]
        return self._along((STEP_MM / self.cube[:, 3].double()).clamp(min=least).float())

    @functools.cached_property
    def geodesic_weighted(self) -> TensorMap:
        """Both, multiplied."""
        return TensorMap(self.geodesic.values * self.euclidean.values)

    def _along(self, step: Tensor | None) -> TensorMap:
        p = self.params
        blocks = int(count_blocks(self.depth.shape[1], p.size))
        solver = solve
        if self.depth.is_cuda:
            from gmaps.maps.torch_gpu import solve_on_gpu as solver  # here: it needs an extra, and a GPU
        t = torch_cells.march(
            self.silhouette, self.depth, self.joints_px, blocks, step=step, slowness=float(p.bridge), solver=solver
        )
        theta = self.theta if p.normalize == "theta" else None
        return TensorMap(*torch_cells.nearness(t, self.theta / p.size, theta))

    @functools.cached_property
    def heatmap(self) -> TensorMap:
        """Gaussians."""
        return TensorMap(torch_planar.heatmap(self.joints_px, self.params.size, SIGMA))

    def limbs(self, probabilistic: bool, grouping: str) -> TensorMap:
        """Closeness to bones."""
        skeleton = self.skeleton
        if skeleton is None:
            raise UsageError("limb maps need to know the bones: give the encoder a skeleton")
        bones = torch.tensor(skeleton.bones, device=self.depth.device).reshape(-1, 2)
        members = members_of(skeleton, grouping)
        return TensorMap(torch_planar.limbs(self.joints_px, bones, members, probabilistic, self.params.size))

    def _uvd(self) -> tuple[Tensor, Tensor]:
        """Surface points and joints in columns, rows and depth, mm from the cube's centre."""
        size = self.params.size
        points = torch_offsets.uvd_points(self._pooled[1], self.cube)
        return points, torch_offsets.uvd_joints(self.joints, self.joints_px, self.cube, size)

    def ball_offset(self, k: float, axes: str) -> TensorMap:
        """Unit vectors, then closeness, within a ball around each joint."""
        if axes == "uvd":
            points, joints = self._uvd()
        else:
            points, joints = torch_planar.surface_points(self._pooled[1], self.cube, self.perspective), self.joints
        return TensorMap(torch.cat(torch_offsets.ball(points, self.silhouette, joints, k), dim=-1))

    def heatmap_depth(self, sigma: float) -> TensorMap:
        """Gaussians, then how far joints lie behind the surface."""
        heat = torch_planar.heatmap(self.joints_px, self.params.size, sigma)
        return TensorMap(torch.cat([heat, self._behind(heat, LEAST)], dim=-1))

    def pixel_offset(self) -> TensorMap:
        """From every cell to every joint."""
        points, joints = self._uvd()
        away = joints[:, None, None] - points[..., None, :]
        return TensorMap((away / self.cube[:, 3, None, None, None, None]).flatten(3))

    def plane_offset(self, k: float) -> TensorMap:
        """Unit vectors and closeness in the plane, then how far joints lie behind the surface."""
        points, joints = self._uvd()
        units, near = torch_offsets.ball(points[..., :2], self.silhouette, joints[..., :2], k)
        return TensorMap(torch.cat([units, near, self._behind(near, 0.0)], dim=-1))

    def _behind(self, near: Tensor, least: float) -> Tensor:
        return torch_offsets.behind(near, self._pooled[1], self.silhouette, self.joints, self.cube, least)

    def points(self, n: int) -> TensorMap:
        """(n, P, 3): points of the surface in cube units."""
        found, some = torch_offsets.cloud(self.depth, self.cube, n, self.perspective)
        unit = (found - self.cube[:, None, :3]) / self.cube[:, None, 3:]
        return TensorMap(torch.where(some[:, None, None], unit, 0.0))

    def point_offset(self, n: int, k: float) -> TensorMap:
        """(n, P, 4 J): a ball offset at each point."""
        found, some = torch_offsets.cloud(self.depth, self.cube, n, self.perspective)
        hand = some[:, None].expand(found.shape[:2])
        return TensorMap(torch.cat(torch_offsets.ball(found, hand, self.joints, k), dim=-1))


def _limbs(probabilistic: bool, grouping: str) -> Callable[[TensorScene], TensorMap]:
    return lambda scene: scene.limbs(probabilistic, grouping)


#: Kind -> how it is made of tensors, given the kind's parameters. Whoever registers a kind may add its way here.
WAYS: dict[str, Callable[..., TensorMap]] = {
    "signed_edt": lambda scene: scene.signed_edt,
    "geodesic": lambda scene: scene.geodesic,
    "geodesic_weighted": lambda scene: scene.geodesic_weighted,
    "geodesic_surface": lambda scene: scene.geodesic_surface,
    "euclidean": lambda scene: scene.euclidean,
    "offset": lambda scene: scene.offset,
    "heatmap": lambda scene: scene.heatmap,
    **{name: _limbs(*how) for name, how in LIMBS.items()},
    "ball_offset": TensorScene.ball_offset,
    "heatmap_depth": TensorScene.heatmap_depth,
    "pixel_offset": TensorScene.pixel_offset,
    "plane_offset": TensorScene.plane_offset,
    "points": TensorScene.points,
    "point_offset": TensorScene.point_offset,
}


class TorchEncoder:
    """Crops to maps, on tensors.

    Parameters
    ----------
    params
        Which maps, and how; `profile` is "default".
    skeleton
        For kinds that draw bones.

    Raises
    ------
    UsageError
        A kind that cannot be made of tensors, or the original's profile.
    """

    def __init__(self, params: MapParams, skeleton: Skeleton | None = None) -> None:
        self.params, self.skeleton = params, skeleton
        lacking = cannot_make(params)
        if lacking:
            raise UsageError(f"{lacking}; the CPU's encoder can")

    def batch(
        self, depth: Tensor, cube: Tensor, joints: Tensor, projection: Projection = "orthographic"
    ) -> dict[str, TensorMap]:
        """All maps of n crops; see `gmaps.maps.Encoder.batch`, with whose maps they agree.

        Parameters
        ----------
        depth : (n, S, S) float32
            Cube units.
        cube : (n, 4) float32
            Centre and half side, mm; NaN for a rejected frame, whose maps are 0.
        joints : (n, J, 3) float32
            mm; of a rejected frame they may be NaN.
        projection
            Of the crops.

        Returns
        -------
        dict
            Kind -> `TensorMap`, on the device of `depth`.

        Raises
        ------
        UsageError
            Tensors of other shapes or devices.
        """
        if depth.ndim != 3 or cube.shape != (len(depth), 4) or joints.ndim != 3 or len(joints) != len(depth):
            raise UsageError(
                f"a batch is depth (n, S, S), cube (n, 4) and joints (n, J, 3), got {tuple(depth.shape)}, "
                f"{tuple(cube.shape)} and {tuple(joints.shape)}"
            )
        if not depth.device == cube.device == joints.device:
            raise UsageError(f"one device for all: depth is on {depth.device}, joints on {joints.device}")
        with torch.no_grad():
            known = cube.isfinite().all(dim=1)
            # What is not there is left out by what stands in for it: a void, in a cube like any other.
            some = torch.where(known[:, None, None], depth.float(), 1.0)
            place = torch.where(known[:, None], cube.float(), cube.new_tensor([0.0, 0.0, 500.0, 120.0]))
            where = torch.where(known[:, None, None], joints.float(), place[:, None, :3])
            scene = TensorScene(some, place, where, projection, self.params, self.skeleton)
            return {name: _of_known(_way(name)(scene), known) for name in self.params.maps}


def _way(name: str) -> Callable[[TensorScene], TensorMap]:
    """How a kind is made: by its family, whatever its parameters."""
    return functools.partial(WAYS[split_name(name)[0]], **get_map(name).parameters)


def _of_known(made: TensorMap, known: Tensor) -> TensorMap:
    """What was made of what stood in for a rejected frame is 0."""
    wanted = known.reshape(-1, *[1] * (made.values.ndim - 1))
    return TensorMap(torch.where(wanted, made.values, 0.0), made.scale)


def cannot_make(params: MapParams) -> str:
    """Why these maps cannot be made of tensors, in words; empty where they can."""
    if params.profile != "default":
        return f'maps of profile "{params.profile}" are not made of tensors'
    lacking = [name for name in params.maps if split_name(name)[0] not in WAYS]
    return f"{', '.join(lacking)} cannot be made of tensors, only {', '.join(WAYS)}" if lacking else ""


#: The same name as on the CPU.
Encoder = TorchEncoder
