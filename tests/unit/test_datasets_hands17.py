"""HANDS17 and BigHand: joints and boxes, names with and without their letters, and frames without labels.

No real annotation is to be had: labels and frames are synthetic, written by the format (TABs, xyz mm, 16-bit PNGs).
"""

from __future__ import annotations

import json
import os
import pickle

import cv2
import numpy as np
import pytest

import gmaps
from gmaps.center import find_center, load_centers
from gmaps.crop import crop_frame
from gmaps.datasets import check_dataset, hands17, load_dataset
from gmaps.datasets.hands17 import CAMERA, parse_box, parse_depth, parse_labels
from gmaps.errors import DatasetError, FrameError, UnknownNameError, UsageError
from gmaps.frame import Cube
from gmaps.pipeline.verify import recompute_rows
from gmaps.skeleton import get_skeleton

JOINTS = np.column_stack([np.linspace(-40, 40, 21), np.linspace(-50, 30, 21), np.linspace(400, 440, 21)])


def png(image):
    ok, data = cv2.imencode(".png", image)
    assert ok
    return data.tobytes()


def hand(mm=420):
    """A hand's depth before the camera, and something nearer beside it."""
    image = np.zeros((480, 640), np.uint16)
    image[180:300, 260:380] = mm
    image[0:150, 500:640] = 200
    return png(image)


def label(name, joints=JOINTS):
    return "\t".join([name, *(f"{v:.4f}" for v in np.ravel(joints))])


def folder(path, numbers):
    path.mkdir(parents=True)
    for n in numbers:
        (path / f"image_D{n:08d}.png").write_bytes(hand(400 + n))


@pytest.fixture
def tree(tmp_path):
    """`tree(train=3, test=2)` -> root; frame n is n mm behind 400, and so is its wrist."""

    def make(train=0, test=0, end="\n"):
        if train:
            folder(tmp_path / "training" / "images", range(1, train + 1))
            lines = [label(f"image_D{n:08d}.png", JOINTS + [0, 0, n]) for n in range(1, train + 1)]  # noqa: RUF005
            (tmp_path / "training" / "Training_Annotation.txt").write_bytes(end.join([*lines, ""]).encode())
        if test:
            folder(tmp_path / "frame" / "images", range(1, test + 1))
            lines = [f"image_D{n:08d}.png\t250\t170\t140\t140" for n in range(1, test + 1)]
            (tmp_path / "frame" / "BoundingBox.txt").write_bytes(end.join([*lines, ""]).encode())
        return tmp_path

    return make


# --- bytes -----------------------------------------------------------------------------------------------------


def test_a_frame_is_millimetres_as_they_are():
    image = np.zeros((480, 640), np.uint16)
    image[479, 639], image[0, 1] = 65535, 3
    np.testing.assert_array_equal(parse_depth(png(image), "f"), image)
    with pytest.raises(FrameError, match=r"^f: an 8-bit RGBA PNG, where depth is kept as 16-bit grey"):
        parse_depth(png(np.zeros((480, 640, 4), np.uint8)), "f")


def test_labels_are_camera_axes_as_they_are():
    joints = parse_labels(label("image_D00000001.png").encode(), "f")
    np.testing.assert_allclose(joints, JOINTS, atol=5e-5)
    np.testing.assert_allclose(CAMERA.project(joints)[0, :2], [-4.0 * 118.766487 / 10 + 315.944855, 185.903847])


@pytest.mark.parametrize("separator", ["\t", " ", "\t \t"])
def test_any_white_space_separates(separator):
    line = separator.join(["00000001", *map(str, range(63)), ""]).encode()
    np.testing.assert_array_equal(parse_labels(line, "f").ravel(), range(63))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"n 1 2 3", "3 numbers, not 4"),
        (b"n 1 2 3 x", "could not convert"),
        (b"n 1 2 0 5", "the box at 1, 2 of 0 x 5 pixels is off the image"),
        (b"n 640 2 9 5", "off the image"),
        (b"n -20 2 9 5", "off the image"),
        (b"n nan 2 9 5", "off the image"),
        (b"n 1 2 inf 5", "off the image"),
    ],
)
def test_bad_boxes_say_what_was_found(line, message):
    with pytest.raises(FrameError, match=f"^f: .*{message}"):
        parse_box(line, "f")
    assert parse_box(b"n -5 470.5 9 50", "f") == (-5, 470.5, 9, 50)


# --- trees -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_halves(tree, end):
    root = tree(train=3, test=2, end=end)
    train, test = (load_dataset("hands17", root, split=s) for s in ("train", "test"))
    np.testing.assert_array_equal(train.index().frame, [0, 1, 2])
    np.testing.assert_array_equal(test.index().frame, [957_032, 957_033])
    assert [test.index().subjects[s] for s in test.index().subject] == ["test", "test"]
    for i in range(3):
        frame = train.read(i)
        assert frame.name == f"training/images/image_D{i + 1:08d}.png"
        assert (frame.depth[200, 300], frame.labelled, frame.box) == (401 + i, True, None)
        assert frame.joints[0, 2] == pytest.approx(401 + i)
    assert len(load_dataset("hands17", root)) == 3  # the labelled ones
    np.testing.assert_array_equal(train.read(0).joints[0, :2], [-40, -50])


def test_joints_go_by_their_names(tree):
    ds = load_dataset("hands17", tree(train=1))
    order = ds.skeleton.mapping_to(get_skeleton("msra21"))
    joints = ds.read(0).joints[list(order)]
    np.testing.assert_allclose(joints[8], JOINTS[14] + [0, 0, 1], atol=1e-4)  # the middle finger's tip
    np.testing.assert_allclose(joints[17:], JOINTS[[1, 6, 7, 8]] + [0, 0, 1], atol=1e-4)  # the thumb, last


@pytest.mark.parametrize("name", ["images\\image_D{:08d}.png", '"image_D{:08d}.png"', "{}", "{:08d}"])
def test_names_as_peoples_programs_write_them(tree, name):
    root = tree(train=3)
    want = load_dataset("hands17", root)
    path = root / "training" / "Training_Annotation.txt"
    lines = [line.split(None, 1)[1] for line in path.read_text().splitlines()]
    path.write_text("\ufeff" + "\n\n".join(f"{name.format(k)}\t{line}" for k, line in enumerate(lines, 1)))
    found = load_dataset("hands17", root)
    for k in range(3):
        np.testing.assert_array_equal(found.read(k).joints, want.read(k).joints)
        assert found.read(k).name == want.read(k).name


def test_frames_without_labels_have_a_box(tree):
    ds = load_dataset("hands17", tree(test=1), split="test")
    frame = ds.read(0)
    assert frame.box == (250, 170, 140, 140)
    assert not frame.labelled
    assert frame.joints.shape == (21, 3)
    with pytest.raises(FrameError, match=r"image_D00000001.png: has no labels, .*--center com"):
        find_center(frame, "joints", 125, ds.info.depth_range)
    x, y, z = find_center(frame, "com", 125, ds.info.depth_range)
    assert z == pytest.approx(401)
    u, v, _ = CAMERA.project([x, y, z])
    assert (u, v) == pytest.approx((319.5, 239.5), abs=0.5)
    # Without its box, what is nearest would be taken for the hand.
    unboxed = gmaps.Frame(frame.depth, frame.camera, frame.joints)
    assert find_center(unboxed, "com", 125, ds.info.depth_range)[2] == pytest.approx(200)
    crop = crop_frame(frame, Cube((x, y, z), 125))
    assert crop.mask.any()
    with pytest.raises(FrameError, match="there are no labels, and geodesic must have joints; without: signed_edt"):
        gmaps.encode(crop, ("signed_edt", "geodesic"))
    assert gmaps.encode(crop, ("signed_edt",))["signed_edt"].max() > 0


def test_a_box_may_reach_beyond_the_image(tree):
    frame = load_dataset("hands17", tree(test=1), split="test").read(0)
    wide = gmaps.Frame(frame.depth, frame.camera, frame.joints, box=(-50, 160.5, 500.0, 900.0))
    assert find_center(wide, "com", 125, (100, 1000))[2] == pytest.approx(401)
    for box in ((-50, 0, 50, 10), (0, 479.9, 5, -1)):
        with pytest.raises(FrameError, match="holds no pixel of 640 x 480"):
            find_center(gmaps.Frame(frame.depth, frame.camera, frame.joints, box=box), "com", 125, (100, 1000))


def test_the_test_split_is_built_without_labels(tree, tmp_path):
    ds = load_dataset("hands17", tree(test=3), split="test")
    report = gmaps.build(ds, tmp_path / "t.zarr", maps=("signed_edt",), center="com", workers=0, progress=False)
    assert report.rejected == 0
    store = gmaps.open_store(tmp_path / "t.zarr")
    assert store.column("valid").all()
    sample = store[1]
    assert np.isnan(sample.joints).all()
    assert sample.cube.center[2] == pytest.approx(402)
    assert (sample.depth < 1).any()
    assert list(recompute_rows(store, [0, 1, 2], root=ds.root)) == []


def test_labels_of_absent_frames_are_left_out(tree):
    root = tree(train=4)
    os.unlink(root / "training/images/image_D00000002.png")
    ds = load_dataset("hands17", root)
    np.testing.assert_array_equal(ds.index().frame, [0, 2, 3])
    assert ds.read(1).joints[0, 2] == pytest.approx(403)
    for n in (1, 3, 4):
        os.unlink(root / f"training/images/image_D{n:08d}.png")
    with pytest.raises(DatasetError, match="labels of 4 frames, and none of these frames is here"):
        load_dataset("hands17", root).index()


def test_two_lines_that_name_one_frame_and_differ_are_refused(tree):
    root = tree(train=3)
    labels = root / "training/Training_Annotation.txt"
    before = labels.read_text()
    labels.write_text(before + label("image_D00000002.png", JOINTS + 1))
    with pytest.raises(DatasetError, match="lines 2 and 4: name one frame, with other numbers"):
        load_dataset("hands17", root).index()
    labels.write_text(before + before.splitlines()[1])
    assert len(load_dataset("hands17", root)) == 4


def test_frames_that_are_not_here_are_counted(tree):
    root = tree(train=3)
    os.unlink(root / "training/images/image_D00000002.png")
    data = load_dataset("hands17", root)
    data.index()
    assert "hands17: 1 of 3 frames that labels name are not here" in data.left_out


def test_faulty_frames_are_errors_of_the_frame_alone(tree):
    root = tree(train=5)
    path = root / "training/Training_Annotation.txt"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].rsplit("\t", 1)[0]
    lines[2] = lines[2].replace("\t403.0000", "\tnan")
    path.write_text("\n".join(["", *lines]))
    image = root / "training/images/image_D00000004.png"
    image.write_bytes(image.read_bytes()[:-30])
    os.truncate(root / "training/images/image_D00000005.png", 10)
    ds = load_dataset("hands17", root)
    for i, message in {
        1: r"image_D00000002.png: training/Training_Annotation.txt, line 3: 62 numbers, not 63",
        2: r"image_D00000003.png: joint 0 is at \[-40.0, -50.0, nan\]",
        3: r"image_D00000004.png: torn",
        4: r"image_D00000005.png: no PNG",
    }.items():
        with pytest.raises(FrameError, match=message):
            ds.read(i)
    checks = {c.what: c.problem for c in check_dataset("hands17", root)}
    assert "5 lines, not 957032: another release" in checks["training/Training_Annotation.txt"]
    assert "2 bad lines, first: line 3: 62 numbers, not 63" in checks["training/Training_Annotation.txt"]
    assert "1 frames cannot be read, first: training/images/image_D00000005" in checks["training/images"]
    assert "no such file; the other part" in checks["frame/BoundingBox.txt"]


def test_two_releases_are_told_apart_by_their_counts(tree, monkeypatch, tmp_path):
    root = tree(train=4)
    ds = load_dataset("hands17", root)
    before = ds.fingerprint()
    (tmp_path / "centres.txt").write_text("0 0 400\n" * 5)
    with pytest.raises(DatasetError, match="has 5 centres, the data set has 4 frames"):
        load_centers(tmp_path / "centres.txt", CAMERA, len(ds))
    path = root / "training/Training_Annotation.txt"
    path.write_text(path.read_text().replace("401.0000", "401.0001"))
    assert load_dataset("hands17", root).fingerprint() != before
    monkeypatch.setitem(hands17.PARTS, "train", hands17.PARTS["train"]._replace(expected=3))
    with pytest.raises(DatasetError, match="4 lines of labels, where there are 3"):
        load_dataset("hands17", root).index()


def test_a_complete_tree_has_no_faults(tree, monkeypatch):
    root = tree(train=2, test=1)
    for part, count in (("train", 2), ("test", 1)):
        monkeypatch.setitem(hands17.PARTS, part, hands17.PARTS[part]._replace(expected=count))
    checks = check_dataset("hands17", root)
    assert [(c.found, c.expected, c.problem) for c in checks] == [(2, 2, "")] * 2 + [(1, 1, "")] * 2


def test_wrong_trees(tree, tmp_path):
    (tmp_path / "P0").mkdir()
    with pytest.raises(DatasetError, match=r"no training/Training_Annotation.txt here, but P0; the tree must be"):
        load_dataset("hands17", tmp_path).index()
    root = tree(train=1)
    (root / "training/Training_Annotation.txt").write_bytes(b"\x89PNG 1 2\n")
    with pytest.raises(DatasetError, match=r"line 1: begins with b'.x89PNG', which is no frame's name"):
        load_dataset("hands17", root).index()


def test_pickles_leave_labels_behind(tree):
    ds = load_dataset("hands17", tree(train=2), split="train")
    first = ds.read(1)
    data = pickle.dumps(ds)
    assert len(data) < 1500
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.read(1).joints, first.joints)
    assert load_dataset(**json.loads(json.dumps(ds.spec()))).fingerprint() == again.fingerprint()


# --- BigHand's own tree ----------------------------------------------------------------------------------------


@pytest.fixture
def big(tmp_path):
    """Three people; the second's folder has lost the space in its name, and the labels of the tenth are many."""
    for subject, view, folder_name, count in (
        ("Subject_1", "76 150", "76 150", 3), ("Subject_1", "ego", "ego", 2),
        ("Subject_2", "301 375", "301375", 2), ("Subject_10", "76 150", "76 150", 1),
    ):  # fmt: skip
        folder(tmp_path / subject / folder_name, range(1, count + 1))
        labels = tmp_path / "full_annotation" / subject / f"{view}_loc_shift_made_by_qi_20180112_v2.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("".join(label(f"{n:08d}", JOINTS + [0, 0, n]) + "\t\n" for n in range(1, count + 1)))  # noqa: RUF005
        (labels.parent / "README.txt").write_text("not labels\n")
    return tmp_path


def test_names_of_digits_alone_find_their_frames(big):
    ds = load_dataset("bighand", big)
    index = ds.index()
    assert index.subjects == ("Subject_1", "Subject_2", "Subject_10")
    assert index.sequences == ("76 150", "ego", "301 375")
    assert [index.subjects[s] for s in index.subject] == ["Subject_1"] * 5 + ["Subject_2"] * 2 + ["Subject_10"]
    assert len(set(index.frame.tolist())) == 8
    for litter in ("Subject_1/._76 150", "full_annotation/Subject_1/._76 150_loc.txt",
                   "full_annotation/Subject_1/.DS_Store", "Subject_1/76 150/._image_D00000001.png"):  # fmt: skip
        (big / litter).write_bytes(b"\0\5\x16\7")
    assert len(load_dataset("bighand", big)) == 8
    frame = ds.read(6)
    assert frame.name == "Subject_2/301375/image_D00000002.png"
    assert (frame.depth[200, 300], frame.joints[0, 2]) == (402, 402)
    assert all(c.ok for c in check_dataset("bighand", big))


def test_one_person_is_left_out(big):
    test = load_dataset("bighand", big, split="test", test_subject="Subject_2")
    train = load_dataset("bighand", big, split="train", test_subject="Subject_2")
    assert (len(test), len(train)) == (2, 6)
    everything = load_dataset("bighand", big).index().frame
    assert sorted([*test.index().frame, *train.index().frame]) == sorted(everything)
    assert len(load_dataset("bighand", big, split="test")) == 5
    with pytest.raises(UnknownNameError, match=r"no subject here called 'Subject_3'.*Did you mean"):
        load_dataset("bighand", big, split="test", test_subject="Subject_3").index()
    with pytest.raises(UnknownNameError, match="no subject here called 'Subject_3'"):
        load_dataset("bighand", big, test_subject="Subject_3").index()  # a name that matches nothing, in any split


def test_faults_of_bighand(big, tmp_path):
    os.unlink(big / "Subject_1/ego/image_D00000002.png")
    (big / "Subject_2/301375/image_D00000009.png").write_bytes(hand())
    assert len(load_dataset("bighand", big)) == 7
    problem = {c.what: c.problem for c in check_dataset("bighand", big)}
    assert "1 frames that labels name are not here, first: image_D00000002.png" in problem["Subject_1/ego"]
    assert "1 frames have no labels" in problem["Subject_2/301375"]
    with pytest.raises(DatasetError, match=r"no full_annotation/Subject_\*/\*.txt here, but "):
        load_dataset("bighand", big / "Subject_1").index()


def test_unknown_options_are_refused(big):
    with pytest.raises(UnknownNameError, match="test_subject"):
        load_dataset("bighand", big, subject="Subject_2")
    with pytest.raises(UsageError, match="hands17 has no options"):
        load_dataset("hands17", big, subject="Subject_2")
