"""Pose machines with and without structure: their stages, losses, schedules, and whole runs from the command line."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import StoreError, UsageError
from gmaps.skeleton import get_skeleton

torch = pytest.importorskip("torch")

from gmaps.inference import Predictor  # noqa: E402
from gmaps.nets import build_network  # noqa: E402
from gmaps.nets.pose_machine import FINGERS, LAMBDA, Stages  # noqa: E402
from gmaps.nets.registry import NamedNetwork  # noqa: E402
from gmaps.nets.trunks import vgg19  # noqa: E402
from gmaps.training import GuidanceDataset, collate  # noqa: E402
from gmaps.training.fit import train  # noqa: E402
from gmaps.training.log import read_log  # noqa: E402
from gmaps.training.params import TrainParams  # noqa: E402

SKELETON = get_skeleton("msra21")
SMALL = {"trunk": "handmap", "size": 32, "width": 8, "kernel": 3}
KINDS = ("heatmap", "limb_lpm_g1", "limb_lpm_g6", "limb_ldm_g6")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("nsrm") / "hands.zarr"
    return gmaps.build("synthetic", out, KINDS, limit=24, workers=0, map_size=8, crop_size=32, progress=False).path


def batch_of(store):
    data = GuidanceDataset(store, KINDS)
    return collate([data[k] for k in range(4)])


def run(*words):
    done = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize(
    ("model", "params", "limbs", "keypoints"),
    [
        ("cpm", {}, [], 6),
        ("nsrm", {}, [7, 7, 7], 3),
        ("nsrm", {"groups": "g1"}, [1, 1, 1], 3),
        ("nsrm", {"groups": "g6", "mask": "ldm"}, [6, 6, 6], 3),
        ("nsrm", {"stages": 4}, [7, 7], 2),
    ],
)
def test_stages_are_as_published(model, params, limbs, keypoints):
    net = build_network(model, SKELETON, **SMALL, **params)
    found = net(torch.ones(2, 1, 32, 32))
    assert [m.shape for m in found.limbs] == [(2, n, 8, 8) for n in limbs]
    assert [m.shape for m in found.keypoints] == [(2, 21, 8, 8)] * keypoints
    again = build_network(net.origin[0], SKELETON, **net.origin[1])
    assert again.state_dict().keys() == net.state_dict().keys()


def test_the_last_stages_see_features_structure_and_what_came_before():
    net = build_network("nsrm", SKELETON, **SMALL)
    seen = [stage[0][0].in_channels for stage in net.stages]
    assert seen == [8, 8 + 7, 8 + 7, 8 + 7, 8 + 7 + 21, 8 + 7 + 21]
    plain = build_network("cpm", SKELETON, **SMALL)
    assert [stage[0][0].in_channels for stage in plain.stages] == [8] + [8 + 21] * 5
    assert net.stages[1][0][0].kernel_size == (3, 3)
    assert build_network("cpm", SKELETON, width=4).stages[1][0][0].kernel_size == (7, 7)


def test_losses_are_sums_over_channels_and_means_over_cells(store):
    net, batch = build_network("nsrm", SKELETON, **SMALL), batch_of(store)
    heat = batch["maps"]["heatmap"]
    limbs = torch.cat([batch["maps"]["limb_lpm_g1"], batch["maps"]["limb_lpm_g6"]], 1)
    logits = torch.logit(limbs.clamp(1e-6, 1 - 1e-6))
    output = Stages([heat, heat + 0.5, heat], [logits, torch.zeros_like(limbs), logits], torch.zeros(4, 8, 8, 8))
    terms = net.loss(output, batch)
    assert list(terms) == list(net.weights)
    assert terms["keypoints_4"] == 0
    assert terms["keypoints_5"].item() == pytest.approx(21 * 0.25)
    assert terms["g1_2"].item() == pytest.approx(np.log(2), rel=1e-5)
    assert terms["g6_2"].item() == pytest.approx(6 * np.log(2), rel=1e-5)
    assert terms["g6_1"] < terms["g6_2"]
    assert net.weights["g1_1"] == LAMBDA["lpm", "g1g6"] == 0.1
    assert net.weights["g6_3"] == pytest.approx(FINGERS * 0.1)


def test_limbs_weigh_a_tenth_after_twenty_epochs(store):
    net, batch = build_network("nsrm", SKELETON, **SMALL), batch_of(store)
    output = net(batch["depth"])
    found = {}
    for epoch in (0, 19, 20, 45):
        net.begin_epoch(epoch)
        found[epoch] = net.loss(output, batch)
    assert found[19]["g1_1"] == found[0]["g1_1"]
    assert (found[20]["g1_1"] / found[0]["g1_1"]).item() == pytest.approx(0.1)
    assert (found[45]["g6_3"] / found[0]["g6_3"]).item() == pytest.approx(0.01)
    assert found[45]["keypoints_6"] == found[0]["keypoints_6"]


@pytest.mark.parametrize("perspective", [False, True])
def test_peaks_are_read_out_on_the_skin(tmp_path, perspective):
    how = {"projection": "perspective" if perspective else "orthographic"}
    path = gmaps.build("synthetic", tmp_path / "x.zarr", ("heatmap",), limit=4, workers=0, progress=False, **how).path
    from gmaps.training import GuidanceDataset, collate

    data = GuidanceDataset(path, ("heatmap",))
    batch = collate([data[k] for k in range(4)])
    net = build_network("cpm", SKELETON, trunk="handmap", size=128, width=8, kernel=3, perspective=perspective)
    output = Stages([batch["maps"]["heatmap"].float()], [], torch.zeros(4, 8, 32, 32))
    found = net.decode(output, batch).numpy()
    store = gmaps.open_store(path)
    for k in range(4):
        crop = store[k].crop
        expected = gmaps.decode("heatmap", store[k].maps["heatmap"], crop)
        inner = (np.abs(crop.joints_px(32) - 15.5) < 13).all(axis=1)
        # Both take the hand's nearest cell; they may differ where two are as near.
        assert np.median(np.abs(found[k] - expected)[inner]) < 0.3
        assert np.quantile(np.abs(found[k] - expected)[inner], 0.9) < 2


def test_a_network_that_begins_with_torchvisions_weights(tmp_path):
    own = vgg19(64, 8)
    state = {f"features.{name}": torch.full_like(v, 0.01) for name, v in own.body[0].state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(3)}, tmp_path / "vgg19.pth")
    net = build_network("nsrm", SKELETON, size=64, width=8, kernel=3, pretrained=str(tmp_path / "vgg19.pth"))
    assert (net.trunk.body[0][0].weight == 0.01).all()
    assert net(torch.ones(1, 1, 64, 64)).features.shape == (1, 8, 8, 8)
    assert "pretrained" not in net.origin[1]  # a checkpoint holds the weights, and needs no file
    (tmp_path / "none.pth").write_bytes(b"none")
    with pytest.raises(UsageError, match=r"none.pth holds no weights of VGG-19"):
        build_network("cpm", SKELETON, pretrained=str(tmp_path / "none.pth"))
    with pytest.raises(UsageError, match="trunk vgg19"):
        build_network("cpm", SKELETON, **SMALL, pretrained=str(tmp_path / "vgg19.pth"))


@pytest.mark.parametrize(
    ("params", "words"),
    [({"groups": "g2"}, "g2"), ({"mask": "pml"}, "pml"), ({"trunk": "resnet"}, "resnet"), ({"stages": 3}, "even"),
     ({"size": 30}, "30"), ({"groups": ""}, "cpm")],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(params, words):
    with pytest.raises(UsageError, match=words):
        build_network("nsrm", SKELETON, **{**SMALL, **params})


def test_a_store_that_lacks_what_it_learns_from_is_refused_with_the_cure(store, tmp_path):
    how = TrainParams(epochs=1, workers=0, batch=8)
    lacking = NamedNetwork("nsrm", {**SMALL, "mask": "ldm", "groups": "g1"})
    with pytest.raises(StoreError, match=r"gmaps store add .* limb_ldm_g1"):
        train(gmaps.open_store(store), tmp_path / "a", lacking, how, device="cpu", progress=False)
    coarse = NamedNetwork("nsrm", {**SMALL, "size": 64})
    with pytest.raises(UsageError, match=r"size=32.*--map-size 16"):
        train(gmaps.open_store(store), tmp_path / "b", coarse, how, device="cpu", progress=False)


def test_from_training_to_evaluation(store, tmp_path):
    out, words = tmp_path / "run", []
    for key, value in SMALL.items():
        words += ["-P", f"{key}={value}"]
    first = ["train", store, "--model", "nsrm", *words, "-P", "decay_epochs=1", "--batch", 8, "--workers", 0,
             "--log-steps", 1, "--quiet", "--validation", "0.2", "--out", out]  # fmt: skip
    run(*first, "--epochs", 1)
    run(*first, "--epochs", 2)
    log = read_log(out / "log.csv")
    rows = [r for r in log if r.get("g1_1")]
    assert {"keypoints_4", "keypoints_6", "g1_1", "g6_3", "gradient_g1_1"} <= set(rows[0])
    # A tenth in the second epoch, though that is a resumed run.
    assert float(rows[-1]["g1_1"]) < 0.3 * float(rows[0]["g1_1"])
    predicted = tmp_path / "joints.txt"
    run("predict", store, "--checkpoint", out, "--out", predicted)
    assert len(predicted.read_text().splitlines()) == 24
    text = run("evaluate", predicted, "--groundtruth", store, "--dataset", "synthetic", "--metric", "pck")
    assert "0.04" in text
    assert "0.12" in text


@pytest.mark.parametrize("model", ["cpm", "nsrm"])
def test_eight_hands_are_learnt_by_heart_in_sixty_steps(tmp_path, model):
    """To a few mm in the plane; a stage that does not begin empty is at 20 mm and more by then."""
    from gmaps.training import GuidanceDataset, collate

    kinds = ("heatmap", "limb_lpm_g1", "limb_lpm_g6")
    gmaps.build(
        "synthetic", tmp_path / "s.zarr", kinds, limit=8, workers=0, map_size=16, crop_size=64, progress=False
    )
    batch = collate(GuidanceDataset(gmaps.open_store(tmp_path / "s.zarr"), kinds).read_batch(list(range(8))))
    torch.manual_seed(0)
    net = build_network(model, SKELETON, trunk="handmap", size=64, width=16, kernel=3).train()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    for step in range(60):
        output = net(batch["depth"])
        terms = net.loss(output, batch)
        if step == 0:  # nothing is found, where nearly everywhere nothing is
            assert sum(heat.abs().mean() for heat in output.keypoints) < 0.05 * len(output.keypoints)
        optimizer.zero_grad()
        sum(net.weights[name] * term for name, term in terms.items()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    found = net.decode(net(batch["depth"]), batch) - batch["joints_mm"]
    assert found[..., :2].norm(dim=-1).mean() < 9


# --- colour ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def colored(tmp_path_factory):
    """Pictures of 24 hands: a dot at each joint, whose colour says which it is; and their store."""
    root = tmp_path_factory.mktemp("panoptic")
    for folder in ("imgs", "annotations"):
        (root / folder).mkdir()
    rng, images, hands = np.random.default_rng(0), [], []
    colours = np.linspace(0, 255, 21)
    for k in range(24):
        uv = rng.uniform(20, 108, (21, 2)).round()
        picture = np.full((128, 128, 3), 90, np.uint8)
        for j, (u, v) in enumerate(uv.astype(int)):
            cv2.circle(picture, (u, v), 4, (colours[j], colours[-1 - j], 255), -1)
        cv2.imwrite(str(root / "imgs" / f"{k}.png"), picture)
        images.append({"id": k, "file_name": f"{k}.png"})
        points = np.column_stack([uv, np.ones(21)])
        hands.append({"id": k, "image_id": k, "keypoints": points.ravel().tolist()})
    said = json.dumps({"images": images, "annotations": hands})
    (root / "annotations" / "panoptic_train.json").write_text(said)
    gmaps.build("panoptic", root / "s.zarr", ("heatmap", "limb_lpm_g1", "limb_lpm_g6"), root=root, split="train",
                workers=0, map_size=8, crop_size=32, progress=False)  # fmt: skip
    return root / "s.zarr"


def test_the_trunks_read_colour_as_its_weights_were_trained():
    net = build_network("cpm", SKELETON, **SMALL, input="color")
    assert net.inputs == ("color",)
    assert net.trunk.colours == 3
    seen = []
    net.trunk.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    net(torch.tensor([0, 128, 255], dtype=torch.uint8).expand(2, 32, 32, 3))
    want = [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    torch.testing.assert_close(seen[0][0, :, 5, 7], torch.tensor(want))
    again = build_network(net.origin[0], SKELETON, **net.origin[1])
    assert again.inputs == ("color",)
    assert build_network("nsrm", SKELETON, **SMALL | {"trunk": "vgg19"}, input="color").trunk.loads
    with pytest.raises(UsageError, match="leave out pretrained"):
        build_network("cpm", SKELETON, **SMALL, input="color", pretrained="x.pth")
    with pytest.raises(UsageError, match="input"):
        build_network("cpm", SKELETON, **SMALL, input="colour")


@pytest.mark.parametrize("model", ["cpm", "nsrm"])
def test_colour_alone_is_trained_predicted_and_judged(colored, tmp_path, model):
    given = f"-P input=color -P trunk=handmap -P size=32 -P width=8 -P kernel=3 --batch 8 --out {tmp_path}/r"
    given += " --validation 0 --workers 0 --device cpu --patience 0 --augment rotation=10"
    run("train", colored, "--model", model, *given.split(), "--epochs", 1)
    run("train", colored, "--model", model, *given.split(), "--epochs", 2)
    run("predict", colored, "--checkpoint", tmp_path / "r", "--out", tmp_path / "p.txt")
    values = np.loadtxt(tmp_path / "p.txt").reshape(24, 21, 3)
    assert (values[..., 2] == 1).all()
    said = json.loads(run("evaluate", tmp_path / "p.txt", "--groundtruth", colored, "--metric", "pck", "--json"))
    assert 0 <= said["pck_sigmas"]["mean"] <= 1


def test_heat_of_colour_crops_is_read_out_in_pixels(colored):
    store = gmaps.open_store(colored)
    net = build_network("cpm", store.skeleton, **SMALL, input="color")
    data = GuidanceDataset(store, ("heatmap",), arrays=("color",))
    batch = collate([data[k] for k in range(4)])
    found = net.decode(Stages([batch["maps"]["heatmap"]], [], torch.zeros(4, 1, 8, 8)), batch)
    cell = 2 * batch["cube"][:, 3:] / 8
    assert ((found - batch["joints_mm"]).norm(dim=-1) < 0.75 * cell).all()


def test_stores_that_cannot_be_read_are_refused_with_the_cure(store, colored, tmp_path):
    how = TrainParams(epochs=1, batch=4, workers=0, validation="0")
    flags = {"progress": False, "device": "cpu"}
    with pytest.raises(UsageError, match=r"no colour.*-O color=on.*leave out -P input=color"):
        train(gmaps.open_store(store), tmp_path / "a", NamedNetwork("cpm", {**SMALL, "input": "color"}), how, **flags)
    with pytest.raises(UsageError, match="-P input=color"):
        train(gmaps.open_store(colored), tmp_path / "b", NamedNetwork("cpm", SMALL), how, **flags)
    with pytest.raises(UsageError, match=r"colour and no depth, which the network reads.*input=color"):
        train(gmaps.open_store(colored), tmp_path / "c", NamedNetwork("baseline"), how, **flags)


def test_a_predictor_reads_the_colour_of_crops(colored, tmp_path):
    store = gmaps.open_store(colored)
    how = TrainParams(epochs=1, batch=8, workers=0, validation="0")
    network = NamedNetwork("cpm", {**SMALL, "input": "color"})
    train(store, tmp_path / "r", network, how, progress=False, device="cpu")
    predictor = Predictor(tmp_path / "r", device="cpu")
    found = predictor.crops([store[k].crop for k in range(3)])
    np.testing.assert_allclose(found, predictor.store(store).joints[:3], atol=1e-3)
    bare = gmaps.Crop(store[0].depth, store[0].cube, store[0].joints)
    with pytest.raises(UsageError, match="reads color"):
        predictor.crops([bare])
