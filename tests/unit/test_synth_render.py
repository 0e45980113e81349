"""Rays that meet triangles exactly: the z-buffer against its slow twin, and hands in front of cameras."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmaps.camera import Camera
from gmaps.errors import UsageError
from gmaps.synth import hand, poses, turns
from gmaps.synth.render import render_hand, render_mesh
from gmaps.synth.sensor import TimeOfFlight
from gmaps.synth.skin import PARTS, hand_mesh, mesh_of_joints
from tests.reference.handmesh import ray_depths

CAMERA = Camera(241.42, 241.42, 160.0, 120.0, 320, 240)
SMALL = Camera(60.0, 62.0, 15.3, 11.8, 32, 24)
UPRIGHT = turns.about(0, np.pi)  # palm to the camera, fingers up


def placed(angles, turn=UPRIGHT, z=330.0):
    pose = hand.pose_hand(hand.MEAN_ROOTS, hand.MEAN_LENGTHS, np.atleast_2d(angles))
    joints = hand.place_pose(pose, turn, np.zeros(3)).joints[0]
    return joints + np.array([0, 0, z]) - joints.mean(axis=0)


# Quarters of a millimetre: triangles may have no area, but not one of 1e-39.
coordinate = st.integers(-240, 240).map(lambda q: q / 4)
corner = st.tuples(coordinate, coordinate, st.integers(-160, 1040).map(lambda q: q / 4))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(corner, corner, corner), min_size=1, max_size=6))
def test_triangles_are_those_of_the_slow_twin(soup):
    vertices = np.array(soup, float).reshape(-1, 3)
    triangles = np.arange(len(vertices)).reshape(-1, 3)
    labels = np.arange(1, len(triangles) + 1)
    fast = render_mesh(vertices, SMALL, triangles=triangles, parts=labels)
    slow, owner, margin = ray_depths(vertices, triangles, SMALL)
    hit, seen = fast.depth > 0, np.isfinite(slow)
    clear = margin > 1e-6  # a ray through an edge may go either way
    assert not (seen & clear & ~hit).any()
    assert not (hit & ~seen).sum() > 2
    both = hit & seen & clear & (fast.parts == owner + 1)
    np.testing.assert_allclose(fast.depth[both], slow[both], rtol=1e-4)
    other = hit & seen & clear & (fast.parts != owner + 1)  # two surfaces at one depth, or one edge
    np.testing.assert_allclose(fast.depth[other], slow[other], rtol=1e-3, atol=1e-2)


def test_hand_mesh_is_that_of_the_slow_twin_without_a_hole():
    mesh = hand_mesh()
    joints = placed(poses.family_angles("grasp"), z=300)
    vertices = mesh_of_joints(joints)
    camera = Camera(45.0, 45.0, 20.0, 20.0, 40, 40)
    fast = render_mesh(vertices, camera)
    slow, owner, _ = ray_depths(vertices, mesh.triangles, camera)
    np.testing.assert_array_equal(fast.depth > 0, np.isfinite(slow))
    seen = np.isfinite(slow)
    np.testing.assert_allclose(fast.depth[seen], slow[seen], rtol=1e-6)
    assert (fast.parts[seen] == mesh.labels[owner[seen]]).mean() > 0.99
    assert (fast.parts[~seen] == 0).all()


def test_neighbouring_triangles_leave_no_gap():
    """A wall of a thousand slivers that share edges, seen by rays through its vertices."""
    u, v = np.meshgrid(np.linspace(-100, 100, 33), np.linspace(-80, 80, 17))
    vertices = np.stack([u, v, 200 + 0.3 * u], axis=-1).reshape(-1, 3)
    at = np.arange(33 * 17).reshape(17, 33)
    a, b, c, d = (x.ravel() for x in (at[:-1, :-1], at[:-1, 1:], at[1:, :-1], at[1:, 1:]))
    triangles = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])
    camera = Camera(64.0, 64.0, 32.0, 24.0, 65, 49)
    image = render_mesh(vertices, camera, triangles=triangles, parts=np.ones(len(triangles)))
    assert (image.depth[10:39, 10:55] > 0).all()
    rays = camera.unproject([[20.0, 30.0, 1.0]])[0]
    assert image.depth[30, 20] == pytest.approx(200 / (1 - 0.3 * rays[0]), rel=1e-6)


def test_surface_lies_in_front_of_its_joints_and_parts_are_seen_where_joints_are():
    joints = placed(poses.family_angles("open"))
    image = render_mesh(mesh_of_joints(joints), CAMERA)
    uvd = np.rint(CAMERA.project(joints)).astype(int)
    seen = image.depth[uvd[:, 1], uvd[:, 0]]
    assert (seen > 0).all()
    assert (seen < joints[:, 2]).all()
    named = [PARTS[image.parts[v, u] - 1] for u, v, _ in uvd]
    for f, finger in enumerate(hand.FINGERS):
        assert named[2 + 4 * f : 5 + 4 * f] == [finger] * 3
    assert set(np.unique(image.parts)) == set(range(8))


def test_right_hand_open_palm_to_the_camera_has_its_thumb_on_the_right():
    u, v, _ = CAMERA.project(placed(poses.family_angles("open"))).T
    assert u[20] > u[4] > u[8] > u[12] > u[16]  # thumb, index, middle, ring, little
    assert v[[4, 8, 12, 16, 20]].max() < v[0]  # all tips above the wrist
    assert u.argmax() == 20


def test_joints_lie_inside_the_flesh_of_all_real_poses(real_poses):
    hidden = 0
    for joints in real_poses[::4]:
        depth = render_hand(joints, CAMERA)
        uvd = np.rint(CAMERA.project(joints)).astype(int)
        inside = (uvd[:, 0] >= 0) & (uvd[:, 0] < 320) & (uvd[:, 1] >= 0) & (uvd[:, 1] < 240)
        seen = depth[uvd[inside, 1], uvd[inside, 0]]
        hidden += (seen == 0).sum() + (seen >= joints[inside, 2]).sum()
        assert 1500 < np.count_nonzero(depth) < 25000
    assert hidden <= 15  # of 2,100: real labels bend fingers in ways that flesh does not


def test_palm_is_full_and_flat():
    joints = placed(poses.family_angles("open"))
    depth = render_hand(joints, CAMERA)
    corners = CAMERA.project(joints[[0, 1, 5, 9, 13]])[:, :2]
    rows, cols = np.mgrid[:240, :320]
    inside = np.ones(rows.shape, bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (b[0] - a[0]) * (rows - a[1]) - (b[1] - a[1]) * (cols - a[0]) <= 0
    assert inside.sum() > 700
    assert (depth[inside] > 0).all()
    thickness = joints[[0, 1, 5, 9, 13], 2].mean() - depth[inside]
    assert thickness.min() > 5
    assert thickness.max() < 30


def test_back_of_a_fist_hides_the_fingertips():
    joints = placed(poses.family_angles("fist"), turns.product(turns.about(1, np.pi), UPRIGHT))
    depth = render_hand(joints, CAMERA)
    tips = joints[[4, 8, 12, 16]]
    uvd = np.rint(CAMERA.project(tips)).astype(int)
    assert (tips[:, 2] - depth[uvd[:, 1], uvd[:, 0]] > 15).all()  # more than a finger's radius


def test_image_shrinks_with_distance_and_is_the_mirror_of_nothing():
    near, far = (np.count_nonzero(render_hand(placed(poses.family_angles("open"), z=z), CAMERA)) for z in (300, 600))
    assert near == pytest.approx(4 * far, rel=0.1)


def test_what_is_behind_or_around_the_camera_is_not_drawn_or_fills_the_image():
    joints = placed(poses.family_angles("open"))
    assert not render_hand(joints * [1, 1, -1], CAMERA).any()
    inside = render_hand(joints - joints[9], CAMERA)  # the camera sits in the palm
    assert np.isfinite(inside).all()
    assert inside.any()


@pytest.mark.parametrize("joints", [np.zeros((20, 3)), np.full((21, 3), np.nan), np.zeros(63)])
def test_what_is_no_hand_is_refused(joints):
    with pytest.raises(UsageError, match="21 finite joints"):
        render_hand(joints, CAMERA)


def test_sensor_needs_randomness():
    joints = placed(poses.family_angles("open"))
    with pytest.raises(UsageError, match="rng"):
        render_hand(joints, CAMERA, sensor=TimeOfFlight())
    seen = render_hand(joints, CAMERA, sensor=TimeOfFlight(), rng=np.random.default_rng(1))
    assert (seen != render_hand(joints, CAMERA)).any()
