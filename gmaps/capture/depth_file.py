"""One depth image from a file."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import FrameError
from gmaps.formats import png
from gmaps.formats.npy import parse_npy
from gmaps.formats.regular import read_regular

Array = NDArray[np.float32]
#: A depth camera sees nothing nearer than this, mm; as metres, a room ends here.
_METRES = 30.0
#: Of fewer values, nothing is told.
_ENOUGH = 64
#: More pixels than any depth camera has, and the bytes of as many numbers.
_MOST_PIXELS = 2**24
_MOST_BYTES = 8 * _MOST_PIXELS + 2**16


def read_depth(path: str | os.PathLike[str], unit: float = 1.0) -> Array:
    """A depth image: a 16-bit grey PNG, or an array in a .npy file.

    Parameters
    ----------
    path
        The file.
    unit
        mm that a value of 1 stands for.

    Returns
    -------
    (H, W) float32
        mm; 0 where nothing was seen.

    Raises
    ------
    FrameError
        No such file, or no depth image.
    """
    file = Path(path)
    try:
        data = read_regular(file, most=_MOST_BYTES)
    except FileNotFoundError:
        raise FrameError(f"{file}: no such depth image") from None
    except (OSError, ValueError) as error:
        raise FrameError(f"{file}: cannot be read as a depth image: {error}") from None
    if file.suffix == ".npy":
        image = parse_npy(data, str(file))
    else:
        width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
        if width * height > _MOST_PIXELS:
            raise FrameError(f"{file}: {width:,} x {height:,} pixels, which no depth camera has")
        image = png.decode(data, str(file), "grey16", (width, height))
    if image.ndim != 2 or not 0 < image.size <= _MOST_PIXELS:
        raise FrameError(f"{file}: a depth image is (H, W) numbers, this is {image.shape} {image.dtype}")
    _check_values(image, unit, file)
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is no depth, and is dropped below
        depth = image.astype(np.float32) * np.float32(unit)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def _check_values(image: NDArray[Any], unit: float, file: Path) -> None:
    """Refuse a preview of 8 bits, and depths plainly of another unit: the hand would be looked for in vain."""
    if image.dtype.itemsize == 1:
        raise FrameError(f"{file}: values of 8 bits are a preview and no depth; take the depth file")
    seen = image[np.isfinite(image) & (image > 0)]
    if seen.size < _ENOUGH:
        return
    most = float(seen.max()) * unit
    if most <= _METRES:
        raise FrameError(
            f"{file}: no value is above {float(seen.max()):g}, which at --unit {unit:g} is {most:g} mm: are they "
            f"metres? Say --unit {1000 * unit:g}"
        )
    if unit == 1 and float(seen.max()) <= 255 and (seen == np.rint(seen)).all():
        raise FrameError(f"{file}: whole numbers up to {most:g}, so it is a preview of 8 bits and no depth in mm")
