"""Rotations as unit quaternions (w, x, y, z) along the last axis: namesakes of `gmaps.synth.turns`, in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor


def about(axis: int, angle: Tensor) -> Tensor:
    """(..., 4): the turn by `angle` radians about the axis x, y or z (0, 1 or 2)."""
    half, none = angle / 2, torch.zeros_like(angle)
    parts = [torch.cos(half), none, none, none]
    parts[1 + axis] = torch.sin(half)
    return torch.stack(parts, dim=-1)


def product(p: Tensor, q: Tensor) -> Tensor:
    """(..., 4): first q, then p."""
    pw, px, py, pz = p.unbind(-1)
    qw, qx, qy, qz = q.unbind(-1)
    return torch.stack(
        [
            pw * qw - px * qx - py * qy - pz * qz,
            pw * qx + px * qw + py * qz - pz * qy,
            pw * qy - px * qz + py * qw + pz * qx,
            pw * qz + px * qy - py * qx + pz * qw,
        ],
        dim=-1,
    )


def inverse(q: Tensor) -> Tensor:
    """(..., 4): the turn back."""
    back: Tensor = q * q.new_tensor([1.0, -1.0, -1.0, -1.0])
    return back


def matrix(q: Tensor) -> Tensor:
    """(..., 3, 3): columns are where x, y and z go."""
    w, x, y, z = q.unbind(-1)
    m: list[Tensor] = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    stacked: Tensor = torch.stack(m, dim=-1).unflatten(-1, (3, 3))
    return stacked


def along(q: Tensor) -> Tensor:
    """(..., 3): where y goes, which is the direction of a bone."""
    w, x, y, z = q.unbind(-1)
    return torch.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], dim=-1)


def apply(q: Tensor, v: Tensor) -> Tensor:
    """(..., 3): the vectors v, turned."""
    w, u = q[..., :1], q[..., 1:]
    t = 2 * cross(u, v)
    return v + w * t + cross(u, t)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """(..., 3): a x b."""
    ax, ay, az = a.unbind(-1)
    bx, by, bz = b.unbind(-1)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim=-1)


def unit(v: Tensor) -> Tensor:
    """(..., n): v over its length; 0 stays 0, and has a gradient of 0."""
    square = (v * v).sum(dim=-1, keepdim=True)
    some = square > 0
    return torch.where(some, v / torch.where(some, square, torch.ones_like(square)).sqrt(), torch.zeros_like(v))


def between(a: Tensor, b: Tensor) -> Tensor:
    """(..., 4): the shortest turn from unit vector a to unit vector b; about x where they are opposite."""
    w = 1 + (a * b).sum(dim=-1, keepdim=True)
    q = torch.cat([w, cross(a, b)], dim=-1)
    return unit(torch.where(w > 1e-9, q, q.new_tensor([0.0, 1.0, 0.0, 0.0])))


def from_vector(v: Tensor) -> Tensor:
    """(..., 4): the turn by |v| radians about v (..., 3); smooth at 0."""
    square = (v * v).sum(dim=-1, keepdim=True)
    small = square < 1e-8
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    sinc = torch.where(small, 0.5 - square / 48, torch.sin(angle / 2) / angle)
    cosine = torch.where(small, 1 - square / 8, torch.cos(angle / 2))
    return torch.cat([cosine, sinc * v], dim=-1)


def from_matrix(m: Tensor) -> Tensor:
    """(..., 4): the turn of a rotation matrix (..., 3, 3); w is not negative. The largest component decides."""
    d = torch.diagonal(m, dim1=-2, dim2=-1)
    trace = d.sum(dim=-1)
    xy, xz, yz = (m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    wx, wy, wz = (m[..., i, j] - m[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    rows = torch.stack(
        [
            torch.stack([1 + trace, wx, wy, wz], dim=-1),
            torch.stack([wx, 1 + 2 * d[..., 0] - trace, xy, xz], dim=-1),
            torch.stack([wy, xy, 1 + 2 * d[..., 1] - trace, yz], dim=-1),
            torch.stack([wz, xz, yz, 1 + 2 * d[..., 2] - trace], dim=-1),
        ],
        dim=-2,
    )
    best = torch.diagonal(rows, dim1=-2, dim2=-1).argmax(dim=-1)
    row = torch.take_along_dim(rows, best[..., None, None].expand(*best.shape, 1, 4), dim=-2)[..., 0, :]
    q = unit(row)
    return torch.where(q[..., :1] < 0, -q, q)


def from_two_columns(v: Tensor) -> Tensor:
    """(..., 4): the turn whose x and y axes six numbers (..., 6) give, as Gram and Schmidt make them square.

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", 2019: a network that gives these
    meets no jump at half a turn.
    """
    x = unit(v[..., :3])
    y = v[..., 3:]
    y = unit(y - (x * y).sum(dim=-1, keepdim=True) * x)
    return from_matrix(torch.stack([x, y, cross(x, y)], dim=-1))
