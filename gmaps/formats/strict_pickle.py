"""Pickles that hold numbers, words and NumPy arrays, and nothing else.

A pickle is a program. This interpreter knows no more of its orders than plain values and NumPy's arrays need, calls
nothing that a file names, and makes arrays itself, from bytes whose number it has checked. Python 2's are read.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError

_TYPE = re.compile(r"[fiu][1248]|b1|[SU][1-9][0-9]{0,2}")
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
#: Orders that plain values and arrays are written with, by their names in `pickle`; INST, NEWOBJ and such are not.
_ORDERS = (
    "MARK", "STOP", "POP", "POP_MARK", "DUP", "FLOAT", "INT", "BININT", "BININT1", "LONG", "BININT2", "NONE",
    "REDUCE", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "APPEND", "BUILD", "GLOBAL",
    "DICT", "EMPTY_DICT", "APPENDS", "GET", "BINGET", "LONG_BINGET", "LIST", "EMPTY_LIST", "PUT", "BINPUT",
    "LONG_BINPUT", "SETITEM", "TUPLE", "EMPTY_TUPLE", "SETITEMS", "BINFLOAT", "PROTO", "TUPLE1", "TUPLE2",
    "TUPLE3", "NEWTRUE", "NEWFALSE", "LONG1", "LONG4", "BINBYTES", "SHORT_BINBYTES", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES8", "STACK_GLOBAL", "MEMOIZE", "FRAME",
)  # fmt: skip
#: Items of a list that is read as one of numbers.
_LONGEST_LIST = 100


class _Named:
    """What a file names and may name: it stands for itself, and only here it is known what it means."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Type:
    """A dtype on its way: its code, then its byte order."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not _TYPE.fullmatch(code):
            raise ValueError(f"an array of {str(code)[:20]!r}, which are no numbers")
        self.code, self.order = code, "<"

    def build(self, state: Any) -> None:
        order, subtype, names = state[1:4]
        if order not in ("<", ">", "|", "=") or subtype is not None or names is not None:
            raise ValueError("an array whose values are no plain numbers")
        self.order = "|" if order == "|" else "<" if order == "=" else order

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Array:
    """An array on its way: nothing, then all of it."""

    def __init__(self) -> None:
        self.values: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        _, shape, kind, by_column, data = state
        if not isinstance(kind, _Type) or not isinstance(shape, tuple) or len(shape) > 8:
            raise ValueError("an array of no shape or type")
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"an array of shape {str(shape)[:60]}")
        raw, dtype = _bytes(data), kind.dtype
        if len(raw) != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{len(raw)} bytes for an array of {shape} {dtype}")
        self.values = np.frombuffer(raw, dtype).reshape(shape, order="F" if by_column else "C")


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):  # Python 2's
        return value.encode("latin-1")
    raise ValueError("an array without bytes")


class _Reader(pickle._Unpickler):  # the one in Python: its memory is a dictionary, and its orders can be taken away
    def find_class(self, module: str, name: str) -> Any:
        if module in _ARRAY_MODULES and name in ("_reconstruct", "scalar"):
            return _Named(name)
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")):
            return _Named(name)
        raise ValueError(f"asks for {module[:40]}.{name[:40]}, where numbers and arrays are all that it may hold")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise ValueError("asks for something that is not in it")

    def get_extension(self, code: int) -> NoReturn:
        raise ValueError("asks for an extension")

    def _reduce(self) -> None:
        arguments = self.stack.pop()  # type: ignore[attr-defined]
        function = self.stack[-1]  # type: ignore[attr-defined]
        name = function.name if isinstance(function, _Named) and isinstance(arguments, tuple) else ""
        if name == "_reconstruct":
            made: Any = _Array()
        elif name == "dtype":
            made = _Type(arguments[0])
        elif name == "scalar":
            made = _scalar(*arguments)
        elif name == "encode" and arguments[1:] in (("latin1",), ("latin-1",)) and isinstance(arguments[0], str):
            made = arguments[0].encode("latin-1")
        else:
            raise ValueError("calls something that is no array")
        self.stack[-1] = made  # type: ignore[attr-defined]

    def _build(self) -> None:
        state = self.stack.pop()  # type: ignore[attr-defined]
        thing = self.stack[-1]  # type: ignore[attr-defined]
        if not isinstance(thing, _Type | _Array) or not isinstance(state, tuple):
            raise ValueError("gives something a state that is no array")
        thing.build(state)

    def _set_items(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        _fill(self.stack[-1], items)  # type: ignore[attr-defined]

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()  # type: ignore[attr-defined]
        _fill(self.stack[-1], [key, value])  # type: ignore[attr-defined]

    def _dict(self) -> None:
        items, made = self.pop_mark(), {}  # type: ignore[attr-defined,var-annotated]
        _fill(made, items)
        self.append(made)  # type: ignore[attr-defined]


def _orders() -> dict[int, Callable[[Any], None]]:
    known = pickle._Unpickler.dispatch
    codes = [getattr(pickle, name)[0] for name in _ORDERS]
    own = {"REDUCE": "_reduce", "BUILD": "_build", "SETITEMS": "_set_items", "SETITEM": "_set_item", "DICT": "_dict"}
    found = {code: known[code] for code in codes}
    return found | {getattr(pickle, name)[0]: getattr(_Reader, method) for name, method in own.items()}


_Reader.dispatch = _orders()


def _fill(made: Any, items: list[Any]) -> None:
    """Words alone are keys: others, nested without end, would take as long to look up."""
    if not isinstance(made, dict) or len(items) % 2 or not all(isinstance(k, str | int) for k in items[::2]):
        raise ValueError("a dictionary whose keys are no words")
    made.update(zip(items[::2], items[1::2], strict=True))


def _scalar(kind: Any, data: Any) -> Any:
    if not isinstance(kind, _Type):
        raise ValueError("a number of no type")
    raw = _bytes(data)
    if len(raw) != kind.dtype.itemsize:
        raise ValueError(f"{len(raw)} bytes for a {kind.dtype}")
    return np.frombuffer(raw, kind.dtype)[0]


def parse_pickle(data: bytes, name: str, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Some of the values of a pickled dictionary.

    Parameters
    ----------
    data
        The file's bytes, which whoever calls has seen to be few.
    name
        What messages call it.
    wanted
        Keys; those that the file has not are left out.

    Returns
    -------
    dict
        Key -> None, a number, a word, a short list of these, or an array, read-only.

    Raises
    ------
    FrameError
        No pickle of a dictionary, a damaged one, or one that asks for anything but numbers, words and arrays.
    """
    try:
        found = _Reader(io.BytesIO(data), encoding="latin-1").load()
    except Exception as error:  # pickle raises whatever it stumbles over
        said = str(error)[:160] or type(error).__name__
        raise FrameError(f"{name}: no pickle of numbers and arrays ({said}); restore it from the archive") from error
    if not isinstance(found, dict):
        raise FrameError(f"{name}: a pickle of {type(found).__name__}, not of names and values; restore it")
    return {key: _plain(found[key], name, key) for key in wanted if key in found}


def _plain(value: Any, name: str, key: str) -> Any:
    if isinstance(value, _Array) and value.values is not None:
        return value.values
    if value is None or isinstance(value, str | int | float | np.generic):
        return value
    if isinstance(value, list) and len(value) < _LONGEST_LIST:
        return [_plain(v, name, key) for v in value if not isinstance(v, list)]
    raise FrameError(f"{name}: {key} is {type(value).__name__.strip('_')}, not an array or a number; restore it")
