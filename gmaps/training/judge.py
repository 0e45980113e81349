"""A network in evaluation mode: what it says of batches, and how far that is from the truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from gmaps.nets.inputs import entries
from gmaps.nets.network import Network
from gmaps.training.device import Device
from gmaps.training.feed import to_device
from gmaps.training.loss import mean_error_mm


def decode_batch(net: Network, batch: dict[str, Any], device: Device) -> torch.Tensor:
    """(B, J, 3) joints, mm, of a batch that lies on the device."""
    return decode_sure(net, batch, device)[0]


def decode_sure(net: Network, batch: dict[str, Any], device: Device) -> tuple[torch.Tensor, torch.Tensor]:
    """As `decode_batch`, and (B,) the network's confidence, NaN where it has none; see `Network.confidence`."""
    with device.autocast():
        output = net(*(device.lay_out(x) for x in entries(batch, net.inputs)))
    joints, sure = net.decode(output, batch).float(), net.confidence(output)
    return joints, joints.new_full((len(joints),), torch.nan) if sure is None else sure.float()


def predict_batches(
    net: Network, loader: Iterable[dict[str, Any]], device: Device
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(B, J, 3) mm in camera axes, and (B,) mean errors in mm, of each batch; the network is in evaluation mode."""
    net.eval()
    with torch.inference_mode():
        for batch in loader:
            batch = to_device(batch, device.torch)
            joints = decode_batch(net, batch, device)
            yield joints.cpu().numpy(), mean_error_mm(joints, batch).cpu().numpy()
