"""Joints from depth by a trained network. Importing it needs torch, the extra `train`."""

from __future__ import annotations

from gmaps.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError:
    raise MissingExtraError("torch", "train", "gmaps.inference") from None

from gmaps.inference.detector import Detector
from gmaps.inference.filters import OneEuro
from gmaps.inference.predictor import Predictor
from gmaps.inference.shipped import find_hand, load_pretrained
from gmaps.inference.tracker import TrackedHand, Tracker

__all__ = ["Detector", "OneEuro", "Predictor", "TrackedHand", "Tracker", "find_hand", "load_pretrained"]
