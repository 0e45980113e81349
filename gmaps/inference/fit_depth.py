"""The hand layer fitted to depth crops by its gradients: angles, bones, proportions, a turn and a place of each hand.

What is minimised follows tracking by model fitting: from data to model as articulated iterative closest points have
it (Tagliasacchi et al., "Robust Articulated-ICP for Real-Time Hand Tracking", SGP 2015), from model to data by the
silhouette and by the depth in front of which nothing may stand (Qian et al., "Realtime and Robust Hand Tracking from
Depth", CVPR 2014). Needs torch, the extra `train`.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gmaps.distances import signed_edt
from gmaps.errors import UsageError
from gmaps.frame import Projection
from gmaps.maps.torch_decode import grid_of
from gmaps.nets import quaternions as turns
from gmaps.nets.hand_layer import Hand, HandLayer
from gmaps.nets.hand_penalties import contact_penalty, limit_penalty
from gmaps.synth.fit_many import FittedHands
from gmaps.synth.poses import SHAPE_LIMITS
from gmaps.synth.skin import PARTS, hand_mesh

#: Standard deviations, mm: of a sensor's depth; of joints that a person or a network has named.
SENSOR, LABELS, NETWORK = 3.0, 5.0, 12.0
#: What is farther from the other surface than this, mm, pulls ever less: an arm, a sleeve, a held thing.
_FAR = 15.0
#: Pixels farther than this from where the hand begins, mm, are not of it.
_REACH = 30.0
#: Depth before which the model may stand without being pushed back, mm.
_SLACK = 3.0
#: Pixels of a crop that each step looks at.
_POINTS = 256
#: What a step of 1 stands for: degrees, radians, mm, shares.
_UNITS = {"angles": 10.0, "turn": 0.1, "wrist": 5.0, "proportions": 0.03, "lengths": 0.03}
#: How far people's hands differ from the mean one, and a pose from the one that joints say, as standard deviations.
_PERSON, _BONE, _BEND = 0.06, 0.04, 25.0


class DepthFit(NamedTuple):
    """Hands that hold what depth crops show.

    Parameters
    ----------
    angles : (N, 23) float32
        Degrees, as `gmaps.synth.hand.ANGLES` names them.
    turn : (N, 4)
        Palm axes to camera axes, a unit quaternion.
    wrist : (N, 3)
        mm, camera axes.
    lengths : (N, 5, 3)
        Of bones, mm, and
    proportions : (N, 8)
        Shares of the mean hand, both as `gmaps.nets.hand_layer.HandLayer` takes them.
    joints : (N, 21, 3)
        mm, camera axes, in the order of msra21.
    depth_mm : (N,)
        Median distance of a crop's pixels from the mesh, mm.
    """

    angles: NDArray[np.float32]
    turn: NDArray[np.float32]
    wrist: NDArray[np.float32]
    lengths: NDArray[np.float32]
    proportions: NDArray[np.float32]
    joints: NDArray[np.float32]
    depth_mm: NDArray[np.float32]

    def vertices(self) -> NDArray[np.float32]:
        """(N, V, 3): the meshes, mm, camera axes; their triangles are those of `gmaps.synth.skin.hand_mesh`."""
        layer = HandLayer()
        pose, turn, wrist, lengths, shape = (torch.from_numpy(np.ascontiguousarray(a)) for a in self[:5])
        with torch.inference_mode():
            made = layer(pose, shape, lengths, turn=turn, shift=wrist).vertices
        found: NDArray[np.float32] = made.numpy()
        return found


def fit_depth(
    depth: NDArray[np.floating], cube: NDArray[np.floating], start: FittedHands, *,
    projection: Projection = "orthographic", joints_mm: float | NDArray[np.floating] = NETWORK, steps: int = 60,
) -> DepthFit:  # fmt: skip
    """Fit hands to what crops show, many at once; each as if it were alone.

    Parameters
    ----------
    depth : (N, S, S)
        Crops of right hands: cube units, 1 is background.
    cube : (N, 4)
        Centre and half side, mm.
    start
        Hands to begin with, as `gmaps.synth.fit_many.fit_hands` finds them from joints, camera axes.
    projection
        Of the crops.
    joints_mm : number or (N,)
        How far the joints of `start` may be from the truth, a standard deviation: `LABELS`, `NETWORK` or another.
    steps
        Of the descent.

    Raises
    ------
    UsageError
        Arrays that do not belong together, or numbers out of their range.
    """
    n = len(depth)
    if depth.ndim != 3 or depth.shape[1] != depth.shape[2] or cube.shape != (n, 4) or len(start.angles) != n:
        raise UsageError(
            f"crops are (N, S, S), cubes (N, 4), with as many hands to start from: got {depth.shape}, {cube.shape} "
            f"and {len(start.angles)}"
        )
    trusted = np.broadcast_to(np.asarray(joints_mm, np.float32), n)
    if not ((trusted > 0) & np.isfinite(trusted)).all():
        raise UsageError(f"joints_mm is more than 0, got {joints_mm}")
    if not 1 <= steps <= 10_000:
        raise UsageError(f"a fit takes 1 to 10,000 steps, got {steps}")
    seen = _Seen.of(torch.from_numpy(np.ascontiguousarray(depth, np.float32)),
                    torch.from_numpy(np.ascontiguousarray(cube, np.float32)), projection,
                    torch.from_numpy(start.vertices()).float())  # fmt: skip
    model = _Model(start, torch.from_numpy(trusted.copy())[:, None])
    optimizer = torch.optim.Adam(model.free.values(), betas=(0.8, 0.95))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.3 * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 0.01
        optimizer.zero_grad(set_to_none=True)
        hand = model.hand()
        energy = seen.distance(hand, model.layer.triangles, step) + model.prior(hand)
        energy.sum().backward()
        optimizer.step()
    with torch.no_grad():
        hand = model.hand()
        off = seen.off(hand)
        parts = (*model.values().values(), hand.joints, off)
    return DepthFit(*(p.float().numpy() for p in parts))


class _Model:
    """The numbers that are free, in units in which all move about alike, and what is known of them beforehand."""

    def __init__(self, start: FittedHands, joints_mm: Tensor) -> None:
        self.layer, self.joints_mm = HandLayer(), joints_mm
        n = len(start.angles)
        size = torch.from_numpy(np.clip(start.girth, *SHAPE_LIMITS[0])).float()
        proportions = torch.ones(n, 8)
        proportions[:, 0] = size
        self.begin = {
            "angles": torch.from_numpy(start.angles).float(), "turn": torch.from_numpy(start.turn).float(),
            "wrist": torch.from_numpy(start.wrist).float(), "proportions": proportions,
        }  # fmt: skip
        mean = self.layer.make_bones(proportions).lengths.float()
        # Bones as long as the joints say, unless no hand has such.
        own = (torch.from_numpy(start.lengths).float() / mean).clamp(0.7, 1.4)
        sizes = {"angles": 23, "turn": 3, "wrist": 3, "proportions": 8, "lengths": 15}
        self.free = {name: torch.zeros(n, k, requires_grad=True) for name, k in sizes.items()}
        with torch.no_grad():
            trust = 1.0 / (1.0 + (joints_mm / LABELS) ** 2)
            self.free["lengths"] += trust * own.log().flatten(1) / _UNITS["lengths"]
        self.joints = torch.from_numpy(np.ascontiguousarray(start.pose().joints)).float()

    def values(self) -> dict[str, Tensor]:
        """Angles, turn, wrist, lengths and proportions, as the layer takes them."""
        step = {name: _UNITS[name] * x for name, x in self.free.items()}
        proportions = self.begin["proportions"] * step["proportions"].exp()
        mean = self.layer.make_bones(proportions).lengths.float()
        return {
            "angles": self.begin["angles"] + step["angles"],
            "turn": turns.product(turns.from_vector(step["turn"]), self.begin["turn"]),
            "wrist": self.begin["wrist"] + step["wrist"],
            "lengths": mean * step["lengths"].exp().unflatten(1, (5, 3)),
            "proportions": proportions,
        }

    def hand(self) -> Hand:
        """With its mesh."""
        v = self.values()
        made: Hand = self.layer(v["angles"], v["proportions"], v["lengths"], turn=v["turn"], shift=v["wrist"])
        return made

    def prior(self, hand: Hand) -> Tensor:
        """(N,): what is unlikely of these numbers, whatever the crops show."""
        free = self.free
        off = (hand.joints - self.joints).square().sum(-1)
        person = (free["proportions"] * (_UNITS["proportions"] / _PERSON)).square().sum(1)
        bones = (free["lengths"] * (_UNITS["lengths"] / _BONE)).square().sum(1)
        bend = (free["angles"] * (_UNITS["angles"] / _BEND)).square().sum(1)
        inside = limit_penalty(hand.angles) / 4.0 + contact_penalty(hand.joints, hand.radii) / 4.0
        total: Tensor = ((off / self.joints_mm**2).sum(1) + person + bones + bend) + inside
        return total


class _Seen(NamedTuple):
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
    def of(cls, depth: Tensor, cube: Tensor, projection: Projection, begin: Tensor) -> _Seen:
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
        mesh = mesh[:, _OF_HAND]
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


#: Pixels are many, and not independent of each other: all of them together count as this many.
_WEIGHT = 100.0
_OF_HAND = np.flatnonzero(hand_mesh().vertex_labels != 1 + PARTS.index("forearm"))


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
