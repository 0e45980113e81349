"""Hands of a latent space on one sheet: depth, with the joints of both decoders over it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gmaps.errors import UsageError
from gmaps.plot.sample import draw_bones, grey_limits

if TYPE_CHECKING:
    from gmaps.inference.latent import LatentHands

#: More on one sheet nobody can look at.
MOST = 400


def latent_figure(hands: LatentHands, columns: int | None = None) -> Figure:
    """A panel a hand: its depth or colour, its bones in 2D, and crosses where its joints in 3D lie in the plane.

    Parameters
    ----------
    hands
        At most `MOST` of them.
    columns
        Panels side by side; about square by default.

    Raises
    ------
    UsageError
        Too many.
    """
    count = len(hands.z)
    if not 1 <= count <= MOST:
        raise UsageError(f"a picture shows 1 to {MOST} hands, not {count}")
    wide = columns or math.ceil(math.sqrt(count * 1.4))
    rows = math.ceil(count / wide)
    figure = Figure(figsize=(1.35 * wide, 1.35 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for k, axes in enumerate(figure.subplots(rows, wide, squeeze=False).ravel()):
        axes.set_axis_off()
        if k < count:
            _panel(axes, hands, k)
    return figure


def _panel(axes: Axes, hands: LatentHands, k: int) -> None:
    extent = (-1, 1, 1, -1)
    if hands.depth is not None:
        shown = np.where(hands.depth[k] < 1, hands.depth[k], np.nan)
        near, far = (np.nanmin(shown), np.nanmax(shown)) if np.isfinite(shown).any() else (-1.0, 1.0)
        white, black = grey_limits(float(near), float(far))
        axes.imshow(shown, cmap="gray_r", vmin=white, vmax=black, extent=extent)
    elif hands.color is not None:
        axes.imshow(hands.color[k], extent=extent)
    flat = None if hands.joints3d is None or hands.perspective else hands.joints3d[k, :, :2] / hands.half_side
    if hands.joints2d is not None:
        draw_bones(axes, hands.joints2d[k][:, ::-1], hands.skeleton, 1.6)
    elif flat is not None:
        draw_bones(axes, flat[:, ::-1], hands.skeleton, 1.6)
    if flat is not None and hands.joints2d is not None:
        axes.plot(flat[:, 0], flat[:, 1], "x", color="black", ms=2.2, mew=0.6, zorder=5)
    axes.set_xlim(-1, 1)
    axes.set_ylim(1, -1)
    axes.set_aspect("equal")
