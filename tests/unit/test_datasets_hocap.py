"""HO-Cap: files written by its rules, read back and compared with what was written. No file is real."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

import gmaps
from gmaps.camera import Camera
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.datasets import check_dataset, load_dataset
from gmaps.datasets.write.frame_files import write_grey_png
from gmaps.errors import DatasetError, FrameError, UnknownNameError, UsageError
from gmaps.pipeline.source import FrameCrops
from tests.object_scenes import held

CAMERAS = {"037522251142": Camera(610.0, 612.0, 318.0, 240.5, 640, 480),
           "043422252387": Camera(620.0, 622.0, 322.0, 238.5, 640, 480)}  # fmt: skip
POSES = np.random.default_rng(0).normal(size=(2, 4, 51)).astype(np.float32)


def write_tree(root):
    """Two people; the second moves both hands, of which each has frames of its own."""
    truth = {}
    (root / "calibration" / "intrinsics").mkdir(parents=True)
    for serial, c in CAMERAS.items():
        said = {"color": {"fx": c.fx, "fy": c.fy, "ppx": c.cx, "ppy": c.cy}, "depth": {"fx": 1}}
        (root / "calibration" / "intrinsics" / f"{serial}_640x480.json").write_text(json.dumps(said))
    for subject, sides in (("subject_1", ("right",)), ("subject_9", ("right", "left"))):
        folder = root / subject / "20231025_165502"
        hands = {}
        for c, (serial, camera) in enumerate(CAMERAS.items()):
            (folder / serial).mkdir(parents=True)
            hands[serial] = {}
            for t in (0, 3):
                both = {"right": None, "left": None}
                for side in sides:  # the image shows one of them
                    seen = held(t + c, camera, left=side == "left")
                    both[side] = (seen.joints / 1000).astype(float).tolist()
                    truth[subject, serial, t, side] = seen
                write_grey_png(folder / serial / f"depth_{t:06d}.png", seen.depth)
                absent = np.full((21, 3), -1.0).tolist()
                hands[serial][str(t)] = {"landmarks_3d": {k: v or absent for k, v in both.items()}}
        (folder / "hand_benchmark.json").write_text(json.dumps(hands))
        (folder / "meta.json").write_text(json.dumps({"realsense": {"serials": list(CAMERAS)}, "num_frames": 4}))
        np.save(folder / "poses_m.npy", POSES)
    return truth


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("hocap")
    return root, write_tree(root)


@pytest.fixture
def tree(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "hocap")


def test_each_hand_is_what_was_written(whole):
    root, truth = whole
    ds = load_dataset("hocap", root, mirror="none", arrays="side,pose")
    assert len(ds) == len(truth) == 2 * 2 + 2 * 2 * 2
    for i in range(len(ds)):
        frame = ds.read(i)
        subject, _, serial, file = frame.name.split("/")
        side = "right" if frame.arrays["side"] == 1 else "left"
        t = int(file[6:12])
        seen = truth[subject, serial, t, side]
        np.testing.assert_allclose(frame.joints, seen.joints, atol=1e-3)
        assert frame.camera == ds.camera_of(i) == CAMERAS[serial]
        np.testing.assert_array_equal(frame.arrays["pose"], POSES[int(side == "left"), t])
        if subject == "subject_1" or side == "left":
            np.testing.assert_array_equal(frame.depth, seen.depth)
    tracks = ds.index().tracks()
    assert len(tracks) == 4
    assert all((np.diff(ds.index().time[t]) >= 0).all() for t in tracks)


def test_left_hands_are_mirrored_and_windows_are_whole(whole):
    own, mirrored = (load_dataset("hocap", whole[0], mirror=m) for m in ("none", "left"))
    params = CropParams(half_side=125.0)
    for i in range(len(own)):
        a, b = own.read(i), mirrored.read(i)
        if a.arrays["side"] == 1:
            np.testing.assert_array_equal(a.depth, b.depth)
        else:
            np.testing.assert_array_equal(a.depth[:, ::-1], b.depth)
            np.testing.assert_array_equal(a.joints * (-1, 1, 1), b.joints)
        cut = FrameCrops(mirrored, params).crop(i)
        np.testing.assert_array_equal(cut.depth, crop_dataset_frame(b, (300, 1500), params).depth)


def test_splits_are_by_person(whole, tmp_path):
    root, _ = whole
    counts = [len(load_dataset("hocap", root, split=s)) for s in ("train", "test", "all")]
    assert counts == [4, 8, 12]
    assert len(load_dataset("hocap", root, split="test", test_subject="subject_1")) == 4
    with pytest.raises(DatasetError, match=r"no hand is in split test with test_subject=subject_2; people there"):
        load_dataset("hocap", root, split="test", test_subject="subject_2").index()
    report = gmaps.build("hocap", tmp_path / "s.zarr", ("geodesic",), root=root, workers=0, progress=False)
    assert report.rejected == 0
    assert set(np.asarray(gmaps.open_store(tmp_path / "s.zarr").column("side")).tolist()) == {1, -1}


def test_what_is_none_is_refused(tree):
    folder = tree / "subject_1" / "20231025_165502"
    serial = next(iter(CAMERAS))
    ds = load_dataset("hocap", tree)
    image = folder / serial / "depth_000000.png"
    cv2.imwrite(str(image), np.zeros((480, 640, 3), np.uint8))
    with pytest.raises(FrameError, match="8-bit RGB"):
        ds.read(0)
    assert any("8-bit RGB" in c.problem for c in check_dataset("hocap", tree))
    good = (folder / "hand_benchmark.json").read_text()
    for text, said in (
        (good[:-9], "no JSON"), ("[1]", "no names and values"), (json.dumps({serial: {"x": {}}}), "no moments"),
        (json.dumps({serial: {"0": {}}}), "frame 0: no landmarks_3d"),
        (json.dumps({serial: {"0": {"landmarks_3d": {"left": [1, 2]}}}}), "joints are not 21 x 3"),
        ("{" + '"a":{' * 90_000, "no JSON"),
    ):  # fmt: skip
        (folder / "hand_benchmark.json").write_text(text)
        with pytest.raises(DatasetError, match=said):
            load_dataset("hocap", tree).index()
    (folder / "hand_benchmark.json").write_text(good)
    (folder / "meta.json").write_text('{"realsense": {"serials": ["../x"]}}')
    with pytest.raises(DatasetError, match="no list of serial numbers"):
        load_dataset("hocap", tree).index()
    for options, error in (({"mirror": "x"}, UsageError), ({"arrays": "x"}, UnknownNameError),
                           ({"test_subject": "x"}, UnknownNameError)):  # fmt: skip
        with pytest.raises(error):
            load_dataset("hocap", tree, **options)
    shutil.rmtree(tree / "subject_1")
    shutil.rmtree(tree / "subject_9")
    with pytest.raises(DatasetError, match=r"no subject_1/\*/hand_benchmark\.json is here, but calibration"):
        load_dataset("hocap", tree).index()
