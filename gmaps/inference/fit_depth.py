"""The hand layer fitted to depth crops by its gradients: angles, bones, proportions, a turn and a place of each hand.

What is minimised follows tracking by model fitting: from data to model as articulated iterative closest points have
it (Tagliasacchi et al., "Robust Articulated-ICP for Real-Time Hand Tracking", SGP 2015), from model to data by the
silhouette and by the depth in front of which nothing may stand (Qian et al., "Realtime and Robust Hand Tracking from
Depth", CVPR 2014). Needs torch, the extra `train`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gmaps.errors import UsageError
from gmaps.frame import Projection
from gmaps.inference.depth_seen import Seen
from gmaps.nets import quaternions as turns
from gmaps.nets.hand_layer import Hand, HandLayer
from gmaps.nets.hand_penalties import contact_penalty, limit_penalty
from gmaps.synth.fit_many import FittedHands
from gmaps.synth.poses import SHAPE_LIMITS

#: Standard deviations of joints that a person or a network has named, mm.
LABELS, NETWORK = 5.0, 12.0
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
    seen = Seen.of(torch.from_numpy(np.ascontiguousarray(depth, np.float32)),
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
