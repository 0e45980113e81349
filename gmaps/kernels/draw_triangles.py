"""Triangles into a z-buffer."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.whole import ceil, floor


@jit
def draw_triangles(vertices, triangles, labels, lens, depth, parts):
    """Draw triangles into a z-buffer; infinity becomes 0 at the end.

    The ray through a pixel is t (dx, dy, 1), so t is z. It meets a triangle a b c where its products with a x b,
    b x c and c x a have one sign; the plane n . p = h is at t = h / (n . (dx, dy, 1)). An edge's two triangles see
    the same number with opposite signs, so no ray slips through between them. Both sides are drawn.

    Parameters
    ----------
    vertices : (V, 3) float64
    triangles : (T, 3) int32
    labels : (T,) uint8
    lens
        fx, fy, cx, cy.
    depth : (H, W) float32
        Infinity where empty, mm; 0 where empty afterwards.
    parts : (H, W) uint8
        Labels of what is seen.
    """
    fx, fy, cx, cy = lens
    rows, cols = depth.shape
    count = vertices.shape[0]
    uv = np.empty((count, 2))
    for i in range(count):
        z = vertices[i, 2]
        uv[i, 0] = vertices[i, 0] / z * fx + cx
        uv[i, 1] = vertices[i, 1] / z * fy + cy
    top, bottom, left, right = rows, -1, cols, -1
    for m in range(triangles.shape[0]):
        ia, ib, ic = triangles[m, 0], triangles[m, 1], triangles[m, 2]
        ax, ay, az = vertices[ia, 0], vertices[ia, 1], vertices[ia, 2]
        bx, by, bz = vertices[ib, 0], vertices[ib, 1], vertices[ib, 2]
        qx, qy, qz = vertices[ic, 0], vertices[ic, 1], vertices[ic, 2]
        if max(az, bz, qz) <= 0:
            continue
        if min(az, bz, qz) < 1.0:  # at the camera, or around it: no bounds
            u0, u1, v0, v1 = 0, cols - 1, 0, rows - 1
        else:
            ua, ub, uc = uv[ia, 0], uv[ib, 0], uv[ic, 0]
            va, vb, vc = uv[ia, 1], uv[ib, 1], uv[ic, 1]
            # A little more on each side, for the last bits of the division.
            u0 = max(ceil(min(ua, ub, uc) - 1e-6), 0)
            u1 = min(floor(max(ua, ub, uc) + 1e-6), cols - 1)
            v0 = max(ceil(min(va, vb, vc) - 1e-6), 0)
            v1 = min(floor(max(va, vb, vc) + 1e-6), rows - 1)
        if u0 > u1 or v0 > v1:
            continue
        abx, aby, abz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        bcx, bcy, bcz = by * qz - bz * qy, bz * qx - bx * qz, bx * qy - by * qx
        cax, cay, caz = qy * az - qz * ay, qz * ax - qx * az, qx * ay - qy * ax
        nx, ny, nz = abx + bcx + cax, aby + bcy + cay, abz + bcz + caz
        h = abx * qx + aby * qy + abz * qz
        if nx == 0 and ny == 0 and nz == 0:
            continue
        label = labels[m]
        drawn = False
        for v in range(v0, v1 + 1):
            dy = (v - cy) / fy
            for u in range(u0, u1 + 1):
                dx = (u - cx) / fx
                s0 = abx * dx + aby * dy + abz
                s1 = bcx * dx + bcy * dy + bcz
                s2 = cax * dx + cay * dy + caz
                if (s0 >= 0 and s1 >= 0 and s2 >= 0) or (s0 <= 0 and s1 <= 0 and s2 <= 0):
                    t = h / (nx * dx + ny * dy + nz)
                    if 0 < t < depth[v, u]:
                        depth[v, u] = t
                        parts[v, u] = label
                        drawn = True
        if drawn:
            top, bottom, left, right = min(top, v0), max(bottom, v1), min(left, u0), max(right, u1)
    for v in range(rows):
        for u in range(cols):
            if depth[v, u] == np.inf:
                depth[v, u] = 0.0
