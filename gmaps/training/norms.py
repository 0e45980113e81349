"""Batch normalisation's means and variances, for the weights as they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from gmaps.training.device import Device

#: Batches to average over.
BATCHES = 16


class _NormsAlone(nn.Module):
    """A network whose normalisation alone goes into training mode: dropout, and whatever else draws, stays off."""

    def __init__(self, net: nn.Module, device: Device) -> None:
        super().__init__()
        self.net, self.device = net, device

    def train(self, mode: bool = True) -> _NormsAlone:
        self.net.eval()
        for module in self.net.modules():
            if isinstance(module, _BatchNorm):
                module.train(mode)
        return self

    def forward(self, inputs: tuple[Tensor, ...]) -> Any:
        with self.device.autocast():
            return self.net(*(self.device.lay_out(x) for x in inputs))


def average_norms(net: nn.Module, inputs: Iterable[tuple[Tensor, ...]], device: Device) -> None:
    """Average them anew over some batches, instead of over the last steps of training.

    While the learning rate is high, weights run ahead of such running averages, and the network that is judged is
    several times worse than the one that was trained. Nothing else changes: dropout is off, and nothing is drawn at
    random.

    Parameters
    ----------
    net
        Left in evaluation mode.
    inputs
        What it reads, a batch at a time; without any, nothing happens.
    device
        Where it computes.
    """
    batches = iter(inputs)
    first = next(batches, None)
    if first is not None:
        # PyTorch takes the first entry of what a loader gives.
        update_bn(((x,) for x in itertools.chain([first], batches)), _NormsAlone(net, device))
    net.eval()
