"""DexYCB: files written by its rules, read back and compared with what was written. No file is real."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps import evaluation as ev
from gmaps.camera import Camera
from gmaps.datasets import check_dataset, load_dataset
from gmaps.datasets.dexycb import recordings as dexycb_tree
from gmaps.datasets.dexycb.label_file import parse_labels
from gmaps.datasets.dexycb.recordings import SERIALS, SUBJECTS, HandRecording, in_split
from gmaps.datasets.pose_file import right_hands
from gmaps.datasets.write.dexycb_files import write_calibration, write_frame, write_meta
from gmaps.datasets.write.real_poses import read_poses
from gmaps.errors import DatasetError, FrameError, PredictionError, UnknownNameError, UsageError
from gmaps.synth.fit_many import fit_hands
from tests.object_scenes import held

MANO = {"right": "20200709-subject-01_right", "left": "20200709-subject-01_left"}
BETAS = {mano: np.linspace(-1, 1, 10).round(3) for mano in MANO.values()}
CAMERAS = {s: Camera(610.0 + k, 612.0 + k, 318.0 + k, 240.5 - k, 640, 480) for k, s in enumerate(SERIALS)}
FRAMES = 2
#: Recordings of the tests: (subject, side), one each.
TAKEN = ((0, "right"), (7, "left"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A right hand of one person, a left one of another, of all cameras; the last frame of each without a hand."""
    root = tmp_path_factory.mktemp("dexycb")
    truth = {}
    write_calibration(root, CAMERAS, BETAS)
    for n, (subject, side) in enumerate(TAKEN):
        recording = f"{SUBJECTS[subject]}/2020071{n}_141754"
        for c, (serial, camera) in enumerate(CAMERAS.items()):
            folder = root / recording / serial
            folder.mkdir(parents=True)
            for t in range(FRAMES):
                seen = held(10 * n + c % 3, camera, left=side == "left")
                pose = np.arange(51) / 100 + c
                absent = t == FRAMES - 1
                write_frame(folder, t, seen.depth, None if absent else seen.joints, seen.hand, pose)
                truth[recording, serial, t] = None if absent else (seen, pose)
        write_meta(root / recording, FRAMES, side, SERIALS, MANO[side])
    return root, truth


@pytest.fixture
def tree(whole, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(whole[0], tmp_path / "dexycb")


def place(frame):
    *recording, serial, file = frame.name.split("/")
    return "/".join(recording), serial, int(file[-10:-4])


def test_each_frame_is_what_was_written(whole):
    root, truth = whole
    ds = load_dataset("dexycb", root, mirror="none", arrays="side,pose,betas")
    assert len(ds) == len(truth) == 2 * 8 * FRAMES
    found = 0
    for i in range(len(ds)):
        if ds.index().time[i] == FRAMES - 1:
            with pytest.raises(FrameError, match=r"000001\.png: no hand is in this picture"):
                ds.read(i)
            continue
        frame = ds.read(i)
        seen, pose = truth[place(frame)]
        np.testing.assert_array_equal(frame.depth, seen.depth)
        np.testing.assert_allclose(frame.joints, seen.joints, atol=1e-3)
        assert frame.camera == ds.camera_of(i) == CAMERAS[SERIALS[ds.index().camera[i]]]
        np.testing.assert_allclose(frame.arrays["pose"], pose, atol=1e-6)
        np.testing.assert_allclose(frame.arrays["betas"], BETAS[MANO["right"]], atol=1e-6)
        assert frame.arrays["side"] == (1 if frame.subject == 0 else -1)
        found += 1
    assert found == 2 * 8


def test_left_hands_are_mirrored_image_camera_and_joints_alike(whole):
    root, _ = whole
    own, mirrored = (load_dataset("dexycb", root, mirror=m) for m in ("none", "left"))
    for i in range(0, len(own), FRAMES):
        a, b = own.read(i), mirrored.read(i)
        if a.subject == 0:
            assert a.camera == b.camera
            np.testing.assert_array_equal(a.depth, b.depth)
            continue
        np.testing.assert_array_equal(a.depth[:, ::-1], b.depth)
        np.testing.assert_array_equal(a.joints * (-1, 1, 1), b.joints)
        # A joint is seen at the mirrored column.
        u, v, d = a.camera.project(a.joints).T
        np.testing.assert_allclose(b.camera.project(b.joints).T, (639 - u, v, d), atol=1e-4)


@pytest.mark.parametrize("center", ["mean", "joints", "com"])
def test_a_windows_crop_is_the_whole_images(whole, center):
    from gmaps.crop import CropParams, crop_dataset_frame
    from gmaps.pipeline.source import FrameCrops

    ds = load_dataset("dexycb", whole[0])
    params = CropParams(128, "orthographic", 125.0, center)
    for i in (0, len(ds) - FRAMES):
        cut = FrameCrops(ds, params).crop(i)
        whole_crop = crop_dataset_frame(ds.read(i), ds.info.depth_range, params)
        np.testing.assert_array_equal(cut.depth, whole_crop.depth)
        if center == "mean":
            np.testing.assert_allclose(cut.cube.center, ds.read(i).joints.mean(axis=0), atol=1e-3)


def test_poses_are_read_of_right_and_left_hands(whole, tree):
    data, seen = load_dataset("dexycb", whole[0]), []
    for i in range(len(data)):
        try:
            seen.append(data.read(i).joints)
        except FrameError:  # there is no hand
            continue
    fitted = fit_hands(right_hands(np.stack(seen), skeleton=data.skeleton.name))
    assert fitted.error_mm.max() < 4  # the left ones as well
    np.testing.assert_allclose(read_poses(whole[0], 1000), fitted.angles, atol=1e-6)
    for file in tree.rglob("labels_000000.npz"):
        file.write_bytes(b"no labels")
    with pytest.raises(DatasetError, match="no frame"):
        read_poses(tree, 1000)


def test_the_index_knows_camera_and_time(whole):
    index = load_dataset("dexycb", whole[0]).index()
    assert index.cameras == SERIALS
    tracks = index.tracks()
    assert len(tracks) == 2 * 8
    for track in tracks:
        assert len({(index.sequence[i], index.camera[i]) for i in track}) == 1
        assert index.time[track].tolist() == list(range(FRAMES))
    assert sorted(np.concatenate(tracks).tolist()) == list(range(len(index)))


# --- setups ----------------------------------------------------------------------------------------------------


def toolkit(setup, split):
    """Subjects, cameras and recordings of a split, as the toolkit's dex_ycb.py lists them."""
    every = list(range(10)), list(range(8)), list(range(100))
    if setup == "s0":
        people = {"train": range(10), "val": (0, 1), "test": range(2, 10)}[split]
        return list(people), every[1], [i for i in every[2] if (i % 5 == 4) == (split != "train")]
    if setup == "s1":
        return {"train": [0, 1, 2, 3, 4, 5, 9], "val": [6], "test": [7, 8]}[split], every[1], every[2]
    if setup == "s2":
        return every[0], {"train": [0, 1, 2, 3, 4, 5], "val": [6], "test": [7]}[split], every[2]
    group = {"train": [g for g in range(20) if g not in (3, 7, 11, 15, 19)], "val": [3, 19], "test": [7, 11, 15]}
    return every[0], every[1], [i for i in every[2] if i // 5 in group[split]]


@pytest.mark.parametrize("setup", ["s0", "s1", "s2", "s3"])
def test_setups_divide_as_the_toolkit_does(setup):
    recordings = [HandRecording(s, n, "", 1, True, "") for s in range(10) for n in range(100)]
    seen = np.zeros((1000, 8), int)
    for split in ("train", "val", "test"):
        people, cameras, numbers = toolkit(setup, split)
        wanted, views = in_split(setup, split, recordings)
        assert [(r.subject, r.number) for r, w in zip(recordings, wanted, strict=True) if w] == [
            (s, n) for s in people for n in numbers
        ]
        assert np.flatnonzero(views).tolist() == cameras
        seen += wanted[:, None] * views
    assert (seen == 1).all()  # no frame is in two splits, and none is in no split


def made_up_tree(root, lengths):
    """1,000 recordings of given lengths, by name and number alone."""
    write_calibration(root, CAMERAS, BETAS)
    for k, frames in enumerate(lengths):
        folder = root / SUBJECTS[k // 100] / f"20200709_{k % 100:06d}"
        folder.mkdir(parents=True)
        write_meta(folder, int(frames), "right" if k % 2 else "left", SERIALS, MANO["right" if k % 2 else "left"])
    return root


def test_positions_are_the_toolkits(tmp_path):
    lengths = np.random.default_rng(0).integers(1, 5, 1000)
    root = made_up_tree(tmp_path, lengths)
    for setup, split in (("s0", "test"), ("s2", "val"), ("s3", "train")):
        people, cameras, numbers = toolkit(setup, split)
        expected = [
            (s, n, c, t) for s in people for n in numbers for c in cameras for t in range(lengths[100 * s + n])
        ]
        index = load_dataset("dexycb", root, split=split, setup=setup).index()
        found = zip(index.subject, index.sequence % 100, index.camera, index.time, strict=True)
        assert [tuple(int(v) for v in row) for row in found] == expected
    every = [load_dataset("dexycb", root, split=s).index().frame for s in ("train", "val", "test")]
    assert sorted(np.concatenate(every).tolist()) == list(range(8 * lengths.sum()))


def test_a_part_of_a_persons_recordings_tells_no_setup_by_number(whole):
    root, _ = whole
    for setup in ("s0", "s3"):
        with pytest.raises(UsageError, match=rf"has 1 recordings here, not 100, and setup {setup} divides"):
            load_dataset("dexycb", root, split="train", setup=setup).index()
    assert len(load_dataset("dexycb", root, split="test", setup="s1")) == 8 * FRAMES
    assert len(load_dataset("dexycb", root, split="val", setup="s2")) == 2 * FRAMES
    with pytest.raises(DatasetError, match="no frame here is in split val of setup s1"):
        load_dataset("dexycb", root, split="val", setup="s1").index()


# --- what is refused -------------------------------------------------------------------------------------------


def test_pictures_under_depth_names_are_refused(tree):
    ds = load_dataset("dexycb", tree)
    name = tree / ds.read(0).name
    grey = (cv2.imread(str(name), cv2.IMREAD_UNCHANGED) / 8).astype(np.uint8)
    decoys = {"8-bit grey": grey, "8-bit RGB": np.repeat(grey[..., None], 3, 2)}
    decoys["16-bit RGB"] = np.zeros((480, 640, 3), np.uint16)
    decoys["320 x 240"] = np.zeros((240, 320), np.uint16)
    for said, image in decoys.items():
        cv2.imwrite(str(name), image)
        with pytest.raises(FrameError, match=said):
            ds.read(0)
        checks = [c for c in check_dataset("dexycb", tree) if "cannot be read" in c.problem]
        assert len(checks) == 1
        assert said in checks[0].problem


def test_labels_of_other_shapes_are_refused(tree):
    ds = load_dataset("dexycb", tree)
    name = tree / ds.read(0).name.replace("aligned_depth_to_color", "labels").replace(".png", ".npz")
    with np.load(name) as file:
        good = dict(file)
    for key, value, said in (
        ("joint_3d", good["joint_3d"][0], r"joint_3d is float32 \(21, 3\), not floats \(1, 21, 3\)"),
        ("joint_3d", good["joint_3d"] * np.nan, "joint_3d holds something that is not a number"),
        ("joint_3d", -good["joint_3d"], "joint 0 is at .* which no hand can be"),
        ("pose_m", good["pose_m"][:, :48], "pose_m is"),
    ):
        np.savez_compressed(name, **{**good, key: value})
        with pytest.raises(FrameError, match=said):
            ds.read(0)
    name.unlink()
    with pytest.raises(FrameError, match=r"labels_000000\.npz: cannot be read"):
        ds.read(0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("num_frames: -3\nmano_sides: [left]\nmano_calib: [a]", "num_frames is '-3'"),
        ("num_frames: 5\nmano_sides: [both]\nmano_calib: [a]", "neither right nor left"),
        ("num_frames: 5\nmano_sides: [left]\nmano_calib: ['../../etc']", "mano_calib is"),
        ("num_frames: 5\nmano_sides: !!python/object/apply:os.system [left]", "asks for a '.*os.system'"),
        ("a: &b 1\nc: *b", "has an alias"),
        ("[" * 200, "no YAML|nested deeper"),
        ("", "holds 0 documents"),
    ],
)
def test_a_meta_file_that_is_none_is_refused_by_name(tree, text, said):
    (tree / SUBJECTS[0] / "20200710_141754" / "meta.yml").write_text(text)
    with pytest.raises(DatasetError, match=rf"meta\.yml: .*({said})"):
        load_dataset("dexycb", tree).index()


def test_a_tuples_tag_says_nothing():
    text = b"mano_calib: !!python/tuple\n- x_right\nmano_sides: !!python/tuple ['right']\nnum_frames: 7\n"
    assert dexycb_tree.parse_meta(text, "meta.yml") == (7, True, "x_right")


def test_calibration_is_the_colour_cameras(tree):
    path = tree / "calibration" / "intrinsics" / f"{SERIALS[0]}_640x480.yml"
    path.write_text(path.read_text().replace("color:", "colour:"))
    with pytest.raises(DatasetError, match="has no `color`"):
        load_dataset("dexycb", tree).read(0)


def test_no_tree_and_wrong_options(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(DatasetError, match=r"no recording .* is here, but other"):
        load_dataset("dexycb", tmp_path).index()
    for options, error in (({"setup": "s4"}, UnknownNameError), ({"mirror": "right"}, UsageError), ({"arrays": "x"},
                           UnknownNameError)):  # fmt: skip
        with pytest.raises(error):
            load_dataset("dexycb", tmp_path, **options)


def test_check_says_what_is_missing(whole, tree):
    problems = {c.what: c.problem for c in check_dataset("dexycb", whole[0]) if c.problem}
    assert set(problems) == set(SUBJECTS)  # one recording of two people is all that there is
    recording = f"{SUBJECTS[0]}/20200710_141754"
    (tree / recording / SERIALS[3] / "labels_000001.npz").unlink()
    shutil.rmtree(tree / recording / SERIALS[5])
    (tree / "calibration" / f"mano_{MANO['left']}" / "mano.yml").write_text("betas: [1]")
    problems = {c.what: c.problem for c in check_dataset("dexycb", tree)}
    assert f"{SERIALS[3]}: 1 label files, and meta.yml says 2" in problems[recording]
    assert f"{SERIALS[5]}: No such file" in problems[recording]
    assert "betas is not 10 numbers" in problems[f"calibration/mano_{MANO['left']}"]


def test_labels_of_no_hand():
    import io

    file = io.BytesIO()
    np.savez(file, joint_3d=np.full((1, 21, 3), -1, np.float32), pose_m=np.zeros((1, 51), np.float32))
    assert np.isnan(parse_labels(file.getvalue(), "f").joints).all()


# --- build and evaluation --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(whole, tmp_path_factory):
    out = tmp_path_factory.mktemp("store") / "dexycb.zarr"
    report = gmaps.build("dexycb", out, ("heatmap",), root=whole[0], workers=0, max_rejects="60%", progress=False)
    assert report.rejected == 2 * 8
    return gmaps.open_store(out)


def test_a_build_takes_the_literatures_protocol_by_default(store):
    sample = store[0]
    assert store.attributes["crop"]["center"] == "mean"
    np.testing.assert_allclose(sample.cube.center, sample.joints.mean(axis=0), atol=1e-3)
    assert sample.cube.half_side == 125
    assert store[0].arrays["side"] == 1
    assert store[8 * FRAMES].arrays["side"] == -1


def results(store, whole, noise=0.0):
    """Lines of a result file: hands as the cameras saw them, those with a hand alone, in any order."""
    ds = load_dataset("dexycb", whole[0], mirror="none")
    rng = np.random.default_rng(3)
    rows = [i for i in range(len(ds)) if ds.index().time[i] == 0]
    joints = {i: ds.read(i).joints + rng.normal(0, noise, (21, 3)) for i in rows}
    return [f"{i}," + ",".join(f"{v:.4f}" for v in joints[i].ravel()) for i in rng.permutation(rows)], joints


def test_a_result_file_is_judged_by_the_toolkits_metrics(store, whole, tmp_path):
    lines, joints = results(store, whole, noise=6.0)
    (tmp_path / "results.txt").write_text("\n".join(lines) + "\n")
    run = CliRunner().invoke(
        main, ["evaluate", str(tmp_path / "results.txt"), "--groundtruth", str(store.path), "--json"]
    )
    assert run.exit_code == 0, run.output
    found = json.loads(run.output)["alignments"]
    true = load_dataset("dexycb", whole[0], mirror="none")
    a = np.stack([joints[i] for i in sorted(joints)])
    b = np.stack([true.read(i).joints for i in sorted(joints)])
    for way, moved in (
        ("absolute", a), ("root", a - a[:, :1] + b[:, :1]), ("procrustes", np.stack([*map(similar, a, b)])),
    ):  # fmt: skip
        error = np.linalg.norm(moved - b, axis=2)
        assert found[way]["mean_error_mm"] == pytest.approx(error.mean(), abs=1e-3)
        at = np.linspace(0, 50, 100)
        curve = np.array([[(e <= t).mean() for t in at] for e in error.T])  # by joint, as EvalUtil
        area = ((curve[:, 1:] + curve[:, :-1]) / 2).mean(axis=1)
        assert found[way]["auc_50mm"] == pytest.approx(area.mean(), abs=1e-3)
    assert found["procrustes"]["mean_error_mm"] < found["absolute"]["mean_error_mm"]
    table = CliRunner().invoke(main, ["evaluate", str(tmp_path / "results.txt"), "--groundtruth", str(store.path)])
    assert "procrustes AUC50" in table.output


def similar(a, b):
    """FreiHAND's align_w_scale, written out."""
    from scipy.linalg import orthogonal_procrustes

    ta, tb = a.mean(axis=0), b.mean(axis=0)
    na, nb = np.linalg.norm(a - ta), np.linalg.norm(b - tb)
    turn, size = orthogonal_procrustes((a - ta) / na, (b - tb) / nb)
    return (a - ta) / na @ turn * size * nb + tb


def test_result_files_that_do_not_fit_are_refused(store, whole, tmp_path):
    lines, _ = results(store, whole)
    path = tmp_path / "results.txt"
    protocol = ev.get_protocol("dexycb")
    truth = ev.read_groundtruth(store.path, protocol)
    for broken, said in (
        (lines[1:], "1 of 16 frames have no line"),
        ([lines[0], *lines], "both are of frame|is there twice"),
        (["x" + lines[0], *lines[1:]], "line 1: begins with 'x"),
    ):
        path.write_text("\n".join(broken) + "\n")
        with pytest.raises(PredictionError, match=said):
            ev.evaluate_file(path, truth, protocol)


def test_predictions_of_a_store_are_written_as_the_toolkit_reads_them(store, whole):
    from gmaps.evaluation.results import numbered_results

    joints = np.nan_to_num(np.asarray(store.column("joints")))
    names, values = numbered_results(store, joints, np.flatnonzero(~np.asarray(store.column("valid"))))
    own = load_dataset("dexycb", whole[0], mirror="none")
    assert len(names) == 16
    for name, found in zip(names, values, strict=True):
        np.testing.assert_allclose(found, own.read(int(name)).joints, atol=1e-3)


def test_u_v_d_centres_are_refused_where_cameras_differ(whole, tmp_path):
    path = tmp_path / "centers_uvd.txt"
    path.write_text("320 240 600\n" * 2 * 8 * FRAMES)
    with pytest.raises(DatasetError, match="u v d say nothing where frames are of 8 cameras"):
        gmaps.build("dexycb", tmp_path / "s.zarr", ("heatmap",), root=whole[0], workers=0, center=path)
