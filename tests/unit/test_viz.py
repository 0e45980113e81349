"""Pictures: they show what they should, for any skeleton and joint."""

from __future__ import annotations

import numpy as np
import pytest

import gmaps
from gmaps.errors import StoreError, UsageError
from gmaps.plot.overlay import frame_figure
from gmaps.plot.sample import sample_figure, save_figure


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("viz") / "hands.zarr"
    gmaps.build("synthetic", out, limit=3, workers=0, progress=False)
    return gmaps.open_store(out)


def drawn(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


def test_sample_figure_has_a_panel_for_depth_edt_and_every_map(store):
    figure = sample_figure(store[1], store.skeleton)
    titles = [a.get_title() for a in figure.axes]
    assert titles.count("depth and joints") == 1
    assert titles.count("signed_edt") == 1
    for kind in ("geodesic", "geodesic_weighted", "euclidean", "heatmap"):
        assert f"{kind}\nwrist" in titles
        assert f"{kind}\nthumb_tip" in titles
    pixels = drawn(figure)
    assert pixels[..., :3].std() > 20


def test_one_joint_only(store):
    figure = sample_figure(store[1], store.skeleton, joint=8)
    named = [t for t in (a.get_title() for a in figure.axes) if "\n" in t]
    assert len(named) == 4
    assert all(t.endswith("middle_tip") for t in named)


def test_maps_are_drawn_as_they_are(store):
    sample = store[2]
    figure = sample_figure(sample, store.skeleton, joint=4)
    panel = next(a for a in figure.axes if a.get_title() == "geodesic\nindex_tip")
    image = panel.get_images()[0].get_array()
    inside = sample.maps["signed_edt"][..., 0] > 0
    np.testing.assert_allclose(image[inside], sample.maps["geodesic"][..., 4][inside])
    marker = panel.get_lines()[-1]
    row, col = sample.crop.joints_px(32)[4]
    assert marker.get_xdata()[0] == pytest.approx(col)
    assert marker.get_ydata()[0] == pytest.approx(row)


def test_the_nearest_surface_is_not_as_white_as_nothing(store):
    # Frame 0 shows the hand edge-on; its nearest strip once vanished before the white background.
    for figure in (
        sample_figure(store[0], store.skeleton),
        frame_figure(gmaps.load_dataset("synthetic").read(0), store.skeleton),
    ):
        image = figure.axes[0].get_images()[0]
        depth = image.get_array()
        nearest = np.nanmin(np.ma.filled(depth, np.nan))
        assert max(image.to_rgba(nearest)[:3]) < 0.9
        assert image.norm.vmin < nearest < image.norm.vmax


def test_frame_figure_draws_joints_where_they_project():
    data = gmaps.load_dataset("synthetic", frames=2)
    frame = data.read(1)
    axes = frame_figure(frame, data.skeleton).axes[0]
    points = axes.collections[0].get_offsets()
    np.testing.assert_allclose(points, frame.camera.project(frame.joints)[:, :2], atol=1e-6)


def test_save_names_what_cannot_be_written(store, tmp_path):
    figure = sample_figure(store[0], store.skeleton)
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    for bad in (tmp_path / "no" / "a.png", tmp_path / "a.docx"):
        with pytest.raises(UsageError, match="cannot be written"):
            save_figure(figure, bad)


def test_rejected_rows_have_no_picture(msra_tree, tmp_path):
    root = msra_tree({"P0": {"1": 2}})
    (root / "P0" / "1" / "000001_depth.bin").write_bytes(b"")
    gmaps.build("msra", tmp_path / "m.zarr", root=root, workers=0, progress=False)
    store = gmaps.open_store(tmp_path / "m.zarr")
    assert sample_figure(store[0], store.skeleton).axes
    with pytest.raises(StoreError, match="was rejected"):
        sample_figure(store[1], store.skeleton)
