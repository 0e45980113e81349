"""Losses against plain loops: masks, units, weights, gradients."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.errors import UsageError

torch = pytest.importorskip("torch")

from gmaps.nets.handmap import HandMap, Prediction, model_params  # noqa: E402
from gmaps.skeleton import get_skeleton  # noqa: E402
from gmaps.training import loss as module  # noqa: E402
from gmaps.training.loss import (  # noqa: E402
    LossParams,
    gradient_norms,
    map_loss,
    map_losses,
    map_mask,
    pose_loss,
    weighted,
)


def smooth(d: float) -> float:
    return 0.5 * d * d if abs(d) < 1 else abs(d) - 0.5


def made(channels: int = 3, size: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    silhouette = rng.random((2, 1, size, size)) < 0.5
    target = rng.random((2, channels, size, size)).astype(np.float32) * silhouette
    predicted = rng.normal(size=(2, channels, size, size)).astype(np.float32) * 2
    return torch.from_numpy(predicted), torch.from_numpy(target), torch.from_numpy(silhouette)


@pytest.mark.parametrize("kind", ["geodesic", "offset", "heatmap"])
def test_map_loss_against_a_loop(kind):
    predicted, target, silhouette = made()
    values = []
    for b, c, r, q in np.ndindex(*predicted.shape):
        if kind == "heatmap" or silhouette[b, 0, r, q]:
            values.append(smooth(float(predicted[b, c, r, q] - target[b, c, r, q])))
    assert map_loss(kind, predicted, target, silhouette).item() == pytest.approx(np.mean(values), rel=1e-5)


def test_the_void_has_no_gradient():
    predicted, target, silhouette = made()
    predicted.requires_grad_()
    map_loss("geodesic", predicted, target, silhouette).backward()
    void = ~silhouette.expand_as(predicted)
    assert (predicted.grad[void] == 0).all()
    assert (predicted.grad[~void] != 0).all()


def test_without_a_hand_the_loss_is_zero():
    predicted, target, silhouette = made()
    assert map_loss("geodesic", predicted, target * 0, silhouette & False).item() == 0


def test_a_coarser_prediction_meets_the_mean_of_the_hand_cells():
    target = torch.zeros(1, 1, 4, 4)
    silhouette = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    target[0, 0, 0, :2] = torch.tensor([0.2, 0.6])
    silhouette[0, 0, 0, :2] = True
    predicted = torch.full((1, 1, 2, 2), 0.4)
    assert map_loss("geodesic", predicted, target, silhouette).item() == pytest.approx(0, abs=1e-12)
    predicted[0, 0, 0, 0] = 0.5
    assert map_loss("geodesic", predicted, target, silhouette).item() == pytest.approx(0.005)


def test_each_view_has_its_own_mask():
    target = torch.zeros(1, 6, 2, 2)
    target[0, 0, 0, 0] = target[0, 3, 1, 1] = 1
    mask = map_mask("views_geodesic", target)
    assert mask.shape == target.shape
    assert mask[0, :2, 0, 0].tolist() == [1, 1]
    assert mask[0, 2:4, 1, 1].tolist() == [1, 1]
    assert mask.sum() == 4


def test_voxel_joints_are_chosen_among():
    target = torch.zeros(2, 3, 2, 2, 2)
    target.flatten(2)[:, :, 5] = 1
    predicted = torch.zeros_like(target)
    assert map_loss("voxel_joint", predicted, target).item() == pytest.approx(np.log(8), rel=1e-6)
    predicted.flatten(2)[:, :, 5] = 50
    assert map_loss("voxel_joint", predicted, target).item() == pytest.approx(0, abs=1e-6)


def test_maps_in_mm_are_divided_by_the_half_side():
    batch = {"maps": {"signed_edt": torch.full((2, 1, 4, 4), 60.0)}, "cube": torch.tensor([[0, 0, 400, 120.0]] * 2)}
    stages = [{"signed_edt": torch.full((2, 1, 4, 4), 0.5)}] * 2
    assert map_losses(stages, batch).item() == 0


def test_stages_and_kinds_add_up():
    predicted, target, silhouette = made()
    batch = {"maps": {"geodesic": target, "euclidean": target}, "silhouette": silhouette}
    one = map_loss("geodesic", predicted, target, silhouette)
    stages = [{"geodesic": predicted, "euclidean": predicted}] * 3
    assert map_losses(stages, batch).item() == pytest.approx(6 * one.item(), rel=1e-6)
    with pytest.raises(UsageError, match="no map 'offset', only geodesic, euclidean"):
        map_losses([{"offset": predicted}], batch)


@pytest.mark.parametrize("kind", ["l1", "smooth_l1", "l2"])
def test_pose_loss(kind):
    d = torch.tensor([[[0.3, -0.01, 0.0]]])
    each = {
        "l1": [0.3, 0.01, 0],
        "smooth_l1": [0.3 - module.BETA / 2, 0.5 * 0.01**2 / module.BETA, 0],
        "l2": [0.5 * 0.09, 0.5 * 1e-4, 0],
    }[kind]
    assert pose_loss(d, torch.zeros_like(d), kind).item() == pytest.approx(np.mean(each), rel=1e-5)


def test_weights_and_gradient_norms():
    torch.manual_seed(0)
    shared = torch.rand(2, 3, 4, 4, requires_grad=True)
    _, target, silhouette = made()
    batch = {"maps": {"geodesic": target}, "silhouette": silhouette, "joints": torch.zeros(2, 1, 3)}
    found = Prediction(shared.mean((2, 3))[:, None], [{"geodesic": shared * 2}], shared)
    net = HandMap(model_params("geodesic", size=32, stem=(4,), width=4, head=(4,), hidden=8), get_skeleton("msra21"))
    assert net.targets == ("joints", "maps/geodesic")
    weights = LossParams(map_weight=0.25, pose_weight=2.0).of(net.weights)
    assert weights == {"pose": 2.0, "maps": 0.25}
    terms = net.loss(found, batch)
    total = weighted(terms, weights)
    assert total.item() == pytest.approx(2 * terms["pose"].item() + 0.25 * terms["maps"].item(), rel=1e-6)
    norms = gradient_norms(terms, weights, shared)
    # d mean|x| / d shared is 1/6 of a mean over 16 cells, everywhere.
    assert norms["pose"] == pytest.approx(2 * np.sqrt(96) / (6 * 16), rel=1e-5)
    (expected,) = torch.autograd.grad(terms["maps"], shared, retain_graph=True)
    assert norms["maps"] == pytest.approx(0.25 * expected.norm().item(), rel=1e-5)
    net.weights = LossParams(map_weight=0).of(net.weights)
    assert net.targets == ("joints",)
    off = net.loss(found, {"joints": batch["joints"]})
    assert list(off) == ["pose"]
    assert gradient_norms(off, net.weights, shared).get("maps", 0) == 0
    total.backward()


def test_weights_of_a_network_unless_the_user_says_otherwise():
    own = {"pose": 1.0, "kl": 0.1}
    assert LossParams().of(own) == own
    assert LossParams(map_weight=3.0).of(own) == own
    assert LossParams(weights={"kl": 2}).of(own) == {"pose": 1.0, "kl": 2.0}
    with pytest.raises(UsageError, match="no term 'lk', only pose, kl"):
        LossParams(weights={"lk": 2}).of(own)
    with pytest.raises(UsageError, match="weigh 0"):
        LossParams(pose_weight=0).of({"pose": 1.0})
    with pytest.raises(UsageError, match="gives pose, kl, its weights are of pose"):
        weighted({"pose": torch.zeros(()), "kl": torch.zeros(())}, {"pose": 1.0})


@pytest.mark.parametrize("weights", [(-1, 1), (0, 0), (float("nan"), 1)])
def test_bad_weights(weights):
    with pytest.raises(UsageError, match="weights"):
        LossParams(*weights)
