"""Arrays out of MATLAB 5 files.

Only plain arrays of real numbers are read, and all that a file says of itself is looked at before it is believed: a
changed bit must not decide how much memory is taken, nor which bytes are taken for what.

The format: "MAT-File Format", The MathWorks (R2024b), chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import DatasetError
from gmaps.formats.regular import open_regular

_HEADER_BYTES, _COMPRESSED, _MATRIX = 128, 15, 14
_INT8, _INT32, _UINT32 = 1, 5, 6
#: Types of numbers in a file.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
#: Classes of arrays that hold plain numbers: double, single, and integers.
_NUMBERS = range(6, 16)
_NAMES = {1: "a cell array", 2: "a structure", 3: "an object", 4: "text", 5: "a sparse array"}
_COMPLEX = 0x800
#: Of a variable, before its numbers: its flags, its sizes, its name.
_HEAD = 1 << 16


class _DamagedError(Exception):
    """What is wrong; the caller adds the file."""


@dataclass(frozen=True)
class _Element:
    """An element's type, and where its content lies."""

    kind: int
    start: int
    size: int
    next: int


def read_array(path: Path, variable: str, most_bytes: int) -> NDArray[Any]:
    """One array of real numbers of a MATLAB 5 file, in the type in which the file keeps it.

    Parameters
    ----------
    path
        The file.
    variable
        The array's name.
    most_bytes
        The most that it may take, and inflate to.

    Raises
    ------
    DatasetError
        No such file or variable, another kind of file or of variable, a larger one, or a damaged one.
    """
    try:
        with open_regular(path) as f:
            return _find(f, f.seek(0, 2), variable, most_bytes)
    except _DamagedError as error:
        raise DatasetError(f"{path}: {error}; restore it from the archive") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error}); restore it") from error


def _find(f: BinaryIO, size: int, variable: str, most: int) -> NDArray[Any]:
    f.seek(0)
    head = f.read(_HEADER_BYTES)
    if head.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise _DamagedError("is a file of MATLAB 7.3, which is HDF5; write it in MATLAB by save(..., '-v7')")
    if head[124:] not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise _DamagedError("cannot be read as a MATLAB 5 file, by its header")
    order = "<" if head[126:] == b"IM" else ">"
    at = _HEADER_BYTES
    names = []
    while at + 8 <= size:
        f.seek(at)
        kind, count = struct.unpack(f"{order}II", f.read(8))
        if at + 8 + count > size:
            raise _DamagedError(f"torn, {size:,} bytes where {at + 8 + count:,} were")
        if kind in (_COMPRESSED, _MATRIX):
            # The name comes first, so that other variables need not be inflated.
            content = f.read(min(count, _HEAD))
            beginning = _inflate(content, _HEAD)[8:] if kind == _COMPRESSED else content
            name = _head(beginning, order)[2]
            names.append(name)
            if name == variable:
                content += f.read(count - len(content))
                return _array(_matrix(content, order, most) if kind == _COMPRESSED else content, order, most)
        at += 8 + count
    raise _DamagedError(f"has no {variable}, but {', '.join(names)[:200] or 'nothing'}")


def _inflate(content: bytes, most: int) -> bytes:
    """At most so many bytes."""
    try:
        return zlib.decompressobj().decompress(content, most)
    except zlib.error as error:
        raise _DamagedError(f"a variable cannot be inflated ({error})") from None


def _matrix(content: bytes, order: str, most: int) -> bytes:
    """The content of the one array in a compressed element."""
    # Its head first: what is too large is not inflated to be refused.
    begun = _inflate(content, _HEAD)[8:]
    numbers = _element(begun, _head(begun, order)[3], order)
    if numbers.size > most:
        raise _DamagedError(f"a variable of {numbers.size:,} bytes, where none has more than {most:,}")
    whole = _inflate(content, most + _HEAD + 1)
    if len(whole) < 8:
        raise _DamagedError("a compressed variable is empty")
    kind, count = struct.unpack_from(f"{order}II", whole)
    if count > most + _HEAD - 8:
        raise _DamagedError(f"a variable of {count:,} bytes, where none has more than {most:,}")
    if kind != _MATRIX or len(whole) != 8 + count:
        raise _DamagedError(f"a compressed variable of {len(whole) - 8:,} bytes says that it has {count:,}")
    return whole[8:]


def _element(content: bytes, at: int, order: str) -> _Element:
    if at + 8 > len(content):
        raise _DamagedError("a variable is cut off")
    kind, count = struct.unpack_from(f"{order}II", content, at)
    if kind >> 16:  # up to four bytes lie within the tag
        found = _Element(kind & 0xFFFF, at + 4, kind >> 16, at + 8)
        if found.size > 4:
            raise _DamagedError("a part of a variable is longer than its place")
        return found
    return _Element(kind, at + 8, count, at + 8 + -(-count // 8) * 8)


def _head(content: bytes, order: str) -> tuple[int, tuple[int, ...], str, int]:
    """Flags, shape and name of an array, and where its numbers begin."""
    flags = _element(content, 0, order)
    if (flags.kind, flags.size) != (_UINT32, 8) or len(content) < 16:
        raise _DamagedError("a variable has no flags")
    shape = _element(content, flags.next, order)
    if shape.kind != _INT32 or shape.size % 4 or not 8 <= shape.size <= 128:
        raise _DamagedError("a variable has no shape")
    name = _element(content, shape.next, order)
    if name.kind != _INT8 or name.start + name.size > len(content) or shape.start + shape.size > len(content):
        raise _DamagedError("a variable has no name")
    word = struct.unpack_from(f"{order}I", content, flags.start)[0]
    sizes = struct.unpack_from(f"{order}{shape.size // 4}i", content, shape.start)
    text = content[name.start : name.start + name.size].decode("ascii", "replace")
    return word, sizes, text, name.next


def _array(content: bytes, order: str, most: int) -> NDArray[Any]:
    word, shape, name, at = _head(content, order)
    kind = word & 0xFF
    if kind not in _NUMBERS:
        raise _DamagedError(f"{name} is {_NAMES.get(kind, f'of class {kind}')}, not an array of numbers")
    if word & _COMPLEX:
        raise _DamagedError(f"{name} holds complex numbers")
    numbers = _element(content, at, order)
    if numbers.kind not in _TYPES:
        raise _DamagedError(f"{name} holds numbers of type {numbers.kind}, which there is not")
    dtype = np.dtype(order + _TYPES[numbers.kind])
    if min(shape) < 0 or math.prod(shape) * dtype.itemsize != numbers.size or numbers.size > most:
        raise _DamagedError(f"{name} has {numbers.size:,} bytes of numbers, which do not fill an array of {shape}")
    if numbers.start + numbers.size > len(content):
        raise _DamagedError(f"{name} is cut off")
    values = np.frombuffer(content, dtype, math.prod(shape), numbers.start)
    return values.reshape(shape, order="F").astype(dtype.newbyteorder("="), copy=False)
