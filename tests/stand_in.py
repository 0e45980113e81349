"""A stand-in for a trained network, for tests of finding and following: it is told the truth of the frame.

It is honest about what it could see: its confidence is the share of the true joints at whose cells the crop shows a
surface just before them. A cube beside the hand, an empty one, or one before which something stands gets little. As a
network that has learnt right hands, it is less sure of what appears to be a left one.
"""

from __future__ import annotations

import numpy as np

from gmaps.crop import CropParams
from gmaps.skeleton import get_skeleton


class StandIn:
    """See the module's docstring; set `joints`, (n, 21, 3) mm, and `left` before each frame."""

    skeleton = get_skeleton("msra21")
    crop_params = CropParams(size=64, half_side=120.0)

    def __init__(self):
        self.joints, self.left, self.judged = np.zeros((0, 21, 3)), False, 0

    def judge(self, crops):
        made = [self._one(crop) for crop in crops]
        self.judged += len(made)
        return np.stack([j for j, _ in made]).astype(np.float32), np.array([c for _, c in made], np.float32)

    def _one(self, crop):
        best = (np.tile(np.asarray(crop.cube.center), (21, 1)), 0.0)
        for joints in self.joints:
            for mirrored in (False, True):
                own = joints.copy()
                if mirrored:
                    own[:, 0] = 2 * crop.cube.center[0] - own[:, 0]
                appears_left = self.left != mirrored
                sure = self._agrees(crop, own) * (0.7 if appears_left else 1.0)
                if sure > best[1]:
                    best = (own, sure)
        return best

    @staticmethod
    def _agrees(crop, joints):
        h = crop.cube.half_side
        at = (joints - np.asarray(crop.cube.center)) / h
        cells = np.floor((at[:, 1::-1] + 1) / 2 * crop.size).astype(int)
        inside = (np.abs(at) < 1).all(axis=1)
        cells = cells.clip(0, crop.size - 1)
        surface = crop.depth[cells[:, 0], cells[:, 1]]
        before = (at[:, 2] - surface) * h
        return float((inside & (surface < 1) & (before > -8) & (before < 40)).mean())
