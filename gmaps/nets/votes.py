"""`votes`: every cell says where each joint is, and how near it is; joints are the votes of the nearest cells.

Small enough for one CPU core: an encoder from the crop down to 4 x 4 and a decoder up to 16 x 16. After Wan et al.,
"Dense 3D Regression for Hand Pose Estimation" (CVPR 2018), and Huang et al., "AWR: Adaptive Weighting Regression"
(AAAI 2020). It learns from joints alone; its closeness maps tell a hand from what is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gmaps.errors import UsageError
from gmaps.nets.blocks import conv
from gmaps.nets.losses import pose_loss
from gmaps.nets.network import Network
from gmaps.nets.registry import register_network
from gmaps.skeleton import Skeleton

#: A cell knows a joint that is nearer to its surface than this, cube units: 48 mm in a cube of half side 120 mm.
REACH = 0.4
#: How sharply the nearest cells are preferred.
SHARPNESS = 20.0


class Votes(NamedTuple):
    """What the network gives.

    Parameters
    ----------
    joints : (B, J, 3)
        Cube units.
    closeness : (B, J, h, w)
        1 where the joint is at the surface, 0 where it is further than `REACH`, or where there is no hand.
    offsets : (B, J, 3, h, w)
        From the surface to the joint, in units of `REACH`.
    """

    joints: Tensor
    closeness: Tensor
    offsets: Tensor


class _Block(nn.Module):
    """Two 3 x 3 convolutions, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(2, channels, channels, 3), conv(2, channels, channels, 3, linear=True))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class VoteNet(Network):
    """See the module's docstring.

    Parameters
    ----------
    skeleton
        Whose joints it finds.
    size
        Rows and columns of what it reads; crops of another size are resized. A multiple of 16.
    widths
        Channels at a half, a quarter, an eighth and a sixteenth of the size.
    """

    def __init__(
        self, skeleton: Skeleton, size: int = 64, widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    ) -> None:
        super().__init__(skeleton, {"pose": 1.0, "votes": 1.0})
        widths = tuple(int(w) for w in widths)  # type: ignore[assignment]
        if size % 16 or size < 32 or len(widths) != 4 or min(widths) < 1:
            raise UsageError(f"votes reads a multiple of 16 rows and has four widths, got {size} and {widths}")
        self.rows, self.origin = size, ("votes", {"size": size, "widths": list(widths)})
        a, b, c, d = widths
        self.stem = nn.Sequential(conv(2, 1, a, 5, stride=2), conv(2, a, b, 3, stride=2), _Block(b))
        self.down = nn.Sequential(conv(2, b, c, 3, stride=2), _Block(c))
        self.deep = nn.Sequential(conv(2, c, d, 3, stride=2), _Block(d), _Block(d))
        self.across = nn.ModuleList([conv(2, d, c), conv(2, c, b)])
        self.up = nn.ModuleList([_Block(c), nn.Sequential(_Block(b), conv(2, b, c), _Block(c))])
        self.heads = nn.Conv2d(c, 4 * len(skeleton), 1)

    def forward(self, depth: Tensor) -> Votes:  # type: ignore[override]
        """(B, 1, S, S) depth in [-1, 1] to `Votes`."""
        if depth.shape[-1] != self.rows:
            depth = functional.adaptive_avg_pool2d(depth, self.rows)
        fine = self.stem(depth)
        middle = self.down(fine)
        x = self.deep(middle)
        for skip, narrow, block in zip((middle, fine), self.across, self.up, strict=True):
            x = block(skip + functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest"))
        # Channels first: what follows sums over cells.
        out = self.heads(x).float().contiguous()
        closeness, offsets = out[:, : len(self.skeleton)], out[:, len(self.skeleton) :].unflatten(1, (-1, 3))
        points, _ = surface_points(depth, out.shape[-1])
        weight = (SHARPNESS * closeness).flatten(2).softmax(dim=2)[:, :, None]
        votes = points[:, None] + REACH * offsets
        return Votes((weight * votes.flatten(3)).sum(dim=3), closeness, offsets)

    def loss(self, output: Votes, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The terms "pose", of the joints, and "votes", of closeness and offsets."""
        return {
            "pose": pose_loss(output.joints, batch["joints"], self.pose_loss),
            "votes": vote_loss(output, batch["depth"], batch["joints"]),
        }

    def confidence(self, output: Votes) -> Tensor:
        """(B,) from 0 to 1: how near the nearest cells say they are, mean over joints."""
        return output.closeness.flatten(2).amax(dim=2).mean(dim=1).clamp(0, 1)


def surface_points(depth: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """The point of the surface that each cell shows, and which cells show one.

    Parameters
    ----------
    depth : (B, 1, S, S)
        Cube units, 1 where nothing is seen.
    cells
        h, rows and columns of the cells.

    Returns
    -------
    points : (B, 3, h, h)
        x y z, cube units; z is 0 where nothing is seen.
    seen : (B, 1, h, h) bool
    """
    nearest = -functional.adaptive_max_pool2d(-depth.float(), cells)
    seen = nearest < 1
    axis = (torch.arange(cells, device=depth.device, dtype=torch.float32) + 0.5) / cells * 2 - 1
    x = axis.expand(len(depth), 1, cells, cells)
    return torch.cat([x, x.transpose(2, 3), torch.where(seen, nearest, torch.zeros_like(nearest))], dim=1), seen


def vote_loss(output: Votes, depth: Tensor, joints: Tensor) -> Tensor:
    """How far closeness and offsets are from the truth.

    Parameters
    ----------
    output
        Of the network.
    depth : (B, 1, S, S)
        What it read.
    joints : (B, J, 3)
        Cube units; far outside the cube where there is no hand.
    """
    points, seen = surface_points(depth, output.closeness.shape[-1])
    true = (joints[..., None, None] - points[:, None]) / REACH
    closeness = (1 - (true * true).sum(dim=2).sqrt()).clamp(min=0) * seen
    near = (closeness > 0).float()
    wrong = (output.offsets - true).abs().sum(dim=2) * near
    return functional.smooth_l1_loss(output.closeness, closeness, beta=0.1) * 5 + wrong.sum() / near.sum().clamp(
        min=1
    )


register_network("votes", VoteNet)
