"""Hands fitted to depth, of stores and of one image: nearer than what they begin with, and gone on with."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.crop import crop_frame
from gmaps.datasets.synthetic import Synthetic
from gmaps.errors import StoreError, UsageError
from gmaps.frame import Cube
from gmaps.skeleton import get_skeleton
from gmaps.synth.fit_many import fit_hands

torch = pytest.importorskip("torch")
from gmaps.inference import fit_store as module  # noqa: E402
from gmaps.inference import load_pretrained  # noqa: E402
from gmaps.inference.fit_crops import fit_crops, mirrored, of_half_side  # noqa: E402
from gmaps.inference.fit_depth import LABELS, NETWORK, fit_depth  # noqa: E402
from gmaps.inference.fit_store import fit_store  # noqa: E402


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    place = tmp_path_factory.mktemp("depth") / "s.zarr"
    gmaps.build("synthetic", place, ("signed_edt",), workers=0, progress=False, crop_size=64, map_size=16,
                center="com", dataset_options={"frames": 6, "arrays": "mesh", "labelled": 0.5})  # fmt: skip
    return place


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    place = tmp_path_factory.mktemp("labelled") / "s.zarr"
    gmaps.build("synthetic", place, ("heatmap",), workers=0, progress=False, crop_size=64, map_size=16,
                dataset_options={"frames": 8, "arrays": "mesh"})  # fmt: skip
    return gmaps.open_store(place)


def apart(a, b):
    return np.linalg.norm(a - b, axis=-1).mean()


def test_depth_brings_moved_joints_and_their_mesh_back(labelled):
    truth = labelled.read(range(8), ("joints", "vertices"))
    moved = truth["joints"] + np.random.default_rng(0).normal(0, 7, truth["joints"].shape)
    crops = [labelled[k].crop for k in range(8)]
    begin = fit_hands(moved)
    fit = fit_crops(crops, moved, NETWORK, steps=40)
    assert apart(fit.joints, truth["joints"]) < 0.7 * apart(begin.pose().joints, truth["joints"])
    assert apart(fit.vertices(), truth["vertices"]) < 0.8 * apart(begin.vertices(), truth["vertices"])
    assert np.median(fit.depth_mm) < 4


def test_each_hand_is_fitted_as_if_alone(labelled):
    joints = labelled.read([1, 4], ("joints",))["joints"].astype(np.float64)
    crops = [labelled[k].crop for k in (1, 4)]
    both = fit_crops(crops, joints, np.array([LABELS, NETWORK]), steps=5)
    one = fit_crops(crops[1:], joints[1:], NETWORK, steps=5)
    np.testing.assert_allclose(both.joints[1], one.joints[0], atol=1e-2)


def test_a_left_hand_is_fitted_in_a_mirror(labelled):
    crop = labelled[2].crop
    left = mirrored(crop)
    np.testing.assert_array_equal(mirrored(left).depth, crop.depth)
    np.testing.assert_array_equal(mirrored(left).joints_mm, crop.joints_mm)
    assert left.cube.center[0] == -crop.cube.center[0]


def test_rows_without_labels_begin_with_the_network(store, tmp_path):
    out, meshes, ply = (tmp_path / n for n in ("f.npz", "v.npy", "m.ply"))
    done = CliRunner().invoke(main, ["fit", str(store), "--depth", "--out", str(out), "--vertices", str(meshes),
                                     "--ply", str(ply), "--steps", "8", "--json"])  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    known = np.isfinite(gmaps.open_store(store).column("joints")).all(axis=(1, 2))
    assert 0 < known.sum() < 6
    assert (said["rows"], said["fitted"], said["before"], said["from_network"]) == (6, 6, 0, 6 - known.sum())
    with np.load(out) as kept:
        assert kept["angles"].shape == (6, 23)
        assert kept["roots"].shape == (6, 5, 3)
        assert (np.isfinite(kept["error_mm"]) == known).all()
        assert np.isfinite(kept["joints"]).all()
        assert kept["error_mm"][known].max() < 10
    assert np.isfinite(np.load(meshes)).all()
    assert ply.read_bytes().startswith(b"ply")


def test_a_stopped_fit_goes_on_where_it_was(store, tmp_path, monkeypatch):
    out, whole = tmp_path / "f.npz", tmp_path / "whole.npz"
    monkeypatch.setattr(module, "_BATCH", 2)
    own, calls = module._Work.fit, []

    def stopped(self, rows, steps):
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(rows)
        return own(self, rows, steps)

    monkeypatch.setattr(module._Work, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_store(store, out, steps=2, progress=False)
    monkeypatch.setattr(module._Work, "fit", own)
    with np.load(out) as kept:
        assert kept["valid"].tolist() == [True, True, False, False, False, False]
    done = fit_store(store, out, steps=2, progress=False)
    assert (done.fitted, done.before) == (6, 2)
    fit_store(store, whole, steps=2, progress=False)
    with np.load(out) as a, np.load(whole) as b:
        for name in b.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    # Another number of steps is other work.
    assert fit_store(store, out, steps=1, progress=False).before == 0


def test_cubes_of_another_size_are_shown_to_the_network_as_it_knows_them(tmp_path):
    ds = gmaps.load_dataset("synthetic", frames=4)
    predictor = load_pretrained(device="cpu")
    frames = [ds.read(k) for k in range(4)]
    centers = [Cube(tuple(f.joints.mean(axis=0)), 120.0) for f in frames]
    known = [crop_frame(f, c) for f, c in zip(frames, centers, strict=True)]
    for half in (150.0, 110.0):
        other = [crop_frame(f, Cube(c.center, half)) for f, c in zip(frames, centers, strict=True)]
        made = [of_half_side(c, 120.0) for c in other]
        alike = [(np.abs(a.depth - b.depth) < 0.02).mean() for a, b in zip(made, known, strict=True)]
        assert min(alike) > 0.95
        assert apart(predictor.crops(made), predictor.crops(known)) < 4
    gmaps.build("synthetic", tmp_path / "wide.zarr", ("signed_edt",), workers=0, progress=False, half_side=150.0,
                center="com", dataset_options={"frames": 2, "labelled": 0.0})  # fmt: skip
    done = fit_store(tmp_path / "wide.zarr", tmp_path / "f.npz", steps=20, progress=False)
    assert done.from_network == 2
    assert done.depth_mm < 6
    assert np.isnan(done.mean_mm)


def test_one_image_gives_a_mesh_and_a_picture(tmp_path):
    frame = gmaps.load_dataset("synthetic", frames=2).read(0)
    np.save(tmp_path / "d.npy", frame.depth)
    c = frame.camera
    done = CliRunner().invoke(main, [
        "fit", "--frame", str(tmp_path / "d.npy"), "--camera", f"{c.fx},{c.fy},{c.cx},{c.cy}", "--steps", "20",
        "--ply", str(tmp_path / "m.ply"), "--save", str(tmp_path / "p.png"), "--json",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["depth_mm"] < 6
    assert len(said["joints_mm"]) == 21
    assert (tmp_path / "m.ply").stat().st_size > 50_000
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


class Few(Synthetic):
    """Frames of which fewer joints are labelled."""

    skeleton = get_skeleton("msra21").shared_with(get_skeleton("icvl16"))

    def read(self, i, window=None):
        frame = super().read(i)
        taken = list(get_skeleton("msra21").mapping_to(self.skeleton))
        return replace(frame, joints=np.ascontiguousarray(frame.joints[taken]))


def test_what_cannot_be_fitted_is_said(store, labelled, tmp_path):
    fourteen = tmp_path / "few.zarr"
    gmaps.build(Few("all", 2, 0, "none"), fourteen, ("signed_edt",), workers=0, progress=False, crop_size=32)
    with pytest.raises(UsageError, match="as many hands"):
        fit_depth(np.zeros((1, 8, 8)), np.ones((2, 4)), fit_hands(np.zeros((0, 21, 3))))
    hand = fit_hands(labelled.read([0], ("joints",))["joints"])
    with pytest.raises(UsageError, match="joints_mm"):
        fit_depth(np.zeros((1, 8, 8)), np.ones((1, 4)), hand, joints_mm=0.0)
    with pytest.raises(UsageError, match="shows nothing"):
        fit_depth(np.ones((1, 8, 8)), np.ones((1, 4)), hand)
    gmaps.build("synthetic", tmp_path / "window.zarr", ("heatmap",), workers=0, progress=False, crop_size=32,
                map_size=16, projection="perspective", dataset_options={"frames": 1})  # fmt: skip
    with pytest.raises(StoreError, match="perspective"):
        fit_store(tmp_path / "window.zarr", tmp_path / "f.npz", start="network", progress=False)
    for options in ((), ("--depth", "--start", "joints")):
        few = CliRunner().invoke(main, ["fit", str(fourteen), "--out", str(tmp_path / "f.npz"), *options])
        assert few.exit_code == 2
        assert "--depth --start network` needs no joints" in few.output
        assert "shared_with" not in few.output
    with pytest.raises(UsageError, match="row 7"):
        fit_store(store, tmp_path / "f.npz", ply=tmp_path / "m.ply", row=7, progress=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "SOURCE or --frame"),
        (["x.npz"], "needs --out"),
        (["x.npz", "--out", "f.npz", "--camera", "1,1,1,1"], "--camera is for one --frame"),
        (["x.npz", "--out", "f.npz", "--steps", "3"], "--steps is for a store's --depth"),
        (["s.zarr", "--out", "f.npz", "--depth", "--unit", "m"], "--unit is for joints"),
        (["--frame", "d.png", "--depth"], "--depth is for a SOURCE"),
        (["--frame", "d.png"], "needs --camera"),
        (["--frame", "d.png", "--camera", "1,1,1,1", "--unit", "inch"], "mm, m or a number"),
    ],
)
def test_options_that_would_change_nothing_are_refused(given, said):
    done = CliRunner().invoke(main, ["fit", *given])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
