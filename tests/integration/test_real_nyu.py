"""The one real frame: NYU's test frame 1 with its 36 joints, through the reader."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.datasets import check_dataset, load_dataset


@pytest.fixture
def frame(nyu_tree):
    return load_dataset("nyu", nyu_tree(), split="test").read(0)


def test_frame_is_what_was_recorded(frame):
    assert frame.name == "test/depth_1_0000001.png"
    assert (frame.index, frame.sequence) == (72757, 1)
    assert frame.depth.shape == (480, 640)
    # 187,127 of the 307,200 pixels are 2001: no data. The rest are whole mm from 731 to 1996.
    assert np.count_nonzero(frame.depth) == 307_200 - 187_127
    seen = frame.depth[frame.depth > 0]
    assert (seen.min(), seen.max()) == (731, 1996)
    np.testing.assert_array_equal(seen, np.rint(seen))


def test_joints_are_the_published_ones(frame, real_data):
    lines = (real_data / "nyu" / "test_depth_1_0000001_joints36_uvd.txt").read_text().split("\n")
    uvd = np.array([line.split()[1:] for line in lines if line], float)
    np.testing.assert_allclose(frame.camera.project(frame.joints), uvd, atol=0.006)  # two decimals there


def test_surface_lies_in_front_of_every_joint(frame):
    uvd = frame.camera.project(frame.joints)
    col, row = np.rint(uvd[:, 0]).astype(int), np.rint(uvd[:, 1]).astype(int)
    gap = frame.joints[:, 2] - frame.depth[row, col]
    assert gap.shape == (36,)
    assert gap.min() == pytest.approx(2.6, abs=0.1)
    assert gap.max() == pytest.approx(34.3, abs=0.1)
    fingertips = gap[[0, 6, 12, 18, 24]]
    assert (fingertips < 12).all()  # thin flesh there, thick at the wrist
    assert (gap[[30, 31, 35]] > 25).all()


def test_two_people_of_all_real_labels(nyu_tree):
    root = nyu_tree(rows=8252, frames=(1, 2440, 2441, 8252))
    ds = load_dataset("nyu", root, split="test", joints=14)
    assert [ds.index().subjects[s] for s in ds.index().subject] == ["test_1", "test_1", "test_2", "test_2"]
    np.testing.assert_array_equal(ds.index().frame - 72757, [0, 2439, 2440, 8251])
    reach = []
    for i in (1, 2):
        joints = ds.read(i).joints  # pixels of frame 1, labels of their own
        reach.append(np.linalg.norm(joints[7] - joints[13]))  # index finger's middle to the palm
    assert reach[1] < reach[0]  # the second person's hand is smaller
    found = {c.what: c for c in check_dataset("nyu", root)}
    assert found["test/joint_data.mat"].ok
    assert found["test/depth_1_*.png"].found == 4
