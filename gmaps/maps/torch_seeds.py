"""Where marches over parts start, for many crops at once: `gmaps.kernels.march.seeds` on tensors.

The same rules, and the same arithmetic in the same order: which parts a joint sees is decided alike to the last bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gmaps.kernels.march.lanes import FAR
from gmaps.kernels.march.seeds import REACH
from gmaps.maps.torch_parts import Graph, slots

_EPS = 1e-9
#: Joints off the hand that are treated at a time: each looks at all pixels of its crop.
_CHUNK = 64


def seeds(graph: Graph, px: Tensor, depth: Tensor | None = None) -> Tensor:
    """(N, J) float32: distances from joints at (n, J, 2) float64, pixels, to the parts where they start, in blocks.

    The rest is `FAR`. With `depth` (n, S, S), distances along the surface.
    """
    n, size, _ = graph.hand.shape
    joints = px.shape[1]
    t = torch.full((len(graph.block), joints), float(FAR), dtype=torch.float32, device=px.device)
    known = ~px.isnan().any(dim=-1)
    at = torch.where(known[..., None], px, torch.zeros_like(px)).clamp(-0.5, size - 0.5)
    pixel = (at + 0.5).floor().long().clamp(max=size - 1)
    crop = torch.arange(n, device=px.device)[:, None].expand(n, joints)
    number = torch.arange(joints, device=px.device).expand(n, joints)
    on = graph.hand[crop, pixel[..., 0], pixel[..., 1]] & known
    # On the grid's last edge a position belongs to the pixel before it.
    inside = torch.minimum(at, pixel.double() + 0.5 - _EPS)
    _around(graph, crop[on], number[on], inside[on], pixel[on], depth, t)
    off = known & ~on & graph.hand.flatten(1).any(dim=1)[:, None]
    k, j, where = crop[off], number[off], at[off]
    for first in range(0, len(k), _CHUNK):
        some = slice(first, first + _CHUNK)
        _nearest(graph, k[some], j[some], where[some], t)
    return t


def _blocks_of(graph: Graph, at: Tensor) -> Tensor:
    return (at + 0.5) * (graph.blocks / graph.hand.shape[1]) - 0.5


def _around(
    graph: Graph, crop: Tensor, number: Tensor, at: Tensor, pixel: Tensor, depth: Tensor | None, t: Tensor
) -> None:
    """Start m joints that are on the hand: in their own parts, and in the parts around that they see."""
    own = graph.part[crop, pixel[:, 0], pixel[:, 1]]
    here = _blocks_of(graph, at)
    z = torch.zeros_like(here[:, 0])
    if depth is not None:
        z = _depth_around(graph, depth, crop, pixel) * (graph.blocks / 2)
    mine = graph.points[own]
    d = ((mine[:, 0] - here[:, 1]).square() + (mine[:, 1] - here[:, 0]).square()) + (mine[:, 2] - z).square()
    t[own, number] = d.sqrt().float()
    b = graph.blocks
    reach = torch.arange(-REACH, REACH + 1, device=at.device)
    row = (mine[:, 1] + 0.5).floor().long()[:, None, None] + reach[:, None]
    col = (mine[:, 0] + 0.5).floor().long()[:, None, None] + reach
    valid = (row >= 0) & (row < b) & (col >= 0) & (col < b)
    other = slots(graph, (crop[:, None, None] * b + row) * b + col, valid).flatten(1)
    who, k = ((other >= 0) & (other != own[:, None])).nonzero().unbind(1)
    other = other[who, k]
    there, z = graph.points[other], z[who]
    flat = (there[:, 0] - here[who, 1]).square() + (there[:, 1] - here[who, 0]).square()
    rise = (there[:, 2] - z).square()
    goal = (there[:, :2].flip(1) + 0.5) / (b / graph.hand.shape[1]) - 0.5
    seen = _sees(graph, crop[who], at[who], goal)
    if depth is not None:
        # Beyond a slope of one, the straight line may cut through a step.
        seen &= rise <= flat
    t[other[seen], number[who[seen]]] = (flat + rise).sqrt().float()[seen]


def _sees(graph: Graph, crop: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """Whether the straight lines between points (m, 2), pixels, run over pixels that touch one by one."""
    # How many of the columns before one touch the next: whether all of some do is then a difference.
    touching = torch.nn.functional.pad(graph.right.cumsum(dim=2), (1, 0))
    here, there = (start[:, 0] + 0.5).floor().long(), (stop[:, 0] + 0.5).floor().long()
    at, goal = (start[:, 1] + 0.5).floor().long(), (stop[:, 1] + 0.5).floor().long()
    step = torch.where(there > here, 1, -1)
    rise, run = stop[:, 0] - start[:, 0], stop[:, 1] - start[:, 1]
    seen = torch.ones_like(here, dtype=torch.bool)
    size = graph.hand.shape[1]

    def holds(row: Tensor, one: Tensor, other: Tensor) -> Tensor:
        low, high = torch.minimum(one, other), torch.maximum(one, other)
        return touching[crop, row, high] - touching[crop, row, low] == high - low

    for _ in range(int((there - here).abs().max()) if len(here) else 0):
        going = here != there
        share = (here + 0.5 * step - start[:, 0]) / torch.where(going, rise, torch.ones_like(rise))
        out = torch.where(going, (start[:, 1] + share * run + 0.5).floor().long(), at).clamp(0, size - 1)
        line = torch.where(step > 0, here, here - 1).clamp(0, size - 1)
        seen &= ~going | (holds(here, at, out) & graph.down[crop, line, out])
        at, here = out, torch.where(going, here + step, here)
    return seen & holds(here, at, goal)


def _depth_around(graph: Graph, depth: Tensor, crop: Tensor, pixel: Tensor) -> Tensor:
    """Mean depth of hand pixels (m, 2) and of the up to four that touch each."""
    size = depth.shape[1]
    r, c = pixel.unbind(1)
    total, count = depth[crop, r, c].double(), torch.ones_like(r)
    before_c, before_r = (c - 1).clamp(min=0), (r - 1).clamp(min=0)
    for touches, row, col in (
        (graph.right[crop, r, c], r, (c + 1).clamp(max=size - 1)),
        (graph.right[crop, r, before_c] & (c > 0), r, before_c),
        (graph.down[crop, r, c], (r + 1).clamp(max=size - 1), c),
        (graph.down[crop, before_r, c] & (r > 0), before_r, c),
    ):
        total = total + torch.where(touches, depth[crop, row, col].double(), 0.0)
        count = count + touches
    return total / count


def _nearest(graph: Graph, crop: Tensor, number: Tensor, at: Tensor, t: Tensor) -> None:
    """Start m joints off the hand: in the parts of the pixels that the smallest disc around each touches."""
    size = graph.hand.shape[1]
    line = torch.arange(size, device=at.device, dtype=torch.float64)
    rows, cols = line - at[:, :1], line - at[:, 1:]
    hand = graph.hand[crop]
    away = torch.where(hand, rows.square()[:, :, None] + cols.square()[:, None], torch.inf)
    best = away.amin(dim=(1, 2))
    off = (rows.abs() - 0.5).clamp(min=0)
    half = best[:, None] - off * off + _EPS
    half = torch.where(half >= 0, half.clamp(min=0).sqrt() + 0.5, -1.0)
    within = (line >= at[:, 1:, None] - half[:, :, None]) & (line <= at[:, 1:, None] + half[:, :, None])
    who, r, c = (hand & within & (half >= 0)[:, :, None]).nonzero().unbind(1)
    part = graph.part[crop[who], r, c]
    there, here = graph.points[part], _blocks_of(graph, at)[who]
    d = (there[:, 0] - here[:, 1]).square() + (there[:, 1] - here[:, 0]).square()
    t[part, number[who]] = d.sqrt().float()
