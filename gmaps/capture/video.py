"""16-bit grey videos, such as FFV1 in Matroska, by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from gmaps.camera import Camera
from gmaps.capture.shot import Shot, at_time, match_camera
from gmaps.errors import FrameError

VIDEOS = (".mkv", ".avi", ".mov", ".mp4")


class Video:
    """See `gmaps.capture.open_source`. Times are those of the video's own rate, where it tells one.

    Raises
    ------
    FrameError
        It cannot be read, or its pixels have 8 bits and are no depth.
    """

    def __init__(self, path: Path, camera: tuple[float, float, float, float], unit: float, fps: float) -> None:
        self.path, self._unit = path, np.float32(unit)
        self._video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        # As they are: else OpenCV makes colours of 8 bits of everything.
        self._video.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        own = float(self._video.get(cv2.CAP_PROP_FPS))
        self._fps = own if 0 < own < 1000 else fps
        self._first = self._read(0)
        if self._first is None:
            raise FrameError(f"{path}: cannot be read as a video, or holds no frame")
        self._camera = match_camera(camera, self._first.depth)

    @property
    def camera(self) -> Camera:
        """Of all frames."""
        return self._camera

    def _read(self, number: int) -> Shot | None:
        read, image = self._video.read()
        if not read or image is None:
            return None
        if image.dtype != np.uint16 or image.squeeze().ndim != 2:
            raise FrameError(
                f"{self.path}: its pixels are {image.dtype} {image.shape}; depth needs 16-bit grey (gray16le, as "
                "`ffmpeg -c:v ffv1 -pix_fmt gray16le` writes it)"
            )
        return Shot(
            image.squeeze().astype(np.float32) * self._unit, at_time(number, self._fps), f"{self.path.name}:{number}"
        )

    def __iter__(self) -> Iterator[Shot]:
        shot, number = self._first, 0
        while shot is not None:
            yield shot
            number += 1
            shot = self._read(number)

    def close(self) -> None:
        """Close the file."""
        self._video.release()
