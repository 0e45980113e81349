"""What goes to the page: JSON values, and arrays behind them, in one message.

4 bytes   length of the head, little endian
head      JSON in UTF-8, with spaces behind it until the data begin at a multiple of 8;
          its "arrays" are name, dtype, shape and offset (from the first byte of the data) of each array
data      the arrays, little endian, in C order, each at a multiple of 8
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # the first page comes before NumPy
    from numpy.typing import NDArray

TYPES = ("uint8", "uint16", "int32", "float32", "float64")


class Packet(NamedTuple):
    """An answer with arrays.

    Parameters
    ----------
    values
        JSON values; numbers that are not finite become null.
    arrays
        Of one of `TYPES`.
    """

    values: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def plain(value: Any) -> Any:
    """A value as JSON has it: no NaN and no infinity, which are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def to_json(values: Mapping[str, Any]) -> bytes:
    """JSON that every browser reads."""
    return json.dumps(plain(values), allow_nan=False, ensure_ascii=True).encode()


def pack(packet: Packet) -> bytes:
    """The message."""
    listed, parts, offset = [], [], 0
    for name, array in packet.arrays.items():
        if array.dtype.name not in TYPES:
            raise TypeError(f"{name} is {array.dtype}, which the page does not read")
        content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        content += bytes(-len(content) % 8)
        listed.append([name, array.dtype.name, list(array.shape), offset])
        parts.append(content)
        offset += len(content)
    head = to_json({**packet.values, "arrays": listed})
    head += b" " * (-(4 + len(head)) % 8)
    return b"".join([len(head).to_bytes(4, "little"), head, *parts])


def unpack(message: bytes) -> Packet:
    """The inverse of `pack`."""
    import numpy as np

    begin = 4 + int.from_bytes(message[:4], "little")
    values = json.loads(message[4:begin])
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype, shape, offset in values.pop("arrays"):
        count = math.prod(shape)
        arrays[name] = np.frombuffer(message, np.dtype(dtype), count, begin + offset).reshape(shape)
    return Packet(values, arrays)
