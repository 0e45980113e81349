"""HO-3D: files written by its rules, read back and compared with what was written. No file is real."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps import evaluation as ev
from gmaps.camera import Camera
from gmaps.datasets import check_dataset, ho3d, load_dataset
from gmaps.datasets.ho3d.meta_file import FROM_MANO, SCALE, TO_MANO, parse_mask, parse_meta
from gmaps.datasets.ho3d.truth import format_submission, from_json, parse_joints_json, to_json
from gmaps.datasets.write.ho3d_files import write_depth, write_mask, write_meta
from gmaps.errors import DatasetError, FrameError, PredictionError, UsageError
from gmaps.evaluation.results import write_json_results
from gmaps.formats.strict_pickle import parse_pickle
from gmaps.skeleton import get_skeleton
from tests.object_scenes import held

CAMERA = Camera(614.6, 615.2, 320.3, 241.8, 640, 480)
TRAIN = [("ABF10", "0000"), ("ABF10", "0003"), ("SM2", "0001")]
TEST = [("AP11", "0000"), ("AP11", "0001")]
POSE = np.linspace(-1, 1, 61)


def write_tree(root):
    truth = {}
    for split, names in (("train", TRAIN), ("evaluation", TEST)):
        for k, (sequence, number) in enumerate(names):
            folder = root / split / sequence
            for part in ("depth", "meta", "seg"):
                (folder / part).mkdir(parents=True, exist_ok=True)
            seen = held(k + (10 if split == "evaluation" else 0), CAMERA)
            write_depth(folder / "depth" / f"{number}.png", seen.depth)
            write_mask(folder / "seg" / f"{number}.png", seen.hand, seen.thing)
            write_meta(
                folder / "meta" / f"{number}.pkl", seen.joints, CAMERA, root_only=split == "evaluation", pose=POSE
            )
            truth[f"{split}/{sequence}/depth/{number}.png"] = seen
        (root / f"{split}.txt").write_text("".join(f"{s}/{n}\n" for s, n in names))
    return truth


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("ho3d")
    return root, write_tree(root)


@pytest.fixture
def tree(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "ho3d")


def test_each_frame_is_what_was_written(whole):
    root, truth = whole
    ds = load_dataset("ho3d", root, split="train", arrays="root,pose,betas")
    assert len(ds) == len(TRAIN)
    for i in range(len(ds)):
        frame = ds.read(i)
        seen = truth[frame.name]
        np.testing.assert_allclose(frame.depth, seen.depth, atol=0.5 * SCALE * 1000 + 1e-4)
        np.testing.assert_allclose(frame.joints, seen.joints, atol=1e-3)
        np.testing.assert_allclose(frame.arrays["root"], seen.joints[0], atol=1e-3)
        np.testing.assert_allclose(frame.arrays["pose"], POSE[:51], atol=1e-6)
        np.testing.assert_allclose(frame.arrays["betas"], POSE[51:], atol=1e-6)
        assert frame.camera == ds.camera_of(i)
        assert frame.camera.fx == pytest.approx(CAMERA.fx, abs=1e-4)


def test_depth_above_255_is_widened_before_it_is_added():
    image = np.zeros((480, 640, 3), np.uint8)
    image[0, :3] = [(255, 255, 0), (0, 3, 0), (7, 0, 0)]  # red, green, blue
    data = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    np.testing.assert_allclose(
        ho3d.parse_depth(data, "f")[0, :4], np.array([65535, 768, 7, 0]) * SCALE * 1000, rtol=1e-6
    )


def test_manos_order_is_the_fields():
    """The toolkit's own list, joint by joint: index, middle, little, ring, thumb, then the tips of T I M R L."""
    mano = ["wrist"]
    for finger in ("index", "middle", "little", "ring", "thumb"):
        mano += [f"{finger}_{part}" for part in ("mcp", "pip", "dip")]
    mano += [f"{finger}_tip" for finger in ("thumb", "index", "middle", "ring", "little")]
    assert tuple(mano[j] for j in FROM_MANO) == get_skeleton("openpose21").joints
    values = np.random.default_rng(0).normal(size=(2, 21, 3))
    np.testing.assert_allclose(to_json(from_json(values)), values)
    assert sorted(TO_MANO) == list(range(21))


def test_a_windows_crop_is_the_whole_images(whole):
    from gmaps.crop import CropParams, crop_dataset_frame
    from gmaps.pipeline.source import FrameCrops

    ds = load_dataset("ho3d", whole[0], split="train")
    params = CropParams(128, "orthographic", 140.0, "joints")
    for i in range(len(ds)):
        cut, full = FrameCrops(ds, params).crop(i), crop_dataset_frame(ds.read(i), (200, 1200), params)
        np.testing.assert_array_equal(cut.depth, full.depth)


def test_frames_of_the_evaluation_have_a_wrist_a_box_and_no_joints(whole, tmp_path):
    root, truth = whole
    ds = load_dataset("ho3d", root, split="test", arrays="root")
    assert not ds.labelled
    for i in range(len(ds)):
        frame = ds.read(i)
        seen = truth[frame.name]
        assert np.isnan(frame.joints).all()
        np.testing.assert_allclose(frame.arrays["root"], seen.joints[0], atol=1e-3)
        u, v, _ = CAMERA.project(seen.joints).T
        left, top, width, height = frame.box
        assert left <= u.min() <= u.max() <= left + width
        assert top <= v.min() <= v.max() <= top + height
    out = tmp_path / "s.zarr"
    with pytest.raises(UsageError, match=r"have no joints.*--center com"):
        gmaps.build("ho3d", out, root=root, split="test", workers=0, progress=False)
    report = gmaps.build(
        "ho3d", out, ("signed_edt",), root=root, split="test", center="com", workers=0, progress=False
    )
    assert report.rejected == 0


def test_the_released_truth_gives_the_evaluation_its_joints(whole, tree):
    _, truth = whole
    seen = [truth[f"evaluation/{s}/depth/{n}.png"] for s, n in TEST]
    (tree / ho3d.TRUTH).write_text(json.dumps(to_json(np.stack([s.joints for s in seen])).tolist()))
    ds = load_dataset("ho3d", tree)
    assert ds.labelled
    assert len(ds) == len(TRAIN) + len(TEST)
    for i, s in enumerate(seen, len(TRAIN)):
        np.testing.assert_allclose(ds.read(i).joints, s.joints, atol=1e-3)
    before = load_dataset("ho3d", tree, split="test").fingerprint()
    (tree / ho3d.TRUTH).write_text(json.dumps(to_json(np.stack([s.joints + 1 for s in seen])).tolist()))
    assert load_dataset("ho3d", tree, split="test").fingerprint() != before
    (tree / ho3d.TRUTH).write_text(json.dumps(to_json(np.stack([seen[0].joints])).tolist()))
    with pytest.raises(DatasetError, match=r"1 frames, but evaluation\.txt has 2"):
        load_dataset("ho3d", tree, split="test").index()


def test_the_index_knows_time(whole):
    index = load_dataset("ho3d", whole[0]).index()
    assert index.sequences == ("ABF10", "AP11", "SM2")
    assert [index.time[t].tolist() for t in index.tracks()] == [[0, 3], [1], [0, 1]]
    assert len(set(index.frame.tolist())) == 5


def test_a_recordings_own_scale_counts(tree):
    folder = tree / "calibration" / "ABF1" / "calibration"
    folder.mkdir(parents=True)
    before = load_dataset("ho3d", tree).read(0).depth
    (folder / "cam_0_depth_scale.txt").write_text(f"{2 * SCALE}\n")
    np.testing.assert_allclose(load_dataset("ho3d", tree).read(0).depth, 2 * before, rtol=1e-6)
    (folder / "cam_0_depth_scale.txt").write_text("1.0")
    with pytest.raises(FrameError, match=r"cam_0_depth_scale\.txt: b'1\.0' is no scale"):
        load_dataset("ho3d", tree).read(0)


@pytest.mark.parametrize("protocol", range(5))
def test_pickles_of_any_python_are_read(protocol, tmp_path):
    seen = held(0, CAMERA)
    write_meta(tmp_path / "m.pkl", seen.joints, CAMERA, pose=POSE, protocol=protocol)
    meta = parse_meta((tmp_path / "m.pkl").read_bytes(), "m.pkl")
    np.testing.assert_allclose(meta.joints, seen.joints, atol=1e-3)


def test_a_pickle_that_python_2_wrote_is_read():
    """Byte by byte as its cPickle does: strings of bytes, numpy's old place."""
    raw = np.arange(3, dtype="<f4").tobytes()
    two = (
        b"\x80\x02}q\x01(U\x01aq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85q\x05U"
        b"\x01bq\x06\x87q\x07Rq\x08(K\x01K\x03\x85q\tcnumpy\ndtype\nq\nU\x02f4q\x0bK\x00K\x01\x87q\x0cRq\r(K\x03U\x01<q\x0eN"
        b"NNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0fb\x89U"
        + bytes([len(raw)])
        + raw
        + b"q\x10tq\x11bU\x01bq\x12K"
        b"\x07u."
    )
    found = parse_pickle(two, "f", ("a", "b", "c"))
    np.testing.assert_array_equal(found["a"], [0, 1, 2])
    assert found["b"] == 7
    assert "c" not in found


class _Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("call", [(os.system, ("true",)), (eval, ("1",)), (bytearray, (10**9,)), (os.getcwd, ())])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_that_calls_something_is_refused(call, protocol, monkeypatch, tree):
    monkeypatch.setattr(os, "system", os.system)
    ds = load_dataset("ho3d", tree)
    path = tree / "train" / "ABF10" / "meta" / "0000.pkl"
    path.write_bytes(pickle.dumps({"camMat": _Evil(*call)}, protocol=protocol))
    with pytest.raises(FrameError, match=r"0000\.pkl: no pickle of numbers and arrays \(asks for .*, where numbers"):
        ds.read(0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.array(["x", None], object), "an array of 'O8'|plain numbers"),
        (np.zeros(3, [("a", "f4")]), "no numbers"),
        ({(1, 2): 3}, "keys are no words"),
        ({1.5, 2.5}, "no pickle of numbers"),
        ([1, 2], "a pickle of list"),
    ],
)
def test_a_pickle_of_something_else_is_refused(value, said):
    with pytest.raises(FrameError, match=said):
        parse_pickle(pickle.dumps(value if isinstance(value, list) else {"camMat": value}, 2), "f", ("camMat",))


def test_pictures_under_depth_names_are_refused(tree):
    ds = load_dataset("ho3d", tree)
    name = tree / "train" / "ABF10" / "depth" / "0000.png"
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    for image, said in (
        (picture, "has blue in it, so it is a picture"), (picture[..., 0], "8-bit grey PNG, where depth is kept"),
        (picture.astype(np.uint16), "16-bit RGB"), (picture[::2, ::2], "320 x 240"),
    ):  # fmt: skip
        cv2.imwrite(str(name), image)
        with pytest.raises(FrameError, match=said):
            ds.read(0)


def test_masks_of_both_sizes_say_which_pixels_are_hand(tmp_path):
    seen = held(0, CAMERA)
    write_mask(tmp_path / "whole.png", seen.hand, seen.thing)
    write_mask(tmp_path / "half.png", seen.hand[::2, ::2], seen.thing[::2, ::2])
    whole, half = ((tmp_path / f"{n}.png").read_bytes() for n in ("whole", "half"))
    np.testing.assert_array_equal(parse_mask(whole, "f"), seen.hand)
    np.testing.assert_array_equal(parse_mask(half, "f"), seen.hand[::2, ::2].repeat(2, 0).repeat(2, 1))
    for data in (whole, half):
        np.testing.assert_array_equal(
            parse_mask(data, "f", (101, 300, 57, 311)), parse_mask(data, "f")[101:300, 57:311]
        )


def test_frames_that_nobody_annotated_and_lists_that_are_none(tree):
    write_meta(tree / "train" / "SM2" / "meta" / "0001.pkl", None, CAMERA)
    ds = load_dataset("ho3d", tree, split="train")
    with pytest.raises(FrameError, match="is not annotated"):
        ds.read(2)
    (tree / "train.txt").write_text("ABF10/0000\n../../etc/passwd\n")
    with pytest.raises(DatasetError, match=r"train\.txt, line 2: .* is no SEQUENCE/NUMBER"):
        load_dataset("ho3d", tree, split="train").index()
    for name in ("train.txt", "evaluation.txt"):
        (tree / name).unlink()
    with pytest.raises(DatasetError, match=r"no train\.txt nor evaluation\.txt here"):
        load_dataset("ho3d", tree).index()


def test_check_says_what_is_missing(tree, monkeypatch):
    counts = {"train": len(TRAIN), "test": len(TEST)}
    monkeypatch.setitem(ho3d.EXPECTED, "v3", counts)
    assert [c for c in check_dataset("ho3d", tree) if c.problem] == []
    (tree / "train" / "ABF10" / "depth" / "0003.png").unlink()
    (tree / "train" / "SM2" / "meta" / "0001.pkl").unlink()
    monkeypatch.setitem(ho3d.EXPECTED, "v3", {"train": 9, "test": 2})
    problems = " ".join(c.problem for c in check_dataset("ho3d", tree))
    assert "3 frames, not 66,034 (v2) or 9 (v3)" in problems
    assert "ABF10/depth/0003.png: No such file" in problems
    assert "1 frames have no meta" in problems


# --- results ---------------------------------------------------------------------------------------------------


def test_a_submission_is_written_and_judged(whole, tree, tmp_path):
    _, truth = whole
    true = np.stack([truth[f"evaluation/{s}/depth/{n}.png"].joints for s, n in TEST]).astype(float)
    (tree / ho3d.TRUTH).write_text(json.dumps(to_json(true).tolist()))
    store = tmp_path / "ho3d-test.zarr"
    gmaps.build("ho3d", store, ("heatmap",), root=tree, split="test", workers=0, progress=False)
    guess = true * 1.1 + np.random.default_rng(0).normal(0, 3, true.shape)
    write_json_results(str(tmp_path / "pred.json"), gmaps.open_store(store), guess)
    joints, vertices = json.loads((tmp_path / "pred.json").read_text())
    assert np.shape(joints) == (2, 21, 3)
    assert len(vertices) == 2
    assert (np.array(joints)[..., 2] < 0).all()  # the hand along negative z
    np.testing.assert_allclose(np.array(joints)[0, 20] * (1000, -1000, -1000), guess[0, 20], atol=1e-3)
    found = {}
    for against in (str(store), str(tree / ho3d.TRUTH)):
        run = CliRunner().invoke(
            main,
            [
                "evaluate",
                str(tmp_path / "pred.json"),
                "--dataset",
                "ho3d",
                "--groundtruth",
                against,
                "--as-is",
                "--json",
            ],
        )
        assert run.exit_code == 0, run.output
        found[against] = json.loads(run.output)["alignments"]
    a, b = found.values()
    assert a.keys() == {"absolute", "root", "scale", "procrustes"}
    for way, figures in a.items():
        assert figures == pytest.approx(b[way], abs=1e-3)
    by_hand = np.linalg.norm(guess - true, axis=2).mean()
    assert a["absolute"]["mean_error_mm"] == pytest.approx(by_hand, abs=1e-2)
    # Scaled by the bone from the wrist to the root of the middle finger, and put upon the wrist.
    scale = np.linalg.norm(true[:, 9] - true[:, 0], axis=1) / np.linalg.norm(guess[:, 9] - guess[:, 0], axis=1)
    moved = guess * scale[:, None, None]
    moved += (true - moved)[:, :1]
    assert a["scale"]["mean_error_mm"] == pytest.approx(np.linalg.norm(moved - true, axis=2).mean(), abs=1e-2)
    assert a["procrustes"]["mean_error_mm"] < a["scale"]["mean_error_mm"] < a["absolute"]["mean_error_mm"]


def test_json_that_is_none_is_refused(tmp_path):
    good = format_submission(np.random.default_rng(0).normal(size=(3, 21, 3)))
    assert parse_joints_json(good.encode(), "f").shape == (3, 21, 3)
    for text, said in (
        (good[:-5], "no JSON"), ("[[1, 2], [3, 4]]", r"numbers of shape \(2, 2\)"),
        ('{"a": 1}', "does not hold 21 x 3"), ("[" * 100_000, "no JSON"),
        (json.dumps([[[float("nan")] * 3] * 21]), r"frame 0 \(from 0\) are not finite"),
    ):  # fmt: skip
        with pytest.raises(PredictionError, match=said):
            parse_joints_json(text.encode(), "f")
    gmaps.build("synthetic", tmp_path / "s.zarr", ("heatmap",), limit=2, workers=0, progress=False)
    store = gmaps.open_store(tmp_path / "s.zarr")
    with pytest.raises(UsageError, match="evaluation of synthetic takes no JSON"):
        write_json_results("x.json", store, np.zeros((2, 21, 3)))
    assert ev.get_protocol("ho3d").read_json is not None
