"""The embedded data set: frames that depend on seed and number alone, hands in view, people kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.datasets import check_dataset, load_dataset
from gmaps.errors import UsageError
from gmaps.synth.hand import FAMILIES


def test_defaults():
    ds = load_dataset("synthetic")
    index = ds.index()
    assert len(ds) == len(index) == 10_000
    assert index.subjects == tuple(f"S{k}" for k in range(10))
    assert index.sequences == FAMILIES
    assert ds.spec() == {"name": "synthetic", "split": "all", "frames": 10_000, "seed": 0}
    frame = ds.read(9_999)
    assert (frame.index, frame.subject, frame.name) == (9_999, 9, "synthetic frame 9999")
    assert frame.depth.dtype == frame.joints.dtype == np.float32
    assert frame.depth.shape == (240, 320)
    assert frame.camera == ds.camera


def test_a_frame_depends_on_seed_and_number_alone():
    few, many = load_dataset("synthetic", frames=30, seed=4), load_dataset("synthetic", frames=3000, seed=4)
    many.read(2000)  # nor on what was read before
    for i in (0, 17, 29):
        np.testing.assert_array_equal(few.read(i).depth, many.read(i).depth)
        np.testing.assert_array_equal(few.read(i).joints, many.read(i).joints)
    other = load_dataset("synthetic", frames=30, seed=5)
    assert (other.read(17).joints != few.read(17).joints).all()
    assert (few.read(18).joints != few.read(17).joints).all()


def test_splits_share_neither_frame_nor_person():
    parts = {s: load_dataset("synthetic", split=s, frames=200).index() for s in ("train", "test", "all")}
    assert len(parts["train"]) == 180
    assert set(parts["test"].subject) == {9}
    assert set(parts["train"].subject) == set(range(9))
    assert sorted([*parts["train"].frame, *parts["test"].frame]) == list(range(200)) == list(parts["all"].frame)
    test = load_dataset("synthetic", split="test", frames=200)
    everything = load_dataset("synthetic", frames=200)
    frame = test.read(3)
    assert frame.index == 39
    np.testing.assert_array_equal(frame.depth, everything.read(39).depth)
    assert {int(s) for s in parts["all"].sequence} == set(range(len(FAMILIES)))


def test_hands_are_in_view_at_the_distances_promised():
    ds = load_dataset("synthetic", frames=300)
    middles, pixels = [], []
    for i in range(300):
        frame = ds.read(i)
        uvd = ds.camera.project(frame.joints)
        assert uvd[:, :2].min() > 0
        assert uvd[:, 0].max() < 319
        assert uvd[:, 1].max() < 239
        assert frame.joints[:, 2].min() >= 179.9
        seen = frame.depth[frame.depth > 0]
        assert frame.joints[:, 2].min() - 75 < seen.min()  # the forearm comes forward
        assert seen.max() < frame.joints[:, 2].max() + 75  # or goes back
        middles.append((frame.joints[:, 2].min() + frame.joints[:, 2].max()) / 2)
        pixels.append(len(seen))
    assert 245 < min(middles) < 290
    assert 510 < max(middles) < 555
    assert min(pixels) > 400
    assert np.median(pixels) > 2500


def test_joints_lie_behind_the_seen_surface():
    ds = load_dataset("synthetic", frames=300)
    behind = lost = total = 0
    for i in range(0, 300, 3):
        frame = ds.read(i)
        uvd = np.rint(ds.camera.project(frame.joints)).astype(int)
        surface = frame.depth[uvd[:, 1], uvd[:, 0]]
        lost += int((surface == 0).sum())
        behind += int(((surface > 0) & (surface < frame.joints[:, 2])).sum())
        total += 21
    assert behind + lost == total  # every joint is in the flesh, and only missing pixels show nothing
    assert 0 < lost < 0.03 * total


def test_people_have_hands_of_their_own():
    ds = load_dataset("synthetic", frames=20)
    middle = [np.linalg.norm(np.diff(ds.read(i).joints[5:9], axis=0), axis=1).sum() for i in range(20)]
    np.testing.assert_allclose(middle[:10], middle[10:], rtol=1e-5)  # the same person, ten frames later
    assert np.ptp(middle[:10]) > 10


@pytest.mark.parametrize(
    "options", [{"frames": 0}, {"frames": "many"}, {"frames": 2.5}, {"seed": -1}, {"seed": float("inf")}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UsageError, match="whole number"):
        load_dataset("synthetic", **options)


def test_options_may_be_words_of_a_command_line():
    assert load_dataset("synthetic", frames="12", seed="3").spec()["frames"] == 12


def test_too_few_frames_to_test_says_so():
    with pytest.raises(UsageError, match="none to test"):
        load_dataset("synthetic", split="test", frames=9).index()


def test_fingerprint_tells_other_frames_apart():
    prints = [
        load_dataset("synthetic", **kw).fingerprint() for kw in ({}, {"seed": 1}, {"frames": 9}, {"split": "train"})
    ]
    assert len({str(p) for p in prints}) == 4


def test_check_renders_a_frame():
    (check,) = check_dataset("synthetic")
    assert check.ok
    assert int(str(check.found).split()[0]) > 400
