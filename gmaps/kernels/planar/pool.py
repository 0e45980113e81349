"""A crop's pixels pooled into the map's cells: silhouette and front surface."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit


@jit
def pool(depth, size, thickness):
    """Silhouette and front surface on the map's grid.

    Parameters
    ----------
    depth : (S, S) float32
        A crop's depth; 1 is background.
    size : int
        H.
    thickness : float
        In units of depth: pixels of a cell that lie further than this behind its nearest one belong to something
        that it hides.

    Returns
    -------
    silhouette : (H, H) bool
        True where any of a cell's pixels is hand.
    surface : (H, H) float32
        Mean depth of the hand pixels of each cell's front surface; 1 in the void.
    """
    s = depth.shape[0]
    silhouette = np.zeros((size, size), np.bool_)
    surface = np.ones((size, size), np.float32)
    one = np.float32(1)
    tolerance = np.float32(thickness)
    nearest = np.empty(s, np.float32)
    # Where each cell begins and ends: a division costs more than all that is done to a cell of the void.
    first = np.empty(size, np.int64)
    last = np.empty(size, np.int64)
    for k in range(size):
        first[k] = k * s // size
        last[k] = max(((k + 1) * s + size - 1) // size, first[k] + 1)
    for i in range(size):
        r0 = first[i]
        r1 = last[i]
        # Column by column in vectors: most of a crop is void, and seen to be so here.
        nearest[:] = depth[r0]
        for r in range(r0 + 1, r1):
            for c in range(s):
                nearest[c] = depth[r, c] if depth[r, c] < nearest[c] else nearest[c]
        for k in range(size):
            c0 = first[k]
            c1 = last[k]
            near = one
            for c in range(np.uint64(c0), np.uint64(c1)):
                near = min(near, nearest[c])
            if near >= one:
                continue
            total = np.float32(0)
            count = np.float32(0)
            for r in range(r0, r1):
                for c in range(c0, c1):
                    d = depth[r, c]
                    if d < one and d - near <= tolerance:
                        total += d
                        count += one
            silhouette[i, k] = True
            surface[i, k] = total / count
    return silhouette, surface


@jit
def silhouettes(depth, out):
    """The silhouette that `pool` gives of each of n crops, without the surface.

    Parameters
    ----------
    depth : (n, S, S) float32
        1 is background.
    out : (n, H, H) bool
        Filled: True where any of a cell's pixels is hand.
    """
    s = depth.shape[1]
    size = out.shape[1]
    row = np.empty(s, np.float32)
    for k in range(depth.shape[0]):
        for i in range(size):
            r0 = i * s // size
            r1 = max(((i + 1) * s + size - 1) // size, r0 + 1)
            row[:] = depth[k, r0]
            for r in range(r0 + 1, r1):
                line = depth[k, r]
                for c in range(s):
                    row[c] = line[c] if line[c] < row[c] else row[c]
            for j in range(size):
                c0 = j * s // size
                c1 = max(((j + 1) * s + size - 1) // size, c0 + 1)
                nearest = row[c0]
                for c in range(c0 + 1, c1):
                    nearest = min(nearest, row[c])
                out[k, i, j] = nearest < np.float32(1)
