"""What `gmaps predict --frame` and `gmaps fit --frame` share: one depth image, and its joints on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ._terminal import echo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gmaps.camera import Camera


def read_frame(path: str, mm: float, options: dict[str, Any]) -> tuple[NDArray[np.float32], Camera]:
    """The image, mm, and its camera, from `--camera`; `--range` is checked, too.

    Raises
    ------
    UsageError
        No camera, or no range.
    """
    from gmaps.camera import Camera
    from gmaps.inference.predictor import check_range, read_depth

    if options["camera"] is None:
        raise click.UsageError("--frame needs --camera FX,FY,CX,CY")
    check_range(options["depth_range"])
    depth = read_depth(path, mm)
    fx, fy, cx, cy = options["camera"]
    return depth, Camera(fx, fy, cx, cy, depth.shape[1], depth.shape[0])


def echo_joints(joints: Mapping[str, Sequence[float]]) -> None:
    """A line a joint: its name, x y z in mm."""
    for name, (x, y, z) in joints.items():
        echo(f"{name:<12} {x:8.1f} {y:8.1f} {z:8.1f}")
