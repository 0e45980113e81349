"""The flesh of the mean hand at rest, as a signed distance field: what `gmaps.synth.sculpt` cuts the mesh out of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gmaps.synth import turns
from gmaps.synth.hand import MEAN_RADII, REST

Array = NDArray[np.float64]

JOINTS = REST.joints[0]
#: Length of the forearm's stump, mm.
ARM = 64.0


def round_cone(p: Array, a: Array, b: Array, ra: float, rb: float) -> Array:
    """Signed distance to the hull of two spheres (Quilez, "Distance functions")."""
    ba = b - a
    l2 = ba @ ba
    rr = ra - rb
    a2 = l2 - rr * rr
    pa = p - a
    y = pa @ ba
    z = y - l2
    x2 = ((pa * l2 - y[..., None] * ba) ** 2).sum(-1)
    y2, z2 = y * y * l2, z * z * l2
    k = np.sign(rr) * rr * rr * x2
    mantle = (np.sqrt(x2 * a2 / l2) + y * rr) / l2 - ra
    cap_b = np.sqrt(x2 + z2) / l2 - rb
    cap_a = np.sqrt(x2 + y2) / l2 - ra
    result: Array = np.where(np.sign(z) * a2 * z2 > k, cap_b, np.where(np.sign(y) * a2 * y2 < k, cap_a, mantle))
    return result


def smooth(a: Array, b: Array, k: float) -> Array:
    """Minimum with a fillet where both are within k, mm."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - h * h * k / 4


def flat_cone(p: Array, bone: int, a: Array, b: Array, ra: float, rb: float, thick: float) -> Array:
    """A round cone, pressed together along the axis in which the bone bends."""
    z = turns.matrix(REST.turns[0, bone])[:, 2]
    squash = 1 / thick - 1
    q = p + ((p - a) @ z)[..., None] * z * squash
    c = b + ((b - a) @ z) * z * squash
    return round_cone(q, a, c, ra, rb) * min(thick, 1.0)


def finger(p: Array, f: int) -> Array:
    """One of four fingers, or (4) the thumb without its root."""
    first = 1 + 4 * f
    joints, radii = JOINTS[first : first + 4], MEAN_RADII[first : first + 4]
    field = np.full(p.shape[:-1], np.inf)
    for k in range(1 if f == 4 else 0, 3):
        bone = 5 + 3 * f + k
        m = turns.matrix(REST.turns[0, bone])
        a, b, ra, rb = joints[k], joints[k + 1], radii[k], radii[k + 1]
        mid, waist = 0.5 * (a + b), 0.5 * (ra + rb) * (0.94 if k < 2 else 1.0)
        thick = 1.0 if k == 0 else (0.97 if k == 1 else 0.9)
        bone_field = flat_cone(p, bone, a, mid, ra, waist, thick)
        bone_field = smooth(bone_field, flat_cone(p, bone, mid, b, waist, rb, thick), 3.0)
        # The pad of flesh on the inner side.
        pad = mid + m[:, 2] * (0.20 * waist) - m[:, 1] * 0.1 * (ra + rb) * (k == 0)
        reach = m[:, 1] * np.linalg.norm(b - a) * 0.22
        bone_field = smooth(bone_field, round_cone(p, pad - reach, pad + reach, 0.90 * waist, 0.88 * waist), 4.0)
        field = bone_field if k == 0 or (f == 4 and k == 1) else smooth(field, bone_field, 2.5)
    # The knuckle in the middle stands out a little at the back.
    m = turns.matrix(REST.turns[0, 5 + 3 * f + 1])
    knuckle = joints[1] - m[:, 2] * 0.12 * radii[1]
    return smooth(field, np.linalg.norm(p - knuckle, axis=-1) - 0.93 * radii[1], 3.0)


def palm(p: Array) -> Array:
    """Metacarpals, balls of thumb and little finger, pads below the fingers, webs."""
    field = np.full(p.shape[:-1], np.inf)
    carpals = np.array([[12.0, 5, 0.5], [4, 6, -0.5], [-5, 6, -0.5], [-13, 4, 0.5]])
    for f in range(4):
        root = JOINTS[1 + 4 * f]
        r = MEAN_RADII[1 + 4 * f]
        cone = round_cone(p, carpals[f], root + np.array([0, 0, 0.4]), 12.2, r + 0.2)
        field = cone if f == 0 else smooth(field, cone, 8.0)
        field = smooth(
            field, round_cone(p, root + np.array([0, -3, 3.4]), root + np.array([0, 6, 3.0]), r - 1.6, r - 2.4), 7.0
        )  # pad
        field = smooth(field, np.linalg.norm(p - (root - np.array([0, 0, 2.4])), axis=-1) - (r - 1.4), 5.0)  # knuckle
    thumb, tip = JOINTS[17], JOINTS[18]
    thenar = round_cone(p, np.array([11.0, 11, 7]), 0.45 * thumb + 0.55 * tip, 12.0, 12.6)
    thenar = smooth(thenar, round_cone(p, 0.5 * (thumb + tip), tip, 12.4, MEAN_RADII[18] + 0.2), 5.0)
    field = smooth(field, thenar, 12.0)
    little = round_cone(p, np.array([-15.0, 10, 5]), np.array([-26.5, 42, 4]), 12.0, 10.2)
    field = smooth(field, little, 9.0)
    # The web between thumb and index finger, a sheet that hangs between them.
    top, low = 0.30 * JOINTS[17] + 0.70 * JOINTS[18], np.array([25.0, 52, 2])
    for s in np.linspace(0.2, 1.0, 5):
        start = (1 - s) * np.array([18.0, 26, 7]) + s * low
        end = (1 - s) * np.array([18.0, 26, 7]) + s * top
        middle = 0.5 * (start + end) - (np.array([1.0, 1, 0]) * 3.0 * s)
        sheet = smooth(round_cone(p, start, middle, 6.5, 5.2), round_cone(p, middle, end, 5.2, 6.5), 3.0)
        field = smooth(field, sheet, 6.0)
    # The webs between the fingers.
    for f in range(3):
        a0, a1 = JOINTS[1 + 4 * f], JOINTS[2 + 4 * f]
        b0, b1 = JOINTS[5 + 4 * f], JOINTS[6 + 4 * f]
        for share, r in ((0.14, 7.2), (0.34, 5.6)):
            a, b = a0 + share * (a1 - a0), b0 + share * (b1 - b0)
            field = smooth(field, round_cone(p, a + np.array([0, 0, 1.6]), b + np.array([0, 0, 1.6]), r, r), 4.0)
    return field


def arm(p: Array) -> Array:
    """The forearm's stump: an elliptic cone, cut off."""
    q = p * [1.0, 1.0, 1 / 0.72]
    cone = round_cone(q, np.array([0.0, 4, 0]), np.array([0.0, -30, 0]), 25.5, 27.5)
    cone = smooth(cone, round_cone(q, np.array([0.0, -30, 0]), np.array([0.0, -ARM - 30, 0]), 27.5, 33.0), 8.0) * 0.72
    return -smooth(-cone, p[..., 1] + ARM, 12.0)


def flesh(p: Array) -> Array:
    """The whole hand: negative inside, about mm."""
    fingers = np.full(p.shape[:-1], np.inf)
    for f in range(5):
        one = finger(p, f)
        fingers = one if f == 0 else smooth(fingers, one, 2.0)
    return smooth(smooth(palm(p), arm(p), 16.0), fingers, 5.0)


def slope(field: Callable[[Array], Array], p: Array, h: float = 0.05) -> Array:
    """Its gradient, by central differences."""
    steps = np.concatenate([np.eye(3), -np.eye(3)]) * h
    values = field((p[None] + steps[:, None]).reshape(-1, 3)).reshape(6, -1)
    return ((values[:3] - values[3:]) / (2 * h)).T


def to_surface(p: Array, steps: int = 3) -> Array:
    """Newton's steps onto the zero level."""
    for _ in range(steps):
        g = slope(flesh, p)
        p = p - (flesh(p) / np.maximum((g * g).sum(-1), 0.2))[:, None] * g
    return p
