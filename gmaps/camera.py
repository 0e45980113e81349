"""Pinhole cameras: pixels and depth to millimetres, and back.

Axes are the image's: x right, y down, z forward. Data sets whose own axes differ (MSRA, NYU: y up) convert in
their reader, nowhere else. An integer (u, v) is the centre of a pixel.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import UsageError


@dataclass(frozen=True)
class Camera:
    """Intrinsics of a depth camera.

    Parameters
    ----------
    fx, fy
        Focal lengths, pixels, both positive.
    cx, cy
        Principal point, pixels.
    width, height
        Image size, pixels.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if not (self.fx > 0 and self.fy > 0 and self.width > 0 and self.height > 0):
            raise UsageError(f"a camera needs positive focal lengths and size, got {self}")

    def project(self, xyz: ArrayLike) -> NDArray[np.float64]:
        """Camera coordinates to image coordinates.

        Parameters
        ----------
        xyz : (..., 3)
            Points, mm; z must not be 0.

        Returns
        -------
        (..., 3) float64
            Column u (px), row v (px), depth d (mm).
        """
        p = np.asarray(xyz, np.float64)
        x, y, z = p[..., 0], p[..., 1], p[..., 2]
        return np.stack([x / z * self.fx + self.cx, y / z * self.fy + self.cy, z], axis=-1)

    def unproject(self, uvd: ArrayLike) -> NDArray[np.float64]:
        """Image coordinates to camera coordinates: the inverse of `project`.

        Parameters
        ----------
        uvd : (..., 3)
            Column u (px), row v (px), depth d (mm).

        Returns
        -------
        (..., 3) float64
            Points, mm.
        """
        p = np.asarray(uvd, np.float64)
        u, v, d = p[..., 0], p[..., 1], p[..., 2]
        return np.stack([(u - self.cx) * d / self.fx, (v - self.cy) * d / self.fy, d], axis=-1)

    def cut(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of a part of the image, whose first pixel is (left, top)."""
        return Camera(self.fx, self.fy, self.cx - left, self.cy - top, width, height)

    def to_dict(self) -> dict[str, Any]:
        """The camera as plain JSON values, for a store's attributes."""
        return asdict(self)
