"""Between values and bytes: one sample to its compressed chunk, a shard's index, checksums.

The bytes are those of Zarr's own codecs (`bytes`, `blosc`, `sharding_indexed`, `crc32c`), made without
zarr-python, which spends 0.4 ms to write and 1 ms to read one sample of one array.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Iterable
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from gmaps.errors import CorruptStoreError
from gmaps.frame import OnHand
from gmaps.kernels.packed.encode import pack, pack_floats, quantise
from gmaps.kernels.packed.half import float_to_half, half_to_float
from gmaps.store.schema import ArraySpec

#: Offset and size of an inner chunk that was never written: its sample holds fill values.
MISSING = 2**64 - 1
_BLOSC_HEADER = struct.Struct("<4B3I")  # versions, flags, type size; bytes raw, of a block, compressed

# A sample is far too small to be worth a second thread, and a build already has a worker for every core.
blosc.use_threads = False


def check_item(a: ArraySpec, value: Any) -> None:
    """Refuse a sample of another shape than its array's."""
    if np.shape(value) != a.item:
        raise ValueError(f"{a.name}: a sample has shape {a.item}, got {np.shape(value)}")


def encode_item(a: ArraySpec, value: NDArray[Any]) -> NDArray[Any]:
    """A sample as it is stored.

    Parameters
    ----------
    a
        Its array.
    value : a.item
        Floats, for the arrays that hold floats. What lies outside a quantised range is clipped to it.

    Returns
    -------
    a.item
        Contiguous, in the array's dtype.
    """
    check_item(a, value)
    return _encode_values(a, value)


def _encode_values(a: ArraySpec, value: NDArray[Any]) -> NDArray[Any]:
    if a.quantised is not None:
        lo, hi = a.quantised
        scaled = (value.astype(np.float32) - np.float32(lo)) * np.float32(255 / (hi - lo))
        result: NDArray[Any] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        return result
    if a.dtype == "float16" and value.dtype == np.float32:
        out = np.empty(value.shape, np.uint16)
        flat = np.ascontiguousarray(value).reshape(-1)
        if a.packed:
            flat = quantise(flat)
        float_to_half(flat.view(np.uint32), out.reshape(-1))
        return out.view(np.float16)
    return np.asarray(value, a.dtype, order="C")


def decode_item(raw: NDArray[Any], out: NDArray[np.float32], quantised: tuple[float, float] | None) -> None:
    """The inverse of `encode_item`, into float32.

    Parameters
    ----------
    raw : (n,) float16, float32 or uint8
        A sample's stored values.
    out : (n,) float32
        Is filled.
    quantised
        Scale and offset of uint8 values (xarray's `scale_factor` and `add_offset`), else None.
    """
    if quantised is not None:
        scale, offset = quantised
        np.multiply(raw, np.float32(scale), out=out, dtype=np.float32)
        out += np.float32(offset)
    elif raw.dtype == np.float16:
        half_to_float(raw.view(np.uint16), out.view(np.uint32))
    else:
        out[:] = raw


def encode_chunk(a: ArraySpec, value: NDArray[Any] | OnHand) -> bytes:
    """A sample of a sharded array as its chunk; see `encode_item`."""
    check_item(a, value)
    if isinstance(value, OnHand) and not a.packed:
        value = value.dense()
    values, cells = (value.values, value.cells) if isinstance(value, OnHand) else (value, None)
    if a.packed and a.dtype == "float16" and values.dtype == np.float32:
        chunk = pack_floats(values, float(a.fill), cells, a.item)
        if chunk is not None:
            return chunk
    stored = _encode_values(a, values)
    return pack(stored, a.fill, cells, a.item) if a.packed else compress(stored)


def compress(raw: NDArray[Any]) -> bytes:
    """One contiguous sample as a Blosc chunk (lz4, level 5, byte shuffle over the item size)."""
    result: bytes = blosc.compress(raw, b"lz4", 5, blosc.SHUFFLE, 0)
    return result


def decompress(chunk: memoryview, out: NDArray[Any]) -> None:
    """Blosc chunk to values, in place.

    Raises
    ------
    CorruptStoreError
        When the chunk cannot hold `out.nbytes` bytes; the caller adds where it lies.
    """
    # The header is looked at first: Blosc trusts it, and would leave the rest of `out` as it was.
    if len(chunk) < _BLOSC_HEADER.size:
        raise CorruptStoreError(f"a chunk of {len(chunk)} bytes has no header")
    *_, raw_bytes, _block, chunk_bytes = _BLOSC_HEADER.unpack_from(chunk)
    if raw_bytes != out.nbytes or chunk_bytes != len(chunk):
        raise CorruptStoreError(
            f"a chunk says that it holds {raw_bytes} bytes in {chunk_bytes}, not {out.nbytes} in {len(chunk)}"
        )
    try:
        blosc.decompress(chunk, out)
    except RuntimeError as error:
        raise CorruptStoreError(str(error)) from error


@functools.cache
def decompress_address() -> int:
    """Where in memory c-blosc's `blosc_decompress_ctx` is, for kernels; 0 where numcodecs does not show it."""
    try:
        found = ctypes.CDLL(blosc.__file__).blosc_decompress_ctx
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(found, ctypes.c_void_p).value or 0


def pack_index(offsets: NDArray[np.uint64], sizes: NDArray[np.uint64]) -> bytes:
    """A shard's index: (offset, size) of every inner chunk, then the CRC-32C of that."""
    table = np.stack([offsets, sizes], axis=1).astype("<u8").tobytes()
    return table + struct.pack("<I", google_crc32c.value(table))


def index_bytes(samples: int) -> int:
    """Length of the index at a shard's end."""
    return 16 * samples + 4


def parse_index(tail: bytes, samples: int, data_bytes: int) -> NDArray[np.uint64]:
    """The inverse of `pack_index`, checked.

    Parameters
    ----------
    tail
        The last `index_bytes(samples)` bytes of the shard.
    samples
        Inner chunks in the shard.
    data_bytes
        Bytes of the shard before the index.

    Returns
    -------
    (samples, 2) uint64
        Offset and size; both `MISSING` where nothing was written.

    Raises
    ------
    CorruptStoreError
        On a wrong checksum, or chunks that lie outside the file.
    """
    table, crc = tail[:-4], struct.unpack("<I", tail[-4:])[0]
    if len(tail) != index_bytes(samples) or google_crc32c.value(table) != crc:
        raise CorruptStoreError("the index at its end is damaged, or the file is cut off")
    index = np.frombuffer(table, "<u8").reshape(samples, 2).astype(np.uint64)
    offset, size = index[index[:, 0] != MISSING].T
    # Written so that no sum can overflow.
    if (offset > data_bytes).any() or (size > data_bytes - np.minimum(offset, data_bytes)).any():
        raise CorruptStoreError("its index points outside the file")
    return index


def crc32c(blocks: Iterable[bytes], start: int = 0) -> int:
    """CRC-32C of a stream."""
    for block in blocks:
        start = google_crc32c.extend(start, block)
    return start
