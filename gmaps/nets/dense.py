"""Dense: a pixel-wise network. An encoder such as ResNet-18, three deconvolutions, maps, and joints read out of them.

What the best networks on depth do since 2018 (DenseReg, AWR, JGR-P2O, IPNet): no head of linear layers forgets where
something was seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from gmaps.errors import UsageError, unknown_name
from gmaps.maps import get_map
from gmaps.maps.options import split_name
from gmaps.maps.torch_decode import ball_vote, grid_of, heatmap_depth, to_mm
from gmaps.nets.blocks import conv, norm, pool
from gmaps.nets.losses import map_losses, pose_loss
from gmaps.nets.network import Network
from gmaps.nets.registry import register_network
from gmaps.nets.supervision import map_channels
from gmaps.skeleton import Skeleton

Weights = Literal["learned", "closeness"]
#: Kinds that say where joints are, whatever their parameters.
_SAYING = ("offset", "ball_offset", "heatmap_depth", "heatmap")
#: Of these those whose votes can be weighed by closeness.
_CLOSE = ("offset", "ball_offset")


@dataclass(frozen=True)
class DenseParams:
    """All that decides a `Dense`, but for the skeleton.

    Parameters
    ----------
    maps
        Kinds of map that it learns and predicts. Joints are read out of the first that says where they are: `offset`,
        `ball_offset`, `heatmap_depth`, or `heatmap`, to which depths are added; of other kinds out of votes of its
        own, which no map teaches.
    weights
        Of the votes: "learned", a channel a joint, or the softmax of "closeness", for offsets alone.
    size
        S: what is read is resized to S x S first, where it is not of that size.
    cells
        H of the maps, 32 or 64 in the papers: S / 2 or S / 4.
    width
        Channels of the first stage; the four have 1, 2, 4 and 8 times as many. 64 is ResNet-18.
    blocks
        Of each of the four stages; 2 is ResNet-18.
    up
        Channels of the deconvolutions, the last of them at H; 256 in the papers.
    skips
        Whether the encoder's stages are added to what is deconvolved, as in a U-Net; not so in the papers.
    projection
        Of the crops: "orthographic" or "perspective".
    """

    maps: tuple[str, ...] = ("offset",)
    weights: Weights = "learned"
    size: int = 128
    cells: int = 32
    width: int = 16
    blocks: int = 2
    up: tuple[int, ...] = (64, 64, 64)
    skips: bool = True
    projection: str = "orthographic"

    def __post_init__(self) -> None:
        if self.size % 32 or not 32 <= self.size <= 512 or self.cells not in (self.size // 2, self.size // 4):
            raise UsageError(
                f"dense reads 32, 64, ... 512 rows, its maps have half or a quarter of them: got size {self.size} "
                f"and {self.cells} cells"
            )
        if len(self.up) != 3 or not 1 <= min(self.up) <= max(self.up) <= 4096:
            raise UsageError(f"dense has three deconvolutions, of 1 to 4,096 channels: got up={self.up}")
        if not (1 <= self.width <= 1024 and 1 <= self.blocks <= 64):
            raise UsageError(f"dense: width is 1 to 1,024 and blocks 1 to 64, got {self.width} and {self.blocks}")
        if self.weights not in get_args(Weights):
            raise unknown_name("weights of dense", self.weights, get_args(Weights))
        if self.projection not in ("orthographic", "perspective"):
            raise unknown_name("projection", self.projection, ("orthographic", "perspective"))
        if not self.maps:
            raise UsageError("dense predicts at least one kind of map: -P maps=offset")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DenseParams:
        """From JSON values or a command line: one value where several may stand, and lists, become tuples."""
        known = {f.name: f.default for f in fields(cls)}
        found: dict[str, Any] = {}
        for key, value in values.items():
            if key not in known:
                raise UsageError(f"dense has no parameter {key!r}, only {', '.join(known)}")
            several = isinstance(known[key], tuple)
            found[key] = (tuple(value) if isinstance(value, list | tuple) else (value,)) if several else value
        if isinstance(found.get("up"), tuple) and len(found["up"]) == 1:
            found["up"] *= 3
        return cls(**found)


class DensePrediction(NamedTuple):
    """What `Dense` gives.

    Parameters
    ----------
    joints : (B, J, 3)
        Cube units.
    maps
        One dict: kind -> (B, channels, H, H).
    features : (B, C, H, H)
        What the maps are made of: the last tensor that both losses share.
    """

    joints: Tensor
    maps: list[dict[str, Tensor]]
    features: Tensor


class BasicBlock(nn.Module):
    """Two convolutions of 3 x 3 and a way around them (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(2, inputs, outputs, 3, stride), conv(2, outputs, outputs, 3, linear=True))
        same = stride == 1 and inputs == outputs
        self.around = nn.Identity() if same else conv(2, inputs, outputs, 1, stride, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, H) -> (B, outputs, H / stride, H / stride)."""
        return torch.relu(self.body(x) + self.around(x))


class _Up(nn.Module):
    """A deconvolution that doubles rows and columns, and what the encoder saw at that size."""

    def __init__(self, inputs: int, outputs: int, beside: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), norm(2, outputs)
        )
        self.beside = conv(2, beside, outputs, linear=True) if beside else None

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        y = self.up(x)
        return torch.relu(y if self.beside is None else y + self.beside(beside))


class Dense(Network):
    """Maps of every cell, and joints read out of them.

    Parameters
    ----------
    params
        What it is made of.
    skeleton
        Whose joints it finds.

    Notes
    -----
    The loss is `pose`, of weight 100, of the joints that were read out, and `maps`, of weight 1: |x| of distances and
    directions on the hand, as the field has it, and each kind's own loss and weight where it means something in the
    void. `trunk` gives the features: `guide(net, "trunk.up3", maps)` puts HandMap's guidance before the maps.
    """

    inputs = ("depth", "cube")

    def __init__(self, params: DenseParams, skeleton: Skeleton) -> None:
        super().__init__(skeleton, {"pose": 100.0, "maps": 1.0})
        self.params, self.size, self.origin = params, params.size, ("dense", asdict(params))
        self.channels = map_channels(params.maps, skeleton)
        self.reads = next((kind for kind in params.maps if _family(kind) in _SAYING), "")
        family, joints = _family(self.reads), len(skeleton)
        if params.weights == "closeness" and family not in _CLOSE:
            raise UsageError("weights of closeness are those of offsets: -P maps=offset, or -P weights=learned")
        #: Channels that no map teaches: weights of votes, depths, or votes and their weights.
        self.free = {"heatmap_depth": 0, "heatmap": joints, "": 4 * joints}.get(family, joints)
        if params.weights == "closeness":
            self.free = 0
        self.trunk = _Trunk(params)
        self.head = nn.Conv2d(params.up[-1], sum(self.channels.values()) + self.free, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    @property
    def targets(self) -> tuple[str, ...]:  # type: ignore[override]
        """Joints, and the maps unless they weigh nothing."""
        return ("joints", *(f"maps/{kind}" for kind in self.params.maps if self.weights.get("maps")))

    def check_crops(self, crop: Mapping[str, Any]) -> None:
        """See `Network.check_crops`."""
        if crop["projection"] != self.params.projection:
            raise UsageError(
                f"dense is made for {self.params.projection} crops, the store holds {crop['projection']} ones: "
                f"-P projection={crop['projection']}"
            )
        if int(crop["size"]) % self.params.cells:
            raise UsageError(
                f"dense has {self.params.cells} cells, which do not divide crops of {crop['size']} pixels: "
                "-P cells=..., and --size"
            )

    def forward(self, depth: Tensor, cube: Tensor) -> DensePrediction:  # type: ignore[override]
        """See `DensePrediction`; depth (B, 1, S, S), cube (B, 4)."""
        x = depth
        if x.shape[-1] != self.params.size:
            x = nn.functional.adaptive_avg_pool2d(x, self.params.size)
        features = self.trunk(x)
        made = self.head(features)
        *maps, free = made.split([*self.channels.values(), self.free], dim=1)
        named = dict(zip(self.channels, maps, strict=True))
        return DensePrediction(self._read_out(named, free, depth, cube), [named], features)

    def _read_out(self, maps: Mapping[str, Tensor], free: Tensor, depth: Tensor, cube: Tensor) -> Tensor:
        family, joints = _family(self.reads), len(self.skeleton)
        perspective, half = self.params.projection == "perspective", cube[:, 3]
        own = get_map(self.reads).parameters if self.reads else {}
        axes = "uvd" if family.startswith("heatmap") else str(own.get("axes", "camera"))
        points, hand = grid_of(depth.float(), cube, self.params.cells, perspective=perspective, axes=axes)
        free = free.float()
        if family in ("heatmap", "heatmap_depth"):
            both = torch.cat([maps[self.reads].float(), free], dim=1)
            return _in_cube(heatmap_depth(both, points, hand, cube, perspective=perspective), cube)
        reach: Tensor | float = half
        weights: Tensor | None = free if self.free else None
        if family == "offset":
            close, unit = maps[self.reads].float().split([joints, 3 * joints], dim=1)
            votes, reach = torch.cat([unit, close], dim=1), 2 * half
        elif family == "ball_offset":
            votes, reach = maps[self.reads].float(), float(own["k"])
        else:
            # A vote is a way of its own: as long as the half side where closeness is 0.
            ways, weights = free.split([3 * joints, joints], dim=1)
            votes = torch.cat([ways, torch.zeros_like(weights)], dim=1)
        found = ball_vote(votes, points, hand, reach, weights=weights)
        return _in_cube(to_mm(found, cube, perspective=perspective, axes=axes), cube)

    def loss(self, output: DensePrediction, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The terms "pose" and, unless they weigh nothing, "maps"."""
        terms = {"pose": pose_loss(output.joints, batch["joints"], self.pose_loss)}
        if self.weights.get("maps"):
            terms["maps"] = map_losses(output.maps, batch, absolute=True)
        return terms


def _family(kind: str) -> str:
    return split_name(kind)[0]


def _in_cube(mm: Tensor, cube: Tensor) -> Tensor:
    """Joints (B, J, 3), mm, in units of the cubes."""
    return (mm - cube[:, None, :3]) / cube[:, None, 3:]


class _Trunk(nn.Module):
    """Encoder and deconvolutions: (B, 1, S, S) -> (B, C, H, H)."""

    def __init__(self, params: DenseParams) -> None:
        super().__init__()
        w = params.width
        # With H = S / 2 the first stage is left at S / 2, as where no pooling comes before it.
        first = [conv(2, 1, w, 7 if params.width >= 64 else 5, stride=2)]
        self.stem = nn.Sequential(*first, *([pool(2)] if params.cells * 4 == params.size else []))
        widths = [w, 2 * w, 4 * w, 8 * w]
        stages, before = [], w
        for k, channels in enumerate(widths):
            blocks = [BasicBlock(before if b == 0 else channels, channels, 2 if k and not b else 1)
                      for b in range(params.blocks)]  # fmt: skip
            stages.append(nn.Sequential(*blocks))
            before = channels
        self.stages = nn.ModuleList(stages)
        beside = widths[2::-1] if params.skips else [0, 0, 0]
        self.up1 = _Up(before, params.up[0], beside[0])
        self.up2 = _Up(params.up[0], params.up[1], beside[1])
        self.up3 = _Up(params.up[1], params.up[2], beside[2])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        seen = []
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        found: Tensor = self.up3(self.up2(self.up1(x, seen[2]), seen[1]), seen[0])
        return found


register_network("dense", lambda skeleton, **params: Dense(DenseParams.from_dict(params), skeleton))
