"""The PyTorch side: thin, over a store. Importing it needs torch, the extra `train`."""

from __future__ import annotations

from gmaps.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError:
    raise MissingExtraError("torch", "train", "gmaps.training") from None

from gmaps.nets.handmap import MODELS, HandMap, ModelParams, model_params
from gmaps.nets.supervision import GuidanceSupervision, guide
from gmaps.training.collate import Batch, collate
from gmaps.training.dataset import GuidanceDataset
from gmaps.training.sampler import BlockShuffle, UniformShuffle

__all__ = [
    "MODELS",
    "Batch",
    "BlockShuffle",
    "GuidanceDataset",
    "GuidanceSupervision",
    "HandMap",
    "ModelParams",
    "UniformShuffle",
    "collate",
    "guide",
    "model_params",
]
