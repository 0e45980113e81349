"""Pictures of a sample: its depth with the joints, and its maps."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gmaps.errors import OutputError
from gmaps.formats.outputs import holds, replacing
from gmaps.frame import Crop
from gmaps.maps import Scene, get_map
from gmaps.maps.scene import Profile
from gmaps.maps.volumetric import as_image
from gmaps.skeleton import Skeleton
from gmaps.store import Sample

if TYPE_CHECKING:
    from gmaps.evaluation.of_store import Judged

#: What Matplotlib leaves in its files; images of a camera do not have it.
DRAWN = holds(b"atplotlib")
#: Maps of a sample are shown for this many joints.
_SHOWN = 4


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: int = 110) -> None:
    """Write a figure; the suffix decides the format, `dpi` the size of its pixels.

    Raises
    ------
    OutputError
        The directory does not exist, the suffix names no format, or the file there is no picture that was drawn.
    """
    with replacing(path, DRAWN) as place:
        try:
            figure.savefig(place, dpi=dpi)
        except ValueError as error:
            raise OutputError(f"{os.fspath(path)}: the picture cannot be written: {error}") from None


def draw_bones(axes: Axes, px: NDArray[np.floating], skeleton: Skeleton, size: float = 5.0) -> None:
    """Skeleton over an image; `px` is (J, 2), (row, col)."""
    for parent, child in skeleton.bones:
        axes.plot(px[[parent, child], 1], px[[parent, child], 0], "-", color=skeleton.colour(child), lw=1.6, zorder=2)
    colours = [skeleton.colour(j) for j in range(len(skeleton))]
    axes.scatter(px[:, 1], px[:, 0], s=size**2, c=colours, edgecolors="white", linewidths=0.6, zorder=3)


def draw_misses(
    axes: Axes, crop: Crop, joints_mm: NDArray[np.floating], evaluated: Sequence[int], size: float
) -> None:
    """Predicted joints (E, 3) mm as crosses, each with a red line to the true one of these numbers."""
    true = crop.joints_px(crop.size)[list(evaluated)]
    found = replace(crop, joints_mm=np.asarray(joints_mm, np.float32)).joints_px(crop.size)
    for a, b in zip(true, found, strict=True):
        axes.plot([a[1], b[1]], [a[0], b[0]], "-", color="red", lw=0.35 * size, zorder=4)
    axes.plot(found[:, 1], found[:, 0], "x", color="black", ms=size + 1, mew=0.35 * size, zorder=5)


def grey_limits(near: float, far: float) -> tuple[float, float]:
    """Depths shown as white and as black: the nearest is light grey, for white is what saw nothing."""
    return near - 0.3 * max(far - near, 1.0), far


def bare(axes: Axes, title: str) -> None:
    """A title, and no ticks: for pictures whose pixels are nobody's coordinates."""
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def _fingertips(skeleton: Skeleton) -> list[int]:
    """A few joints that tell most: the root of the palm, then tips, thumb to little."""
    fingers = [m for name, m in skeleton.fingers.items() if name != "palm" and m]
    tips = [members[-1] for members in fingers]
    roots = [j for j, p in enumerate(skeleton.parents) if p < 0]
    chosen = [*roots[:1], *tips[-1:], *tips[:1], *tips[len(tips) // 2 :][:1]]
    return list(dict.fromkeys(chosen))[:_SHOWN]


def sample_figure(
    sample: Sample,
    skeleton: Skeleton,
    *,
    joint: int | None = None,
    profile: Profile = "default",
    predicted: Judged | None = None,
) -> Figure:
    """A sample of a store: depth with its skeleton, and its maps.

    Parameters
    ----------
    sample
        A valid row.
    skeleton
        Of its joints.
    joint
        Show the maps of this joint only, larger; by default those of the wrist and three fingertips.
    profile
        Of the maps: whose silhouette is outlined.
    predicted
        Draw its joints over the true ones: crosses, at the ends of red lines.

    Returns
    -------
    matplotlib Figure
        One row of panels a map kind; kinds with one channel stand beside the depth image.

    Raises
    ------
    StoreError
        For a rejected row.
    """
    crop = sample.crop
    joints = _fingertips(skeleton) if joint is None else [joint]
    flat = {n: as_image(m) for n, m in sample.maps.items() if m.ndim > 2}
    single = [n for n, m in flat.items() if m.shape[-1] != len(skeleton)]
    per_joint = [n for n, m in flat.items() if m.shape[-1] == len(skeleton)]
    if joint is None:
        extra_at = len(single)  # colour stands behind the kinds of one channel
        rows, columns = 1 + len(per_joint), max(_SHOWN, 1 + len(single) + (crop.color is not None))
    else:
        columns, extra_at = 3, len(single) + len(per_joint)
        rows = math.ceil((1 + extra_at + (crop.color is not None)) / columns)
    figure = Figure(figsize=(2.6 * columns + 0.6, 2.55 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = list(grid.flat)
    for axes in panels:
        axes.set_axis_off()
    depth_panel(figure, panels[0], sample, skeleton, joint)
    found = None if predicted is None else predicted.of_row(sample.index)
    if predicted is not None and found is not None:
        draw_misses(panels[0], crop, found, predicted.evaluated, 3.0)
        bare(panels[0], f"true (dots), {predicted.name} (crosses):\n{predicted.error_of(sample.index):.1f} mm apart")
    if crop.color is not None and not crop.flat:
        _color_panel(panels[1 + extra_at], crop.color)
    for axes, name in zip(panels[1:], single, strict=False):
        _map_panel(figure, axes, sample, name, flat[name][..., 0], None, skeleton, profile)
    if joint is None:
        for row, name in enumerate(per_joint, 1):
            for column, j in enumerate(joints):
                _map_panel(figure, grid[row][column], sample, name, flat[name][..., j], j, skeleton, profile)
    else:
        for axes, name in zip(panels[1 + len(single) :], per_joint, strict=False):
            _map_panel(figure, axes, sample, name, flat[name][..., joint], joint, skeleton, profile)
    x, y, z = crop.cube.center
    figure.suptitle(
        f"sample {sample.index} (frame {sample.frame}), cube around ({x:.0f}, {y:.0f}, {z:.0f}) mm, "
        f"half side {crop.cube.half_side:g} mm",
        fontsize=10,
    )
    return figure


def _color_panel(axes: Axes, color: NDArray[np.uint8]) -> None:
    axes.set_axis_on()
    axes.imshow(color)
    bare(axes, "colour")


def depth_panel(figure: Figure, axes: Axes, sample: Sample, skeleton: Skeleton, joint: int | None) -> None:
    crop = sample.crop
    axes.set_axis_on()
    if crop.flat and crop.color is not None:
        _color_panel(axes, crop.color)
        draw_bones(axes, crop.joints_px(crop.size), skeleton)
        return
    mm = np.where(crop.mask, crop.depth * crop.cube.half_side + crop.cube.center[2], np.nan)
    white, black = grey_limits(float(np.nanmin(mm)), float(np.nanmax(mm)))
    image = axes.imshow(mm, cmap="gray_r", vmin=white, vmax=black)
    px = crop.joints_px(crop.size)
    draw_bones(axes, px, skeleton, 3.5)
    if joint is not None:
        axes.scatter(
            px[joint, 1], px[joint, 0], s=110, facecolors="none", edgecolors="black", linewidths=1.5, zorder=4
        )
    axes.set_xlim(-0.5, crop.size - 0.5)
    axes.set_ylim(crop.size - 0.5, -0.5)
    bare(axes, "depth and joints")
    bar(figure, image, axes, "mm")


def bar(figure: Figure, image: Any, axes: Axes, label: str) -> None:
    """A small colour bar beside a panel."""
    made = figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    made.ax.tick_params(labelsize=7)
    made.set_label(label, fontsize=7)


def _map_panel(
    figure: Figure,
    axes: Axes,
    sample: Sample,
    name: str,
    values: NDArray[np.float32],
    joint: int | None,
    skeleton: Skeleton,
    profile: Profile,
) -> None:
    size = values.shape[0]
    low, high = get_map(name).value_range
    silhouette = Scene(sample.crop, size, profile).silhouette
    axes.set_axis_on()
    if math.isfinite(low) and low >= 0:
        # Void is no small value but no value: leave it blank where the map says nothing there.
        shown = np.where(silhouette | (values > 1e-3), values, np.nan)
        image = axes.imshow(shown, cmap="viridis", vmin=low, vmax=high)
    else:
        largest = float(np.abs(values).max()) or 1.0
        image = axes.imshow(values, cmap="RdBu", vmin=-largest, vmax=largest)
    if silhouette.any() and not silhouette.all():
        axes.contour(silhouette, [0.5], colors="black", linewidths=0.8)
    first = get_map(name).channel_names(skeleton)[0]
    title = f"{name}\n{first}" if first and values.ndim == 2 else name
    if joint is not None:
        px = sample.crop.joints_px(size)[joint]
        axes.plot(px[1], px[0], "o", ms=6, mfc="none", mec="red", mew=1.5)
        title = f"{name}\n{skeleton.joints[joint]}"
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    bare(axes, title)
    bar(figure, image, axes, get_map(name).unit)
