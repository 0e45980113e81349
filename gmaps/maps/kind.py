"""What gmaps knows of a kind of map, all of it, and the registry of all kinds.

Encoder, stores, losses, augmentation and the command line ask the `MapKind`, and no list of names: whoever registers
a kind brings all of it along.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import GmapsError, UsageError, unknown_name
from gmaps.frame import Crop
from gmaps.maps.options import Option, Value, read_options, split_name
from gmaps.maps.scene import Encoded, Scene
from gmaps.skeleton import Skeleton

Factor = Literal["along", "straight"]
Loss = Literal["smooth_l1", "cross_entropy"]


def with_directions(skeleton: Skeleton) -> list[str]:
    """Names of one channel a joint, then of x, y and z joint by joint."""
    return [*skeleton.joints, *each_along(skeleton)]


def each_along(skeleton: Skeleton) -> list[str]:
    """Names of x, y and z joint by joint."""
    return [f"{joint} {axis}" for joint in skeleton.joints for axis in "xyz"]


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
        Of a value; empty for none. "mm" are lengths in space: they stay as they are where the cube changes, and a
        loss divides them by the half side of each sample's own cube.
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
    background
        Whether its values mean something off the hand; else a loss leaves the void out.
    views
        How many images of the hand, each with a silhouette of its own, its channels are of, in equal shares.
    loss
        What a network learns it by: "smooth_l1" of every value, or "cross_entropy" for the choice of one cell a
        channel.
    weight
        At which that loss pulls about as hard as the pose's.
    turns
        Whether the map of a crop turned by quarters is its map, turned: so for numbers that know no axis.
    mirrors
        Whether the map of a mirrored crop is its map, mirrored, but for the order of channels.
    mirrored
        Skeleton -> for each channel of a mirrored crop's map the channel of the original's that it is, or None where
        there is no such; to be given where channels are not one a joint and the skeleton has two hands.
    flat
        Whether it knows the silhouette and the joints in the plane, and no depth: a shift in depth, and noise that
        loses no pixel, leave it as it is.
    needs_depth
        Whether it is made of a crop's depth or silhouette; else it can be made of a colour image with joints, too.
    names
        Skeleton -> a name for each channel; by default the joints' where there is one for each.
    options
        The parameters that its name may carry, as in "ball_offset:k=60"; none by default.
    parameters
        Their values; part of a store's fingerprint.
    variant
        (name, **parameters) -> the kind with these parameters, under that name; to be given with `options`.
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
    background: bool = False
    views: int = 1
    loss: Loss = "smooth_l1"
    weight: float = 1.0
    turns: bool = False
    mirrors: bool = False
    mirrored: Callable[[Skeleton], Sequence[int] | None] | None = None
    flat: bool = False
    needs_depth: bool = True
    names: Callable[[Skeleton], Sequence[str]] | None = None
    options: tuple[Option, ...] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict, hash=False)
    variant: Callable[..., MapKind] | None = None

    def channel_names(self, skeleton: Skeleton) -> tuple[str, ...]:
        """What each channel is of, for people."""
        if self.names is not None:
            return tuple(self.names(skeleton))
        count = self.channels(skeleton)
        return skeleton.joints if count == len(skeleton) else tuple(f"channel {k}" if k else "" for k in range(count))

    def shape(self, size: int, skeleton: Skeleton) -> tuple[int, ...]:
        """Of the array that `encode` gives for maps of `size` rows and columns."""
        return (*self.grid(size), self.channels(skeleton))

    def mirrored_channels(self, skeleton: Skeleton) -> tuple[int, ...] | None:
        """For each channel of a mirrored crop's map the channel of the original's that it is; None for no such."""
        if self.mirrored is not None:
            found = self.mirrored(skeleton)
            return None if found is None else tuple(found)
        if self.depends == "joint":
            return skeleton.swapped
        if self.depends == "joints" and skeleton.mirror:
            return None
        return tuple(range(self.channels(skeleton)))

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
        When another kind has this name, or the name holds a colon, which begins parameters.
    """
    if ":" in kind.name:
        raise UsageError(f"{kind.name!r}: a colon begins parameters of a kind; register the kind without them")
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
    """A kind by name, with parameters or without: "geodesic", "ball_offset:k=60".

    Raises
    ------
    UnknownNameError
        With the nearest name.
    UsageError
        Parameters that the kind does not take.
    """
    family, typed = split_name(name)
    if family not in _REGISTRY:
        _load_plugins()
    try:
        kind = _REGISTRY[family]
    except KeyError:
        raise unknown_name("map", name, _REGISTRY) from None
    return _variant(kind, name, tuple(typed)) if typed else kind


@functools.lru_cache(maxsize=256)
def _variant(kind: MapKind, name: str, typed: tuple[str, ...]) -> MapKind:
    parameters = read_options(kind.name, kind.options, typed)
    if kind.variant is None:
        raise UsageError(f"the map {kind.name} takes no parameters")
    return kind.variant(name, **parameters)


def map_traits(name: str) -> MapKind:
    """As `get_map`; a name that is no kind's stands for a map of no particular traits."""
    try:
        return get_map(name)
    except UsageError:
        return MapKind(name, "", "", len, (-np.inf, np.inf), _nowhere)


def _nowhere(scene: Scene) -> Encoded:
    raise UsageError("a map that is no registered kind is given, and cannot be computed")
