"""Offsets to the joints, and points of the surface, of many crops at once, as PyTorch operations.

Symbols: n crops, S rows and columns of each, H of its maps, J joints, P points. What each function gives is said in
full where its twin for one crop is: `gmaps.maps.ball_offset`, `heatmap_depth`, `pixel_offset`, `points`.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from gmaps.maps.points import turns


def uvd_points(surface: Tensor, cube: Tensor) -> Tensor:
    """(n, H, H, 3) float32, mm: each cell's surface point in columns, rows and depth from the cube's centre."""
    size = surface.shape[1]
    unit = (torch.arange(size, device=surface.device, dtype=torch.float64) + 0.5) / size * 2 - 1
    across = (unit * cube[:, 3, None].double()).float()
    deep = surface * cube[:, 3, None, None]
    return torch.stack([across[:, None].expand_as(deep), across[:, :, None].expand_as(deep), deep], dim=-1)


def uvd_joints(joints: Tensor, px: Tensor, cube: Tensor, size: int) -> Tensor:
    """(n, J, 3) float32, mm: joints (n, J, 3), mm, that lie at (n, J, 2) cells, in the axes of `uvd_points`."""
    at = cube.double()[:, None]
    plane = ((px + 0.5) / size * 2 - 1) * at[..., 3:]
    deep = joints[..., 2].double() - at[..., 2]
    return torch.stack([plane[..., 1], plane[..., 0], deep], dim=-1).float()


def ball(points: Tensor, hand: Tensor, joints: Tensor, k: float) -> tuple[Tensor, Tensor]:
    """Directions and closeness within a ball around each joint; see `gmaps.kernels.planar.ball`.

    Parameters
    ----------
    points : (n, ..., D) float32
        mm.
    hand : (n, ...) bool
    joints : (n, J, D) float32
        mm, same axes.
    k
        Radius, mm.

    Returns
    -------
    units : (n, ..., J D) float32
    closeness : (n, ..., J) float32
    """
    places = joints.reshape(len(joints), *[1] * (points.ndim - 2), *joints.shape[1:])
    away = places - points[..., None, :]
    # Summed in this order, as the kernel does: whether a cell is within decides between a direction and none.
    square = away[..., 0] * away[..., 0]
    for axis in range(1, away.shape[-1]):
        square = square + away[..., axis] * away[..., axis]
    radius = torch.tensor(k, dtype=torch.float32, device=points.device)
    within = hand[..., None] & (square < radius * radius)
    length = square.sqrt()
    closeness = torch.where(within, (radius - length) * torch.tensor(1.0 / k, dtype=torch.float32), 0.0)
    told = (within & (length > 1e-6))[..., None]
    units = torch.where(told, away / length[..., None].clamp(min=1e-6), 0.0)
    return units.flatten(-2), closeness


def behind(near: Tensor, surface: Tensor, hand: Tensor, joints: Tensor, cube: Tensor, least: float) -> Tensor:
    """(n, H, H, J) float32: how far each joint lies behind the surface, half sides, where `near` is above `least`."""
    deep = (joints[..., 2] - cube[:, 2, None]) / cube[:, 3, None]
    told = hand[..., None] & (near > least)
    return torch.where(told, deep[:, None, None] - surface[..., None], 0.0)


@functools.lru_cache(maxsize=8)
def _in_turn(size: int, device: torch.device) -> Tensor:
    """(S S,) int64: pixels of a crop in the order in which they are taken."""
    return torch.from_numpy(np.argsort(turns(size), kind="stable")).to(device)


def cloud(depth: Tensor, cube: Tensor, count: int, perspective: bool) -> tuple[Tensor, Tensor]:
    """(n, P, 3) float32, mm: `gmaps.maps.points.points_of` each crop; and (n,) whether it has a hand."""
    pixels = depth.shape[1]
    order = _in_turn(pixels, depth.device)
    taken = (depth < 1).flatten(1)[:, order].cumsum(dim=1)
    there = taken[:, -1]
    # The first pixel in turn by which r of the hand were met is the r-th; of too few, again from the first on.
    wanted = torch.arange(count, device=depth.device) % there.clamp(min=1)[:, None] + 1
    at = order[torch.searchsorted(taken, wanted).clamp(max=pixels * pixels - 1)]
    x, y, z, h = (cube[:, k, None].double() for k in range(4))
    deep = depth.flatten(1).gather(1, at).double() * h + z
    ratio = deep / z if perspective else torch.ones_like(deep)
    column, row = ((p.double() + 0.5) / pixels * 2 - 1 for p in (at % pixels, at // pixels))
    points = torch.stack([(column * h + x) * ratio, (row * h + y) * ratio, deep], dim=-1).float()
    some = there > 0
    return torch.where(some[:, None, None], points, 0.0), some
