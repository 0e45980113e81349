"""Batches that are read whole, and reach the training process without being copied on the way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import default_collate, get_worker_info

from gmaps.rows import one_row, row_numbers

Item = dict[str, Any]
_ALIGNED = 64


class Batch(Sequence[Item]):
    """Items that were read in one call: a sequence of them, and `stacked`, what collation would make of it."""

    def __init__(self, stacked: Item) -> None:
        self.stacked = stacked

    def __len__(self) -> int:
        return len(self.stacked["index"])

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Item: ...
    @overload
    def __getitem__(self, index: slice | list[int] | NDArray[Any]) -> Sequence[Item]: ...
    def __getitem__(self, index: Any) -> Item | Sequence[Item]:
        if isinstance(index, slice | list) or np.ndim(index):
            return [self[int(k)] for k in row_numbers(index, len(self), "the batch")]
        index = one_row(index, len(self), "the batch")
        return {
            name: {kind: m[index] for kind, m in value.items()} if name == "maps" else value[index]
            for name, value in self.stacked.items()
            if name != "index"
        } | {"index": int(self.stacked["index"][index])}

    def __iter__(self) -> Iterator[Item]:
        return (self[k] for k in range(len(self)))


def collate(items: Sequence[Item]) -> Item:
    """Items to a batch, for `DataLoader(..., collate_fn=collate)`.

    Parameters
    ----------
    items
        What a `GuidanceDataset` gave for a batch. Where that was read in one call it is handed on as it is; items
        that a transform made are stacked by PyTorch's own collation.

    Returns
    -------
    dict
        As an item, every value with one more axis in front: "depth" (B, 1, S, S), "maps" kind -> (B, C, H, H),
        "index" (B,) int64. Maps lie in memory as in the store, channels last.
    """
    if isinstance(items, Batch):
        return items.stacked
    batch: Item = default_collate(list(items))
    return batch


def allocate(wanted: Mapping[str, tuple[tuple[int, ...], torch.dtype]]) -> dict[str, torch.Tensor]:
    """Tensors to fill; in a loader's worker in one piece of shared memory, which the training process maps.

    Parameters
    ----------
    wanted
        Name -> shape, dtype.
    """
    if get_worker_info() is None:
        return {name: torch.empty(shape, dtype=dtype) for name, (shape, dtype) in wanted.items()}
    place, places = 0, {}
    for name, (shape, dtype) in wanted.items():
        places[name] = place
        place += -(-math.prod(shape) * dtype.itemsize // _ALIGNED) * _ALIGNED
    shared = torch.UntypedStorage._new_shared(place)
    made = {}
    for name, (shape, dtype) in wanted.items():
        strides = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
        empty = torch.empty(0, dtype=dtype)
        made[name] = empty.set_(shared, places[name] // dtype.itemsize, shape, strides)
    return made
