"""The embedded data set: frames that depend on seed and number alone, hands in view, people kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.datasets import check_dataset, load_dataset
from gmaps.errors import UsageError
from gmaps.synth.poses import FAMILIES
from gmaps.synth.skin import PARTS


def test_defaults():
    ds = load_dataset("synthetic")
    index = ds.index()
    assert len(ds) == len(index) == 10_000
    assert index.subjects == tuple(f"S{k}" for k in range(10))
    assert index.sequences == FAMILIES
    assert ds.spec() == {
        "name": "synthetic",
        "split": "all",
        "frames": 10_000,
        "seed": 0,
        "sensor": "tof",
        "people": 10,
    }
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
    ds = load_dataset("synthetic", frames=340)
    middles, pixels, cut = [], [], 0
    for i in range(340):
        frame = ds.read(i)
        uvd = ds.camera.project(frame.joints)
        cut += bool(uvd[:, :2].min() < 0 or uvd[:, 0].max() > 319 or uvd[:, 1].max() > 239)
        assert frame.joints[:, 2].min() >= 179.9
        seen = frame.depth[frame.depth > 0]
        assert frame.joints[:, 2].min() - 110 < seen.min()  # the forearm comes forward
        assert seen.max() < frame.joints[:, 2].max() + 130  # or goes back
        middles.append((frame.joints[:, 2].min() + frame.joints[:, 2].max()) / 2)
        pixels.append(len(seen))
    assert cut <= 3  # a hand across the whole view, close to the camera
    assert 245 < min(middles) < 290
    assert 510 < max(middles) < 560
    assert min(pixels) > 400
    assert np.median(pixels) > 2500


def test_joints_lie_behind_the_seen_surface():
    ds = load_dataset("synthetic", frames=340)
    good = lost = total = 0
    for i in range(0, 340, 3):
        frame = ds.read(i)
        uvd = np.rint(ds.camera.project(frame.joints)).astype(int)
        inside = (uvd[:, :2] >= 0).all(axis=1) & (uvd[:, :2] < [320, 240]).all(axis=1)
        surface = frame.depth[uvd[inside, 1], uvd[inside, 0]]
        lost += int((surface == 0).sum())
        good += int(((surface > 0) & (surface < frame.joints[inside, 2])).sum())
        total += int(inside.sum())
    # A tip seen end on may stand beside its flesh by a pixel; otherwise every joint is in the flesh.
    assert good + lost > 0.995 * total
    assert 0 < lost < 0.03 * total


def test_mesh_and_truth_are_those_of_the_frame():
    ds = load_dataset("synthetic", frames=40, sensor="none")
    for i in (0, 23):
        frame, truth, (vertices, triangles) = ds.read(i), ds.truth(i), ds.mesh(i)
        np.testing.assert_array_equal(frame.depth, truth.depth)
        np.testing.assert_array_equal(truth.parts > 0, truth.depth > 0)
        assert truth.parts.max() <= len(PARTS)
        assert triangles.max() == len(vertices) - 1
        # Every seen point lies on the mesh: no farther from its nearest vertex than the longest edge.
        rows, cols = np.nonzero(truth.depth)
        points = ds.camera.unproject(np.stack([cols, rows, truth.depth[rows, cols]], axis=1))[::50]
        gap = np.linalg.norm(points[:, None] - vertices, axis=-1).min(axis=1)
        assert gap.max() < 9
        np.testing.assert_allclose(ds.scene(i).joints, frame.joints, atol=1e-3)


@pytest.mark.parametrize("sensor", ["structured", "tof"])
def test_sensors_change_the_image_and_not_the_hand(sensor):
    clean, seen = (load_dataset("synthetic", frames=10, sensor=s) for s in ("none", sensor))
    a, b = clean.read(3), seen.read(3)
    np.testing.assert_array_equal(a.joints, b.joints)
    both = (a.depth > 0) & (b.depth > 0)
    assert both.sum() > 0.85 * (a.depth > 0).sum()
    assert 0.05 < np.median(np.abs(a.depth[both] - b.depth[both])) < 3


def test_people_have_hands_of_their_own():
    ds = load_dataset("synthetic", frames=20)
    middle = [np.linalg.norm(np.diff(ds.read(i).joints[5:9], axis=0), axis=1).sum() for i in range(20)]
    np.testing.assert_allclose(middle[:10], middle[10:], rtol=1e-5)  # the same person, ten frames later
    assert np.ptp(middle[:10]) > 10


def test_unknown_sensor_is_told_the_nearest():
    with pytest.raises(UsageError, match="structured"):
        load_dataset("synthetic", sensor="structurd")


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
        load_dataset("synthetic", **kw).fingerprint()
        for kw in ({}, {"seed": 1}, {"frames": 9}, {"split": "train"}, {"sensor": "none"})
    ]
    assert len({str(p) for p in prints}) == 5
    assert prints[0]["release"] == 3  # earlier hands were other hands: stores of the two do not mix


def test_check_renders_a_frame():
    (check,) = check_dataset("synthetic")
    assert check.ok
    assert int(str(check.found).split()[0]) > 400


def test_more_people_take_turns_and_every_tenth_is_tested_on():
    parts = {s: load_dataset("synthetic", split=s, frames=400, people=40).index() for s in ("train", "test", "all")}
    assert len(parts["all"].subjects) == 40
    assert set(parts["all"].subject) == set(range(40))
    assert set(parts["test"].subject) == {9, 19, 29, 39}
    assert set(parts["train"].subject) == set(range(40)) - {9, 19, 29, 39}
    many, few = load_dataset("synthetic", frames=400, people=40), load_dataset("synthetic", frames=400)
    assert (many.read(3).joints == few.read(3).joints).all()
    assert many.read(23).subject == 23
    with pytest.raises(UsageError, match="people"):
        load_dataset("synthetic", people=5)


@pytest.mark.parametrize("people", [10, 40, 170, 1000])
def test_every_family_is_shown_early_and_by_everybody(people):
    index = load_dataset("synthetic", frames=17 * people, people=people).index()
    assert len(set(index.sequence[:170].tolist())) > 10
    shown = {int(f) for f in index.sequence[index.subject == 7]}
    assert len(shown) == 17
    data = load_dataset("synthetic", frames=17 * people, people=people)
    assert index.sequence[5] == 0
    assert data.read(163).sequence == index.sequence[163]
