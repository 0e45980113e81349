"""Distances over the graphs of many crops at once: `gmaps.kernels.march.waves` on tensors.

Its updates are those of the compiled march, in the same order: where ways bend, the order of updates shows in a
distance, and distances of one map shall be the same wherever it is made. What is done at once are all crops and all
joints. On a GPU `gmaps.kernels.cuda` does the same a crop to a block of threads and a joint to a thread.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gmaps.kernels.march.lanes import FAR
from gmaps.kernels.march.waves import TOLERANCE
from gmaps.maps.torch_parts import ABOVE, LEFT, Graph


@dataclass(frozen=True)
class Fan:
    """Triangles around each part, apart for the four quarters: see `gmaps.kernels.march.waves.triangulate`.

    Parameters
    ----------
    ptr : (4 N + 1,) int64
    ends : (k, 2) int64
    shapes : (k, 6) float32
    """

    ptr: Tensor
    ends: Tensor
    shapes: Tensor


def triangulate(graph: Graph) -> Fan:
    """All triangles, in the order in which the compiled march has them."""
    touch = graph.touch
    count, _, wide = touch.shape
    found = []  # of what part and quarter, where in their order, and the two ends

    def add(wanted: Tensor, quarter: int, order: Tensor, a: Tensor, b: Tensor) -> None:
        at = wanted.nonzero().unbind(1)
        places = order.expand(wanted.shape)[at]
        found.append(
            torch.stack([at[0] * 4 + quarter, places, a.expand(wanted.shape)[at], b.expand(wanted.shape)[at]])
        )

    rank = torch.arange(wide, device=touch.device)
    # A vertical neighbour's triangles, then the next one's; of each first those with a horizontal neighbour.
    apart = 2 * wide
    last = 2 * wide * apart
    for quarter in range(4):
        vertical, horizontal = ABOVE + (quarter >> 1), LEFT + (quarter & 1)
        v, h = touch[:, vertical], touch[:, horizontal]
        d = torch.where((v >= 0)[..., None], touch[v.clamp(min=0), horizontal], -1)
        e = torch.where((h >= 0)[..., None], touch[h.clamp(min=0), vertical], -1)
        same = d[:, :, :, None, None] == e[:, None, None]
        bent_v = (d >= 0) & ~same.any(dim=(3, 4))
        bent_h = (e >= 0) & ~same.any(dim=(1, 2))
        has_v, has_h = v >= 0, h >= 0
        by_rank = rank[:, None] * apart
        add(has_v[:, :, None] & has_h[:, None], quarter, by_rank + rank, v[:, :, None], h[:, None])
        add(bent_v, quarter, by_rank + wide + rank, v[:, :, None], d)
        add(bent_h, quarter, by_rank + wide * apart + rank, h[:, :, None], e)
        # Sides that belong to no triangle.
        add(has_v & ~has_h.any(1, True) & ~bent_v.any(2), quarter, last + rank, v, v)
        add(has_h & ~has_v.any(1, True) & ~bent_h.any(2), quarter, last + wide + rank, h, h)
    one, other = torch.cat([graph.links, graph.links.flip(1)]).unbind(1)
    numbers = torch.arange(len(one), device=touch.device) % max(len(graph.links), 1)
    found += [torch.stack([one * 4 + quarter, last + 2 * wide + numbers, other, other]) for quarter in range(4)]
    of, places, a, b = torch.cat(found, dim=1)
    order = torch.argsort(of * (last + 2 * wide + len(graph.links) + 1) + places)
    of, a, b = of[order], a[order], b[order]
    ptr = torch.searchsorted(of, torch.arange(4 * count + 1, device=touch.device))
    return Fan(ptr, torch.stack([a, b], dim=1), _shapes(graph.points, of // 4, a, b))


def _shapes(points: Tensor, i: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """(k, 6) float32: along, away, length, inverse, and how far both ends are."""

    def away(p: Tensor, q: Tensor) -> Tensor:
        x, y, z = (points[p] - points[q]).unbind(1)
        return (x * x + y * y + z * z).float()

    aa, bb = away(i, a), away(i, b)
    length = away(a, b).sqrt()
    side = a == b
    inverse = torch.where(side, 0.0, 0.5 / length)
    along = torch.where(side, 0.0, (aa - bb) * inverse + 0.5 * length)
    height = (aa - along * along).clamp(min=0).sqrt()
    return torch.stack([along, height, length, inverse, aa.sqrt(), bb.sqrt()], dim=1)


def through(ta: Tensor, tb: Tensor, shapes: Tensor) -> Tensor:
    """Distances across triangles: see `gmaps.kernels.march.waves`. Shapes (..., 6), distances (..., J)."""
    along, away, length, inverse, to_a, to_b = (s[..., None] for s in shapes.unbind(-1))
    side = torch.minimum(ta + to_a, tb + to_b)
    x = ((ta - tb) * (ta + tb)) * inverse + length * 0.5
    height = ta * ta - x * x
    whole = height.clamp(min=0).sqrt() + away
    across = x - along
    crossing = along * whole + across * away
    way = (across * across + whole * whole).sqrt()
    good = (height >= 0) & (crossing >= 0) & (crossing <= length * whole) & (way >= torch.maximum(ta, tb))
    return torch.where(good, torch.minimum(side, way), side)


def solve(t: Tensor, graph: Graph, fan: Fan) -> Tensor:
    """Distances (N, J) float32 from start values, the rest `FAR`: sweeps over rows until nothing changes."""
    b, crops = graph.blocks, len(graph.start) - 1
    edges = graph.ptr[::b].reshape(-1)
    first, last = edges[:-1].reshape(crops, b), edges[1:].reshape(crops, b)
    longest = (last - first).amax(dim=0).tolist()
    # One row more, of what lies nowhere: it pads triangles, which come to nothing.
    t = torch.cat([t, t.new_full((1, t.shape[1]), float(FAR))])
    ends, shapes = _padded(fan, len(graph.block))
    dirty = torch.ones(crops, 2, b + 2, dtype=torch.bool, device=t.device)
    idle = torch.zeros(crops, dtype=torch.int64, device=t.device)
    direction = 0
    while bool((idle < 2).any()):
        idle += 1
        for r in range(b) if direction == 0 else range(b - 1, -1, -1):
            some = (dirty[:, direction, r + 1] & (last[:, r] > first[:, r]) & (idle <= 2)).nonzero()[:, 0]
            if not longest[r] or not len(some):
                continue
            dirty[some, direction, r + 1] = False
            low, high = first[some, r], last[some, r]
            steps = range(int((high - low).max()))
            forth, back = torch.zeros_like(some, dtype=torch.bool), torch.zeros_like(some, dtype=torch.bool)
            for k in steps:
                forth |= _relax(t, low + k, low + k < high, 2 * direction, ends, shapes)
            for k in steps:
                back |= _relax(t, high - 1 - k, high - 1 - k >= low, 2 * direction + 1, ends, shapes)
            moved = some[forth | back]
            idle[moved] = 0
            dirty[moved, :, r] = True
            dirty[moved, :, r + 2] = True
            dirty[moved, 1 - direction, r + 1] = True
            dirty[some[back], direction, r + 1] = True
        direction = 1 - direction
    return t[:-1]


def _padded(fan: Fan, count: int) -> tuple[Tensor, Tensor]:
    """(4 N + 4, F, 2) and (4 N + 4, F, 6): all triangles of a quarter in a row; of none, those of part N."""
    many = fan.ptr[1:] - fan.ptr[:-1]
    most = int(many.max()) if count else 1
    rank = torch.arange(max(most, 1), device=many.device)
    at = fan.ptr[:-1, None] + rank
    real = rank < many[:, None]
    at = at[real]
    ends = torch.full((4 * count + 4, len(rank), 2), count, dtype=torch.int64, device=many.device)
    shapes = torch.zeros(4 * count + 4, len(rank), 6, device=many.device)
    ends[: 4 * count][real], shapes[: 4 * count][real] = fan.ends[at], fan.shapes[at]
    return ends, shapes


def _relax(t: Tensor, parts: Tensor, real: Tensor, quarter: int, ends: Tensor, shapes: Tensor) -> Tensor:
    """Update one part of each crop; which of them fell by more than is passed on."""
    parts = torch.where(real, parts, len(t) - 1)
    at = 4 * parts + quarter
    a, b = ends[at].unbind(-1)
    new = through(t[a], t[b], shapes[at])  # (m, F, J)
    old = t[parts]
    # One triangle after the other, as the compiled march counts what falls.
    before = torch.cat([old[:, None], new[:, :-1]], dim=1).cummin(dim=1).values
    fell = (new < before - float(TOLERANCE)).any(dim=2).any(dim=1)
    t[parts] = torch.minimum(old, new.amin(dim=1))
    return fell & real
