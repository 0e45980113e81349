"""Data sets by name: one reader a file, all on the protocol of `gmaps.datasets.base`.

A reader is a module with `INFO` (a `DatasetInfo`), `load(root, *, split, **options)` and `check(root)`, and, where
the field evaluates it, `PROTOCOL` (a `Protocol`). Other distributions add theirs through the entry-point group
"gmaps.datasets", name -> module. Modules are imported when they are asked for. Whoever installs nothing calls
`register`, or names a data set `module:factory`.
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gmaps.datasets.base import Check, DataSet, DatasetInfo, FrameArray, Index, Split, require_root
from gmaps.datasets.own import NAMES, Factory, as_module
from gmaps.datasets.protocol import Protocol
from gmaps.errors import DatasetError, UsageError, unknown_name

__all__ = [
    "Check", "DataSet", "DatasetInfo", "FrameArray", "Index", "Protocol", "Split",
    "check_dataset", "dataset_info", "dataset_protocol", "list_datasets", "load_dataset", "register",
]  # fmt: skip

ENTRY_POINTS = "gmaps.datasets"
_BUILT_IN = {
    name: f"gmaps.datasets.{name}"
    for name in (
        "bighand",
        "dexycb",
        "folder",
        "hands17",
        "ho3d",
        "hocap",
        "icvl",
        "msra",
        "nsrm",
        "nyu",
        "onehand10k",
        "panoptic",
        "synhand5m",
        "synthetic",
    )
}


def _plugins() -> dict[str, EntryPoint]:
    return {e.name: e for e in entry_points(group=ENTRY_POINTS) if e.name not in _BUILT_IN}


#: Of this process alone, by name.
_REGISTERED: dict[str, Any] = {}


def register(name: str, what: Any) -> None:
    """Make a data set of your own known by a name, in this process.

    Parameters
    ----------
    name
        How it shall be asked for.
    what
        A module with `INFO`, `load` and `check`, or an object that has these; a function that makes a data set,
        called with what it takes of `root`, `split` and options; or the address of either, "package.module:factory".

    Raises
    ------
    UsageError
        A name that another data set has.
    DatasetError
        What it is given is none of these.
    """
    if name in _BUILT_IN or name in _plugins() or not name or ":" in name:
        raise UsageError(f"a data set of your own cannot be called {name!r}: take another name, without a colon")
    _REGISTERED[name] = as_module(name, what)


def loads_anywhere(name: str) -> bool:
    """Whether another process finds a data set by this name, too: one that was not registered in this one alone."""
    return ":" in name or name in _BUILT_IN or name in _plugins()


def _module(name: str) -> Any:
    if name in _BUILT_IN:
        return importlib.import_module(_BUILT_IN[name])
    if name in _REGISTERED:
        return _REGISTERED[name]
    if ":" in name:
        return as_module(name, name)
    plugins = _plugins()
    if name not in plugins:
        raise unknown_name("data set", name, [*_BUILT_IN, *_REGISTERED, *plugins])
    try:
        module = plugins[name].load()
    except Exception as error:  # whatever another distribution's import raises
        raise DatasetError(
            f"data set {name!r}, added by {plugins[name].value}, does not import: {error!r}; "
            "update or remove the distribution that adds it"
        ) from error
    lacks = [what for what in NAMES if not hasattr(module, what)]
    if lacks:
        raise DatasetError(f"data set {name!r}, added by {plugins[name].value}, lacks {', '.join(lacks)}")
    return module


def list_datasets() -> tuple[str, ...]:
    """Names of all data sets, those of other distributions included, in alphabetical order."""
    return tuple(sorted([*_BUILT_IN, *_REGISTERED, *_plugins()]))


def dataset_info(name: str) -> DatasetInfo:
    """Where a data set comes from, the tree it must have, its defaults and options.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    info: DatasetInfo = _module(name).INFO
    return info


def dataset_protocol(name: str) -> Protocol | None:
    """A data set's evaluation; None where it fixes none.

    Raises
    ------
    UnknownNameError
        No such data set; with the nearest name.
    DatasetError
        A data set of another distribution whose PROTOCOL is no `Protocol`.
    """
    module = _module(name)
    found = getattr(module, "PROTOCOL", None)
    if not (found is None or isinstance(found, Protocol)):
        raise DatasetError(f"data set {name!r}: its PROTOCOL is no gmaps.datasets.Protocol, but {found!r}")
    return found


def load_dataset(
    name: str, root: str | os.PathLike[str] | None = None, *, split: Split = "all", **options: Any
) -> DataSet:
    """A reader of one data set.

    Parameters
    ----------
    name
        One of `list_datasets()`, or `module:factory`; see `register`.
    root
        The directory that holds it; by default `$GMAPS_DATA/<name>`. Not for data sets that make their own frames.
    split
        "train", "test" or "all".
    **options
        What `dataset_info(name).options` names.

    Raises
    ------
    UnknownNameError
        No such data set, split or option; with the nearest name.
    DatasetError
        No root, or a root that is no directory.
    """
    module = _module(name)
    if isinstance(module, Factory):
        return module.load(root, split=split, **options)
    info: DatasetInfo = module.INFO
    if split not in info.splits:
        raise unknown_name(f"split of {name}", split, info.splits)
    for key in options:
        if key not in info.options:
            if not info.options:
                raise UsageError(f"{name} has no options, got {key}={options[key]!r}")
            raise unknown_name(f"option of {name}", key, info.options)
    made: DataSet = module.load(_root(info, root), split=split, **options)
    return made


def check_dataset(name: str, root: str | os.PathLike[str] | None = None) -> list[Check]:
    """Compare a tree on disk with what the data set promises, from names, sizes and headers.

    Parameters
    ----------
    name, root
        As in `load_dataset`.

    Returns
    -------
    list of Check
        One a folder or file, those in order included.
    """
    module = _module(name)
    found: list[Check] = module.check(root if isinstance(module, Factory) else _root(module.INFO, root))
    return found


def _root(info: DatasetInfo, root: str | os.PathLike[str] | None) -> os.PathLike[str] | None:
    if info.needs_root:
        return require_root(root, info.name)
    if root is not None:
        raise UsageError(f"{info.name} makes its own frames and reads nothing from {root}: leave the root away")
    return None
