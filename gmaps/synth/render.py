"""From a sphere mesh to a depth image: rays through pixel centres, exact surfaces, one z-buffer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.camera import Camera
from gmaps.errors import UsageError
from gmaps.synth.flesh import build_flesh

if TYPE_CHECKING:
    from gmaps.synth.sensor import Sensor

_FAR = np.float32(np.inf)


def render_hand(
    joints: ArrayLike,
    camera: Camera,
    *,
    radii: ArrayLike | None = None,
    sensor: Sensor | None = None,
    rng: np.random.Generator | None = None,
) -> NDArray[np.float32]:
    """Depth image of a hand of flesh around any 21 joints.

    Parameters
    ----------
    joints : (21, 3)
        mm, camera axes, in the order of skeleton msra21.
    camera
        Intrinsics; the image has its width and height.
    radii : (21,), optional
        Flesh around each joint, mm; by default fitted to the palm's size.
    sensor, optional
        Adds noise and loses pixels; without it the image is exact.
    rng, optional
        Randomness of the sensor; needed with one.

    Returns
    -------
    (H, W) float32
        mm along the optical axis; 0 where there is no hand. What lies behind the camera is not seen.

    Raises
    ------
    UsageError
        Joints or radii of another shape, not finite or not positive; a sensor without `rng`.
    """
    if sensor is not None and rng is None:
        raise UsageError("a sensor needs rng, a numpy Generator: np.random.default_rng(seed)")
    flesh = build_flesh(np.asarray(joints, np.float64), None if radii is None else np.asarray(radii, np.float64))
    depth = np.full((camera.height, camera.width), _FAR, np.float32)
    lens = (camera.fx, camera.fy, camera.cx, camera.cy)
    draw_cones(flesh.spheres, flesh.cones, lens, depth)
    draw_triangles(flesh.spheres, flesh.triangles, lens, depth)
    depth[depth == _FAR] = 0
    if sensor is not None and rng is not None:
        depth = sensor.apply(depth, rng)
    return depth


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _span(x, z, r, focal, center, size):
    """First and last pixel that a sphere can reach along one image axis; all of them close to the camera."""
    if z - r < 1.0:
        return 0, size - 1
    low = (x - r) / (z - r if x - r < 0 else z + r)
    high = (x + r) / (z - r if x + r > 0 else z + r)
    first = math.ceil(min(max(low * focal + center, 0.0), float(size)))
    last = math.floor(max(min(high * focal + center, size - 1.0), -1.0))
    return first, last


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _entry(dd, b, c):
    """Smaller root of dd t^2 - 2 b t + c = 0, or infinity: where a ray enters."""
    disc = b * b - dd * c
    return (b - math.sqrt(disc)) / dd if disc >= 0 else np.inf


@nb.njit(nogil=True, cache=True, error_model="numpy")
def draw_cones(spheres, cones, lens, depth):
    """Draw round cones, the hulls of pairs of spheres, into a z-buffer.

    The ray is t (dx, dy, 1), so t is z. With w the unit axis from sphere a to b, L its length and
    k = (ra - rb) / L, a point at height y over a and distance q from the axis lies on the mantle where
    q^2 (1 - k^2) = (ra - k y)^2 and k ra <= y <= L + k rb; the rest of the surface belongs to the two spheres.

    Parameters
    ----------
    spheres : (K, 4) float64
    cones : (M, 2) int64
    lens
        fx, fy, cx, cy.
    depth : (H, W) float32
        The z-buffer, mm, infinity where empty; lowered in place.
    """
    fx, fy, cx, cy = lens
    rows, cols = depth.shape
    for m in range(cones.shape[0]):
        ax, ay, az, ra = spheres[cones[m, 0]]
        bx, by, bz, rb = spheres[cones[m, 1]]
        u0, u1 = _span(ax, az, ra, fx, cx, cols)
        u2, u3 = _span(bx, bz, rb, fx, cx, cols)
        v0, v1 = _span(ay, az, ra, fy, cy, rows)
        v2, v3 = _span(by, bz, rb, fy, cy, rows)
        wx, wy, wz = bx - ax, by - ay, bz - az
        length = math.sqrt(wx * wx + wy * wy + wz * wz)
        mantle = length > abs(ra - rb)  # else one sphere lies within the other
        k = (ra - rb) / length if mantle else 0.0
        if mantle:
            wx, wy, wz = wx / length, wy / length, wz / length
        aw = ax * wx + ay * wy + az * wz
        aa = ax * ax + ay * ay + az * az
        bb = bx * bx + by * by + bz * bz
        e = 1.0 - k * k
        for v in range(min(v0, v2), max(v1, v3) + 1):
            dy = (v - cy) / fy
            for u in range(min(u0, u2), max(u1, u3) + 1):
                dx = (u - cx) / fx
                dd = dx * dx + dy * dy + 1.0
                da = dx * ax + dy * ay + az
                best = np.inf
                t = _entry(dd, da, aa - ra * ra)
                if t > 0:
                    best = t
                t = _entry(dd, dx * bx + dy * by + bz, bb - rb * rb)
                if 0 < t < best:
                    best = t
                if mantle:
                    dw = dx * wx + dy * wy + wz
                    p = dd * e - dw * dw
                    q = da * e - dw * aw - k * ra * dw
                    s = aa * e - aw * aw - 2.0 * k * ra * aw - ra * ra
                    disc = q * q - p * s
                    if disc >= 0 and p != 0:
                        root = math.sqrt(disc)
                        for sign in (-1.0, 1.0):
                            t = (q + sign * root) / p
                            y = t * dw - aw
                            if 0 < t < best and k * ra <= y <= length + k * rb:
                                best = t
                if best < depth[v, u]:
                    depth[v, u] = best


@nb.njit(nogil=True, cache=True, error_model="numpy")
def draw_triangles(spheres, triangles, lens, depth):
    """Draw the two flat faces of round triangles, the hulls of three spheres, into a z-buffer.

    A face touches all three: its unit normal n has n . (ci - c0) = r0 - ri. That fixes n's part in the plane of
    the centres; its length out of the plane follows, once with each sign. The edges are cones, drawn apart.
    Parameters as in `draw_cones`, with triangles (T, 3) int64.
    """
    fx, fy, cx, cy = lens
    rows, cols = depth.shape
    face = np.empty((3, 3))
    edge = np.empty((3, 3))
    for m in range(triangles.shape[0]):
        c0, r0 = spheres[triangles[m, 0], :3], spheres[triangles[m, 0], 3]
        c1, r1 = spheres[triangles[m, 1], :3], spheres[triangles[m, 1], 3]
        c2, r2 = spheres[triangles[m, 2], :3], spheres[triangles[m, 2], 3]
        e1, e2 = c1 - c0, c2 - c0
        out = np.cross(e1, e2)
        area2 = (out * out).sum()
        g11, g12, g22 = (e1 * e1).sum(), (e1 * e2).sum(), (e2 * e2).sum()
        if area2 <= 1e-9 * g11 * g22:
            continue  # as good as a line: its edges draw it
        flat = ((r0 - r1) * g22 - (r0 - r2) * g12) / area2 * e1 + ((r0 - r2) * g11 - (r0 - r1) * g12) / area2 * e2
        rest = 1.0 - (flat * flat).sum()
        if rest <= 0:
            continue  # one sphere lies within the hull of the others
        for sign in (-1.0, 1.0):
            n = flat + out * (sign * math.sqrt(rest / area2))
            face[0], face[1], face[2] = c0 + r0 * n, c1 + r1 * n, c2 + r2 * n
            height = (n * face[0]).sum()
            if height >= 0:
                continue  # it faces away, and the hull's near side hides it
            near = face[:, 2].min() < 1.0
            u0, u1, v0, v1 = np.inf, -np.inf, np.inf, -np.inf
            for i in range(3):
                edge[i] = np.cross(face[i], face[(i + 1) % 3])
                u = face[i, 0] / face[i, 2] * fx + cx
                v = face[i, 1] / face[i, 2] * fy + cy
                u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
            if near:
                u0, u1, v0, v1 = 0.0, cols - 1.0, 0.0, rows - 1.0
            first = math.ceil(min(max(u0, 0.0), float(cols)))
            last = math.floor(max(min(u1, cols - 1.0), -1.0))
            for v in range(math.ceil(max(v0, 0.0)), math.floor(min(v1, rows - 1.0)) + 1):
                dy = (v - cy) / fy
                for u in range(first, last + 1):
                    dx = (u - cx) / fx
                    s0 = edge[0, 0] * dx + edge[0, 1] * dy + edge[0, 2]
                    s1 = edge[1, 0] * dx + edge[1, 1] * dy + edge[1, 2]
                    s2 = edge[2, 0] * dx + edge[2, 1] * dy + edge[2, 2]
                    if (s0 >= 0 and s1 >= 0 and s2 >= 0) or (s0 <= 0 and s1 <= 0 and s2 <= 0):
                        t = height / (n[0] * dx + n[1] * dy + n[2])
                        if 0 < t < depth[v, u]:
                            depth[v, u] = t
