"""Bones, angles, people and contact of the synthetic hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gmaps.errors import UsageError
from gmaps.synth import contact, hand, poses, turns
from gmaps.synth.fit_hand import fit_hand

MEAN = hand.mean_shape()
#: Hands at the corners of what people are: thick fingers on a small palm, and the reverse.
LOW, HIGH = poses.SHAPE_LIMITS.T
THICK = poses.make_shape(np.where(np.isin(poses.SHAPES, ["finger_thickness", "palm_thickness", "mass"]), HIGH, LOW))
SLIM = poses.make_shape(np.where(np.isin(poses.SHAPES, ["finger_thickness", "palm_thickness", "mass"]), LOW, HIGH))

numbers = st.floats(-10, 10)
quaternion = st.tuples(numbers, numbers, numbers, numbers).map(np.array).filter(lambda q: np.linalg.norm(q) > 0.1)


def posed(angles, shape=MEAN):
    return hand.pose_hand(shape.roots, shape.lengths, np.atleast_2d(angles))


# --- turns -----------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(quaternion, quaternion, st.tuples(numbers, numbers, numbers).map(np.array))
def test_turns_are_those_of_scipy(p, q, v):
    p, q = turns.unit(p), turns.unit(q)
    a, b = (Rotation.from_quat(np.roll(x, -1)) for x in (p, q))
    np.testing.assert_allclose(turns.apply(turns.product(p, q), v), (a * b).apply(v), atol=1e-9)
    np.testing.assert_allclose(turns.matrix(q), b.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(turns.along(q), b.apply([0, 1, 0]), atol=1e-12)
    np.testing.assert_allclose(turns.apply(turns.inverse(q), turns.apply(q, v)), v, atol=1e-9)
    again = turns.from_matrix(turns.matrix(q))
    np.testing.assert_allclose(again, q if q[0] * again[0] >= 0 and q @ again > 0 else -q, atol=1e-7)
    towards = turns.unit(v + np.array([20.0, 0, 0]))
    np.testing.assert_allclose(
        turns.apply(turns.between(turns.along(q), towards), turns.along(q)), towards, atol=1e-6
    )


@pytest.mark.parametrize("a", [(0, 1, 0), (1, 0, 0), (-1, 0, 0), (0, 0, 1), (0.6, 0.8, 0), (0.95, 0, -0.3)])
def test_shortest_turn_to_the_opposite_is_half_a_circle(a):
    a = turns.unit(np.array(a, float))
    np.testing.assert_allclose(turns.apply(turns.between(a, -a), a), -a, atol=1e-12)


# --- kinematics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", poses.FAMILIES)
def test_random_poses_keep_bone_lengths_and_limits(family):
    rng = np.random.default_rng(3)
    shape = poses.random_shape(rng)
    for _ in range(20):
        angles, pose = poses.random_pose(family, shape, rng)
        assert (angles >= hand.LIMITS[:, 0]).all()
        assert (angles <= hand.LIMITS[:, 1]).all()
        chains = pose.joints[0, 1:].reshape(5, 4, 3)
        np.testing.assert_allclose(np.linalg.norm(np.diff(chains, axis=1), axis=2), shape.lengths, atol=1e-9)
        np.testing.assert_array_equal(chains[:, 0], shape.roots)
        np.testing.assert_array_equal(pose.joints[0, 0], 0)


def test_finger_bends_by_the_angles_asked_for_and_towards_the_palm():
    angles = poses.family_angles("open")
    angles[6:10] = 0, 40, 60, 35  # middle finger: spread, mcp, pip, dip
    joints = posed(angles).joints[0]
    bones = np.diff(joints[5:9], axis=0)
    bones /= np.linalg.norm(bones, axis=1, keepdims=True)
    bends = np.degrees(np.arccos([bones[0] @ bones[1], bones[1] @ bones[2]]))
    np.testing.assert_allclose(bends, [60, 35], atol=1e-6)
    assert math.degrees(math.asin(bones[0, 2])) == pytest.approx(40)  # out of the palm, +z
    assert joints[8, 2] > 40


def test_batch_is_its_hands_one_by_one():
    rng = np.random.default_rng(5)
    angles = rng.uniform(*hand.LIMITS.T, (7, 23))
    shapes = [poses.random_shape(rng) for _ in range(7)]
    all_at_once = hand.pose_hand(np.stack([s.roots for s in shapes]), np.stack([s.lengths for s in shapes]), angles)
    for k, shape in enumerate(shapes):
        one = posed(angles[k], shape)
        np.testing.assert_array_equal(one.joints[0], all_at_once.joints[k])
        np.testing.assert_array_equal(one.turns[0], all_at_once.turns[k])


def test_turns_lead_along_the_bones_and_a_placed_hand_is_the_same_hand():
    rng = np.random.default_rng(6)
    pose = posed(rng.uniform(*hand.LIMITS.T, (5, 23)))
    turn, shift = turns.unit(rng.normal(size=(5, 4))), rng.normal(0, 100, (5, 3))
    for p in (pose, hand.place_pose(pose, turn, shift)):
        bones = p.joints[:, hand.ENDS[5:]] - p.joints[:, hand.STARTS[5:]]
        np.testing.assert_allclose(turns.unit(bones), turns.along(p.turns[:, 5:]), atol=1e-9)
    placed = hand.place_pose(pose, turn, shift)
    back = np.einsum("bji,bkj->bki", turns.matrix(turn), placed.joints - shift[:, None])
    np.testing.assert_allclose(back, pose.joints, atol=1e-9)


def test_parents_and_joints_describe_one_tree():
    assert len(hand.BONES) == len(hand.PARENTS) == len(hand.STARTS) == len(hand.ENDS) == 20
    assert len(hand.ANGLES) == len(hand.LIMITS) == 23
    for bone, parent in enumerate(hand.PARENTS):
        if parent >= 0:
            assert hand.STARTS[bone] == hand.ENDS[parent]


def test_families_differ_where_they_should():
    def reach(family):  # of the five tips from the wrist
        return np.linalg.norm(posed(poses.family_angles(family)).joints[0, [4, 8, 12, 16, 20]], axis=1)

    assert (reach("open")[:4] > 120).all()
    assert (reach("fist")[:4] < 65).all()
    assert reach("point")[0] > 120 > 65 > reach("point")[1:4].max()
    assert reach("Y")[3] > 110 > 65 > reach("Y")[:3].max()
    pinch = posed(poses.family_angles("pinch")).joints[0]
    assert np.linalg.norm(pinch[4] - pinch[20]) < MEAN.radii[4] + MEAN.radii[20] + 1  # tips touch


def test_last_joint_follows_the_middle_one_and_the_thumb_opposes():
    rng = np.random.default_rng(7)
    angles = np.stack([poses.random_angles(f, rng) for f in poses.FAMILIES for _ in range(20)])
    pip, dip = angles[:, 4:18:4].ravel(), angles[:, 5:18:4].ravel()
    assert np.corrcoef(pip, dip)[0, 1] > 0.95
    assert np.abs(dip - pip * 2 / 3).max() < 30
    over = posed(poses.family_angles("fist")).turns[0, 17]
    out = posed(poses.family_angles("open")).turns[0, 17]
    # Lifted out of the palm, the thumb has turned its pad to the fingers: its bending leads to the little finger.
    bends = [turns.apply(q, np.array([0.0, 0, 1])) for q in (out, over)]
    assert bends[1][2] < bends[0][2]
    assert bends[1][0] < -0.4


@pytest.mark.parametrize(
    "call",
    [
        lambda: hand.pose_hand(MEAN.roots, MEAN.lengths, np.zeros((1, 22))),
        lambda: hand.pose_hand(MEAN.roots, MEAN.lengths, np.zeros(23)),
        lambda: hand.follow_joints(np.zeros((1, 20, 3))),
        lambda: hand.follow_joints(np.full((1, 21, 3), np.nan)),
        lambda: hand.HandShape(MEAN.roots, -MEAN.lengths, MEAN.girth),
        lambda: hand.HandShape(MEAN.roots[:4], MEAN.lengths, MEAN.girth),
        lambda: poses.make_shape([1, 1]),
        lambda: poses.make_shape([0.0] * 8),
        lambda: fit_hand(np.zeros((14, 3))),
        lambda: fit_hand(np.zeros((36, 3)), "nyu36"),
    ],
)
def test_what_is_no_hand_is_refused(call):
    with pytest.raises(UsageError):
        call()


# --- people ----------------------------------------------------------------------------------------------------


def test_each_shape_parameter_does_what_it_is_called():
    def changed(name, by=1.05):
        return poses.make_shape(np.where(np.array(poses.SHAPES) == name, by, 1.0))

    mean = poses.make_shape(np.ones(8))
    np.testing.assert_array_equal(mean.roots, MEAN.roots)
    np.testing.assert_allclose(changed("size").lengths, 1.05 * mean.lengths)
    np.testing.assert_allclose(changed("size").radii, 1.05 * mean.radii)
    np.testing.assert_allclose(changed("finger_length").lengths, 1.05 * mean.lengths)
    np.testing.assert_array_equal(changed("finger_length").roots, mean.roots)
    np.testing.assert_allclose(changed("finger_thickness").radii[1:17], 1.05 * mean.radii[1:17])
    np.testing.assert_allclose(changed("palm_length").roots[:4, 1], 1.05 * mean.roots[:4, 1])
    np.testing.assert_allclose(changed("palm_width").girth[1:5, 0], 1.05)
    np.testing.assert_allclose(np.diff(changed("finger_spacing").roots[:4, 0]), 1.05 * np.diff(mean.roots[:4, 0]))
    assert (changed("mass").radii > mean.radii).all()
    assert (changed("palm_thickness").girth[1:5, 2] > 1).all()


# --- any joints ------------------------------------------------------------------------------------------------


def test_bones_follow_any_joints_and_are_those_of_a_posed_hand():
    rng = np.random.default_rng(8)
    shape = poses.random_shape(rng)
    pose = posed(np.stack([poses.random_angles("grasp", rng) for _ in range(10)]), shape)
    pose = hand.place_pose(pose, turns.unit(rng.normal(size=(10, 4))), rng.normal(0, 50, (10, 3)))
    found, roots, lengths = hand.follow_joints(pose.joints)
    np.testing.assert_array_equal(found.joints, pose.joints)
    np.testing.assert_allclose(lengths, np.broadcast_to(shape.lengths, lengths.shape), atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.norm(roots, axis=-1), np.broadcast_to(np.linalg.norm(shape.roots, axis=-1), (10, 5)), atol=1e-9
    )
    np.testing.assert_allclose(turns.along(found.turns[:, 5:]), turns.along(pose.turns[:, 5:]), atol=1e-9)


def test_degenerate_joints_still_give_turns():
    for joints in (np.zeros((1, 21, 3)), np.arange(21)[None, :, None] * np.array([0, 1.0, 0])):
        pose, _, lengths = hand.follow_joints(joints)
        assert np.isfinite(pose.turns).all()
        assert np.isfinite(lengths).all()


def test_fit_finds_the_angles_that_made_the_joints():
    rng = np.random.default_rng(9)
    for family in ("open", "point", "grasp"):
        angles, pose = poses.random_pose(family, MEAN, rng)
        pose = hand.place_pose(pose, turns.unit(rng.normal(size=4)), rng.normal(0, 300, 3))
        fit = fit_hand(pose.joints[0])
        assert fit.error_mm < 1.0
        np.testing.assert_allclose(fit.angles[2:18], angles[2:18], atol=12)
        assert (fit.angles >= hand.LIMITS[:, 0]).all()
        assert (fit.angles <= hand.LIMITS[:, 1]).all()


def test_real_hands_of_both_data_sets_are_held_to_a_few_mm(real_poses, real_data):
    from gmaps.datasets.nyu import CAMERA
    from gmaps.skeleton import get_skeleton

    assert np.median([fit_hand(p).error_mm for p in real_poses[::50]]) < 3.5
    with np.load(real_data / "nyu" / "joint_uvd_test_kinect1.npz") as file:
        labels = CAMERA.unproject(file["joint_uvd"][::1000])[:, list(get_skeleton("nyu36").evaluation)]
    fits = [fit_hand(p, "nyu14") for p in labels]
    assert np.median([f.error_mm for f in fits]) < 6
    assert all(f.shape.lengths.max() < 70 for f in fits)


# --- contact ---------------------------------------------------------------------------------------------------


def slow_gap(a, b, c, d):
    s, t = np.meshgrid(np.linspace(0, 1, 201), np.linspace(0, 1, 201))
    p = a + s[..., None] * (b - a) - c - t[..., None] * (d - c)
    return np.sqrt((p * p).sum(-1)).min()


point = st.tuples(*[st.floats(-30, 30)] * 3).map(np.array)


@settings(max_examples=60, deadline=None)
@given(point, point, point, point)
def test_nearest_points_of_segments(a, b, c, d):
    s, t = contact.nearest(a, b - a, c, d - c)
    assert 0 <= s <= 1
    assert 0 <= t <= 1
    gap = np.linalg.norm(a + s * (b - a) - c - t * (d - c))
    assert gap <= slow_gap(a, b, c, d) + 1e-6
    assert gap >= slow_gap(a, b, c, d) - 0.5


@pytest.mark.parametrize("shape", [MEAN, THICK, SLIM], ids=["mean", "thick", "slim"])
@pytest.mark.parametrize("family", poses.FAMILIES)
def test_no_finger_passes_through_another_or_the_palm(family, shape):
    rng = np.random.default_rng(13)
    for _ in range(12):
        _, pose = poses.random_pose(family, shape, rng)
        assert contact.penetration(pose.joints, shape.radii)[0] <= contact.SOFT + 1e-9


def test_bad_poses_are_bad_and_are_freed_near_where_they_were():
    through = poses.family_angles("fist")
    through[18:] = 40, 60, 0, 60, 80  # the thumb in the middle of the fist
    assert contact.penetration(posed(through).joints, MEAN.radii)[0] > 8
    crossed = poses.family_angles("open")
    crossed[2], crossed[6] = -18, 18  # index finger over middle finger
    assert contact.penetration(posed(crossed).joints, MEAN.radii)[0] > 3
    for angles in (through, crossed):
        freed, pose = contact.free_pose(MEAN, angles)
        np.testing.assert_array_equal(posed(freed).joints, pose.joints)
        assert contact.penetration(pose.joints, MEAN.radii)[0] <= contact.SOFT
        assert np.abs(freed - angles).max() < 60
    calm = poses.family_angles("open")
    assert contact.free_pose(MEAN, calm)[0] is calm


def test_levers_are_the_derivatives_of_depth():
    angles = poses.family_angles("fist")
    angles[18:] = 45, 55, 5, 50, 60
    angles[2:18:4] = 3, 1, -2, -4
    pose = posed(angles)
    found = contact.contacts(pose.joints, MEAN.radii)
    k = np.argsort(-found.depth[0])[:8]
    lever = contact._levers(pose, angles, k, found)
    for a in (18, 19, 21, 22, 3, 4, 5, 8):
        there = angles.copy()
        there[a] += 0.01
        change = contact.contacts(posed(there).joints, MEAN.radii).depth[0, k] - found.depth[0, k]
        # The taper of flesh is left out of the levers.
        np.testing.assert_allclose(-change / math.radians(0.01), lever[:, a], atol=5.0)


# --- views -----------------------------------------------------------------------------------------------------


def test_views_show_both_sides_and_every_direction():
    rng = np.random.default_rng(0)
    q = np.stack([poses.random_turn(rng) for _ in range(3000)])
    np.testing.assert_allclose(np.linalg.norm(q, axis=1), 1, atol=1e-12)
    to_camera = turns.apply(turns.inverse(q), np.array([0.0, 0.0, -1.0]))  # in palm axes
    assert 0.55 < (to_camera[:, 2] > 0).mean() < 0.8
    for axis in np.concatenate([np.eye(3), -np.eye(3)]):
        assert (to_camera @ axis > 0.9).mean() > 0.005
