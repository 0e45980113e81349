"""The layers that HandMap is made of, in two and in three dimensions.

Symbols used in this package: B samples, C channels, S rows and columns of the crop, H of the feature and guidance
maps, J joints; in three dimensions cubes take the place of squares.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def norm(dims: int, channels: int) -> nn.Module:
    """Batch normalisation, epsilon 1e-3 as in the original.

    Its running averages follow at PyTorch's 0.1 a step, not at the original's 0.0003, which needs 10,000 steps before
    a network can be tested at all.
    """
    module: nn.Module = _NORM[dims](channels, eps=1e-3)
    return module


def conv(
    dims: int, inputs: int, outputs: int, kernel: int | tuple[int, ...] = 1, stride: int = 1, linear: bool = False
) -> nn.Sequential:
    """Convolution that keeps the size, batch normalisation, and ReLU unless `linear`."""
    padding = kernel // 2 if isinstance(kernel, int) else tuple(k // 2 for k in kernel)
    make: Any = CONV[dims]
    layers = [make(inputs, outputs, kernel, stride, padding, bias=False), norm(dims, outputs)]
    return nn.Sequential(*layers, *([] if linear else [nn.ReLU(inplace=True)]))


def pool(dims: int) -> nn.Module:
    """Halves rows and columns: maximum of 3 x 3."""
    module: nn.Module = POOL[dims](3, stride=2, padding=1)
    return module


class Residual(nn.Module):
    """The original's `resnet_k`: 1x1 beside 1x1 -> 1x3 -> 3x1 (1x1x1 -> 3x3x3), joined and added to the input."""

    def __init__(self, channels: int, dims: int = 2) -> None:
        super().__init__()
        half = channels // 2
        self.narrow = conv(dims, channels, half)
        if dims == 2:
            self.wide = nn.Sequential(
                conv(2, channels, half), conv(2, half, half, (1, 3)), conv(2, half, half, (3, 1))
            )
        else:
            quarter = max(channels // 4, 1)
            self.wide = nn.Sequential(conv(3, channels, quarter), conv(3, quarter, half, 3))
        self.join = CONV[dims](2 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C, ...)."""
        return torch.relu(x + self.join(torch.cat([self.narrow(x), self.wide(x)], dim=1)))


class ConvPool(nn.Sequential):
    """The original's `conv_maxpool`: 3 x 3 to `outputs` channels, then half the size."""

    def __init__(self, inputs: int, outputs: int, dims: int = 2) -> None:
        super().__init__(conv(dims, inputs, outputs, 3), pool(dims))


class Hourglass(nn.Module):
    """The original's `hg_net(depth)`: a residual branch beside the same thing at half the size, `depth` times."""

    def __init__(self, channels: int, depth: int = 2, dims: int = 2) -> None:
        super().__init__()
        inner = 2 * channels
        self.upper = Residual(channels, dims)
        self.lower = nn.Sequential(
            pool(dims),
            Residual(channels, dims),
            conv(dims, channels, inner),
            Hourglass(inner, depth - 1, dims) if depth > 1 else Residual(inner, dims),
            conv(dims, inner, channels),
            Residual(channels, dims),
            _TRANSPOSED[dims](channels, channels, 3, stride=2, padding=1, output_padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C, ...); sides must be divisible by 2**depth."""
        up: Tensor = self.upper(x) + self.lower(x)
        return up
