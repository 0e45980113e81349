"""What depth crops show of hands, and how far a hand is from that: the pull of a fit of depth."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gmaps.distances import signed_edt
from gmaps.errors import UsageError
from gmaps.frame import Projection
from gmaps.maps.torch_decode import grid_of
from gmaps.nets import quaternions as turns
from gmaps.nets.hand_layer import Hand
from gmaps.synth.skin import PARTS, hand_mesh

#: Standard deviation of a sensor's depth, mm.
SENSOR = 3.0
#: What is farther from the other surface than this, mm, pulls ever less: an arm, a sleeve, a held thing.
_FAR = 15.0
#: Pixels farther than this from where the hand begins, mm, are not of it.
_REACH = 30.0
#: Depth before which the model may stand without being pushed back, mm.
_SLACK = 3.0
#: Pixels of a crop that each step looks at.
_POINTS = 256
#: Pixels are many, and not independent of each other: all of them together count as this many.
_WEIGHT = 100.0
#: Vertices of the hand itself.
OF_HAND = np.flatnonzero(hand_mesh().vertex_labels != 1 + PARTS.index("forearm"))


class Seen(NamedTuple):
    """What crops show.

    Parameters
    ----------
    points : (N, S * S, 3)
        mm, camera axes, those that may be of the hand first: no farther than `_REACH` from where it begins.
    pixels : (N,)
        How many these are.
    surface : (N, 1, S, S)
        Depth, mm; +inf in the void.
    away : (N, 1, S, S)
        To the silhouette, mm; 0 on it.
    cube : (N, 4)
    """

    points: Tensor
    pixels: Tensor
    surface: Tensor
    away: Tensor
    cube: Tensor
    perspective: bool

    @classmethod
    def of(cls, depth: Tensor, cube: Tensor, projection: Projection, begin: Tensor) -> Seen:
        size = depth.shape[-1]
        grid, hand = grid_of(depth, cube, size, perspective=projection == "perspective")
        if not hand.flatten(1).any(1).all():
            raise UsageError("a crop shows nothing that a hand could be fitted to")
        points = grid.flatten(2).transpose(1, 2)
        own = hand.flatten(1) & torch.stack([_within(p, v) for p, v in zip(points, begin, strict=True)])
        own = torch.where(own.any(1, keepdim=True), own, hand.flatten(1))
        first = torch.argsort((~own).to(torch.uint8), dim=1, stable=True)
        points = torch.gather(points, 1, first[..., None].expand(-1, -1, 3))
        spacing = (2 * cube[:, 3] / size).tolist()
        away = [-signed_edt(mask, step) for mask, step in zip(hand[:, 0].numpy(), spacing, strict=True)]
        outside = torch.from_numpy(np.stack(away))[:, None].clamp(min=0)
        outside = torch.where(hand, 0.0, outside)
        surface = torch.where(hand, grid[:, 2:], torch.inf)
        return cls(points, own.sum(1), surface, outside, cube, projection == "perspective")

    def distance(self, hand: Hand, triangles: Tensor, step: int) -> Tensor:
        """(N,): how far what is seen and the hand are apart, in squares of the sensor's deviation."""
        mesh = cast(Tensor, hand.vertices)
        normals = _normals(mesh.detach(), triangles)
        facing = (normals * mesh.detach()).sum(-1) < 0
        points = self._some(step)
        with torch.no_grad():
            near = _nearest(points, mesh, facing, step)[..., None].expand(-1, -1, 3)
        gap = points - torch.gather(mesh, 1, near)
        along = (gap * torch.gather(normals, 1, near)).sum(-1).square()
        beside = gap.square().sum(-1)
        data = _robust(along) + 0.1 * _robust(beside)
        return (data.mean(1) + self._from_model(mesh)) * (_WEIGHT / SENSOR**2)

    def _some(self, step: int) -> Tensor:
        """(N, P, 3): other pixels in each step, spread over the crop."""
        at = torch.arange(_POINTS) + (step * 0.618034) % 1.0
        index = (at / _POINTS * self.pixels[:, None]).long().clamp(max=self.points.shape[1] - 1)
        return torch.gather(self.points, 1, index[..., None].expand(-1, -1, 3))

    def _from_model(self, mesh: Tensor) -> Tensor:
        """(N,) mm^2: vertices off the silhouette, and before what is seen."""
        mesh = mesh[:, OF_HAND]
        center, half = self.cube[:, None, :3], self.cube[:, None, 3:]
        plane = mesh[..., :2]
        if self.perspective:
            plane = plane * (center[..., 2:] / mesh[..., 2:].clamp(min=1.0))
        at = ((plane - center[..., :2]) / half)[:, :, None]
        inside = (at.detach().abs() < 1).all(-1)[..., 0]
        away = functional.grid_sample(self.away, at, align_corners=False)[:, 0, :, 0]
        seen = functional.grid_sample(self.surface, at.detach(), mode="nearest", align_corners=False)[:, 0, :, 0]
        before = torch.relu(torch.where(inside & seen.isfinite(), seen, 0.0) - mesh[..., 2] - _SLACK)
        off = torch.where(inside, away, 0.0)
        return _robust(off.square()).mean(1) + _robust(before.square()).mean(1)

    def off(self, hand: Hand) -> Tensor:
        """(N,): median distance of pixels from the mesh's vertices, mm."""
        mesh = cast(Tensor, hand.vertices)
        return torch.cdist(self._some(0), mesh).amin(dim=2).median(dim=1).values


def _nearest(points: Tensor, mesh: Tensor, facing: Tensor, step: int) -> Tensor:
    """(N, P): the vertex that is nearest to each point, of those that face the camera.

    Of every other one, in turns: neighbours are some mm apart, and this search is what a step costs most.
    """
    some = torch.arange(step % 2, mesh.shape[1], 2)
    middle = points.mean(dim=1, keepdim=True)
    vertices = mesh[:, some] - middle
    # |p - v|^2 but for |p|^2, which is the same for all vertices.
    base = vertices.square().sum(-1) + torch.where(facing[:, some], 0.0, 1e8)
    apart = torch.baddbmm(base[:, None], points - middle, vertices.transpose(1, 2), alpha=-2)
    return some[apart.argmin(dim=2)]


def _within(points: Tensor, mesh: Tensor) -> Tensor:
    """(P,) bool: which points may be of a hand that begins here, and not of an arm, a table or a held thing.

    Without this a hand slides onto whatever else is in the cube, which has more pixels.
    """
    return torch.cdist(points, mesh[::4]).amin(dim=1) < _REACH


def _robust(square: Tensor) -> Tensor:
    """Geman and McClure's: x^2 near 0, at most `_FAR`^2."""
    return square / (1 + square / _FAR**2)


def _normals(mesh: Tensor, triangles: Tensor) -> Tensor:
    """(N, V, 3): unit normals of vertices, outwards."""
    a, b, c = (mesh[:, triangles[:, k]] for k in range(3))
    of_faces = turns.cross(b - a, c - a)
    total = torch.zeros_like(mesh)
    for k in range(3):
        total.index_add_(1, triangles[:, k], of_faces)
    return turns.unit(total)
