"""From a store to a network: what it reads, and what is learnt and judged, in an order that can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from gmaps.augment.changes import Augment
from gmaps.errors import StoreError, UsageError, unknown_name
from gmaps.frame import Crop, Cube, Projection
from gmaps.maps.multiview import views
from gmaps.nets.handmap import ModelParams
from gmaps.store import Store
from gmaps.training.collate import Item, collate
from gmaps.training.dataset import GuidanceDataset
from gmaps.training.sampler import BlockShuffle, UniformShuffle

Transform = Callable[[Item], Item]


class _AddViews:
    """Transform that adds "views", (3, S, S) float32: the crop's points seen along z, y and x."""

    def __init__(self, projection: Projection, size: int, after: Transform | None) -> None:
        self.projection, self.size, self.after = projection, size, after

    def __call__(self, item: Item) -> Item:
        item = item if self.after is None else self.after(item)
        cube = Cube.from_array(item["cube"].numpy())
        crop = Crop(item["depth"][0].numpy(), cube, item["joints_mm"].numpy(), self.projection)
        item["views"] = torch.from_numpy(np.moveaxis(views(crop, self.size), -1, 0).copy())
        return item


def make_dataset(
    store: Store,
    params: ModelParams,
    *,
    guided: bool = True,
    on_the_fly: bool = False,
    augment: Augment | None = None,
    transform: Transform | None = None,
) -> GuidanceDataset:
    """The data set that a model trains on: depth, and the maps that it learns or reads, and no others.

    Raises
    ------
    StoreError
        The store lacks a map and may not make it; the message says how to add it.
    """
    kinds = list(params.maps) if guided else []
    if params.dims == 3 and params.reads not in kinds:
        kinds.append(params.reads)
    on_the_fly = on_the_fly or augment is not None
    missing = [name for name in kinds if name not in store.maps]
    if missing and not on_the_fly:
        raise StoreError(
            f"{store.path} does not hold {', '.join(missing)}, only {', '.join(store.maps)}: "
            f"`gmaps store add {store.path} {' '.join(missing)}` adds what is missing, "
            "and --on-the-fly computes it while training"
        )
    if params.reads == "views":
        transform = _AddViews(store.attributes["crop"]["projection"], params.size, transform)
    return GuidanceDataset(store, kinds, on_the_fly=on_the_fly and bool(kinds), augment=augment, transform=transform)


def network_input(batch: dict[str, Any], params: ModelParams) -> Tensor:
    """What a network of these parameters reads, out of a collated batch."""
    if params.reads in ("depth", "views"):
        found: Tensor = batch[params.reads]
    else:
        found = batch["maps"][params.reads]
    return found


def split(data: GuidanceDataset, validation: str, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions to train on and to validate on.

    Parameters
    ----------
    data
        The data set.
    validation
        "0.1": this share of the frames; "subjects:0.1": all frames of this share of the people, at least one;
        "S9,S19": those people; "0": nothing.
    seed
        Decides which.

    Raises
    ------
    UsageError
        It is none of these, or leaves nothing to train on; or there are frames without labels.
    """
    unknown = ~np.isfinite(data.store.column("joints")[data.rows]).all(axis=(1, 2))
    if unknown.any():
        raise UsageError(
            f"{unknown.sum()} of {len(data)} frames of {data.store.path} have no labels, the first in row "
            f"{data.rows[int(np.argmax(unknown))]}: train on a store of a split that has them"
        )
    store, rng = data.store, np.random.default_rng([seed, 0x5E1])
    names = list(store.attributes["dataset"].get("subjects", []))
    subject = np.asarray(store.column("subject"))[data.rows]
    share = _share(validation.removeprefix("subjects:"))
    if validation.startswith("subjects:") and share is not None:
        people = rng.permutation(np.unique(subject))
        chosen = np.isin(subject, people[: max(1, round(share * len(people)))])
    elif share is not None:
        chosen = np.zeros(len(data), bool)
        chosen[rng.permutation(len(data))[: int(np.ceil(share * len(data)))]] = True
    else:
        wanted = [name.strip() for name in validation.split(",")]
        for name in wanted:
            if name not in names:
                raise unknown_name(f"subject in {store.path}", name, names)
        chosen = np.isin(subject, [names.index(name) for name in wanted])
    if chosen.all():
        raise UsageError(f"validation on {validation!r} leaves none of the {len(data)} frames to train on")
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _share(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not 0 <= value < 1:
        raise UsageError(f"validation is on a share from 0 to below 1 of the frames, got {text}")
    return value


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


def make_loader(
    data: GuidanceDataset, batches: Batches | list[list[int]], workers: int, pin: bool = False
) -> DataLoader[Item]:
    """Batches of a data set, read ahead by worker processes."""
    return DataLoader(
        data, batch_sampler=batches, collate_fn=collate, num_workers=workers, pin_memory=pin,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None, multiprocessing_context="forkserver" if workers else None,
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
