"""Joints read out of predicted maps by differentiable decoders: the twins of those in NumPy, of many crops at once.

n crops, S rows and columns of each, H of its maps, J joints. Importing it needs torch, the extra `train`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gmaps.maps.decode import SHARPNESS
from gmaps.maps.heatmap_depth import LEAST
from gmaps.maps.scene import FRONT_MM


def grid_of(
    depth: Tensor, cube: Tensor, size: int, *, perspective: bool = False, axes: str = "camera"
) -> tuple[Tensor, Tensor]:
    """The hand's cells of crops and where their surface is: what a decoder votes from.

    Parameters
    ----------
    depth : (n, 1, S, S) or (n, S, S) float32
        Crops: cube units, 1 is background.
    cube : (n, 4) float32
        Centre and half side, mm.
    size
        H; must divide S.
    perspective
        Of the crops.
    axes
        "camera", or "uvd": see `gmaps.maps.ball_offset.grid_points`.

    Returns
    -------
    points : (n, 3, H, H) float32
        mm.
    hand : (n, 1, H, H) bool
    """
    depth = depth.reshape(len(depth), *depth.shape[-2:])
    surface, hand = _surface(depth, FRONT_MM / cube[:, 3], size)
    x, y, z, h = (cube[:, k, None, None] for k in range(4))
    across = ((torch.arange(size, device=depth.device, dtype=torch.float32) + 0.5) / size * 2 - 1) * h
    right, down, deep = across.expand_as(surface), across.transpose(1, 2).expand_as(surface), surface * h
    if axes == "camera":
        deep = deep + z
        ratio = deep / z if perspective else torch.ones_like(deep)
        right, down = (right + x) * ratio, (down + y) * ratio
    return torch.stack([right, down, deep], dim=1), hand[:, None]


def _surface(depth: Tensor, thickness: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Mean depth of each cell's front pixels, 1 in the void; and whether a cell is hand."""
    step = depth.shape[1] // size
    cells = depth.reshape(len(depth), size, step, size, step)
    near = cells.amin(dim=(2, 4), keepdim=True)
    front = (cells < 1) & (cells - near <= thickness[:, None, None, None, None])
    total = torch.where(front, cells, 0.0).sum(dim=(2, 4))
    hand = near[:, :, 0, :, 0] < 1
    return torch.where(hand, total / front.sum(dim=(2, 4)).clamp(min=1), 1.0), hand


def to_mm(found: Tensor, cube: Tensor, *, perspective: bool = False, axes: str = "camera") -> Tensor:
    """(n, J, 3) joints in the axes of `grid_of` as mm in camera axes."""
    if axes == "camera":
        return found
    xyz = found + cube[:, None, :3]
    if not perspective:
        return xyz
    return torch.cat([xyz[..., :2] * (xyz[..., 2:] / cube[:, None, 2:3]), xyz[..., 2:]], dim=2)


def ball_vote(
    maps: Tensor,
    points: Tensor,
    hand: Tensor,
    k: float | Tensor,
    *,
    weights: Tensor | None = None,
    top: int = 0,
    sharpness: float = SHARPNESS,
) -> Tensor:
    """Weighted mean over the hand's cells of p + u k (1 - c).

    Parameters
    ----------
    maps : (n, 4 J, H, H), or (n, 4 J, N) of points
        A `ball_offset`: unit vectors joint by joint, then closeness.
    points : (n, 3, H, H) or (n, 3, N)
        mm; see `grid_of`.
    hand : (n, 1, H, H) or (n, 1, N) bool
        The cells that vote.
    k
        mm; or (n,), one a crop: the side of the cube where `offset` is read, its closeness put behind.
    weights : (n, J, H, H) or (n, J, N), optional
        Learned: votes are weighed by a softmax of these.
    top
        Without them: the so many votes of largest closeness, weighted by it. 0: softmax(sharpness c), of the cells
        where c > 0.

    Returns
    -------
    (n, J, 3)
        mm, in the axes of the points. NaN nowhere: a crop without hand gives the mean of its cells.
    """
    n, joints = len(maps), maps.shape[1] // 4
    flat = maps.flatten(2)
    unit, close = flat[:, : 3 * joints].unflatten(1, (joints, 3)), flat[:, 3 * joints :]
    p, voting = points.flatten(2)[:, None], hand.flatten(2).expand_as(close)
    radius = torch.as_tensor(k, dtype=maps.dtype, device=maps.device).reshape(-1, 1, 1, 1)
    votes = p + unit * (radius * (1 - close[:, :, None]))
    voting = voting | ~voting.any(dim=2, keepdim=True)
    if weights is not None:
        share = _softmax(weights.flatten(2), voting)
    elif top:
        value = torch.where(voting, close.clamp(min=1e-9), 0.0)
        best = value.topk(min(top, value.shape[2]), dim=2)
        share = torch.zeros_like(value).scatter(2, best.indices, best.values)
        share = share / share.sum(dim=2, keepdim=True).clamp(min=1e-12)
    else:
        near = voting & (close > 0)
        share = _softmax(sharpness * close, torch.where(near.any(dim=2, keepdim=True), near, voting))
    result: Tensor = (votes * share[:, :, None]).sum(dim=3).reshape(n, joints, 3)
    return result


def _softmax(logits: Tensor, voting: Tensor) -> Tensor:
    return torch.softmax(logits.masked_fill(~voting, -torch.inf), dim=2)


def heatmap_depth(maps: Tensor, points: Tensor, hand: Tensor, cube: Tensor, *, perspective: bool = False) -> Tensor:
    """Joints from heat and depths: the heat's mean place in the plane, and sum h (delta + depth) / sum h.

    Parameters
    ----------
    maps : (n, 2 J, H, H)
        Heat, of which what is below 0 counts as 0; then depth behind the surface, cube units.
    points, hand
        Of `grid_of` with axes "uvd".
    cube : (n, 4)
    perspective
        Of the crops.

    Returns
    -------
    (n, J, 3)
        mm, camera axes. In the plane the mean is exact from exact maps where the Gaussian is not cut off by the
        crop's border; the decoder in NumPy takes the apex instead, which cannot be differentiated.
    """
    joints = maps.shape[1] // 2
    heat = maps[:, :joints].flatten(2).clamp(min=0)
    behind = maps[:, joints:].flatten(2) * cube[:, 3, None, None]
    plane, deep = points[:, :2].flatten(2), points[:, 2:].flatten(2)
    whole = heat.sum(dim=2, keepdim=True).clamp(min=1e-12)
    uv = torch.einsum("njp,nap->nja", heat / whole, plane)
    # A cell off the hand, or of no heat to speak of, says nothing of depth.
    near = heat * (hand.flatten(2) & (heat > LEAST))
    total = near.sum(dim=2)
    every = (hand.flatten(2) | ~hand.flatten(2).any(dim=2, keepdim=True)).to(heat.dtype).expand_as(heat)
    share = torch.where((total > 0)[..., None], near, every)
    d = (share * (behind + deep)).sum(dim=2) / share.sum(dim=2)
    return to_mm(torch.cat([uv, d[..., None]], dim=2), cube, perspective=perspective, axes="uvd")


def plane_vote(
    maps: Tensor, points: Tensor, hand: Tensor, cube: Tensor, k: float, *, weights: Tensor | None = None,
    perspective: bool = False,
) -> Tensor:  # fmt: skip
    """Joints of a `plane_offset` (n, 4 J, H, H) on points of `grid_of` with axes "uvd": (n, J, 3) mm, camera axes."""
    n = maps.shape[1] // 4
    flat = maps.flatten(2)
    plane, close, behind = flat[:, : 2 * n].unflatten(1, (n, 2)), flat[:, 2 * n : 3 * n], flat[:, 3 * n :]
    voting = hand.flatten(2).expand_as(close)
    voting = voting | ~voting.any(dim=2, keepdim=True)
    if weights is not None:
        share = _softmax(weights.flatten(2), voting)
    else:
        near = voting & (close > 0)
        share = _softmax(SHARPNESS * close, torch.where(near.any(dim=2, keepdim=True), near, voting))
    p = points.flatten(2)[:, None]
    uv = ((p[:, :, :2] + plane * (k * (1 - close[:, :, None]))) * share[:, :, None]).sum(dim=3)
    d = ((p[:, :, 2] + behind * cube[:, 3, None, None]) * share).sum(dim=2, keepdim=True)
    return to_mm(torch.cat([uv, d], dim=2), cube, perspective=perspective, axes="uvd")


def pixel_vote(
    maps: Tensor,
    points: Tensor,
    hand: Tensor,
    cube: Tensor,
    weights: Tensor | None = None,
    *,
    perspective: bool = False,
) -> Tensor:
    """Joints of a `pixel_offset` (n, 3 J, H, H), on points of `grid_of` with axes "uvd"; (n, J, 3) mm, camera axes.

    Votes p + offset are weighed by a softmax of `weights` (n, J, H, H) over the hand's cells; without, all alike.
    """
    offset = maps.flatten(2).unflatten(1, (-1, 3)) * cube[:, 3, None, None, None]
    voting = hand.flatten(2).expand(-1, offset.shape[1], -1)
    voting = voting | ~voting.any(dim=2, keepdim=True)
    logits = torch.zeros_like(offset[:, :, 0]) if weights is None else weights.flatten(2)
    votes = points.flatten(2)[:, None] + offset
    found = (votes * _softmax(logits, voting)[:, :, None]).sum(dim=3)
    return to_mm(found, cube, perspective=perspective, axes="uvd")
