"""Many samples of a store on one sheet: a look tells whether cubes, joints and maps are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gmaps.errors import StoreError, UsageError
from gmaps.plot.sample import bare, draw_bones, draw_misses, grey_limits
from gmaps.skeleton import Skeleton
from gmaps.store import Sample, Store

if TYPE_CHECKING:
    from gmaps.evaluation.of_store import Judged

#: More than this on one sheet nobody can look at.
MOST = 400


def choose_rows(store: Store, count: int, seed: int) -> list[int]:
    """Random rows of a store that hold a crop, ascending.

    Raises
    ------
    StoreError
        There are none.
    """
    valid = np.flatnonzero(store.column("valid"))
    if not len(valid):
        raise StoreError(f"{store.path} holds no frame with a crop: `gmaps inspect store` says why")
    return sorted(np.random.default_rng(seed).permutation(valid)[:count].tolist())


def sheet_figure(
    samples: Sequence[Sample],
    skeleton: Skeleton,
    *,
    kind: str | None = None,
    joint: int | None = None,
    predicted: Judged | None = None,
) -> Figure:
    """Crops with their joints, a panel each, numbered by row.

    Parameters
    ----------
    samples
        Of one store; a rejected one is an empty panel that says so.
    skeleton
        Of their joints.
    kind
        Draw this map over each crop instead of its depth: one with a channel for each joint.
    joint
        Whose channel.
    predicted
        Draw its joints over the true ones, crosses at the ends of red lines, and say by how much they miss.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    UsageError
        Nothing, or too much to draw; a kind that the samples lack, or one whose channels are no joints.
    """
    if not 1 <= len(samples) <= MOST:
        raise UsageError(f"a sheet shows 1 to {MOST} samples, got {len(samples)}")
    columns = math.ceil(math.sqrt(len(samples) * 1.5))
    rows = math.ceil(len(samples) / columns)
    figure = Figure(figsize=(1.9 * columns, 2.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, sample in zip(panels, samples, strict=False):
        if not sample.valid:
            bare(axes, f"row {sample.index}: rejected")
            continue
        _panel(axes, sample, skeleton, None if kind is None else _channel(sample, kind, joint, skeleton), joint)
        found = None if predicted is None else predicted.of_row(sample.index)
        if predicted is not None and found is not None:
            draw_misses(axes, sample.crop, found, predicted.evaluated, 2.4)
            bare(axes, f"row {sample.index}: {predicted.error_of(sample.index):.1f} mm")
            axes.title.set_fontsize(7)
    return figure


def _channel(sample: Sample, kind: str, joint: int | None, skeleton: Skeleton) -> NDArray[np.float32]:
    if kind not in sample.maps:
        raise UsageError(f"the store has no map {kind!r}; it has {', '.join(sample.maps) or 'none'}")
    values = sample.maps[kind]
    if values.ndim != 3 or values.shape[-1] not in (1, len(skeleton)):
        raise UsageError(f"a sheet shows maps with one channel, or one a joint; {kind} has {values.shape[-1]}")
    if values.shape[-1] > 1 and joint is None:
        raise UsageError(f"{kind} has a channel for each joint: say which with --joint")
    return values[..., 0 if values.shape[-1] == 1 else joint]


def _panel(
    axes: Axes, sample: Sample, skeleton: Skeleton, values: NDArray[np.float32] | None, joint: int | None
) -> None:
    crop = sample.crop
    px = crop.joints_px(crop.size)
    extent = (-0.5, crop.size - 0.5, crop.size - 0.5, -0.5)
    if values is None and crop.flat and crop.color is not None:
        axes.imshow(crop.color)
    elif values is None:
        shown = np.where(crop.mask, crop.depth, np.nan)
        white, black = grey_limits(-1.0, 1.0) if not crop.mask.any() else grey_limits(*_ends(shown))
        axes.imshow(shown, cmap="gray_r", vmin=white, vmax=black, extent=extent)
        draw_bones(axes, px, skeleton, 2.2)
    else:
        axes.imshow(np.where(values == 0, np.nan, values), cmap="viridis", extent=extent)
        axes.contour(crop.mask, [0.5], colors="black", linewidths=0.5)
    if joint is not None:
        axes.plot(px[joint, 1], px[joint, 0], "o", ms=5, mfc="none", mec="red", mew=1.2)
    axes.set_xlim(-0.5, crop.size - 0.5)
    axes.set_ylim(crop.size - 0.5, -0.5)
    bare(axes, f"row {sample.index}")
    axes.title.set_fontsize(7)


def _ends(values: NDArray[np.float32]) -> tuple[float, float]:
    return float(np.nanmin(values)), float(np.nanmax(values))
