"""Draw the pictures of the documentation, with gmaps itself: `python docs/make_pictures.py`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

import gmaps
from gmaps.augment.changes import Augment
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.evaluation import evaluate_joints, get_protocol
from gmaps.maps import DEFAULT_MAPS, Scene
from gmaps.plot.curves import evaluation_figure
from gmaps.plot.maps_figure import kind_figure
from gmaps.plot.overlay import frame_figure
from gmaps.plot.sample import sample_figure, save_figure

IMAGES = Path(__file__).parent / "img"
TARGETS = ("ball_offset", "heatmap_depth", "pixel_offset", "plane_offset", "point_offset")


def sample_picture() -> None:
    """Sample 42 as `gmaps inspect sample 42` draws it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "synthetic.zarr"
        gmaps.build("synthetic", out, ("geodesic_surface", *DEFAULT_MAPS), limit=64, workers=0, progress=False)
        store = gmaps.open_store(out)
        save_figure(sample_figure(store[42], store.skeleton), IMAGES / "sample.png", dpi=75)


def target_pictures() -> None:
    """Kinds of docs/targets.md as `gmaps maps NAME --save` draws them."""
    for kind in TARGETS:
        save_figure(kind_figure(kind), IMAGES / f"target-{kind}.png", dpi=60)


def evaluation_picture() -> None:
    """The curves of docs/evaluation.md's example."""
    protocol, rng = get_protocol("nyu"), np.random.default_rng(0)
    true = rng.normal(0, 40, (200, 14, 3)) + np.array([0, 0, 700])
    made = [(name, true + rng.normal(0, mm, true.shape)) for name, mm in (("ours", 5), ("theirs", 8))]
    figure = evaluation_figure([evaluate_joints(joints, true, protocol, name=name) for name, joints in made])
    save_figure(figure, IMAGES / "evaluation.png", dpi=60)


def overlay_picture() -> None:
    """A frame as `gmaps datasets NAME --overlay N` draws it, and with joints in a wrong unit."""
    data = gmaps.load_dataset("synthetic", frames=1000)
    frame = data.read(512)
    wrong = replace(frame, joints=frame.joints * np.float32(0.9), name="joints.unit = 0.9 instead of 1")
    rows = []
    for one in (frame, wrong):
        figure = frame_figure(one, data.skeleton, data.info.half_side)
        figure.set_dpi(64)
        figure.canvas.draw()
        rows.append(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    imsave(IMAGES / "overlay.png", np.concatenate(rows))


def augmentation_picture() -> None:
    """A crop and five augmentations of it, each with its joints and the map of the little finger's tip."""
    data = gmaps.load_dataset("synthetic", frames=64)
    crop = crop_dataset_frame(data.read(42), data.info.depth_range, CropParams())
    augment = Augment(scale=0.2, translation=15, mirror=0.3, cutouts=2, noise=1.5, edge_loss=0.15, seed=3)
    crops = [crop, *(augment(crop, epoch, 42)[0] for epoch in range(5))]
    joint = data.skeleton.joints.index("little_tip")
    figure = Figure(figsize=(12, 4.3), layout="constrained")
    FigureCanvasAgg(figure)
    for k, (axes, c) in enumerate(zip(figure.subplots(2, 6).T, crops, strict=True)):
        axes[0].imshow(np.where(c.mask, c.depth, np.nan), cmap="gray_r", vmin=-1.2, vmax=1)
        px = c.joints_px(c.size)
        for parent, child in data.skeleton.bones:
            axes[0].plot(px[[parent, child], 1], px[[parent, child], 0], color=data.skeleton.colour(child), lw=1.4)
        values = gmaps.encode(c, ("geodesic",))["geodesic"][..., joint]
        axes[1].imshow(np.where(Scene(c, 32).silhouette, values, np.nan), cmap="viridis", vmin=0, vmax=1)
        row, col = c.joints_px(32)[joint]
        axes[1].plot(col, row, "o", ms=6, mfc="none", mec="red", mew=1.5)
        axes[0].set_title("the crop" if k == 0 else f"epoch {k - 1}", fontsize=9)
        for a, size in zip(axes, (c.size, 32), strict=True):
            a.set_xticks([])
            a.set_yticks([])
            a.set_xlim(-0.5, size - 0.5)
            a.set_ylim(size - 0.5, -0.5)
    save_figure(figure, IMAGES / "augmentation.png", dpi=85)


#: An open hand of the embedded data set, its fingers side by side.
OPEN_HAND = 344


def kinds_picture() -> None:
    """The maps of two neighbouring fingertips on an open hand: near in space, far along the hand."""
    data = gmaps.load_dataset("synthetic", frames=OPEN_HAND + 1)
    crop = crop_dataset_frame(data.read(OPEN_HAND), data.info.depth_range, CropParams())
    titles = {
        "heatmap": "heat map", "euclidean": "Euclidean, straight", "geodesic": "geodesic, along the hand",
        "geodesic_surface": "geodesic on the depth surface",
    }  # fmt: skip
    maps = gmaps.encode(crop, tuple(titles), size=64)
    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 5)
    px = crop.joints_px(crop.size)
    shown = np.argwhere(crop.mask)
    low, high = shown.min(axis=0) - 4, shown.max(axis=0) + 4
    for row, tip in zip(panels, ("little_tip", "ring_tip"), strict=True):
        joint = data.skeleton.joints.index(tip)
        row[0].imshow(np.where(crop.mask, crop.depth, np.nan), cmap="gray_r", vmin=-1.2, vmax=1)
        for parent, child in data.skeleton.bones:
            row[0].plot(px[[parent, child], 1], px[[parent, child], 0], color=data.skeleton.colour(child), lw=1.4)
        row[0].set_title(f"depth; {tip.replace('_', ' ')}", fontsize=10)
        for axes, (kind, title) in zip(row[1:], titles.items(), strict=True):
            # Each cell over the pixels that it covers, cut to the hand's own.
            values = np.kron(maps[kind][..., joint], np.ones((2, 2), np.float32))
            image = axes.imshow(np.where(crop.mask, values, np.nan), cmap="viridis", vmin=0, vmax=1)
            axes.set_title(title, fontsize=10)
        for axes in row:
            axes.contour(crop.mask, [0.5], colors="black", linewidths=0.6)
            axes.plot(px[joint, 1], px[joint, 0], "o", ms=8, mfc="none", mec="red", mew=1.8)
            axes.set_xlim(low[1], high[1])
            axes.set_ylim(high[0], low[0])
            axes.set_axis_off()
    figure.colorbar(image, ax=panels, shrink=0.6, label="1 at the joint, 0 farthest")
    save_figure(figure, IMAGES / "kinds.png", dpi=80)


def hands_picture() -> None:
    """Frames of the embedded data set."""
    data = gmaps.load_dataset("synthetic", frames=64)
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, i in zip(figure.subplots(2, 6).flat, range(12), strict=True):
        crop = crop_dataset_frame(data.read(i), data.info.depth_range, CropParams())
        axes.imshow(np.where(crop.mask, crop.depth, np.nan), cmap="gray_r", vmin=-1, vmax=1)
        px = crop.joints_px(128)
        for parent, child in data.skeleton.bones:
            axes.plot(px[[parent, child], 1], px[[parent, child], 0], color=data.skeleton.colour(child), lw=1)
        axes.set_axis_off()
    save_figure(figure, IMAGES / "synthetic.png", dpi=85)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    sample_picture()
    kinds_picture()
    hands_picture()
    evaluation_picture()
    overlay_picture()
    augmentation_picture()
    target_pictures()
