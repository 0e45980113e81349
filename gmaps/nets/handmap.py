"""HandMap: a trunk down to H x H, guidance, and a head that regresses the joints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from gmaps.errors import UsageError, unknown_name
from gmaps.maps import map_traits
from gmaps.nets.blocks import CONV, ConvPool, Residual, conv, norm, pool
from gmaps.nets.losses import kind_weights, map_losses, pose_loss
from gmaps.nets.network import Network, count_parameters
from gmaps.nets.registry import register_network
from gmaps.nets.supervision import BRANCHES, GuidanceSupervision, map_channels
from gmaps.skeleton import Skeleton

__all__ = ["MODELS", "HandMap", "ModelParams", "Prediction", "count_parameters", "model_params"]


@dataclass(frozen=True)
class ModelParams:
    """All that decides a HandMap, but for the skeleton.

    Parameters
    ----------
    maps
        Kinds of guidance map; none for the plain baseline without any supervision module.
    guided
        False leaves the map loss off: the same network, whose map channels are free. What the original never tried.
    reads
        "depth", "views" for three orthographic views, or a kind of map in voxels: "occupancy", "density".
    size
        S: what is read is resized to S x S x (S) first, where it is not of that size.
    stem
        Channels of the convolutions that halve the size, one each, from S down to H.
    width
        C of the features that are guided.
    repeats
        R, stages of supervision.
    branch
        "residual" or "hourglass".
    head
        Channels of the head's convolutions, each of which halves the size.
    hidden
        Width of the layer before the last.
    dropout
        Share of that layer left out in training.
    """

    maps: tuple[str, ...] = ("geodesic_weighted",)
    guided: bool = True
    reads: str = "depth"
    size: int = 128
    stem: tuple[int, ...] = (16, 32)
    width: int = 64
    repeats: int = 2
    branch: Literal["residual", "hourglass"] = "residual"
    head: tuple[int, ...] = (64, 128, 256)
    hidden: int = 1024
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.maps, str):
            object.__setattr__(self, "maps", (self.maps,))
        down = len(self.stem)
        if not self.stem or self.size % 2**down or self.size >> down < 4:
            raise UsageError(f"{down} stem layers cannot halve {self.size} rows down to a multiple of 4")
        if min((*self.stem, self.width, *self.head, self.hidden, self.repeats)) < 1 or self.width % 4:
            raise UsageError(f"widths and repeats are positive, width a multiple of 4: got {self}")
        if max((*self.stem, self.width, *self.head, self.hidden, self.size)) > 2**14 or self.repeats > 64:
            raise UsageError(f"widths and sizes are at most 16,384, repeats 64: got {self}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is a share from 0 to below 1, got {self.dropout}")
        if self.branch not in BRANCHES:
            raise unknown_name("branch", self.branch, BRANCHES)

    @property
    def dims(self) -> int:
        """2, or 3 when it reads voxels."""
        return 2 if self.reads in ("depth", "views") else 3

    @property
    def map_size(self) -> int:
        """H."""
        return self.size >> len(self.stem)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelParams:
        """The inverse of `to_dict`, also after a trip through JSON."""
        return _changed(cls(), values)

    def build(self, skeleton: Skeleton) -> HandMap:
        """The network of these parameters, with random weights."""
        return HandMap(self, skeleton)


def _changed(params: ModelParams, changes: Mapping[str, Any]) -> ModelParams:
    """With some parameters changed; lists, and one value where several may stand, become tuples."""
    known = {f.name: getattr(params, f.name) for f in fields(params)}
    for key, value in changes.items():
        if key not in known:
            raise UsageError(f"HandMap has no parameter {key!r}, only {', '.join(known)}")
        if isinstance(known[key], tuple):
            value = tuple(value) if isinstance(value, list | tuple) else (value,)
        known[key] = value
    return ModelParams(**known)


_VOXELS = ModelParams(("voxel_joint",), reads="occupancy", size=64, stem=(16,), width=32, head=(64, 128), hidden=512)

#: The variants by name. All that read depth are one network but for the channels of their maps.
MODELS: dict[str, ModelParams] = {
    "baseline": ModelParams((), guided=False),
    "unguided": ModelParams(guided=False),
    **{
        name: ModelParams((name,))
        for name in ("heatmap", "euclidean", "offset", "geodesic", "geodesic_weighted", "geodesic_surface", "limb")
    },
    "views": ModelParams(("views_geodesic_weighted",), reads="views", branch="hourglass"),
    "voxel": _VOXELS,
    "voxel_geodesic": replace(_VOXELS, maps=("voxel_geodesic",)),
}


def model_params(name: str, **changes: Any) -> ModelParams:
    """A variant by name, with some of its parameters changed.

    Raises
    ------
    UnknownNameError
        No such variant.
    """
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    return _changed(MODELS[name], changes)


class Prediction(NamedTuple):
    """What HandMap gives.

    Parameters
    ----------
    joints : (B, J, 3)
        Cube units: -1 and 1 are the cube's faces.
    maps
        One dict a stage: kind -> (B, channels, H, H).
    features : (B, C, H, H)
        What the stem gave: the last tensor that both losses share, for their gradients' norms.
    """

    joints: Tensor
    maps: list[dict[str, Tensor]]
    features: Tensor


class HandMap(Network):
    """The network of HandMap (Wu et al., ECCV 2018), in all its variants.

    Parameters
    ----------
    params
        What it is made of, or the name of a variant in `MODELS`.
    skeleton
        Whose joints it finds.

    Notes
    -----
    Reads (B, 1, S, S) depth in [-1, 1], (B, 3, S, S) views, or (B, c, V, V, V) voxels.

    Examples
    --------
    >>> net = HandMap("geodesic_weighted", get_skeleton("msra21"))  # doctest: +SKIP
    >>> net(torch.ones(2, 1, 128, 128)).joints.shape  # doctest: +SKIP
    torch.Size([2, 21, 3])
    """

    def __init__(self, params: ModelParams | str, skeleton: Skeleton) -> None:
        params = model_params(params) if isinstance(params, str) else params
        share = kind_weights(params.maps)
        # The weight of several kinds is their mean one; how they are to each other stays.
        super().__init__(skeleton, {"pose": 1.0, "maps": sum(share.values()) / max(len(share), 1)})
        if not (params.guided and params.maps):
            del self.weights["maps"]
        self.params, self.size, self.origin = params, params.size, ("handmap", params.to_dict())
        self.inputs = (params.reads if params.reads in ("depth", "views") else f"maps/{params.reads}",)
        self._share = {kind: weight / self.weights.get("maps", weight) for kind, weight in share.items()}
        dims, width = params.dims, params.width
        before = _channels_read(params, skeleton)
        layers: list[nn.Module] = []
        for k, channels in enumerate(params.stem):
            # The first convolution takes every second pixel; the later ones, as in the original, the largest of nine.
            layers += [conv(dims, before, channels, 5 if k == 0 and dims == 2 else 3, stride=2 if k == 0 else 1)]
            layers += [pool(dims)] if k else []
            before = channels
        layers += [conv(dims, before, width, 3), Residual(width, dims)]
        self.stem = nn.Sequential(*layers)
        self.guidance = None
        if params.maps:
            self.guidance = GuidanceSupervision(
                width, params.maps, skeleton=skeleton, repeats=params.repeats, dims=dims, branch=params.branch
            )
        head: list[nn.Module] = []
        before, size = width, params.map_size
        for channels in params.head:
            head.append(ConvPool(before, channels, dims))
            before, size = channels, (size + 1) // 2
        # A convolution over all that is left is a linear layer.
        head += [
            CONV[dims](before, params.hidden, size, bias=False),
            norm(dims, params.hidden),
            nn.ReLU(inplace=True),
        ]
        head.append(nn.Flatten())
        self.head = nn.Sequential(*head, nn.Dropout(params.dropout), nn.Linear(params.hidden, 3 * len(skeleton)))

    @property
    def targets(self) -> tuple[str, ...]:  # type: ignore[override]
        """Joints, and the maps unless they weigh nothing."""
        return ("joints", *(f"maps/{kind}" for kind in self.params.maps if self.weights.get("maps")))

    def loss(self, output: Prediction, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The terms "pose" and, unless they weigh nothing, "maps": the sum over stages and kinds."""
        terms = {"pose": pose_loss(output.joints, batch["joints"], self.pose_loss)}
        if self.weights.get("maps"):
            terms["maps"] = map_losses(output.maps, batch, self._share)
        return terms

    def confidence(self, output: Prediction) -> Tensor | None:
        """(B,) from 0 to 1: each joint map's largest value, mean over joints; None without maps of nearness."""
        if not output.maps:
            return None
        kind, values = next(iter(output.maps[-1].items()))
        traits = map_traits(kind)
        if traits.value_range[1] != 1 or traits.loss != "smooth_l1":
            return None
        joints = values.float()[:, : len(self.skeleton)].flatten(2)
        return joints.amax(dim=2).mean(dim=1).clamp(0, 1)

    def forward(self, x: Tensor) -> Prediction:  # type: ignore[override]
        """See `Prediction`."""
        if x.shape[-1] != self.params.size:
            resize: Any = (
                nn.functional.adaptive_avg_pool2d if self.params.dims == 2 else nn.functional.adaptive_avg_pool3d
            )
            x = resize(x, self.params.size)
        features = self.stem(x)
        guided = (features, []) if self.guidance is None else self.guidance(features)
        joints = self.head(guided[0]).float().unflatten(1, (len(self.skeleton), 3))
        return Prediction(joints, guided[1], features)


def _channels_read(params: ModelParams, skeleton: Skeleton) -> int:
    if params.dims == 2:
        return 3 if params.reads == "views" else 1
    return map_channels((params.reads,), skeleton)[params.reads]


def _register() -> None:
    def variant(name: str) -> Any:
        return lambda skeleton, **changes: HandMap(model_params(name, **changes), skeleton)

    for name in MODELS:
        register_network(name, variant(name))
    # What checkpoints name, with all parameters.
    register_network("handmap", lambda skeleton, **params: HandMap(ModelParams.from_dict(params), skeleton))


_register()
