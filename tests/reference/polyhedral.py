"""Exact geodesics on a triangle mesh: Mitchell, Mount and Papadimitriou's algorithm, from pygeodesic."""

from __future__ import annotations

import numpy as np
from pygeodesic.geodesic import PyGeodesicAlgorithmExact
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def distances(points: np.ndarray, faces: np.ndarray, source: int) -> np.ndarray:
    """Distance of every vertex from one of them; inf where the mesh does not lead.

    pygeodesic wants a mesh without spare vertices, and answers with chance numbers for what it does not reach, such
    as parts that touch in a single vertex. It is given the faces that hang together with the source by edges.

    Parameters
    ----------
    points : (n, 3)
    faces : (m, 3) int
    source
        A vertex.
    """
    out = np.full(len(points), np.inf)
    out[source] = 0.0
    around = np.flatnonzero((faces == source).any(axis=1))
    if not len(around):
        return out
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [0, 2]]]), axis=1)
    _, side = np.unique(sides, axis=0, return_inverse=True)
    face = np.tile(np.arange(len(faces)), 3)
    order = np.argsort(side.ravel(), kind="stable")
    shared = np.flatnonzero(np.diff(side.ravel()[order]) == 0)
    i, j = face[order[shared]], face[order[shared + 1]]
    part = connected_components(coo_matrix((np.ones(len(i)), (i, j)), (len(faces),) * 2), directed=False)[1]
    mesh = faces[part == part[around[0]]]
    used = np.unique(mesh)
    number = np.full(len(points), -1, np.int32)
    number[used] = np.arange(len(used))
    found, _ = PyGeodesicAlgorithmExact(points[used], number[mesh]).geodesicDistances(number[[source]], None)
    out[used] = found
    return out
