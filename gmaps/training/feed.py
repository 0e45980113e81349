"""From a store to a network: what it reads, and what is learnt and judged, in an order that can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from gmaps.augment.changes import Augment
from gmaps.errors import StoreError, UsageError
from gmaps.frame import Crop, Cube, Projection
from gmaps.nets.inputs import ALWAYS, DERIVED, further_arrays, map_kinds
from gmaps.nets.network import Network
from gmaps.shared_memory import check_shared_memory, full
from gmaps.store import Store
from gmaps.training.collate import Item, collate
from gmaps.training.dataset import GuidanceDataset
from gmaps.training.joined import JoinedStore
from gmaps.training.sampler import BlockShuffle, UniformShuffle
from gmaps.training.worker_files import PREFETCH, require_files

Transform = Callable[[Item], Item]


class _AddDerived:
    """Transform that adds what a network reads that is computed from the crop, such as "views" (3, S, S) float32."""

    def __init__(self, names: list[str], projection: Projection, size: int | None, after: Transform | None) -> None:
        self.names, self.projection, self.size, self.after = names, projection, size, after

    def __call__(self, item: Item) -> Item:
        item = item if self.after is None else self.after(item)
        cube = Cube.from_array(item["cube"].numpy())
        crop = Crop(item["depth"][0].numpy(), cube, item["joints_mm"].numpy(), self.projection)
        for name in self.names:
            made = DERIVED[name](crop, self.size or crop.size)
            item[name] = torch.from_numpy(np.moveaxis(made, -1, 0).copy())
        return item


def make_dataset(
    store: Store,
    network: Network,
    *,
    learn: bool = True,
    on_the_fly: bool = False,
    augment: Augment | None = None,
    transform: Transform | None = None,
    elsewhere: Collection[str] = (),
) -> GuidanceDataset:
    """The data set that a network trains on: what it reads and, unless it is only judged, learns; no other map.

    Kinds that are made `elsewhere` are left out.

    Raises
    ------
    StoreError
        The store lacks a map and may not make it; the message says how to add it.
    """
    names = (*network.inputs, *((*network.training_inputs, *network.targets) if learn else ()))
    arrays = further_arrays(names)
    absent = [name for name in arrays if name not in store.further]
    if absent:
        known = (*ALWAYS, *DERIVED, *store.further)
        raise StoreError(
            f"the network wants {', '.join(absent)}, and {store.path} has only {', '.join(known)} and maps/KIND: "
            "use a store of a data set that has them"
        )
    if isinstance(store, JoinedStore):
        _refuse_gaps(store, network)
    kinds = [kind for kind in map_kinds(names) if kind not in elsewhere]
    on_the_fly = on_the_fly or augment is not None
    missing = [name for name in kinds if name not in store.maps]
    if missing and not on_the_fly:
        raise StoreError(
            f"{store.path} does not hold {', '.join(missing)}, only {', '.join(store.maps)}: "
            f"`gmaps store add {store.path} {' '.join(missing)}` adds what is missing, "
            "and --on-the-fly computes it while training"
        )
    derived = [name for name in names if name in DERIVED]
    if derived:
        transform = _AddDerived(derived, store.attributes["crop"]["projection"], network.size, transform)
    return GuidanceDataset(
        store, kinds, on_the_fly=on_the_fly and bool(kinds), augment=augment, transform=transform, arrays=arrays
    )


def _refuse_gaps(store: JoinedStore, network: Network) -> None:
    """What a network learns may be unknown of some frames; what it reads may not."""
    for name in further_arrays((*network.inputs, *network.training_inputs)):
        if name in store.lacking:
            raise StoreError(
                f"the network reads {name}, which {', '.join(store.lacking[name])} does not hold: "
                "train on stores that all do"
            )


def needs_depth_alone(store: Store, network: Network) -> bool:
    """Whether a change of depth, cube and joints changes all that a network is given, but for maps that it learns.

    Not so where it reads maps or what is derived of crops, or where crops hold a scene or colour.
    """
    read = (*network.inputs, *network.training_inputs)
    names = (*read, *network.targets)
    derived = any(name in DERIVED for name in names)
    return not (map_kinds(read) or derived or store.masked or store.colored or store.flat)


#: Orders of training, by name.
SHUFFLES: dict[str, type[UniformShuffle]] = {"uniform": UniformShuffle, "blocks": BlockShuffle}


class Batches:
    """A batch sampler over an order of rows, which may start in mid-epoch.

    Parameters
    ----------
    order
        What each epoch's order is, and this process's share of it.
    size
        Samples a batch, of one process; the last, smaller batch of an epoch is left out.
    """

    def __init__(self, order: UniformShuffle, size: int) -> None:
        self.order, self.size = order, size
        self.epoch, self.start = 0, 0
        if len(self) == 0:
            raise UsageError(
                f"{order.rows} frames to train on do not fill one batch of {size * order.replicas}: "
                "use a smaller --batch"
            )

    def __len__(self) -> int:
        return self.order.rows // self.order.replicas // self.size

    def __iter__(self) -> Iterator[list[int]]:
        own = self.order.order(self.epoch)
        for step in range(self.start, len(self)):
            yield own[step * self.size : (step + 1) * self.size].tolist()


class Loader(DataLoader[Item]):
    """A `DataLoader` that says in a sentence that shared memory, where its processes leave batches, is full."""

    def __iter__(self) -> Iterator[Item]:  # type: ignore[override]
        check_shared_memory(self.num_workers)
        try:
            yield from super().__iter__()
        except RuntimeError as error:
            # A worker that could not allocate it, or that was killed on touching what was not there.
            if self.num_workers and "shared memory" in str(error):
                raise full(f"processes that read (--workers {self.num_workers}) cannot hand over a batch") from error
            raise


def make_loader(
    data: GuidanceDataset, batches: Batches | list[list[int]], workers: int, pin: bool = False
) -> DataLoader[Item]:
    """Batches of a data set, read ahead by worker processes.

    Raises
    ------
    GmapsError
        Where these would hold more files open than a process may: PyTorch would wait for ever for a batch.
    """
    if workers:
        require_files(data, workers)
    return Loader(
        data, batch_sampler=batches, collate_fn=collate, num_workers=workers, pin_memory=pin,
        persistent_workers=workers > 0,
        prefetch_factor=PREFETCH if workers else None, multiprocessing_context="forkserver" if workers else None,
        # Its own generator: else each start draws from the one that dropout uses, and resuming is one start more.
        generator=torch.Generator(),
    )  # fmt: skip


def in_order(positions: NDArray[np.int64], size: int) -> list[list[int]]:
    """Batches of all positions as they are, the last one smaller."""
    return [positions[i : i + size].tolist() for i in range(0, len(positions), size)]


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """All tensors of a collated batch on a device."""
    if device.type == "cpu":
        return batch
    return {
        k: {n: m.to(device, non_blocking=True) for n, m in v.items()} if isinstance(v, dict)
        else v.to(device, non_blocking=True) if isinstance(v, Tensor) else v
        for k, v in batch.items()
    }  # fmt: skip
