"""Where the weights lie that come with gmaps."""

from __future__ import annotations

from pathlib import Path

import torch

from gmaps.nets.network import Network
from gmaps.nets.registry import build_network
from gmaps.skeleton import Skeleton

#: A checkpoint with weights in float16, and nothing but tensors, numbers and names.
WEIGHTS = Path(__file__).with_name("hand.pt")


def load_pretrained() -> Network:
    """The network that comes with gmaps, with its weights, in evaluation mode.

    `gmaps.inference.load_pretrained` gives it as a `Predictor`, which makes the crops as well.
    """
    state = torch.load(WEIGHTS, map_location="cpu", weights_only=True)
    net = build_network(state["network"], Skeleton.from_dict(state["skeleton"]), **state["model"])
    net.load_state_dict(state["weights"])
    return net.eval()
