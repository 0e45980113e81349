"""The PyTorch side: thin, over a store. Importing it needs torch, the extra `train`."""

from __future__ import annotations

from gmaps.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError:
    raise MissingExtraError("torch", "train", "gmaps.training") from None

from gmaps.training.dataset import GuidanceDataset

__all__ = ["GuidanceDataset"]
