"""Data sets of one's own that no distribution announces: registered in this process, or named `module:factory`."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from gmaps.datasets.base import Check, DataSet, DatasetInfo
from gmaps.errors import DatasetError, UsageError

#: What a data set's module has.
NAMES = ("INFO", "load", "check")
#: What a data set has, at least.
_METHODS = ("info", "skeleton", "camera", "index", "read", "spec", "fingerprint")


class Factory:
    """A function that makes a data set, in the place of a data set's module.

    Parameters
    ----------
    name
        How it is asked for.
    make
        Called with `root`, `split` and options, those that it takes or that were given.
    """

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self.name, self.make = name, make
        said = (inspect.getdoc(make) or name).splitlines()[0]
        self.INFO = DatasetInfo(name, said, "", "", "", "", "", needs_root=False)

    def load(self, root: str | os.PathLike[str] | None = None, *, split: str = "all", **options: Any) -> DataSet:
        """Calls the function.

        Raises
        ------
        UsageError
            It does not take what was given.
        DatasetError
            What it returns is no data set.
        """
        signature = inspect.signature(self.make)
        takes = signature.parameters
        given = {"root": None if root is None else os.fspath(root), "split": split}
        default = {"root": None, "split": "all"}
        passed = {k: v for k, v in given.items() if k in takes or v != default[k]} | options
        try:
            signature.bind(**passed)
        except TypeError as error:
            raise UsageError(f"data set {self.name}: {error}; it takes {', '.join(takes) or 'nothing'}") from None
        made: DataSet = self.make(**passed)
        lacks = [what for what in _METHODS if not hasattr(made, what)]
        if lacks:
            raise DatasetError(
                f"data set {self.name}: what it makes, {type(made).__name__}, lacks {', '.join(lacks)}; see "
                "gmaps.datasets.DataSet"
            )
        return made

    def check(self, root: str | os.PathLike[str] | None = None) -> list[Check]:
        """How many frames there are; no more is promised."""
        return [Check("frames", len(self.load(root)))]


def as_module(name: str, what: Any) -> Any:
    """What a data set's name stands for: something with `INFO`, `load` and `check`.

    Parameters
    ----------
    name
        For messages.
    what
        A module or another object that has these, a function that makes a data set, or the address of either:
        "package.module" or "package.module:factory".

    Raises
    ------
    DatasetError
        It cannot be imported, or is none of these.
    """
    if isinstance(what, str):
        what = _imported(what)
    if all(hasattr(what, attribute) for attribute in NAMES):
        return what
    if callable(what):
        return Factory(name, what)
    kind = f"module {what.__name__}" if isinstance(what, ModuleType) else repr(what)
    lacks = [attribute for attribute in NAMES if not hasattr(what, attribute)]
    raise DatasetError(
        f"data set {name!r}: {kind} lacks {', '.join(lacks)}, and is no function that makes a data set"
    )


def _imported(address: str) -> Any:
    module, colon, attribute = address.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # a program that pip installed does not look there by itself
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # whatever a stranger's import raises
        raise DatasetError(f"data set {address!r}: {module} cannot be imported: {error!r}") from error
    if colon:
        if not hasattr(found, attribute):
            raise DatasetError(f"data set {address!r}: {module} has no {attribute}")
        found = getattr(found, attribute)
    return found
