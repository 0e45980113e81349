"""Joints read out of dense maps, so that a loss of joints teaches the maps. All differentiable, in cube units.

Symbols: B samples, J joints, H x H cells, N = H H. A cell says where it is, p, and which way and how far a joint is
from it; joints are means of what the hand's cells say, by weights that sum up to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gmaps.maps.scene import FRONT_MM
from gmaps.maps.torch_planar import pool, surface_points

#: Of the softmax of closeness (Huang et al., AWR, AAAI 2020).
SHARPNESS = 30.0


def cells_of(depth: Tensor, cube: Tensor, size: int, perspective: bool = False) -> tuple[Tensor, Tensor]:
    """Where the cells' surface is, (B, 3, H, H) in cube units, and which are hand, (B, 1, H, H) bool.

    Parameters
    ----------
    depth : (B, 1, S, S) float32
        Crops: 1 is background.
    cube : (B, 4) float32
        Centre and half side, mm.
    size
        H.
    perspective
        Whether the crops' rows and columns are the image's.
    """
    hand, surface = pool(depth[:, 0].float(), size, FRONT_MM / cube[:, 3])
    mm = surface_points(surface, cube, perspective)
    return ((mm - cube[:, None, None, :3]) / cube[:, None, None, 3:]).movedim(-1, 1), hand[:, None]


def shares(logits: Tensor, hand: Tensor) -> Tensor:
    """(B, J, N): softmax over the hand's cells of (B, J, H, H); over all where there is no hand."""
    voting = (hand | ~hand.flatten(1).any(dim=1)[:, None, None, None]).flatten(2)
    return torch.softmax(logits.float().flatten(2).masked_fill(~voting, -torch.inf), dim=2)


def vote(
    close: Tensor, unit: Tensor, points: Tensor, hand: Tensor, reach: Tensor | float, weights: Tensor | None = None
) -> Tensor:
    """(B, J, 3): the mean of p + u k (1 - c).

    Parameters
    ----------
    close : (B, J, H, H)
        c.
    unit : (B, 3 J, H, H)
        u, x y z joint by joint.
    points : (B, 3, H, H)
        p.
    hand : (B, 1, H, H) bool
    reach
        k, cube units; or (B,).
    weights : (B, J, H, H), optional
        Weigh by a softmax of these (IPNet's `weight_offset`), instead of that of `SHARPNESS` c.
    """
    share = shares(SHARPNESS * close if weights is None else weights, hand)
    k = torch.as_tensor(reach, device=close.device, dtype=torch.float32).reshape(-1, 1, 1)
    way = share * k * (1 - close.float().flatten(2))
    directions = unit.float().flatten(2).unflatten(1, (-1, 3))
    return share @ points.flatten(2).mT + (way[:, :, None] * directions).sum(dim=3)


def mean_place(heat: Tensor, behind: Tensor, points: Tensor, hand: Tensor) -> Tensor:
    """(B, J, 3): in the plane the mean place of heat (soft-argmax), in depth that of the surface and what is behind.

    Parameters
    ----------
    heat : (B, J, H, H)
        What is below 0 counts as 0.
    behind : (B, J, H, H)
        How far behind the surface the joint is, cube units.
    points, hand
        See `cells_of`; of an orthographic crop.
    """
    h = heat.float().flatten(2).clamp(min=0) + 1e-6
    size = heat.shape[-1]
    middle = (torch.arange(size, device=heat.device, dtype=torch.float32) + 0.5) / size * 2 - 1
    plane = torch.stack([middle.expand(size, size), middle[:, None].expand(size, size)]).flatten(1)
    uv = (h / h.sum(dim=2, keepdim=True)) @ plane.mT
    near = h * hand.flatten(2) + 1e-9
    deep = points[:, 2:].flatten(2) + behind.float().flatten(2)
    return torch.cat([uv, ((near * deep).sum(2) / near.sum(2))[..., None]], dim=2)
