"""Smoothing over time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError

Array = NDArray[np.float64]


class OneEuro:
    """The one-euro filter: what rests is smoothed much, what moves fast hardly, so that it does not lag.

    Parameters
    ----------
    rest
        Cutoff of what does not move, Hz.
    per_speed
        How much it rises, Hz for each mm/s.
    of_speed
        Cutoff of the speed itself, Hz.

    References
    ----------
    Casiez, Roussel and Vogel, "1 Euro Filter" (CHI 2012).
    """

    def __init__(self, rest: float = 0.8, per_speed: float = 0.02, of_speed: float = 1.0) -> None:
        if not (rest > 0 and of_speed > 0 and 0 <= per_speed < math.inf):
            raise UsageError(f"a filter's cutoffs are more than 0 Hz, got {rest}, {per_speed}, {of_speed}")
        self.rest, self.per_speed, self.of_speed = rest, per_speed, of_speed
        self._time = 0.0
        self._value: Array | None = None
        self._speed: Array | None = None

    def reset(self) -> None:
        """Forget what was."""
        self._value = self._speed = None

    def __call__(self, value: NDArray[np.floating], time: float) -> Array:
        """The smoothed value.

        Parameters
        ----------
        value : (..., 3)
            mm. Each joint's three coordinates share one cutoff, that of the joint's speed.
        time
            s; where it does not go forward, the value before is given again.

        Returns
        -------
        (..., 3) float64
            mm.
        """
        now = np.asarray(value, np.float64)
        if self._value is None or self._speed is None:
            self._time, self._value, self._speed = time, now, np.zeros_like(now)
            return now
        step = time - self._time
        if step <= 0:
            return self._value
        self._speed = self._speed + _share(self.of_speed, step) * ((now - self._value) / step - self._speed)
        speed = np.sqrt((self._speed**2).sum(axis=-1, keepdims=True))
        self._value = self._value + _share(self.rest + self.per_speed * speed, step) * (now - self._value)
        self._time = time
        return self._value


def _share(cutoff: Array | float, step: float) -> Array | float:
    """How much of a change a low-pass filter follows in a step of so many s."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * step))
