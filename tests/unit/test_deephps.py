"""DeepHPS: labels in a store, training, resuming, meshes, frames that lack labels."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import StoreError, UsageError
from gmaps.skeleton import get_skeleton
from gmaps.synth.skin import hand_mesh

torch = pytest.importorskip("torch")

from gmaps.augment import Augment  # noqa: E402
from gmaps.inference import Predictor  # noqa: E402
from gmaps.nets import build_network  # noqa: E402
from gmaps.nets.hand_layer import HandLayer  # noqa: E402
from gmaps.training.collate import collate  # noqa: E402
from gmaps.training.dataset import GuidanceDataset  # noqa: E402
from gmaps.training.fit import train  # noqa: E402
from gmaps.training.log import read_log  # noqa: E402
from gmaps.training.loss import LossParams  # noqa: E402
from gmaps.training.params import TrainParams  # noqa: E402

LABELS = ("angles", "turn", "lengths", "proportions", "vertices")
SMALL = {"size": 32, "stem": (4,), "width": 4, "head": (4, 4), "hidden": 8}
SKELETON = get_skeleton("msra21")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("deephps") / "s.zarr"
    done = CliRunner().invoke(main, [
        "build", "--out", str(path), "--limit", "48", "--workers", "0", "--maps", "heatmap", "--crop-size", "64",
        "--labels", "pose,mesh", "--quiet",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    return gmaps.open_store(path)


@pytest.fixture(scope="module")
def batch(store):
    return collate(GuidanceDataset(store, (), arrays=LABELS).read_batch(list(range(8))))


def net(**weights):
    torch.manual_seed(0)
    made = build_network("deephps", SKELETON, **SMALL)
    made.weights = {**dict.fromkeys(made.weights, 0.0), "pose": 1.0, **weights}
    return made


def test_labels_of_a_store_give_its_joints_and_meshes(store, batch):
    assert set(LABELS) <= set(store.further)
    wrist = batch["joints_mm"][:, 0]
    made = HandLayer()(batch["angles"], batch["proportions"], batch["lengths"], turn=batch["turn"], shift=wrist)
    assert (made.joints - batch["joints_mm"]).abs().max() < 1e-2
    # Proportions say all of the flesh but for the thumb's root, which has no girth of its own.
    assert (made.vertices - batch["vertices"]).abs().max() < 1e-2


def test_each_term_asks_for_its_labels_alone():
    assert net().targets == ("joints",)
    assert net(vertices=1.0).targets == ("joints", "vertices")
    assert net(parameters=1.0).targets == ("joints", *LABELS[:4])
    terms = {"pose", "vertices", "parameters", "limits", "contact", "surface"}
    assert build_network("deephps", SKELETON).weights.keys() == terms


@pytest.mark.parametrize("term", ["vertices", "parameters", "limits", "contact", "surface"])
def test_every_term_pulls(term, batch):
    made = net(**{term: 1.0}).train()
    if term in ("limits", "contact"):
        with torch.no_grad():  # a hand that bends where none does
            made.branches["pose"][-1].bias[:23] = 4.0
    output = made(batch["depth"], batch["cube"])
    terms = made.loss(output, batch)
    assert set(terms) == {"pose", term}
    (gradient,) = torch.autograd.grad(terms[term], output.features)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_labels_that_are_missing_are_left_out(batch):
    made = net(vertices=1.0, parameters=1.0, surface=1.0).eval()
    some = {k: v.clone() if torch.is_tensor(v) else v for k, v in batch.items()}
    for name in LABELS:
        some[name][3:] = torch.nan
    some["joints"][6:] = torch.nan
    output = made(some["depth"], some["cube"])
    terms = made.loss(output, some)
    few = {k: v[:3] for k, v in batch.items() if torch.is_tensor(v)}
    want = made.loss(made(few["depth"], few["cube"]), few)
    for term in ("vertices", "parameters"):
        torch.testing.assert_close(terms[term], want[term])
    few = {k: v[:6] for k, v in batch.items() if torch.is_tensor(v)}
    torch.testing.assert_close(terms["pose"], made.loss(made(few["depth"], few["cube"]), few)["pose"])
    gradients = torch.autograd.grad(sum(terms.values()), list(made.parameters()), allow_unused=True)
    assert all(torch.isfinite(g).all() for g in gradients if g is not None)
    # Nothing known at all: the pixels alone pull.
    for name in ("joints", *LABELS):
        some[name][:] = torch.nan
    terms = made.loss(made(some["depth"], some["cube"]), some)
    assert terms["pose"] == terms["vertices"] == terms["parameters"] == 0
    assert terms["surface"] > 0


def test_the_true_hand_costs_nothing_also_when_augmented(store):
    augment = Augment.parse("rotation=90,scale=0.1,translation=10", 3)
    data = GuidanceDataset(store, (), arrays=LABELS, augment=augment)
    some = collate(data.read_batch(list(range(8))))
    made = net(vertices=1.0, parameters=1.0, surface=1.0)
    output = made(some["depth"], some["cube"])
    back = some["undo"].transpose(-1, -2)
    from gmaps.nets import quaternions

    turn = quaternions.product(quaternions.from_matrix(back), some["turn"])
    truth = output._replace(
        joints=some["joints"], angles=some["angles"], turn=turn, wrist=some["joints_mm"][:, 0],
        lengths=some["lengths"], proportions=some["proportions"],
    )  # fmt: skip
    terms = made.loss(truth, some)
    assert terms["pose"] == 0
    assert terms["vertices"] < 1e-4
    assert terms["parameters"] < 1e-4
    assert terms["surface"] < 0.02  # noise of the sensor, flying pixels
    wrong = made.loss(truth._replace(wrist=truth.wrist + 20), some)
    assert wrong["surface"] > 2 * terms["surface"]


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_pixels_lie_on_the_mesh_in_either_projection(projection, tmp_path):
    gmaps.build("synthetic", tmp_path / "s.zarr", limit=6, workers=0, maps=("heatmap",), crop_size=64, progress=False,
                projection=projection, dataset_options={"arrays": "mesh", "sensor": "none"})  # fmt: skip
    some = collate(
        GuidanceDataset(gmaps.open_store(tmp_path / "s.zarr"), (), arrays=("vertices",)).read_batch([0, 1, 4])
    )
    right = build_network("deephps", SKELETON, **SMALL, projection=projection)
    other = {"orthographic": "perspective", "perspective": "orthographic"}[projection]
    wrong = build_network("deephps", SKELETON, **SMALL, projection=other)
    depth = some["depth"]
    off = [n._surface(some["vertices"], depth, some["cube"]).item() for n in (right, wrong)]
    assert off[0] < 0.004
    assert off[1] > 2 * off[0]


def test_trained_resumed_and_predicted(store, tmp_path):
    how = {"batch": 8, "workers": 0, "validation": "0.2", "lr": 3e-3, "loss": LossParams(weights={"surface": 0.1})}
    from gmaps.nets.registry import NamedNetwork

    recipe = NamedNetwork("deephps", SMALL)
    ended = train(
        store, tmp_path / "a", recipe, TrainParams(epochs=2, **how), device="cpu", progress=False, log_steps=1
    )
    assert ended.step == 8
    train(store, tmp_path / "b", recipe, TrainParams(epochs=1, **how), device="cpu", progress=False, log_steps=1)
    train(store, tmp_path / "b", recipe, TrainParams(epochs=2, **how), device="cpu", progress=False, log_steps=1)
    predictors = [Predictor(tmp_path / run / "last.pt", device="cpu") for run in "ab"]
    joints = [p.store(store).joints for p in predictors]
    np.testing.assert_array_equal(*joints)
    assert {"vertices", "parameters", "surface"} <= set(read_log(tmp_path / "a" / "log.csv")[0])
    crops = [store[i].crop for i in range(3)]
    meshes = predictors[0].meshes(crops)
    assert meshes.shape == (3, 2440, 3)
    tips = [np.sqrt(((meshes - joints[0][:3, [j]]) ** 2).sum(-1)).min(1) for j in (4, 8, 12, 16, 20)]
    assert np.max(tips) < 15  # the mesh is around the joints
    np.testing.assert_array_equal(predictors[0].triangles, hand_mesh().triangles)


def test_predict_writes_a_mesh(store, tmp_path):
    train(store, tmp_path / "run", "deephps", TrainParams(epochs=1, batch=24, workers=0, validation="0.2"),
          device="cpu", progress=False)  # fmt: skip
    data = gmaps.load_dataset("synthetic")
    np.save(tmp_path / "d.npy", data.read(3).depth)
    c = data.camera
    done = CliRunner().invoke(main, [
        "predict", "--checkpoint", str(tmp_path / "run"), "--frame", str(tmp_path / "d.npy"), "--range", "100,700",
        "--camera", f"{c.fx},{c.fy},{c.cx},{c.cy}", "--mesh", str(tmp_path / "m.ply"),
        "--save", str(tmp_path / "m.png"),
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    head, _, body = (tmp_path / "m.ply").read_bytes().partition(b"end_header\n")
    assert b"element vertex 2440" in head
    vertices = np.frombuffer(body, "<f4", 3 * 2440).reshape(-1, 3)
    assert np.abs(vertices.mean(0) - data.read(3).joints.mean(0)).max() < 150


def test_a_mesh_is_drawn_over_its_depth(tmp_path):
    from matplotlib.collections import PolyCollection

    from gmaps.plot.mesh_layer import draw_mesh
    from gmaps.plot.overlay import frame_figure

    data = gmaps.load_dataset("synthetic", sensor="none")
    frame = data.read(3)
    vertices, triangles = data.mesh(3)
    figure = frame_figure(frame, data.skeleton, mesh=(vertices, triangles))
    (faces,) = (drawn for drawn in figure.axes[1].collections if isinstance(drawn, PolyCollection))
    # Half of a closed surface looks at the camera, and lies where it sees the hand, but for pixels of the rim.
    assert 0.3 < len(faces.get_paths()) / len(triangles) < 0.7

    def on_the_hand(drawn):
        middle = np.array([path.vertices[:3].mean(0) for path in drawn.get_paths()]).round().astype(int)
        return (frame.depth[middle[:, 1], middle[:, 0]] > 0).mean()

    assert on_the_hand(faces) > 0.95
    draw_mesh(figure.axes[0], data.camera, vertices + np.array([15.0, 0, 0]), triangles)
    (away,) = (drawn for drawn in figure.axes[0].collections if isinstance(drawn, PolyCollection))
    assert on_the_hand(away) < 0.85
    assert draw_mesh(figure.axes[0], data.camera, vertices * [1, 1, -1], triangles) == 0


def test_what_cannot_be_is_told(store, tmp_path):
    gmaps.build("synthetic", tmp_path / "plain.zarr", limit=12, workers=0, maps=("heatmap",), crop_size=32,
                progress=False)  # fmt: skip
    plain = gmaps.open_store(tmp_path / "plain.zarr")
    params = TrainParams(epochs=1, batch=4, workers=0)
    with pytest.raises(StoreError, match="vertices"):
        train(plain, tmp_path / "x", "deephps", params, device="cpu", progress=False)
    alone = TrainParams(epochs=1, batch=4, workers=0, loss=LossParams(weights={"vertices": 0, "parameters": 0}))
    from gmaps.nets.registry import NamedNetwork

    train(plain, tmp_path / "y", NamedNetwork("deephps", SMALL), alone, device="cpu", progress=False)
    with pytest.raises(UsageError, match="stand in"):
        build_network("deephps", get_skeleton("icvl16"))
    for bad in ({"size": 100}, {"width": 6}, {"projection": "oblique"}, {"dropout": 1.0}):
        with pytest.raises(UsageError):
            build_network("deephps", SKELETON, **bad)
    with pytest.raises(UsageError, match="gives no mesh"):
        build_network("baseline", SKELETON).mesh(None)
    done = CliRunner().invoke(main, ["build", "--labels", "colour", "--out", str(tmp_path / "z.zarr")])
    assert done.exit_code == 2
    assert "mesh, pose" in done.output
