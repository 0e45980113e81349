"""The pictures that papers print: success curves, bars joint by joint, error by viewpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gmaps.errors import OutputError, UsageError
from gmaps.evaluation.evaluate import Evaluation
from gmaps.evaluation.metrics import THRESHOLDS_MM, Over
from gmaps.evaluation.viewpoint import viewpoint_curves
from gmaps.plot.sample import save_figure

_STYLES = ("-", "--", "-.", ":")
_LABELS: dict[Over, tuple[str, str]] = {
    "max": ("largest joint error allowed (mm)", "frames with all joints within (%)"),
    "mean": ("mean joint error allowed (mm)", "frames with their mean within (%)"),
    "joint": ("joint error allowed (mm)", "joints within (%)"),
}


def _colour(k: int) -> tuple[float, float, float, float]:
    return colormaps["tab10"](k % 10)


def _legend(axes: Axes, count: int, place: Literal["lower left", "lower right", "upper left"]) -> None:
    axes.legend(loc=place, fontsize=8 if count <= 10 else 6, framealpha=0.9)


def draw_success(axes: Axes, found: Sequence[Evaluation], over: Over = "max") -> None:
    """Success curves over 0 to 84 mm.

    Parameters
    ----------
    axes
        Where.
    found
        One a curve.
    over
        As `success_rate` takes it.
    """
    for k, e in enumerate(found):
        label = f"{e.name} (AUC {e.area(over):.3f})"
        axes.plot(THRESHOLDS_MM, 100 * e.success(over), _STYLES[k // 10 % 4], color=_colour(k), lw=1.6, label=label)
    axes.set_xlabel(_LABELS[over][0])
    axes.set_ylabel(_LABELS[over][1])
    axes.set_xlim(0, 80)
    axes.set_ylim(0, 100)
    axes.set_xticks(range(0, 81, 10))
    axes.set_yticks(range(0, 101, 10))
    axes.grid(alpha=0.3)
    _legend(axes, len(found), "lower right")


def draw_joints(axes: Axes, found: Sequence[Evaluation]) -> None:
    """Bars of each joint's mean error, and of the mean over all, in the order in which the field prints them."""
    names = [*found[0].joint_means, "Mean"]
    width = 0.85 / len(found)
    for k, e in enumerate(found):
        heights = [*e.joint_means.values(), e.mean_error]
        at = np.arange(len(names)) + (k - (len(found) - 1) / 2) * width
        axes.bar(at, heights, width, color=_colour(k), label=f"{e.name} ({e.mean_error:.2f} mm)")
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.axvline(len(names) - 1.5, color="grey", lw=0.8, ls=":")
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylabel("mean error (mm)")
    # Room for the legend above the bars.
    axes.set_ylim(0, axes.get_ylim()[1] * (1.12 + 0.05 * min(len(found), 10)))
    axes.set_axisbelow(True)
    axes.grid(axis="y", alpha=0.3)
    _legend(axes, len(found), "upper left")


def draw_viewpoint(axes: Axes, found: Sequence[Evaluation], angle: str = "yaw") -> None:
    """Mean error by yaw or pitch, in bins of two degrees; bins without a frame are left out.

    Parameters
    ----------
    axes
        Where.
    found
        Evaluations that have angles.
    angle
        "yaw" or "pitch".
    """
    for k, e in enumerate(found):
        if e.angles is None:
            raise UsageError(f"{e.name} has no angles to draw its error by {angle}")
        middle, mean, count = viewpoint_curves(e.errors, e.angles)[angle]
        axes.plot(
            middle[count > 0],
            mean[count > 0],
            _STYLES[k // 10 % 4],
            color=_colour(k),
            lw=1.6,
            label=e.name,
            marker=".",
            ms=4,
        )
    axes.set_xlabel(f"{angle} (degrees{', from the joints' if found[0].derived_angles else ''})")
    axes.set_ylabel("mean error (mm)")
    axes.set_xlim((-40, 40) if angle == "yaw" else (-10, 90))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    _legend(axes, len(found), "lower left")


def _panels(found: Sequence[Evaluation]) -> dict[str, Callable[[Axes], None]]:
    """File name -> what draws it."""
    panels: dict[str, Callable[[Axes], None]] = {
        "joints": lambda a: draw_joints(a, found),
        "success_max": lambda a: draw_success(a, found, "max"),
        "success_mean": lambda a: draw_success(a, found, "mean"),
        "success_joint": lambda a: draw_success(a, found, "joint"),
    }
    if all(e.angles is not None for e in found):
        panels["yaw"] = lambda a: draw_viewpoint(a, found, "yaw")
        panels["pitch"] = lambda a: draw_viewpoint(a, found, "pitch")
    return panels


def _figure(rows: int, columns: int, title: str) -> Figure:
    figure = Figure(figsize=(7.2 * columns, 4.8 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    return figure


def evaluation_figure(found: Sequence[Evaluation]) -> Figure:
    """All panels in one figure.

    Parameters
    ----------
    found
        Evaluations of one data set, one a method.

    Returns
    -------
    matplotlib Figure
    """
    panels = _panels(found)
    rows = len(panels) // 2
    figure = _figure(rows, 2, _title(found))
    for axes, draw in zip(figure.subplots(rows, 2).flat, panels.values(), strict=True):
        draw(axes)
    return figure


def save_figures(found: Sequence[Evaluation], place: str | os.PathLike[str]) -> list[Path]:
    """Write the pictures.

    Parameters
    ----------
    found
        Evaluations of one data set, one a method.
    place
        A file (`P.png`, or another suffix that names a format): all panels in one picture. A directory, made where
        it does not exist: a picture each.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OutputError
        The place cannot be written, or something is there that was not drawn.
    """
    place = Path(place)
    try:
        if place.suffix and not place.is_dir():
            save_figure(evaluation_figure(found), place, dpi=120)
            return [place]
        place.mkdir(parents=True, exist_ok=True)
        written = []
        for name, draw in _panels(found).items():
            figure = _figure(1, 1, _title(found))
            draw(figure.subplots())
            save_figure(figure, place / f"{name}.png", dpi=120)
            written.append(place / f"{name}.png")
        return written
    except OSError as error:
        raise OutputError(f"{place}: the pictures cannot be written: {error.strerror or error}") from None


def _title(found: Sequence[Evaluation]) -> str:
    n, j = found[0].errors.shape
    return f"{found[0].protocol.name}: {n:,} frames, {j} joints"
