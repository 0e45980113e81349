"""Where a run's maps come from: the store, the processes that read, or the device, in the step itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import torch

from gmaps.augment.changes import Augment
from gmaps.errors import GmapsError, UsageError, unknown_name
from gmaps.maps import MapParams
from gmaps.maps.encoder_torch import TorchEncoder, cannot_make
from gmaps.maps.torch_gpu import check_gpu
from gmaps.maps.torch_planar import pool
from gmaps.nets.inputs import map_kinds
from gmaps.nets.network import Network
from gmaps.store import Store
from gmaps.training.augment_torch import TorchAugment

MapsOn = Literal["auto", "stored", "cpu", "gpu"]
#: Devices on which maps are made in the step; tests add "cpu", where the same operations run, slowly.
DEVICES = ["cuda"]


def check_name(name: str) -> None:
    """Refuse what is no place to make maps.

    Raises
    ------
    UnknownNameError
        It is none.
    """
    if name not in get_args(MapsOn):
        raise unknown_name("place to make maps", name, get_args(MapsOn))


def choose(wanted: str, store: Store, network: Network, device: torch.device, on_the_fly: bool) -> MapsOn:
    """Where maps are made: what is wanted, or by the device.

    Parameters
    ----------
    wanted
        "auto": on a GPU whose kernels can be launched, there; else "cpu" where maps must be computed, and "stored".
    store, network
        Which decide what can be made.
    device
        On which training runs.
    on_the_fly
        Whether maps must be computed: crops are changed, or the store need not hold them.

    Raises
    ------
    UsageError
        The GPU is wanted, and there is none, or it cannot make these maps.
    GmapsError
        It is wanted, and its kernels cannot be launched.
    """
    kinds = learnt_alone(network)
    if wanted in ("stored", "cpu"):
        if wanted == "stored" and on_the_fly:
            raise UsageError("--maps-on stored reads maps of crops as they are: leave out --augment and --on-the-fly")
        return "cpu" if wanted == "cpu" else "stored"
    lacking = cannot_make(_params(store, kinds)) if kinds else ""
    if wanted == "gpu":
        if device.type not in DEVICES:
            raise UsageError(
                f"--maps-on gpu makes maps on the GPU on which it trains, and training is on {device}: "
                "say --device cuda where there is one, or --maps-on cpu or stored"
            )
        if lacking:
            raise UsageError(f"--maps-on gpu: {lacking}; --maps-on cpu or stored can")
        if device.type == "cuda":
            check_gpu()
        return "gpu"
    if device.type in DEVICES and kinds and not lacking and _launches(device):
        return "gpu"
    return "cpu" if on_the_fly else "stored"


def learnt_alone(network: Network) -> tuple[str, ...]:
    """Kinds of map that a network learns from, and does not read: those that can wait for the step."""
    read = map_kinds(network.inputs)
    return tuple(kind for kind in map_kinds(network.targets) if kind not in read)


def _params(store: Store, kinds: Sequence[str]) -> MapParams:
    return replace(MapParams.from_dict(store.attributes["maps"]), maps=tuple(kinds))


def _launches(device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    try:
        check_gpu()
    except GmapsError:
        return False
    return True


class MapsInStep:
    """Adds maps to batches that carry depth, cube and joints, on the device where these are.

    Parameters
    ----------
    store
        Which says how its maps are made.
    kinds
        Which to make.
    augment
        How crops are changed before.
    """

    def __init__(self, store: Store, kinds: Sequence[str], augment: Augment | None = None) -> None:
        self.kinds = tuple(kinds)
        #: Decides, with the seed and the row, how a crop is changed.
        self.epoch = 0
        self._encoder = TorchEncoder(_params(store, kinds), store.skeleton) if kinds else None
        self._projection = store.attributes["crop"]["projection"]
        self._size = int(store.attributes["maps"]["size"])
        self._augment = None if augment is None else TorchAugment(augment, self._projection, store.skeleton)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with its maps, as a `GuidanceDataset` would give them: kind -> (B, C, H, H)."""
        if self._augment is not None:
            batch = batch | self._changed(self._augment, batch)
        if self._encoder is None:
            return batch
        made = self._encoder.batch(batch["depth"][:, 0], batch["cube"], batch["joints_mm"], self._projection)
        return batch | {"maps": batch["maps"] | {kind: m.values.movedim(-1, 1) for kind, m in made.items()}}

    def _changed(self, augment: TorchAugment, batch: dict[str, Any]) -> dict[str, Any]:
        """What of a batch is another after a change."""
        depth, cube, joints, undo = augment(
            batch["depth"][:, 0], batch["cube"], batch["joints_mm"], self.epoch, batch["index"].tolist()
        )
        silhouette, _ = pool(depth, self._size, depth.new_zeros(len(depth)))
        known = cube.isfinite().all(dim=1)[:, None, None, None]
        return {
            "depth": depth[:, None], "cube": cube, "joints_mm": joints, "undo": undo,
            "joints": (joints - cube[:, None, :3]) / cube[:, None, 3:],
            "silhouette": silhouette[:, None] & known,
        }  # fmt: skip
