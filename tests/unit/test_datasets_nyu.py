"""NYU: depth out of green and blue, labels out of a MATLAB file, and each fault that a copy on disk can have.

The frames here are synthetic; the real one is read in tests/integration/test_real_nyu.py.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from gmaps.camera import Camera
from gmaps.datasets import check_dataset, load_dataset, nyu
from gmaps.datasets.write.frame_files import write_joint_data, write_nyu_png
from gmaps.errors import DatasetError, FrameError, UsageError
from gmaps.formats import png
from gmaps.skeleton import get_skeleton


def encoded(image):
    ok, data = cv2.imencode(".png", image)
    assert ok
    return data.tobytes()


def picture(values=None):
    """(480, 640, 3) uint8, blue first, background 2001."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[...] = 2001 & 255, 2001 >> 8, 0
    for (row, col), mm in (values or {}).items():
        image[row, col] = mm & 255, mm >> 8, 0
    return image


def labels(rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform((-150, -150, 600), (150, 150, 900), (rows, 36, 3))


def tree(tmp_path, halves, rows=None):
    """`tree(tmp_path, {"test": [1, 2]})`: frames whose pixel (number, 5) is 700 + number mm."""
    for half, frames in halves.items():
        (tmp_path / half).mkdir()
        n = max(frames, default=1) if rows is None else rows
        write_joint_data(tmp_path / half / "joint_data.mat", labels(n, seed=len(half)))
        for k in frames:
            name = f"depth_1_{k:07d}.png"
            (tmp_path / half / name).write_bytes(encoded(picture({(k, 5): 700 + k})))
    return tmp_path


# --- bytes -----------------------------------------------------------------------------------------------------


def test_depth_is_green_times_256_plus_blue():
    values = {(0, 0): 1, (1, 2): 255, (3, 4): 256, (479, 639): 2000, (7, 7): 0, (8, 8): 2001, (9, 9): 32001}
    depth = nyu.parse_depth(encoded(picture(values)), "f")
    assert depth.dtype == np.float32
    assert depth.shape == (480, 640)
    found = {(r, c): depth[r, c] for r, c in values}
    assert found == {(0, 0): 1, (1, 2): 255, (3, 4): 256, (479, 639): 2000, (7, 7): 0, (8, 8): 0, (9, 9): 0}
    assert np.count_nonzero(depth) == 4


def test_every_depth_survives_writing_and_reading(tmp_path):
    depth = np.zeros((480, 640), np.float32)
    depth.ravel()[:2000] = np.arange(1, 2001)
    write_nyu_png(tmp_path / "f.png", depth)
    np.testing.assert_array_equal(nyu.parse_depth((tmp_path / "f.png").read_bytes(), "f"), depth)
    with pytest.raises(UsageError, match="end at 2001 mm, got 2002"):
        write_nyu_png(tmp_path / "f.png", depth + 2)


GREY8, GREY16 = np.zeros((480, 640), np.uint8), np.zeros((480, 640), np.uint16)
GOOD = encoded(picture({(4, 4): 800}))
RED = picture()
RED[3, 3, 2] = 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(GREY8), "an 8-bit grey PNG, where depth is kept as 8-bit RGB"),
        (encoded(GREY16), "an 16-bit grey PNG, where depth is kept as 8-bit RGB"),
        (encoded(np.zeros((480, 640, 4), np.uint8)), "an 8-bit RGBA PNG"),
        (encoded(np.zeros((480, 640, 3), np.uint16)), "an 16-bit RGB PNG"),
        (encoded(picture()[:240, :320]), "320 x 240 pixels, not 640 x 480"),
        (encoded(RED), "has red in it"),
        (cv2.imencode(".jpg", picture())[1].tobytes(), "no PNG, it starts with b'.xff.xd8"),
        (b"", "no PNG"),
        (GOOD[:20], "no PNG"),
        (GOOD[:40], "torn, 40 bytes and no end"),
        (GOOD[:-1], "torn"),
        (GOOD[:-12], "torn"),
        (GOOD[: len(GOOD) // 2], "torn"),
        (GOOD[:120] + bytes([GOOD[120] ^ 1]) + GOOD[121:], "damaged at byte"),
    ],
)
def test_other_pictures_say_what_was_found(data, message):
    with pytest.raises(FrameError, match=rf"^test/depth_1_0000001.png: .*{message}"):
        nyu.parse_depth(data, "test/depth_1_0000001.png")


def chunk(tag, body):
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def test_a_sound_shell_around_too_few_pixels_is_refused():
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"no zlib stream") + chunk(b"IEND", b"")
    with pytest.raises(FrameError, match="14 bytes of pixels, which cannot be all"):
        nyu.parse_depth(data, "f")


def test_a_huge_header_is_refused_before_memory_is_taken():
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0))
    with pytest.raises(FrameError, match="2147483647 x 2147483647 pixels"):
        nyu.parse_depth(b"\x89PNG\r\n\x1a\n" + head, "f")


def test_16_bit_grey_is_read_unchanged_where_it_is_expected():
    image = np.arange(480 * 640, dtype=np.uint16).reshape(480, 640)
    np.testing.assert_array_equal(png.decode(encoded(image), "f", "grey16", (640, 480)), image)
    with pytest.raises(FrameError, match="an 8-bit RGB PNG, where depth is kept as 16-bit grey"):
        png.decode(GOOD, "f", "grey16", (640, 480))


# --- labels ----------------------------------------------------------------------------------------------------


def test_labels_come_out_as_they_went_in(tmp_path):
    expected = labels(5)
    write_joint_data(tmp_path / "joint_data.mat", expected)
    found = nyu.read_labels(tmp_path / "joint_data.mat")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_labels_of_a_file_written_by_hand_flip_y(tmp_path):
    xyz, uvd = np.zeros((2, 3, 1, 36, 3))
    xyz[0] = 10, 20, 700
    uvd[0] = 320 + 10 / 700 * 588.03, 240 - 20 / 700 * 587.07, 700  # y is up in xyz, v goes down
    xyz[1:] = uvd[1:] = 7  # other cameras
    savemat(tmp_path / "joint_data.mat", {"joint_xyz": xyz, "joint_uvd": uvd})
    np.testing.assert_allclose(nyu.read_labels(tmp_path / "joint_data.mat")[0, 9], [10, -20, 700])


def saved(path, xyz=None, uvd=None, drop=()):
    joints = labels(3)
    good = joints[None] * [1, -1, 1], nyu.CAMERA.project(joints)[None]
    values = {"joint_xyz": good[0] if xyz is None else xyz, "joint_uvd": good[1] if uvd is None else uvd}
    savemat(path, {k: v for k, v in values.items() if k not in drop})
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xyz": labels(3)[None]}, r"in row \d, joint_xyz and joint_uvd are \d+\.\d mm apart"),  # y not flipped
        ({"xyz": labels(3)[None] * [0.001, -0.001, 0.001]}, "mm apart"),  # metres
        ({"xyz": np.zeros((3, 36, 3))}, r"joint_xyz is float64 \(3, 36, 3\), not numbers of shape"),
        ({"xyz": np.zeros((1, 3, 14, 3))}, r"joint_xyz is float64 \(1, 3, 14, 3\)"),
        ({"uvd": np.zeros((1, 2, 36, 3))}, r"joint_xyz \(3, 36, 3\) and joint_uvd \(2, 36, 3\) differ"),
        ({"drop": ("joint_xyz",)}, "has no joint_xyz"),
        ({"drop": ("joint_uvd",)}, "has no joint_uvd"),
    ],
)
def test_labels_of_another_kind_are_refused(tmp_path, change, message):
    with pytest.raises(DatasetError, match=message):
        nyu.read_labels(saved(tmp_path / "joint_data.mat", **change))


@pytest.mark.parametrize(
    "data", [b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512), b"\x89HDF\r\n\x1a\n" + bytes(99)]
)
def test_a_file_of_matlab_7_3_is_named(data, tmp_path):
    (tmp_path / "joint_data.mat").write_bytes(data)
    with pytest.raises(DatasetError, match=r"joint_data\.mat: is a file of MATLAB 7\.3.*'-v7'"):
        nyu.read_labels(tmp_path / "joint_data.mat")


@pytest.mark.parametrize("data", [b"", b"no MATLAB file at all" * 20, b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_labels_that_are_no_matlab_file(tmp_path, data):
    (tmp_path / "joint_data.mat").write_bytes(data)
    with pytest.raises(DatasetError, match=r"joint_data\.mat: (cannot be read as a MATLAB 5 file|has no joint_xyz)"):
        nyu.read_labels(tmp_path / "joint_data.mat")


# --- trees -----------------------------------------------------------------------------------------------------


def test_halves_subjects_and_frame_numbers(tmp_path):
    root = tree(tmp_path, {"train": [1, 2, 3], "test": [1, 2]})
    ds = load_dataset("nyu", root)
    np.testing.assert_array_equal(ds.index().frame, [0, 1, 2, 72757, 72758])
    assert [ds.index().sequences[s] for s in ds.index().sequence] == ["train"] * 3 + ["test"] * 2
    assert [ds.index().subjects[s] for s in ds.index().subject] == ["train"] * 3 + ["test"] * 2
    assert ds.read(4).name == "test/depth_1_0000002.png"
    assert ds.read(4).depth[2, 5] == 702
    assert ds.camera == Camera(588.03, 587.07, 320, 240, 640, 480)
    for split, first in (("train", 0), ("test", 72757)):
        part = load_dataset("nyu", root, split=split)
        assert part.index().frame[0] == first
        np.testing.assert_array_equal(part.read(0).joints, ds.read(first and 3).joints)


def test_the_two_people_of_the_full_test_set(tmp_path, monkeypatch):
    monkeypatch.setattr(nyu, "EXPECTED", {"train": 72757, "test": 6})
    monkeypatch.setattr(nyu, "SECOND_PERSON", 4)
    index = load_dataset("nyu", tree(tmp_path, {"test": [3, 4, 5, 6]}), split="test").index()
    assert [index.subjects[s] for s in index.subject] == ["test_1", "test_1", "test_2", "test_2"]
    assert index.subjects == ("train", "test_1", "test_2")


def test_frames_without_labels_are_refused_with_both_counts(tmp_path):
    with pytest.raises(DatasetError, match=r"3 frames, numbered 1 to 3, but labels of 2"):
        load_dataset("nyu", tree(tmp_path, {"test": [1, 2, 3]}, rows=2)).index()


def test_labels_without_frames_are_left_out(tmp_path):
    ds = load_dataset("nyu", tree(tmp_path, {"test": [2, 5]}, rows=9))
    np.testing.assert_array_equal(ds.index().frame, 72757 + np.array([1, 4]))
    np.testing.assert_allclose(ds.read(1).joints, labels(9, seed=4)[4], rtol=1e-6)


def test_more_labels_than_the_data_set_has(tmp_path, monkeypatch):
    monkeypatch.setattr(nyu, "EXPECTED", {"train": 3, "test": 3})
    with pytest.raises(DatasetError, match="4 rows of labels, where test has 3"):
        load_dataset("nyu", tree(tmp_path, {"test": [1]}, rows=4)).index()


def test_fourteen_joints_are_the_evaluations(tmp_path):
    root = tree(tmp_path, {"test": [1]})
    ds = load_dataset("nyu", root, joints=14)
    assert ds.skeleton == get_skeleton("nyu14")
    order = [0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32]
    np.testing.assert_array_equal(ds.read(0).joints, load_dataset("nyu", root).read(0).joints[order])
    assert ds.spec()["joints"] == "14"
    assert ds.fingerprint() != load_dataset("nyu", root).fingerprint()
    with pytest.raises(UsageError, match="joints=21 is neither"):
        load_dataset("nyu", root, joints=21)


def test_wrong_trees(tmp_path):
    (tmp_path / "dataset").mkdir()
    with pytest.raises(DatasetError, match=r"no train nor test here, but dataset; the tree must be ROOT/"):
        load_dataset("nyu", tmp_path).index()
    (tmp_path / "test").mkdir()
    with pytest.raises(DatasetError, match=r"test/joint_data\.mat: no such file"):
        load_dataset("nyu", tmp_path).index()
    write_joint_data(tmp_path / "test" / "joint_data.mat", labels(2))
    with pytest.raises(DatasetError, match=r"not one depth_1_\*\.png"):
        load_dataset("nyu", tmp_path).index()
    with pytest.raises(DatasetError, match="no train here, but dataset, test"):
        load_dataset("nyu", tmp_path, split="train").index()


def test_faulty_frames_are_errors_of_the_frame_alone(tmp_path):
    root = tree(tmp_path, {"test": [1, 2, 3, 4]})
    joints = labels(4)
    joints[1, 8, 0] = np.nan
    joints[2, 35] = 0, 0, -5
    write_joint_data(root / "test" / "joint_data.mat", joints)
    ds = load_dataset("nyu", root)
    assert len(ds) == 4
    with pytest.raises(FrameError, match=r"^test/depth_1_0000002.png: joint 8 is at \[nan"):
        ds.read(1)
    with pytest.raises(FrameError, match=r"^test/depth_1_0000003.png: joint 35 is at .* no hand can be"):
        ds.read(2)
    (root / "test" / "depth_1_0000004.png").unlink()
    with pytest.raises(FrameError, match=r"^test/depth_1_0000004.png: cannot be read"):
        ds.read(3)
    assert ds.read(0).depth[1, 5] == 701


def test_check_names_every_fault(tmp_path, monkeypatch):
    root = tree(tmp_path, {"test": [1, 2]})
    (root / "test" / "depth_1_0000002.png").write_bytes(encoded(GREY8))
    found = {c.what: c for c in check_dataset("nyu", root)}
    assert "no such folder" in found["train"].problem
    assert (found["test/joint_data.mat"].found, found["test/joint_data.mat"].expected) == (2, 8252)
    frames = found["test/depth_1_*.png"]
    assert "1 frames cannot be read, first: test/depth_1_0000002.png: an 8-bit grey PNG" in frames.problem
    assert "2 frames, not 8252" in frames.problem
    monkeypatch.setattr(nyu, "EXPECTED", {"test": 2})
    (root / "test" / "depth_1_0000002.png").write_bytes(GOOD)
    assert all(c.ok for c in check_dataset("nyu", root))
    (root / "test" / "joint_data.mat").write_bytes(b"torn")
    assert "cannot be read" in check_dataset("nyu", root)[0].problem
