"""From parts to the maps' cells, for many crops at once: `gmaps.kernels.march.cells`, `.bridge` and
`gmaps.kernels.planar.along` on tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from gmaps.kernels.march.lanes import FAR
from gmaps.maps.torch_march import Fan, solve, triangulate
from gmaps.maps.torch_parts import BELOW, RIGHT, Graph, find_graph, lowest_label, slots
from gmaps.maps.torch_planar import windows
from gmaps.maps.torch_seeds import seeds

_HALF = float(FAR) / 2
#: (start values (N, J), graph, triangles) -> distances (N, J).
Solve = Callable[[Tensor, Graph, Fan], Tensor]


def march(
    silhouette: Tensor, depth: Tensor, px: Tensor, blocks: int, *, step: Tensor | None = None, slowness: float = 0.0,
    solver: Solve = solve,
) -> Tensor:  # fmt: skip
    """Distances over crops' hand pixels from every joint to every cell.

    Parameters
    ----------
    silhouette : (n, H, H) bool
    depth : (n, S, S) float32
    px : (n, J, 2) float64
        (row, col), cells.
    blocks
        B: see `gmaps.kernels.march.cells.count_blocks`.
    step : (n,) float32, optional
        Along the surface: pixels side by side that differ by more, in units of depth, do not touch.
    slowness
        Cost of the void for cells that cannot be reached; 0 leaves them unreached.
    solver
        What finds the distances of parts.

    Returns
    -------
    (n, H, H, J) float32
        Cells; `FAR` in the void, and where nothing leads.
    """
    n, size, _ = silhouette.shape
    pixels = depth.shape[1]
    graph = find_graph(depth, blocks, step)
    out = torch.full((n, size, size, px.shape[1]), float(FAR), dtype=torch.float32, device=depth.device)
    if not len(graph.block) or not px.shape[1]:
        return out
    start = seeds(graph, (px + 0.5) * (pixels / size) - 0.5, None if step is None else depth)
    t = solver(start, graph, triangulate(graph))
    cells, of, parts = stand_for(silhouette, graph)
    found = _in_cells(t, len(cells[0]), of, parts, graph.count, size / blocks)
    out[cells] = found
    return _bridge(out, silhouette, slowness) if slowness > 0 else out


def stand_for(silhouette: Tensor, graph: Graph) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
    """Crop, row and column of each hand cell; and pairs of a cell's number and a part that it stands for."""
    n, size, _ = silhouette.shape
    b = graph.blocks
    crop, row, col = silhouette.nonzero().unbind(1)
    cells = (crop, row, col)
    numbers = torch.arange(len(crop), device=crop.device)
    of, parts = numbers[:0], numbers[:0]
    if b == size:
        found = _first(slots(graph, (crop * b + row) * b + col, torch.ones_like(crop, dtype=torch.bool)), graph)
        of, parts = numbers[found >= 0], found[found >= 0]
    elif b > size:
        cell_of = torch.full((n, size, size), -1, dtype=torch.int64, device=crop.device)
        cell_of[cells] = numbers
        of, parts = _largest(graph, cell_of, b // size)
    lacking = torch.ones_like(numbers, dtype=torch.bool)
    lacking[of] = False
    if bool(lacking.any()):
        missing = numbers[lacking]
        near = _nearest(graph, size, crop[missing], row[missing], col[missing])
        known = near >= 0
        of, parts = torch.cat([of, missing[known]]), torch.cat([parts, near[known]])
    return cells, of, parts


def _first(choices: Tensor, graph: Graph) -> Tensor:
    """Of parts (m, K) in one block the largest; of equal ones that nearest to the grid's middle; -1 for none."""
    middle = (graph.blocks - 1) / 2
    x, y = graph.points[:, 0] - middle, graph.points[:, 1] - middle
    off = x * x + y * y
    best = choices[:, 0]
    for k in range(1, choices.shape[1]):
        p = choices[:, k]
        i, j = p.clamp(min=0), best.clamp(min=0)
        more = graph.count[i] > graph.count[j]
        nearer = (graph.count[i] == graph.count[j]) & (off[i] < off[j] - 1e-9)
        best = torch.where((p >= 0) & (more | nearer), p, best)
    return best


def _largest(graph: Graph, cell_of: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Pairs of cells and the parts of their largest pieces, where cells are several blocks."""
    b, size = graph.blocks, cell_of.shape[1]
    cell = cell_of[graph.crop, graph.block // b % b // side, graph.block % b // side]
    i, way, k = (graph.touch[:, [BELOW, RIGHT]] >= 0).nonzero().unbind(1)
    other = graph.touch[:, [BELOW, RIGHT]][i, way, k]
    inner = cell[i] == cell[other]
    numbers = torch.arange(len(cell), device=cell.device)
    piece = lowest_label(numbers, torch.stack([i[inner], other[inner]], dim=1))
    total = torch.zeros_like(numbers).index_add_(0, piece, graph.count)
    # The most pixels, then the first piece.
    score = total * (len(numbers) + 1) - piece
    best = torch.full((len(cell_of) * size * size,), -(2**62), dtype=torch.int64, device=cell.device)
    known = cell >= 0
    best = best.scatter_reduce(0, cell[known], score[piece][known], "amax")
    chosen = known & (score[piece] == best[cell.clamp(min=0)])
    return cell[chosen], numbers[chosen]


def _nearest(graph: Graph, size: int, crop: Tensor, row: Tensor, col: Tensor) -> Tensor:
    """The part of the hand pixel nearest to the middle of each of m cells, of those that the cell covers."""
    pixels = graph.hand.shape[1]
    at, counts = windows(pixels, size, crop.device)
    r, c = at[row][:, :, None], at[col][:, None]
    middle_r, middle_c = ((k.double() + 0.5) * pixels / size - 0.5 for k in (row, col))
    away = (r - middle_r[:, None, None]).square() + (c - middle_c[:, None, None]).square()
    hand = graph.hand[crop[:, None, None], r, c] & counts[row][:, :, None] & counts[col][:, None]
    away = torch.where(hand, away, torch.inf).flatten(1)
    best = away.argmin(dim=1, keepdim=True)
    found = graph.part[crop[:, None, None], r, c].flatten(1).gather(1, best)[:, 0]
    return torch.where(away.gather(1, best)[:, 0] < torch.inf, found, -1)


def _in_cells(t: Tensor, cells: int, of: Tensor, parts: Tensor, count: Tensor, per_block: float) -> Tensor:
    """(cells, J): the mean of a cell's parts by their pixels."""
    out = torch.full((cells, t.shape[1]), float(FAR), device=t.device)
    many = torch.zeros(cells, dtype=torch.int64, device=t.device).index_add_(0, of, torch.ones_like(of))
    alone = many[of] == 1
    one = t[parts[alone]]
    out[of[alone]] = torch.where(one < _HALF, one * per_block, float(FAR))
    several = many > 1
    if bool(several.any()):
        weight = torch.zeros(cells, dtype=torch.float64, device=t.device).index_add_(0, of, count[parts].double())
        total = torch.zeros(cells, t.shape[1], dtype=torch.float64, device=t.device)
        total.index_add_(0, of, t[parts].double() * count[parts, None])
        mean = total / weight[:, None]
        out = torch.where(several[:, None] & (mean < _HALF), (mean * per_block).float(), out)
    return out


def _bridge(t: Tensor, silhouette: Tensor, slowness: float) -> Tensor:
    """Give unreached hand cells the time of the fastest way over hand and void."""
    hand = silhouette[..., None] & (t < _HALF)
    missing = (silhouette[..., None] & ~hand).flatten(1, 2).any(dim=1) & hand.flatten(1, 2).any(dim=1)
    crop, joint = missing.nonzero().unbind(1)
    if not len(crop):
        return t
    fixed = hand[crop, :, :, joint]
    plane = torch.where(fixed, t[crop, :, :, joint].double(), torch.inf)
    cost = torch.full_like(plane, slowness).masked_fill(silhouette[crop], 1.0)
    while True:
        wide = pad(plane, (1, 1, 1, 1), value=torch.inf)
        a = torch.minimum(wide[:, :-2, 1:-1], wide[:, 2:, 1:-1])
        b = torch.minimum(wide[:, 1:-1, :-2], wide[:, 1:-1, 2:])
        low = torch.minimum(a, b)
        # inf - inf is no number where nothing has come yet.
        d = torch.minimum(torch.where(low < torch.inf, torch.maximum(a, b) - low, torch.inf), cost)
        new = low + 0.5 * (d + (2 * cost * cost - d * d).sqrt())
        lower = ~fixed & (new < plane - 1e-9)
        if not bool(lower.any()):
            break
        plane = torch.where(lower, new, plane)
    out = t.clone()
    out[crop, :, :, joint] = torch.where(silhouette[crop], plane.float(), out[crop, :, :, joint])
    return out


def nearness(t: Tensor, unit: Tensor, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """1 - T / T_max of cells (n, H, H, J) that were reached, and (n, J) what T was divided by, mm.

    Parameters
    ----------
    t
        From `march`.
    unit : (n,) float64
        Size of a cell, mm.
    theta : (n,) float64, optional
        What T is divided by, mm, instead of each joint's own maximum.
    """
    reached = t < _HALF
    if theta is None:
        high = torch.where(reached, t, 0.0).amax(dim=(1, 2))
        low = t.amin(dim=(1, 2))
        largest = torch.maximum(high, low + 1)
    else:
        largest = (theta / unit).float()[:, None].expand(len(t), t.shape[3])
    value = (1 - t * (1 / largest)[:, None, None]).clamp(min=0)
    return torch.where(reached, value, 0.0), largest * unit.float()[:, None]
