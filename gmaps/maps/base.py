"""What a guidance map is, and the registry of all kinds.

Symbols used in every docstring of this package: S rows and columns of the crop, H of the map, J joints, C channels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import GmapsError, UsageError, unknown_name
from gmaps.frame import BACKGROUND, Crop
from gmaps.kernels import edt
from gmaps.kernels.planar import straight
from gmaps.kernels.planar.pool import pool
from gmaps.skeleton import Skeleton

Profile = Literal["default", "handmap"]
Normalize = Literal["joint", "theta"]
Factor = Literal["along", "straight"]

#: Part of a store's fingerprint: raise it with every change that moves a value of any map.
MAPS_VERSION = 1
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


class Scene:
    """One crop on the map's grid: what the kinds share, computed when first asked for and then kept.

    Parameters
    ----------
    crop
        What the maps are of.
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
        self.crop, self.size, self.profile, self.normalize, self.skeleton = crop, size, profile, normalize, skeleton
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
            # Every (S / H)-th pixel, and the nearest depths lost with the void: the original's mask is (z + 1) / 2 of
            # at least 1e-4, void being 0.
            step = max(self.crop.size // self.size, 1)
            sliced = np.ascontiguousarray(depth[::step, ::step][: self.size, : self.size])
            return (sliced < BACKGROUND) & ((sliced + 1) / 2 >= 1e-4), sliced
        return pool(depth, self.size, FRONT_MM / self.crop.cube.half_side)

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
        straight.points(self.surface, *cube.center, cube.half_side, perspective, self.profile == "handmap", points)
        return points

    @functools.cached_property
    def signed_edt(self) -> NDArray[np.float32]:
        """(H, H) float32, mm; where all is hand or all is void, the side of the cube and minus that."""
        out = np.empty((self.size, self.size), np.float32)
        edt.signed_edt(self.silhouette, self.cell, out)
        return out if math.isfinite(out[0, 0]) else np.clip(out, -self.theta, self.theta)

    @functools.cached_property
    def euclidean(self) -> NDArray[np.float32]:
        """(H, H, J) float32: 1 - min(d, theta) / theta in 3D."""
        out = np.empty((self.size, self.size, self.joints), np.float32)
        smallest = 1e-2 if self.profile == "handmap" else 0.0
        straight.euclidean(self.points, self.silhouette, self.crop.joints_mm, self.theta, smallest, out)
        return out

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, kept under a key: for what several kinds of one family share."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def keep(self, name: str, made: Encoded) -> None:
        """A map of this scene that was made already, as `encoded` would."""
        self._made[name] = made

    def encoded(self, name: str) -> Encoded:
        """A map of this scene and its scale, made once."""
        if name not in self._made:
            self._made[name] = get_map(name).made_of(self)
        return self._made[name]

    def get(self, name: str) -> NDArray[np.float32]:
        """The values of a map of this scene, made once."""
        return self.encoded(name).values


def _plane(size: int) -> tuple[int, ...]:
    return size, size


@dataclass(frozen=True)
class MapKind:
    """One kind of guidance map.

    Parameters
    ----------
    name
        How it is asked for.
    summary
        One line for people.
    formula
        What a value is.
    channels
        C for a skeleton.
    value_range
        Smallest and largest value; infinite where only the cube bounds it.
    encode
        Scene -> `Encoded`, or its values alone where the kind is not scaled.
    decode
        (array, crop, scale) -> (J, 3) mm, where the kind can be inverted.
    scaled
        Whether it is normalised per channel, so that a scale (mm) goes with it.
    unit
        Of a value; empty for none.
    original
        HandMap's name for it.
    grid
        Its shape without the channels for H: (H, H), or (H, H, H) and the like in voxels.
    depends
        On what of a crop, besides its depth: "depth", on nothing; "joint", channel j on joint j; "joints", on any.
    keep_as
        The type that a store must keep it in, where any other would spoil it; empty where the store may choose.
    smooth
        Whether neighbouring cells foretell each other, as distances do, or most are 0: a store packs such maps.
    factors
        Of a kind that is a product of these distances on the hand and 0 in the void: "along" is what is travelled on
        the hand, "straight" what lies between in space. A build makes all such kinds in one call. Empty for others.
    """

    name: str
    summary: str
    formula: str
    channels: Callable[[Skeleton], int]
    value_range: tuple[float, float]
    encode: Callable[[Scene], Encoded | NDArray[np.float32]]
    decode: Callable[[NDArray[np.float32], Crop, NDArray[np.float32] | None], NDArray[np.float32]] | None = None
    scaled: bool = False
    unit: str = ""
    original: str = ""
    grid: Callable[[int], tuple[int, ...]] = _plane
    keep_as: str = ""
    depends: Literal["depth", "joint", "joints"] = "joints"
    smooth: bool = False
    factors: tuple[Factor, ...] = ()

    def shape(self, size: int, skeleton: Skeleton) -> tuple[int, ...]:
        """Of the array that `encode` gives for maps of `size` rows and columns."""
        return (*self.grid(size), self.channels(skeleton))

    def made_of(self, scene: Scene) -> Encoded:
        """`encode`, always with the scale where there is one.

        Raises
        ------
        UsageError
            The kind is scaled and gives no scale, or the other way round.
        """
        made = self.encode(scene)
        found = made if isinstance(made, Encoded) else Encoded(made)
        if (found.scale is not None) != self.scaled:
            wrong = "a scale, and is not scaled" if found.scale is not None else "no scale, and is scaled"
            raise UsageError(f"encode of {self.name} gives {wrong}: it returns Encoded(values, scale) if scaled=True")
        return found


_REGISTRY: dict[str, MapKind] = {}


def register_map(kind: MapKind) -> MapKind:
    """Make a kind known by its name.

    Raises
    ------
    UsageError
        When another kind has this name.
    """
    if _REGISTRY.get(kind.name, kind) is not kind:
        raise UsageError(f"a map called {kind.name!r} is registered already")
    _REGISTRY[kind.name] = kind
    return kind


@functools.cache
def _load_plugins() -> None:
    for point in entry_points(group="gmaps.maps"):
        try:
            loaded = point.load()
        except Exception as error:
            raise GmapsError(f"the map plug-in {point.name!r} ({point.value}) cannot be loaded: {error}") from error
        if isinstance(loaded, MapKind):
            register_map(loaded)


def list_maps() -> tuple[str, ...]:
    """Names of all kinds, in the order of the documentation."""
    _load_plugins()
    return tuple(_REGISTRY)


def get_map(name: str) -> MapKind:
    """A kind by name.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    if name not in _REGISTRY:
        _load_plugins()
    try:
        return _REGISTRY[name]
    except KeyError:
        raise unknown_name("map", name, _REGISTRY) from None
