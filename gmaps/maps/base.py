"""What a guidance map is, and the registry of all kinds.

Symbols used in every docstring of this package: S rows and columns of the crop, H of the map, J joints, C channels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from importlib.metadata import entry_points
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError, GmapsError, UsageError, unknown_name
from gmaps.frame import BACKGROUND, Crop
from gmaps.kernels import edt, planar, raster
from gmaps.kernels import joints as joint_kernels
from gmaps.skeleton import Skeleton

Profile = Literal["default", "handmap"]
Normalize = Literal["joint", "theta"]

#: Part of a store's fingerprint: raise it with every change that moves a value of any map.
MAPS_VERSION = 1
#: Pixels of a cell that lie more than this behind its nearest one (mm) are not its front surface.
FRONT_MM = 15.0


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
        self.scale: dict[str, NDArray[np.float32]] = {}
        self._made: dict[str, NDArray[np.float32]] = {}
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
        return raster.pool(depth, self.size, FRONT_MM / self.crop.cube.half_side)

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
        planar.points(self.surface, *cube.center, cube.half_side, perspective, self.profile == "handmap", points)
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
        planar.euclidean(self.points, self.silhouette, self.crop.joints_mm, self.theta, smallest, out)
        return out

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, kept under a key: for what several kinds of one family share."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def keep(self, name: str, made: NDArray[np.float32]) -> None:
        """A map of this scene that was made already, as `encode` would."""
        self._made[name] = made

    def get(self, name: str) -> NDArray[np.float32]:
        """A map of this scene, made once."""
        if name not in self._made:
            self._made[name] = get_map(name).encode(self)
        return self._made[name]


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
        Scene -> float32 of `shape`. May set `scene.scale[name]`.
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
    """

    name: str
    summary: str
    formula: str
    channels: Callable[[Skeleton], int]
    value_range: tuple[float, float]
    encode: Callable[[Scene], NDArray[np.float32]]
    decode: Callable[[NDArray[np.float32], Crop, NDArray[np.float32] | None], NDArray[np.float32]] | None = None
    scaled: bool = False
    unit: str = ""
    original: str = ""
    grid: Callable[[int], tuple[int, ...]] = _plane
    keep_as: str = ""
    depends: Literal["depth", "joint", "joints"] = "joints"
    smooth: bool = False

    def shape(self, size: int, skeleton: Skeleton) -> tuple[int, ...]:
        """Of the array that `encode` gives for maps of `size` rows and columns."""
        return (*self.grid(size), self.channels(skeleton))


class Maps(dict[str, NDArray[np.float32]]):
    """Maps by kind, each (H, W, C) float32; `scale` holds mm per unit of the kinds normalised per channel."""

    def __init__(self, maps: dict[str, NDArray[np.float32]], scale: dict[str, NDArray[np.float32]]) -> None:
        super().__init__(maps)
        self.scale = scale


@dataclass(frozen=True)
class MapParams:
    """All that decides a set of maps, but for the crop."""

    maps: tuple[str, ...]
    size: int = 32
    profile: Profile = "default"
    normalize: Normalize = "joint"
    bridge: bool | float = False

    def __post_init__(self) -> None:
        if not self.maps:
            raise UsageError(f"no map was asked for; known: {', '.join(list_maps())}")
        for name in self.maps:
            get_map(name)
        if len(set(self.maps)) != len(self.maps):
            raise UsageError(f"a map is asked for twice: {', '.join(self.maps)}")
        if not 8 <= self.size <= 512:
            raise UsageError(f"a map has 8 to 512 rows and columns, got {self.size}")
        if self.profile not in ("default", "handmap"):
            raise unknown_name("profile", self.profile, ("default", "handmap"))
        if self.normalize not in ("joint", "theta"):
            raise unknown_name("normalisation", self.normalize, ("joint", "theta"))
        if not (math.isfinite(self.bridge) and self.bridge >= 0):
            raise UsageError(f"bridge is False, True or a positive slowness, got {self.bridge}")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "maps": list(self.maps)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MapParams:
        """The inverse of `to_dict`; a store's attributes hold more than that, which is left out."""
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        return cls(**{**known, "maps": tuple(known["maps"])})


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


def check_joints(crop: Crop, params: MapParams) -> None:
    """See that a crop has the joints that its maps must have.

    Raises
    ------
    FrameError
        Joints that are not finite, where there are labels or a kind must have them.
    """
    if joint_kernels.finite(np.ascontiguousarray(crop.joints_mm, np.float32)):
        return
    needy = [name for name in params.maps if get_map(name).depends != "depth"]
    if crop.labelled or needy:
        alone = ", ".join(name for name in list_maps() if get_map(name).depends == "depth")
        what = "a joint is not finite" if crop.labelled else "there are no labels"
        raise FrameError(f"{what}, and {', '.join(needy or params.maps)} must have joints; without: {alone}")


def encode_params(crop: Crop, params: MapParams, skeleton: Skeleton | None = None) -> Maps:
    """All maps of one crop, with what they share computed once. What builds make of `encode_on_hand` equals it."""
    check_joints(crop, params)
    scene = Scene(crop, params.size, params.profile, params.normalize, skeleton, float(params.bridge))
    maps = {name: scene.get(name) for name in params.maps}
    return Maps(maps, {name: scene.scale[name] for name in params.maps if name in scene.scale})
