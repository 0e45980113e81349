"""What training minimises: a network's terms, each with an explicit weight, and how hard each pulls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gmaps.errors import UsageError, unknown_name
from gmaps.nets.losses import BETA, PoseLoss, map_loss, map_losses, map_mask, pose_loss

__all__ = [
    "BETA", "LossParams", "PoseLoss", "gradient_norms", "map_loss", "map_losses", "map_mask", "mean_error_mm",
    "pose_loss", "weighted",
]  # fmt: skip

_POSE = ("l1", "smooth_l1", "l2")


@dataclass(frozen=True)
class LossParams:
    """Weights of the terms, where they are not the network's own.

    Parameters
    ----------
    map_weight
        Of "maps", the sum over stages and kinds of the map losses, each a mean over what is not masked; 0 turns
        guidance off. By default the kind's own: the weight at which its gradient is about as large as the pose's.
    pose_weight
        Of "pose", a mean over coordinates; 1 by default.
    pose
        "l1", "smooth_l1" or "l2" (half the square), of the residual in cube units: 1 is half the cube's side.
    weights
        Of other terms that a network has, by name.
    """

    map_weight: float | None = None
    pose_weight: float | None = None
    pose: PoseLoss = "l1"
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = [w for w in (self.map_weight, self.pose_weight, *self.weights.values()) if w is not None]
        if not all(0 <= w < float("inf") for w in given) or (self.map_weight == 0 and self.pose_weight == 0):
            raise UsageError(f"weights of losses are 0 or more, not both 0: got {self}")
        if self.pose not in _POSE:
            raise unknown_name("pose loss", self.pose, _POSE)

    def of(self, own: Mapping[str, float]) -> dict[str, float]:
        """Weights of a network's terms: its own, but for those that are said here.

        Raises
        ------
        UsageError
            A term that it has not, or weights that are all 0.
        """
        found = dict(own)
        for name, weight in self.weights.items():
            if name not in own:
                raise UsageError(f"the network's loss has no term {name!r}, only {', '.join(own)}")
            found[name] = float(weight)
        # A network without maps has no use for their weight: controls are trained by the same command.
        for name, given in (("maps", self.map_weight), ("pose", self.pose_weight)):
            if given is not None and name in own:
                found[name] = float(given)
        if not any(found.values()):
            raise UsageError(f"all of the network's losses weigh 0: {', '.join(found)}")
        return found


def weighted(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the terms of a loss.

    Raises
    ------
    UsageError
        A term without a weight, or none at all.
    """
    unknown = [name for name in terms if name not in weights]
    if unknown or not terms:
        raise UsageError(
            f"the network's loss gives {', '.join(terms) or 'no term'}, its weights are of {', '.join(weights)}: "
            "each term has a weight in Network(skeleton, weights={...})"
        )
    first, *others = [weights[name] * term for name, term in terms.items()]
    return sum(others, first)


def gradient_norms(terms: Mapping[str, Tensor], weights: Mapping[str, float], shared: Tensor) -> dict[str, float]:
    """How hard each weighted term pulls at a tensor that all depend on: L2 norms of their gradients.

    Call it before `backward`; the graph stays.
    """
    norms = {}
    for name, term in terms.items():
        gradient = None
        if weights[name] and term.requires_grad:
            (gradient,) = torch.autograd.grad(term, shared, retain_graph=True, allow_unused=True)
        norms[name] = 0.0 if gradient is None else weights[name] * float(gradient.float().norm())
    return norms


def mean_error_mm(joints: Tensor, batch: Mapping[str, Any]) -> Tensor:
    """(B,) mean over joints of the distance of joints (B, J, 3), mm, to the true ones, mm."""
    found: Tensor = (joints.detach() - batch["joints_mm"]).norm(dim=-1).mean(dim=1)
    return found
