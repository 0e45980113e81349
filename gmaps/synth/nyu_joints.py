"""NYU's 36 joints of a hand of 21."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.synth import turns
from gmaps.synth.hand import follow_joints

# NYU's six palm points in palm axes, as shares of the distance from wrist to knuckles; fitted to its labels. The
# wrist's two points lie below the wrist.
_NYU_PALM = np.array([[-16, -25, 0], [16, -25, 0], [3, 50, 0], [-22, 38, 0], [0, 22, 0], [0, -30, 0]]) / 72.0


def nyu_joints(joints: ArrayLike) -> NDArray[np.float64]:
    """NYU's 36 points of hands of 21 joints.

    A finger's six points are its tip, two thirds of the last bone, the middle of the middle one, the middle joint,
    the middle of the first bone, the knuckle; the thumb's tip, last joint, middle, joint, middle, root.

    Parameters
    ----------
    joints : (N, 21, 3)
        mm, any axes, in the order of skeleton msra21.

    Returns
    -------
    (N, 36, 3) float64
        mm, same axes, in the order of skeleton nyu36.
    """
    own = np.asarray(joints, np.float64)
    pose, roots, _ = follow_joints(own)
    out = np.empty((len(own), 36, 3))
    for place, first in enumerate((13, 9, 5, 1, 17)):  # little finger first, thumb last
        root, near, far, tip = (own[:, first + k] for k in range(4))
        last = far if first == 17 else tip + 0.65 * (far - tip)
        middle = 0.5 * (near + far)
        joint = near
        out[:, 6 * place : 6 * place + 6] = np.stack([tip, last, middle, joint, 0.5 * (root + near), root], axis=1)
    reach = np.sqrt((roots[:, :4] ** 2).sum(-1)).mean(axis=1)
    out[:, 30:] = own[:, :1] + turns.apply(pose.palm[:, None], reach[:, None, None] * _NYU_PALM)
    return out
