"""Arrays out of MATLAB 5 files, by SciPy, once their headers have been looked at.

SciPy makes room for what a file promises, and inflates all that it holds before it looks: 200 kB can take gigabytes.
What a variable says of its size stands in its first bytes, and those are cheap to have.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import DatasetError

_HEADER_BYTES, _COMPRESSED, _MATRIX = 128, 15, 14


def read_array(path: Path, variable: str, most_bytes: int) -> NDArray[Any]:
    """One numeric array of a MATLAB 5 file.

    Parameters
    ----------
    path
        The file, which exists.
    variable
        The array's name.
    most_bytes
        The most that any variable in the file may take.

    Raises
    ------
    DatasetError
        No such file or variable, another kind of file, or a larger variable.
    """
    from scipy.io import loadmat  # here, because it takes long to import

    try:
        _check_sizes(path, most_bytes)
        found = loadmat(path, variable_names=[variable])
    except DatasetError:
        raise
    except Exception as error:  # scipy raises whatever its parser stumbles over
        raise DatasetError(
            f"{path}: cannot be read as a MATLAB 5 file ({error}); restore it from the archive"
        ) from error
    if variable not in found:
        raise DatasetError(f"{path}: has no {variable}; restore it from the archive")
    values: NDArray[Any] = np.asarray(found[variable])
    return values


def _check_sizes(path: Path, most_bytes: int) -> None:
    """Refuse a file whose variables say that they are larger than that, or than the file."""
    size = path.stat().st_size
    with open(path, "rb") as f:
        head = f.read(_HEADER_BYTES)
        if head.startswith((b"MATLAB 7.3", b"\x89HDF")):
            raise DatasetError(
                f"{path}: is a file of MATLAB 7.3, which is HDF5; write it in MATLAB by save(..., '-v7')"
            )
        # By a zero among the first four, SciPy takes a file for one of MATLAB 4.
        if head[124:] not in (b"\x00\x01IM", b"\x01\x00MI") or 0 in head[:4]:
            raise DatasetError(f"{path}: cannot be read as a MATLAB 5 file, by its header; restore it")
        order = "<" if head[126:] == b"IM" else ">"
        at = _HEADER_BYTES
        while at + 8 <= size:
            f.seek(at)
            data = f.read(256)
            kind, count = struct.unpack_from(f"{order}II", data)
            if kind in (_COMPRESSED, _MATRIX) and at + 8 + count > size:
                raise DatasetError(f"{path}: torn, {size:,} bytes where {at + 8 + count:,} were; restore it")
            if kind == _COMPRESSED:
                tag = zlib.decompressobj().decompress(data[8:], 8)
                inflated = struct.unpack(f"{order}II", tag)[1] if len(tag) == 8 else 0
                if inflated > most_bytes:
                    what = f"a variable of {inflated:,} bytes, where none has more than {most_bytes:,}"
                    raise DatasetError(f"{path}: {what}; restore it from the archive")
            elif kind == _MATRIX:
                _check_parts(f, path, order, at + 8, at + 8 + count)
            at += 8 + count


def _check_parts(f: BinaryIO, path: Path, order: str, at: int, end: int) -> None:
    """Refuse a variable with a part that reaches beyond it."""
    while at + 8 <= end:
        f.seek(at)
        kind, count = struct.unpack(f"{order}II", f.read(8))
        if kind >> 16:  # up to four bytes, within the tag
            count = 0
        if at + 8 + count > end:
            raise DatasetError(f"{path}: damaged at byte {at}, where {count:,} bytes are promised; restore it")
        at += 8 + -(-count // 8) * 8
