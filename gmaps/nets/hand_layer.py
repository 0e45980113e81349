"""The hand pose and shape layer: angles, bone lengths and proportions in; joints and a closed mesh out.

The twin, in PyTorch, of `gmaps.synth.hand.pose_hand`, `gmaps.synth.poses.make_shape`, `gmaps.synth.skin.shape_rest`
and `gmaps.synth.skin.skin`, step by step under the same names, so that gradients reach every parameter. Like the
layer of DeepHPS (Malik et al., 3DV 2018); hand, mesh and numbers are gmaps' own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gmaps.errors import UsageError
from gmaps.nets import quaternions as turns
from gmaps.synth import hand, skin
from gmaps.synth import turns as synth_turns
from gmaps.synth.poses import SHAPES

METACARPALS, PHALANGES = hand.METACARPALS, hand.PHALANGES
#: Of the hand at rest, palm axes, mm.
_MIDDLE = np.array([0.0, 70.0, 0.0])


class Hand(NamedTuple):
    """A batch of hands.

    Parameters
    ----------
    joints : (B, 21, 3)
        mm, in the order of skeleton msra21.
    vertices : (B, V, 3) or None
        mm; None where no mesh was asked for.
    transforms : (B, 20, 4, 4)
        Each bone's axes and where it begins, mm, in the order of `gmaps.synth.hand.BONES`: a point in the bone's own
        axes (x what it bends about, y along it, z where it bends to) times this is that point in the hand's axes.
    angles : (B, 23)
        Degrees, as `gmaps.synth.hand.ANGLES` names them, whatever the layer's own parameters are.
    radii : (B, 21)
        Flesh around each joint, mm; what `contact_penalty` needs.
    """

    joints: Tensor
    vertices: Tensor | None
    transforms: Tensor
    angles: Tensor
    radii: Tensor


class Bones(NamedTuple):
    """Sizes of hands, as in `gmaps.synth.hand.HandShape`: roots (B, 5, 3), lengths (B, 5, 3), girth (B, 20, 3)."""

    roots: Tensor
    lengths: Tensor
    girth: Tensor


class HandLayer(nn.Module):
    """Joints and mesh of hands, differentiable in all that it takes; in float32 or float64.

    Parameters
    ----------
    dtype
        Of the mesh's arithmetic, and of all that it gives; what it is given may be of either type.

    Attributes
    ----------
    triangles : (T, 3) int64
        Of the mesh, counter-clockwise from outside.
    pose_size, shape_size
        How many numbers a pose and a shape are: 23 and 8.

    Notes
    -----
    `gmaps.nets.mano.ManoLayer` has the same `forward` for a MANO file.

    Examples
    --------
    >>> layer = HandLayer()
    >>> made = layer(torch.zeros(2, 23))
    >>> made.joints.shape, made.vertices.ndim
    (torch.Size([2, 21, 3]), 3)
    """

    pose_size, shape_size = len(hand.ANGLES), len(SHAPES)
    triangles: Tensor
    starts: Tensor
    weights: Tensor
    rest_vertices: Tensor
    mean_roots: Tensor
    mean_lengths: Tensor
    mean_reach: Tensor
    mean_radii: Tensor
    rest_angles: Tensor
    rest_turns: Tensor
    rest_begin: Tensor
    rest_axes: Tensor
    middle: Tensor
    fan: Tensor

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        mesh = skin.hand_mesh()
        mean = hand.mean_shape()
        fixed = {
            "mean_roots": hand.MEAN_ROOTS,
            "mean_lengths": hand.MEAN_LENGTHS,
            "mean_reach": np.sqrt((hand.MEAN_ROOTS[:4] ** 2).sum(-1)),
            "mean_radii": mean.radii,
            "rest_angles": hand.REST_ANGLES,
            "rest_turns": hand.REST.turns[0],
            "rest_begin": hand.REST.joints[0, hand.STARTS] - _MIDDLE,
            "middle": _MIDDLE,
            "rest_axes": synth_turns.matrix(skin.bone_axes(hand.REST.joints, hand.REST.turns)[0]),
            "fan": np.radians(hand.FAN),
        }
        # Part of the code, not of what a network has learnt: no checkpoint holds them. A hand's twenty bones are
        # reckoned in float64, which costs little, and its vertices in `dtype`: so float32 ends within 1e-4 mm.
        for name, values in fixed.items():
            self.register_buffer(name, torch.from_numpy(np.array(values, np.float64)), persistent=False)
        for name, values in (("weights", mesh.weights.toarray()), ("rest_vertices", mesh.vertices - _MIDDLE)):
            self.register_buffer(name, torch.from_numpy(values).to(dtype), persistent=False)
        self.register_buffer("triangles", torch.from_numpy(mesh.triangles.astype(np.int64)), persistent=False)
        self.register_buffer("starts", torch.from_numpy(hand.STARTS.copy()), persistent=False)

    def forward(
        self, pose: Tensor, shape: Tensor | None = None, lengths: Tensor | None = None, *,
        turn: Tensor | None = None, shift: Tensor | None = None, mesh: bool = True,
    ) -> Hand:  # fmt: skip
        """Hands in a pose.

        Parameters
        ----------
        pose : (B, 23)
            Degrees, as `gmaps.synth.hand.ANGLES` names them; see `gmaps.nets.hand_penalties.limit_penalty`.
        shape : (B, 8), optional
            Proportions as `gmaps.synth.poses.SHAPES` names them, 1 for the mean hand; that by default.
        lengths : (B, 5, 3), optional
            Bones of index, middle, ring, little finger and thumb, root to tip, mm; by default what `shape` says.
        turn : (B, 4), optional
            Palm axes to the axes wanted, a unit quaternion (w, x, y, z).
        shift : (B, 3), optional
            Then the wrist goes here, mm.
        mesh
            False leaves the mesh out, which costs most.

        Raises
        ------
        UsageError
            Another number of angles or proportions.
        """
        if pose.ndim != 2 or pose.shape[1] != self.pose_size:
            raise UsageError(f"poses are (B, {self.pose_size}) degrees, got {tuple(pose.shape)}")
        if shape is None:
            shape = pose.new_ones(len(pose), self.shape_size)
        return self.from_bones(pose, self.make_bones(shape, lengths), turn=turn, shift=shift, mesh=mesh)

    def make_bones(self, shape: Tensor, lengths: Tensor | None = None) -> Bones:
        """Sizes of hands of given proportions (B, 8): `gmaps.synth.poses.make_shape`."""
        if shape.ndim != 2 or shape.shape[1] != self.shape_size:
            raise UsageError(f"shapes are (B, {self.shape_size}) shares, got {tuple(shape.shape)}")
        size, finger_length, finger_thickness, palm_length, palm_width, palm_thickness, spacing, mass = shape.unbind(
            1
        )
        one = torch.ones_like(size)
        roots = self.mean_roots * (size[:, None] * torch.stack([palm_width, palm_length, palm_thickness], 1))[:, None]
        spread = torch.stack([spacing, spacing, spacing, spacing, one], 1)
        roots = torch.stack([roots[..., 0] * spread, roots[..., 1], roots[..., 2]], dim=-1)
        if lengths is None:
            lengths = self.mean_lengths * (size * finger_length)[:, None, None]
        finger = (size * finger_thickness * mass.sqrt())[:, None].expand(-1, 3)
        back = torch.stack([size * palm_width * spacing, size, size * palm_thickness * mass], 1)
        ball = (size * (finger_thickness * palm_thickness).sqrt() * mass)[:, None].expand(-1, 3)
        arm = torch.stack([size * palm_width * mass, size, size * palm_thickness * mass], 1)
        return Bones(roots, lengths, torch.stack([arm, *[back] * 4, *[finger] * 12, ball, *[finger] * 2], dim=1))

    def from_bones(
        self, angles: Tensor, bones: Bones, *, turn: Tensor | None = None, shift: Tensor | None = None,
        mesh: bool = True,
    ) -> Hand:  # fmt: skip
        """As `forward`, of hands whose sizes are known one by one."""
        exact = Bones(*(b.double() for b in bones))
        joints, q = self.pose(exact, angles.double())
        palm = q.new_tensor([1.0, 0.0, 0.0, 0.0]).expand(len(q), 4)
        if turn is not None:
            palm = turn.double()
            joints, q = turns.apply(palm[:, None], joints), turns.product(palm[:, None], q)
        if shift is not None:
            joints = joints + shift.double()[:, None]
        begin = joints[:, self.starts]
        vertices = self.skin(begin, q, palm, *self.shape_rest(exact)) if mesh else None
        last = q.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*q.shape[:2], 1, 4)
        transforms = torch.cat([torch.cat([turns.matrix(q), begin[..., None]], dim=-1), last], dim=-2)
        kind = self.weights.dtype
        return Hand(joints.to(kind), vertices, transforms.to(kind), angles.to(kind), self.radii(exact).to(kind))

    def radii(self, bones: Bones) -> Tensor:
        """(B, 21): flesh around each joint, mm: `gmaps.synth.hand.HandShape.radii`."""
        width = (bones.girth[..., 0] + bones.girth[..., 2]) / 2
        finger = width[:, PHALANGES].unflatten(1, (5, 3))[:, :, [0, 0, 1, 2]].flatten(1)
        return self.mean_radii * torch.cat([width[:, :1], finger], dim=1)

    def pose(self, bones: Bones, angles: Tensor) -> tuple[Tensor, Tensor]:
        """Joints (B, 21, 3) in palm axes and the bones' axes (B, 20, 4): `gmaps.synth.hand.pose_hand`."""
        a = angles * (math.pi / 180)
        fingers, thumb = a[:, hand.FINGER_ANGLES].unflatten(1, (4, 4)), a[:, hand.THUMB_ANGLES]
        still = a.new_tensor([1.0, 0.0, 0.0, 0.0]).expand(len(a), 4, 4)
        arm = turns.product(turns.about(2, -a[:, 1]), turns.about(0, -a[:, 0]))
        side = torch.cat([(self.fan + fingers[..., 0]) * torch.cos(fingers[..., 1]), thumb[:, :1]], dim=1)
        lift = torch.cat([fingers[..., 1], thumb[:, 1:2]], dim=1)
        twist = math.radians(hand.THUMB_TURN) + hand.THUMB_TURN_PER_LIFT * thumb[:, 1:2] + thumb[:, 2:3]
        roll = torch.cat([torch.zeros_like(fingers[..., 0]), twist], dim=1)
        bend = torch.cat([fingers[..., 2], thumb[:, 3:4]], dim=1)
        tip = torch.cat([fingers[..., 3], thumb[:, 4:5]], dim=1)
        swing = turns.product(turns.about(2, -side), turns.about(0, lift))
        first = turns.product(swing, turns.about(1, roll))
        second = turns.product(first, turns.about(0, bend))
        chain = torch.stack([first, second, turns.product(second, turns.about(0, tip))], dim=2)
        q = torch.cat([arm[:, None], still, chain.flatten(1, 2)], dim=1)
        steps = torch.cat([bones.roots[:, :, None], turns.along(chain) * bones.lengths[..., None]], dim=2)
        joints = torch.cumsum(steps, dim=2).flatten(1, 2)
        return torch.cat([torch.zeros_like(joints[:, :1]), joints], dim=1), q

    def shape_rest(self, bones: Bones) -> tuple[Tensor, Tensor]:
        """Where bones begin (B, 20, 3) and vertices (B, V, 3) at rest, mm: `gmaps.synth.skin.shape_rest`.

        Both from the palm's middle: float32 keeps what is small.
        """
        roots, lengths, girth = bones
        joints, q = self.pose(bones, self.rest_angles.expand(len(roots), -1))
        begin = joints[:, self.starts]
        reach = roots[:, :4].norm(dim=-1) / self.mean_reach
        long = torch.cat([girth[:, :1, 1], reach, (lengths / self.mean_lengths).flatten(1)], dim=1)
        scale = torch.stack([girth[..., 0], long, girth[..., 2]], dim=-1)
        heading = turns.unit(joints[:, [1, 5, 9, 13]] - joints[:, :1])
        swing = turns.between(turns.along(q[:, METACARPALS]), heading)
        led = turns.product(swing, q[:, METACARPALS])
        axes = turns.matrix(torch.cat([q[:, :1], led, q[:, PHALANGES]], dim=1))
        linear = (axes * scale[..., None, :]) @ self.rest_axes.transpose(-1, -2)
        begin = begin - self.middle
        shift = begin - (linear @ self.rest_begin[..., None])[..., 0]
        affine = self.weights @ torch.cat([linear.flatten(2), shift], dim=-1).to(self.weights.dtype)
        turned = (affine[..., :9].unflatten(-1, (3, 3)) @ self.rest_vertices[..., None])[..., 0]
        return begin, turned + affine[..., 9:]

    def skin(self, begin: Tensor, q: Tensor, palm: Tensor, rest_begin: Tensor, rest: Tensor) -> Tensor:
        """Vertices (B, V, 3) that bones carry as dual quaternions: `gmaps.synth.skin.skin`."""
        real = turns.product(q, turns.inverse(self.rest_turns))
        real = _nearer(real, palm)
        around = begin.mean(dim=1, keepdim=True)
        shift = begin - around - turns.apply(real, rest_begin)
        dual = 0.5 * turns.product(torch.cat([torch.zeros_like(shift[..., :1]), shift], dim=-1), real)
        both = self.weights @ torch.cat([real, dual], dim=-1).to(self.weights.dtype)
        w, u, dw, d = both[..., :1], both[..., 1:4], both[..., 4:5], both[..., 5:]
        scale = 2 / (w * w + (u * u).sum(dim=-1, keepdim=True))
        inner = turns.cross(u, rest) + w * rest + d
        out = rest + scale * (turns.cross(u, inner) + w * d - dw * u)
        return out + around.to(out.dtype)


def _nearer(real: Tensor, palm: Tensor) -> Tensor:
    """q and -q are the same turn, but not the same in a blend: neighbours take the nearer, from the palm outwards."""
    with torch.no_grad():
        alike = torch.where((real[:, PHALANGES] * palm[:, None]).sum(-1) < 0, -1.0, 1.0).to(real.dtype)
        sign = real.new_ones(real.shape[:2])
        sign[:, :5] = torch.where((real[:, :5] * palm[:, None]).sum(-1) < 0, -1.0, 1.0)
        chain, roots = real[:, PHALANGES].unflatten(1, (5, 3)), alike.unflatten(1, (5, 3))[..., 0]
        link = torch.where((chain[:, :, 1:] * chain[:, :, :-1]).sum(-1) < 0, -1.0, 1.0).to(real.dtype)
        sign[:, PHALANGES] = torch.cumprod(torch.cat([roots[..., None], link], dim=-1), dim=-1).flatten(1)
    return real * sign[..., None]
