"""All maps of a crop, of a crop for a store, and of a batch: one encoder, the same bits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError, UsageError, unknown_name
from gmaps.frame import Crop, Cube, OnHand, Projection
from gmaps.kernels import joints as joint_kernels
from gmaps.kernels.planar import one_call
from gmaps.kernels.planar.pool import silhouettes
from gmaps.maps import original
from gmaps.maps.kind import MapKind, get_map, list_maps
from gmaps.maps.options import Value, describe, split_name
from gmaps.maps.scene import FRONT_MM, Encoded, Normalize, Profile, Scene
from gmaps.skeleton import Skeleton

#: What a store writes: a whole map, or its hand.
Made = NDArray[np.float32] | OnHand
#: What `one_call.on_hand` is asked for.
_WAYS = {"along": 1, "straight": 2}


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
        named = [_identity(name) for name in self.maps]
        if any(one in named[:k] for k, one in enumerate(named)):
            raise UsageError(f"a map is asked for twice: {', '.join(self.maps)}")
        if not 8 <= self.size <= 512:
            raise UsageError(f"a map has 8 to 512 rows and columns, got {self.size}")
        if self.profile not in ("default", "handmap"):
            raise unknown_name("profile", self.profile, ("default", "handmap"))
        if self.normalize not in ("joint", "theta"):
            raise unknown_name("normalisation", self.normalize, ("joint", "theta"))
        if not (math.isfinite(self.bridge) and self.bridge >= 0):
            raise UsageError(f"bridge is False, True or a positive slowness, got {self.bridge}")

    def check_crop(self, size: int) -> None:
        """Refuse crops of which these maps cannot be made, before the first.

        Raises
        ------
        UsageError
            `profile="handmap"`, and `size` rows are no multiple of the maps'.
        """
        if self.profile == "handmap":
            original.stride(size, self.size)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; "parameters" of the kinds that have some."""
        return {**asdict(self), **name_maps(self.maps)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MapParams:
        """The inverse of `to_dict`; a store's attributes hold more than that, which is left out.

        Raises
        ------
        UsageError
            Parameters of a kind that are not those that its name stands for in this gmaps.
        """
        for name, parameters in values.get("parameters", {}).items():
            if name in values["maps"] and dict(get_map(name).parameters) != parameters:
                ours, theirs = describe(get_map(name).parameters), describe(parameters)
                raise UsageError(
                    f"{name} was made with {theirs} and stands for {ours} in this gmaps: build with the parameters "
                    "in its name"
                )
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        return cls(**{**known, "maps": tuple(known["maps"])})


def name_maps(names: Sequence[str]) -> dict[str, Any]:
    """JSON values: "maps", and "parameters" of the kinds that have some."""
    parameters = {name: dict(get_map(name).parameters) for name in names}
    parameters = {name: values for name, values in parameters.items() if values}
    return {"maps": list(names), **({"parameters": parameters} if parameters else {})}


def _identity(name: str) -> tuple[str, dict[str, Value]]:
    """What tells a kind from others: k=80 said and k=80 by default are one."""
    return split_name(name)[0], dict(get_map(name).parameters)


class Encoder:
    """Crops to maps.

    Parameters
    ----------
    params
        Which maps, and how.
    skeleton
        For kinds that draw bones.
    """

    def __init__(self, params: MapParams, skeleton: Skeleton | None = None) -> None:
        self.params, self.skeleton = params, skeleton
        self._kinds = [get_map(name) for name in params.maps]
        # The original's profile makes its maps otherwise.
        self._products = [k for k in self._kinds if k.factors and params.profile == "default"]
        self._ways = 0
        for way in {way for kind in self._products for way in kind.factors}:
            self._ways |= _WAYS[way]

    def scene(self, crop: Crop) -> Scene:
        """A crop on the grid of these maps."""
        p = self.params
        return Scene(crop, p.size, p.profile, p.normalize, self.skeleton, float(p.bridge))

    def crop(self, crop: Crop) -> Maps:
        """All maps of one crop, with what they share computed once.

        Raises
        ------
        FrameError
            Joints that are not finite.
        """
        self._check_joints(crop)
        return self._maps(self.scene(crop))

    def hand(self, crop: Crop) -> tuple[dict[str, Made], dict[str, NDArray[np.float32]]]:
        """As `crop`, bit for bit, for a writer that keeps of a map no more than its hand.

        Returns
        -------
        maps, scale
            Kind -> (H, H, C) float32, or `OnHand` of a kind that is a product of distances; kind -> (C,) float32,
            mm.

        Raises
        ------
        FrameError
            Joints that are not finite.
        """
        if not self._products:
            whole = self.crop(crop)
            return dict(whole), whole.scale
        self._check_joints(crop)
        scene, cube = self.scene(crop), crop.cube
        silhouette, surface, cells, along, straight, scale = one_call.on_hand(
            np.ascontiguousarray(scene.crop.depth, np.float32), self.params.size, FRONT_MM / cube.half_side,
            np.ascontiguousarray(crop.joints_mm, np.float32), scene.joints_px, *cube.center, cube.half_side,
            crop.projection == "perspective", scene.slowness,
            scene.theta if self.params.normalize == "theta" else 0.0, self._ways,
        )  # fmt: skip
        scene.pool_is(silhouette, surface)
        made: dict[str, Made] = {}
        scales: dict[str, NDArray[np.float32]] = {}
        for kind in self._kinds:
            if kind in self._products:
                values = along if kind.factors[0] == "along" else straight
                if len(kind.factors) == 2:
                    values = along * straight
                made[kind.name] = OnHand(self.params.size, cells, values)
                found = scale if kind.scaled else None
            else:
                made[kind.name], found = scene.encoded(kind)
            if found is not None:
                scales[kind.name] = found
        return made, scales

    def silhouettes(self, depth: NDArray[np.float32], cube: NDArray[np.float32]) -> NDArray[np.bool_]:
        """`Scene.silhouette` of n crops; the cells in which maps mean something.

        Parameters
        ----------
        depth : (n, S, S)
            Cube units, of the hand alone: 1 elsewhere, where it is told from the scene.
        cube : (n, 4)
            Centre and half side, mm; NaN for a rejected frame, whose silhouette is void.

        Returns
        -------
        (n, H, H) bool
        """
        size = self.params.size
        out = np.empty((len(depth), size, size), bool)
        if self.params.profile == "default":
            silhouettes(depth, out)
            out[~np.isfinite(cube).all(axis=1)] = False
            return out
        nowhere = np.zeros((0, 3), np.float32)
        for k, row in enumerate(cube):
            known = np.isfinite(row).all()
            out[k] = self.scene(Crop(depth[k], Cube.from_array(row), nowhere)).silhouette if known else False
        return out

    def batch(
        self,
        depth: NDArray[np.float32],
        cube: NDArray[np.float32],
        joints: NDArray[np.float32],
        projection: Projection,
        silhouette: NDArray[np.bool_],
        out: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """As `crop`, bit for bit, of n crops. What is travelled on the hand is made for all in one call.

        Parameters
        ----------
        depth : (n, S, S) float32
            Cube units, of the hand alone.
        cube : (n, 4) float32
            Centre and half side, mm; NaN for a rejected frame, whose maps are 0.
        joints : (n, J, 3) float32
            mm.
        projection
            Of the crops.
        silhouette : (n, H, H) bool
            See `silhouettes`.
        out
            Kind -> (n, H, H, C) float32, filled.

        Raises
        ------
        FrameError
            Joints that are not finite.
        """
        known = np.asarray(np.isfinite(cube).all(axis=1))
        crops = {
            k: Crop(depth[k], Cube.from_array(cube[k]), joints[k], projection) for k in np.flatnonzero(known).tolist()
        }
        for values in out.values():
            values[~known] = 0
        for crop in crops.values():
            self._check_joints(crop)
        travelled = next((k for k in self._products if k.factors == ("along",)), None)
        scales = None
        if travelled is not None and crops:
            scales = self._travelled(travelled, list(crops.values()), known, silhouette, out[travelled.name])
        rest = [kind for kind in self._kinds if kind is not travelled]
        for at, (k, crop) in enumerate(crops.items() if rest else ()):
            scene = self.scene(crop)
            if travelled is not None and scales is not None:
                scene.keep(travelled.name, Encoded(out[travelled.name][k], scales[at]))
            for kind in rest:
                out[kind.name][k] = scene.get(kind)

    def _travelled(
        self,
        kind: MapKind,
        crops: list[Crop],
        known: NDArray[np.bool_],
        silhouette: NDArray[np.bool_],
        out: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The distances on the hand of several crops, into the known rows of `out`; (n, J) their scales."""
        p = self.params
        half = np.array([crop.cube.half_side for crop in crops])
        theta = 2 * half if p.normalize == "theta" else np.zeros(len(crops))
        px = np.stack([crop.joints_px(p.size) for crop in crops])
        scale = np.empty(px.shape[:2], np.float32)
        whole = bool(known.all())
        made = out if whole else np.empty((len(crops), *out.shape[1:]), np.float32)
        depth = np.ascontiguousarray(np.stack([crop.depth for crop in crops]), np.float32)
        one_call.geodesics(silhouette[known], depth, px, float(p.bridge), 2 * half / p.size, theta, made, scale)
        if not whole:
            out[known] = made
        return scale

    def _maps(self, scene: Scene) -> Maps:
        made = {kind.name: scene.encoded(kind) for kind in self._kinds}
        scales = {name: m.scale for name, m in made.items() if m.scale is not None}
        return Maps({name: m.values for name, m in made.items()}, scales)

    def refuse_flat(self, what: str) -> None:
        """Refuse kinds that are made of depth, where there is none.

        Raises
        ------
        UsageError
            With their names.
        """
        needy = [kind.name for kind in self._kinds if kind.needs_depth]
        if needy:
            able = ", ".join(name for name in list_maps() if not get_map(name).needs_depth)
            raise UsageError(f"{what} has colour and no depth, of which {', '.join(needy)} must be made; take {able}")

    def _check_joints(self, crop: Crop) -> None:
        """See that a crop has the joints that its maps must have.

        Raises
        ------
        FrameError
            Joints that are not finite, where there are labels or a kind must have them.
        """
        if crop.color is not None and crop.flat:
            self.refuse_flat("this crop")
        if joint_kernels.finite(np.ascontiguousarray(crop.joints_mm, np.float32)):
            return
        needy = [kind.name for kind in self._kinds if kind.depends != "depth"]
        if crop.labelled or needy:
            alone = ", ".join(name for name in list_maps() if get_map(name).depends == "depth")
            what = "a joint is not finite" if crop.labelled else "there are no labels"
            raise FrameError(f"{what}, and {', '.join(needy or self.params.maps)} must have joints; without: {alone}")
