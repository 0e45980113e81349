"""Convolutional pose machines, and NSRM: the same with stages that first learn where the limbs are.

Wei et al., "Convolutional Pose Machines", CVPR 2016; Chen et al., "Nonparametric Structure Regularization Machine",
WACV 2020. Both find joints in the plane; their depth is that of the skin there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gmaps.errors import UsageError, unknown_name
from gmaps.maps import get_map
from gmaps.maps.torch_decode import grid_of, to_mm
from gmaps.nets.blocks import conv
from gmaps.nets.network import Network
from gmaps.nets.registry import register_network
from gmaps.nets.trunks import TRUNKS, Trunk
from gmaps.skeleton import Skeleton

#: lambda 1 of a mask and its groups, as published; the fingers' part, lambda 2, is a fifth of it.
LAMBDA = {
    ("ldm", "g1"): 1.0, ("lpm", "g1"): 0.5, ("ldm", "g6"): 1.0, ("lpm", "g6"): 0.5,
    ("ldm", "g1g6"): 0.2, ("lpm", "g1g6"): 0.1,
}  # fmt: skip
FINGERS = 0.2
#: The logit of a limb where nothing was learnt: one cell in eight.
_NO_LIMB = -2.0
#: What of a crop can be read; and the mean and deviation of red, green and blue for which VGG-19's weights were made.
INPUTS = ("depth", "color")
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Cells around a peak whose heat decides where it is.
_AROUND = 2


class Stages(NamedTuple):
    """What a pose machine gives.

    Parameters
    ----------
    keypoints
        (B, J, H, H) heat, one a stage of joints.
    limbs
        (B, G, H, H) logits, one a stage of limbs; none of a plain machine.
    features : (B, C, H, H)
        What the trunk gave, which all stages read.
    """

    keypoints: list[Tensor]
    limbs: list[Tensor]
    features: Tensor


class PoseMachine(Network):
    """Six stages, each of which sees the trunk's features and what the one before it thought.

    Parameters
    ----------
    skeleton
        Whose joints it finds.
    groups
        "": all stages learn heat maps of the joints, a plain pose machine. "g1", "g6" or "g1g6": the first half
        learns masks of the limbs, of all in one, of each finger and the palm, or both.
    mask
        "lpm", a Gaussian of the distance to the limb, or "ldm", 1 on it and 0 elsewhere.
    trunk
        "vgg19", or "handmap" for the stem of HandMap.
    size
        S that the trunk reads: the maps have S / 8 rows (vgg19) or S / 4 (handmap).
    width
        C of the features and of the stages' layers.
    stages
        Of all, an even number: the published six.
    kernel
        Side of the refining layers' kernels: the published seven.
    decay, decay_epochs
        Limbs weigh so many times as much after each so many epochs; 0 epochs for never.
    pretrained
        A file of torchvision's weights of VGG-19 to begin with.
    perspective
        Whether the crops are.
    input
        What of a crop the trunk reads: "depth", or "color" of a store that keeps it.
    """

    def __init__(
        self, skeleton: Skeleton, groups: str = "", mask: str = "lpm", trunk: str = "vgg19", size: int = 256,
        width: int = 128, stages: int = 6, kernel: int = 7, decay: float = 0.1, decay_epochs: int = 20,
        pretrained: str = "", perspective: bool = False, input: str = "depth",
    ) -> None:  # fmt: skip
        if groups not in ("", "g1", "g6", "g1g6"):
            raise unknown_name("group of limbs", groups, ("g1", "g6", "g1g6"))
        if mask not in ("lpm", "ldm"):
            raise unknown_name("mask of limbs", mask, ("lpm", "ldm"))
        if input not in INPUTS:
            raise unknown_name("input", input, INPUTS)
        if trunk not in TRUNKS:
            raise unknown_name("trunk", trunk, TRUNKS)
        if not (stages >= 2 and stages % 2 == 0 and kernel % 2 == 1 and width >= 4 and 0 <= decay <= 1):
            raise UsageError(
                f"stages are an even number, kernels odd, width at least 4, decay 0 to 1: got {stages}, {kernel}, "
                f"{width}, {decay}"
            )
        own = {
            "groups": groups, "mask": mask, "trunk": trunk, "size": size, "width": width, "stages": stages,
            "kernel": kernel, "decay": decay, "decay_epochs": decay_epochs, "perspective": perspective,
            "input": input,
        }  # fmt: skip
        half = stages // 2 if groups else 0
        weights = {f"keypoints_{k}": 1.0 for k in range(half + 1, stages + 1)}
        first = LAMBDA[mask, groups] if groups else 0.0
        for part, weight in (("g1", first), ("g6", FINGERS * first)):
            if part in groups:
                weights |= {f"{part}_{k}": weight for k in range(1, half + 1)}
        super().__init__(skeleton, weights)
        self.origin = ("pose_machine", own)
        self.limb_kinds = {part: f"limb_{mask}_{part}" for part in ("g1", "g6") if part in groups}
        self.limb_stages, self.perspective, self.limb_scale = half, perspective, 1.0
        self.decay, self.decay_epochs = decay, decay_epochs
        self.inputs = (input,)
        self.trunk: Trunk = TRUNKS[trunk](size, width, 3 if input == "color" else 1)
        if pretrained:
            self.trunk.load(pretrained)
        self.limb_channels = {part: get_map(kind).channels(skeleton) for part, kind in self.limb_kinds.items()}
        joints, limbs = len(skeleton), sum(self.limb_channels.values())
        self.stages = nn.ModuleList()
        for k in range(stages):
            out = limbs if k < half else joints
            if k == 0:
                self.stages.append(nn.Sequential(conv(2, width, 4 * width), nn.Conv2d(4 * width, out, 1)))
                continue
            before = limbs if k <= half and groups else joints
            # Behind the first stage of joints, the last one of limbs is seen all along.
            seen = width + before + (limbs if groups and k > half else 0)
            layers = [conv(2, seen if i == 0 else width, width, kernel) for i in range(5)]
            self.stages.append(nn.Sequential(*layers, conv(2, width, width), nn.Conv2d(width, out, 1)))
        for k, stage in enumerate(self.stages):
            _begin_empty(stage[-1], _NO_LIMB if k < half else 0.0)  # type: ignore[index]

    @property
    def targets(self) -> tuple[str, ...]:  # type: ignore[override]
        """Heat maps, and the masks of limbs that weigh something."""
        limbs = [
            k
            for p, k in self.limb_kinds.items()
            if any(self.weights[f"{p}_{i + 1}"] for i in range(self.limb_stages))
        ]
        return ("maps/heatmap", *(f"maps/{kind}" for kind in limbs))

    def begin_epoch(self, epoch: int) -> None:
        """Limbs weigh less from time to time, so that joints are what is learnt in the end."""
        self.limb_scale = self.decay ** (epoch // self.decay_epochs) if self.decay_epochs else 1.0

    def check_crops(self, crop: Mapping[str, Any]) -> None:
        """See `Network.check_crops`."""
        if self.inputs == ("color",) and not crop.get("color"):
            raise UsageError(
                "the store keeps no colour: build it with -O color=on of a data set that has some, such as dexycb, "
                "or of panoptic, onehand10k or nsrm; or leave out -P input=color"
            )
        if self.inputs == ("depth",) and crop.get("flat"):
            raise UsageError("the store holds colour and no depth: say -P input=color")

    def forward(self, crop: Tensor) -> Stages:  # type: ignore[override]
        """See `Stages`; depth (B, 1, S, S), or colours (B, S, S, 3) uint8."""
        if self.inputs == ("color",):
            crop = crop.movedim(-1, 1).float() / 255
            crop = (crop - crop.new_tensor(_MEAN)[:, None, None]) / crop.new_tensor(_DEVIATION)[:, None, None]
        features = self.trunk(crop)
        found = Stages([], [], features)
        seen, structure = [features], []
        for k, stage in enumerate(self.stages):
            made = stage(torch.cat(seen, dim=1))
            if k < self.limb_stages:
                found.limbs.append(made)
                made = torch.sigmoid(made)
                structure = [made]
                seen = [features, made]
            else:
                found.keypoints.append(made)
                seen = [features, *structure, made]
        return found

    def loss(self, output: Stages, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """A term a stage: squares for joints, cross entropies for limbs; sums over channels, means over cells."""
        terms = {}
        heat = self._target("heatmap", output, batch)
        for k, made in enumerate(output.keypoints, self.limb_stages + 1):
            terms[f"keypoints_{k}"] = (made.float() - heat).square().sum(dim=1).mean()
        for part, kind in self.limb_kinds.items():
            if f"maps/{kind}" not in self.targets:
                continue
            at = 0 if part == "g1" else self.limb_channels.get("g1", 0)
            target = self._target(kind, output, batch)
            for k, made in enumerate(output.limbs, 1):
                logits = made[:, at : at + self.limb_channels[part]].float()
                each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
                terms[f"{part}_{k}"] = self.limb_scale * each.sum(dim=1).mean()
        return {name: terms.get(name, heat.new_zeros(())) for name in self.weights}

    def _target(self, kind: str, output: Stages, batch: Mapping[str, Any]) -> Tensor:
        target: Tensor = batch["maps"][kind].float()
        if target.shape[2:] != output.features.shape[2:]:
            ours, theirs = output.features.shape[2], target.shape[2]
            raise UsageError(
                f"the network gives maps of {ours} rows, the store's have {theirs}: train with -P "
                f"size={self.trunk.step * theirs}, or build the store with --map-size {ours}"
            )
        return target

    def decode(self, output: Stages, batch: Mapping[str, Any]) -> Tensor:
        """(B, J, 3) mm: the middle of the heat around each peak of the last stage, at the depth of the hand there.

        Of crops without depth, u, v in pixels and 1, as their joints are.
        """
        heat = output.keypoints[-1].float()
        n, joints, size, _ = heat.shape
        depth = batch["depth"].float()
        if depth.shape[-1] % size:
            depth = functional.interpolate(depth, size=(4 * size, 4 * size))
        points, hand = grid_of(depth, batch["cube"].float(), size, axes="uvd")
        best = heat.flatten(2).argmax(dim=2)
        rows, columns = best // size, best % size
        cells = torch.arange(size, device=heat.device)
        near = ((cells[:, None] - rows[..., None, None]).abs() <= _AROUND) & (
            (cells - columns[..., None, None]).abs() <= _AROUND
        )
        share = torch.where(near, heat.clamp(min=0), 0.0).flatten(2) + 1e-9 * near.flatten(2)
        share = share / share.sum(dim=2, keepdim=True)
        uv = torch.einsum("njp,nap->nja", share, points[:, :2].flatten(2))
        away = torch.cdist(uv, points[:, :2].flatten(2).transpose(1, 2).contiguous())
        away = away.masked_fill(~hand.flatten(2), 1e9)
        # Of a crop without a hand, the middle of the cube.
        deep = torch.where(hand, points[:, 2:], 0.0).flatten(2).expand(n, joints, -1)
        d = deep.gather(2, away.argmin(dim=2, keepdim=True))
        return to_mm(torch.cat([uv, d], dim=2), batch["cube"].float(), perspective=self.perspective, axes="uvd")


def _begin_empty(layer: nn.Conv2d, bias: float) -> None:
    """A stage begins by finding nothing, as nearly all cells of a map hold nothing.

    From PyTorch's own initialisation it begins at a hundred times the loss of an empty map, and spends
    most of a short run on coming down to it.
    """
    nn.init.normal_(layer.weight, std=0.01)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)


def _cpm(
    skeleton: Skeleton, *, trunk: str = "vgg19", size: int = 256, width: int = 128, stages: int = 6, kernel: int = 7,
    pretrained: str = "", perspective: bool = False, input: str = "depth",
) -> PoseMachine:  # fmt: skip
    return PoseMachine(
        skeleton, trunk=trunk, size=size, width=width, stages=stages, kernel=kernel, pretrained=pretrained,
        perspective=perspective, input=input,
    )  # fmt: skip


def _nsrm(
    skeleton: Skeleton, *, groups: str = "g1g6", mask: str = "lpm", trunk: str = "vgg19", size: int = 256,
    width: int = 128, stages: int = 6, kernel: int = 7, decay: float = 0.1, decay_epochs: int = 20,
    pretrained: str = "", perspective: bool = False, input: str = "depth",
) -> PoseMachine:  # fmt: skip
    if not groups:
        raise UsageError("nsrm learns limbs, of groups g1, g6 or g1g6; without them it is the network cpm")
    return PoseMachine(
        skeleton,
        groups,
        mask,
        trunk,
        size,
        width,
        stages,
        kernel,
        decay,
        decay_epochs,
        pretrained,
        perspective,
        input,
    )


register_network("cpm", _cpm)
register_network("nsrm", _nsrm)
# What checkpoints name, with all parameters.
register_network("pose_machine", PoseMachine)
