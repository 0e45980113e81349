"""Format 1: which arrays a store has, and the Zarr metadata that describes them.

Every array holds one row a sample. Two ways to lie on disk:

- *sharded* (`depth`, `maps/<kind>`): one file for `shard_samples` rows; in it one chunk a sample, compressed by Blosc
  or packed by our codec.
- *plain* (the small ones): one file for `shard_samples` rows, uncompressed, so that it can be memory-mapped.

File k of every array holds the same rows, and is written by the same task. A rejected row keeps its frame,
subject and sequence, and holds fill values else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.store.names import check_kind

FORMAT = 1
#: Rows in a shard: the unit of work, of writing and of resuming.
SHARD_SAMPLES = 1024
#: The arrays that every store has.
ROW_ARRAYS = ("depth", "joints", "cube", "frame", "subject", "sequence", "valid")
#: How a map's values may be kept.
MAP_DTYPES = ("float16", "float32", "uint8")
#: How maps lie in their shards: "packed" where that pays, or "plain" Zarr throughout, which needs no codec of ours.
LAYOUTS = ("packed", "plain")
#: Name of our codec (docs/packed-codec.md).
PACKED = "gmaps.packed"
#: What is to be installed for it, and the group's attribute that holds the metadata of the arrays that need it.
DISTRIBUTION, PACKED_ARRAYS = "guidance-maps", "packed"
#: Rows of arrays that a data set declares are kept as they are up to this size.
_PLAIN_BYTES = 1024
#: Channels from which packing pays.
_PACKED_CHANNELS = 8


@dataclass(frozen=True)
class MapArray:
    """What the format must know of one map kind.

    Parameters
    ----------
    kind
        Its name: the array becomes `maps/<kind>`.
    shape
        Of its values: (H, H, C), (V, V, V, C) in voxels, or (C,).
    scaled
        Whether it is normalised per joint, so that `maps/<kind>_scale` says what a value of 1 stands for.
    value_range
        The smallest and largest value; infinite where there is no bound.
    keep_as
        The only dtype that does not spoil it; empty where any will do.
    smooth
        Whether neighbouring cells foretell each other, as those of distances do, or most are 0, so that packing pays.
    """

    kind: str
    shape: tuple[int, ...]
    scaled: bool
    value_range: tuple[float, float]
    keep_as: str = ""
    smooth: bool = False


@dataclass(frozen=True)
class ArraySpec:
    """One array: what a sample of it is, and how samples lie on disk.

    Parameters
    ----------
    name
        Path in the group: "depth", "maps/geodesic".
    item
        Shape of one sample.
    dtype
        NumPy's name of the stored type.
    dims
        Names of `item`'s dimensions.
    fill
        The stored value of rows that were never written.
    sharded
        Compressed one by one within a shard; else plain.
    quantised
        The values that 0 and 255 stand for, where floats are kept as uint8.
    packed
        Compressed by our codec instead of Blosc.
    attributes
        JSON values for readers.
    """

    name: str
    item: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...]
    fill: float | int | bool
    sharded: bool = False
    quantised: tuple[float, float] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    packed: bool = False

    @property
    def item_bytes(self) -> int:
        """Bytes of one sample before compression."""
        return math.prod(self.item) * np.dtype(self.dtype).itemsize

    def path(self, shard: int) -> str:
        """The file of a shard, relative to the group."""
        return f"{self.name}/c." + ".".join([str(shard)] + ["0"] * len(self.item))


def make_layout(
    joints: int,
    crop_size: int,
    maps: Sequence[MapArray],
    dtype: str = "float16",
    layout: str = "packed",
    further: Sequence[ArraySpec] = (),
) -> tuple[ArraySpec, ...]:
    """The arrays of a store.

    Parameters
    ----------
    joints
        J.
    crop_size
        S of the (S, S) crop.
    maps
        The map kinds to keep.
    dtype
        How map values are kept: "float16", "float32", or "uint8" (linear over the kind's range).
    layout
        "packed": smooth maps of many channels within [-1, 1] are kept by our codec, in float16 as multiples of 2^-11.
        "plain": nothing is.
    further
        What `further_array` gives of each array that the data set declares.

    Raises
    ------
    UsageError
        On another dtype or layout, or uint8 for a kind whose values have no bound.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"a layout is {' or '.join(LAYOUTS)}, not {layout!r}")
    if dtype not in MAP_DTYPES:
        raise UsageError(f"maps can be kept as {', '.join(MAP_DTYPES)}, not as {dtype!r}")
    nan = math.nan
    arrays = [
        ArraySpec(
            "depth",
            (crop_size, crop_size),
            "float16",
            ("row", "col"),
            1.0,
            sharded=True,
            attributes={
                "long_name": "depth in the cube: -1 near face, 1 far face and background",
                "units": "1",
            },
        ),
        ArraySpec("joints", (joints, 3), "float32", ("joint", "axis"), nan, attributes={"units": "mm"}),
        ArraySpec(
            "cube",
            (4,),
            "float32",
            ("cube_value",),
            nan,
            attributes={"long_name": "centre x, y, z and half the side", "units": "mm"},
        ),
        ArraySpec("frame", (), "int64", (), -1, attributes={"long_name": "number of the frame in the data set"}),
        ArraySpec("subject", (), "int64", (), -1),
        ArraySpec("sequence", (), "int64", (), -1),
        ArraySpec("valid", (), "bool", (), False, attributes={"long_name": "False where the frame was rejected"}),
    ]
    for m in maps:
        check_kind(m.kind)
        arrays.append(_map_array(m, m.keep_as or dtype, layout))
        if m.scaled:
            arrays.append(
                ArraySpec(
                    f"maps/{m.kind}_scale",
                    (m.shape[-1],),
                    "float32",
                    (f"{m.kind}_channel",),
                    nan,
                    attributes={"long_name": "what a value of 1 stands for", "units": "mm"},
                )
            )
    return (*arrays, *further)


def further_array(name: str, shape: Sequence[int], dtype: str, unit: str = "", about: str = "") -> ArraySpec:
    """An array that a data set declares: plain where a row of it is small, else compressed by Blosc.

    Parameters
    ----------
    name, shape, dtype, unit, about
        As of `gmaps.datasets.FrameArray`.
    """
    attributes = {key: value for key, value in (("long_name", about), ("units", unit)) if value}
    item = tuple(shape)
    dims = tuple(f"{name}_{k}" for k in range(len(item)))
    fill = math.nan if dtype.startswith("float") else dtype != "bool" and 0
    size = math.prod(item) * np.dtype(dtype).itemsize
    return ArraySpec(name, item, dtype, dims, fill, size > _PLAIN_BYTES, attributes=attributes)


def _map_array(m: MapArray, dtype: str, layout: str) -> ArraySpec:
    lo, hi = m.value_range
    fill: float | int = 0.0
    quantised = None
    # JSON knows no infinity: an open end is null.
    attributes: dict[str, Any] = {"value_range": [v if math.isfinite(v) else None for v in (lo, hi)]}
    if dtype == "uint8":
        if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
            raise UsageError(
                f"{m.kind} has no bounded range ({lo} to {hi}), so it cannot be kept as uint8; "
                "use float16 or float32, or normalise it"
            )
        quantised = (float(lo), float(hi))
        # The two attributes are the CF conventions' own, so that xarray decodes without help.
        attributes |= {"scale_factor": (hi - lo) / 255, "add_offset": float(lo)}
        fill = int(np.clip(np.rint((0 - lo) / (hi - lo) * 255), 0, 255))
    *grid, _ = m.shape
    # Kinds of one grid share its dimensions; voxels come in two sizes, so that their names tell them apart.
    names = (
        ("map_row", "map_col")
        if len(grid) == 2
        else (f"point{grid[0]}",)
        if len(grid) == 1
        else tuple(f"{axis}{n}" for axis, n in zip("xyz", grid, strict=False))
    )
    dims = (*names, f"{m.kind}_channel")
    pays = m.smooth and len(m.shape) == 3 and m.shape[-1] >= _PACKED_CHANNELS and -1 <= lo <= hi <= 1
    packed = layout == "packed" and dtype != "float32" and pays
    return ArraySpec(f"maps/{m.kind}", m.shape, dtype, dims, fill, True, quantised, attributes, packed)


def fill_item(a: ArraySpec) -> NDArray[Any]:
    """One sample that was never written, in the stored type."""
    return np.full(a.item, a.fill, a.dtype)
