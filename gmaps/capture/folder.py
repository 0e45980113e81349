"""Images of a folder, in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gmaps.camera import Camera
from gmaps.capture.depth_file import read_depth
from gmaps.capture.shot import Shot, at_time, match_camera
from gmaps.errors import FrameError

IMAGES = (".png", ".npy")


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key by which 9.png comes before 10.png."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]


class ImageFolder:
    """See `gmaps.capture.open_source`.

    Raises
    ------
    FrameError
        It holds no image, images of several sizes, or one that cannot be read.
    """

    def __init__(self, path: Path, camera: tuple[float, float, float, float], unit: float, fps: float) -> None:
        self.files = sorted(
            (p for p in path.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith(".")),
            key=lambda p: natural(p.name),
        )
        if not self.files:
            raise FrameError(f"{path}: holds no {' or '.join(IMAGES)} image")
        self._unit, self._fps = unit, fps
        self._camera = match_camera(camera, read_depth(self.files[0], unit))

    @property
    def camera(self) -> Camera:
        """Of the first image, and so of all."""
        return self._camera

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Shot]:
        size = (self._camera.height, self._camera.width)
        for number, file in enumerate(self.files):
            depth = read_depth(file, self._unit)
            if depth.shape != size:
                raise FrameError(
                    f"{file}: {depth.shape[1]} x {depth.shape[0]} pixels, the first image has {size[1]} x {size[0]}: "
                    "one camera takes images of one size"
                )
            yield Shot(depth, at_time(number, self._fps), file.name)

    def close(self) -> None:
        """Nothing is open."""
