"""The metadata of an array, validated once on opening: what passes here needs no further look.

A `zarr.json` may have been written by another program, changed by a disk, or made to do harm. Every number that
decides how much memory is taken, or where in a file something lies, is checked against what the format allows here,
and against the files' sizes when they are opened.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import CorruptStoreError, StoreError
from gmaps.store.schema import PACKED

GROUP = "zarr.json"
#: A sample is one chunk, and Blosc counts the bytes of one in 31 bits.
_MOST_BYTES = 2**31 - 1
_MOST_ROWS = 2**40
_DTYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
_FLOATS = ("float16", "float32", "float64")
_NUMBER = (int, float)
#: Dimensions of the arrays that every store has, the first included, and the kinds of their types.
_KNOWN = {"depth": (3, "f"), "joints": (3, "f"), "cube": (2, "f"), "valid": (1, "b")} | dict.fromkeys(
    ("frame", "subject", "sequence"), (1, "iu")
)


@dataclass(frozen=True)
class ArrayMeta:
    """What a `zarr.json` says of an array, checked.

    Parameters
    ----------
    name
        Path in the group.
    shape
        The first axis are the samples.
    dtype
        Of the stored values.
    codec
        "sharded" (with Blosc), "packed", "plain", or "foreign" for all that only zarr-python reads.
    per_shard
        Rows in a file; 0 where it is foreign.
    key
        Name of file k, to be formatted with k.
    fill
        The stored value of what was never written.
    quantised
        Scale and offset, or None.
    attributes
        JSON values.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: str
    per_shard: int
    key: str
    fill: NDArray[Any]
    quantised: tuple[float, float] | None
    attributes: dict[str, Any]


def wrong(path: object, what: str) -> CorruptStoreError:
    """What to raise for a metadata file."""
    return CorruptStoreError(f"{path}: {what}; `gmaps verify` tells what else is damaged")


def parse_array(where: object, name: str, meta: Any) -> ArrayMeta | None:
    """An array's `zarr.json`; None for a group's.

    Raises
    ------
    CorruptStoreError
        It does not describe an array, or none that a store can have; the message names the file.
    """
    path = f"{where}/{name}/{GROUP}"
    if not isinstance(meta, dict) or meta.get("zarr_format") != 3:
        raise wrong(path, "it is no metadata of Zarr format 3")
    if meta.get("node_type") == "group":
        return None
    shape, kind = meta.get("shape"), meta.get("data_type")
    if meta.get("node_type") != "array" or not _sizes(shape) or not shape:
        raise wrong(path, f"it describes no array of samples (shape {str(shape)[:60]})")
    if not isinstance(kind, str) or kind not in (*_DTYPES, *_FLOATS):
        raise wrong(path, f"a store holds no values of type {str(kind)[:60]}")
    dtype = np.dtype(kind)
    item = tuple(shape[1:])
    if shape[0] > _MOST_ROWS or 0 in item or math.prod(item) * dtype.itemsize > _MOST_BYTES or len(item) > 8:
        raise wrong(path, f"no array of a store has shape {str(shape)[:100]}")
    if name in _KNOWN and (len(shape) != _KNOWN[name][0] or dtype.kind not in _KNOWN[name][1]):
        raise wrong(path, f"{name} cannot have shape {shape} of {kind}")
    attributes = meta.get("attributes", {})
    if not isinstance(attributes, dict):
        raise wrong(path, "its attributes are none")
    quantised = _quantised(attributes, path)
    codec, per_shard, key = _codec(meta, item)
    # What the kernels decode themselves. Any other mixture is read as it is stored, and decoded by NumPy.
    if (codec == "packed" and kind not in ("uint8", "float16")) or (
        codec in ("packed", "sharded") and quantised is not None and kind != "uint8"
    ):
        codec = "foreign"
    return ArrayMeta(
        name, tuple(shape), dtype, codec, per_shard, key, _fill(meta.get("fill_value"), dtype, path), quantised,
        attributes,
    )  # fmt: skip


def check_rows(where: object, arrays: Mapping[str, ArrayMeta]) -> None:
    """Refuse a group without depth, and arrays of different numbers of samples.

    Raises
    ------
    StoreError
        It is no store.
    CorruptStoreError
        Its arrays do not fit together.
    """
    if "depth" not in arrays:
        raise StoreError(f"{where}: a group without a depth array is no gmaps store")
    rows = arrays["depth"].shape[0]
    for name, a in arrays.items():
        if a.shape[0] != rows:
            raise wrong(f"{where}/{name}/{GROUP}", f"it has {a.shape[0]:,} samples, where depth has {rows:,}")
    shape = arrays["depth"].shape
    if shape[1] != shape[2]:
        raise wrong(f"{where}/depth/{GROUP}", f"a crop is a square, not {shape[1]} x {shape[2]}")
    for name, last in (("joints", 3), ("cube", 4)):
        if name in arrays and arrays[name].shape[-1] != last:
            raise wrong(f"{where}/{name}/{GROUP}", f"{name} cannot have shape {arrays[name].shape}")


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def _quantised(attributes: Mapping[str, Any], path: str) -> tuple[float, float] | None:
    scale = attributes.get("scale_factor")
    if scale is None:
        return None
    found = []
    for key, value in (("scale_factor", scale), ("add_offset", attributes.get("add_offset", 0.0))):
        if type(value) not in _NUMBER or not abs(value) < 1e30:
            raise wrong(path, f"its {key} cannot be {str(value)[:60]!r}")
        found.append(float(value))
    return found[0], found[1]


def _fill(value: Any, dtype: np.dtype[Any], path: str) -> NDArray[Any]:
    """The fill value, which Zarr writes as a number, a word, or its bytes in hex."""
    error = wrong(path, f"its fill_value cannot be {str(value)[:60]!r}")
    if isinstance(value, str) and dtype.kind == "f":
        named = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
        if value in named:
            return np.array(named[value], dtype)
        try:
            raw = np.frombuffer(bytes.fromhex(value.removeprefix("0x")), dtype.newbyteorder(">"))
            return np.array(raw[0], dtype)
        except (ValueError, IndexError):
            raise error from None
    if type(value) is bool if dtype.kind == "b" else type(value) in _NUMBER:
        try:
            with np.errstate(over="ignore"):
                return np.array(value, dtype)
        except (ValueError, OverflowError):
            pass
    raise error


def _codec(meta: Mapping[str, Any], item: tuple[int, ...]) -> tuple[str, int, str]:
    """How the metadata says that it is kept, rows in a file, and how files are named."""
    chunk, separator = _configuration(meta.get("chunk_grid"), "regular", "chunk_shape"), "/"
    encoding = meta.get("chunk_key_encoding")
    foreign = "foreign", 0, ""
    if not _sizes(chunk) or not chunk or tuple(chunk[1:]) != item or not 1 <= chunk[0] <= _MOST_ROWS:
        return foreign
    if not isinstance(encoding, dict) or encoding.get("name") != "default":
        return foreign
    separator = _configuration(encoding, "default", "separator", "/")
    if separator not in ("/", "."):
        return foreign
    codecs = meta.get("codecs")
    key = "c" + separator + "{}" + (separator + "0") * len(item)
    names = _names(codecs)
    if names == ["bytes"] and isinstance(codecs, list):
        return ("plain", chunk[0], key) if _little(codecs[0]) else foreign
    if names != ["sharding_indexed"] or not isinstance(codecs, list) or not isinstance(codecs[0], dict):
        return foreign
    c = codecs[0].get("configuration")
    if not isinstance(c, dict):
        return foreign
    inner, index = c.get("codecs"), c.get("index_codecs")
    ours = (
        isinstance(inner, list)
        and isinstance(index, list)
        and c.get("chunk_shape") == [1, *item]
        and _names(inner) in (["bytes", "blosc"], [PACKED])
        and _names(index) == ["bytes", "crc32c"]
        and _little(inner[0])
        and _little(index[0])
        and c.get("index_location", "end") == "end"
    )
    if not ours:
        return foreign
    return ("packed" if _names(inner) == [PACKED] else "sharded"), chunk[0], key


def _configuration(part: Any, name: str, key: str, default: Any = None) -> Any:
    if not isinstance(part, dict) or part.get("name") != name:
        return None
    configuration = part.get("configuration", {})
    return configuration.get(key, default) if isinstance(configuration, dict) else None


def _names(codecs: Any) -> list[Any]:
    return [c.get("name") if isinstance(c, dict) else c for c in codecs] if isinstance(codecs, Iterable) else []


def _little(codec: Any) -> bool:
    configuration = codec.get("configuration", {}) if isinstance(codec, dict) else {}
    return isinstance(configuration, dict) and configuration.get("endian", "little") == "little"
