"""The cross-modal VAE: its pairs, its ELBO, frames without labels, training and going on with it."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import StoreError, UnknownNameError, UsageError
from gmaps.frame import Cube
from gmaps.skeleton import get_skeleton

torch = pytest.importorskip("torch")

from gmaps.inference import Predictor  # noqa: E402
from gmaps.nets import build_network  # noqa: E402
from gmaps.nets.crossmodal_vae import WEIGHTS, Posterior, divergence  # noqa: E402
from gmaps.nets.modalities import Joints2D, modalities  # noqa: E402
from gmaps.nets.registry import NamedNetwork  # noqa: E402
from gmaps.training.collate import collate  # noqa: E402
from gmaps.training.dataset import GuidanceDataset  # noqa: E402
from gmaps.training.fit import train  # noqa: E402
from gmaps.training.log import Tally, read_log  # noqa: E402
from gmaps.training.loss import LossParams  # noqa: E402
from gmaps.training.params import TrainParams  # noqa: E402
from gmaps.training.split import balance, split  # noqa: E402

SKELETON = get_skeleton("msra21")
SMALL = {"size": 32, "stem": (4,), "width": 4, "head": (4, 4), "hidden": 16, "layers": 2, "up": (8, 8, 4, 4),
         "latent": 5, "warmup": 20}  # fmt: skip
EVERY = ("depth:joints3d", "depth:joints2d", "depth:depth", "joints2d:joints3d", "joints3d:joints2d",
         "joints3d:joints3d", "joints3d:depth")  # fmt: skip


def build(path, **options):
    gmaps.build("synthetic", path, ("signed_edt",), workers=0, crop_size=32, map_size=8, center="com", progress=False,
                dataset_options={"frames": 60, **options})  # fmt: skip
    return gmaps.open_store(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four frames of five have no labels."""
    return build(tmp_path_factory.mktemp("vae") / "s.zarr", labelled=0.2, arrays="pose")


@pytest.fixture(scope="module")
def batch(store):
    return collate(GuidanceDataset(store, ()).read_batch(list(range(16))))


def net(**params):
    torch.manual_seed(0)
    return build_network("crossmodal_vae", SKELETON, **{**SMALL, **params})


def run(made, batch):
    return made(*(batch[name] for name in (*made.inputs, *made.training_inputs)))


def test_the_synthetic_hand_keeps_labels_of_a_share_of_its_frames(store):
    known = np.isfinite(store.column("joints")).all(axis=(1, 2))
    assert 5 < known.sum() < 25
    angles = store.read(np.arange(60), ["angles"])["angles"]
    np.testing.assert_array_equal(np.isfinite(angles).all(axis=1), known)
    assert not np.isfinite(angles[~known]).any()
    whole = gmaps.load_dataset("synthetic", frames=60)
    for i in np.flatnonzero(known)[:3]:
        np.testing.assert_array_equal(store.column("joints")[i], whole.read(int(i)).joints)
    with pytest.raises(UsageError, match="share from 0 to 1"):
        gmaps.load_dataset("synthetic", labelled=3)


@pytest.mark.parametrize("pair", EVERY)
def test_every_pair_pulls_at_both_its_ends(pair, batch):
    made = net(pairs=tuple({pair: 1, "depth:joints3d": 1})).train()
    first, _, second = pair.partition(":")
    terms = made.loss(run(made, batch), batch)
    assert set(terms) == {pair, "depth:joints3d", "kl"}

    ends = [made.encoders[first], made.posteriors[first], made.decoders[second]]
    for part in ends:
        found = torch.autograd.grad(terms[pair], list(part.parameters()), retain_graph=True)
        assert all(torch.isfinite(g).all() for g in found)
        assert any(g.abs().max() > 0 for g in found)


def test_rows_without_labels_count_in_the_pairs_of_pictures_alone(batch):
    made = net(pairs=EVERY).eval()
    known = torch.isfinite(batch["joints"]).flatten(1).all(1)
    assert 2 <= known.sum() <= 14
    some = {k: v[known] for k, v in batch.items() if torch.is_tensor(v)}
    all_terms, few = made.loss(run(made, batch), batch), made.loss(run(made, some), some)
    for pair in EVERY:
        if pair != "depth:depth":
            torch.testing.assert_close(all_terms[pair], few[pair])
    each = made.modalities["depth"].read(batch["depth"], batch["cube"], 32)
    cost = made.modalities["depth"].cost(run(made, batch).made["depth:depth"], each)
    torch.testing.assert_close(all_terms["depth:depth"], cost.mean())
    gradients = torch.autograd.grad(sum(all_terms.values()), list(made.parameters()), allow_unused=True)
    assert all(torch.isfinite(g).all() for g in gradients if g is not None)


def test_the_divergence_is_that_of_two_normal_distributions():
    q = Posterior(torch.randn(4, 5), torch.randn(4, 5), torch.tensor([True, True, False, True]))
    normal = torch.distributions.Normal
    each = torch.distributions.kl_divergence(normal(q.mean, (0.5 * q.log_variance).exp()), normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(q), each[q.known].mean())
    assert divergence(q._replace(known=torch.zeros(4, dtype=torch.bool))) == 0


def test_the_weight_of_the_divergence_rises_with_the_frames_seen(batch):
    made = net().train()
    found = []
    for _ in range(3):
        output = run(made, batch)
        full = torch.stack([divergence(q) for q in output.posteriors.values()]).mean()
        found.append((made.loss(output, batch)["kl"] / full).item())
    assert found == pytest.approx([0.0, 16 / 20, 1.0])
    assert net(warmup=0).loss(run(net(warmup=0), batch), batch)["kl"] > 0


def test_joints_lie_in_the_plane_where_the_crop_shows_them():
    for projection in ("orthographic", "perspective"):
        data = gmaps.load_dataset("synthetic")
        frame = data.read(4)
        cube = Cube(frame.joints.mean(0), 120.0)
        crop = gmaps.crop_frame(frame, cube, size=64, projection=projection)
        uv = Joints2D(projection == "perspective").read(
            torch.from_numpy(crop.joints.astype(np.float32))[None],
            torch.from_numpy(cube.to_array())[None], 64,
        )[0].numpy()  # fmt: skip
        want = crop.joints_px(64)  # row, column
        np.testing.assert_allclose((uv + 1) * 32 - 0.5, want[:, ::-1], atol=0.01)


def test_a_true_hand_costs_nothing(batch):
    known = modalities(False)
    depth = known["depth"].read(batch["depth"], batch["cube"], 16)
    hand = (depth < 1).float()
    made = torch.cat([100 * (hand - 0.5), torch.where(depth < 1, depth, 0.3)], 1)
    assert known["depth"].cost(made, depth).max() < 1e-6
    torch.testing.assert_close(known["depth"].show(made), depth.clamp(max=1))
    assert known["depth"].cost(-made, depth).min() > 1
    color = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    seen = known["color"].read(color, batch["cube"], 32)
    assert known["color"].cost(seen, seen).max() == 0
    torch.testing.assert_close(known["color"].show(seen), color)


def how(**more):
    return TrainParams(batch=8, workers=0, lr=3e-3, **more)


def test_trained_on_frames_without_labels_resumed_and_predicted(store, tmp_path):
    recipe = NamedNetwork("crossmodal_vae", SMALL)
    flags = {"device": "cpu", "progress": False, "log_steps": 1}
    ended = train(store, tmp_path / "a", recipe, how(epochs=2), **flags)
    known = np.isfinite(store.column("joints")).all(axis=(1, 2))
    subject = store.column("subject")
    data = GuidanceDataset(store, ())
    learn, judged = split(data, "subjects:0.1", 0, True)
    assert known[judged].all()
    assert not set(subject[learn]) & set(subject[judged])
    assert not known[learn].all()
    # Those with labels come about as often as those without.
    often = balance(data, learn)
    assert set(often) == set(learn)
    assert abs(known[often].mean() - 0.5) < 0.15
    assert len(often) > len(learn)
    assert ended.step == 2 * (len(often) // 8)
    assert np.isfinite(ended.best_mm)
    train(store, tmp_path / "b", recipe, how(epochs=1), **flags)
    train(store, tmp_path / "b", recipe, how(epochs=2), **flags)
    states = [torch.load(tmp_path / r / "last.pt", weights_only=True)["weights"] for r in "ab"]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert states[0]["samples_seen"] == 8 * ended.step
    assert {"depth:joints3d", "depth:depth", "kl"} <= set(read_log(tmp_path / "a" / "log.csv")[0])
    joints = Predictor(tmp_path / "a", device="cpu").store(store).joints
    assert joints.shape == (60, 21, 3)
    assert np.isfinite(joints).all()


def test_what_is_not_known_in_a_step_is_not_counted_in_the_log():
    tally = Tally()
    for mm in (4.0, float("nan"), 8.0):
        tally.add({"pose": 1.0, "mm": mm})
    again = Tally()
    again.load(tally.to_dict())
    assert again.means() == {"pose": 1.0, "mm": 6.0}
    old = {k: v for k, v in tally.to_dict().items() if k != "counts"}
    again.load(old)
    assert again.means()["pose"] == 1.0


def test_deephps_learns_from_the_surface_of_frames_without_labels(store, tmp_path):
    weights = {"vertices": 0, "parameters": 1, "surface": 1}
    small = {"size": 32, "stem": (4,), "width": 4, "head": (4, 4), "hidden": 8}
    ended = train(
        store, tmp_path / "a", NamedNetwork("deephps", small), how(epochs=1, loss=LossParams(weights=weights)),
        device="cpu", progress=False,
    )  # fmt: skip
    assert np.isfinite(ended.best_mm)


def test_what_cannot_be_is_told(store, tmp_path):
    flags = {"device": "cpu", "progress": False}
    with pytest.raises(UsageError, match=r"have no labels.*--drop-unlabelled.*--model crossmodal_vae"):
        train(store, tmp_path / "x", "baseline", how(epochs=1), **flags)
    baseline = NamedNetwork("baseline", {"size": 32, "stem": (4,), "head": (4, 4), "hidden": 8})
    dropped = train(store, tmp_path / "y", baseline, how(epochs=1, drop_unlabelled=True), **flags)
    data = GuidanceDataset(store, ())
    known = np.isfinite(store.column("joints")).all(axis=(1, 2))
    learn, _ = split(data, "subjects:0.1", 0, drop=True)
    assert known[learn].all()
    assert dropped.step == len(learn) // 8
    joints_alone = NamedNetwork("crossmodal_vae", {**SMALL, "pairs": ("depth:joints3d",)})
    with pytest.raises(UsageError, match="have no labels"):
        train(store, tmp_path / "x", joints_alone, how(epochs=1), **flags)
    with pytest.raises(UsageError, match="perspective crops, the store holds orthographic"):
        train(store, tmp_path / "x", NamedNetwork("crossmodal_vae", {**SMALL, "projection": "perspective"}),
              how(epochs=1), **flags)  # fmt: skip
    with pytest.raises(StoreError, match="wants color"):
        train(store, tmp_path / "x", NamedNetwork("crossmodal_vae", {**SMALL, "pairs": ("color:joints3d",),
              "reads": "color"}), how(epochs=1), **flags)  # fmt: skip
    with pytest.raises(UnknownNameError, match="joints3d"):
        net(pairs=("depth:joints3",))
    for bad, message in (
        ({"pairs": ("depth",)}, "FROM:TO"),
        ({"pairs": ("depth:depth", "depth:depth")}, "twice"),
        ({"pairs": ()}, "at least"),
        ({"pairs": ("depth:depth",)}, "leads to joints"),
        ({"reads": "color"}, "no pair begins"),
        ({"size": 40}, "multiple"),
        ({"up": (4, 4)}, "four"),
        ({"latent": 0}, "latent"),
    ):
        with pytest.raises(UsageError, match=message):
            net(**bad)
    assert net().weights["depth:depth"] == WEIGHTS["depth"]
    flat = net(pairs=("color:joints2d", "color:color"), reads="color")
    flat.check_crops({"projection": "orthographic", "flat": True})
    with pytest.raises(UsageError, match="--pairs color:joints2d"):
        net().check_crops({"projection": "orthographic", "flat": True})


def test_pairs_from_the_command_line(store, tmp_path):
    done = CliRunner().invoke(main, [
        "train", str(store.path), "--model", "crossmodal_vae", "--pairs", "depth:joints3d, depth:depth",
        "--size", "32", "--stem", "4", "--width", "4", "--head", "4,4", "--hidden", "16", "-P", "up=4,4,4,4",
        "--weight", "kl=0.001", "--weight", "depth:depth=1", "--batch", "8", "--epochs", "1", "--workers", "0",
        "--out", str(tmp_path / "run"), "--device", "cpu",
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "of them without labels" in done.output
    assert "depth:depth 1, kl 0.001" in done.output
