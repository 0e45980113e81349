"""What training minimises: pose and maps, each in a stated unit, with explicit weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gmaps.errors import UsageError, unknown_name
from gmaps.nets.losses import BETA, PoseLoss, map_loss, map_losses, map_mask, pose_loss

__all__ = [
    "BETA", "LossParams", "Losses", "PoseLoss", "gradient_norms", "losses", "map_loss", "map_losses", "map_mask",
    "mean_error_mm", "pose_loss",
]  # fmt: skip

_POSE = ("l1", "smooth_l1", "l2")


@dataclass(frozen=True)
class LossParams:
    """Weights of the two losses.

    Parameters
    ----------
    map_weight
        Of the sum over stages and kinds of the map losses, each a mean over what is not masked; 0 turns guidance off.
    pose_weight
        Of the pose loss, a mean over coordinates.
    pose
        "l1", "smooth_l1" or "l2" (half the square), of the residual in cube units: 1 is half the cube's side.
    """

    map_weight: float = 1.0
    pose_weight: float = 1.0
    pose: PoseLoss = "l1"

    def __post_init__(self) -> None:
        if not (self.map_weight >= 0 and self.pose_weight >= 0 and self.map_weight + self.pose_weight > 0):
            raise UsageError(f"weights of losses are 0 or more, not both 0: got {self}")
        if self.pose not in _POSE:
            raise unknown_name("pose loss", self.pose, _POSE)


class Losses(NamedTuple):
    """Scalars: the weighted sum, and its parts without their weights."""

    total: Tensor
    pose: Tensor
    maps: Tensor


def losses(prediction: Any, batch: Mapping[str, Any], params: LossParams) -> Losses:
    """Both losses of a `Prediction` on a collated batch. The maps are not looked at when their weight is 0."""
    pose = pose_loss(prediction.joints, batch["joints"], params.pose)
    if params.map_weight == 0 or not prediction.maps:
        return Losses(params.pose_weight * pose, pose, torch.zeros_like(pose))
    maps = map_losses(prediction.maps, batch)
    return Losses(params.pose_weight * pose + params.map_weight * maps, pose, maps)


def gradient_norms(found: Losses, params: LossParams, shared: Tensor) -> tuple[float, float]:
    """How strongly each weighted loss pulls at a tensor that both depend on: L2 norms of the two gradients.

    Call it before `backward`; the graph stays.
    """
    norms = []
    for weight, part in ((params.pose_weight, found.pose), (params.map_weight, found.maps)):
        if weight == 0 or not part.requires_grad:
            norms.append(0.0)
            continue
        (gradient,) = torch.autograd.grad(part, shared, retain_graph=True, allow_unused=True)
        norms.append(0.0 if gradient is None else weight * float(gradient.float().norm()))
    return norms[0], norms[1]


def mean_error_mm(predicted: Tensor, batch: Mapping[str, Any]) -> Tensor:
    """(B,) mean over joints of the distance to the true ones, mm."""
    distance = (predicted.detach() - batch["joints"]).norm(dim=-1).mean(dim=1)
    found: Tensor = distance * batch["cube"][:, 3]
    return found
