"""The hot-pluggable part: guidance for any feature map of any network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gmaps.errors import UsageError, unknown_name
from gmaps.maps import get_map
from gmaps.nets.blocks import CONV, Hourglass, Residual, conv
from gmaps.nets.layer_output import channels_of, features, put_back
from gmaps.skeleton import Skeleton, get_skeleton

Branch = Callable[[int, int], nn.Module]

BRANCHES: dict[str, Branch] = {
    "residual": Residual,
    "hourglass": lambda channels, dims: nn.Sequential(Hourglass(channels, 2, dims), Residual(channels, dims)),
}


class Guided(NamedTuple):
    """What a `GuidanceSupervision` gives.

    Parameters
    ----------
    features : (B, C, H, ...)
        To go on with.
    maps
        One dict a stage: kind -> (B, channels, H, ...), what the stage thinks the guidance map is.
    """

    features: Tensor
    maps: list[dict[str, Tensor]]


def map_channels(maps: Sequence[str] | Mapping[str, int], skeleton: Skeleton | str = "msra21") -> dict[str, int]:
    """Kind -> channels; a mapping is passed through.

    Raises
    ------
    UnknownNameError
        No such kind.
    UsageError
        No map at all.
    """
    if isinstance(maps, Mapping):
        found = dict(maps)
    else:
        known = get_skeleton(skeleton) if isinstance(skeleton, str) else skeleton
        found = {name: get_map(name).channels(known) for name in ((maps,) if isinstance(maps, str) else maps)}
    if not found:
        raise UsageError("guidance needs at least one kind of map")
    return found


class GuidanceSupervision(nn.Module):
    """The dense guidance-map module of HandMap.

    Each of R stages has a branch b0 = branch(x), predicts maps m = 1x1(b0) that a loss compares with the true ones,
    embeds them again, b1 = 1x1(m), and goes on with x + b0 + b1.

    Parameters
    ----------
    channels
        C of the features.
    maps
        Kinds of map, or a mapping from any names to numbers of channels.
    skeleton
        Whose joints the channels are; a skeleton or its name.
    repeats
        R.
    dims
        2, or 3 for features in voxels.
    branch
        "residual", "hourglass", or a function (channels, dims) -> module that keeps the shape.

    Examples
    --------
    >>> supervision = GuidanceSupervision(64, ("geodesic_weighted",))
    >>> features, maps = supervision(torch.zeros(2, 64, 32, 32))
    >>> features.shape, maps[0]["geodesic_weighted"].shape
    (torch.Size([2, 64, 32, 32]), torch.Size([2, 21, 32, 32]))
    """

    def __init__(
        self,
        channels: int,
        maps: Sequence[str] | Mapping[str, int],
        *,
        skeleton: Skeleton | str = "msra21",
        repeats: int = 2,
        dims: int = 2,
        branch: str | Branch = "residual",
    ) -> None:
        super().__init__()
        if repeats < 1 or dims not in (2, 3):
            raise UsageError(f"supervision repeats 1 or more times in 2 or 3 dimensions, got {repeats} in {dims}")
        if isinstance(branch, str) and branch not in BRANCHES:
            raise unknown_name("branch", branch, BRANCHES)
        make = BRANCHES[branch] if isinstance(branch, str) else branch
        self.channels = map_channels(maps, skeleton)
        total = sum(self.channels.values())
        self.branches = nn.ModuleList(make(channels, dims) for _ in range(repeats))
        self.heads = nn.ModuleList(CONV[dims](channels, total, 1) for _ in range(repeats))
        self.embeddings = nn.ModuleList(conv(dims, total, channels) for _ in range(repeats))

    def forward(self, x: Tensor) -> Guided:
        """(B, C, H, ...) -> features of the same shape, and the predicted maps of each stage."""
        stages = []
        for branch, head, embedding in zip(self.branches, self.heads, self.embeddings, strict=True):
            b0 = branch(x)
            m = head(b0)
            x = x + b0 + embedding(m)
            stages.append(dict(zip(self.channels, m.split(list(self.channels.values()), dim=1), strict=True)))
        return Guided(x, stages)


class Guidance:
    """Guidance that `guide` attached to a network.

    Parameters
    ----------
    supervision
        The module; it belongs to the network, whose `parameters()` include it.
    layer
        Where it is attached.
    """

    def __init__(self, supervision: GuidanceSupervision, layer: str) -> None:
        self.supervision, self.layer = supervision, layer
        self._maps: list[dict[str, Tensor]] | None = None

    @property
    def maps(self) -> list[dict[str, Tensor]]:
        """The maps predicted in the network's last forward pass, one dict a stage; for the map loss.

        Raises
        ------
        UsageError
            There was none yet.
        """
        if self._maps is None:
            raise UsageError(f"no maps of {self.layer!r} yet: run the network forward first")
        return self._maps

    # A copy of a network (deepcopy, AveragedModel, a file) takes no maps along, which hang on the graph of a pass.
    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": None}

    def _hook(self, module: nn.Module, inputs: object, output: Any) -> Any:
        if getattr(module, "_is_replica", False):
            raise UsageError(
                "a guided network cannot run in DataParallel, whose copies would all write the same maps: use "
                "DistributedDataParallel, a process for each device"
            )
        x, wanted = features(output), self.supervision.heads[0].in_channels
        if x.ndim < 2 or x.shape[1] != wanted:
            raise UsageError(
                f"layer {self.layer!r} gives {tuple(x.shape)}, its guidance was made for {wanted} channels: "
                f"say channels={x.shape[1] if x.ndim > 1 else '...'} to guide()"
            )
        guided, self._maps = self.supervision(x)
        return put_back(output, guided)


def guide(
    model: nn.Module,
    layer: str,
    maps: Sequence[str] | Mapping[str, int],
    *,
    channels: int | None = None,
    skeleton: Skeleton | str = "msra21",
    repeats: int = 2,
    branch: str | Branch = "residual",
) -> Guidance:
    """Put guidance behind a named layer of a network, without a change to its code.

    Parameters
    ----------
    model
        Any network; it gets a submodule `guidance_<layer>`, and its `layer` from now on gives guided features. A
        network that is one `Sequential` gets it inside of that layer. Of a tuple or list that the layer gives, the
        first tensor is guided.
    layer
        As `model.named_modules()` calls it: "layer3", "encoder.2".
    maps, skeleton, repeats, branch
        See `GuidanceSupervision`.
    channels
        C of the layer's output; by default it is found by running the layer on zeros, else from its last convolution.

    Returns
    -------
    Guidance
        Its `.maps` are what the last forward pass predicted.

    Raises
    ------
    UnknownNameError
        No such layer.
    UsageError
        It is guided already, or its channels cannot be told.
    """
    modules = dict(model.named_modules())
    if layer not in modules or not layer:
        raise unknown_name(f"layer of {type(model).__name__}", layer, [n for n in modules if n])
    name = "guidance_" + layer.replace(".", "_")
    if any(n.split(".")[-1] == name for n in modules):
        raise UsageError(f"layer {layer!r} is guided already")
    target = modules[layer]
    dims, found = channels_of(target)
    if channels is None and found is None:
        raise UsageError(f"layer {layer!r} holds no convolution that tells its channels: give channels=")
    supervision = GuidanceSupervision(
        channels or found or 0, maps, skeleton=skeleton, repeats=repeats, dims=dims, branch=branch
    )
    parameter = next(target.parameters(), next(model.parameters(), torch.empty(0)))
    # A sequence would run whatever it is given: there, the layer's own last part takes it.
    hosts = (model, *reversed(list(target.modules())))
    host = next((m for m in hosts if not isinstance(m, nn.Sequential)), model)
    # In evaluation where the layer is: else its norms would go on learning.
    host.add_module(name, supervision.to(parameter.device, parameter.dtype).train(target.training))
    guidance = Guidance(supervision, layer)
    target.register_forward_hook(guidance._hook)
    return guidance
