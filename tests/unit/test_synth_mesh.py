"""The hand's surface: closed, whole, carried by its bones without bleeding, tearing or collapsing."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.synth import hand, poses, skin, turns
from tests.reference import handmesh

MESH = skin.hand_mesh()
WEIGHTS = MESH.weights.toarray()
MEAN = hand.mean_shape()
REST_JOINTS, REST = skin.shape_rest(MEAN.roots[None], MEAN.lengths[None], MEAN.girth[None])


def surface(angles, shape=MEAN):
    rest = skin.shape_rest(shape.roots[None], shape.lengths[None], shape.girth[None])
    return skin.skin(hand.pose_hand(shape.roots, shape.lengths, np.atleast_2d(angles)), *rest)


def volume(vertices):
    a, b, c = (vertices[..., MESH.triangles[:, k], :] for k in range(3))
    return (np.cross(a, b) * c).sum((-1, -2)) / 6


def test_one_closed_surface_without_handles():
    edges = np.concatenate([MESH.triangles[:, [0, 1]], MESH.triangles[:, [1, 2]], MESH.triangles[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)  # consistently oriented
    both, count = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert (count == 2).all()  # each edge is shared by exactly two triangles
    vertices = len(MESH.vertices)
    assert vertices - len(both) + len(MESH.triangles) == 2  # Euler: a sphere
    assert len(np.unique(MESH.triangles)) == vertices
    assert 1000 <= vertices <= 3000
    reached, border = {0}, [0]  # one piece
    near: dict[int, list[int]] = {}
    for a, b in edges:
        near.setdefault(int(a), []).append(int(b))
    while border:
        border = [b for a in border for b in near[a] if b not in reached and not reached.add(b)]
    assert len(reached) == vertices
    # Each vertex has one fan: its neighbours form one ring.
    assert (np.bincount(edges[:, 0], minlength=vertices) == [len(set(near[i])) for i in range(vertices)]).all()


def test_outside_is_outside_and_a_hand_has_a_hands_volume():
    assert 300e3 < volume(MESH.vertices) < 450e3  # mm^3: hand and wrist
    middle = MESH.vertices[MESH.vertex_labels == 1 + skin.PARTS.index("forearm")].mean(axis=0)
    a, b, c = MESH.vertices[MESH.triangles[MESH.labels == 7]].transpose(1, 0, 2)
    outward = (np.cross(b - a, c - a) * ((a + b + c) / 3 - middle)).sum(-1)
    assert (outward > 0).mean() > 0.97


def test_weights_are_shares_of_at_most_four_bones():
    np.testing.assert_allclose(WEIGHTS.sum(axis=1), 1, atol=1e-12)
    assert WEIGHTS.min() >= 0
    assert ((WEIGHTS > 0).sum(axis=1) <= 4).all()
    assert (WEIGHTS.max(axis=0) > 0.65).all()  # each bone has flesh of its own


def test_fingers_do_not_move_each_other():
    own = [WEIGHTS[:, 5 + 3 * f : 8 + 3 * f].sum(axis=1) for f in range(5)]
    for f in range(5):
        beyond = WEIGHTS[:, 6 + 3 * f : 8 + 3 * f].sum(axis=1) > 0.5  # past the first joint, so past the web
        assert beyond.sum() > 60
        for other in range(5):
            if other != f:
                assert own[other][beyond].max() == 0
    # A finger that bends leaves all others where they were, but for the web.
    for f in range(4):
        angles = hand.REST_ANGLES.copy()
        angles[3 + 4 * f : 6 + 4 * f] += 60, 60, 40
        moved = np.linalg.norm(surface(angles)[0] - REST[0], axis=1)
        for other in range(5):
            if other != f:
                assert moved[own[other] > 0.9999].max() < 1e-6


def test_rest_is_rest_and_the_mean_hand_is_the_mesh():
    np.testing.assert_allclose(REST[0], MESH.vertices, atol=1e-9)
    np.testing.assert_allclose(surface(hand.REST_ANGLES)[0], MESH.vertices, atol=1e-9)


def test_skin_is_that_of_the_slow_twin():
    rng = np.random.default_rng(1)
    shape = poses.random_shape(rng)
    rest = skin.shape_rest(shape.roots[None], shape.lengths[None], shape.girth[None])
    pose = hand.pose_hand(shape.roots, shape.lengths, np.stack([poses.random_angles(f, rng) for f in poses.FAMILIES]))
    pose = hand.place_pose(pose, turns.unit(rng.normal(size=(len(pose.joints), 4))), rng.normal(0, 200, (1, 3)))
    fast = skin.skin(pose, *rest)
    for b in range(len(fast)):
        for i in rng.integers(len(MESH.vertices), size=6):
            slow = handmesh.skin_vertex(pose, b, WEIGHTS[i], rest[0][0], rest[1][0, i])
            np.testing.assert_allclose(fast[b, i], slow, atol=1e-9)


def test_batch_of_people_is_each_by_oneself():
    rng = np.random.default_rng(2)
    people = [poses.random_shape(rng) for _ in range(3)]
    angles = np.stack([poses.random_angles("free", rng) for _ in people])
    stacked = [np.stack([getattr(p, k) for p in people]) for k in ("roots", "lengths", "girth")]
    together = skin.skin(hand.pose_hand(*stacked[:2], angles), *skin.shape_rest(*stacked))
    for k, person in enumerate(people):
        np.testing.assert_allclose(together[k], surface(angles[k], person)[0], atol=1e-9)


def test_shape_parameters_reach_the_skin():
    def extent(name, by):
        shape = poses.make_shape(np.where(np.array(poses.SHAPES) == name, by, 1.0))
        v = skin.shape_rest(shape.roots[None], shape.lengths[None], shape.girth[None])[1][0]
        middle = v[WEIGHTS[:, 9] > 0.9]  # the middle finger's middle bone
        palm = v[(MESH.vertex_labels == 6) & (v[:, 1] > 30)]
        return volume(v), v[:, 1].max(), np.ptp(middle[:, 0]), np.ptp(palm[:, 0]), np.ptp(palm[:, 2])

    base = extent("size", 1.0)
    assert extent("size", 1.1)[0] == pytest.approx(1.1**3 * base[0], rel=1e-6)
    assert extent("finger_length", 1.1)[1] > base[1] + 6
    assert extent("finger_thickness", 1.1)[2] == pytest.approx(1.1 * base[2], rel=0.04)
    assert extent("palm_width", 1.1)[3] > 1.06 * base[3]
    assert extent("palm_thickness", 1.1)[4] > 1.05 * base[4]
    assert extent("mass", 1.1)[0] > 1.1 * base[0]
    assert extent("palm_length", 1.1)[1] > base[1] + 5


def test_bends_keep_their_volume_and_no_edge_tears():
    """No candy wrappers: full bends and twists change the volume by little, and stretch no edge beyond reason."""
    edges = np.concatenate([MESH.triangles[:, [0, 1]], MESH.triangles[:, [1, 2]]])
    before = np.linalg.norm(np.diff(REST[0][edges], axis=1)[:, 0], axis=1)
    for family in poses.FAMILIES[:-1]:
        for wrist in ((0, 0), (-50, 15), (50, -15)):
            angles = poses.family_angles(family)
            angles[:2] = wrist
            v = surface(angles)[0]
            assert volume(v) == pytest.approx(volume(REST[0]), rel=0.06)
            stretch = np.linalg.norm(np.diff(v[edges], axis=1)[:, 0], axis=1) / before
            assert np.percentile(stretch, 99) < 2.2
            assert stretch.max() < 3.5


def test_joints_stay_inside_their_own_flesh_and_out_of_others():
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(4)
    near = []
    for family in poses.FAMILIES:
        for _ in range(4):
            shape = poses.random_shape(rng)
            angles, pose = poses.random_pose(family, shape, rng)
            v = surface(angles, shape)[0]
            for k in range(5):
                own = MESH.vertex_labels == 1 + k
                joints = [4 + 4 * k, 3 + 4 * k]
                gap = cKDTree(v[own]).query(pose.joints[0][joints])[0] / shape.radii[joints]
                assert (gap > 0.45).all()
                assert (gap < 2.0).all()
                near.append(cKDTree(v[~own]).query(pose.joints[0][4 + 4 * k])[0] / shape.radii[4 + 4 * k])
    # A curled tip presses into the palm, whose flesh is thicker in places than the capsules that keep it out.
    assert min(near) > 0.1
    assert np.mean(np.array(near) < 0.45) < 0.02


def test_parts_lie_where_they_are_called():
    for f, finger in enumerate(hand.FINGERS):
        assert skin.PARTS[f] == finger
        own = MESH.vertices[MESH.vertex_labels == 1 + f]
        tip = hand.REST.joints[0, 4 + 4 * f]
        assert np.linalg.norm(own - tip, axis=1).min() < 10
        for other in range(5):
            if other != f:
                assert np.linalg.norm(own - hand.REST.joints[0, 4 + 4 * other], axis=1).min() > 10
    assert MESH.vertices[MESH.vertex_labels == 7][:, 1].max() < 12  # the forearm ends at the wrist
    assert set(MESH.labels) == set(range(1, 8))
    # Every part is one piece: parts of triangles that share an edge, and a triangle's part is one of its corners'.
    assert (MESH.labels[:, None] == MESH.vertex_labels[MESH.triangles]).any(axis=1).mean() > 0.999


def test_flesh_of_fingers_does_not_pass_through_fingers():
    """Measured on the mesh, not on the capsules that keep poses free: vertices deep inside another finger's bones."""
    rng = np.random.default_rng(15)
    for family in poses.FAMILIES:
        shape = poses.random_shape(rng)
        angles, pose = poses.random_pose(family, shape, rng)
        v, joints, radii = surface(angles, shape)[0], pose.joints[0], shape.radii
        for f in range(5):
            tip = v[WEIGHTS[:, 7 + 3 * f] > 0.95]
            for other in range(5):
                if other == f:
                    continue
                for k in (1, 2):
                    a, b = joints[1 + 4 * other + k], joints[2 + 4 * other + k]
                    t = np.clip((tip - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
                    gap = np.linalg.norm(tip - a - t[:, None] * (b - a), axis=1)
                    thick = radii[1 + 4 * other + k] * (1 - t) + radii[2 + 4 * other + k] * t
                    assert (thick - gap).max() < 3.0


def test_mesh_follows_real_hands(real_poses):
    for joints in real_poses[::40]:
        v = skin.mesh_of_joints(joints)
        assert np.isfinite(v).all()
        gap = np.linalg.norm(v[:, None] - joints, axis=-1).min(axis=0)
        assert (gap < 30).all()
        assert (gap > 1).all()
