"""The hand's surface: one closed mesh, its weights and parts, and how bones carry it.

A vertex goes two steps. First the flesh is fitted to a person's bones at rest: each bone scales the flesh around it.
Then the bones turn, and carry it as dual quaternions, which keep the volume at bends where a blend of matrices would
lose it (Kavan et al., "Geometric Skinning with Approximate Dual Quaternion Blending", 2008).
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from gmaps.synth import turns
from gmaps.synth.hand import (
    BONES,
    FINGERS,
    MEAN_LENGTHS,
    MEAN_ROOTS,
    METACARPALS,
    PHALANGES,
    REST,
    REST_ANGLES,
    STARTS,
    Pose,
    follow_joints,
    pose_hand,
)

Array = NDArray[np.float64]
#: What a segmentation tells apart, from 1 on; 0 is nothing.
PARTS: tuple[str, ...] = (*FINGERS, "palm", "forearm")


class Mesh(NamedTuple):
    """The mean hand at rest.

    Parameters
    ----------
    vertices : (V, 3) float64
        mm, palm axes.
    triangles : (T, 3) int32
        Counter-clockwise from outside: a closed surface without holes.
    weights : (V, 20) float64, sparse
        The share of each bone in each vertex, four bones at most; they sum to 1.
    labels : (T,) uint8
        The part of each triangle: 1 + its place in `PARTS`.
    vertex_labels : (V,) uint8
        The part of each vertex, likewise.
    """

    vertices: Array
    triangles: NDArray[np.int32]
    weights: csr_array
    labels: NDArray[np.uint8]
    vertex_labels: NDArray[np.uint8]


@lru_cache(maxsize=1)
def hand_mesh() -> Mesh:
    """The mesh that comes with gmaps; `gmaps.synth.sculpt` made it."""
    with (files("gmaps.synth") / "hand.npz").open("rb") as f, np.load(f) as data:
        vertices = data["vertices"].astype(np.float64)
        shares = data["weights"].astype(np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        bones = data["bones"].astype(np.int64)
        owner = np.repeat(np.arange(len(vertices)), bones.shape[1])
        weights = csr_array((shares.ravel(), (owner, bones.ravel())), (len(vertices), len(BONES)))
        weights.eliminate_zeros()
        triangles = data["triangles"].astype(np.int32)
        return Mesh(vertices, triangles, weights, data["labels"], data["vertex_labels"])


def blend(values: Array) -> Array:
    """(B, V, n): each vertex's mixture of the bones' values (B, 20, n): weights times values.

    The sparse product adds up in one fixed order, on one thread; a dense one would not.
    """
    count, bones, n = values.shape
    mixed = hand_mesh().weights @ np.ascontiguousarray(values.transpose(1, 0, 2)).reshape(bones, count * n)
    result: Array = mixed.reshape(-1, count, n).transpose(1, 0, 2)
    return result


def bone_axes(joints: Array, axes: Array) -> Array:
    """(B, 20, 4): the bones' axes, those of the metacarpals led to their knuckles: how flesh is scaled along them."""
    heading = turns.unit(joints[:, [1, 5, 9, 13]] - joints[:, :1])
    q = axes.copy()
    swing = turns.between(turns.along(axes[:, METACARPALS]), heading)
    q[:, METACARPALS] = turns.product(swing, axes[:, METACARPALS])
    return q


def shape_rest(roots: ArrayLike, lengths: ArrayLike, girth: ArrayLike) -> tuple[Array, Array]:
    """The first step: joints and vertices of persons' hands at rest.

    Parameters
    ----------
    roots, lengths, girth : (B, 5, 3), (B, 5, 3), (B, 20, 3)
        As in `HandShape`.

    Returns
    -------
    joints : (B, 21, 3), vertices : (B, V, 3)
        mm, palm axes.
    """
    mesh = hand_mesh()
    roots, lengths, girth = (np.asarray(a, np.float64) for a in (roots, lengths, girth))
    rest = pose_hand(roots, lengths, np.broadcast_to(REST_ANGLES, (len(roots), len(REST_ANGLES))))
    scale = girth.copy()
    scale[:, PHALANGES, 1] = lengths.reshape(-1, 15) / MEAN_LENGTHS.ravel()
    reach = np.sqrt((roots[:, :4] ** 2).sum(-1))
    scale[:, METACARPALS, 1] = reach / np.sqrt((MEAN_ROOTS[:4] ** 2).sum(-1))
    old = turns.matrix(bone_axes(REST.joints, REST.turns))
    new = turns.matrix(bone_axes(rest.joints, rest.turns))
    # new . scale . old', summed by hand: see gmaps.synth.turns on matrix products
    linear = np.zeros((len(roots), 20, 3, 3))
    for k in range(3):
        linear += new[..., :, None, k] * scale[..., k, None, None] * old[..., None, :, k]
    begin = REST.joints[:, STARTS]
    shift = rest.joints[:, STARTS] - (linear * begin[..., None, :]).sum(-1)
    affine = blend(np.concatenate([linear.reshape(len(roots), 20, 9), shift], axis=-1))
    out = affine[..., 9:] + (affine[..., :9].reshape(len(roots), -1, 3, 3) * mesh.vertices[:, None, :]).sum(-1)
    return rest.joints, out


def skin(pose: Pose, rest_joints: Array, rest_vertices: Array) -> Array:
    """The second step: vertices of posed hands.

    Parameters
    ----------
    pose
        B posed hands, in any axes.
    rest_joints, rest_vertices : (1 or B, 21, 3), (1 or B, V, 3)
        What `shape_rest` returns for bones of the same lengths.

    Returns
    -------
    (B, V, 3) float64
        mm, in the pose's axes.
    """
    real = turns.product(pose.turns, turns.inverse(REST.turns))
    # q and -q are the same turn, but not the same in a blend: neighbours take the nearer one, from the palm outwards.
    for bones, parents in ((slice(0, 5), None), (slice(5, 20, 3), None), (slice(6, 20, 3), slice(5, 20, 3)),
                           (slice(7, 20, 3), slice(6, 20, 3))):  # fmt: skip
        base = pose.palm[:, None] if parents is None else real[:, parents]
        flip = (real[:, bones] * base).sum(-1, keepdims=True) < 0
        real[:, bones] *= np.where(flip, -1.0, 1.0)
    begin = np.broadcast_to(rest_joints[:, STARTS], (len(real), 20, 3))
    shift = pose.joints[:, STARTS] - turns.apply(real, begin)
    pure = np.concatenate([np.zeros_like(shift[..., :1]), shift], axis=-1)
    dual = 0.5 * turns.product(pure, real)
    both = blend(np.concatenate([real, dual], axis=-1))
    # From here on one coordinate at a time: rows of memory, several times as fast as little vectors.
    w, x, y, z, dw, dx, dy, dz = np.ascontiguousarray(np.moveaxis(both, -1, 0))
    px, py, pz = np.ascontiguousarray(np.moveaxis(rest_vertices, -1, 0))
    scale = 2 / (w * w + x * x + y * y + z * z)
    # v + 2 u x (u x v + w v) turns; 2 (w d - dw u + u x d) shifts: together, u x (a) + w (a) - dw u with a as below.
    ax, ay, az = y * pz - z * py + w * px + dx, z * px - x * pz + w * py + dy, x * py - y * px + w * pz + dz
    out = np.empty((*w.shape, 3))
    out[..., 0] = px + scale * (y * az - z * ay + w * dx - dw * x)
    out[..., 1] = py + scale * (z * ax - x * az + w * dy - dw * y)
    out[..., 2] = pz + scale * (x * ay - y * ax + w * dz - dw * z)
    return out


def mesh_of_joints(joints: ArrayLike) -> Array:
    """(V, 3) mm: the surface of a hand through any 21 joints (21, 3), as thick as its palm is large.

    Raises
    ------
    UsageError
        Another shape, or numbers that are not finite.
    """
    pose, roots, lengths = follow_joints(np.asarray(joints, np.float64)[None])
    reach = np.sqrt((roots[0, :4] ** 2).sum(-1)).mean() / np.sqrt((MEAN_ROOTS[:4] ** 2).sum(-1)).mean()
    girth = np.full((1, 20, 3), reach)
    result: Array = skin(pose, *shape_rest(roots, lengths, girth))[0]
    return result
