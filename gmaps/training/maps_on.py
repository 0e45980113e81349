"""Where a run's maps come from: the store, the processes that read, or the device, in the step itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import torch

from gmaps.errors import GmapsError, UsageError, unknown_name
from gmaps.maps import MapParams
from gmaps.maps.encoder_torch import TorchEncoder, cannot_make
from gmaps.maps.torch_gpu import check_gpu
from gmaps.nets.inputs import map_kinds
from gmaps.nets.network import Network
from gmaps.store import Store

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
    """

    def __init__(self, store: Store, kinds: Sequence[str]) -> None:
        self.kinds = tuple(kinds)
        self._encoder = TorchEncoder(_params(store, kinds), store.skeleton) if kinds else None
        self._projection = store.attributes["crop"]["projection"]

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with its maps, as a `GuidanceDataset` would give them: kind -> (B, C, H, H)."""
        if self._encoder is None:
            return batch
        made = self._encoder.batch(batch["depth"][:, 0], batch["cube"], batch["joints_mm"], self._projection)
        return batch | {"maps": batch["maps"] | {kind: m.values.movedim(-1, 1) for kind, m in made.items()}}
