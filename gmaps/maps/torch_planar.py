"""Maps that need no march, of many crops at once, as PyTorch operations on whatever device the crops are.

Symbols: n crops, S rows and columns of each, H of its maps, J joints. What each function gives is said in full where
its compiled twin is: `gmaps.kernels.planar`, `gmaps.kernels.edt`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

#: Crops that are treated at a time where each needs much memory.
CHUNK = 32
_FAR = 1e30


def joints_px(joints: Tensor, cube: Tensor, size: int, perspective: bool) -> Tensor:
    """(n, J, 2) float64: (row, col) of joints (n, J, 3), mm, on a grid of `size` over the cubes (n, 4)."""
    xyz, at = joints.double(), cube.double()[:, None]
    ratio = at[..., 2] / xyz[..., 2] if perspective else torch.ones_like(xyz[..., 2])
    px = [((xyz[..., k] * ratio - at[..., k]) / (2 * at[..., 3]) + 0.5) * size - 0.5 for k in (1, 0)]
    return torch.stack(px, dim=-1)


def windows(pixels: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(H, W) pixels that each cell along a side covers, and whether they count: cells need not nest."""
    first = torch.arange(size, device=device) * pixels // size
    last = ((torch.arange(1, size + 1, device=device) * pixels + size - 1) // size).maximum(first + 1)
    at = first[:, None] + torch.arange(int((last - first).max()), device=device)
    return at.clamp(max=pixels - 1), at < last[:, None]


def pool(depth: Tensor, size: int, thickness: Tensor) -> tuple[Tensor, Tensor]:
    """Silhouette and front surface, (n, H, H) each, of crops (n, S, S); `thickness` (n,) in units of depth."""
    at, counts = windows(depth.shape[1], size, depth.device)
    d = depth[:, at][..., at]  # (n, H, W, H, W)
    d = torch.where(counts[:, :, None, None] & counts, d, d.new_ones(()))
    near = d.amin(dim=(2, 4), keepdim=True)
    front = (d < 1) & (d - near <= thickness[:, None, None, None, None])
    total = torch.where(front, d, d.new_zeros(())).sum(dim=(2, 4))
    silhouette = near[:, :, 0, :, 0] < 1
    surface = total / front.sum(dim=(2, 4)).clamp(min=1)
    return silhouette, torch.where(silhouette, surface, surface.new_ones(()))


def surface_points(surface: Tensor, cube: Tensor, perspective: bool) -> Tensor:
    """(n, H, H, 3): surface points, mm, camera axes."""
    size = surface.shape[1]
    unit = (torch.arange(size, device=surface.device, dtype=torch.float64) + 0.5) / size * 2 - 1
    x, y, z, h = (cube[:, k, None, None] for k in range(4))
    d = surface * h + z
    ratio = d / z if perspective else torch.ones_like(d)
    across = unit.float() * h
    return torch.stack([(across + x) * ratio, (across.transpose(1, 2) + y) * ratio, d.expand_as(ratio)], dim=-1)


def towards(points: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (n, H, H, J, 3) from surface points to joints (n, J, 3), mm, and their lengths (n, H, H, J)."""
    away = joints[:, None, None] - points[..., None, :]
    return away, away.square().sum(dim=-1).sqrt()


def signed_edt(depth: Tensor, size: int, side: Tensor) -> Tensor:
    """(n, H, H) float32, mm: `gmaps.kernels.edt.at_centers` of each crop; `side` (n,) is that of its cube, mm."""
    found = [_signed_edt(depth[k : k + CHUNK], size) for k in range(0, len(depth), CHUNK)]
    out = torch.cat(found)
    # All is hand, or all is void.
    return torch.where(out.isinf(), out.sign() * depth.shape[1], out) * (side / depth.shape[1])[:, None, None]


def _signed_edt(depth: Tensor, size: int) -> Tensor:
    pixels, device = depth.shape[1], depth.device
    hand = depth < 1
    centers = ((torch.arange(size, device=device, dtype=torch.float64) + 0.5) * pixels / size - 0.5).float()
    rows = torch.arange(pixels, device=device, dtype=torch.float32)
    distance = []
    for found in (hand, ~hand):
        square = _along_rows(found, rows, centers).square().clamp(max=_FAR)
        # Down the columns: (n, H, 1, H) from (n, 1, S, H).
        down = (centers[:, None] - rows).square()[None, :, :, None]
        distance.append(torch.stack([(square + down[:, k]).amin(dim=1) for k in range(size)], dim=1).sqrt())
    low = centers.floor().long().clamp(0, pixels - 1)
    high = torch.where(centers > low, low + 1, low).clamp(max=pixels - 1)
    share = (centers - low).clamp(0, 1)
    h = hand.float()
    across = (1 - share) * h[:, :, low] + share * h[:, :, high]
    around = (1 - share)[:, None] * across[:, low] + share[:, None] * across[:, high]
    limit = math.sqrt(_FAR) / 2
    to_hand, to_gap = (torch.where(d < limit, d, torch.full_like(d, torch.inf)) for d in distance)
    mixed = 2 * around - 1
    return torch.where(around <= 0, -to_hand, torch.where(around >= 1, to_gap, mixed))


def _along_rows(found: Tensor, columns: Tensor, centers: Tensor) -> Tensor:
    """(n, S, H): distance along each row from the centres of cells to the nearest pixel that is found."""
    last = torch.where(found, columns, columns.new_tensor(-1e15)).cummax(dim=2).values
    first = torch.where(found, columns, columns.new_tensor(1e15)).flip(2).cummin(dim=2).values.flip(2)
    # Of pixels before the first column, and after the last, there are none.
    last, first = pad(last, (1, 0), value=-1e15), pad(first, (0, 1), value=1e15)
    before = (centers.floor().long() + 1).clamp(0, len(columns))
    after = centers.ceil().long().clamp(0, len(columns))
    return torch.minimum(centers - last[:, :, before], first[:, :, after] - centers)


def heatmap(px: Tensor, size: int, sigma: float) -> Tensor:
    """(n, H, H, J) float32: Gaussians around joints at (n, J, 2), cells."""
    cells = torch.arange(size, device=px.device, dtype=torch.float64)
    d = (cells[:, None, None] - px[:, None]) / sigma
    each = torch.where(d.abs() <= 8, (-0.5 * d * d).exp(), torch.zeros_like(d)).float()
    return each[:, :, None, :, 0] * each[:, None, :, :, 1]


def limbs(px: Tensor, bones: Tensor, members: Sequence[Sequence[int]], probabilistic: bool, size: int) -> Tensor:
    """(n, H, H, C) float32: closeness to limbs in the plane; a channel is the largest of its limbs.

    Parameters
    ----------
    px : (n, J, 2) float64
        Cells.
    bones : (B, 2) int64
        Their joints.
    members
        The bones of each channel.
    probabilistic
        exp(-D^2 / 2), else 1 within a cell and not beyond the ends.
    size
        H.
    """
    start, along = px[:, bones[:, 0]], px[:, bones[:, 1]] - px[:, bones[:, 0]]
    cells = torch.arange(size, device=px.device, dtype=torch.float64)
    # (n, H, H, B)
    r = cells[:, None, None] - start[:, None, None, :, 0]
    c = cells[None, :, None] - start[:, None, None, :, 1]
    dr, dc = along[:, None, None, :, 0], along[:, None, None, :, 1]
    square = dr * dr + dc * dc
    share = (r * dr + c * dc) * torch.where(square > 0, 1 / square, torch.zeros_like(square))
    beside = torch.ones_like(r, dtype=torch.bool) if probabilistic else (share >= 0) & (share <= 1)
    share = share.clamp(0, 1)
    away = ((r - share * dr).square() + (c - share * dc).square()).float()
    limit = 36.0 + 1e-6 if probabilistic else 1.0 + 1e-6
    away = torch.where(beside & (away < limit), away, torch.full_like(away, torch.inf))
    nearest = torch.stack([away[..., list(own)].amin(dim=-1) for own in members], dim=-1)
    return (-0.5 * nearest).exp() if probabilistic else (nearest < torch.inf).float()
