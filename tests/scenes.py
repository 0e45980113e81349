"""Small frames and crops with known geometry, for tests."""

from __future__ import annotations

import numpy as np

from gmaps.camera import Camera
from gmaps.frame import Crop, Cube, Frame

CAMERA = Camera(241.42, 241.42, 160.0, 120.0, 320, 240)


def flat_crop(mask: np.ndarray, joints_mm: np.ndarray, z: float = 0.0, half_side: float = 120.0) -> Crop:
    """A crop whose hand is `mask` (S, S), all at cube depth z; the cube is centred at (0, 0, 500) mm."""
    depth = np.where(mask, np.float32(z), np.float32(1)).astype(np.float16).astype(np.float32)
    return Crop(depth, Cube((0.0, 0.0, 500.0), half_side), np.asarray(joints_mm, np.float32))


def px_to_mm(px: np.ndarray, size: int, z: float = 500.0, half_side: float = 120.0) -> np.ndarray:
    """(row, col) on a grid of the flat crop's cube to (x, y, z) mm."""
    px = np.asarray(px, float)
    unit = (px + 0.5) / size * 2 - 1
    return np.stack([unit[..., 1] * half_side, unit[..., 0] * half_side, np.full(px.shape[:-1], z)], axis=-1)


def plane_frame(slope: tuple[float, float], z: float, camera: Camera = CAMERA, half: float = 60.0) -> Frame:
    """A square of a tilted plane z = z0 + a x + b y, |x|, |y| < half mm around the axis, seen by a camera."""
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rx, ry = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    depth = z / (1 - slope[0] * rx - slope[1] * ry)
    inside = (np.abs(rx * depth) < half) & (np.abs(ry * depth) < half)
    depth = np.where(inside, depth, 0).astype(np.float32)
    return Frame(depth, camera, np.array([[0, 0, z]], np.float32), name="plane")
