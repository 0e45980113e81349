"""The synthetic hand: bones that keep their lengths, flesh that holds its joints, rays that meet it exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmaps.camera import Camera
from gmaps.errors import UsageError
from gmaps.synth import hand
from gmaps.synth.flesh import build_flesh, joint_radii
from gmaps.synth.render import draw_cones, draw_triangles, render_hand
from gmaps.synth.sensor import Sensor

CAMERA = Camera(241.42, 241.42, 160.0, 120.0, 320, 240)
SMALL = Camera(60.0, 62.0, 15.3, 11.8, 32, 24)
UPRIGHT = np.diag([1.0, -1.0, -1.0])  # palm to the camera, fingers up


def placed(angles, rotation=UPRIGHT, z=330.0):
    joints = hand.pose_hand(hand.mean_shape(), angles) @ rotation.T
    return joints + np.array([0, 0, z]) - joints.mean(axis=0)


# --- bones and poses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", hand.FAMILIES)
def test_random_poses_keep_bone_lengths_and_limits(family):
    rng = np.random.default_rng(3)
    shape = hand.random_shape(rng)
    for _ in range(20):
        angles = hand.random_angles(family, rng)
        assert (angles >= hand.LIMITS[:, 0]).all()
        assert (angles <= hand.LIMITS[:, 1]).all()
        joints = hand.pose_hand(shape, angles)
        chains = joints[1:].reshape(5, 4, 3)
        np.testing.assert_allclose(np.linalg.norm(np.diff(chains, axis=1), axis=2), shape.lengths, atol=1e-9)
        np.testing.assert_array_equal(chains[:, 0], shape.roots)
        np.testing.assert_array_equal(joints[0], 0)


def test_finger_bends_by_the_angles_asked_for_and_towards_the_palm():
    angles = hand.family_angles("open")
    angles[3:6] = 0, 40, 60  # middle finger: spread, mcp, pip; its last joint follows at two thirds
    joints = hand.pose_hand(hand.mean_shape(), angles)
    bones = np.diff(joints[5:9], axis=0)
    bones /= np.linalg.norm(bones, axis=1, keepdims=True)
    turns = np.degrees(np.arccos([bones[0] @ bones[1], bones[1] @ bones[2]]))
    np.testing.assert_allclose(turns, [60, 40], atol=1e-6)
    assert math.degrees(math.asin(bones[0, 2])) == pytest.approx(40)  # out of the palm, +z
    assert joints[8, 2] > 40


def test_right_hand_open_palm_to_the_camera_has_its_thumb_on_the_right():
    joints = placed(hand.family_angles("open"))
    u, v, _ = CAMERA.project(joints).T
    assert u[20] > u[4] > u[8] > u[12] > u[16]  # thumb, index, middle, ring, little
    assert v[[4, 8, 12, 16, 20]].max() < v[0]  # all tips above the wrist
    assert u.argmax() == 20


def test_families_differ_where_they_should():
    shape = hand.mean_shape()

    def reach(family):  # of the five tips from the wrist
        return np.linalg.norm(hand.pose_hand(shape, hand.family_angles(family))[[4, 8, 12, 16, 20]], axis=1)

    assert (reach("open")[:4] > 120).all()
    assert (reach("fist")[:4] < 60).all()
    assert reach("point")[0] > 120 > 60 > reach("point")[1:4].max()
    assert reach("Y")[3] > 110 > 60 > reach("Y")[:3].max()
    pinch = hand.pose_hand(shape, hand.family_angles("pinch"))
    assert np.linalg.norm(pinch[4] - pinch[20]) < shape.radii[4] + shape.radii[20] + 1  # tips touch


def test_rotations_are_rotations_and_show_both_sides():
    rng = np.random.default_rng(0)
    matrices = np.stack([hand.random_rotation(rng) for _ in range(200)])
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (200, 3, 3)), atol=1e-12
    )
    assert np.linalg.det(matrices).min() > 0.999
    towards = matrices[:, 2, 2] < 0  # the palm's normal points at the camera
    assert 0.55 < towards.mean() < 0.85


def test_pose_of_another_length_is_refused():
    with pytest.raises(UsageError, match="16 angles"):
        hand.pose_hand(hand.mean_shape(), np.zeros(15))


# --- the renderer against slow twins ---------------------------------------------------------------------------


def sphere_depth(spheres, camera):
    """Slow twin: nearest entry of each pixel's ray into any of many spheres."""
    v, u = np.mgrid[: camera.height, : camera.width]
    d = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    dd = (d * d).sum(-1)
    depth = np.full(u.shape, np.inf)
    for x, y, z, r in spheres:
        b = d @ np.array([x, y, z])
        disc = b * b - dd * (x * x + y * y + z * z - r * r)
        depth = np.where(disc >= 0, np.minimum(depth, (b - np.sqrt(np.maximum(disc, 0))) / dd), depth)
    return depth


def agree(fast, slow, tolerance):
    """The twin's spheres lie inside the hull, so it is never nearer, and misses only a rim of pixels."""
    hit, seen = np.isfinite(fast), np.isfinite(slow)
    assert (seen & ~hit).sum() <= 1  # a ray that only touches
    assert (hit & ~seen).sum() <= 12
    apart = slow[hit & seen] - fast[hit & seen]
    if apart.size:
        assert apart.min() > -1e-4
        assert np.median(apart) < tolerance


numbers = st.floats(-40, 40)
ball = st.tuples(numbers, numbers, st.floats(150, 260), st.floats(4, 22)).map(np.array)
LENS = (SMALL.fx, SMALL.fy, SMALL.cx, SMALL.cy)


@settings(max_examples=60, deadline=None)
@given(ball, ball)
def test_round_cone_is_the_hull_of_its_spheres(a, b):
    fast = np.full((SMALL.height, SMALL.width), np.inf, np.float32)
    draw_cones(np.stack([a, b]), np.array([[0, 1]]), LENS, fast)
    between = np.linspace(0, 1, 400)[:, None]
    agree(fast, sphere_depth(a + between * (b - a), SMALL), 0.02)


@settings(max_examples=30, deadline=None)
@given(ball, ball, ball)
def test_round_triangle_is_the_hull_of_its_spheres(a, b, c):
    fast = np.full((SMALL.height, SMALL.width), np.inf, np.float32)
    spheres = np.stack([a, b, c])
    draw_cones(spheres, np.array([[0, 1], [1, 2], [0, 2]]), LENS, fast)
    draw_triangles(spheres, np.array([[0, 1, 2]]), LENS, fast)
    s, t = np.meshgrid(np.linspace(0, 1, 45), np.linspace(0, 1, 45))
    s, t = s[s + t <= 1][:, None], t[s + t <= 1][:, None]
    agree(fast, sphere_depth(a + s * (b - a) + t * (c - a), SMALL), 0.15)


def test_sphere_seen_head_on_is_a_radius_nearer_than_its_centre():
    depth = np.full((240, 320), np.inf, np.float32)
    draw_cones(
        np.array([[0, 0, 300, 20.0], [0, 0, 300, 20.0]]), np.array([[0, 1]]), (241.42, 241.42, 160, 120), depth
    )
    assert depth[120, 160] == pytest.approx(280)
    # Its silhouette: a ray is tangent where sin(angle) = r / z.
    reach = math.tan(math.asin(20 / 300)) * 241.42
    assert np.isfinite(depth[120]).sum() == 2 * math.floor(reach) + 1


# --- flesh -----------------------------------------------------------------------------------------------------


def assert_joints_in_flesh(joints, depth, radii):
    uvd = CAMERA.project(joints)
    col, row = np.rint(uvd[:, 0]).astype(int), np.rint(uvd[:, 1]).astype(int)
    inside = (col >= 0) & (col < 320) & (row >= 0) & (row < 240)
    surface = depth[row[inside], col[inside]]
    assert (surface > 0).all()
    # A joint is the centre of a sphere of flesh: half a pixel beside it, the surface is still in front of it.
    assert (surface <= joints[inside, 2] - 0.85 * radii[inside]).all()


@pytest.mark.parametrize("family", hand.FAMILIES)
def test_joints_lie_inside_the_flesh(family):
    rng = np.random.default_rng(11)
    for _ in range(10):
        joints = placed(hand.random_angles(family, rng), hand.random_rotation(rng))
        assert_joints_in_flesh(joints, render_hand(joints, CAMERA), joint_radii(joints))


def test_joints_lie_inside_the_flesh_of_all_real_poses(real_poses):
    for joints in real_poses[::4]:
        depth = render_hand(joints, CAMERA)
        assert_joints_in_flesh(joints, depth, joint_radii(joints))
        assert 1500 < np.count_nonzero(depth) < 25000


def test_palm_is_full_and_flat():
    joints = placed(hand.family_angles("open"))
    depth = render_hand(joints, CAMERA)
    corners = CAMERA.project(joints[[0, 1, 5, 9, 13]])[:, :2]
    rows, cols = np.mgrid[:240, :320]
    inside = np.ones(rows.shape, bool)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        side = (b[0] - a[0]) * (rows - a[1]) - (b[1] - a[1]) * (cols - a[0])
        inside &= side <= 0
    assert inside.sum() > 700
    assert (depth[inside] > 0).all()
    thickness = joints[[0, 1, 5, 9, 13], 2].mean() - depth[inside]
    assert thickness.min() > 5
    assert thickness.max() < 30


def test_back_of_a_fist_hides_the_fingertips():
    joints = placed(hand.family_angles("fist"), UPRIGHT @ np.diag([-1.0, 1.0, -1.0]))
    depth = render_hand(joints, CAMERA)
    tips = joints[[4, 8, 12, 16]]
    uvd = np.rint(CAMERA.project(tips)).astype(int)
    # More than twice its own radius in front of a tip: something else is seen there.
    assert (tips[:, 2] - depth[uvd[:, 1], uvd[:, 0]] > 2 * 6.1).all()


def test_flesh_grows_with_the_hand_and_follows_radii_asked_for():
    joints = placed(hand.family_angles("open"))
    np.testing.assert_allclose(joint_radii(joints), hand.mean_shape().radii)
    np.testing.assert_allclose(joint_radii(joints * 1.1), hand.mean_shape().radii * 1.1)
    thin, thick = (render_hand(joints, CAMERA, radii=np.full(21, r)) for r in (4.0, 8.0))
    assert np.count_nonzero(thin) < np.count_nonzero(thick)
    assert (thin[thin > 0] >= thick[thin > 0] - 1e-3).all()


def test_hand_behind_the_camera_is_not_seen():
    joints = placed(hand.family_angles("open"), z=-300.0)
    assert not render_hand(joints, CAMERA).any()


@pytest.mark.parametrize(
    ("joints", "radii", "message"),
    [
        (np.zeros((20, 3)), None, "21 finite joints"),
        (np.full((21, 3), np.nan), None, "21 finite joints"),
        (np.zeros((21, 3)), None, "21 positive numbers"),  # all in one place: no size to fit flesh to
        (placed(np.zeros(16)), np.zeros(21), "21 positive numbers"),
        (placed(np.zeros(16)), np.ones(20), "21 positive numbers"),
    ],
)
def test_flesh_refuses_what_is_no_hand(joints, radii, message):
    with pytest.raises(UsageError, match=message):
        build_flesh(joints, radii)


# --- the sensor ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("z", "noise"), [(300.0, 0.5), (600.0, 2.0)])
def test_noise_grows_with_the_square_of_the_distance(z, noise):
    wall = np.full((200, 200), z, np.float32)
    seen = Sensor(step_mm=0, edge_loss=0, loss=0).apply(wall, np.random.default_rng(1))
    assert (seen - wall).std() == pytest.approx(noise, rel=0.03)
    assert (seen - wall).mean() == pytest.approx(0, abs=0.03)


def test_steps_and_losses_are_those_asked_for():
    depth = render_hand(placed(hand.family_angles("open")), CAMERA)
    seen = Sensor(step_mm=0.5).apply(depth, np.random.default_rng(2))
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen * 2, np.rint(seen * 2))
    assert not seen[depth == 0].any()

    wall = np.full((300, 300), 400, np.float32)
    seen = Sensor(edge_loss=0.25, loss=0.02).apply(wall, np.random.default_rng(3))
    assert (seen[1:-1, 1:-1] == 0).mean() == pytest.approx(0.02, abs=0.004)
    border = np.concatenate([seen[0], seen[-1], seen[1:-1, 0], seen[1:-1, -1]])
    assert (border == 0).mean() == pytest.approx(0.25, abs=0.05)
    wall[:, 150:] = 430  # a jump of more than 15 mm in the middle
    seen = Sensor(edge_loss=1, loss=0, noise_mm=0).apply(wall, np.random.default_rng(3))
    assert not seen[:, 149:151].any()
    assert (seen[1:-1, 1:149] == 400).all()
    assert (seen[1:-1, 151:-1] == 430).all()


def test_same_generator_state_same_image_and_input_left_alone():
    depth = render_hand(placed(hand.family_angles("fist")), CAMERA)
    before = depth.copy()
    a, b = (Sensor().apply(depth, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(depth, before)
    assert (Sensor().apply(depth, np.random.default_rng(6)) != a).any()


def test_empty_image_stays_empty():
    assert not Sensor().apply(np.zeros((24, 32), np.float32), np.random.default_rng(0)).any()


def test_sensor_without_randomness_and_impossible_sensors_are_refused():
    with pytest.raises(UsageError, match="rng"):
        render_hand(placed(hand.family_angles("open")), CAMERA, sensor=Sensor())
    with pytest.raises(UsageError, match="not negative"):
        Sensor(noise_mm=-1)
    with pytest.raises(UsageError, match="between 0 and 1"):
        Sensor(loss=1.5)
