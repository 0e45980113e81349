"""`Augment` on tensors: a batch's crops are changed on the device where they are.

What is random is drawn as for one crop, from the same seed, epoch and row, so that a crop is changed alike wherever
that is done. Symbols: n crops, S rows and columns of each, J joints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gmaps.augment.changes import LEAST, Augment
from gmaps.augment.view import JUMP_MM, Resampling, resampling, turn_matrix
from gmaps.frame import Cube, Projection
from gmaps.kernels.raster import LAST
from gmaps.skeleton import Skeleton

#: Nearer to a whole pixel than this nothing is interpolated; as in `gmaps.kernels.warp`.
_WHOLE = 1e-4
#: SplitMix64's numbers (Steele et al., 2014), as int64 holds their bits.
_STEP, _FIRST, _SECOND = (
    k - 2**64 if k >= 2**63 else k for k in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


class Augmented(NamedTuple):
    """A batch's crops after a change.

    Parameters
    ----------
    depth : (n, S, S) float32
    cube : (n, 4) float32
    joints : (n, J, 3) float32
        mm, in the axes of the changed camera.
    undo : (n, 3, 3) float32
        See `gmaps.augment.Change.undo`.
    """

    depth: Tensor
    cube: Tensor
    joints: Tensor
    undo: Tensor


class TorchAugment:
    """Random changes of batches; see `gmaps.augment.Augment`, whose changes these are.

    Parameters
    ----------
    augment
        What to do.
    projection
        Of the crops.
    skeleton
        Of the joints: those that swap in a mirror are swapped.
    """

    def __init__(self, augment: Augment, projection: Projection, skeleton: Skeleton | None = None) -> None:
        self.augment, self.projection = augment, projection
        self.swapped = list(skeleton.swapped) if skeleton is not None and skeleton.mirror else None

    @torch.no_grad()
    def __call__(self, depth: Tensor, cube: Tensor, joints: Tensor, epoch: int, rows: Sequence[int]) -> Augmented:
        """Changed crops; the tensors that are given are left alone.

        Parameters
        ----------
        depth : (n, S, S) float32
            Of hands alone: 1 elsewhere.
        cube : (n, 4) float32
            Of a rejected row it is not finite, and the row is as it was.
        joints : (n, J, 3) float32
            mm.
        epoch, rows
            What decides the changes, beside the seed.
        """
        places = cube.cpu().numpy()
        hand = depth < 1
        least = LEAST * hand.sum(dim=(1, 2)).cpu().numpy()
        nothing = depth.new_full((), math.inf)
        ends = torch.stack([
            torch.where(hand, depth, nothing).amin(dim=(1, 2)), torch.where(hand, depth, -nothing).amax(dim=(1, 2))
        ], dim=1).cpu().numpy()  # fmt: skip
        known = np.isfinite(places).all(axis=1)
        cubes = [
            Cube.from_array(row) if ok else Cube((0.0, 0.0, 500.0)) for row, ok in zip(places, known, strict=True)
        ]
        rngs = [np.random.Generator(np.random.PCG64([self.augment.seed, epoch, int(row)])) for row in rows]
        drawn = [
            self.augment.draw(
                rng, old, self.projection, *(map(float, end) if math.isfinite(end[0]) else (math.inf,) * 2)
            )
            for rng, old, end in zip(rngs, cubes, ends, strict=True)
        ]
        turns = np.stack([turn for _, _, turn, _, _ in drawn])
        pixels = depth.shape[1]
        ways = [
            resampling(old, self.projection, pixels, turn, size, shift)
            for old, (_, _, turn, size, shift) in zip(cubes, drawn, strict=True)
        ]
        moved = self._warp(depth, ways, cubes)
        seen = (moved < 1).sum(dim=(1, 2)).cpu().numpy()
        # A change that leaves too little of the hand is not made, but for the mirror and quarter turns.
        lost = np.flatnonzero(seen < np.maximum(least, 1))
        for k in lost:
            mirrored, quarters = drawn[k][:2]
            turns[k] = turn_matrix(0.0, 0 if quarters is None else quarters, mirrored)
            ways[k] = resampling(cubes[k], self.projection, pixels, turns[k], cubes[k].half_side, np.zeros(3))
        if len(lost):
            moved[lost] = self._warp(depth[lost], [ways[k] for k in lost], [cubes[k] for k in lost])
        moved = self._spoil(moved, [way.after for way in ways], rngs, least).half().float()
        return self._finish(moved, depth, cube, joints, ways, turns, [bool(d[0]) for d in drawn], known)

    def _finish(
        self, moved: Tensor, depth: Tensor, cube: Tensor, joints: Tensor, ways: Sequence[Resampling],
        turns: np.ndarray, mirrored: Sequence[bool], known: np.ndarray,
    ) -> Augmented:  # fmt: skip
        device = depth.device
        turn = torch.from_numpy(turns).to(device)
        good = torch.from_numpy(known).to(device)
        places = joints
        if self.swapped is not None:
            swaps = torch.tensor(mirrored, device=device)[:, None, None]
            places = torch.where(swaps, joints[:, self.swapped], joints)
        new_joints = (places.double() @ turn.transpose(1, 2)).float()
        new_cube = torch.from_numpy(np.stack([way.after.to_array() for way in ways])).to(device)
        upright = torch.eye(3, device=device)
        return Augmented(
            torch.where(good[:, None, None], moved, depth),
            torch.where(good[:, None], new_cube, cube),
            torch.where(good[:, None, None], new_joints, joints),
            torch.where(good[:, None, None], turn.transpose(1, 2).float(), upright).contiguous(),
        )

    def _warp(self, depth: Tensor, ways: Sequence[Resampling], cubes: Sequence[Cube]) -> Tensor:
        device = depth.device
        inverse = torch.from_numpy(np.stack([way.inverse for way in ways])).to(device)
        numbers = [[way.z_scale, way.z_shift, JUMP_MM / old.half_side] for way, old in zip(ways, cubes, strict=True)]
        return warp(depth, inverse, *torch.tensor(numbers, dtype=torch.float32, device=device).unbind(dim=1))

    def _spoil(
        self, depth: Tensor, cubes: Sequence[Cube], rngs: Sequence[np.random.Generator], least: np.ndarray
    ) -> Tensor:
        """Cut-outs, then noise. Cut-outs that would leave next to nothing are not made."""
        a = self.augment
        if a.cutouts:
            blank = depth.clone()
            for k, rng in enumerate(rngs):
                for rectangle in a.draw_cutouts(rng, depth.shape[1]):
                    blank[k][rectangle] = 1.0
            enough = (blank < 1).sum(dim=(1, 2)) >= torch.from_numpy(np.maximum(least, 1)).to(depth.device)
            depth = torch.where(enough[:, None, None], blank, depth)
        if a.noise or a.edge_loss:
            keys = torch.tensor([int(rng.integers(2**63)) for rng in rngs], device=depth.device)
            half = torch.tensor([cube.half_side for cube in cubes], dtype=torch.float64, device=depth.device)
            depth = roughen(depth, keys, a.noise / half, a.edge_loss, JUMP_MM / half)
        return depth


def warp(depth: Tensor, inverse: Tensor, z_scale: Tensor, z_shift: Tensor, jump: Tensor) -> Tensor:
    """Crops resampled through affine maps of their grids: `gmaps.kernels.warp.warp` of each.

    Parameters
    ----------
    depth : (n, S, S) float32
    inverse : (n, 2, 3) float64
    z_scale, z_shift, jump : (n,) float32

    Returns
    -------
    (n, S, S) float32
    """
    n, s, _ = depth.shape
    at = torch.arange(s, device=depth.device, dtype=torch.float64)
    i, k = at[:, None], at
    # (n, S, S), summed in the kernel's order.
    r, c = (
        (m[:, 0] * i.flatten()[:, None] + m[:, 2]).T[:, :, None] + m[:, 1, None, None] * k
        for m in (inverse[:, 0], inverse[:, 1])
    )
    inside = (r >= -0.5) & (c >= -0.5) & (r < s - 0.5) & (c < s - 0.5)
    r, c = torch.where(inside, r, 0.0), torch.where(inside, c, 0.0)
    flat = depth.flatten(1)

    def pixel(row: Tensor, column: Tensor) -> Tensor:
        return flat.gather(1, (row * s + column).flatten(1)).view(n, s, s)

    ri, ci, r0, c0 = (r + 0.5).long(), (c + 0.5).long(), r.long(), c.long()
    v = pixel(ri, ci)
    hand = inside & (v < 1)
    whole = ((r - ri).abs() < _WHOLE) & ((c - ci).abs() < _WHOLE)
    four = ~whole & (r >= 0) & (c >= 0) & (r0 + 1 < s) & (c0 + 1 < s)
    r1, c1 = (r0 + 1).clamp(max=s - 1), (c0 + 1).clamp(max=s - 1)
    corners = pixel(r0, c0), pixel(r0, c1), pixel(r1, c0), pixel(r1, c1)
    high, low = torch.stack(corners).amax(dim=0), torch.stack(corners).amin(dim=0)
    smooth = four & (high < 1) & (high - low <= jump[:, None, None])
    fr, fc = (r - r0).float(), (c - c0).float()
    top, bottom = corners[0] + fc * (corners[1] - corners[0]), corners[2] + fc * (corners[3] - corners[2])
    v = torch.where(smooth, top + fr * (bottom - top), v)
    v = z_scale[:, None, None] * v + z_shift[:, None, None]
    return torch.where(hand & (v >= -1) & (v <= 1), v.clamp(max=float(LAST)), 1.0)


def _mix(state: Tensor) -> Tensor:
    z = state * _STEP
    # Shifts fill up with zeros.
    z = (z ^ ((z >> 30) & (2**34 - 1))) * _FIRST
    z = (z ^ ((z >> 27) & (2**37 - 1))) * _SECOND
    return z ^ ((z >> 31) & (2**33 - 1))


def roughen(depth: Tensor, keys: Tensor, noise: Tensor, loss: float, jump: Tensor) -> Tensor:
    """Noise on hand pixels, and lost pixels along edges: `gmaps.kernels.warp.roughen` of each crop.

    Parameters
    ----------
    depth : (n, S, S) float32
    keys : (n,) int64
    noise, jump : (n,) float64
        In units of depth.
    loss
        Share.

    Returns
    -------
    (n, S, S) float32
        A crop that would lose all of its hand is as it was.
    """
    n, s, _ = depth.shape
    start = (keys[:, None] + 2 * torch.arange(s * s, device=depth.device)).view(n, s, s)
    bits = _mix(start)
    low = [((bits >> shift) & 0xFFFF).float() for shift in (0, 16, 32, 48)]
    unit = (noise / (65536.0 / math.sqrt(3.0))).float()[:, None, None]
    rough = depth + unit * ((low[0] + low[1]) + (low[2] + low[3]) - float(2 * 65535))
    kept = depth < 1
    if loss:
        edge = torch.zeros_like(kept)
        for dim in (1, 2):
            a, b = depth.narrow(dim, 0, s - 1), depth.narrow(dim, 1, s - 1)
            apart = (a - b).abs().double() > jump[:, None, None]
            edge.narrow(dim, 0, s - 1).logical_or_((b >= 1) | apart)
            edge.narrow(dim, 1, s - 1).logical_or_((a >= 1) | apart)
        kept = kept & ~(edge & ((_mix(start + 1) & 0xFFFF).float() < float(np.float32(loss * 65536.0))))
    rough = torch.where(kept, rough.clamp(-1.0, float(LAST)), 1.0)
    some = kept.flatten(1).any(dim=1)
    return torch.where(some[:, None, None], rough, depth)
