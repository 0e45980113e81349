"""Networks in PyTorch. Importing it needs torch, the extra `train`."""

from __future__ import annotations

from gmaps.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError:
    raise MissingExtraError("torch", "train", "gmaps.nets") from None

from gmaps.nets.network import Network
from gmaps.nets.pretrained import load_pretrained
from gmaps.nets.registry import build_network, list_networks, register_network
from gmaps.nets.supervision import GuidanceSupervision, guide

# Imported for their registrations, in the order in which `list_networks` shows them.
from gmaps.nets import handmap, dense, deephps, crossmodal_vae, pose_machine, votes  # noqa: F401  # isort: skip

__all__ = [
    "GuidanceSupervision",
    "Network",
    "build_network",
    "guide",
    "list_networks",
    "load_pretrained",
    "register_network",
]
