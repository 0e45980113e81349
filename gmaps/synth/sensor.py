"""What depth cameras do to a perfect image: noise that grows with distance, steps, shadows, lost and mixed pixels.

Two kinds: structured light, whose errors are those of matching a projected pattern, and time of flight, whose pixels
mix the light of all that they see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import UsageError, unknown_name
from gmaps.kernels.sensor_noise import sense_flight, sense_pattern

Depth = NDArray[np.float32]
_RIM = 3


class Sensor(Protocol):
    """A depth camera's faults."""

    def apply(self, depth: Depth, camera: Camera, rng: np.random.Generator) -> Depth:
        """What this sensor would have seen.

        Parameters
        ----------
        depth : (H, W) float32
            mm, 0 where there is nothing.
        camera
            Intrinsics of this image.
        rng
            Its state decides noise and losses.

        Returns
        -------
        (H, W) float32
            A new image.
        """
        ...


def _check(sensor: object, grown: tuple[str, ...], shares: tuple[str, ...], positive: tuple[str, ...]) -> None:
    values = vars(sensor)
    if not all(0 <= values[k] < np.inf for k in grown) or not all(0 < values[k] < np.inf for k in positive):
        raise UsageError(f"a sensor's noise, steps and distances are not negative, got {sensor}")
    if not all(0 <= values[k] <= 1 for k in shares):
        raise UsageError(f"a sensor's losses are shares between 0 and 1, got {sensor}")


@dataclass(frozen=True)
class TimeOfFlight:
    """A time-of-flight camera, such as that of MSRA's recordings.

    Parameters
    ----------
    noise_mm
        Standard deviation at 300 mm; it grows with the square of the distance.
    step_mm
        Depths are multiples of this; 0 leaves them alone.
    mixed
        Share of pixels beside a jump that fly: they lie between the near surface and the far one, or up to `reach_mm`
        behind where there is no far one.
    edge_loss
        Share of lost pixels beside a jump, or beside nothing.
    loss
        Share of lost pixels elsewhere.
    jump_mm
        What counts as a jump.
    reach_mm
        How far behind an outer edge pixels fly.
    """

    noise_mm: float = 0.5
    step_mm: float = 1.0
    mixed: float = 0.15
    edge_loss: float = 0.2
    loss: float = 0.002
    jump_mm: float = 15.0
    reach_mm: float = 25.0

    def __post_init__(self) -> None:
        _check(self, ("noise_mm", "step_mm", "reach_mm"), ("mixed", "edge_loss", "loss"), ("jump_mm",))
        if self.mixed + self.edge_loss > 1:
            raise UsageError(f"mixed and lost pixels are shares of the same edge, got {self}")

    def apply(self, depth: Depth, camera: Camera, rng: np.random.Generator) -> Depth:
        """See `Sensor.apply`. Pixels that saw nothing see nothing."""
        seen, box = np.zeros_like(depth), _box(depth)
        if box is not None:
            shape = depth[box].shape
            normal = rng.standard_normal(shape, np.float32)
            luck, share = rng.random(shape, np.float32), rng.random(shape, np.float32)
            numbers = (
                self.noise_mm,
                self.step_mm,
                self.mixed,
                self.edge_loss,
                self.loss,
                self.jump_mm,
                self.reach_mm,
            )
            sense_flight(depth[box], normal, luck, share, seen[box], *numbers)
        return seen


@dataclass(frozen=True)
class StructuredLight:
    """A camera that matches a projected pattern, such as that of NYU's recordings.

    After Barron and Malik, "Intrinsic Scene Properties from a Single RGB-D Image" (2013), and Handa et al., "A
    Benchmark for RGB-D Visual Odometry" (2014): a pixel takes its depth from a neighbour, and disparity has noise
    and steps, so that errors grow with the square of the distance. What the projector does not see is lost.

    Parameters
    ----------
    baseline_mm
        From the camera to the projector on its right; shadows fall to the left.
    step_px
        Disparities are multiples of this.
    noise_px
        Standard deviation of a disparity.
    jitter_px
        Standard deviation of where a pixel's depth comes from: it frays edges.
    edge_loss
        Share of lost pixels beside a jump, or beside nothing.
    loss
        Share of lost pixels elsewhere.
    jump_mm
        What counts as a jump.
    """

    baseline_mm: float = 75.0
    step_px: float = 0.125
    noise_px: float = 0.06
    jitter_px: float = 0.5
    edge_loss: float = 0.3
    loss: float = 0.003
    jump_mm: float = 20.0

    def __post_init__(self) -> None:
        _check(self, ("noise_px", "jitter_px"), ("edge_loss", "loss"), ("baseline_mm", "step_px", "jump_mm"))

    def apply(self, depth: Depth, camera: Camera, rng: np.random.Generator) -> Depth:
        """See `Sensor.apply`. A pixel beside the hand may see it."""
        seen, box = np.zeros_like(depth), _box(depth)
        if box is not None:
            shape = depth[box].shape
            normal = rng.standard_normal((3, *shape), np.float32)
            luck = rng.random(shape, np.float32)
            numbers = (self.step_px, self.noise_px, self.jitter_px, self.edge_loss, self.loss, self.jump_mm)
            sense_pattern(depth[box], normal, luck, seen[box], camera.fx * self.baseline_mm, *numbers)
        return seen


_KINDS: dict[str, Sensor | None] = {"none": None, "structured": StructuredLight(), "tof": TimeOfFlight()}
#: Names of the sensors; "none" is a perfect camera.
SENSORS: tuple[str, ...] = tuple(_KINDS)


def get_sensor(name: str) -> Sensor | None:
    """A sensor by name, with its usual numbers.

    Raises
    ------
    UnknownNameError
        With the nearest name.
    """
    if name not in _KINDS:
        raise unknown_name("sensor", name, _KINDS)
    return _KINDS[name]


def _box(depth: Depth) -> tuple[slice, slice] | None:
    """Rows and columns that hold something, and `_RIM` more: what is seen may fray."""
    rows = np.flatnonzero(depth.any(axis=1))
    if not len(rows):
        return None
    cols = np.flatnonzero(depth[rows[0] : rows[-1] + 1].any(axis=0))
    return (
        slice(max(rows[0] - _RIM, 0), rows[-1] + 1 + _RIM),
        slice(max(cols[0] - _RIM, 0), cols[-1] + 1 + _RIM),
    )
