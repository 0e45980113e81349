"""The PyTorch side: thin, over a store. Importing it needs torch, the extra `train`."""

from __future__ import annotations

from gmaps.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError:
    raise MissingExtraError("torch", "train", "gmaps.training") from None

from gmaps.training.collate import Batch, collate
from gmaps.training.dataset import GuidanceDataset
from gmaps.training.model import MODELS, HandMap, ModelParams, model_params
from gmaps.training.sampler import BlockShuffle, UniformShuffle
from gmaps.training.supervision import GuidanceSupervision, guide

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
