"""Joints from depth by a trained network. Importing it needs torch, the extra `train`."""

from __future__ import annotations

from gmaps.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError:
    raise MissingExtraError("torch", "train", "gmaps.inference") from None

from gmaps.inference.predictor import Predictor

__all__ = ["Predictor"]
