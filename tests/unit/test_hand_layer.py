"""The hand layer in PyTorch against its twin in NumPy: values, gradients, angles back, penalties."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.errors import UsageError
from gmaps.synth import contact, hand, poses, skin
from gmaps.synth import turns as numpy_turns

torch = pytest.importorskip("torch")

from gmaps.nets import quaternions as turns  # noqa: E402
from gmaps.nets.hand_layer import HandLayer  # noqa: E402
from gmaps.nets.hand_penalties import (  # noqa: E402
    anatomical_angles,
    contact_depth,
    contact_penalty,
    limit_penalty,
)


def random_hands(count, seed=0):
    """Poses of all families, proportions, bones of their own, and places: a batch, as NumPy has it."""
    rng = np.random.default_rng(seed)
    low, high = poses.SHAPE_LIMITS.T
    values = low + (high - low) * rng.uniform(size=(count, 8))
    shapes = [poses.make_shape(v, rng.uniform(0.9, 1.1, (5, 3))) for v in values]
    angles = np.array([poses.random_angles(poses.FAMILIES[k % 17], rng) for k in range(count)])
    turn = numpy_turns.unit(rng.normal(size=(count, 4)))
    return values, shapes, angles, turn, rng.normal(0, 300, (count, 3))


def stacked(shapes, name):
    return np.stack([getattr(s, name) for s in shapes])


def in_numpy(shapes, angles, turn, shift):
    roots, lengths, girth = (stacked(shapes, n) for n in ("roots", "lengths", "girth"))
    pose = hand.place_pose(hand.pose_hand(roots, lengths, angles), turn, shift)
    return pose, skin.skin(pose, *skin.shape_rest(roots, lengths, girth))


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_equals_numpy(dtype, limit):
    values, shapes, angles, turn, shift = random_hands(51)
    shift = shift * (1.0 if dtype == torch.float64 else 0.1)  # of float32, beyond 300 mm, 1e-4 mm are three steps
    pose, vertices = in_numpy(shapes, angles, turn, shift)

    def t(x):
        return torch.tensor(x, dtype=dtype)

    made = HandLayer(dtype)(
        t(angles), t(values), t(stacked(shapes, "lengths")), turn=torch.tensor(turn), shift=torch.tensor(shift)
    )
    assert made.joints.dtype == made.vertices.dtype == dtype
    assert np.abs(made.joints.numpy() - pose.joints).max() < limit
    assert np.abs(made.vertices.numpy() - vertices).max() < limit
    np.testing.assert_allclose(made.radii.numpy(), stacked(shapes, "radii"), rtol=1e-6)
    axes = made.transforms.numpy()
    np.testing.assert_allclose(axes[..., :3, :3], numpy_turns.matrix(pose.turns), atol=1e-6)
    np.testing.assert_allclose(axes[..., :3, 3], pose.joints[:, hand.STARTS], atol=1e-3)
    assert (axes[..., 3, :] == [0, 0, 0, 1]).all()


def test_transforms_lead_to_the_joints_at_the_bones_ends():
    layer = HandLayer(torch.float64)
    angles = torch.tensor(random_hands(17, 3)[2])
    made = layer(angles, mesh=False)
    assert made.vertices is None
    tip = torch.zeros(1, 15, 4, dtype=torch.float64)
    tip[..., 1], tip[..., 3] = torch.tensor(hand.MEAN_LENGTHS.reshape(15)), 1.0
    ends = (made.transforms[:, hand.PHALANGES] @ tip[..., None])[..., :3, 0]
    torch.testing.assert_close(ends, made.joints[:, hand.ENDS[hand.PHALANGES].tolist()])


def test_by_default_the_mean_hand_at_the_wrist():
    made = HandLayer(torch.float64)(torch.zeros(1, 23))
    pose, vertices = in_numpy([hand.mean_shape()], np.zeros((1, 23)), np.array([[1.0, 0, 0, 0]]), np.zeros((1, 3)))
    np.testing.assert_allclose(made.vertices.numpy(), vertices, atol=1e-9)
    np.testing.assert_allclose(made.joints.numpy(), pose.joints, atol=1e-9)
    assert layer_is_closed(HandLayer().triangles.numpy())


def layer_is_closed(triangles):
    edges = {(a, b) for t in triangles.tolist() for a, b in zip(t, t[1:] + t[:1], strict=True)}
    return all((b, a) in edges for a, b in edges) and len(edges) == 3 * len(triangles)


def test_gradients_of_joints_vertices_and_penalties():
    layer = HandLayer(torch.float64)
    values, shapes, angles, turn, shift = random_hands(2, 5)
    sample = torch.randn(40, 2440, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 50

    def make(a, s, n, q, w):
        made = layer(a, s, n, turn=turns.unit(q), shift=w)
        deep = contact_penalty(made.joints, made.radii)
        bent = anatomical_angles(*layer_axes(layer, a, s))
        return made.joints, sample @ made.vertices, made.transforms, made.radii, deep, limit_penalty(2 * a), bent

    inputs = [torch.tensor(x, requires_grad=True) for x in (angles, values, stacked(shapes, "lengths"), turn, shift)]
    assert torch.autograd.gradcheck(make, inputs, fast_mode=True)


def layer_axes(layer, angles, shape):
    q = layer.pose(layer.make_bones(shape), angles)[1]
    return q, q[:, 1]


def test_float32_has_gradients_of_all_that_it_takes():
    values, shapes, angles, turn, shift = random_hands(3, 6)
    inputs = [
        torch.tensor(x, dtype=torch.float32, requires_grad=True)
        for x in (angles, values, stacked(shapes, "lengths"), turn, shift)
    ]
    made = HandLayer()(*inputs[:3], turn=inputs[3], shift=inputs[4])
    (made.vertices.square().mean() + made.joints.square().mean()).backward()
    for x in inputs:
        assert x.grad.dtype == torch.float32
        assert torch.isfinite(x.grad).all()
        assert (x.grad != 0).any(dim=-1).all()


def test_angles_are_found_again():
    _, shapes, angles, turn, shift = random_hands(170, 7)
    pose, _ = in_numpy(shapes, angles, turn, shift)
    found = anatomical_angles(torch.tensor(pose.turns), torch.tensor(pose.palm)).numpy()
    # A finger at right angles to the palm turns about itself where others spread.
    upright = np.abs(np.cos(np.radians(angles[:, 3:18:4]))) < 0.06
    off = np.abs(found - angles)
    off[:, 2:18:4][upright] = 0
    assert off.max() < 1e-6


def test_limits_cost_nothing_within_and_the_square_beyond():
    middle = torch.tensor(hand.LIMITS.mean(axis=1))[None]
    assert limit_penalty(middle).item() == 0
    for k in range(23):
        for side, step in ((0, -3.0), (1, 3.0)):
            beyond = middle.clone()
            beyond[0, k] = hand.LIMITS[k, side] + step
            assert limit_penalty(beyond).item() == pytest.approx(9.0)


def test_contact_equals_numpy_and_opens_a_hand_that_passes_through_itself():
    values, shapes, angles, _, _ = random_hands(34, 9)
    layer = HandLayer(torch.float64)
    made = layer(torch.tensor(angles), torch.tensor(values), torch.tensor(stacked(shapes, "lengths")), mesh=False)
    deep = contact_depth(made.joints, made.radii).numpy()
    for k, shape in enumerate(shapes):
        want = contact.contacts(made.joints.numpy()[k : k + 1], shape.radii).depth[0]
        np.testing.assert_allclose(deep[k], want, atol=1e-9)
    # Little finger across the others: by the gradient alone it comes out.
    pose = torch.tensor(poses.family_angles("open"))
    pose[14], pose[15] = 40.0, 5.0
    pose = pose[None].clone().requires_grad_(True)
    optimizer = torch.optim.Adam([pose], lr=1.0)
    penalties = []
    for _ in range(60):
        made = layer(pose, mesh=False)
        penalty = contact_penalty(made.joints, made.radii).sum()
        optimizer.zero_grad()
        if penalty.item() > 0:
            penalty.backward()
            optimizer.step()
        penalties.append(penalty.item())
    assert penalties[0] > 10
    assert penalties[-1] < 1


def test_turns_follow_their_namesakes():
    rng = np.random.default_rng(2)
    q, p = numpy_turns.unit(rng.normal(size=(2, 50, 4)))
    v = rng.normal(size=(50, 3))
    tq, tp, tv = (torch.tensor(x) for x in (q, p, v))
    pairs = [
        (turns.product(tq, tp), numpy_turns.product(q, p)), (turns.inverse(tq), numpy_turns.inverse(q)),
        (turns.matrix(tq), numpy_turns.matrix(q)), (turns.along(tq), numpy_turns.along(q)),
        (turns.apply(tq, tv), numpy_turns.apply(q, v)), (turns.unit(tv), numpy_turns.unit(v)),
        (turns.between(turns.unit(tv), turns.along(tq)),
         numpy_turns.between(numpy_turns.unit(v), numpy_turns.along(q))),
        (turns.from_matrix(turns.matrix(tq)), numpy_turns.from_matrix(numpy_turns.matrix(q))),
        *((turns.about(k, tv[:, 0]), numpy_turns.about(k, v[:, 0])) for k in range(3)),
    ]  # fmt: skip
    for found, want in pairs:
        np.testing.assert_allclose(found.numpy(), want, atol=1e-12)
    halves = torch.zeros(3, 3, dtype=torch.float64)
    halves[1, 0], halves[2, 1] = 1e-6, torch.pi
    want = torch.stack(
        [turns.about(0, halves[:2, 0])[0], turns.about(0, halves[:2, 0])[1], turns.about(1, halves[2, 1])]
    )
    torch.testing.assert_close(turns.from_vector(halves), want)
    six = torch.cat([turns.matrix(tq)[..., 0] * 3, turns.matrix(tq)[..., 1] + turns.matrix(tq)[..., 0]], dim=-1)
    torch.testing.assert_close(turns.matrix(turns.from_two_columns(six)), turns.matrix(tq))


@pytest.mark.parametrize("change", [{"pose": (2, 22)}, {"pose": (23,)}, {"shape": (2, 7)}])
def test_other_numbers_are_refused(change):
    sizes = {"pose": (2, 23), "shape": (2, 8)} | change
    with pytest.raises(UsageError, match=r"\(B, (23|8)\)"):
        HandLayer()(torch.zeros(sizes["pose"]), torch.ones(sizes["shape"]))
