"""What the trainer, the checkpoint, the predictor and the command line know of a network, and all that they know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from gmaps.errors import UsageError
from gmaps.nets.losses import PoseLoss, pose_loss
from gmaps.skeleton import Skeleton


class Network(nn.Module):
    """Base of all networks: from entries of a batch to joints.

    A subclass defines `forward`. What it reads of a batch, `inputs`, and what it learns from, `targets`, are names of
    its entries, as `gmaps.training.GuidanceDataset` gives them: "depth", "joints", "maps/geodesic", further arrays of
    a store; and "views", three views of the crop.

    Parameters
    ----------
    skeleton
        Whose joints it finds.
    weights
        Term of the loss -> its weight, unless the user says otherwise; "pose" alone by default.

    Attributes
    ----------
    inputs
        Names of what `forward` is called with, in this order.
    targets
        Names of what `loss` looks at; a term of weight 0 needs none. Read after the user's weights are set.
    training_inputs
        Names of what `forward` is called with besides, behind `inputs`, in training alone.
    learns_unlabelled
        Whether a frame without joints, which are NaN then, teaches it something. Read when the user's weights are
        set. Such frames are refused where it does not.
    size
        Rows and columns of "views"; None for those of the crop.
    weights
        Of the terms that `loss` gives. Set by the trainer before `targets` is read.
    pose_loss
        "l1", "smooth_l1" or "l2"; set by the trainer.
    origin
        Name and parameters with which `build_network` makes the same network; part of a checkpoint.
    """

    inputs: tuple[str, ...] = ("depth",)
    targets: tuple[str, ...] = ("joints",)
    training_inputs: tuple[str, ...] = ()
    size: int | None = None

    def __init__(self, skeleton: Skeleton, weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.weights = {"pose": 1.0} if weights is None else dict(weights)
        self.pose_loss: PoseLoss = "l1"
        self.origin: tuple[str, dict[str, Any]] | None = None

    @property
    def learns_unlabelled(self) -> bool:
        """See the class."""
        return False

    def begin_epoch(self, epoch: int) -> None:
        """Told before each epoch of training, and when a run goes on within one: for what follows a schedule.

        Parameters
        ----------
        epoch
            From 0.
        """

    def forward(self, *inputs: Tensor) -> Any:
        """Whatever `loss` and `decode` understand.

        An output with `features`, a tensor that all terms of the loss depend on, gets the norms of their gradients
        there logged.

        Parameters
        ----------
        *inputs
            `inputs` of a batch of B samples: "depth" (B, 1, S, S), "maps/..." (B, C, H, H).
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def check_crops(self, crop: Mapping[str, Any]) -> None:
        """Refuse crops that this network cannot read; called before it is trained.

        Parameters
        ----------
        crop
            Of a store's attributes: "size", "projection", "half_side" (mm) and "center".

        Raises
        ------
        UsageError
            It cannot; the message says how to change it.
        """

    def loss(self, output: Any, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Terms to minimise, each a scalar without its weight; this one knows "pose" alone.

        Parameters
        ----------
        output
            What `forward` gave: here joints (B, J, 3) in cube units, or what has them as `joints`.
        batch
            Holds `inputs`, `targets` and "cube" (B, 4), the cubes' centres and half sides, mm.
        """
        return {"pose": pose_loss(getattr(output, "joints", output), batch["joints"], self.pose_loss)}

    def decode(self, output: Any, batch: Mapping[str, Any]) -> Tensor:
        """(B, J, 3) joints, mm, camera axes.

        Parameters
        ----------
        output
            As in `loss`.
        batch
            Holds `inputs` and "cube"; nothing else is sure to be there.
        """
        return to_mm(getattr(output, "joints", output), batch["cube"])

    @property
    def triangles(self) -> Tensor | None:
        """(T, 3) int64: of the mesh of a network that gives one; None of all others."""
        return None

    def mesh(self, output: Any) -> Tensor:
        """(B, V, 3): vertices of hands, mm, camera axes, of a network that gives meshes.

        Raises
        ------
        UsageError
            This one does not.
        """
        name = self.origin[0] if self.origin else type(self).__name__
        raise UsageError(f"network {name} gives no mesh: train deephps, or fit one to its joints with `gmaps fit`")

    def confidence(self, output: Any) -> Tensor | None:
        """(B,) from 0 to 1: how sure it is that there is a hand, by its own maps; None where it does not know.

        Parameters
        ----------
        output
            As in `loss`.
        """
        return None


def to_mm(joints: Tensor, cube: Tensor) -> Tensor:
    """Joints (B, J, 3) in units of the cubes (B, 4) as mm in camera axes."""
    return joints * cube[:, None, 3:] + cube[:, None, :3]


def count_parameters(model: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
