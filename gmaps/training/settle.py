"""Batch normalisation's means and variances, for the weights as they are."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gmaps.training.device import Device

#: Batches to average over.
BATCHES = 16


def settle(net: nn.Module, inputs: Iterable[Tensor], device: Device) -> None:
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
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm)]
    momenta = [m.momentum for m in norms]
    net.eval()
    with torch.no_grad():
        for k, x in enumerate(inputs):
            if k == 0:
                for m in norms:
                    m.reset_running_stats()
                    # None: all batches count alike.
                    m.momentum = None
                    m.train()
            with device.autocast():
                net(device.lay_out(x))
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
        m.eval()
