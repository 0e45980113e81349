"""Pictures: they show what they should, for any skeleton and joint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gmaps
import gmaps.skeleton
from gmaps.errors import StoreError, UsageError
from gmaps.maps import get_map
from gmaps.plot.maps_figure import flatten, kind_figure
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


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("offset", ["index_tip", "index_tip x", "index_tip y", "index_tip z", "arrows to index_tip"]),
        ("views_euclidean", ["index_tip, seen along z", "index_tip, seen along y", "index_tip, seen along x"]),
        ("limb", ["all limbs", "index", "middle", "ring", "little", "thumb", "palm"]),
        ("tsdf", [f"seen along {of}\nalong {axis}" for of in "xyz" for axis in "zyx"]),
        ("voxel_joint", [f"index_tip\nalong {axis}" for axis in "zyx"]),
    ],
)
def test_a_kinds_picture_names_what_it_shows(kind, titles):
    figure = kind_figure(kind)
    shown = [a.get_title() for a in figure.axes]
    assert [t for t in shown if t in titles] == titles
    assert drawn(figure)[..., :3].std() > 10


@pytest.mark.parametrize("kind", gmaps.list_maps())
def test_every_channel_has_a_name(kind):
    for skeleton in ("msra21", "nyu14", "icvl16"):
        found = gmaps.skeleton.get_skeleton(skeleton)
        names = get_map(kind).channel_names(found)
        assert len(names) == get_map(kind).channels(found)
        assert len(set(names)) == len(names)


def test_voxels_are_flattened_along_each_axis():
    values = np.zeros((4, 4, 4), np.float32)
    values[1, 2, 3] = 5
    values[1, 2, 0] = -1
    for along, row, column in (("z", 2, 1), ("y", 3, 1), ("x", 2, 3)):
        plane = flatten(values, along)
        assert plane[row, column] == 5
        assert np.count_nonzero(plane) == (1 if along == "z" else 2)


def test_a_handmap_stores_own_silhouette_is_outlined():
    store = gmaps.open_store(Path(__file__).parents[1] / "golden" / "v1" / "handmap.zarr")
    sample = store[0]
    lines = {}
    for profile in ("default", "handmap"):
        panel = next(a for a in sample_figure(sample, store.skeleton, profile=profile).axes if "edt" in a.get_title())
        lines[profile] = np.concatenate([p.vertices for c in panel.collections for p in c.get_paths()])
    edge = np.argwhere(np.diff((sample.maps["signed_edt"][..., 0] > 0).astype(int), axis=1) != 0)
    rounded = {tuple(v) for v in np.round(lines["handmap"] * 2) / 2}
    assert all((c + 0.5, r) in rounded for r, c in edge.tolist())
    assert not all((c + 0.5, r) in {tuple(v) for v in np.round(lines["default"] * 2) / 2} for r, c in edge.tolist())
