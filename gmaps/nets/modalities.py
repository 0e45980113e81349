"""What a hand is seen as by the cross-modal VAE: a depth crop, a colour crop, joints in the plane, joints in space.

Each `Modality` says how it is had from a batch, what encodes and decodes it, and what its likelihood costs.
B samples, S rows of a picture, J joints, Z numbers of the latent space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from gmaps.nets.trunks import crop_encoder

#: Rows that a decoder of pictures begins with are so many times fewer.
SHRINK = 16


@dataclass(frozen=True)
class Sizes:
    """Of the encoders and decoders, alike for all modalities.

    Parameters
    ----------
    joints
        J.
    latent
        Z.
    size
        S that pictures are encoded and decoded at.
    stem, width, head
        See `gmaps.nets.trunks.crop_encoder`.
    hidden
        Width of the layers of joints, and of the last one of pictures.
    layers
        How many of these joints go through.
    up
        Channels of a picture's decoder, at S / 16, S / 8, S / 4 and S / 2.
    """

    joints: int
    latent: int
    size: int
    stem: tuple[int, ...]
    width: int
    head: tuple[int, ...]
    hidden: int
    layers: int
    up: tuple[int, ...]


class Modality(Protocol):
    """One way of seeing a hand."""

    #: Entry of a batch that it is had from.
    entry: str

    def read(self, entry: Tensor, cube: Tensor, size: int) -> Tensor:
        """What is encoded, and what is decoded is held against: NaN where a frame lacks it."""

    def encoder(self, sizes: Sizes) -> nn.Module:
        """(B, ...) as read -> (B, hidden)."""

    def decoder(self, sizes: Sizes) -> nn.Module:
        """(B, Z) -> what `cost` compares."""

    def cost(self, made: Tensor, seen: Tensor) -> Tensor:
        """(B,) minus log likelihood of each row, in units of its own; of rows that are not NaN."""

    def show(self, made: Tensor) -> Tensor:
        """What a decoder gave in the units of the batch's entry."""


class DepthCrop:
    """(B, 1, S, S) cube units, background 1; decoded as the chance of hand and its depth."""

    entry = "depth"

    def read(self, entry: Tensor, cube: Tensor, size: int) -> Tensor:
        """As the network sees it: the mean of each cell's hand pixels, 1 where fewer than half of them are."""
        hand = (entry < 1).to(entry.dtype)
        share = functional.adaptive_avg_pool2d(hand, size)
        mean = functional.adaptive_avg_pool2d(entry * hand, size) / share.clamp(min=1e-6)
        return torch.where(share >= 0.5, mean, 1.0)

    def encoder(self, sizes: Sizes) -> nn.Module:
        """See `Modality`."""
        return crop_encoder(sizes.size, sizes.stem, sizes.width, sizes.head, sizes.hidden)

    def decoder(self, sizes: Sizes) -> nn.Module:
        """See `Modality`: logits of hand, and depths."""
        return PictureDecoder(sizes, 2)

    def cost(self, made: Tensor, seen: Tensor) -> Tensor:
        """Cross entropy of hand, mean over cells, and |x| of its depth, mean over the hand."""
        made = made.float()
        hand = (seen < 1).float()
        chance = functional.binary_cross_entropy_with_logits(made[:, :1], hand, reduction="none").mean(dim=(1, 2, 3))
        off = ((made[:, 1:] - seen).abs() * hand).sum(dim=(1, 2, 3)) / hand.sum(dim=(1, 2, 3)).clamp(min=1)
        return chance + off

    def show(self, made: Tensor) -> Tensor:
        """Depth where a hand is likelier than not, else 1."""
        return torch.where(made[:, :1] > 0, made[:, 1:].clamp(-1.0, 0.999), 1.0)


class ColorCrop:
    """(B, S, S, 3) uint8, encoded and decoded as (B, 3, S, S) from -0.5 to 0.5, as the authors of the VAE have it."""

    entry = "color"

    def read(self, entry: Tensor, cube: Tensor, size: int) -> Tensor:
        """See `Modality`."""
        return functional.adaptive_avg_pool2d(entry.movedim(-1, 1).float() / 255 - 0.5, size)

    def encoder(self, sizes: Sizes) -> nn.Module:
        """See `Modality`."""
        return crop_encoder(sizes.size, sizes.stem, sizes.width, sizes.head, sizes.hidden, inputs=3)

    def decoder(self, sizes: Sizes) -> nn.Module:
        """See `Modality`."""
        return PictureDecoder(sizes, 3)

    def cost(self, made: Tensor, seen: Tensor) -> Tensor:
        """|x|, mean over pixels and channels."""
        return (made.float() - seen).abs().mean(dim=(1, 2, 3))

    def show(self, made: Tensor) -> Tensor:
        """(B, S, S, 3) uint8."""
        return ((made.clamp(-0.5, 0.5) + 0.5) * 255).round().to(torch.uint8).movedim(1, -1)


class Joints3D:
    """(B, J, 3) cube units."""

    entry = "joints"
    numbers = 3

    def read(self, entry: Tensor, cube: Tensor, size: int) -> Tensor:
        """As they are."""
        return entry

    def encoder(self, sizes: Sizes) -> nn.Module:
        """See `Modality`."""
        return nn.Sequential(nn.Flatten(), perceptron(self.numbers * sizes.joints, sizes.hidden, sizes.layers))

    def decoder(self, sizes: Sizes) -> nn.Module:
        """See `Modality`."""
        return nn.Sequential(
            perceptron(sizes.latent, sizes.hidden, sizes.layers),
            nn.Linear(sizes.hidden, self.numbers * sizes.joints),
            nn.Unflatten(1, (sizes.joints, self.numbers)),
        )  # fmt: skip

    def cost(self, made: Tensor, seen: Tensor) -> Tensor:
        """|x|, mean over coordinates."""
        return (made.float() - seen).abs().mean(dim=(1, 2))

    def show(self, made: Tensor) -> Tensor:
        """As they are."""
        return made


class Joints2D(Joints3D):
    """(B, J, 2) in the crop's plane: -1 is its left or upper edge, 1 its right or lower one."""

    numbers = 2

    def __init__(self, perspective: bool) -> None:
        self.perspective = perspective

    def read(self, entry: Tensor, cube: Tensor, size: int) -> Tensor:
        """Where the crop shows them: see `gmaps.maps.torch_decode.to_mm`, whose inverse this is."""
        if not self.perspective:
            return entry[..., :2]
        center, half = cube[:, None, :3], cube[:, None, 3:]
        mm = entry * half + center
        return (mm[..., :2] * (center[..., 2:] / mm[..., 2:]) - center[..., :2]) / half


def modalities(perspective: bool) -> dict[str, Modality]:
    """All, by name."""
    return {"depth": DepthCrop(), "color": ColorCrop(), "joints2d": Joints2D(perspective), "joints3d": Joints3D()}


def perceptron(inputs: int, hidden: int, layers: int) -> nn.Sequential:
    """Linear layers of one width, each with ReLU."""
    made: list[nn.Module] = []
    for k in range(layers):
        made += [nn.Linear(inputs if k == 0 else hidden, hidden), nn.ReLU(inplace=True)]
    return nn.Sequential(*made)


def _norm(channels: int) -> nn.GroupNorm:
    """Of each row alone: what is decoded comes from several encoders, whose averages differ."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


class PictureDecoder(nn.Module):
    """(B, Z) -> (B, outputs, S, S): a linear layer, four deconvolutions, a convolution."""

    def __init__(self, sizes: Sizes, outputs: int) -> None:
        super().__init__()
        self.start, self.first = sizes.size // SHRINK, sizes.up[0]
        self.linear = nn.Linear(sizes.latent, self.first * self.start**2)
        layers: list[nn.Module] = [_norm(self.first), nn.ReLU(inplace=True)]
        for before, after in zip(sizes.up, (*sizes.up[1:], sizes.up[-1]), strict=True):
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False), _norm(after),
                nn.ReLU(inplace=True),
            ]  # fmt: skip
        self.body = nn.Sequential(*layers, nn.Conv2d(sizes.up[-1], outputs, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        """See the class."""
        found: Tensor = self.body(self.linear(z).unflatten(1, (self.first, self.start, self.start)))
        return found
