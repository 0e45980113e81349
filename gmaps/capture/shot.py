"""What every source of frames gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera

#: Of sources that know no times, frames a second.
FPS = 30.0


class Shot(NamedTuple):
    """One depth image and when it was taken.

    Parameters
    ----------
    depth : (H, W) float32
        mm; 0 where nothing was seen.
    time
        Seconds, on any clock that only goes forward.
    name
        What messages call it.
    """

    depth: NDArray[np.float32]
    time: float
    name: str


class Source(Protocol):
    """Frames in their order, each once; to be closed."""

    @property
    def camera(self) -> Camera:
        """Of all its frames."""
        ...

    def __iter__(self) -> Iterator[Shot]: ...

    def close(self) -> None:
        """Give back the device or the file."""
        ...


def at_time(number: int, fps: float) -> float:
    """When frame `number` was taken, where only the rate is known, s."""
    return number / fps


def match_camera(intrinsics: tuple[float, float, float, float], depth: NDArray[np.float32]) -> Camera:
    """fx, fy, cx, cy with an image's size."""
    return Camera(*intrinsics, depth.shape[1], depth.shape[0])
