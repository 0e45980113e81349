"""Networks by name: those of gmaps, those of other distributions, and a user's own."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol

from gmaps.errors import GmapsError, UsageError, unknown_name
from gmaps.nets.network import Network
from gmaps.skeleton import Skeleton

ENTRY_POINTS = "gmaps.nets"
#: (skeleton, **parameters) -> network.
Factory = Callable[..., Network]
_REGISTRY: dict[str, Factory] = {}


class Recipe(Protocol):
    """What makes one network, the same each time but for the random numbers of its weights."""

    def build(self, skeleton: Skeleton) -> Network:
        """The network for a skeleton."""


@dataclass(frozen=True)
class NamedNetwork:
    """A `Recipe`: a name and parameters for `build_network`."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)

    def build(self, skeleton: Skeleton) -> Network:
        """The network for a skeleton."""
        return build_network(self.name, skeleton, **self.params)


def register_network(name: str, factory: Factory) -> None:
    """Make a network known by its name.

    Raises
    ------
    UsageError
        Another one has this name, or the name holds a colon, which is for MODULE:NAME.
    """
    if ":" in name or _REGISTRY.get(name, factory) is not factory:
        raise UsageError(f"a network cannot be called {name!r}: the name is taken, or holds a colon")
    _REGISTRY[name] = factory


def list_networks() -> tuple[str, ...]:
    """Names of all networks, those of other distributions behind those of gmaps."""
    _load_plugins()
    return tuple(_REGISTRY)


def build_network(name: str, skeleton: Skeleton, **params: Any) -> Network:
    """A network with random weights.

    Parameters
    ----------
    name
        One of `list_networks()`, or MODULE:NAME for a factory or class of one's own, which is imported: called with
        the skeleton and the parameters it gives a `gmaps.nets.Network`.
    skeleton
        Whose joints it finds.
    **params
        As the network has them.

    Raises
    ------
    UnknownNameError
        No such network; with the nearest name.
    UsageError
        It has no such parameter, or a parameter's value makes no sense; or what is called MODULE:NAME is not there,
        or gives no network.
    """
    factory = _own(name) if ":" in name else _registered(name)
    try:
        known = inspect.signature(factory).parameters
        names = [p.name for p in list(known.values())[1:] if p.kind is not p.VAR_KEYWORD]
        loose = any(p.kind is p.VAR_KEYWORD for p in known.values())
    except ValueError:  # a callable that tells nothing of itself
        names, loose = [], True
    for key in params:
        if key not in names and not loose:
            raise UsageError(f"network {name} has no parameter {key!r}, only {', '.join(names) or 'none at all'}")
    net = factory(skeleton, **params)
    if not isinstance(net, Network):
        raise UsageError(f"{name} gives a {type(net).__name__}, which is no gmaps.nets.Network")
    if net.origin is None:
        net.origin = name, params
    return net


def _registered(name: str) -> Factory:
    if name not in _REGISTRY:
        _load_plugins()
    if name not in _REGISTRY:
        raise unknown_name("model", name, _REGISTRY)
    return _REGISTRY[name]


def _own(name: str) -> Factory:
    """What MODULE:NAME means; the module may lie in the working directory, where a person's own script does."""
    module, _, attribute = name.partition(":")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        loaded = importlib.import_module(module)
    except (ModuleNotFoundError, ValueError) as error:
        if not isinstance(error, ModuleNotFoundError) or (error.name or "").split(".")[0] == module.split(".")[0]:
            raise UsageError(f"there is no module {module!r} for --model {name}, here or on Python's path") from None
        raise UsageError(f"--model {name}: {module} needs {error.name}, which is not installed") from error
    found = getattr(loaded, attribute, None)
    if not callable(found):
        raise UsageError(f"{module} has nothing called {attribute!r} that makes a network")
    factory: Factory = found
    return factory


@functools.cache
def _load_plugins() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        try:
            loaded = point.load()
        except Exception as error:  # whatever another distribution's import raises
            raise GmapsError(
                f"network {point.name!r}, added by {point.value}, cannot be loaded: {error!r}; "
                "update or remove the distribution that adds it"
            ) from error
        register_network(point.name, loaded)
