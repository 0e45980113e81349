"""ICVL: two returns at line ends, turned copies, two cameras, two releases, and each fault that a copy can have.

The labels are the real test files where those are there. No real ICVL frame is to be had: all frames are synthetic,
16-bit grey PNGs written by the format.
"""

from __future__ import annotations

import json
import pickle
import shutil

import cv2
import numpy as np
import pytest

import gmaps
from gmaps.center import find_center, load_centers
from gmaps.datasets import check_dataset, icvl, load_dataset
from gmaps.datasets.icvl import CAMERAS, parse_depth, parse_labels
from gmaps.errors import DatasetError, FrameError, UnknownNameError
from gmaps.skeleton import get_skeleton

END = b"\r\r\n"
UVD = np.column_stack([np.linspace(120, 200, 16), np.linspace(80, 160, 16), np.linspace(300, 380, 16)])


def png(image):
    ok, data = cv2.imencode(".png", image)
    assert ok
    return data.tobytes()


def hand(mm=350):
    image = np.zeros((240, 320), np.uint16)
    image[70:170, 110:210] = mm
    return png(image)


def line(path, uvd=UVD):
    return f"{path} {' '.join(f'{v:.3f}' for v in np.ravel(uvd))} ".encode() + END


@pytest.fixture
def tree(tmp_path):
    """`tree(train=[...paths...], test_seq_1=3)` -> root: labels of made-up joints, and a frame for each."""

    def make(train=(), **tests):
        parts = {"Training": ("labels.txt", train)} if train else {}
        for part, count in tests.items():
            parts[part] = (f"{part}.txt", [f"{part}/image_{k:04d}.png" for k in range(count)])
        for k, (half, (file, paths)) in enumerate(parts.items()):
            folder = tmp_path / (half if half == "Training" else "Testing")
            (folder / "Depth").mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(b"".join(line(p, UVD + np.array([k, 0, i])) for i, p in enumerate(paths)))
            for i, p in enumerate(paths):
                (folder / "Depth" / p).parent.mkdir(parents=True, exist_ok=True)
                (folder / "Depth" / p).write_bytes(hand(300 + 10 * k + i))
        return tmp_path

    return make


@pytest.fixture
def real_tree(real_data, tmp_path):
    """The real labels of both test sequences, and a synthetic frame for the first two and the last of each."""
    for sequence, count in (("test_seq_1", 702), ("test_seq_2", 894)):
        folder = tmp_path / "Testing" / "Depth" / sequence
        folder.mkdir(parents=True)
        shutil.copyfile(real_data / "icvl" / f"{sequence}.txt", tmp_path / "Testing" / f"{sequence}.txt")
        for k in (0, 1, count - 1):
            (folder / f"image_{k:04d}.png").write_bytes(hand())
    return tmp_path


# --- bytes -----------------------------------------------------------------------------------------------------


def test_a_frame_is_millimetres_as_they_are():
    image = np.zeros((240, 320), np.uint16)
    image[3, 4], image[239, 319] = 256, 65535
    depth = parse_depth(png(image), "f")
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, image)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((240, 320), np.uint8), "an 8-bit grey PNG, where depth is kept as 16-bit grey"),
        (np.zeros((240, 320, 3), np.uint8), "an 8-bit RGB PNG"),
        (np.zeros((240, 320, 4), np.uint8), "an 8-bit RGBA PNG, where depth is kept as 16-bit grey"),
        (np.zeros((240, 320, 4), np.uint16), "an 16-bit RGBA PNG"),
        (np.zeros((480, 640), np.uint16), "640 x 480 pixels, not 320 x 240"),
    ],
)
def test_other_pictures_say_what_was_found(image, message):
    with pytest.raises(FrameError, match=f"^test_seq_1/image_0000.png: {message}"):
        parse_depth(png(image), "test_seq_1/image_0000.png")


def test_labels_are_pixels_and_millimetres_with_y_down():
    joints = parse_labels(line("a/image_0000.png"), CAMERAS["standard"], "f")
    assert joints.shape == (16, 3)
    np.testing.assert_allclose(CAMERAS["standard"].project(joints), UVD, atol=5e-3)
    np.testing.assert_allclose(joints[0], [(120 - 160) * 300 / 241.42, (80 - 120) * 300 / 241.42, 300], rtol=1e-6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a/image_0000.png " + b"1 " * 47, "47 numbers, not 48"),
        (b"a/image_0000.png " + b"1 " * 49, "49 numbers, not 48"),
        (b"a/image_0000.png " + b"1 " * 47 + b"x", "could not convert string to float: b'x'"),
        (b"a/image_0000.png " + b"1 " * 47 + b"1_0", "b'1_0' is no number"),
        (b"", "0 numbers"),
    ],
)
def test_bad_lines_say_what_was_found(data, message):
    with pytest.raises(FrameError, match=f"^labels, line 3: {message}"):
        parse_labels(data, CAMERAS["standard"], "labels, line 3")


# --- the real labels -------------------------------------------------------------------------------------------


def test_real_labels_have_two_returns_and_are_the_evaluations(real_tree, real_data):
    ds = load_dataset("icvl", real_tree, split="test")
    assert len(ds) == 6  # the six frames that are there, of 1596 lines
    np.testing.assert_array_equal(ds.index().frame, 331_006 + np.array([0, 1, 701, 702, 703, 1595]))
    truth = np.loadtxt(real_data / "eval" / "icvl" / "groundtruth.txt").reshape(-1, 16, 3)
    for i, row in enumerate((0, 1, 701, 702, 703, 1595)):
        np.testing.assert_allclose(ds.camera.project(ds.read(i).joints), truth[row], atol=2e-3)
    assert ds.read(3).name == "Testing/Depth/test_seq_2/image_0000.png"
    assert ds.fingerprint()["release"] == {"test_seq_1": "evaluated", "test_seq_2": "evaluated"}


def test_check_of_the_real_labels(real_tree):
    checks = {c.what: c for c in check_dataset("icvl", real_tree)}
    labels = checks["Testing/test_seq_1.txt"]
    assert (labels.found, labels.expected, labels.problem) == (702, 702, "")
    assert checks["Testing/test_seq_2.txt"].ok
    assert checks["Training/labels.txt"].found == 0
    frames = checks["test_seq_2 frames"]
    assert (frames.found, frames.expected) == (3, 894)
    assert "891 frames that labels name are not here, first: Testing/Depth/test_seq_2/image_0002" in frames.problem


def test_the_other_release_is_told_apart(real_tree):
    path = real_tree / "Testing" / "test_seq_2.txt"
    before = load_dataset("icvl", real_tree, split="test").fingerprint()
    path.write_bytes(path.read_bytes().replace(b"\r\r\n", b"\n"))
    assert load_dataset("icvl", real_tree, split="test").fingerprint() == before  # line ends are no release
    path.write_bytes(path.read_bytes().replace(b"203.913", b"203.914", 1).replace(b".000", b".001", 1))
    after = load_dataset("icvl", real_tree, split="test").fingerprint()
    assert after["release"] == {"test_seq_1": "evaluated", "test_seq_2": "other"}
    assert after != before
    checks = {c.what: c for c in check_dataset("icvl", real_tree)}
    assert checks["Testing/test_seq_1.txt"].ok
    assert "not the labels of the common evaluation" in checks["Testing/test_seq_2.txt"].problem


def test_centres_of_one_sequence_do_not_fit_both(real_tree, tmp_path):
    ds = load_dataset("icvl", real_tree, split="test")
    file = tmp_path / "center_uvd.txt"
    file.write_text("160 120 350\n" * 702)
    with pytest.raises(DatasetError, match=r"has 702 centres, the data set has 6 frames"):
        load_centers(file, ds.camera, len(ds))


def test_a_hand_is_found_without_labels(real_tree):
    ds = load_dataset("icvl", real_tree, split="test")
    x, y, z = find_center(ds.read(0), "com", 125, ds.info.depth_range)
    assert (abs(x), abs(y), z) == pytest.approx((0, 0, 350), abs=1)


# --- trees -----------------------------------------------------------------------------------------------------

STAMP = "201403121135"
TRAIN = [f"{STAMP}/image_0000.png", f"{STAMP}/image_0001.png", f"22-5/{STAMP}/image_0000.png", "45/image_0000.png"]


def test_parts_sequences_and_frame_numbers(tree):
    root = tree(TRAIN, test_seq_1=2, test_seq_2=1)
    ds = load_dataset("icvl", root)
    index = ds.index()
    np.testing.assert_array_equal(index.frame, [0, 1, 2, 3, 331_006, 331_007, 331_708])
    assert [index.sequences[s] for s in index.sequence] == [
        STAMP, STAMP, f"22-5/{STAMP}", "45", "test_seq_1", "test_seq_1", "test_seq_2",
    ]  # fmt: skip
    assert [index.subjects[s] for s in index.subject] == ["train"] * 4 + ["test"] * 3
    for i, (mm, u) in enumerate([(300, 120), (301, 120), (302, 120), (303, 120), (310, 121), (311, 121), (320, 122)]):
        frame = ds.read(i)
        assert frame.depth.max() == mm
        assert frame.index == index.frame[i]
        assert ds.camera.project(frame.joints)[0, 0] == pytest.approx(u, abs=5e-3)
    assert len(load_dataset("icvl", root, split="train")) == 4
    assert len(load_dataset("icvl", root, split="test")) == 3


def test_turned_copies_can_be_left_out(tree):
    root = tree([*TRAIN, f"{STAMP}/90/image_0000.png"], test_seq_1=1)
    ds = load_dataset("icvl", root, split="train", rotations="none")
    np.testing.assert_array_equal(ds.index().frame, [0, 1])
    assert len(load_dataset("icvl", root, rotations="none")) == 3  # tests have no turned copies
    assert ds.fingerprint() != load_dataset("icvl", root, split="train").fingerprint()


def test_one_test_sequence_alone(tree):
    root = tree(test_seq_1=3, test_seq_2=2)
    assert len(load_dataset("icvl", root, split="test", test_sequence="1")) == 3
    two = load_dataset("icvl", root, split="test", test_sequence=2)
    np.testing.assert_array_equal(two.index().frame, [331_708, 331_709])
    assert load_dataset(**json.loads(json.dumps(two.spec()))).fingerprint() == two.fingerprint()


def test_two_cameras_make_millimetres_of_the_same_pixels(tree):
    root = tree(test_seq_1=1)
    a, b = (load_dataset("icvl", root, camera=c).read(0) for c in ("standard", "evaluation"))
    assert (a.camera.fx, b.camera.fx, b.camera.fy) == (241.42, 240.99, 240.96)
    np.testing.assert_allclose(a.joints[0, 0] / b.joints[0, 0], 240.99 / 241.42, rtol=1e-6)
    np.testing.assert_array_equal(a.joints[:, 2], b.joints[:, 2])


@pytest.mark.parametrize(("option", "value"), [("rotations", "some"), ("test_sequence", "3"), ("camera", "kinect")])
def test_options_that_do_not_exist(tree, option, value):
    with pytest.raises(UnknownNameError, match=f"no {option} of icvl called '{value}'"):
        load_dataset("icvl", tree(test_seq_1=1), **{option: value})


def test_lines_that_name_absent_frames_cost_those_frames_alone(tree):
    root = tree(test_seq_1=4)
    (root / "Testing/Depth/test_seq_1/image_0001.png").unlink()
    ds = load_dataset("icvl", root, split="test")
    np.testing.assert_array_equal(ds.index().frame, 331_006 + np.array([0, 2, 3]))
    assert ds.read(1).depth.max() == 302  # frames keep their labels
    assert ds.camera.project(ds.read(1).joints)[0, 2] == pytest.approx(302, abs=1e-3)
    shutil.rmtree(root / "Testing/Depth")
    with pytest.raises(DatasetError, match="labels of 4 frames, and none of these frames is here"):
        load_dataset("icvl", root, split="test").index()


def test_two_lines_that_name_one_frame_and_differ_are_refused(tree):
    root = tree(test_seq_1=3)
    labels = root / "Testing/test_seq_1.txt"
    lines = labels.read_bytes().strip().split(b"\n")
    labels.write_bytes(b"\n".join([*lines, lines[1]]))  # a copy of a line says the same
    assert len(load_dataset("icvl", root, split="test")) == 4
    numbers = lines[0].split(b" ", 1)[1]
    labels.write_bytes(b"\n".join([*lines, lines[1].split(b" ", 1)[0] + b" " + numbers]))
    with pytest.raises(DatasetError, match="lines 2 and 4: name one frame, with other numbers"):
        load_dataset("icvl", root, split="test").index()


def test_builds_say_how_many_frames_are_not_here(tree, tmp_path, caplog):
    root = tree(test_seq_1=4)
    (root / "Testing/Depth/test_seq_1/image_0001.png").unlink()
    caplog.set_level("INFO", "gmaps")
    report = gmaps.build("icvl", tmp_path / "s.zarr", ("signed_edt",), root=root, split="test", workers=0,
                         progress=False, max_rejects=1.0)  # fmt: skip
    said = "icvl: 1 of 4 frames that labels name are not here, and left out; `gmaps datasets icvl --check"
    assert said in caplog.text
    assert said in report.summary()


def test_faulty_frames_are_errors_of_the_frame_alone(tree):
    root = tree(test_seq_1=6)
    folder, labels = root / "Testing/Depth/test_seq_1", root / "Testing/test_seq_1.txt"
    ds = load_dataset("icvl", root)
    assert len(ds) == 6
    lines = labels.read_bytes().split(END)
    lines[1] = lines[1][:-9]
    lines[2] = lines[2].replace(b" 302.000", b" nan", 1)
    lines[3] = lines[3].replace(b" 303.000", b" 0", 1)
    labels.write_bytes(END.join(lines))
    (folder / "image_0004.png").write_bytes(hand()[:-20])
    (folder / "image_0005.png").write_bytes(png(np.zeros((240, 320, 4), np.uint8)))
    ds = load_dataset("icvl", root)
    for i, message in {
        1: r"image_0001.png: Testing/test_seq_1.txt, line 2: 47 numbers, not 48",
        2: r"image_0002.png: joint 0 is at \[nan, nan, nan\] mm",
        3: r"image_0003.png: joint 0 is at \[-?0.0, -?0.0, 0.0\] mm",
        4: r"image_0004.png: torn",
        5: r"image_0005.png: an 8-bit RGBA PNG",
    }.items():
        with pytest.raises(FrameError, match=message):
            ds.read(i)
    assert ds.read(0).name.endswith("image_0000.png")
    problem = {c.what: c.problem for c in check_dataset("icvl", root)}
    assert "3 bad lines, first: line 2: 47 numbers, not 48" in problem["Testing/test_seq_1.txt"]
    assert "1 frames cannot be read, first: Testing/Depth/test_seq_1/image_0005" in problem["test_seq_1 frames"]


def test_more_labels_than_the_data_set_has(tree, monkeypatch):
    root = tree(test_seq_1=4)
    monkeypatch.setitem(icvl.EXPECTED, "test_seq_1", 3)
    with pytest.raises(DatasetError, match="4 lines of labels, where test_seq_1 of ICVL has 3"):
        load_dataset("icvl", root).index()


@pytest.mark.parametrize(
    "name",
    ["../../etc/image_0000.png", "/etc/image_0000.png", "image_0000.png", "a/./image_0000.png", "a/b.txt"],
)
def test_names_that_lead_elsewhere_are_refused(tree, name):
    root = tree(test_seq_1=2)
    with open(root / "Testing/test_seq_1.txt", "ab") as f:
        f.write(line(name))
    with pytest.raises(DatasetError, match=r"test_seq_1.txt, line 3: begins with .* no frame's name"):
        load_dataset("icvl", root).index()


def test_wrong_trees(tree, tmp_path):
    (tmp_path / "P0").mkdir()
    with pytest.raises(DatasetError, match=r"no Testing/test_seq_1.txt nor Testing/test_seq_2.txt here, but P0"):
        load_dataset("icvl", tmp_path, split="test").index()
    root = tree(test_seq_1=1)
    (root / "Testing/test_seq_1.txt").write_bytes(b"x" * 100_000)
    with pytest.raises(DatasetError, match=r"line 1: longer than 8,192 bytes"):
        load_dataset("icvl", root).index()


def test_check_names_every_fault(tree, monkeypatch):
    root = tree(TRAIN, test_seq_1=2)
    with open(root / "Testing/test_seq_1.txt", "ab") as f:
        f.write(line("test_seq_1/image_0001.png"))
    monkeypatch.setattr(icvl, "UNROTATED", 2)
    monkeypatch.setitem(icvl.EXPECTED, "train", 4)
    checks = {c.what: c for c in check_dataset("icvl", root)}
    assert checks["Training/labels.txt"].ok
    assert checks["Training/labels.txt, not rotated"].ok
    assert checks["train frames"].ok
    assert "3 lines, not 702: another release, or a part of it" in checks["Testing/test_seq_1.txt"].problem
    assert "1 lines name a frame that an earlier line names" in checks["Testing/test_seq_1.txt"].problem
    assert checks["Testing/test_seq_2.txt"].problem == "no such file; the other parts can be built"


def test_pickles_leave_labels_behind(tree):
    ds = load_dataset("icvl", tree(TRAIN))
    first = ds.read(0)
    data = pickle.dumps(ds)
    assert len(data) < 1500
    np.testing.assert_array_equal(pickle.loads(data).read(0).joints, first.joints)


def test_skeleton_is_the_labels():
    s = get_skeleton("icvl16")
    assert len(s) == 16
    assert s.joints[:4] == ("palm", "thumb_root", "thumb_mid", "thumb_tip")
    assert s.joints[15] == "little_tip"
