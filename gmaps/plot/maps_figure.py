"""A picture of one kind of map, on a hand that one recognises."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gmaps.maps.kind import MapKind
from gmaps.plot.sample import bar, bare, depth_panel, sample_figure
from gmaps.skeleton import Skeleton
from gmaps.store import Sample

#: Frame of the embedded data set that pictures show, and the joint whose channels they show.
FRAME, JOINT = 42, "index_tip"
_MOST = 8
#: The two axes of a picture of voxels seen along the third: (columns, rows).
_SEEN = {"z": ("x", "y"), "y": ("x", "z"), "x": ("z", "y")}


def kind_figure(kind: str) -> Figure:
    """A map kind on the embedded data set's frame 42.

    Parameters
    ----------
    kind
        Its name.

    Returns
    -------
    matplotlib Figure
        Kinds with one channel, or one a joint, as `sample_figure` draws them. Of others the channels of one joint,
        each under its name, directions as arrows too; voxels along z, y and x.
    """
    from gmaps.maps import get_map

    found = get_map(kind)
    sample, skeleton = _sample(found)
    values = sample.maps[kind]
    if values.ndim == 3 and values.shape[-1] in (1, len(skeleton)) and found.views == 1:
        return sample_figure(sample, skeleton)
    if values.ndim == 1:
        return _numbers(sample, skeleton, found, values)
    channels = shown_channels(found.channel_names(skeleton), JOINT)
    draw = {2: _points, 3: _planes}.get(values.ndim, _voxels)
    return draw(sample, skeleton, found, channels)


def shown_channels(names: tuple[str, ...], joint: str) -> dict[str, int]:
    """Name -> number of the channels that are of a joint; where none is, the first few of all."""
    own = {name: k for k, name in enumerate(names) if name == joint or name.startswith((f"{joint} ", f"{joint},"))}
    return own or {name or "all": k for k, name in enumerate(names[:_MOST])}


def _sample(kind: MapKind) -> tuple[Sample, Skeleton]:
    from gmaps.crop import CropParams, crop_dataset_frame
    from gmaps.datasets import load_dataset
    from gmaps.maps import encode

    data = load_dataset("synthetic", frames=64)
    frame = data.read(FRAME)
    crop = crop_dataset_frame(frame, data.info.depth_range, CropParams())
    maps = encode(crop, (kind.name,), skeleton=data.skeleton)
    return Sample(
        FRAME, frame.index, frame.subject, frame.sequence, True, crop.joints_mm, crop.cube, crop.depth, dict(maps),
        maps.scale,
    ), data.skeleton  # fmt: skip


def _panels(count: int, title: str) -> tuple[Figure, list[Axes]]:
    columns = min(count, 4)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(2.9 * columns + 0.6, 2.75 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    figure.suptitle(title, fontsize=10)
    return figure, panels


def _draw(figure: Figure, axes: Axes, values: NDArray[np.float32], kind: MapKind, title: str) -> None:
    axes.set_axis_on()
    low, high = kind.value_range
    if math.isfinite(low) and low >= 0:
        image = axes.imshow(np.where(values == 0, np.nan, values), cmap="viridis", vmin=low, vmax=high)
    else:
        largest = float(np.abs(values).max()) or 1.0
        image = axes.imshow(np.where(values == 0, np.nan, values), cmap="RdBu", vmin=-largest, vmax=largest)
    bare(axes, title)
    bar(figure, image, axes, kind.unit)


def _planes(sample: Sample, skeleton: Skeleton, kind: MapKind, channels: dict[str, int]) -> Figure:
    values = sample.maps[kind.name]
    arrows = [channels.get(f"{JOINT} {x}", channels.get(f"{JOINT} {u}")) for x, u in ("xu", "yv")]
    pointed = None not in arrows
    figure, panels = _panels(1 + len(channels) + pointed, f"{kind.name}: {kind.summary}")
    joint = skeleton.joints.index(JOINT)
    depth_panel(figure, panels[0], sample, skeleton, joint)
    for axes, (name, k) in zip(panels[1:], channels.items(), strict=False):
        _draw(figure, axes, values[..., k], kind, name)
    if pointed:
        axes = panels[1 + len(channels)]
        axes.set_axis_on()
        step = max(values.shape[0] // 24, 1)
        rows, columns = np.nonzero(values[::step, ::step, arrows[0]])
        x, y = (values[rows * step, columns * step, k] for k in arrows)
        axes.quiver(columns * step, rows * step, x, y, np.hypot(x, y), cmap="viridis", angles="xy", pivot="mid")
        px = sample.crop.joints_px(values.shape[0])[joint]
        axes.plot(px[1], px[0], "o", ms=7, mfc="none", mec="red", mew=1.5)
        axes.set_xlim(-0.5, values.shape[0] - 0.5)
        axes.set_ylim(values.shape[0] - 0.5, -0.5)
        axes.set_aspect("equal")
        bare(axes, f"arrows to {JOINT}")
    return figure


def _points(sample: Sample, skeleton: Skeleton, kind: MapKind, channels: dict[str, int]) -> Figure:
    """What points have, each drawn where it lies in the crop."""
    from gmaps.maps.points import chosen

    rows, columns = chosen(sample.crop, len(sample.maps[kind.name]))
    figure, panels = _panels(1 + len(channels), f"{kind.name}: {kind.summary}")
    depth_panel(figure, panels[0], sample, skeleton, skeleton.joints.index(JOINT))
    for axes, (name, k) in zip(panels[1:], channels.items(), strict=False):
        values = sample.maps[kind.name][:, k]
        largest = float(np.abs(values).max()) or 1.0
        axes.set_axis_on()
        image = axes.scatter(columns, rows, s=2, c=values, cmap="RdBu", vmin=-largest, vmax=largest)
        axes.set_facecolor("lightgrey")
        axes.set_xlim(-0.5, sample.crop.size - 0.5)
        axes.set_ylim(sample.crop.size - 0.5, -0.5)
        axes.set_aspect("equal")
        bare(axes, name)
        bar(figure, image, axes, kind.unit)
    return figure


def _voxels(sample: Sample, skeleton: Skeleton, kind: MapKind, channels: dict[str, int]) -> Figure:
    """Each channel seen along z, y and x: of every column of voxels the value of largest size."""
    figure, panels = _panels(4 * len(channels), f"{kind.name}: {kind.summary}")
    for row, (name, k) in enumerate(channels.items()):
        values = sample.maps[kind.name][..., k]
        if row == 0:
            depth_panel(figure, panels[0], sample, skeleton, None)
        for axes, (along, (across, down)) in zip(panels[4 * row + 1 : 4 * row + 4], _SEEN.items(), strict=True):
            seen = flatten(values, along)
            _draw(figure, axes, seen, kind, f"{name}\nalong {along}")
            axes.set_xlabel(across, fontsize=8)
            axes.set_ylabel(down, fontsize=8)
    return figure


def flatten(values: NDArray[np.float32], along: str) -> NDArray[np.float32]:
    """(V, V, V) voxels, axes x y z, as an image: the value of largest size along an axis.

    Where most voxels have a value, the middle slice instead, for the largest would be the edge's everywhere.
    """
    axis = "xyz".index(along)
    if np.count_nonzero(values) > values.size / 2:
        plane = values.take(values.shape[axis] // 2, axis=axis)
    else:
        at = np.expand_dims(np.abs(values).argmax(axis=axis), axis)
        plane = np.take_along_axis(values, at, axis=axis).squeeze(axis)
    # Along z: (x, y) to rows y; along y: (x, z) to rows z; along x: (y, z) already has rows y.
    result: NDArray[np.float32] = plane if along == "x" else plane.T
    return result


def _numbers(sample: Sample, skeleton: Skeleton, kind: MapKind, values: NDArray[np.float32]) -> Figure:
    figure, panels = _panels(2, f"{kind.name}: {kind.summary}")
    depth_panel(figure, panels[0], sample, skeleton, None)
    text = "\n".join(f"{name:<14}{value:>10g}" for name, value in zip(skeleton.joints, values, strict=True))
    panels[1].text(0.0, 0.5, text, family="monospace", fontsize=6, va="center", transform=panels[1].transAxes)
    return figure
