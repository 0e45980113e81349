"""MSRA: bytes and axes, subjects and gestures, and each fault that a copy on disk can have.

No real MSRA15 frame is to be had. These are synthetic: written by the format, rendered from the real poses of 2014
where those are there.
"""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from gmaps.center import load_centers
from gmaps.datasets import check_dataset, load_dataset
from gmaps.datasets.msra import GESTURES, SUBJECTS, expected_frames
from gmaps.datasets.msra.bin_files import CAMERA, parse_depth, parse_joints
from gmaps.datasets.write.frame_files import write_joint_txt, write_msra_bin
from gmaps.errors import DatasetError, FrameError, UnknownNameError, UsageError

HEADER = struct.Struct("<6I")


def box_file(box=(150, 90, 153, 92), values=None, size=(320, 240)):
    """A frame written by hand, so that the test does not lean on our writer."""
    left, top, right, bottom = box
    if values is None:
        values = np.arange(1, 1 + (right - left) * (bottom - top)) * 10.5
    return HEADER.pack(*size, left, top, right, bottom) + np.asarray(values, "<f4").tobytes()


# --- bytes -----------------------------------------------------------------------------------------------------


def test_box_lands_where_its_header_says():
    depth = parse_depth(box_file(), "f")
    assert depth.shape == (240, 320)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth[90:92, 150:153], [[10.5, 21, 31.5], [42, 52.5, 63]])
    assert np.count_nonzero(depth) == 6  # half open: nothing at row 92 or column 153


def test_frame_of_2014_is_told_by_its_size():
    whole = np.zeros((240, 320), "<f4")
    whole[17, 300] = 412.25
    np.testing.assert_array_equal(parse_depth(whole.tobytes(), "f"), whole)


def test_whole_image_with_a_header_is_no_frame_of_2014():
    values = np.full(320 * 240, 7.0)
    assert (parse_depth(box_file((0, 0, 320, 240), values), "f") == 7).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes, shorter than its header"),
        (b"x" * 23, "23 bytes, shorter than its header"),
        (box_file()[:-1], "truncated, 47 bytes where its header asks for 48"),
        (box_file()[:24], "truncated, 24 bytes where its header asks for 48"),
        (box_file() + b"\0", "too long, 49 bytes where its header asks for 48"),
        (box_file(size=(640, 480)), "says 640 x 480 pixels, not 320 x 240"),
        (box_file((5, 5, 5, 9), []), "columns 5 to 5 and rows 5 to 9, is empty or outside"),
        (box_file((9, 5, 5, 9), np.zeros(0)), "is empty or outside"),
        (box_file((0, 0, 321, 1), np.zeros(321)), "is empty or outside"),
        (HEADER.pack(320, 240, 0, 0, 2**32 - 1, 2**32 - 1), "is empty or outside"),
        (b"\xff" * 30, "says 4294967295 x 4294967295 pixels"),
        (box_file(values=[1, 2, np.nan, 4, 5, 6]), "depths from nan to nan"),
        (box_file(values=[1, 2, np.inf, 4, 5, 6]), "to inf mm"),
        (box_file(values=[1, 2, -3, 4, 5, 6]), "depths from -3.0 to 6.0 mm"),
    ],
)
def test_bad_frames_say_what_was_found(data, message):
    with pytest.raises(FrameError, match=rf"^P0/5/000012_depth.bin: .*{message}"):
        parse_depth(data, "P0/5/000012_depth.bin")


def line(values=None):
    return " ".join(f"{v:g}" for v in (np.arange(1, 64) if values is None else values))


def test_joints_flip_y_and_z():
    joints, faults = parse_joints(f"1\n{line()}\n".encode(), "j")
    assert not faults
    assert joints.dtype == np.float32
    np.testing.assert_array_equal(joints[0, 0], [1, -2, -3])
    np.testing.assert_array_equal(joints[0, 20], [61, -62, -63])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n", " \r\n", ""])
def test_line_ends_of_all_kinds(end):
    assert len(parse_joints(f"2\r\n{line()}\r\n{line()}{end}".encode(), "j")[0]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line must be the number of frames"),
        (line(), "first line must be the number of frames, not b'1 2 3"),
        ("-1\n", "first line must be the number of frames"),
        (f"3\n{line()}\n{line()}\n", "promises 3 frames, 2 lines follow"),
        (f"1\n{line()}\n{line()}\n", "promises 1 frames, 2 lines follow"),
        (f"99999999999999\n{line()}\n", "promises 99999999999999 frames, 1 lines follow"),
        (f"2\n{line(range(42))}\n{line(range(42))}\n", "line 2: 42 numbers, not 63; so is every line"),
    ],
)
def test_labels_of_another_kind_are_refused_at_once(text, message):
    with pytest.raises(DatasetError, match=rf"^P0/5/joint.txt.*{message}"):
        parse_joints(text.encode(), "P0/5/joint.txt")


def test_one_bad_line_costs_one_frame():
    bad = line().replace(" 7 ", " seven ")
    text = f"5\n{line()}\n{line(range(62))}\n{bad}\n{line([*range(1, 63), np.nan])}\n{line(range(64))}\n"
    joints, faults = parse_joints(text.encode(), "j")
    assert set(faults) == {1, 2, 4}
    assert faults[1] == "j, line 3: 62 numbers, not 63"
    assert "seven" in faults[2]
    assert faults[4] == "j, line 6: 64 numbers, not 63"
    assert np.isfinite(joints[0]).all()
    assert np.isnan(joints[3, 20, 2])


def test_real_labels_project_into_the_image(real_poses):
    assert real_poses.shape == (400, 21, 3)
    np.testing.assert_allclose(real_poses[0, 0], [-14.6527, 39.5652, 344.226], rtol=1e-6)  # from the file's text
    uvd = CAMERA.project(real_poses)
    assert (uvd[..., :2] > 0).all()
    assert (uvd[..., 0] < 320).all()
    assert (uvd[..., 1] < 240).all()
    assert uvd[0, 8, 1] < uvd[0, 0, 1]  # the first hand points up


# --- trees -----------------------------------------------------------------------------------------------------


def test_tree_is_read_in_the_protocols_order(msra_tree):
    root = msra_tree({"P2": {"TIP": 2, "1": 1}, "P0": {"Y": 2, "IP": 1, "I": 2}})
    ds = load_dataset("msra", root)
    names = [ds.read(i).name for i in range(len(ds))]
    assert names == [
        "P0/I/000000_depth.bin", "P0/I/000001_depth.bin", "P0/IP/000000_depth.bin", "P0/Y/000000_depth.bin",
        "P0/Y/000001_depth.bin", "P2/1/000000_depth.bin", "P2/TIP/000000_depth.bin", "P2/TIP/000001_depth.bin",
    ]  # fmt: skip
    index = ds.index()
    assert [index.subjects[s] for s in index.subject] == ["P0"] * 5 + ["P2"] * 3
    assert [index.sequences[g] for g in index.sequence] == ["I", "I", "IP", "Y", "Y", "1", "TIP", "TIP"]
    np.testing.assert_array_equal(index.frame, range(8))
    frame = ds.read(6)
    assert (frame.index, frame.subject, frame.sequence) == (6, 2, GESTURES.index("TIP"))


@pytest.mark.parametrize("header", [True, False])
def test_what_was_written_is_read(msra_tree, header):
    root = msra_tree({"P1": {"5": 3}}, header=header)
    assert (root / "P1/5/000002_depth.bin").stat().st_size == 307_200 or header
    ds = load_dataset("msra", root)
    for i in range(3):
        frame = ds.read(i)
        uvd = np.rint(CAMERA.project(frame.joints)).astype(int)
        surface = frame.depth[uvd[:, 1], uvd[:, 0]]
        assert ((surface > 0) & (surface < frame.joints[:, 2])).all()
        assert frame.depth.flags.owndata
        assert np.count_nonzero(frame.depth) < 30_000


def test_leaving_one_subject_out(msra_tree):
    root = msra_tree({f"P{k}": {"1": 2 + k} for k in (0, 3, 4)})
    test, train = (load_dataset("msra", root, split=s, test_subject="P3") for s in ("test", "train"))
    np.testing.assert_array_equal(test.index().frame, range(2, 7))
    np.testing.assert_array_equal(train.index().frame, [0, 1, *range(7, 13)])
    assert set(test.index().subject) == {3}
    assert len(load_dataset("msra", root, split="test")) == 2  # P0 unless asked otherwise
    np.testing.assert_array_equal(test.read(1).depth, load_dataset("msra", root).read(3).depth)
    with pytest.raises(DatasetError, match="no frames to test with subject P1 left out; subjects there: P0, P3, P4"):
        load_dataset("msra", root, split="test", test_subject="P1").index()
    with pytest.raises(UnknownNameError, match="no subject of msra called 'P9'"):
        load_dataset("msra", root, test_subject="P9")


def test_wrong_trees(msra_tree, tmp_path):
    (tmp_path / "Training").mkdir()
    with pytest.raises(DatasetError, match=r"none of P0 to P8 is here, but Training; the tree must be ROOT/P0"):
        load_dataset("msra", tmp_path).index()
    (tmp_path / "P0").mkdir()
    with pytest.raises(DatasetError, match="not one frame"):
        load_dataset("msra", tmp_path).index()
    root = msra_tree({"P0": {"1": 2}})
    (root / "P0/1/joint.txt").unlink()
    with pytest.raises(DatasetError, match=r"P0/1/joint\.txt: cannot be read \(No such file"):
        load_dataset("msra", root).index()


def test_more_frames_than_labels_are_refused_with_both_counts(msra_tree):
    root = msra_tree({"P0": {"1": 4}})
    joints = load_dataset("msra", root)._table.joints
    write_joint_txt(root / "P0/1/joint.txt", joints[:3])
    with pytest.raises(DatasetError, match=r"4 frames, the last 000003, but labels of 3 only"):
        load_dataset("msra", root).index()


def test_more_labels_than_frames_are_refused_with_both_counts(msra_tree):
    root = msra_tree({"P0": {"1": 4}})
    joints = load_dataset("msra", root)._table.joints
    write_joint_txt(root / "P0/1/joint.txt", joints[[0, 1, 1, 2, 3]])
    with pytest.raises(DatasetError, match="labels of 5 frames, but 4 frames only, the last 000003"):
        load_dataset("msra", root).index()
    assert "labels of 5 frames" in next(c.problem for c in check_dataset("msra", root) if c.what == "P0/1")


@pytest.mark.parametrize("between", ["\n", "\r\n", "\r\r\n"])
def test_blank_lines_do_not_shift_labels(msra_tree, between):
    root = msra_tree({"P0": {"1": 4}})
    path = root / "P0/1/joint.txt"
    joints = load_dataset("msra", root)._table.joints
    lines = path.read_text().splitlines()
    for at in range(6):
        path.write_bytes(between.join([*lines[:at], " ", "", *lines[at:], ""]).encode())
        np.testing.assert_array_equal(load_dataset("msra", root)._table.joints, joints)
    path.write_bytes(b"\xef\xbb\xbf" + between.join(["5", *lines[1:3], "", *lines[3:]]).encode())
    with pytest.raises(DatasetError, match="promises 5 frames, 4 lines follow"):
        load_dataset("msra", root).index()


def test_truncated_labels_are_refused_at_the_start(msra_tree):
    root = msra_tree({"P0": {"1": 4}})
    path = root / "P0/1/joint.txt"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(DatasetError, match="promises 4 frames, 2 lines follow"):
        load_dataset("msra", root).index()


def test_absent_frames_keep_their_labels_apart(msra_tree):
    root = msra_tree({"P0": {"1": 4}})
    whole = load_dataset("msra", root)
    expected = whole.read(3)
    (root / "P0/1/000001_depth.bin").unlink()
    ds = load_dataset("msra", root)
    assert len(ds) == 3
    np.testing.assert_array_equal(ds.read(2).joints, expected.joints)
    assert ds.read(2).name == "P0/1/000003_depth.bin"
    assert ds.fingerprint() != whole.fingerprint()


def test_faulty_frames_are_errors_of_the_frame_alone(msra_tree):
    root = msra_tree({"P0": {"1": 7}})
    folder = root / "P0/1"
    (folder / "000001_depth.bin").write_bytes((folder / "000001_depth.bin").read_bytes()[:-5])
    lines = (folder / "joint.txt").read_text().splitlines()
    lines[1 + 2] += " 5"
    lines[1 + 3] = " ".join(["nan", *lines[4].split()[1:]])
    lines[1 + 4] = " ".join("0" for _ in range(63))
    (folder / "joint.txt").write_text("\n".join(lines))
    ds = load_dataset("msra", root)
    assert len(ds) == 7
    for i, message in {
        1: r"^P0/1/000001_depth.bin: truncated, .* bytes where its header asks for ",
        2: r"^P0/1/000002_depth.bin: P0/1/joint.txt, line 4: 64 numbers, not 63",
        3: r"^P0/1/000003_depth.bin: joint 0 is at \[nan",
        4: r"^P0/1/000004_depth.bin: joint 0 is at \[0.0, -?0.0, -?0.0\] mm, which no hand can be",
        5: r"^P0/1/000005_depth.bin: cannot be read \(No such file",
        6: r"^P0/1/000006_depth.bin: longer than the 307,224 bytes",
    }.items():
        if i == 5:
            (folder / "000005_depth.bin").unlink()
        if i == 6:
            (folder / "000006_depth.bin").write_bytes(bytes(400_000))
        with pytest.raises(FrameError, match=message):
            ds.read(i)
    assert ds.read(0).name == "P0/1/000000_depth.bin"


def test_frames_known_to_be_mislabelled_are_rejected(msra_tree):
    root = msra_tree({"P3": {"T": 122}, "P0": {"T": 122}})
    ds = load_dataset("msra", root)
    with pytest.raises(FrameError, match=r"^P3/T/000120_depth.bin: its labels are known to be wrong"):
        ds.read(122 + 120)
    assert ds.read(122 + 121).name == "P3/T/000121_depth.bin"
    assert ds.read(120).name == "P0/T/000120_depth.bin"


def test_all_frames_that_are_known_to_be_mislabelled(tmp_path):
    """The list of DeepPrior++, written out once more; each folder also holds what comes before and after."""
    known = {
        "P2/TIP": [172, 173, 174], "P2/MP": [173, 174, 175, *range(345, 355), 356, 359, 360], "P3/T": [120, 489],
        "P8/4": [168],
    }  # fmt: skip
    joints = np.full((500, 21, 3), (0, 0, 400.0))
    for folder, bad in known.items():
        (tmp_path / folder).mkdir(parents=True)
        write_joint_txt(tmp_path / folder / "joint.txt", joints)
        for k in {n + d for n in bad for d in (-1, 0, 1)}:
            (tmp_path / folder / f"{k:06d}_depth.bin").write_bytes(box_file())
    ds = load_dataset("msra", tmp_path)
    rejected = []
    for i in range(len(ds)):
        try:
            ds.read(i)
        except FrameError as error:
            folder, _, name = str(error).split(":")[0].rpartition("/")
            rejected.append((folder, int(name[:6])))
    assert sorted(rejected) == sorted((folder, n) for folder, bad in known.items() for n in bad)
    assert len(rejected) == 22


def test_frames_of_2014_are_not_those_known_to_be_mislabelled(msra_tree):
    root = msra_tree({"P3": {"T": 122}}, header=False)
    assert load_dataset("msra", root).read(120).name == "P3/T/000120_depth.bin"


# --- the promised counts, and the check ------------------------------------------------------------------------


def test_promised_counts_are_the_releases():
    per_subject = [sum(expected_frames(s, g) for g in GESTURES) for s in SUBJECTS]
    assert per_subject == [8499, 8492, 8412, 8488, 8500, 8497, 8497, 8498, 8492]
    assert sum(per_subject) == 76_375


def test_promised_counts_are_those_on_record(real_data):
    record = json.loads((real_data / "msra" / "frame_counts.json").read_text())
    assert {(s, g): n for s in record for g, (n, _) in record[s].items()} == {
        (s, g): expected_frames(s, g) for s in SUBJECTS for g in GESTURES
    }


def test_check_names_every_fault(msra_tree):
    root = msra_tree({"P0": {"1": 3, "2": 3}, "P4": {"Y": 2}})
    (root / "P0/1/000001_depth.bin").write_bytes(b"short")
    (root / "P0/2/joint.txt").write_text("7\n")
    checks = {c.what: c for c in check_dataset("msra", root)}
    assert len(checks) == 17 + 17 + 7 + 1
    assert checks["P0/1"].found == 3
    assert checks["P0/1"].expected == 500
    assert "1 frames cannot be read, first: P0/1/000001_depth.bin: 5 bytes" in checks["P0/1"].problem
    assert "promises 7 frames, 0 lines follow" in checks["P0/2"].problem
    assert checks["P0/T"].expected == 499
    assert "no such folder" in checks["P0/T"].problem
    assert checks["P1"].expected == 8492
    assert not checks["P1"].ok
    assert (checks["frames"].found, checks["frames"].expected) == (8, 76_375)


def test_check_tells_the_other_release_by_its_counts(msra_tree, monkeypatch):
    from gmaps.datasets import msra

    root = msra_tree({s: {"1": 1 if s == "P4" else 2} for s in SUBJECTS})
    monkeypatch.setattr(msra, "_OTHER_RELEASE", {"P1": 2, "P8": 2})
    assert check_dataset("msra", root)[-1].problem.startswith("the release of 17 frames: centre files and results of")
    monkeypatch.setattr(msra, "_OTHER_RELEASE", {"P1": 2, "P8": 3})
    assert "incomplete, or another release" in check_dataset("msra", root)[-1].problem


def test_the_other_release_has_76391_frames():
    from gmaps.datasets.msra import _OTHER_RELEASE

    ours = {s: sum(expected_frames(s, g) for g in GESTURES) for s in SUBJECTS}
    assert sum((ours | _OTHER_RELEASE).values()) == 76_391


def test_labels_of_frames_that_are_not_here_are_counted(msra_tree):
    root = msra_tree({"P0": {"1": 4}})
    (root / "P0/1/000002_depth.bin").unlink()
    problem = {c.what: c.problem for c in check_dataset("msra", root)}["P0/1"]
    assert "labels of 4 frames, and 3 are here" in problem


def test_centres_of_the_other_release_are_refused_with_both_counts(msra_tree, tmp_path):
    ds = load_dataset("msra", msra_tree({"P0": {"1": 4}}))
    (tmp_path / "centres.txt").write_text("0 0 350\n" * 5)
    with pytest.raises(DatasetError, match=r"centres.txt has 5 centres, the data set has 4 frames: .*releases"):
        load_centers(tmp_path / "centres.txt", CAMERA, len(ds))


def test_check_of_a_complete_folder_finds_nothing(msra_tree, monkeypatch):
    from gmaps.datasets import msra

    root = msra_tree({s: dict.fromkeys(GESTURES, 1) for s in SUBJECTS})
    monkeypatch.setattr(msra, "expected_frames", lambda subject, gesture: 1)
    checks = check_dataset("msra", root)
    assert all(c.ok for c in checks)
    assert checks[-1].found == 9 * 17


# --- writers ---------------------------------------------------------------------------------------------------


def test_writer_draws_the_tightest_box(tmp_path):
    depth = np.zeros((240, 320), np.float32)
    depth[10, 20], depth[12, 25] = 300.5, 301.5
    write_msra_bin(tmp_path / "f.bin", depth)
    data = (tmp_path / "f.bin").read_bytes()
    assert HEADER.unpack(data[:24]) == (320, 240, 20, 10, 26, 13)
    np.testing.assert_array_equal(parse_depth(data, "f"), depth)


def test_writer_refuses_what_the_format_cannot_hold(tmp_path):
    with pytest.raises(UsageError, match="empty"):
        write_msra_bin(tmp_path / "f.bin", np.zeros((240, 320), np.float32))
    with pytest.raises(UsageError, match=r"\(240, 320\) pixels"):
        write_msra_bin(tmp_path / "f.bin", np.ones((480, 640), np.float32))
