"""Where a hand could be, in a room, by depth alone: a short list for a network to judge.

From the front to the back: the nearest surface that is more than stray pixels, the middle of what lies in a hand's
cube around it; then the same of what is left, and so on. A hand that is held out is soon in the list, whatever else
is nearer than it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.kernels import raster

Array = NDArray[np.float32]
#: A hand shows at least this much of itself, mm^2.
LEAST_MM2 = 1500.0
#: Candidates look at images of about so many columns.
_COLUMNS = 160
_STEPS = 6
#: Neighbours on one surface, mm.
_SAME_MM = 40.0


class Candidate(NamedTuple):
    """A place.

    Parameters
    ----------
    center
        The middle of what is seen there, mm.
    area
        How large that is, mm^2.
    """

    center: tuple[float, float, float]
    area: float


def reduce(depth: Array, camera: Camera) -> tuple[Array, Camera]:
    """A smaller image, each pixel one of the larger, without pixels that lie alone; and its camera."""
    step = max(1, round(depth.shape[1] / _COLUMNS))
    small = np.ascontiguousarray(depth[step // 2 :: step, step // 2 :: step], np.float32)
    beside = np.zeros(small.shape, np.int8)
    for axis in (0, 1):
        near = np.abs(np.diff(small, axis=axis)) < _SAME_MM
        ahead, behind = (slice(1, None), slice(None, -1)) if axis == 0 else (np.s_[:, 1:], np.s_[:, :-1])
        beside[ahead] += near
        beside[behind] += near
    small = np.where(beside >= 2, small, np.float32(0))
    c = camera
    return small, Camera(
        c.fx / step, c.fy / step, (c.cx - step // 2) / step, (c.cy - step // 2) / step, small.shape[1], small.shape[0]
    )


def find_candidates(
    depth: Array, camera: Camera, half_side: float, depth_range: tuple[float, float], *, most: int = 6,
    taken: tuple[tuple[float, float, float], ...] = (),
) -> list[Candidate]:  # fmt: skip
    """Places where a hand could be, from the front to the back.

    Parameters
    ----------
    depth : (H, W) float32
        mm; 0 where nothing was seen.
    camera
        Its intrinsics.
    half_side
        Half the side of a hand's cube, mm.
    depth_range
        Where to look, mm.
    most
        No more than so many.
    taken
        Middles of hands that are known, mm: what lies in their cubes is left out.
    """
    small, cam = reduce(depth, camera)
    near, far = depth_range
    left = np.where((small >= near) & (small <= far), small, np.float32(0))
    lens = (cam.fx, cam.fy, cam.cx, cam.cy)
    for center in taken:
        _take_out(left, cam, center, half_side)
    per_pixel = 1 / (cam.fx * cam.fy)
    found: list[Candidate] = []
    for _ in range(3 * most):
        if len(found) >= most:
            break
        seen = left[left > 0]
        if not len(seen):
            break
        first = float(seen.min())
        front = half_side / 4
        # The part of the front that hangs together: two things at one distance are two candidates.
        row, col = np.unravel_index(int(np.where(left > 0, left, np.inf).argmin()), left.shape)
        x, y = (col - cam.cx) / cam.fx * first, (row - cam.cy) / cam.fy * first
        x, y, z, n = raster.center_of_mass(left, *lens, x, y, first, half_side / 2, front)
        for _ in range(_STEPS):
            nx, ny, nz, inside = raster.center_of_mass(left, *lens, x, y, z, half_side, half_side)
            if inside == 0:
                break
            moved, n = max(abs(nx - x), abs(ny - y), abs(nz - z)), inside
            x, y, z = nx, ny, nz
            if moved < 2:
                break
        area = n * z * z * per_pixel
        if area >= LEAST_MM2:
            found.append(Candidate((float(x), float(y), float(z)), float(area)))
        _take_out(left, cam, (x, y, z), half_side)
        left[row, col] = 0  # at least that
    return found


def _take_out(left: Array, camera: Camera, center: tuple[float, float, float], half_side: float) -> None:
    """Blank what lies in a cube."""
    x, y, z = center
    reach = half_side + 2
    near = max(z - reach, 1.0)
    c0, c1 = (int(np.floor((x + s * reach) / near * camera.fx + camera.cx)) for s in (-1, 1))
    r0, r1 = (int(np.floor((y + s * reach) / near * camera.fy + camera.cy)) for s in (-1, 1))
    part = left[max(r0, 0) : max(r1 + 2, 0), max(c0, 0) : max(c1 + 2, 0)]
    part[np.abs(part - np.float32(z)) <= reach] = 0
