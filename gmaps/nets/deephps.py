"""DeepHPS: from a depth crop to pose, bone scales and shape, and through the hand layer to joints and a mesh.

After Malik et al., "DeepHPS: End-to-end Estimation of 3D Hand Pose and Shape by Learning from Synthetic Depth", 3DV
2018, of which no code was published: a network of this plan around gmaps' own hand, not a copy of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gmaps.errors import UsageError
from gmaps.nets import quaternions as turns
from gmaps.nets.hand_layer import Hand, HandLayer
from gmaps.nets.hand_penalties import contact_penalty, limit_penalty
from gmaps.nets.losses import pose_loss
from gmaps.nets.network import Network
from gmaps.nets.registry import register_network
from gmaps.nets.trunks import crop_encoder
from gmaps.skeleton import Skeleton, get_skeleton
from gmaps.synth.poses import family_angles

#: What a network's output of 1 stands for: degrees of an angle, shares of a length and of a proportion.
_ANGLE, _LENGTH, _PROPORTION = 30.0, 0.1, 0.1
#: What the terms of the loss look at, beside the joints.
_LABELS = {"vertices": ("vertices",), "parameters": ("angles", "turn", "lengths", "proportions")}
#: Points of a crop that the term "surface" draws.
_POINTS = 256


class HandPose(NamedTuple):
    """What DeepHPS gives.

    Parameters
    ----------
    joints : (B, J, 3)
        Cube units, in the skeleton's order.
    angles : (B, 23)
        Degrees, as `gmaps.synth.hand.ANGLES` names them.
    turn : (B, 4)
        Palm axes to camera axes.
    wrist : (B, 3)
        mm, camera axes.
    lengths : (B, 5, 3), proportions : (B, 8)
        As `HandLayer.forward` takes them.
    hand
        Joints and bones, mm, camera axes, without a mesh: see `DeepHPS.mesh`.
    features : (B, F)
        That all terms of the loss depend on.
    """

    joints: Tensor
    angles: Tensor
    turn: Tensor
    wrist: Tensor
    lengths: Tensor
    proportions: Tensor
    hand: Hand
    features: Tensor


class DeepHPS(Network):
    """Pose, bone scales and shape as offsets from a mean hand, then `HandLayer`.

    Parameters
    ----------
    skeleton
        One whose joints msra21 has.
    size
        Rows and columns that it reads; a multiple of 32.
    stem
        Channels of the two layers that halve the size first.
    width
        Channels after these.
    head
        Channels of the layers that halve it further.
    hidden
        Width of what the three branches share.
    dropout
        Share of that left out in training.
    projection
        Of the crops, which the term "surface" must know: "orthographic" or "perspective".

    Notes
    -----
    Terms of the loss: "pose", joints; "vertices", of the mesh, both in cube units; "parameters", angles (units of 30
    degrees), turn, lengths and proportions (units of 0.1); "limits" and "contact", the penalties of
    `gmaps.nets.hand_penalties` over 1,000; and "surface", the distance from the crop's pixels to the mesh, cube
    units, which needs no label at all. Rows whose labels are NaN are left out of their terms, so that frames with
    joints alone, and frames without any, go into the same store. A term that weighs 0 needs no labels.
    """

    inputs = ("depth", "cube")
    mean_angles: Tensor
    mean_turn: Tensor

    def __init__(
        self, skeleton: Skeleton, size: int = 128, stem: tuple[int, ...] = (16, 32), width: int = 64,
        head: tuple[int, ...] = (64, 128, 256), hidden: int = 1024, dropout: float = 0.2,
        projection: str = "orthographic",
    ) -> None:  # fmt: skip
        weights = {"pose": 1.0, "vertices": 1.0, "parameters": 0.1, "limits": 0.01, "contact": 0.0, "surface": 0.0}
        super().__init__(skeleton, weights)
        stem, head = (v if isinstance(v, tuple | list) else (v,) for v in (stem, head))
        if not 0 <= dropout < 1:
            raise UsageError(f"dropout is 0 to below 1, not {dropout}")
        if projection not in ("orthographic", "perspective"):
            raise UsageError(f"crops are orthographic or perspective, not {projection}")
        self._size, self._projection = size, projection
        self._order = list(get_skeleton("msra21").mapping_to(skeleton))
        self.trunk = crop_encoder(size, stem, width, head, hidden)
        # Three branches, as in the paper; each begins at the mean hand.
        self.branches = nn.ModuleDict({
            name: nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, hidden // 4), nn.ReLU(), _zero(hidden // 4, n))
            for name, n in (("pose", 23 + 6 + 3), ("scale", 15), ("shape", 8))
        })  # fmt: skip
        self.layer = HandLayer()
        self.register_buffer("mean_angles", torch.tensor(family_angles("relaxed")).float(), persistent=False)
        # Fingers up in the image, the palm to the camera.
        self.register_buffer("mean_turn", torch.tensor([1.0, 0.0, 0.0, 0.0, -1.0, 0.0]), persistent=False)

    @property
    def targets(self) -> tuple[str, ...]:  # type: ignore[override]
        """Joints, and the labels of the terms that weigh something."""
        more = [name for term, names in _LABELS.items() if self.weights.get(term) for name in names]
        return ("joints", *more)

    @property
    def learns_unlabelled(self) -> bool:
        """By the crop's own surface, where that weighs something."""
        return bool(self.weights.get("surface"))

    @property
    def triangles(self) -> Tensor:
        """(T, 3) int64: of the mesh."""
        return self.layer.triangles

    def forward(self, depth: Tensor, cube: Tensor) -> HandPose:  # type: ignore[override]
        """See `HandPose`; depth (B, 1, S, S), cube (B, 4)."""
        if depth.shape[-1] != self._size:
            depth = functional.adaptive_avg_pool2d(depth, self._size)
        features = self.trunk(depth)
        pose, scale, shape = (self.branches[k](features).float() for k in ("pose", "scale", "shape"))
        with torch.autocast(depth.device.type, enabled=False):
            cube = cube.float()
            angles = self.mean_angles + _ANGLE * pose[:, :23]
            turn = turns.from_two_columns(self.mean_turn + pose[:, 23:29])
            proportions = (_PROPORTION * shape.clamp(-6, 6)).exp()
            mean = self.layer.make_bones(proportions)
            lengths = mean.lengths * (_LENGTH * scale.clamp(-6, 6)).exp().unflatten(1, (5, 3)).to(mean.lengths.dtype)
            hand = self.layer(angles, proportions, lengths, turn=turn, mesh=False)
            # Where the joints' middle is, is easier to see than where the wrist is.
            wrist = cube[:, :3] + cube[:, 3:] * pose[:, 29:32] - hand.joints.mean(dim=1)
            hand = hand._replace(joints=hand.joints + wrist[:, None])
            joints = (hand.joints[:, self._order] - cube[:, None, :3]) / cube[:, None, 3:]
        return HandPose(joints, angles, turn, wrist, lengths.float(), proportions, hand, features)

    def mesh(self, output: HandPose) -> Tensor:
        """(B, V, 3): vertices of the hands that were found, mm, camera axes."""
        made = self.layer(output.angles, output.proportions, output.lengths, turn=output.turn, shift=output.wrist)
        found: Tensor = made.vertices
        return found

    def loss(self, output: HandPose, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The terms that weigh something; see the class."""
        cube, half = batch["cube"], batch["cube"][:, 3]
        known = torch.isfinite(batch["joints"])
        joints = torch.where(known, batch["joints"], output.joints.detach())
        share = known.float().mean().clamp(min=1e-6)
        terms = {"pose": pose_loss(output.joints, joints, self.pose_loss) / share}
        mesh = self.mesh(output) if self.weights["vertices"] or self.weights["surface"] else None
        if self.weights["vertices"] and mesh is not None:
            true = batch["vertices"]
            true = true @ batch["undo"] if "undo" in batch else true
            terms["vertices"] = _known_l1(mesh / half[:, None, None], true / half[:, None, None])
        if self.weights["parameters"]:
            terms["parameters"] = self._parameter_loss(output, batch)
        if self.weights["limits"]:
            terms["limits"] = limit_penalty(output.angles).mean() / 1000
        if self.weights["contact"]:
            terms["contact"] = contact_penalty(output.hand.joints, output.hand.radii).mean() / 1000
        if self.weights["surface"] and mesh is not None:
            terms["surface"] = self._surface(mesh, batch["depth"], cube)
        return terms

    def _parameter_loss(self, output: HandPose, batch: Mapping[str, Any]) -> Tensor:
        turn = batch["turn"]
        if "undo" in batch:
            back = batch["undo"].transpose(-1, -2)
            turn = turns.product(turns.from_matrix(back), turn)
            # A mirrored hand has no turn.
            turn = torch.where((torch.linalg.det(back.double()) > 0)[:, None], turn, torch.nan)
        pairs = [
            (output.angles / _ANGLE, batch["angles"] / _ANGLE),
            (turns.matrix(output.turn), turns.matrix(turn)),
            (output.lengths.log() / _LENGTH, batch["lengths"].log() / _LENGTH),
            (output.proportions / _PROPORTION, batch["proportions"] / _PROPORTION),
        ]
        return torch.stack([_known_l1(found, true) for found, true in pairs]).mean()

    def _surface(self, mesh: Tensor, depth: Tensor, cube: Tensor) -> Tensor:
        """Mean distance of some of each crop's pixels to the nearest vertex, cube units; none within 3 mm counts."""
        size = depth.shape[-1]
        flat = depth.flatten(1)
        at = torch.multinomial((flat < 1).float() + 1e-9, _POINTS, replacement=True)
        z = torch.gather(flat, 1, at)
        center, half = cube[:, None, :3], cube[:, None, 3:]
        plane = torch.stack([at % size, at // size], dim=-1).float() * (2 / size) + (1 / size - 1)
        points = torch.cat([plane, z[..., None]], dim=-1) * half + center
        if self._projection == "perspective":  # what a pixel shows lies on its ray through the cube's middle plane
            points = torch.cat([points[..., :2] * points[..., 2:] / center[..., 2:], points[..., 2:]], dim=-1)
        with torch.no_grad():
            near = torch.cdist(points, mesh).argmin(dim=2)
        gap = (points - torch.gather(mesh, 1, near[..., None].expand(-1, -1, 3))).square().sum(-1).clamp(min=1e-6)
        seen = (z < 1).float()
        return (torch.relu(gap.sqrt() - 3.0) / half[..., 0] * seen).sum() / seen.sum().clamp(min=1)


def _known_l1(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean absolute difference where the truth is known: not NaN, as where a frame lacks a label; else 0."""
    known = torch.isfinite(true)
    # Filled before anything is subtracted: the gradient of what is NaN is NaN, whatever it is multiplied by.
    off = predicted - torch.where(known, true, predicted.detach())
    return off.abs().sum() / known.sum().clamp(min=1)


def _zero(inputs: int, outputs: int) -> nn.Linear:
    """A layer that begins near 0."""
    made = nn.Linear(inputs, outputs)
    with torch.no_grad():
        made.weight.mul_(0.1)
        made.bias.zero_()
    return made


register_network("deephps", DeepHPS)
