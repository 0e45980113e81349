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
from gmaps.maps import torch_cells, torch_planar
from gmaps.maps.encoder import MapParams
from gmaps.maps.geodesic import STEP_MM, STEP_PIXELS
from gmaps.maps.heatmap import SIGMA
from gmaps.maps.limb import LIMBS, members_of
from gmaps.maps.scene import FRONT_MM
from gmaps.maps.torch_march import solve
from gmaps.skeleton import Skeleton


class TensorMap(NamedTuple):
    """What is made of a batch.

    Parameters
    ----------
    values : (n, H, H, C) float32
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


def _limbs(probabilistic: bool, grouping: str) -> Callable[[TensorScene], TensorMap]:
    return lambda scene: scene.limbs(probabilistic, grouping)


#: Kind -> how it is made of tensors. Whoever registers a kind of map may add its way here.
WAYS: dict[str, Callable[[TensorScene], TensorMap]] = {
    "signed_edt": lambda scene: scene.signed_edt,
    "geodesic": lambda scene: scene.geodesic,
    "geodesic_weighted": lambda scene: scene.geodesic_weighted,
    "geodesic_surface": lambda scene: scene.geodesic_surface,
    "euclidean": lambda scene: scene.euclidean,
    "offset": lambda scene: scene.offset,
    "heatmap": lambda scene: scene.heatmap,
    **{name: _limbs(*how) for name, how in LIMBS.items()},
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
            made = {name: WAYS[name](scene) for name in self.params.maps}
            return {
                name: TensorMap(torch.where(known[:, None, None, None], m.values, 0.0), m.scale)
                for name, m in made.items()
            }


def cannot_make(params: MapParams) -> str:
    """Why these maps cannot be made of tensors, in words; empty where they can."""
    if params.profile != "default":
        return f'maps of profile "{params.profile}" are not made of tensors'
    lacking = [name for name in params.maps if name not in WAYS]
    return f"{', '.join(lacking)} cannot be made of tensors, only {', '.join(WAYS)}" if lacking else ""


#: The same name as on the CPU.
Encoder = TorchEncoder
