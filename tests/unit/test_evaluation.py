"""Evaluation: golden values of the field, its file format with all its faults, and the protocols."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps import evaluation as ev
from gmaps.errors import GmapsError, PredictionError, StoreError, UnknownNameError, UsageError


@pytest.fixture
def files(tmp_path):
    """A small NYU truth, and a prediction 3 mm too far in every joint: `files(rows)` -> (truth, prediction)."""

    def make(rows=12, protocol="nyu"):
        p = ev.get_protocol(protocol)
        rng = np.random.default_rng(5)
        true = rng.uniform(-80, 80, (rows, len(p.joints), 3)) + np.array([0, 0, 700])
        ev.write_table(tmp_path / "gt.txt", p.to_file(true), decimals=6)
        ev.write_table(tmp_path / "far.txt", p.to_file(true + np.array([0, 0, 3])), decimals=6)
        return tmp_path / "gt.txt", tmp_path / "far.txt"

    return make


def run(*args):
    return CliRunner().invoke(main, ["evaluate", *map(str, args)])


# Golden values: published means, splits and percentages of real prediction files.


@pytest.mark.parametrize(
    ("dataset", "method", "mean", "at_20", "at_40"),
    [("nyu", "V2V-PoseNet", 8.419, 71.24, 88.09), ("icvl", "DenseReg", 7.239, 79.64, 97.06)],
)
def test_published_files_give_published_numbers(real_data, dataset, method, mean, at_20, at_40):
    folder = real_data / "eval" / dataset
    result = run(
        "--dataset", dataset, folder / f"{method}.txt", "--groundtruth", folder / "groundtruth.txt", "--json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["mean_error_mm"] == pytest.approx(mean, abs=0.0005)
    assert found["success_rate"]["max"][20] * 100 == pytest.approx(at_20, abs=0.005)
    assert found["success_rate"]["max"][40] * 100 == pytest.approx(at_40, abs=0.005)
    assert np.mean(list(found["joint_errors_mm"].values())) == pytest.approx(found["mean_error_mm"])
    if dataset == "nyu":
        assert found["parts_mm"]["test_1"] == pytest.approx(4.22, abs=0.005)
        assert found["parts_mm"]["test_2"] == pytest.approx(10.18, abs=0.005)
        assert next(iter(found["joint_errors_mm"])) == "Palm"
        assert list(found["joint_errors_mm"])[-1] == "Pinky.T"


def test_published_labels_are_the_truth_of_the_evaluation(real_data, tmp_path):
    """ICVL's own labels: `\\r\\r\\n` line ends, trailing blanks, the frame's path before its numbers."""
    protocol, native = ev.get_protocol("icvl"), tmp_path / "native.txt"
    native.write_bytes(b"".join((real_data / "icvl" / f"test_seq_{k}.txt").read_bytes() for k in (1, 2)))
    truth = ev.read_groundtruth(native, protocol)
    assert truth.names[0] == "test_seq_1/image_0000.png"
    other = ev.read_groundtruth(real_data / "eval" / "icvl" / "groundtruth.txt", protocol)
    np.testing.assert_array_equal(truth.xyz, other.xyz)


def test_nyu_joints_are_the_evaluations_of_all_36(real_data):
    """The order of columns, against the data set's own labels."""
    protocol = ev.get_protocol("nyu")
    with np.load(real_data / "nyu" / "joint_uvd_test_kinect1.npz") as file:
        labels = file["joint_uvd"].astype(np.float64)
    truth = ev.read_table(real_data / "eval" / "nyu" / "groundtruth.txt", 14).values
    assert np.abs(protocol.select(labels) - truth).max() < 0.051  # the labels here are rounded to 0.01 px and 0.1 mm


@pytest.mark.parametrize("name", ["nyu", "icvl", "msra", "hands17", "synthetic"])
def test_an_evaluation_stands_in_its_data_sets_module(name):
    module = importlib.import_module(f"gmaps.datasets.{name}")
    p = ev.get_protocol(name)
    assert p is module.PROTOCOL
    assert p.name == module.INFO.name
    assert p.camera is (module.CAMERAS["evaluation"] if name == "icvl" else module.CAMERA)
    assert len(p.joints) == len(module.SKELETON.evaluation or module.SKELETON)
    assert module.SKELETON.name == module.INFO.skeleton


def test_facts_stand_once():
    """The numbers that a data set's own module has stand in no other file of the package."""
    package = Path(gmaps.__file__).parent
    text = {str(p.relative_to(package)): p.read_text() for p in package.rglob("*.py")}
    for fact, place in (
        ("2440", "datasets/nyu.py"), ("588.03", "datasets/nyu.py"), ("2001", "datasets/nyu.py"),
        ("241.42", "datasets/msra/bin_files.py"), ("240.99", "datasets/icvl.py"),
        ("475.065", "datasets/hands17.py"), ("0, 3, 6, 9, 12, 15,", "skeleton.py"),
    ):  # fmt: skip
        assert {name for name, lines in text.items() if fact in lines} == {place}, fact


# The measures, against definitions written out.


def test_measures_by_hand():
    true = np.zeros((2, 3, 3))
    shift = np.zeros_like(true)
    shift[0, :, 0] = [0, 10, 20]
    shift[1, :, 2] = [30, 30, 30]
    errors = ev.joint_errors(true + shift, true)
    np.testing.assert_array_equal(errors, [[0, 10, 20], [30, 30, 30]])
    np.testing.assert_array_equal(
        ev.success_rate(errors, [9, 10, 19, 20, 29, 30], "mean"), [0, 0.5, 0.5, 0.5, 0.5, 1]
    )
    np.testing.assert_array_equal(ev.success_rate(errors, [19, 20, 30], "max"), [0, 0.5, 1])
    np.testing.assert_allclose(ev.success_rate(errors, [0, 10, 30], "joint"), [1 / 6, 2 / 6, 1])
    assert ev.area_under([0, 1, 1], [0, 1, 2]) == 0.75
    assert list(ev.THRESHOLDS_MM[[0, -1]]) == [0, 84]


def test_success_rates_equal_the_loop_of_the_field():
    errors = np.random.default_rng(0).gamma(2, 8, (50, 14))
    errors[0] = 20.0
    for over, of in (("max", errors.max(1)), ("mean", errors.mean(1)), ("joint", errors.ravel())):
        loop = [np.where(of <= t)[0].shape[0] / of.shape[0] for t in range(85)]
        np.testing.assert_array_equal(ev.success_rate(errors, over=over), loop)


def test_pck_by_hand():
    true = np.array([[[0, 0], [100, 0], [0, 50]]], float)
    off = true + np.array([[[0, 0], [5, 0], [0, 11]]])
    np.testing.assert_allclose(ev.pck_2d(off, true, (0.0, 0.05, 0.11)), [1 / 3, 2 / 3, 1])
    seen = np.array([[True, True, False]])
    np.testing.assert_allclose(ev.pck_2d(off, true, (0.0, 0.05), visible=seen), [0.5, 1])
    np.testing.assert_allclose(ev.pck_2d(off, true, (0.05,), size=[220]), [1])
    with pytest.raises(UsageError, match="size must be positive"):
        ev.pck_2d(true * 0, true * 0)


def test_viewpoint_bins_are_even_degrees():
    errors = np.array([[2.0], [4.0], [9.0], [5.0]])
    angles = np.array([[-40.9, 0], [-39.1, 0.9], [1.2, 90.5], [77, -30]])
    curves = ev.viewpoint_curves(errors, angles)
    degrees, mean, count = curves["yaw"]
    assert (degrees[0], degrees[-1], degrees[1] - degrees[0]) == (-40, 40, 2)
    assert mean[0] == 3.0
    assert count[0] == 2
    assert mean[degrees == 2] == 9.0
    assert count.sum() == 3
    assert np.isnan(mean[5])
    degrees, mean, _ = curves["pitch"]
    assert (degrees[0], degrees[-1]) == (-10, 90)
    assert mean[degrees == 90] == 9.0
    assert mean[degrees == 0] == 3.0


def test_palm_angles_follow_a_turn():
    flat = np.zeros((1, 21, 3))
    flat[0, 1], flat[0, 5], flat[0, 13] = [-20, -80, 0], [0, -85, 0], [30, -75, 0]
    angle = np.radians(30)
    about_y = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    of = [ev.palm_angles(flat @ turn.T, 0, 1, 5, 13)[0] for turn in (np.eye(3), about_y, about_x)]
    np.testing.assert_allclose(of[0], [0, 0], atol=1e-9)
    assert abs(of[1][0]) == pytest.approx(30, abs=0.5)
    assert of[1][1] == pytest.approx(0, abs=1e-9)
    assert of[2][1] == pytest.approx(30)


# Protocols.


def test_parts_of_whole_test_sets(real_data):
    counts = json.loads((real_data / "msra" / "frame_counts.json").read_text())
    msra = ev.get_protocol("msra")
    assert msra.frames == 76375
    assert list(msra.groups(76375)) == [f"P{k}" for k in range(9)]
    of = {p: sum(f[0] for f in folders.values()) for p, folders in counts.items() if p.startswith("P")}
    assert {p: int(rows.sum()) for p, rows in msra.groups(76375).items()} == of
    assert [int(r.sum()) for r in ev.get_protocol("nyu").groups(8252).values()] == [2440, 5812]
    assert [int(r.sum()) for r in ev.get_protocol("icvl").groups(1596).values()] == [702, 894]
    assert ev.get_protocol("hands17").frames == 295510
    assert ev.get_protocol("nyu").groups(100) == {}


def test_nine_folds_are_pooled_over_frames():
    """MSRA's mean is over all frames; subjects have different numbers of them."""
    msra = ev.get_protocol("msra")
    true = np.tile(np.random.default_rng(1).normal(0, 40, (21, 3)) + np.array([0, 0, 400]), (76375, 1, 1))
    shift = np.zeros((76375, 1, 1))
    shift[:8499] = 9.0
    found = ev.evaluate_joints(true + shift * [1, 0, 0], true, msra)
    assert found.mean_error == pytest.approx(9 * 8499 / 76375)
    assert found.group_means["P0"] == pytest.approx(9)
    assert found.group_means["P8"] == pytest.approx(0)
    assert found.to_dict()["viewpoint"]["derived"] is True


@pytest.mark.parametrize("name", sorted(ev.PROTOCOLS))
def test_protocols_hang_together(name):
    p = ev.get_protocol(name)
    assert sorted(p.printed) == list(range(len(p.joints)))
    assert len(set(p.joints)) == len(p.joints) == {"nyu": 14, "icvl": 16}.get(name, 21)
    xyz = np.random.default_rng(0).normal(0, 50, (3, len(p.joints), 3)) + np.array([0, 0, 500])
    np.testing.assert_allclose(p.to_xyz(p.to_file(xyz)), xyz, atol=1e-9)


def test_hands17_reads_names_and_xyz(tmp_path):
    p = ev.get_protocol("hands17")
    xyz = np.random.default_rng(0).normal(0, 50, (3, 21, 3)) + np.array([0, 0, 500])
    names = [f"image_D{k:08d}.png" for k in (1, 2, 3)]
    ev.write_table(tmp_path / "gt.txt", xyz, names=names)
    text = (tmp_path / "gt.txt").read_text().replace(" ", "\t")
    (tmp_path / "gt.txt").write_text(text)
    ev.write_table(tmp_path / "p.txt", xyz + np.array([0, 4, 0]), names=names)
    truth = ev.read_groundtruth(tmp_path / "gt.txt", p)
    assert ev.evaluate_file(tmp_path / "p.txt", truth, p).mean_error == pytest.approx(4, abs=1e-3)
    ev.write_table(tmp_path / "p.txt", xyz, names=[names[0], names[2], names[1]])
    with pytest.raises(PredictionError, match=r"line 2: is of frame 'image_D00000003.png'.*sort one"):
        ev.evaluate_file(tmp_path / "p.txt", truth, p)


def _from_other_camera(path, camera, protocol, monkeypatch):
    from gmaps.store.opening import open_store as real

    def opened(place):
        store = real(place)
        store.attributes["camera"] = camera
        return store

    monkeypatch.setattr("gmaps.store.open_store", opened)
    return ev.read_groundtruth(path, protocol)


def test_a_store_is_a_truth(tmp_path, monkeypatch):
    out = tmp_path / "hands.zarr"
    gmaps.build("synthetic", out, limit=30, workers=0, maps=("heatmap",), progress=False)
    store, p = gmaps.open_store(out), ev.get_protocol("synthetic")
    joints = np.asarray(store.column("joints"), np.float64)
    ev.write_table(tmp_path / "p.txt", p.to_file(joints + np.array([0, 0, 2])))
    result = run(tmp_path / "p.txt", "--groundtruth", out, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["frames"] == 30
    assert found["mean_error_mm"] == pytest.approx(2, abs=0.02)
    # A store keeps the data set's camera; what it gives is what a file of pixels would, by the evaluation's.
    store.attributes["camera"]["fx"] *= 1.01
    wide = dict(store.attributes["camera"])
    truth = _from_other_camera(out, wide, p, monkeypatch)
    assert truth.xyz[:, :, 0] == pytest.approx(joints[:, :, 0] * 1.01, abs=1e-3)
    with pytest.raises(StoreError, match="say --dataset synthetic"):
        ev.read_groundtruth(out, ev.get_protocol("msra"))


OWN = """
[camera]
fx = 300.0
fy = 310.0
cx = 31.5
cy = 30.0
width = 64
height = 60
[depth]
files = "{frame}.npy"
[joints]
files = "joints.txt"
[skeleton]
name = "mine"
joints = ["wrist", %s]
parents = ["", %s]
evaluation = ["b3", "c3", "wrist"]
[skeleton.fingers]
palm = ["wrist"]
thumb = ["a0", "a1", "a2", "a3"]
index = ["b0", "b1", "b2", "b3"]
middle = ["c0", "c1", "c2", "c3"]
ring = ["d0", "d1"]
"""
NAMES = [f"{f}{k}" for f in "abc" for k in range(4)] + ["d0", "d1"]


def own_store(tmp_path, layout="folder", evaluation=True):
    root = tmp_path / "own"
    root.mkdir()
    quoted = ", ".join(f'"{n}"' for n in NAMES)
    text = OWN % (quoted, ", ".join('"wrist"' for _ in NAMES))
    text = text if evaluation else text.replace('evaluation = ["b3", "c3", "wrist"]\n', "")
    if layout == "synhand5m":
        text += '[segmentation]\nfiles = "s{frame}.npy"\nlabels = ["none", "hand"]\n'
    (root / "dataset.toml").write_text(text)
    true = np.random.default_rng(0).uniform((-20, -20, 420), (20, 20, 460), (5, 15, 3))
    np.savetxt(root / "joints.txt", true.reshape(5, -1))
    for k in range(5):
        np.save(root / f"{k}.npy", np.full((60, 64), 430, np.float32))
        np.save(root / f"s{k}.npy", np.ones((60, 64), np.uint8))
    if layout == "folder":
        for k in range(5):
            (root / f"s{k}.npy").unlink()
        (root / "dataset.toml").write_text(text.replace('"{frame}.npy"', '"{frame:[0-9]+}.npy"'))
    else:
        (root / "dataset.toml").write_text(text.replace('"{frame}.npy"', '"{frame:[0-9]+}.npy"', 1))
    out = tmp_path / "own.zarr"
    gmaps.build(layout, out, ("signed_edt",), root=root, workers=0, progress=False)
    return out, true


@pytest.mark.parametrize("layout", ["folder", "synhand5m"])
@pytest.mark.parametrize("evaluation", [True, False])
def test_own_frames_are_evaluated_by_their_own_skeleton(tmp_path, layout, evaluation):
    out, true = own_store(tmp_path, layout, evaluation)
    p = ev.protocol_of_place(out)
    chosen = [8, 12, 0] if evaluation else list(range(15))
    names = ["b3", "c3", "wrist"] if evaluation else ["wrist", *NAMES]
    assert (p.name, p.joints, p.evaluated, p.camera.fy) == (layout, tuple(names), tuple(chosen), 310)
    off = np.arange(15)[:, None] * [0, 0.6, 0.8]  # joint j is j mm off
    for kept in (chosen, list(range(15))):  # a file of the evaluated joints, or of all
        ev.write_table(tmp_path / "p.txt", p.camera.project((true + off)[:, kept]), decimals=6)
        for args in ((), ("--dataset", layout)):
            result = run(tmp_path / "p.txt", "--groundtruth", out, *args, "--json")
            assert result.exit_code == 0, result.output
            found = json.loads(result.stdout)
            assert list(found["joint_errors_mm"]) == names
            want = dict(zip(names, chosen, strict=True))
            assert found["joint_errors_mm"] == pytest.approx(want, abs=1e-3)
            assert found["mean_error_mm"] == pytest.approx(np.mean(chosen), abs=1e-3)
    result = run(tmp_path / "p.txt", "--groundtruth", out, "--dataset", "nyu")
    assert (result.exit_code, f"is a store of {layout}, not of nyu" in result.output) == (1, True)
    result = run(tmp_path / "p.txt", "--groundtruth", tmp_path / "p.txt", "--dataset", layout)
    assert (result.exit_code, "no evaluation called" in result.output) == (2, True)


# The format.


def test_a_file_survives_a_round_trip(tmp_path):
    values = np.random.default_rng(3).uniform(-500, 900, (40, 16, 3))
    ev.write_table(tmp_path / "a.txt", values)
    table = ev.read_table(tmp_path / "a.txt", 16)
    assert np.abs(table.values - values).max() <= 0.0005
    assert table.names == ()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n", " \r\r\n\r\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff", "blank"])
def test_line_ends_and_blank_lines(tmp_path, end, start):
    rows = [" ".join(map(str, range(k, k + 42))) for k in range(3)]
    (tmp_path / "a.txt").write_bytes((start.replace("blank", end + end) + end.join(rows) + end).encode())
    table = ev.read_table(tmp_path / "a.txt", 14)
    np.testing.assert_array_equal(table.values.reshape(3, -1), [np.arange(k, k + 42) for k in range(3)])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t[:-40], r"line 12: \d+ columns, expected 42 numbers, u v d"),
        (lambda t: t.replace(t.split()[50], "nan", 1), r"number .*'nan' is not a finite number; expected 42"),
        (lambda t: t.replace(t.split()[50], "inf", 1), "'inf' is not a finite number"),
        (lambda t: t.replace(t.split()[50], "1,5", 1), "'1,5' is not a finite number"),
        (lambda t: t.replace(" ", ",").replace(",", ",,", 2), "line 1: 44 columns, expected 42"),
        (lambda t: t.replace(" ", ";"), "line 1: 1 columns, expected 42"),
        (lambda t: "\n".join(t.splitlines()[:-1]), r"11 rows, but .*gt.txt has 12"),
        (lambda t: t + t, r"24 rows, but .*gt.txt has 12"),
        (lambda t: "\n \n", "holds no rows"),
        (lambda t: "", "holds no rows"),
        (lambda t: t + "\0", "is no text"),
        (lambda t: t.replace("\n", " 7\n", 3).replace("\n", " 8\n", 1), r"line 1: 44 columns"),
    ],
)
def test_bad_files_are_named_with_line_and_columns(files, edit, message):
    truth, prediction = files()
    prediction.write_text(edit(prediction.read_text()))
    result = run("--dataset", "nyu", prediction, "--groundtruth", truth)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    p = ev.get_protocol("nyu")
    true = ev.read_groundtruth(truth, p)
    with pytest.raises(PredictionError, match=message) as error:
        ev.evaluate_file(prediction, true, p)
    assert "far.txt" in str(error.value)
    assert str(error.value) in result.output


@pytest.mark.parametrize("between", [",", ", ", " , "])
@pytest.mark.parametrize("named", [False, True])
def test_commas_are_read(tmp_path, between, named):
    want = np.random.default_rng(0).uniform(0, 900, (3, 14, 3)).round(3)
    rows = [between.join([f'"f{k}.png"'] * named + [f"{v:.3f}" for v in row.ravel()]) for k, row in enumerate(want)]
    (tmp_path / "a.csv").write_text("\ufeff" + "\n".join([rows[0], "", rows[1] + ",", rows[2]]))
    table = ev.read_table(tmp_path / "a.csv", 14)
    np.testing.assert_array_equal(table.values, want)
    assert table.names == (("f0.png", "f1.png", "f2.png") if named else ())
    assert table.lines.tolist() == [1, 3, 4]


def test_the_other_release_is_told(tmp_path, monkeypatch):
    p = ev.get_protocol("msra")
    table = ev.Table("theirs.txt", np.zeros((76391, 21, 3)), (), np.arange(76391))
    truth = ev.GroundTruth("gt.txt", np.zeros((76375, 21, 3)), (), np.ones(76375, bool))
    with pytest.raises(PredictionError, match="V2V's centre files"):
        truth.match(table, p)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_byte_breaks_the_reader(tmp_path_factory, data):
    """Whatever the bytes: finite numbers, or an error of ours."""
    path = tmp_path_factory.mktemp("fuzz") / "a.txt"
    good = bytearray(b"\n".join(b" ".join(b"%.3f" % (k * 3.7 + j) for j in range(6)) for k in range(4)) + b"\n")
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(good)))
        good[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=6))
    path.write_bytes(data.draw(st.one_of(st.just(bytes(good)), st.binary(max_size=60))))
    for read in (lambda: ev.read_table(path, 2).values, lambda: ev.read_angles(path, 4)):
        try:
            assert np.isfinite(read()).all()
        except PredictionError:
            continue


def test_writing_refuses_what_cannot_be_read(tmp_path):
    values = np.ones((4, 14, 3))
    with pytest.raises(UsageError, match=r"\(N, J, 3\)"):
        ev.write_table(tmp_path / "a.txt", values[0])
    with pytest.raises(UsageError, match="as many names"):
        ev.write_table(tmp_path / "a.txt", values, names=["a b"] * 4)
    values[2, 1, 0] = np.nan
    with pytest.raises(PredictionError, match="row 2"):
        ev.write_table(tmp_path / "a.txt", values)
    with pytest.raises(PredictionError, match="cannot be written"):
        ev.write_table(tmp_path / "no" / "a.txt", np.ones((4, 14, 3)))
    assert list(tmp_path.iterdir()) == []


# The command.


def test_table_json_and_pictures(files, tmp_path):
    truth, prediction = files()
    text = run(
        "--dataset", "nyu", prediction, prediction, "--groundtruth", truth, "--save", tmp_path / "p.png"
    ).output
    for expected in ("12 frames, 14 joints", "far", "max <= 20", "Pinky.T", "drawn to"):
        assert expected in text
    assert (tmp_path / "p.png").stat().st_size > 20_000
    found = json.loads(run("--dataset", "nyu", prediction, prediction, "--groundtruth", truth, "--json").stdout)
    assert [f["name"] for f in found] == ["far", "far"]
    # Along the view, 3 mm are 3 mm and a little: x and y grow with z only in u v d.
    assert found[0]["mean_error_mm"] == pytest.approx(3, abs=1e-4)


def test_pictures_one_by_one_with_viewpoint(files, tmp_path):
    truth, prediction = files(protocol="msra")
    result = run("--dataset", "msra", prediction, "--groundtruth", truth, "--save", tmp_path / "out")
    assert result.exit_code == 0, result.output
    names = sorted(p.stem for p in (tmp_path / "out").iterdir())
    assert names == ["joints", "pitch", "success_joint", "success_max", "success_mean", "yaw"]


def test_angles_and_groups_are_read(files, tmp_path):
    truth, prediction = files(protocol="msra")
    (tmp_path / "angles.txt").write_text("10.4 20.1\n" * 12)
    (tmp_path / "groups.txt").write_text("seen\n" * 5 + "unseen person\n" * 7)
    args = ("--dataset", "msra", prediction, "--groundtruth", truth, "--json", "--groups", tmp_path / "groups.txt")
    found = json.loads(run(*args, "--angles", tmp_path / "angles.txt").stdout)
    assert list(found["parts_mm"]) == ["seen", "unseen person"]
    assert found["viewpoint"]["derived"] is False
    assert found["viewpoint"]["yaw"]["frames"][25] == 12
    (tmp_path / "angles.txt").write_text("10.4 20.1\n" * 11)
    result = run(*args, "--angles", tmp_path / "angles.txt")
    assert result.exit_code == 1
    assert "11 rows, but 12 frames" in result.output


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--dataset", "nyuu", "p.txt", "--groundtruth", "g.txt"], 2, "Did you mean 'nyu'"),
        (["p.txt", "--groundtruth", "g.txt"], 2, "Say --dataset"),
        (["--dataset", "nyu", "p.txt"], 2, "--groundtruth"),
        (["--dataset", "nyu", "--groundtruth", "g.txt"], 2, "PRED"),
        (["--dataset", "nyu", "p.txt", "--groundtruth", "g.txt"], 1, "g.txt: cannot be read: No such file"),
        (["--dataset", "nyu", "p.txt", "--groundtruth", "."], 1, "no zarr.json"),
    ],
)
def test_mistakes_on_the_command_line(args, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*args)
    assert result.exit_code == code
    assert message in result.output


def test_wrong_coordinates_are_suspected(files):
    truth, prediction = files()
    result = run("--dataset", "nyu", prediction, "--groundtruth", truth, "--coords", "uvz")
    assert result.exit_code == 2
    assert "Did you mean 'uvd'" in result.output
    p = ev.get_protocol("nyu")
    table = ev.read_table(truth, 14)
    ev.write_table(prediction, p.to_xyz(table.values))
    result = run("--dataset", "nyu", prediction, "--groundtruth", truth)
    assert "are its columns uvd" in result.output


def _noisy(protocol, rows=120, noise=5.0, seed=0):
    rng = np.random.default_rng(seed)
    hand = rng.normal(0, 35, (1, len(protocol.joints), 3))
    true = hand + rng.normal(0, 8, (rows, *hand.shape[1:])) + rng.uniform((-60, 20, 600), (60, 80, 900), (rows, 1, 3))
    return true, true + rng.normal(0, noise, true.shape)


ORDER = [3, 1, 2, 0, *range(13, 3, -1)]


@pytest.mark.parametrize(
    ("made", "coords", "says", "options"),
    [
        (lambda p, x: x * [1, -1, 1], "xyz", "as xyz, y up, it", "--axes right,up,forward"),
        (lambda p, x: x * [-1, 1, 1], "xyz", "as xyz, x to the left, it", "--axes left,down,forward"),
        (lambda p, x: x * [1, -1, -1], "xyz", "y up and z towards the viewer", "--axes right,up,backward"),
        (lambda p, x: x / 1000, "xyz", "in metres", "--unit 1000"),
        (lambda p, x: x * 10, "xyz", "in tenths of a mm", "--unit 0.1"),
        (lambda p, x: x / 10, "xyz", "in centimetres", "--unit 10"),
        (lambda p, x: p.camera.project(x), "xyz", "as uvd, it", "--coords uvd"),
        (lambda p, x: x, "uvd", "as xyz, it", "--coords xyz"),
        (lambda p, x: x * [1, -1, 1], "uvd", "as xyz, y up, it", "--coords xyz --axes right,up,forward"),
        (lambda p, x: x * [1, -1, 1] / 1000, "uvd", "as xyz, y up, in metres",
         "--coords xyz --axes right,up,forward --unit 1000"),
        (lambda p, x: p.camera.project(x * [1, -1, 1]), "uvd", "as uvd, y up, it", "--axes right,up,forward"),
        (lambda p, x: x[:, ORDER], "xyz", "with joints in another order", "--order 3,1,2,0,13,12,11,10,9,8,7,6,5,4"),
        (lambda p, x: p.camera.project(x[:, ORDER]), "uvd", "another", "--order 3,1,2,0,13,12,11,10,9,8,7,6,5,4"),
    ],
)  # fmt: skip
def test_another_convention_is_named_and_taken_by_its_option(tmp_path, made, coords, says, options):
    p = ev.get_protocol("nyu")
    true, predicted = _noisy(p)
    ev.write_table(tmp_path / "gt.txt", p.to_file(true), decimals=6)
    ev.write_table(tmp_path / "p.txt", made(p, predicted), decimals=6)
    args = ["--dataset", "nyu", tmp_path / "p.txt", "--groundtruth", tmp_path / "gt.txt"]
    result = run(*args, "--coords", coords)
    assert result.exit_code == 1
    assert says in result.output
    assert f"Say {options}, or --as-is" in result.output
    # What it says to say is right.
    told = options.split() if "--coords" in options else ["--coords", coords, *options.split()]
    found = json.loads(run(*args, *told, "--json").stdout)
    want = np.linalg.norm(predicted - true, axis=2).mean()
    assert found["mean_error_mm"] == pytest.approx(want, abs=0.01)
    wrong = json.loads(run(*args, "--coords", coords, "--as-is", "--json").stdout)
    assert wrong["mean_error_mm"] > 3 * want


@pytest.mark.parametrize("noise", [0.1, 8.0, 30.0, 90.0])
def test_bad_predictions_of_the_right_convention_are_judged(noise):
    p = ev.get_protocol("nyu")
    true, predicted = _noisy(p, noise=noise)
    still = np.broadcast_to(true.mean(axis=0), true.shape)  # a network that learnt nothing
    point = np.broadcast_to(true.mean(axis=1, keepdims=True), true.shape)
    for a in (predicted, still, point, predicted[:, ::-1] * 0 + [0, 0, 700]):
        found = ev.evaluate_joints(a, true, p)
        assert found.mean_error == pytest.approx(np.linalg.norm(a - true, axis=2).mean())


@pytest.mark.parametrize(("held", "read"), [("xyz", "uvd"), ("uvd", "xyz")])
def test_a_truth_of_other_coordinates_is_named(tmp_path, held, read):
    p = ev.get_protocol("nyu")
    true, predicted = _noisy(p)
    ev.write_table(tmp_path / "gt.txt", true if held == "xyz" else p.to_file(true), decimals=6)
    ev.write_table(tmp_path / "p.txt", p.to_file(predicted), decimals=6)
    args = ["--dataset", "nyu", tmp_path / "p.txt", "--groundtruth", tmp_path / "gt.txt", "--groundtruth-coords"]
    result = run(*args, read)
    assert result.exit_code == 1
    assert "gt.txt: are its columns" in result.output
    assert f"Say --groundtruth-coords {held}" in result.output
    assert run(*args, held).exit_code == 0


def test_joints_of_another_convention_in_python():
    p = ev.get_protocol("nyu")
    true, predicted = _noisy(p)
    with pytest.raises(PredictionError, match=r"ours: are its columns xyz\? .* as xyz, y up, it would be 8"):
        ev.evaluate_joints(predicted * [1, -1, 1], true, p, name="ours")
    assert ev.evaluate_joints(predicted * [1, -1, 1], true, p, as_is=True).mean_error > 80


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--axes", "up,down,forward"], "no direction of this axis called 'up'"),
        (["--axes", "right,down"], "axes are three"),
        (["--unit", "0"], "more than 0"),
        (["--unit", "nan"], "more than 0"),
        (["--order", "0,1,1"], "each place of the file's 14 joints once"),
        (["--order", "a"], "--order is places"),
        (["--pck", "nsmr"], "Did you mean 'nsrm'"),
    ],
)
def test_wrong_conventions_on_the_command_line(files, options, message):
    truth, prediction = files()
    result = run("--dataset", "nyu", prediction, "--groundtruth", truth, *options)
    assert result.exit_code == 2
    assert message in result.output


def test_pck_of_nsrm_is_strict_and_of_the_crops_width():
    true = np.array([[[0, 0], [100, 0], [0, 50]]], float)
    off = true + np.array([[[0, 0], [5, 0], [0, 11]]])
    np.testing.assert_allclose(ev.pck_2d(off, true, (0.05, 0.11, 0.12), definition="nsrm"), [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(ev.pck_2d(off, true, (0.05, 0.11), definition="box"), [2 / 3, 1])
    # The program: distance < threshold * width / 2.2
    distance, width, at = np.array([0, 5, 11]), 368, np.array([0.01, 0.03, 0.05, 0.07])
    want = [(distance < t * width / 2.2).mean() for t in at]
    np.testing.assert_allclose(ev.pck_2d(off, true, at, definition="nsrm", width=width), want)
    with pytest.raises(UnknownNameError, match=r"no definition of PCK called 'NSRM'.*Did you mean 'nsrm'"):
        ev.pck_2d(off, true, definition="NSRM")
    with pytest.raises(UsageError, match="width is of NSRM's square crops"):
        ev.pck_2d(off, true, width=368)


def test_unknown_evaluation():
    with pytest.raises(UnknownNameError, match="Did you mean 'icvl'"):
        ev.get_protocol("icvll")


def test_it_needs_no_torch():
    code = "import sys, gmaps.evaluation; print([m for m in ('torch', 'zarr', 'dask') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_errors_are_ours():
    assert issubclass(PredictionError, GmapsError)


def test_a_frame_named_twice_is_refused(tmp_path):
    path = tmp_path / "p.txt"
    rows = [f"frame_{k}.png " + "1 " * 63 for k in (0, 1, 1)]
    path.write_text("\n".join(["", *rows]))
    with pytest.raises(PredictionError, match=r"lines 3 and 4: both are of frame 'frame_1.png'"):
        ev.read_table(path, 21)
    path.write_text("\n".join(rows[:2]))
    assert ev.read_table(path, 21).names == ("frame_0.png", "frame_1.png")


@pytest.mark.parametrize("word", ["1_0", "1__0", "_10", "10_"])
def test_what_python_alone_takes_for_a_number_is_none(tmp_path, word):
    path = tmp_path / "p.txt"
    path.write_text("a_1.png " + "1 " * 62 + word)
    with pytest.raises(PredictionError, match=rf"line 1, number 63: '{word}' is not a finite number"):
        ev.read_table(path, 21)
    path.write_text(f"10 {word}")
    with pytest.raises(PredictionError, match=f"'{word}' is not a finite number"):
        ev.read_angles(path, 1)


def test_nsrms_table_is_that_of_its_definition():
    protocol, rng = ev.get_protocol("nyu"), np.random.default_rng(3)
    true = rng.normal(0, 40, (30, 14, 3)) + np.array([0, 0, 700])
    made = true + rng.normal(0, 8, true.shape)
    found = ev.evaluate_joints(made, true, protocol, pck="nsrm")
    px = [protocol.camera.project(p)[..., :2] for p in (made, true)]
    expected = ev.pck_2d(*px, (0.04, 0.06, 0.08, 0.1, 0.12), definition="nsrm")
    np.testing.assert_allclose(found.sigmas, expected)
    assert 0.05 < expected[0] < expected[-1] < 1
    table = found.to_dict()["pck_sigmas"]
    assert table["mean"] == pytest.approx(expected.mean())
    assert table["0.12"] == pytest.approx(expected[-1])
