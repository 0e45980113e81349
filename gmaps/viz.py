"""Every picture of gmaps, by its public name: see the page on pictures. Needs matplotlib, and no display."""

from __future__ import annotations

from gmaps.plot.curves import draw_success, evaluation_figure, save_figures
from gmaps.plot.maps_figure import kind_figure
from gmaps.plot.overlay import Fit, frame_figure, measure_fit
from gmaps.plot.sample import bare, draw_bones, draw_misses, grey_limits, sample_figure, save_figure
from gmaps.plot.sheet import choose_rows, sheet_figure

__all__ = [
    "Fit",
    "bare",
    "choose_rows",
    "draw_bones",
    "draw_misses",
    "draw_success",
    "evaluation_figure",
    "frame_figure",
    "grey_limits",
    "kind_figure",
    "measure_fit",
    "sample_figure",
    "save_figure",
    "save_figures",
    "sheet_figure",
]
