"""Where a network runs, in what precision, and beside which other processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, distributed, nn

from gmaps.errors import UsageError, unknown_name

_PRECISIONS = ("auto", "float32", "bf16", "fp16")


class Device:
    """A device and a precision, and this process's place among those that `torchrun` started.

    Parameters
    ----------
    device
        Torch's.
    precision
        "float32", "bf16" or "fp16".
    rank, world
        This process's number and how many there are.
    """

    def __init__(self, device: torch.device, precision: str, rank: int = 0, world: int = 1) -> None:
        self.torch, self.precision, self.rank, self.world = device, precision, rank, world

    @property
    def cuda(self) -> bool:
        """Whether it is a GPU."""
        return self.torch.type == "cuda"

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    @property
    def scaled(self) -> bool:
        """Whether gradients are scaled, lest they vanish."""
        return self.precision == "fp16"

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Context of a forward pass."""
        kind = torch.float16 if self.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.torch.type, kind, enabled=self.precision != "float32")

    def place(self, net: Any) -> Any:
        """A network on this device, with channels last in memory."""
        net = net.to(self.torch)
        flat = not any(isinstance(m, nn.Conv3d) for m in net.modules())
        return net.to(memory_format=torch.channels_last if flat else torch.channels_last_3d)

    def lay_out(self, x: Tensor) -> Tensor:
        """An input with channels last in memory, where it has rows and columns."""
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        return x.contiguous(memory_format=formats[x.ndim]) if x.ndim in formats else x

    def any(self, value: bool) -> bool:
        """Whether it is true in any process."""
        return self._sum([float(value)])[0] > 0

    def mean(self, total: float, count: int) -> float:
        """Over all processes, of a sum and a count of each."""
        total, number = self._sum([total, float(count)])
        return total / max(number, 1.0)

    def _sum(self, values: list[float]) -> list[float]:
        if self.world == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.torch)
        distributed.all_reduce(tensor)
        found: list[float] = tensor.tolist()
        return found

    def random_state(self) -> dict[str, Tensor]:
        """Of the generators that dropout uses."""
        state = {"cpu": torch.get_rng_state()}
        return state | {"cuda": torch.cuda.get_rng_state(self.torch)} if self.cuda else state

    def set_random_state(self, state: dict[str, Tensor]) -> None:
        """What `random_state` gave."""
        torch.set_rng_state(state["cpu"])
        if self.cuda and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.torch)


def best_precision(device: torch.device) -> str:
    """bf16 where the device has units for it, else float32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return "bf16" if probe is not None and probe() else "float32"


def find_device(name: str = "auto", precision: str = "auto") -> Device:
    """A device by name; in the environment of `torchrun` it knows this process's place.

    Raises
    ------
    UsageError
        There is no such device.
    UnknownNameError
        No such precision.
    """
    if precision not in _PRECISIONS:
        raise unknown_name("precision", precision, _PRECISIONS)
    rank, world = _place()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and world > 1:
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"there is no device {name!r} here: {str(error).splitlines()[0]}") from None
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return Device(device, best_precision(device) if precision == "auto" else precision, rank, world)


def _place() -> tuple[int, int]:
    """Number of this process among those of `torchrun`, and how many these are."""
    said = {name: os.environ.get(name, default) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"))}
    try:
        rank, world = (int(value) for value in said.values())
        if not 0 <= rank < world:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"RANK={said['RANK']!a}, WORLD_SIZE={said['WORLD_SIZE']!a} in the environment are no place of a process: "
            "start with torchrun, which sets both, or unset them"
        ) from None
    return rank, world


@contextlib.contextmanager
def open_device(name: str = "auto", precision: str = "auto") -> Iterator[Device]:
    """`find_device`, in the group of processes that `torchrun` describes in the environment, if it started this."""
    opened = find_device(name, precision)
    if opened.world > 1:
        try:
            distributed.init_process_group("nccl" if opened.cuda else "gloo")
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"WORLD_SIZE={opened.world} in the environment says that torchrun started this, and the group of its "
                f"processes cannot be joined ({str(error).splitlines()[0][:200]}): start with torchrun, or unset it"
            ) from error
    try:
        yield opened
    finally:
        if opened.world > 1:
            distributed.destroy_process_group()
