"""From parts to the map's cells, and the march as the maps use it: what each cell stands for, and its distance.

A cell stands for the largest connected piece of the hand's pixels in it (of equal ones that nearest to the grid's
middle, so that a turned or mirrored crop has the same map), and has the distance of that piece's centroid, its
*anchor*. Cells of more than `SIDE` pixels a side are several blocks: a piece may then be several parts, and its
distance is the mean of theirs by their pixels. Where cells and pixels do not nest, a cell can be hand by a pixel
whose centre lies in the next one: it stands for that pixel's part.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.march.bits import hand_rows, mask_rows, on_one_surface, touching
from gmaps.kernels.march.bridge import bridge
from gmaps.kernels.march.hand_parts import SIDE, TOUCHED, borders, depths, find_links, find_parts, off_middle, part_at
from gmaps.kernels.march.lanes import FAR, LANES
from gmaps.kernels.march.seeds import seed
from gmaps.kernels.march.waves import solve, triangulate


@jit
def count_blocks(pixels, size):
    """B for S pixels and H cells a side: a multiple of H, or S where cells are smaller than pixels."""
    if size >= pixels:
        return pixels
    return size * ((pixels + SIDE * size - 1) // (SIDE * size))


@jit(inline="always")
def _before(points, count, p, q, blocks):
    """Whether a cell rather stands for part p than for part q."""
    if count[p] != count[q]:
        return count[p] > count[q]
    return off_middle(points, p, blocks) < off_middle(points, q, blocks) - 1e-9


@jit
def _nearest_part(rows, ptr, bits, first, i, k, size, blocks):
    """The part of the hand pixel nearest to the middle of cell (i, k), of those that `pool` counts to it."""
    pixels = rows.shape[0]
    row = (i + 0.5) * pixels / size - 0.5
    col = (k + 0.5) * pixels / size - 0.5
    best = np.inf
    found = -1
    for r in range(i * pixels // size, max(((i + 1) * pixels + size - 1) // size, i * pixels // size + 1)):
        for c in range(k * pixels // size, max(((k + 1) * pixels + size - 1) // size, k * pixels // size + 1)):
            away = (r - row) ** 2 + (c - col) ** 2
            if away < best and (rows[r, c >> 6] >> np.uint64(c & 63)) & np.uint64(1):
                best = away
                found = part_at(ptr, bits, first, r, c, blocks, pixels)
    return found


@jit
def _largest_piece(ptr, count, touch, i, k, side, blocks, members, parent):
    """Fill `members` with the parts of cell (i, k)'s largest piece; their number, 0 where it has no part."""
    n = 0
    for r in range(i * side, (i + 1) * side):
        for p in range(ptr[r * blocks + k * side], ptr[r * blocks + (k + 1) * side]):
            members[n] = p
            parent[n] = n
            n += 1
    for a in range(n):
        for b in range(a):
            joined = False
            for edge in range(4):
                for q in range(TOUCHED):
                    joined |= touch[members[a], edge, q] == members[b]
            if joined and parent[a] != parent[b]:
                old = max(parent[a], parent[b])
                new = min(parent[a], parent[b])
                for c in range(a + 1):
                    if parent[c] == old:
                        parent[c] = new
    best = -1
    most = 0
    for a in range(n):
        total = 0
        for b in range(n):
            if parent[b] == a:
                total += count[members[b]]
        if total > most:
            most = total
            best = a
    kept = 0
    for a in range(n):
        if parent[a] == best:
            members[kept] = members[a]
            kept += 1
    return kept


@jit
def stand_for(silhouette, rows, ptr, bits, points, count, touch, blocks):
    """Which parts each hand cell of a map stands for.

    Parameters
    ----------
    silhouette : (H, H) bool
    rows, ptr, bits, points, count, touch, blocks
        See `gmaps.kernels.march.hand_parts`.

    Returns
    -------
    cells : (n,) int32
        Raveled hand cells.
    of_ptr : (n + 1,) int32
    of : (m,) int32
        Cell i stands for parts `of[of_ptr[i]:of_ptr[i + 1]]`, none where the crop has no hand there.
    """
    size = silhouette.shape[0]
    side = max(blocks // size, 1)
    n = 0
    for i in range(size):
        for k in range(size):
            n += silhouette[i, k]
    cells = np.empty(n, np.int32)
    of_ptr = np.zeros(n + 1, np.int32)
    of = np.empty(n + (bits.size if side > 1 else 0), np.int32)
    first = borders(rows.shape[0], blocks)
    members = np.empty(bits.size + 1 if side > 1 else 1, np.int32)
    parent = np.empty_like(members)
    m = 0
    n = 0
    for i in range(size):
        for k in range(size):
            if not silhouette[i, k]:
                continue
            cells[n] = i * size + k
            found = np.int64(-1)
            if blocks == size:
                at = i * blocks + k
                for p in range(ptr[at], ptr[at + 1]):
                    if found < 0 or _before(points, count, p, found, blocks):
                        found = np.int64(p)
            elif side > 1:
                kept = _largest_piece(ptr, count, touch, i, k, side, blocks, members, parent)
                for p in range(kept):
                    of[m] = members[p]
                    m += 1
                found = np.int64(-2) if kept else found
            if found == -1:
                found = np.int64(_nearest_part(rows, ptr, bits, first, i, k, size, blocks))
            if found >= 0:
                of[m] = found
                m += 1
            n += 1
            of_ptr[n] = m
    return cells, of_ptr, of[:m]


@jit
def _in_cells(t, of_ptr, of, count, per_block):
    """(n + 1, L) float32: distances of the cells, in cells, from those of the parts, in blocks."""
    n = of_ptr.size - 1
    width = t.shape[1]
    out = np.full((n + 1, width), FAR, np.float32)
    factor = np.float32(per_block)
    half = FAR * np.float32(0.5)
    for i in range(n):
        if of_ptr[i + 1] == of_ptr[i] + 1:
            p = of[of_ptr[i]]
            for j in range(width):
                v = t[p, j] * factor
                out[i, j] = v if t[p, j] < half else FAR
            continue
        for j in range(width):
            total = np.float64(0)
            weight = 0
            for q in range(of_ptr[i], of_ptr[i + 1]):
                total += np.float64(t[of[q], j]) * count[of[q]]
                weight += count[of[q]]
            if weight > 0 and total / weight < half:
                out[i, j] = total / weight * per_block
    return out


@jit
def _march(silhouette, rows, right, down, depth, unit, joints_px, slowness):
    """Distances of a map's hand cells over the parts of its crop; see `march`."""
    pixels = rows.shape[0]
    size = silhouette.shape[0]
    blocks = count_blocks(pixels, size)
    ptr, bits, points, count, touch = find_parts(rows, right, down, unit > 0, blocks)
    if unit > 0:
        depths(ptr, bits, count, depth, unit, blocks, points)
    links = find_links(ptr, points, touch, blocks)
    width = (joints_px.shape[0] + LANES - 1) // LANES * LANES
    t = np.full((bits.size + 1, width), FAR, np.float32)
    seed(rows, right, down, depth, unit, ptr, bits, points, (joints_px + 0.5) * (pixels / size) - 0.5, blocks, t)
    fan_ptr, fan, shapes = triangulate(points, touch, links)
    solve(t, ptr, blocks, fan_ptr, fan, shapes)
    cells, of_ptr, of = stand_for(silhouette, rows, ptr, bits, points, count, touch, blocks)
    made = _in_cells(t, of_ptr, of, count, size / blocks)
    if slowness > 0:
        bridge(cells, made, size, size, 1.0, slowness)
    return cells, made


@jit
def march(silhouette, depth, joints_px, slowness):
    """Distance travelled over a crop's hand pixels from every joint to every hand cell of a map.

    Parameters
    ----------
    silhouette : (H, H) bool
        Cells that hold a hand pixel.
    depth : (S, S) float32
        The crop; 1 is background.
    joints_px : (J, 2) float64
        (row, col) on the map's grid; see `gmaps.kernels.march.seeds.seed`.
    slowness : float
        Cost of the void for cells that cannot be reached inside the hand; 0 leaves them unreached.

    Returns
    -------
    cells : (n,) int32
        Raveled hand cells.
    t : (n + 1, L) float32
        Distances in cells, joint j in column j; `FAR` or more where a joint cannot reach. Row n is void.
    """
    rows = hand_rows(depth)
    right, down = touching(rows)
    return _march(silhouette, rows, right, down, depth, 0.0, joints_px, slowness)


@jit
def march_mask(silhouette, mask, joints_px, slowness):
    """`march` over an (S, S) bool silhouette instead of a crop."""
    rows = mask_rows(mask)
    right, down = touching(rows)
    nothing = np.empty((0, 0), np.float32)
    return _march(silhouette, rows, right, down, nothing, 0.0, joints_px, slowness)


@jit
def march_surface(silhouette, depth, step, joints_px, slowness):
    """`march` along the crop's surface: pixels side by side that differ by more than `step` in depth do not touch.

    Depth is that of a cube as long as it is wide, -1 to 1.
    """
    rows = hand_rows(depth)
    right, down = on_one_surface(rows, depth, np.float32(step))
    unit = count_blocks(depth.shape[0], silhouette.shape[0]) / 2
    return _march(silhouette, rows, right, down, depth, unit, joints_px, slowness)


@jit
def anchors(silhouette, depth, out):
    """Where on the map's grid the distances of `march` are measured to.

    Parameters
    ----------
    silhouette : (H, H) bool
    depth : (S, S) float32
    out : (H, H, 2) float64
        Filled with (row, col) of the centroid of the pixels that each hand cell stands for, cells; NaN in the void.
    """
    rows = hand_rows(depth)
    right, down = touching(rows)
    size = silhouette.shape[0]
    blocks = count_blocks(rows.shape[0], size)
    ptr, bits, points, count, touch = find_parts(rows, right, down, False, blocks)
    cells, of_ptr, of = stand_for(silhouette, rows, ptr, bits, points, count, touch, blocks)
    per_block = size / blocks
    out[:] = np.nan
    for i in range(cells.size):
        weight = 0
        row = 0.0
        col = 0.0
        for q in range(of_ptr[i], of_ptr[i + 1]):
            p = of[q]
            weight += count[p]
            row += points[p, 1] * count[p]
            col += points[p, 0] * count[p]
        if weight > 0:
            out[cells[i] // size, cells[i] % size, 0] = (row / weight + 0.5) * per_block - 0.5
            out[cells[i] // size, cells[i] % size, 1] = (col / weight + 0.5) * per_block - 0.5
