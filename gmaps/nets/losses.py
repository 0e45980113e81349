"""What is learnt from, each in a stated unit: the terms that networks sum up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from gmaps.errors import UsageError
from gmaps.maps import map_traits

PoseLoss = Literal["l1", "smooth_l1", "l2"]
#: Smooth L1 of the pose is a parabola below this, cube units: 6 mm in a cube of half side 120 mm.
BETA = 0.05


def pose_loss(predicted: Tensor, true: Tensor, kind: PoseLoss = "l1") -> Tensor:
    """Mean over samples, joints and coordinates; (B, J, 3) cube units."""
    if kind == "l1":
        return functional.l1_loss(predicted, true)
    if kind == "smooth_l1":
        return functional.smooth_l1_loss(predicted, true, beta=BETA)
    return 0.5 * functional.mse_loss(predicted, true)


def map_mask(kind: str, target: Tensor, silhouette: Tensor | None = None) -> Tensor | None:
    """Where a kind of map means something.

    Parameters
    ----------
    kind
        A kind, or any name.
    target : (B, C, H, ...)
        The true map.
    silhouette : (B, 1, H, H) bool, optional
        Of the crop.

    Returns
    -------
    (B, 1 or C, H, ...) float32, or None
        1 on the hand and 0 in the void, where a true distance or direction is 0 by definition and not by measure.
        None for kinds that are defined everywhere.
    """
    traits = map_traits(kind)
    if traits.background:
        return None
    views = traits.views
    if silhouette is not None and target.ndim == 4 and views == 1:
        return silhouette.to(target.dtype)
    # Each view has a silhouette of its own: where any joint's value is not 0.
    parts = target.unflatten(1, (views, -1))
    mask = (parts != 0).any(dim=2, keepdim=True).to(target.dtype)
    result: Tensor | None = mask.expand_as(parts).flatten(1, 2) if views > 1 else mask[:, 0]
    return result


def map_loss(
    kind: str, predicted: Tensor, target: Tensor, silhouette: Tensor | None = None, absolute: bool = False
) -> Tensor:
    """One stage's loss of one kind.

    As the kind's `MapKind.loss` says: smooth L1, 0.5 x^2 below 1 and |x| - 0.5 above, mean over channels and cells
    that are not masked; or, for a choice among cells, cross entropy of a softmax over them, mean over channels, nats.

    Parameters
    ----------
    kind
        A kind of map, or any name.
    predicted : (B, C, h, ...)
        What a stage gave.
    target : (B, C, H, ...)
        The true map; where H is not h, it is averaged over cells of h, hand cells only, and a choice among cells is
        that of the coarser cell.
    silhouette : (B, 1, H, H) bool, optional
        See `map_mask`.
    absolute
        |x| instead of smooth L1, of kinds that mean nothing in the void.
    """
    predicted, target = predicted.float(), target.float()
    if predicted.shape[1] != target.shape[1]:
        raise UsageError(f"the network gives {kind} {predicted.shape[1]} channels, the batch holds {target.shape[1]}")
    if map_traits(kind).loss == "cross_entropy":
        ours, theirs = predicted.shape[2:], target.shape[2:]
        if ours != theirs:
            if len(ours) != len(theirs) or any(t % o for o, t in zip(ours, theirs, strict=True)):
                raise UsageError(
                    f"{kind} chooses a cell of {tuple(ours)}, the batch holds {tuple(theirs)}: the first must divide "
                    "the second; change the network's --size, or build a store of other maps"
                )
            pool: Any = functional.adaptive_max_pool2d if target.ndim == 4 else functional.adaptive_max_pool3d
            target = pool(target, tuple(ours))
        return functional.cross_entropy(predicted.flatten(2).flatten(0, 1), target.flatten(2).argmax(2).flatten())
    mask = map_mask(kind, target, silhouette)
    if predicted.shape[2:] != target.shape[2:]:
        target, mask = _resize(target, mask, predicted.shape[2:])
    if mask is None:
        return functional.smooth_l1_loss(predicted, target)
    each = functional.smooth_l1_loss(predicted, target, reduction="none", beta=0.0 if absolute else 1.0) * mask
    return each.sum() / (mask.sum() * (target.shape[1] / mask.shape[1])).clamp(min=1)


def _resize(target: Tensor, mask: Tensor | None, size: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    average: Any = functional.adaptive_avg_pool2d if target.ndim == 4 else functional.adaptive_avg_pool3d
    shape = tuple(size)
    if mask is None:
        return average(target, shape), None
    share = average(mask, shape)
    return average(target * mask, shape) / share.clamp(min=1e-6), (share > 0).to(target.dtype)


def kind_weights(kinds: Iterable[str]) -> dict[str, float]:
    """Kind -> the weight at which its loss pulls about as hard as the pose's, as the kind has it."""
    return {kind: map_traits(kind).weight for kind in kinds}


def map_losses(
    stages: Sequence[Mapping[str, Tensor]], batch: Mapping[str, Any], weights: Mapping[str, float] | None = None,
    absolute: bool = False,
) -> Tensor:  # fmt: skip
    """Sum over stages and kinds of `map_loss`; maps in mm are first divided by the cube's half side.

    Parameters
    ----------
    stages
        As `GuidanceSupervision` gives them.
    batch
        "maps", and where there are "silhouette" and "cube": a collated batch of a `GuidanceDataset`.
    weights
        Of kinds, where they are not 1.
    absolute
        See `map_loss`.
    """
    weights = weights or {}
    targets = {kind: _unitless(kind, batch) for kind in (stages[0] if stages else ())}
    found = [
        weights.get(k, 1.0) * map_loss(k, p, targets[k], batch.get("silhouette"), absolute)
        for stage in stages
        for k, p in stage.items()
    ]
    return torch.stack(found).sum() if found else torch.zeros(())


def _unitless(kind: str, batch: Mapping[str, Any]) -> Tensor:
    try:
        target: Tensor = batch["maps"][kind]
    except KeyError:
        raise UsageError(f"the batch holds no map {kind!r}, only {', '.join(batch.get('maps', {}))}") from None
    if map_traits(kind).unit == "mm":
        target = target / batch["cube"][:, 3].reshape(-1, *[1] * (target.ndim - 1))
    return target
