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

Array = NDArray[np.float32]
#: A depth camera sees nothing nearer than this, mm; as metres, a room ends here.
_METRES = 30.0
#: Of fewer values, nothing is told.
_ENOUGH = 64


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
        if file.suffix == ".npy":
            image = np.load(file, allow_pickle=False)
        else:
            data = file.read_bytes()
            width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
            image = png.decode(data, str(file), "grey16", (width, height))
    except FileNotFoundError:
        raise FrameError(f"{file}: no such depth image") from None
    except (OSError, ValueError, EOFError) as error:
        raise FrameError(f"{file}: cannot be read as a depth image: {error}") from None
    if image.ndim != 2 or not np.issubdtype(image.dtype, np.number) or np.iscomplexobj(image):
        raise FrameError(f"{file}: a depth image is (H, W) numbers, this is {image.shape} {image.dtype}")
    _check_values(image, unit, file)
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
