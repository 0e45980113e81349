"""What decides the values of a store, and what differs between two of these."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values as they come back from a file: lists for tuples."""
    result: dict[str, Any] = json.loads(json.dumps(values))
    return result


def array_digest(*arrays: NDArray[Any]) -> str:
    """SHA-256 of arrays, in hex: types, shapes and values."""
    sha = hashlib.sha256()
    for a in arrays:
        little = np.ascontiguousarray(a, a.dtype.newbyteorder("<"))
        sha.update(f"{little.dtype.str}{little.shape}".encode())
        sha.update(little.tobytes())
    return sha.hexdigest()


def digest(decides: dict[str, Any]) -> str:
    """SHA-256 of JSON values, in hex, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(decides, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """What differs between two fingerprints: "crop.half_side: 120.0 -> 150.0"."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({**old, **new})
        return [d for k in keys for d in differences(old.get(k), new.get(k), f"{key}.{k}" if key else k)]
    return [] if old == new else [f"{key}: {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else text[:12] + "..."
