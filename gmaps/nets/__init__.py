"""Networks in PyTorch. Importing it needs torch, the extra `train`."""

from __future__ import annotations

from gmaps.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ImportError:
    raise MissingExtraError("torch", "train", "gmaps.nets") from None
