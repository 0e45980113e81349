"""Real frames through `folder`: NYU's, whose depth lies in colours, and three of an SR305, which have no labels."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import gmaps
from gmaps.datasets import check_dataset, icvl, load_dataset
from gmaps.datasets.folder.description import parse_description
from gmaps.datasets.folder.frame_labels import parse_labels
from gmaps.datasets.msra import bin_files
from gmaps.formats.strict_toml import parse_toml
from gmaps.plot.overlay import measure_fit

NYU = """
half_side = 150
depth_range = [500, 1300]

[camera]
fx = 588.03
fy = 587.07
cx = 320
cy = 240
width = 640
height = 480

[depth]
files = "depth_1_{frame:[0-9]{7}}.png"
rgb = [0, 256, 1]
farthest = 2000

[joints]
files = "joints.npy"
kind = "uvd"
first = 1

[skeleton]
name = "nyu36"
"""
SR305 = """
depth_range = [200, 900]

[camera]
fx = 476.007
fy = 476.007
cx = 313.683
cy = 242.755
width = 640
height = 480

[depth]
files = "{sequence}_{frame:[0-9]+}.png"
unit = 0.125
"""


@pytest.fixture
def own_nyu(nyu_tree, real_data, tmp_path):
    """The real frame and its labels, as somebody's own files; and the same, with all labels, as NYU has them."""
    root = tmp_path / "own"
    root.mkdir()
    shutil.copyfile(real_data / "nyu" / "depth_1_0000001.png", root / "depth_1_0000001.png")
    with np.load(real_data / "nyu" / "joint_uvd_test_kinect1.npz") as file:
        np.save(root / "joints.npy", file["joint_uvd"][:1].astype("f8"))
    (root / "dataset.toml").write_text(NYU)
    return root, nyu_tree(rows=8252)


def test_the_real_nyu_frame_is_the_same_through_both_readers(own_nyu):
    own, nyu = (load_dataset(n, r).read(0) for n, r in zip(("folder", "nyu"), own_nyu, strict=True))
    np.testing.assert_array_equal(own.depth, nyu.depth)
    np.testing.assert_allclose(own.joints, nyu.joints, atol=1e-3)
    assert own.camera == nyu.camera
    fit = measure_fit(own)
    assert (fit.joints, fit.in_image, fit.on_surface) == (36, 36, 36)
    assert fit.verdict == "the joints lie in the hand"
    assert fit.behind[0] == pytest.approx(2.6, abs=0.1)
    assert fit.behind[2] == pytest.approx(34.3, abs=0.1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('kind = "uvd"', 'axes = ["right", "up", "forward"]'), ("first = 1", "first = 1\nunit = 10"),
        ("first = 1", "first = 1\nunit = 0.8"), ("rgb = [0, 256, 1]", "rgb = [0, 1, 256]"),
        ("rgb = [0, 256, 1]", "rgb = [0, 256, 1]\nunit = 0.5"),
    ],
)  # fmt: skip
def test_a_wrong_description_is_told(own_nyu, old, new):
    """What a person gets wrong in a dataset.toml shows in numbers, not only in the picture."""
    root, _ = own_nyu
    assert old in NYU
    (root / "dataset.toml").write_text(NYU.replace(old, new))
    try:
        verdict = measure_fit(load_dataset("folder", root).read(0)).verdict
    except gmaps.errors.FrameError as error:  # depths of 60 m, joints behind the camera
        verdict = str(error)
    assert "right?" in verdict or "no hand can be" in verdict


@pytest.fixture
def sr305(real_data, tmp_path):
    root = tmp_path / "sr305"
    shutil.copytree(real_data / "sr305", root)
    (root / "dataset.toml").write_text(SR305)
    return root


def test_real_sr305_frames(sr305):
    assert all(c.ok for c in check_dataset("folder", sr305))
    data = load_dataset("folder", sr305)
    index = data.index()
    assert [data.read(i).name for i in range(3)] == [
        "20210326-230536_90.png", "20210326-230536_110.png", "20210326-231615_200.png",
    ]  # fmt: skip
    assert [index.sequences[s] for s in index.sequence] == ["20210326-230536"] * 2 + ["20210326-231615"]
    for i in range(3):
        frame = data.read(i)
        assert not frame.labelled
        seen = frame.depth[frame.depth > 0]
        assert 400 < seen.min() < 600
        assert seen.max() < 1100
        np.testing.assert_array_equal(seen * 8, np.rint(seen * 8))  # steps of 1/8 mm
        assert measure_fit(frame).verdict == "this frame has no labels"


def test_real_frames_without_labels_are_built_from_depth_alone(sr305, tmp_path):
    gmaps.build(
        "folder", tmp_path / "s.zarr", root=sr305, center="com", maps=("signed_edt",), workers=0, progress=False
    )
    store = gmaps.open_store(tmp_path / "s.zarr")
    assert len(store) == 3
    for k in range(3):
        sample = store[k]
        assert sample.valid
        assert np.isnan(sample.joints).all()
    # In the first two the hand is nearest; in the third a belly is, so its centre must come from elsewhere.
    for k in (0, 1):
        sample = store[k]
        assert 450 < sample.crop.cube.center[2] < 620
        # A hand of real size before a camera of these numbers: some hundred square cm of the cube's 576.
        assert 0.08 < sample.crop.mask.mean() < 0.5


def described(toml):
    return parse_description(parse_toml(toml.encode(), "dataset.toml"))


def test_real_label_files_of_other_sets(real_data):
    """MSRA's and ICVL's own files, described and not converted: the same joints as through their readers."""
    msra = described(SR305 + '[joints]\nfiles = "joint.txt"\nskip = 1\naxes = ["right", "up", "backward"]\n'
                     '[skeleton]\nname = "msra21"\n')  # fmt: skip
    data = (real_data / "msra" / "msra14_joint.txt").read_bytes()
    found = parse_labels(data, "joint.txt", msra.joints, 21, msra.camera)
    np.testing.assert_array_equal(found.joints, bin_files.parse_joints(data, "joint.txt")[0])
    assert len(found.joints) == 400
    assert not found.faults

    one = described(
        SR305 + '[joints]\nfiles = "labels.txt"\nrows = "name"\nkind = "uvd"\n[skeleton]\nname = "icvl16"\n'
    )
    data = (real_data / "icvl" / "test_seq_1.txt").read_bytes()
    camera = icvl.CAMERAS["standard"]
    found = parse_labels(data, "labels.txt", one.joints, 16, camera)
    lines = [line for line in data.splitlines() if line.strip()]
    assert len(found.joints) == len(lines) == 702
    for k in (0, 1, 701):
        np.testing.assert_allclose(found.joints[k], icvl.parse_labels(lines[k], camera, "f"), atol=1e-3)
        assert found.names[k] == f"test_seq_1/image_{k:04d}.png"
