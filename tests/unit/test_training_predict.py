"""From the command line: a store, a training, predictions as the field writes them, and one image with a picture."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import FrameError

torch = pytest.importorskip("torch")

from gmaps.inference.predictor import predict_store, read_depth, store_camera, to_uvd  # noqa: E402
from gmaps.training.checkpoint import CheckpointError, load_checkpoint  # noqa: E402

FLAGS = ["--size", "32", "--stem", "8", "--width", "8", "--head", "8,8", "--hidden", "16", "--device", "cpu"]


def run(*words):
    found = CliRunner().invoke(main, [str(w) for w in words])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("predict") / "hands.zarr"
    gmaps.build("synthetic", out, ("geodesic",), limit=60, workers=0, center="com", progress=False)
    return out


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("predict") / "run"
    flags = ["--epochs", 40, "--batch", 16, "--lr", 0.01, "--patience", 0, "--validation", 0.2, "--dropout", 0]
    found = run("train", store, "--model", "geodesic", *FLAGS, *flags, "--quiet", "--out", out)
    assert found.exit_code == 0, found.output
    assert "waiting for data" in found.stdout
    return out


def test_a_store_is_predicted_in_the_fields_format(store, trained, tmp_path):
    text = tmp_path / "pred.txt"
    found = run("predict", store, "--checkpoint", trained, "--out", text)
    assert found.exit_code == 0, found.output
    uvd = np.loadtxt(text).reshape(60, 21, 3)
    opened = gmaps.open_store(store)
    xyz = store_camera(opened).unproject(uvd)
    errors = np.linalg.norm(xyz - opened.column("joints"), axis=2).mean()
    said = json.loads(run("predict", store, "--checkpoint", trained / "best.pt", "--json").stdout)
    assert said["mean_error_mm"] == pytest.approx(errors, abs=0.01)
    assert f"{said['mean_error_mm']:.2f} mm" in found.stdout
    summary = run("predict", store, "--checkpoint", trained).stdout.splitlines()
    assert len(summary) == 1
    assert "--out PRED.txt writes them" in summary[0]
    # Better than the cube's centre, which is what an untrained network says.
    centre = np.linalg.norm(opened.column("joints") - opened.column("cube")[:, None, :3], axis=2).mean()
    assert errors < 0.9 * centre


def test_predictions_do_not_depend_on_the_batch(store, trained):
    opened = gmaps.open_store(store)
    one = predict_store(opened, trained, batch=7, device="cpu")
    other = predict_store(opened, trained, batch=60, device="cpu")
    np.testing.assert_allclose(one.joints, other.joints, atol=1e-3)
    assert len(one.rejected) == 0


def test_rejected_rows_repeat_the_row_before(store, trained, monkeypatch):
    opened = gmaps.open_store(store)
    valid = np.ones(60, bool)
    valid[[0, 1, 30]] = False
    column = opened.column
    monkeypatch.setattr(type(opened), "column", lambda self, name: valid if name == "valid" else column(name))
    found = predict_store(opened, trained, device="cpu")
    assert found.rejected.tolist() == [0, 1, 30]
    assert np.isfinite(found.joints).all()
    np.testing.assert_array_equal(found.joints[30], found.joints[29])
    np.testing.assert_array_equal(found.joints[0], found.joints[2])
    assert np.isnan(found.errors[found.rejected]).all()


def test_only_evaluated_joints_are_written():
    from gmaps.skeleton import get_skeleton

    skeleton, camera = get_skeleton("nyu36"), gmaps.Camera(588.03, 587.07, 320, 240, 640, 480)
    joints = np.random.default_rng(0).uniform(300, 500, (5, 36, 3)).astype(np.float32)
    found = to_uvd(joints, camera, skeleton)
    np.testing.assert_array_equal(found, camera.project(joints[:, list(skeleton.evaluation)]))
    assert found.shape == (5, 14, 3)
    assert to_uvd(joints, camera).shape == (5, 36, 3)


def test_predictions_go_to_stdout_and_into_the_evaluation(store, trained, tmp_path):
    lines = run("predict", store, "--checkpoint", trained, "--out", "-").stdout.splitlines()
    assert len(lines) == 60
    assert len(lines[0].split()) == 63
    text = tmp_path / "p.txt"
    text.write_text("\n".join(lines) + "\n")
    opened = gmaps.open_store(store)
    truth = tmp_path / "t.txt"
    np.savetxt(truth, store_camera(opened).project(opened.column("joints")).reshape(60, -1), fmt="%.4f")
    judged = run("evaluate", "--dataset", "msra", text, "--groundtruth", truth, "--json")
    said = json.loads(run("predict", store, "--checkpoint", trained, "--json").stdout)
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["mean_error_mm"] == pytest.approx(said["mean_error_mm"], abs=0.01)


def test_one_image_with_a_picture(store, trained, tmp_path):
    data = gmaps.load_dataset("synthetic")
    frame, camera = data.read(5), data.camera
    image, picture = tmp_path / "depth.png", tmp_path / "hand.png"
    cv2.imwrite(str(image), np.round(frame.depth * 10).astype(np.uint16))
    intrinsics = f"{camera.fx},{camera.fy},{camera.cx},{camera.cy}"
    words = ["predict", "--frame", image, "--camera", intrinsics, "--checkpoint", trained, "--unit", 0.1]
    found = run(*words, "--save", picture, "--json", "--range", "100,700")
    assert found.exit_code == 0, found.output
    joints = np.array(list(json.loads(found.stdout)["joints_mm"].values()))
    # The same frame by way of a store: its centre was found from nothing but depth as well.
    by_store = predict_store(gmaps.open_store(store), trained, device="cpu").joints[5]
    np.testing.assert_allclose(joints, by_store, atol=1.0)
    assert cv2.imread(str(picture)).shape[2] == 3
    lines = run(*words).stdout.splitlines()
    assert len(lines) == 21
    assert lines[0].split()[0] == "wrist"


def test_bad_images(tmp_path):
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.zeros((10, 10), np.uint8))
    (tmp_path / "text.png").write_text("hello")
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    preview = np.random.default_rng(0).integers(0, 256, (20, 20))
    np.save(tmp_path / "bytes.npy", preview.astype(np.uint8))
    cv2.imwrite(str(tmp_path / "preview.png"), preview.astype(np.uint16))
    np.save(tmp_path / "preview.npy", preview.astype(np.float32))
    np.save(tmp_path / "metres.npy", preview / 200.0)
    np.save(tmp_path / "shares.npy", preview / 255.0)
    for name, message in (
        ("bytes.npy", "values of 8 bits are a preview"),
        ("preview.png", "whole numbers up to 25.*preview of 8 bits"),
        ("preview.npy", "whole numbers up to 25.*preview of 8 bits"),
        ("metres.npy", r"are they metres\? Say --unit 1000"),
        ("shares.npy", r"no value is above 1, which at --unit 1 is 1 mm"),
        ("grey.png", "8-bit"),
        ("text.png", "no PNG"),
        ("none.png", "no such"),
        ("cube.npy", "H, W"),
    ):
        with pytest.raises(FrameError, match=message):
            read_depth(tmp_path / name)
    np.testing.assert_array_equal(read_depth(tmp_path / "metres.npy", 1000), (preview * 5).astype(np.float32))
    np.testing.assert_array_equal(read_depth(tmp_path / "preview.npy", 4), (preview * 4).astype(np.float32))
    assert read_depth(_saved(tmp_path, np.array([[np.nan, -1, 2.5]])), 2.0).tolist() == [[0, 0, 5]]


def _saved(folder, array):
    np.save(folder / "depth.npy", array)
    return folder / "depth.npy"


def test_an_empty_image_holds_no_hand(trained, tmp_path):
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((48, 64), np.uint16))
    found = run("predict", "--frame", tmp_path / "empty.png", "--camera", "60,60,32,24", "--checkpoint", trained)
    assert found.exit_code == 1
    assert "no hand" in found.stderr


def test_wrong_usage(store, trained, tmp_path):
    assert run("predict", "--checkpoint", trained).exit_code == 2
    assert run("predict", store, "--frame", "x.png", "--checkpoint", trained).exit_code == 2
    missing = run("predict", "--frame", "x.png", "--checkpoint", trained)
    assert missing.exit_code == 2
    assert "--camera" in missing.stderr
    for more, message in (
        (["--frame", "x.png", "--out", "p.txt"], "--out is for a STORE"),
        ([store, "--save", "p.png"], "--save is for one --frame"),
        ([store, "--range", "100,700"], "--range is for one --frame"),
    ):
        refused = run("predict", *more, "--checkpoint", trained)
        assert refused.exit_code == 2
        assert message in refused.stderr
    assert "4 numbers" in run("predict", "--frame", "x", "--camera", "1,2", "--checkpoint", trained).stderr
    bad = run("predict", store, "--checkpoint", tmp_path / "none.pt")
    assert bad.exit_code == 1
    assert "no such checkpoint" in bad.stderr
    other = run("train", store, "--model", "limb", *FLAGS, "--out", tmp_path / "run")
    assert other.exit_code == 1
    assert "gmaps store add" in other.stderr


def test_another_skeleton_or_crop_is_refused(store, trained, tmp_path):
    state = load_checkpoint(trained)
    state["skeleton"]["joints"] = [f"x{j}" for j in state["skeleton"]["joints"]]
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="has learnt skeleton msra21"):
        predict_store(gmaps.open_store(store), tmp_path / "other.pt")
    state = load_checkpoint(trained)
    state["crop"]["half_side"] = 90.0
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"half_side 90\.0, .* has 120"):
        predict_store(gmaps.open_store(store), tmp_path / "other.pt")
