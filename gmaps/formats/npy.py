"""Arrays in `.npy` and `.npz` files, read strictly: the header must agree with the size before memory is taken."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError

#: An array of unknown size may be so many times larger than what an `.npz` keeps of it, and this large anyway: zeros
#: that blow up must not fill the memory.
_RATIO, _SMALL = 200, 2**20
#: Bytes of an `.npy` before its data.
_LONGEST_HEADER = 2**16
#: Of a text in an array.
_LONGEST_TEXT = 2**14


class ArrayHeader(NamedTuple):
    """What a file says of its array; the data follow, `bytes` of them."""

    shape: tuple[int, ...]
    column_major: bool
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """Of the data."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: BinaryIO, name: str, kinds: str = "fiu") -> ArrayHeader:
    """The header of an `.npy`; the file then stands where the data begin.

    Parameters
    ----------
    file
        Open at its start.
    name
        What messages call it.
    kinds
        Of types that it may have: numbers, or text ("U").

    Raises
    ------
    FrameError
        No such header, or one of another type.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote, and odd escapes in broken ones
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            header = ArrayHeader(*read(file))
    except Exception as error:  # NumPy evaluates the header: broken ones raise nearly anything
        raise FrameError(f"{name}: no .npy array ({str(error)[:100]}); restore it") from error
    if header.dtype.kind not in kinds or header.dtype.itemsize > (8 if header.dtype.kind in "fiu" else _LONGEST_TEXT):
        raise FrameError(f"{name}: an array of {header.dtype}, not of numbers; write it as float32 or uint16")
    if any(n < 0 for n in header.shape):
        raise FrameError(f"{name}: an array of shape {header.shape}; restore it")
    return header


def parse_npy(data: bytes, name: str) -> NDArray[Any]:
    """The array of an `.npy`, read-only.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.

    Raises
    ------
    FrameError
        No array of numbers, or one of another size than its header says.
    """
    file = io.BytesIO(data)
    header = read_header(file, name)
    check_size(header, len(data) - file.tell(), name)
    values = np.frombuffer(data, header.dtype, offset=file.tell())
    return values.reshape(header.shape, order="F" if header.column_major else "C")


def check_size(header: ArrayHeader, size: int, name: str) -> None:
    """Refuse an array that is not as long as its header says.

    Raises
    ------
    FrameError
        With both sizes.
    """
    if header.bytes != size:
        raise FrameError(
            f"{name}: {size:,} bytes of data, where its header asks for {header.shape} {header.dtype}, "
            f"{header.bytes:,} bytes; torn or altered: restore it"
        )


def read_npz_header(file: BinaryIO, name: str, member: str, most: int | None = None) -> ArrayHeader:
    """The header of one array of an `.npz`, after a look at the archive's directory; see `parse_npz`."""
    return _in_npz(file, name, member, most, whole=False)[0]


def parse_npz(data: bytes, name: str, member: str, most: int | None = None) -> NDArray[Any]:
    """One array of an `.npz`, read-only.

    Parameters
    ----------
    data
        The file's bytes.
    name
        What messages call it.
    member
        The array's name; may be empty when the file has one only.
    most
        Bytes that the array can have, where that is known, as of an image: a clean one may be kept in a thousandth.

    Raises
    ------
    FrameError
        No archive, no such array, a damaged one, or one that is larger than it can be.
    """
    found = _in_npz(io.BytesIO(data), name, member, most, whole=True)[1]
    return parse_npy(found, f"{name}[{member}]" if member else name)


def _in_npz(file: BinaryIO, name: str, member: str, most: int | None, *, whole: bool) -> tuple[ArrayHeader, bytes]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
            wanted = member or next(iter(infos), "")
            if wanted not in infos or (not member and len(infos) != 1):
                there = ", ".join(sorted(infos))[:200] or "nothing"
                raise FrameError(f"{name}: holds {there}; " + (f"no {member}" if member else "say which by `array`"))
            info = infos[wanted]
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise FrameError(f"{name}: packed as NumPy never does; write it with np.savez_compressed")
            limit = max(_RATIO * info.compress_size, _SMALL) if most is None else most
            if info.file_size > limit + _LONGEST_HEADER:
                raise FrameError(
                    f"{name}: {info.compress_size:,} bytes that say they are {info.file_size:,}, more than such an "
                    f"array's {limit:,}; restore it"
                )
            with archive.open(info) as stream:
                header = read_header(stream, name)  # type: ignore[arg-type]
            return header, archive.read(info) if whole else b""
    except FrameError:
        raise
    except Exception as error:  # zipfile, zlib and struct raise whatever they stumble over
        raise FrameError(f"{name}: no .npz archive, or a damaged one ({str(error)[:100]}); restore it") from error
