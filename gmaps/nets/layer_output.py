"""What a layer of somebody else's network gives: read off its parts, or seen by running it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gmaps.errors import UsageError

_CONV = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORM = (nn.BatchNorm2d, nn.BatchNorm3d)
#: Sides of the made-up input that a layer is tried with, by dimensions: small ones would vanish in deep layers.
_TRY = {2: (32, 64), 3: (8, 16)}


def channels_of(layer: nn.Module) -> tuple[int, int | None]:
    """Dimensions and channels of a layer's output.

    A layer that joins the outputs of its parts, as DenseNet's blocks do, gives more channels than any of them. So it
    is run, on zeros and in evaluation mode, and where that fails its last convolution or normalisation decides.

    Returns
    -------
    int, int or None
        None if no part of it knows.
    """
    dims = 2
    inputs: int | None = None
    last: int | None = None
    for part in layer.modules():
        if isinstance(part, (*_CONV, *_NORM)):
            dims = 3 if isinstance(part, nn.Conv3d | nn.ConvTranspose3d | nn.BatchNorm3d) else 2
            known: Any = part
            conv = isinstance(part, _CONV)
            inputs = inputs if inputs is not None else int(known.in_channels if conv else known.num_features)
            last = int(known.out_channels if conv else known.num_features)
    if inputs is None:
        return dims, None
    modes = {part: part.training for part in layer.modules()}
    parameter = next(layer.parameters())
    layer.eval()
    try:
        for side in _TRY[dims]:
            made = torch.zeros((1, inputs, *[side] * dims), dtype=parameter.dtype, device=parameter.device)
            try:
                with torch.no_grad():
                    output = features(layer.forward(made))
            # Whatever a layer makes of an input that is not its own.
            except Exception:
                continue
            if output.ndim == dims + 2:
                return dims, int(output.shape[1])
    finally:
        for part, mode in modes.items():
            part.training = mode
    return dims, last


def features(output: Any) -> Tensor:
    """The tensor of a layer's output that is guided: itself, or the first of several.

    Raises
    ------
    UsageError
        There is none.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple | list):
        found = next((part for part in output if isinstance(part, Tensor)), None)
        if found is not None:
            return found
    raise UsageError(
        f"the layer gives a {type(output).__name__} that holds no tensor, or none that comes first: guide a layer "
        "within it that gives a tensor, or a tuple of tensors"
    )


def put_back(output: Any, guided: Tensor) -> Any:
    """The layer's output with its guided part in its place."""
    if isinstance(output, Tensor):
        return guided
    old = features(output)
    parts = [guided if part is old else part for part in output]
    if isinstance(output, list):
        return parts
    return type(output)(*parts) if hasattr(output, "_fields") else tuple(parts)
