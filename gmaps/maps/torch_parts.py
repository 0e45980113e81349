"""The graph of many silhouettes' parts at once, as PyTorch operations: `gmaps.kernels.march.hand_parts` on tensors.

Parts of all crops are numbered through, crop by crop, block by block and in the order of their first pixels, so that
a crop's parts are those that the compiled kernels find, in their order. Symbols: n crops of S x S pixels, B blocks
along a side, N parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gmaps.kernels.march.hand_parts import TOUCHED

_BITS = 64
#: Above, below, left, right: as in `gmaps.kernels.march.hand_parts.find_parts`.
ABOVE, BELOW, LEFT, RIGHT = range(4)


@dataclass(frozen=True)
class Graph:
    """What the crops' parts are, and what they touch.

    Parameters
    ----------
    blocks
        B.
    hand, right, down : (n, S, S) bool
        Pixels that are hand, and that touch the next one to the right and below.
    part : (n, S, S) int64
        Of each hand pixel; -1 in the void.
    start : (n + 1,) int64
        Crop k has parts `start[k]` to `start[k + 1]`.
    block : (N,) int64
        Of each part, numbered through: crop, row, column.
    ptr : (n B B + 1,) int64
        The parts of a block.
    points : (N, 3) float64
        Column, row and depth of centroids, in blocks.
    count : (N,) int64
        Pixels.
    touch : (N, 4, T) int64
        Parts that each touches above, below, left and right; -1 for none.
    links : (m, 2) int64
        Pairs that join pieces of a hand.
    """

    blocks: int
    hand: Tensor
    right: Tensor
    down: Tensor
    part: Tensor
    start: Tensor
    block: Tensor
    ptr: Tensor
    points: Tensor
    count: Tensor
    touch: Tensor
    links: Tensor

    @property
    def crop(self) -> Tensor:
        """(N,) int64: which crop each part is of."""
        return self.block // self.blocks**2


def borders(size: int, blocks: int) -> list[int]:
    """Where each block along a side begins, and the end."""
    return [(2 * k * size + blocks - 1) // (2 * blocks) for k in range(blocks + 1)]


def own_block(size: int, blocks: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(S,) int64 each: the block of a row or column of pixels, and where that begins."""
    own = (2 * torch.arange(size, device=device) + 1) * blocks // (2 * size)
    return own, torch.tensor(borders(size, blocks), device=device)[own]


def find_graph(depth: Tensor, blocks: int, step: Tensor | None = None) -> Graph:
    """Parts of crops (n, S, S); with `step` (n,), units of depth, those on one surface touch, and have depth."""
    n, size, _ = depth.shape
    device = depth.device
    hand = depth < 1
    right, down = torch.zeros_like(hand), torch.zeros_like(hand)
    right[:, :, :-1] = hand[:, :, :-1] & hand[:, :, 1:]
    down[:, :-1] = hand[:, :-1] & hand[:, 1:]
    if step is not None:
        right[:, :, :-1] &= (depth[:, :, :-1] - depth[:, :, 1:]).abs() <= step[:, None, None]
        down[:, :-1] &= (depth[:, :-1] - depth[:, 1:]).abs() <= step[:, None, None]
    own, first = own_block(size, blocks, device)
    within = torch.arange(size, device=device) - first
    bit = 8 * within[:, None] + within
    label = _components(torch.where(hand, bit, _BITS), right, down, own)
    of_crop = torch.arange(n, device=device)[:, None, None] * blocks**2 + own[:, None] * blocks + own
    key = (of_crop * _BITS + label)[hand]
    roots = (of_crop * _BITS + bit)[hand & (label == bit)].sort().values
    which = torch.searchsorted(roots, key)
    part = torch.full_like(bit, -1).expand(n, -1, -1).clone()
    part[hand] = which
    block = roots // _BITS
    ptr = torch.searchsorted(block, torch.arange(n * blocks**2 + 1, device=device))
    count = torch.zeros_like(block).index_add_(0, which, torch.ones_like(which))
    per_pixel = blocks / size
    points = torch.zeros(len(roots), 3, dtype=torch.float64, device=device)
    for axis in (0, 1):
        at = within if axis else within[:, None]
        total = torch.zeros_like(block).index_add_(0, which, at.expand(n, size, size)[hand])
        begin = torch.tensor(borders(size, blocks), device=device)
        at_block = begin[block % blocks if axis else block // blocks % blocks]
        points[:, 1 - axis] = (at_block + total.double() / count + 0.5) * per_pixel - 0.5
    if step is not None:
        total_depth = torch.zeros_like(points[:, 2]).index_add_(0, which, depth[hand].double())
        points[:, 2] = total_depth / count * (blocks / 2)
    touch = _touch(part, right, down, own, len(roots))
    found = Graph(
        blocks, hand, right, down, part, ptr[:: blocks**2], block, ptr, points, count, touch, points.new_zeros(0)
    )
    return _with_links(found)


def _components(label: Tensor, right: Tensor, down: Tensor, own: Tensor) -> Tensor:
    """The smallest label that hangs together with each pixel within its block."""
    across = right[:, :, :-1] & (own[1:] == own[:-1])
    below = down[:, :-1] & (own[1:] == own[:-1])[:, None]
    while True:
        before = label.clone()
        # Asking whether it has ended waits for the device: seldom.
        for _ in range(6):
            for joined, one, other in (
                (across, label[:, :, :-1], label[:, :, 1:]),
                (below, label[:, :-1], label[:, 1:]),
            ):
                least = torch.where(joined, torch.minimum(one, other), _BITS)
                one.copy_(torch.minimum(one, least))
                other.copy_(torch.minimum(other, least))
        if torch.equal(before, label):
            return label


def _touch(part: Tensor, right: Tensor, down: Tensor, own: Tensor, count: int) -> Tensor:
    across = right[:, :, :-1] & (own[1:] != own[:-1])
    below = down[:, :-1] & (own[1:] != own[:-1])[:, None]
    sides = []
    for joined, one, other, forth, back in (
        (below, part[:, :-1], part[:, 1:], BELOW, ABOVE),
        (across, part[:, :, :-1], part[:, :, 1:], RIGHT, LEFT),
    ):
        a, b = one[joined], other[joined]
        sides += [(a, forth, b), (b, back, a)]
    found = torch.full((count, 4, TOUCHED), -1, dtype=torch.int64, device=part.device)
    for source, side, target in sides:
        pairs = torch.unique(source * max(count, 1) + target)
        source, target = pairs // max(count, 1), pairs % max(count, 1)
        rank = torch.arange(len(pairs), device=part.device) - torch.searchsorted(source, source)
        found[source, side, rank] = target
    # As wide as the widest.
    most = int((found >= 0).sum(dim=2).max()) if count else 0
    return found[:, :, : max(most, 1)]


def lowest_label(label: Tensor, pairs: Tensor) -> Tensor:
    """The lowest label of what pairs (m, 2) join, for each of N."""
    a, b = pairs.unbind(1)
    while True:
        least = torch.minimum(label[a], label[b])
        new = label.scatter_reduce(0, a, least, "amin").scatter_reduce(0, b, least, "amin")
        for _ in range(3):
            new = new[new]
        if torch.equal(new, label):
            return label
        label = new


def slots(graph: Graph, blocks: Tensor, valid: Tensor) -> Tensor:
    """(..., K) parts in blocks that are numbered through, in order; -1 for none, and where not `valid`."""
    most = int((graph.ptr[1:] - graph.ptr[:-1]).max()) if len(graph.block) else 1
    blocks = torch.where(valid, blocks, torch.zeros_like(blocks))
    first, last = graph.ptr[blocks], torch.where(valid, graph.ptr[blocks + 1], graph.ptr[blocks])
    at = first[..., None] + torch.arange(most, device=blocks.device)
    return torch.where(at < last[..., None], at, torch.full_like(at, -1))


def _with_links(graph: Graph) -> Graph:
    """With the shortest links that join pieces: a minimum spanning tree, by Boruvka's rounds."""
    numbers = torch.arange(len(graph.block), device=graph.block.device)
    own, side, rank = (graph.touch[:, [BELOW, RIGHT]] >= 0).nonzero().unbind(1)
    pairs = torch.stack([own, graph.touch[:, [BELOW, RIGHT]][own, side, rank]], dim=1)
    piece = lowest_label(numbers, pairs)
    candidates, length = _candidates(graph, piece)
    # Kruskal's order, crops apart: by length, then as they were found.
    order = torch.argsort(length, stable=True)
    candidates = candidates[order]
    chosen = torch.zeros(len(candidates), dtype=torch.bool, device=numbers.device)
    ranks = torch.arange(len(candidates), device=numbers.device)
    while True:
        ends = piece[candidates]
        alive = ends[:, 0] != ends[:, 1]
        if not bool(alive.any()):
            break
        best = torch.full_like(numbers, len(candidates))
        for k in (0, 1):
            best = best.scatter_reduce(0, ends[alive, k], ranks[alive], "amin")
        mine = best[best < len(candidates)]
        chosen[mine] = True
        piece = lowest_label(numbers, ends[mine])[piece]
    return Graph(**{**graph.__dict__, "links": candidates[chosen]})


def _candidates(graph: Graph, piece: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of parts in one block or two side by side that belong to different pieces, and what orders them."""
    b = graph.blocks
    column, row = graph.block % b, graph.block // b % b
    others = graph.block[:, None] + torch.tensor([0, 1, b], device=piece.device)
    valid = torch.stack([torch.ones_like(column, dtype=torch.bool), column < b - 1, row < b - 1], dim=1)
    there = slots(graph, others, valid)  # (N, 3, K)
    later = there > torch.arange(len(piece), device=piece.device)[:, None, None]
    wanted = later & (piece[there.clamp(min=0)] != piece[:, None, None]) if len(piece) else later
    i, side, k = wanted.nonzero().unbind(1)
    order = torch.argsort(graph.block[i] * 3 + side, stable=True)
    pairs = torch.stack([i, there[i, side, k]], dim=1)[order]
    one, other = graph.points[pairs].unbind(1)
    d = (one - other).square()
    square = d[:, 0] + d[:, 1] + d[:, 2]
    middle = (b - 1) / 2
    x, y = ((one[:, k] + other[:, k]) / 2 - middle for k in (0, 1))
    return pairs, torch.round(square * 1e6) + (x * x + y * y) / (4 * middle * middle + 4)
