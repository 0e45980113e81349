"""Pickles of NumPy arrays, read without running anything: no name in the file is ever imported or called.

A pickle is a program. Here its names only make inert records of what was asked for; afterwards those that describe
NumPy arrays, types and numbers become such, checked against their own bytes, and all others are refused.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Collection
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError

_RECONSTRUCT, _SCALAR, _BUFFER = "multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer"
_ARRAY, _DTYPE, _ENCODE = "numpy.ndarray", "numpy.dtype", "_codecs.encode"
#: No bytes, as Python 3 writes them for Python 2.
_NOTHING = ("__builtin__.bytes", "builtins.bytes")
_NUMPY = {f"numpy.{core}.{name}" for core in ("core", "_core") for name in (_RECONSTRUCT, _SCALAR, _BUFFER)}
_KNOWN = frozenset((*_NUMPY, _ARRAY, _DTYPE, _ENCODE, *_NOTHING))
#: Letters and sizes of types: bool, integers, floats, complex; and texts of any size.
_TYPES = frozenset(("b1", *(f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)), "f2", "f4", "f8", "c8", "c16"))


class Record:
    """What a pickle asks to be made: a name, arguments, and a state; nothing more.

    Parameters
    ----------
    name
        "module.name", as the file has it.
    args
        What it would have been called with.
    """

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...] = ()) -> None:
        self.name, self.args = name, args
        self.state: Any = None

    def __call__(self, *args: Any) -> Record:
        return Record(self.name, args)


#: Written in Python: its memo cannot be made to take memory that is not there.
_SLOW: Any = pickle.__dict__["_Unpickler"]


class _Reader(_SLOW):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Any]] = dict(_SLOW.dispatch)

    def __init__(self, data: bytes, records: Collection[str]) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._allowed = _KNOWN | set(records)

    def find_class(self, module: str, name: str) -> Any:
        """A maker of inert records."""
        wanted = f"{module}.{name}"
        if wanted not in self._allowed:
            raise FrameError(f"it holds a {wanted[:80]}, where only NumPy arrays may be")
        return Record(wanted)

    def _refuse(self) -> None:
        raise FrameError("it holds an object of a kind that NumPy does not write")

    def _reduce(self) -> None:
        args, maker = self.stack.pop(), self.stack[-1]
        if not isinstance(maker, Record) or not isinstance(args, tuple):
            self._refuse()
        self.stack[-1] = maker(*args)

    def _new(self) -> None:
        args, maker = self.stack.pop(), self.stack.pop()
        if not isinstance(maker, Record) or not isinstance(args, tuple):
            self._refuse()
        self.stack.append(maker(*args))

    def _build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if not isinstance(made, Record):
            self._refuse()
        made.state = state

    dispatch[pickle.REDUCE[0]] = _reduce
    dispatch[pickle.NEWOBJ[0]] = _new
    dispatch[pickle.BUILD[0]] = _build
    for _code in (pickle.NEWOBJ_EX, pickle.INST, pickle.OBJ, pickle.PERSID, pickle.BINPERSID, pickle.EXT1,
                  pickle.EXT2, pickle.EXT4):  # fmt: skip
        dispatch[_code[0]] = _refuse


def parse_pickle(data: bytes, name: str, records: Collection[str] = ()) -> dict[str, Any]:
    """The dict of arrays, numbers, texts and None that a pickle holds.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.
    records
        Names ("module.name") of objects that may be there, and are given as inert `Record` each.

    Returns
    -------
    dict
        Arrays are NumPy's, read-only; lists and tuples stay as they are, with arrays in them made.

    Raises
    ------
    FrameError
        The file is damaged, holds anything else, or is no dict of named values.
    """
    try:
        found = _Reader(data, records).load()
        if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
            raise FrameError("it holds no dict of named values")
        return {key: _made(value, 0) for key, value in found.items()}
    except Exception as error:  # what a damaged pickle raises is anybody's guess
        what = str(error) if isinstance(error, FrameError) else f"damaged ({type(error).__name__})"
        raise FrameError(
            f"{name}: no pickle that can be read: {what[:200]}; restore it, or convert it to .npz"
        ) from None


def _made(value: Any, depth: int) -> Any:
    if depth > 3:
        raise FrameError("values lie in lists in lists in lists")
    if isinstance(value, list | tuple):
        if len(value) > 100_000:
            raise FrameError(f"a list of {len(value):,} values")
        return type(value)(_made(v, depth + 1) for v in value)
    if isinstance(value, Record):
        return array_of(value) if value.name in _KNOWN else value
    if value is not None and not isinstance(value, bool | int | float | str | bytes):
        raise FrameError(f"a {type(value).__name__} is no array, number or text")
    return value


def array_of(value: Any) -> Any:
    """A record of a NumPy array or number as such; a record's own array where it holds one.

    Raises
    ------
    FrameError
        It describes none.
    """
    if not isinstance(value, Record):
        raise FrameError(f"an array is missing: there is a {type(value).__name__}")
    kind, args = value.name.rpartition("core.")[2], value.args
    if kind == _RECONSTRUCT and isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, dtype, fortran, content = value.state
        return _filled(_bytes(content), dtype, shape, "F" if fortran else "C")
    if kind == _BUFFER and len(args) == 4:
        content, dtype, shape, order = args
        return _filled(_bytes(content), dtype, shape, "F" if order == "F" else "C")
    if kind == _SCALAR and len(args) == 2:
        return _filled(_bytes(args[1]), args[0], (), "C")[()]
    raise FrameError(f"a {value.name} without its values")


def _filled(content: bytes, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    kind = _dtype(dtype)
    if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**40 for n in shape) or len(shape) > 16:
        raise FrameError(f"an array of shape {str(shape)[:60]}")
    if math.prod(shape) * kind.itemsize != len(content):
        raise FrameError(f"{len(content):,} bytes for an array {shape} of {kind}")
    if not len(content):
        return np.zeros(shape, kind)
    return np.frombuffer(content, kind).reshape(shape, order=order)


def _dtype(record: Any) -> np.dtype[Any]:
    if not isinstance(record, Record) or record.name != _DTYPE or not record.args:
        raise FrameError("an array without a type")
    name = record.args[0]
    if not isinstance(name, str) or (name not in _TYPES and not (name[:1] in "SU" and name[1:].isdigit())):
        raise FrameError(f"an array of type {str(name)[:20]!r}, not of numbers or texts")
    if name[:1] in "SU" and not 0 < int(name[1:5]) < 1000:
        raise FrameError(f"an array of texts of {name[1:]}")
    state = record.state
    order: Any = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
    if order not in ("<", ">", "|", "="):
        raise FrameError(f"an array of byte order {str(order)[:20]!r}")
    return np.dtype(name).newbyteorder(order)


def _bytes(content: Any) -> bytes:
    if isinstance(content, Record) and content.name == _ENCODE and content.args:
        content = content.args[0]
    elif isinstance(content, Record) and content.name in _NOTHING and not content.args:
        return b""
    if isinstance(content, str):  # Python 2 wrote bytes so
        return content.encode("latin1")
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    raise FrameError("an array without its bytes")
