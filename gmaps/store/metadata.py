"""The Zarr metadata of a store's arrays, as zarr-python writes it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gmaps.store.array_metadata import GROUP
from gmaps.store.schema import DISTRIBUTION, PACKED, PACKED_ARRAYS, ArraySpec


def metadata_files(
    layout: Sequence[ArraySpec],
    rows: int,
    shard_samples: int,
    attributes: Mapping[str, Any],
    others: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """The store's `zarr.json` files, as zarr-python writes them.

    Parameters
    ----------
    layout
        All arrays.
    rows
        N.
    shard_samples
        Rows in a shard.
    attributes
        JSON values of the group.
    others
        The `zarr.json` files of arrays that are there already.

    Returns
    -------
    dict
        Path relative to the group -> content.
    """
    import zarr  # here, because workers need no zarr
    from zarr.codecs import BloscCodec
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    from gmaps.store.zarr_codec import PackedCodec

    buffer = default_buffer_prototype().buffer
    files: dict[str, Any] = {path: buffer.from_bytes(content) for path, content in (others or {}).items()}
    # Through JSON, so that tuples and NumPy numbers cannot make two writers disagree.
    memory = MemoryStore(files)
    group = zarr.create_group(memory, attributes=json.loads(json.dumps(dict(attributes))))
    for a in layout:
        shape = (rows, *a.item)
        shard = (shard_samples, *a.item)
        dtype = np.dtype(a.dtype)
        group.create_array(
            a.name,
            shape=shape,
            dtype=dtype,
            chunks=(1, *a.item) if a.sharded else shard,
            shards=shard if a.sharded else None,
            filters=None,
            serializer=PackedCodec() if a.packed else "auto",
            compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=dtype.itemsize)
            if a.sharded and not a.packed
            else None,
            fill_value=a.fill,
            # One directory an array, one file a shard.
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=("sample", *a.dims),
            attributes=dict(a.attributes),
        )
    with warnings.catch_warnings():
        # Not yet in the specification, but xarray opens with it at once, and without asking what rejects.json is.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(memory)
    made = {path: content.to_bytes() for path, content in files.items()}
    return made | {GROUP: _without_packed(made[GROUP])}


def _without_packed(group: bytes) -> bytes:
    """The group's `zarr.json` with the packed arrays in its attributes instead of its consolidated metadata.

    zarr-python parses all codecs of what is consolidated when it opens a group: a program without ours could not open
    even the depth. So it is not told of what it cannot read, but where to get what reads it.
    """
    values = json.loads(group)
    listed = values["consolidated_metadata"]["metadata"]
    packed = {name: listed.pop(name) for name in sorted(listed) if _codec_is_ours(listed[name])}
    if packed:
        values["attributes"][PACKED_ARRAYS] = {"codec": PACKED, "install": DISTRIBUTION, "arrays": packed}
    return json.dumps(values, indent=2).encode()


def _codec_is_ours(meta: Mapping[str, Any]) -> bool:
    return any(
        inner.get("name") == PACKED
        for codec in meta.get("codecs", ())
        for inner in (codec, *codec.get("configuration", {}).get("codecs", ()))
    )
