"""The packed codec for zarr-python, found through the entry point `zarr.codecs`. xarray reads packed maps by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.codec import ArrayBytesCodec
from zarr.registry import register_codec

from gmaps.errors import CorruptStoreError, UsageError
from gmaps.kernels.packed.encode import pack
from gmaps.kernels.packed.unpack import unpack
from gmaps.store.schema import PACKED

if TYPE_CHECKING:
    from typing import Self

    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

_DTYPES = ("uint8", "float16")


@dataclass(frozen=True)
class PackedCodec(ArrayBytesCodec):
    """uint8 or float16 chunks to bytes and back, without loss; see docs/packed-codec.md. It has no configuration.

    Raises
    ------
    CorruptStoreError
        Bytes that are no packed chunk of the array's shape and type.
    """

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """From an array's metadata."""
        if data.get("configuration"):
            raise UsageError(f"the codec {PACKED} has no configuration, got {data['configuration']}; update gmaps")
        return cls()

    def to_dict(self) -> dict[str, Any]:
        """For an array's metadata."""
        return {"name": PACKED}

    def validate(self, *, dtype: Any, **_: Any) -> None:
        """Refuses other types than uint8 and float16 when an array is made."""
        if dtype.to_native_dtype() not in _DTYPES:
            raise UsageError(f"the codec {PACKED} packs {' and '.join(_DTYPES)}, not {dtype.to_native_dtype()}")

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        dtype = chunk_spec.dtype.to_native_dtype().newbyteorder("=")
        content = np.ascontiguousarray(chunk_bytes.as_numpy_array()).view(np.uint8)
        values, problem = unpack(content, chunk_spec.shape, dtype)
        if problem:
            raise CorruptStoreError(f"a packed chunk is damaged: {problem}")
        return chunk_spec.prototype.nd_buffer.from_numpy_array(values)

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        values = chunk_array.as_numpy_array()
        native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
        return chunk_spec.prototype.buffer.from_bytes(pack(native, float(chunk_spec.fill_value)))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Not known before a chunk is packed."""
        raise NotImplementedError


# An environment that was installed before this codec was has no entry point for it yet.
register_codec(PACKED, PackedCodec)
