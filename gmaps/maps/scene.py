"""A crop on the grid of its maps, and what a kind of map makes of it.

Symbols used in every docstring of this package: S rows and columns of the crop, H of the map, J joints, C channels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gmaps.frame import Crop
from gmaps.kernels import edt
from gmaps.kernels.march import cells
from gmaps.kernels.planar import straight
from gmaps.kernels.planar.pool import pool
from gmaps.maps import original
from gmaps.skeleton import Skeleton

Profile = Literal["default", "handmap"]
Normalize = Literal["joint", "theta"]

#: Part of a store's fingerprint: raise it with every change that moves a value of any map.
MAPS_VERSION = 4
#: Pixels of a cell that lie more than this behind its nearest one (mm) are not its front surface.
FRONT_MM = 15.0


class Encoded(NamedTuple):
    """What a kind makes of a scene.

    Parameters
    ----------
    values : (H, H, C) float32
        Or of another grid: see `MapKind.grid`.
    scale : (C,) float32, optional
        mm that a value of 1 stands for, of kinds normalised per channel.
    """

    values: NDArray[np.float32]
    scale: NDArray[np.float32] | None = None


class Encodable(Protocol):
    """What a scene must know of a kind of map: `gmaps.maps.MapKind` is one."""

    @property
    def name(self) -> str:
        """Unique."""

    def made_of(self, scene: Scene) -> Encoded:
        """The map."""


class Scene:
    """One crop on the map's grid: what the kinds share, computed when first asked for and then kept.

    Parameters
    ----------
    crop
        What the maps are of: of the hand in it, where it tells the hand from the scene.
    size
        H, rows and columns of the maps.
    profile
        "default", or "handmap" for what the original code computes.
    normalize
        What geodesic maps are divided by: each joint's own maximum, or theta.
    skeleton
        For kinds that draw bones.
    slowness
        Cost of the void for geodesic maps, where parts of the hand are cut off from a joint; 0 leaves them at 0.
    """

    def __init__(
        self,
        crop: Crop,
        size: int = 32,
        profile: Profile = "default",
        normalize: Normalize = "joint",
        skeleton: Skeleton | None = None,
        slowness: float = 0.0,
    ) -> None:
        self.crop, self.size = crop.hand_only(), size
        self.profile, self.normalize, self.skeleton = profile, normalize, skeleton
        self.slowness = slowness
        self._made: dict[str, Encoded] = {}
        self._kept: dict[str, Any] = {}

    @property
    def joints(self) -> int:
        """J."""
        return len(self.crop.joints_mm)

    @property
    def cell(self) -> float:
        """Size of a cell, mm."""
        return 2 * self.crop.cube.half_side / self.size

    @property
    def theta(self) -> float:
        """The side of the cube, mm: distances count up to here."""
        return 2 * self.crop.cube.half_side

    @functools.cached_property
    def _pooled(self) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        depth = np.ascontiguousarray(self.crop.depth, np.float32)
        if self.profile == "handmap":
            step = original.stride(self.crop.size, self.size)
            sliced = np.ascontiguousarray(depth[::step, ::step])
            return original.hand_of(sliced), sliced
        result: tuple[NDArray[np.bool_], NDArray[np.float32]] = pool(
            depth, self.size, FRONT_MM / self.crop.cube.half_side
        )
        return result

    def pool_is(self, silhouette: NDArray[np.bool_], surface: NDArray[np.float32]) -> None:
        """Silhouette and surface of this scene that were found already."""
        self.__dict__["_pooled"] = silhouette, surface

    @property
    def silhouette(self) -> NDArray[np.bool_]:
        """(H, H) bool: a cell is hand if any of its pixels is."""
        return self._pooled[0]

    @property
    def surface(self) -> NDArray[np.float32]:
        """(H, H) float32: z of each cell's front surface in cube units, 1 in the void."""
        return self._pooled[1]

    @functools.cached_property
    def joints_px(self) -> NDArray[np.float64]:
        """(J, 2) float64: sub-pixel (row, col) on the map's grid."""
        return self.crop.joints_px(self.size)

    @functools.cached_property
    def points(self) -> NDArray[np.float32]:
        """(H, H, 3) float32: each cell's surface point, mm, camera axes; meaningless in the void."""
        points = np.empty((self.size, self.size, 3), np.float32)
        cube, perspective = self.crop.cube, self.crop.projection == "perspective"
        straight.points(self.surface, *cube.center, cube.half_side, perspective, points)
        return points

    @functools.cached_property
    def signed_edt(self) -> NDArray[np.float32]:
        """(H, H) float32, mm; where all is hand or all is void, the side of the cube and minus that."""
        out = np.empty((self.size, self.size), np.float32)
        if self.profile == "handmap":
            edt.signed_edt(self.silhouette, self.cell, out)
        else:
            edt.at_centers(np.ascontiguousarray(self.crop.depth, np.float32), self.theta / self.crop.size, out)
        return out if math.isfinite(out[0, 0]) else np.clip(out, -self.theta, self.theta)

    @functools.cached_property
    def anchors(self) -> NDArray[np.float64]:
        """(H, H, 2) float64: (row, col), cells, of where each cell's geodesic distances are measured to.

        The centroid of the pixels that a cell stands for, the largest connected piece of hand in it; NaN in the void.
        """
        out = np.empty((self.size, self.size, 2))
        if self.profile == "handmap":
            out[:] = np.moveaxis(np.indices(self.silhouette.shape), 0, -1)
            out[~self.silhouette] = np.nan
        else:
            cells.anchors(self.silhouette, np.ascontiguousarray(self.crop.depth, np.float32), out)
        return out

    @functools.cached_property
    def euclidean(self) -> NDArray[np.float32]:
        """(H, H, J) float32: 1 - min(d, theta) / theta in 3D."""
        if self.profile == "handmap":
            near, _ = original.distances(self.silhouette, self.surface, self.crop)
            return original.spread(self.silhouette, near)
        out = np.empty((self.size, self.size, self.joints), np.float32)
        straight.euclidean(self.points, self.silhouette, self.crop.joints_mm, self.theta, out)
        return out

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, kept under a key: for what several kinds of one family share."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def keep(self, name: str, made: Encoded) -> None:
        """A map of this scene that was made already, as `encoded` would."""
        self._made[name] = made

    def encoded(self, kind: Encodable) -> Encoded:
        """A map of this scene and its scale, made once."""
        if kind.name not in self._made:
            self._made[kind.name] = kind.made_of(self)
        return self._made[kind.name]

    def get(self, kind: Encodable) -> NDArray[np.float32]:
        """The values of a map of this scene, made once."""
        return self.encoded(kind).values
