"""What a depth camera does to a perfect image: noise that grows with distance, steps, and lost pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError


@dataclass(frozen=True)
class Sensor:
    """A simple consumer depth camera.

    Parameters
    ----------
    noise_mm
        Standard deviation at 300 mm; it grows with the square of the distance.
    step_mm
        Depths are multiples of this; 0 leaves them alone.
    edge_loss
        Share of lost pixels among those beside a jump of more than `jump_mm`, or beside nothing.
    loss
        Share of lost pixels elsewhere.
    jump_mm
        What counts as a jump.
    """

    noise_mm: float = 0.5
    step_mm: float = 1.0
    edge_loss: float = 0.25
    loss: float = 0.002
    jump_mm: float = 15.0

    def __post_init__(self) -> None:
        if not (self.noise_mm >= 0 and self.step_mm >= 0 and self.jump_mm > 0):
            raise UsageError(f"a sensor's noise, step and jump are not negative, got {self}")
        if not (0 <= self.edge_loss <= 1 and 0 <= self.loss <= 1):
            raise UsageError(f"a sensor's losses are shares between 0 and 1, got {self}")

    def apply(self, depth: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """What this sensor would have seen.

        Parameters
        ----------
        depth : (H, W) float32
            mm, 0 where there is nothing.
        rng
            Its state decides noise and losses.

        Returns
        -------
        (H, W) float32
            A new image. Pixels that saw nothing see nothing; some others neither.
        """
        seen = np.zeros_like(depth)
        rows, cols = np.flatnonzero(depth.any(axis=1)), np.flatnonzero(depth.any(axis=0))
        if len(rows):
            box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
            shape = depth[box].shape
            normal = rng.standard_normal(shape, dtype=np.float32)
            uniform = rng.random(shape, dtype=np.float32)
            _sense(depth[box], normal, uniform, seen[box], *self._numbers())
        return seen

    def _numbers(self) -> tuple[float, ...]:
        return self.noise_mm, self.step_mm, self.edge_loss, self.loss, self.jump_mm


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _sense(depth, normal, uniform, seen, noise, step, edge_loss, loss, jump):
    rows, cols = depth.shape
    for r in range(rows):
        for c in range(cols):
            z = depth[r, c]
            if z == 0:
                continue
            edge = r == 0 or c == 0 or r == rows - 1 or c == cols - 1
            if not edge:
                # Nothing is 0, and so a jump as well.
                edge = (
                    abs(depth[r - 1, c] - z) > jump
                    or abs(depth[r + 1, c] - z) > jump
                    or abs(depth[r, c - 1] - z) > jump
                    or abs(depth[r, c + 1] - z) > jump
                )
            if uniform[r, c] < (edge_loss if edge else loss):
                continue
            z = z + noise * (z / 300.0) ** 2 * normal[r, c]
            if step > 0:
                z = np.rint(z / step) * step
            seen[r, c] = max(z, 0.0)
