"""Angles of hands through given joints: damped least squares on the kinematics, one hand at a time.

The twin of the descent of `gmaps.synth.fit_hand`: the same residuals, with a slope that is written down instead of
measured. All is in palm axes; the palm's own turn and place are stepped on the labels' side.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit

#: A turn and a shift of the palm, four angles of each finger, five of the thumb.
SIZE = 27
_STEPS = 60
#: A descent ends when a step gains less than this share of the cost.
_ENOUGH = 1e-7


@jit
def _place(a, roots, lengths, fan, thumb, points, axes):
    """Joints (21, 3) of angles a (21,), radians, and the axes (21, 3) about which each turns what lies beyond it."""
    points[0] = 0.0
    for f in range(5):
        if f < 4:
            spread, m, b, t = fan[f] + a[4 * f], a[4 * f + 1], a[4 * f + 2], a[4 * f + 3]
            s, r = spread * np.cos(m), 0.0
        else:
            s, m, b, t = a[16], a[17], a[19], a[20]
            r = thumb[0] + thumb[1] * m + a[18]
        cs, ss, cm, sm, cr, sr = np.cos(s), np.sin(s), np.cos(m), np.sin(m), np.cos(r), np.sin(r)
        # Columns of z(-s) x(m) y(r).
        hx, hy = cs, -ss
        yx, yy, yz = ss * cm, cs * cm, sm
        nx, ny, nz = -ss * sm, -cs * sm, cm
        xx, xy, xz = cr * hx - sr * nx, cr * hy - sr * ny, -sr * nz
        zx, zy, zz = sr * hx + cr * nx, sr * hy + cr * ny, cr * nz
        if f < 4:
            axes[4 * f, 0], axes[4 * f, 1], axes[4 * f, 2] = 0.0, 0.0, -cm
            axes[4 * f + 1, 0], axes[4 * f + 1, 1], axes[4 * f + 1, 2] = hx, hy, spread * sm
            bend = 4 * f + 2
        else:
            axes[16, 0], axes[16, 1], axes[16, 2] = 0.0, 0.0, -1.0
            axes[17, 0], axes[17, 1], axes[17, 2] = hx + thumb[1] * yx, hy + thumb[1] * yy, thumb[1] * yz
            axes[18, 0], axes[18, 1], axes[18, 2] = yx, yy, yz
            bend = 19
        for k in range(2):
            axes[bend + k, 0], axes[bend + k, 1], axes[bend + k, 2] = xx, xy, xz
        at = 1 + 4 * f
        for c in range(3):
            points[at, c] = roots[f, c]
        angle = 0.0
        for k in range(3):
            if k == 1:
                angle = b
            elif k == 2:
                angle = b + t
            ca, sa, size = np.cos(angle), np.sin(angle), lengths[f, k]
            points[at + k + 1, 0] = points[at + k, 0] + size * (ca * yx + sa * zx)
            points[at + k + 1, 1] = points[at + k, 1] + size * (ca * yy + sa * zy)
            points[at + k + 1, 2] = points[at + k, 2] + size * (ca * yz + sa * zz)


@jit
def _turned(q, v, out):
    """v (n, 3) in the axes of q: its inverse applied."""
    w, x, y, z = q[0], -q[1], -q[2], -q[3]
    for i in range(v.shape[0]):
        px, py, pz = v[i, 0], v[i, 1], v[i, 2]
        tx, ty, tz = 2 * (y * pz - z * py), 2 * (z * px - x * pz), 2 * (x * py - y * px)
        out[i, 0] = px + w * tx + y * tz - z * ty
        out[i, 1] = py + w * ty + z * tx - x * tz
        out[i, 2] = pz + w * tz + x * ty - y * tx


@jit
def _cost(points, labels, a, easy, ease):
    total = 0.0
    for j in range(21):
        for c in range(3):
            total += (points[j, c] - labels[j, c]) ** 2
    for k in range(21):
        total += (ease * (a[k] - easy[k])) ** 2
    return total


@jit
def _normal(points, axes, labels, a, easy, ease, h, g):
    """Accumulate J'J and J'r."""
    h[:], g[:] = 0.0, 0.0
    column = np.empty((11, 3))
    where = np.empty(11, np.int64)
    for j in range(21):
        x, y, z = points[j, 0], points[j, 1], points[j, 2]
        column[0, 0], column[0, 1], column[0, 2] = 0.0, -z, y
        column[1, 0], column[1, 1], column[1, 2] = z, 0.0, -x
        column[2, 0], column[2, 1], column[2, 2] = -y, x, 0.0
        for k in range(3):
            for c in range(3):
                column[3 + k, c] = 1.0 if k == c else 0.0
        for k in range(6):
            where[k] = k
        count = 6
        if j:
            f, link = (j - 1) // 4, (j - 1) % 4
            first = 4 * f
            turning = (4 if f < 4 else 5) if link == 3 else (3 if f < 4 else 4) if link == 2 else 0
            if link == 1:
                turning = 2 if f < 4 else 3
            for k in range(turning):
                # The last two bend about the second and the third joint, all others about the first.
                bends = k - (2 if f < 4 else 3)
                pivot = 1 + 4 * f + max(bends + 1, 0)
                ux, uy, uz = x - points[pivot, 0], y - points[pivot, 1], z - points[pivot, 2]
                ax, ay, az = axes[first + k, 0], axes[first + k, 1], axes[first + k, 2]
                column[count, 0] = ay * uz - az * uy
                column[count, 1] = az * ux - ax * uz
                column[count, 2] = ax * uy - ay * ux
                where[count] = 6 + first + k
                count += 1
        for k in range(count):
            for i in range(k + 1):
                s = column[k, 0] * column[i, 0] + column[k, 1] * column[i, 1] + column[k, 2] * column[i, 2]
                h[where[k], where[i]] += s
            for c in range(3):
                g[where[k]] += column[k, c] * (points[j, c] - labels[j, c])
    for k in range(21):
        h[6 + k, 6 + k] += ease * ease
        g[6 + k] += ease * ease * (a[k] - easy[k])


@jit
def _solve(h, g, free, damping, step):
    """Cholesky's method on the free ones, damped; False where it fails."""
    low = np.zeros((SIZE, SIZE))
    for i in range(SIZE):
        for k in range(i + 1):
            s = h[i, k] if free[i] and free[k] else 0.0
            if i == k:
                s = h[i, i] * (1 + damping) + 1e-9 if free[i] else 1.0
            for m in range(k):
                s -= low[i, m] * low[k, m]
            if i == k:
                if s <= 0:
                    return False
                low[i, i] = np.sqrt(s)
            else:
                low[i, k] = s / low[k, k]
    for i in range(SIZE):
        s = -g[i] if free[i] else 0.0
        for m in range(i):
            s -= low[i, m] * step[m]
        step[i] = s / low[i, i]
    for i in range(SIZE - 1, -1, -1):
        s = step[i]
        for m in range(i + 1, SIZE):
            s -= low[m, i] * step[m]
        step[i] = s / low[i, i]
    return True


@jit
def _moved(q, at, step, new_q, new_at):
    """The palm turned by step[:3] about its own axes and shifted by step[3:6] along them."""
    angle = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    w, share = np.cos(angle / 2), 0.5 if angle < 1e-9 else np.sin(angle / 2) / angle
    x, y, z = share * step[0], share * step[1], share * step[2]
    new_q[0] = q[0] * w - q[1] * x - q[2] * y - q[3] * z
    new_q[1] = q[0] * x + q[1] * w + q[2] * z - q[3] * y
    new_q[2] = q[0] * y - q[1] * z + q[2] * w + q[3] * x
    new_q[3] = q[0] * z + q[1] * y - q[2] * x + q[3] * w
    tx, ty, tz = step[3], step[4], step[5]
    w, x, y, z = q[0], q[1], q[2], q[3]
    ux, uy, uz = 2 * (y * tz - z * ty), 2 * (z * tx - x * tz), 2 * (x * ty - y * tx)
    new_at[0] = at[0] + tx + w * ux + y * uz - z * uy
    new_at[1] = at[1] + ty + w * uy + z * ux - x * uz
    new_at[2] = at[2] + tz + w * uz + x * uy - y * ux


@jit
def fit_joints(
    joints, palms, roots, lengths, starts, low, high, easy, ease, fan, thumb, turns, wrists, angles, costs
):
    """Turn, place and angles of hands whose joints come nearest to given ones.

    Parameters
    ----------
    joints : (N, 21, 3) float64
        mm, in the order of skeleton msra21.
    palms : (N, 4) float64
        First guess of the palm's axes; the wrist's is its joint.
    roots, lengths : (N, 5, 3) float64
        As in `gmaps.synth.hand.HandShape`.
    starts : (K, 21) float64
        Angles to descend from, radians; the best end is kept.
    low, high, easy : (21,) float64
        Limits, and what is preferred where joints do not decide, radians.
    ease
        mm that a radian away from that weighs.
    fan : (4,), thumb : (2,)
        As `gmaps.synth.hand` has them: radians, and a share.
    turns, wrists, angles, costs : (N, 4), (N, 3), (N, 21), (N,) float64
        Results.
    """
    points, moved = np.empty((21, 3)), np.empty((21, 3))
    axes, more = np.empty((21, 3)), np.empty((21, 3))
    labels, shifted = np.empty((21, 3)), np.empty((21, 3))
    h, g, step = np.empty((SIZE, SIZE)), np.empty(SIZE), np.empty(SIZE)
    free = np.empty(SIZE, np.bool_)
    q, at, a = np.empty(4), np.empty(3), np.empty(21)
    new_q, new_at, new_a = np.empty(4), np.empty(3), np.empty(21)
    for n in range(joints.shape[0]):
        costs[n] = np.inf
        for start in range(starts.shape[0]):
            q[:], at[:], a[:] = palms[n], joints[n, 0], starts[start]
            _place(a, roots[n], lengths[n], fan, thumb, points, axes)
            _turned(q, joints[n] - at, labels)
            cost, damping = _cost(points, labels, a, easy, ease), 1e-3
            for _ in range(_STEPS):
                _normal(points, axes, labels, a, easy, ease, h, g)
                for k in range(SIZE):
                    free[k] = True
                for k in range(21):
                    held = (a[k] <= low[k] and g[6 + k] > 0) or (a[k] >= high[k] and g[6 + k] < 0)
                    free[6 + k] = not held
                better, gain = False, 0.0
                while damping < 1e8:
                    if _solve(h, g, free, damping, step):
                        for k in range(21):
                            new_a[k] = min(max(a[k] + min(max(step[6 + k], -0.6), 0.6), low[k]), high[k])
                        _moved(q, at, step, new_q, new_at)
                        _place(new_a, roots[n], lengths[n], fan, thumb, moved, more)
                        _turned(new_q, joints[n] - new_at, shifted)
                        new_cost = _cost(moved, shifted, new_a, easy, ease)
                        if new_cost < cost:
                            better, gain = True, cost - new_cost
                            break
                    damping *= 6.0
                if not better:
                    break
                cost, damping = new_cost, max(damping / 5.0, 1e-9)
                q[:], at[:], a[:] = new_q, new_at, new_a
                points[:], axes[:], labels[:] = moved, more, shifted
                if gain < _ENOUGH * cost:
                    break
            if cost < costs[n]:
                costs[n] = cost
                size = np.sqrt((q * q).sum())
                turns[n], wrists[n], angles[n] = q / size, at, a
