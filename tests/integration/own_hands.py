"""A data set of one's own, as a module beside somebody's script would have it: no distribution announces it."""

from __future__ import annotations

import numpy as np

from gmaps.camera import Camera
from gmaps.datasets import DatasetInfo, Index
from gmaps.frame import Frame
from gmaps.skeleton import get_skeleton


class OwnHands:
    """A flat hand that wanders; its `read` takes no window."""

    info = DatasetInfo("own-hands", "Own hands", "", "", "", "", "msra21", half_side=100.0)
    skeleton = get_skeleton("msra21")
    camera = Camera(80.0, 80.0, 40.0, 30.0, 80, 60)

    def __init__(self, size=10, shift=0.0):
        self.size, self.shift = size, shift

    def __len__(self):
        return self.size

    def index(self):
        n = np.arange(self.size)
        return Index(n, np.zeros(self.size, np.int16), np.zeros(self.size, np.int16), ("me",), ("all",))

    def read(self, i):
        depth = np.zeros((60, 80), np.float32)
        depth[20:40, 30 + i : 50 + i] = 390 + self.shift
        joints = np.stack([np.linspace(-30, 30, 21) + 5 * i, np.zeros(21), np.full(21, 400.0)], axis=1)
        return Frame(depth, self.camera, joints.astype(np.float32), i, 0, 0, f"own {i}")

    def spec(self):
        return {"name": "own-hands", "size": self.size, "shift": self.shift}

    def fingerprint(self):
        return {"size": self.size, "shift": self.shift}


def hands(size: int = 10, shift: float = 0.0) -> OwnHands:
    """Hands that wander."""
    return OwnHands(int(size), float(shift))


def half_a_data_set():
    return object()
