"""Hands drawn from the cross-modal VAE's space, walks through it, and what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import OutputError, UsageError

torch = pytest.importorskip("torch")

from gmaps.inference.latent import LatentSpace, way  # noqa: E402
from gmaps.nets.registry import NamedNetwork  # noqa: E402
from gmaps.training.fit import train  # noqa: E402
from gmaps.training.params import TrainParams  # noqa: E402

SMALL = {"size": 32, "stem": (4,), "width": 4, "head": (4, 4), "hidden": 16, "layers": 2, "up": (8, 8, 4, 4),
         "latent": 6}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Checkpoints of a VAE and of another network."""
    folder = tmp_path_factory.mktemp("latent")
    gmaps.build("synthetic", folder / "s.zarr", ("signed_edt",), limit=24, workers=0, crop_size=32, map_size=8,
                progress=False)  # fmt: skip
    store = gmaps.open_store(folder / "s.zarr")
    params = TrainParams(epochs=1, batch=8, workers=0, validation="0.2", lr=1e-2)
    for name, net in (("vae", NamedNetwork("crossmodal_vae", SMALL)),
                      ("hps", NamedNetwork("crossmodal_vae", {**SMALL, "pairs": ("depth:joints2d",)}))):  # fmt: skip
        train(store, folder / name, net, params, device="cpu", progress=False)
    train(store, folder / "other", NamedNetwork("baseline", {"size": 32, "stem": (4,), "head": (4, 4), "hidden": 8}),
          params, device="cpu", progress=False)  # fmt: skip
    return folder


def run(*words, code=0):
    done = CliRunner().invoke(main, ["sample", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


def test_a_point_is_one_hand_in_every_decoder_and_a_seed_gives_it_again(runs, tmp_path):
    out = tmp_path / "h.npz"
    told = run("--checkpoint", runs / "vae", "-n", 20, "--seed", 3, "--out", out, "--save", tmp_path / "h.png")
    assert "20 hands as depth, joints2d, joints3d" in told
    made = dict(np.load(out))
    assert made["z"].shape == (20, 6)
    assert made["depth"].shape == (20, 32, 32)
    assert made["joints2d"].shape == (20, 21, 2)
    assert made["joints3d"].shape == (20, 21, 3)
    assert made["joint_names"][0] == "wrist"
    assert cv2.imread(str(tmp_path / "h.png")) is not None
    net = LatentSpace(runs / "vae", device="cpu").net
    with torch.inference_mode():
        z = torch.from_numpy(made["z"])
        np.testing.assert_allclose(made["joints3d"], net.decoders["joints3d"](z).numpy() * 120, atol=1e-4)
        np.testing.assert_allclose(made["joints2d"], net.decoders["joints2d"](z).numpy(), atol=1e-6)
    off = np.linalg.norm(made["joints2d"] * 120 - made["joints3d"][..., :2], axis=-1).mean()
    assert f"{off:.2f} mm" in told
    before = out.read_bytes()
    run("--checkpoint", runs / "vae", "-n", 5, "--seed", 3, "--out", tmp_path / "few.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "few.npz")["z"], made["z"][:5])
    run("--checkpoint", runs / "vae", "-n", 20, "--seed", 3, "--out", out)
    assert {k: v.tobytes() for k, v in np.load(out).items()} == {k: v.tobytes() for k, v in made.items()}
    run("--checkpoint", runs / "vae", "-n", 20, "--seed", 4, "--out", out)
    assert out.read_bytes() != before


def test_walks_go_from_hand_to_hand_as_far_from_the_middle_as_both(runs, tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 30), np.float32)
    found = way(a, 2 * b, 7)
    np.testing.assert_allclose(found[[0, -1]], [a, 2 * b], atol=1e-5)
    want = np.linspace(np.linalg.norm(a), np.linalg.norm(2 * b), 7)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), want, rtol=1e-5)
    turns = np.diff([np.arccos(np.clip(f @ a / np.linalg.norm(f) / np.linalg.norm(a), -1, 1)) for f in found])
    np.testing.assert_allclose(turns, turns[0], rtol=1e-3)
    np.testing.assert_allclose(way(a, 3 * a, 3), [a, 2 * a, 3 * a], rtol=1e-4)
    space = LatentSpace(runs / "vae", device="cpu")
    hands = space.walk(2, 4, seed=1)
    np.testing.assert_allclose(hands.z[[0, 3, 4, 7]], space.sample(4, seed=1).z, atol=1e-5)
    run("--checkpoint", runs / "vae", "--walk", tmp_path / "w.png", "--walks", 2, "--steps", 3)
    assert cv2.imread(str(tmp_path / "w.png")).shape[1] > 300


def test_a_space_without_depth_or_3d_shows_what_it_has(runs, tmp_path):
    hands = LatentSpace(runs / "hps", device="cpu").sample(3)
    assert hands.depth is None
    assert hands.joints3d is None
    told = run("--checkpoint", runs / "hps", "-n", 3, "--out", tmp_path / "h.npz", "--save", tmp_path / "h.png")
    assert "3 hands as joints2d" in told
    assert "depth" not in np.load(tmp_path / "h.npz")


def test_what_cannot_be_is_told(runs, tmp_path):
    told = run("--checkpoint", runs / "other", "--out", tmp_path / "x.npz", code=2)
    assert "--model crossmodal_vae" in told
    assert "--out HANDS.npz" in run("--checkpoint", runs / "vae", code=2)
    assert "at most 400" in run("--checkpoint", runs / "vae", "-n", 500, "--save", tmp_path / "x.png", code=2)
    assert "no such checkpoint" in run("--checkpoint", tmp_path / "none", "--out", tmp_path / "x.npz", code=1)
    space = LatentSpace(runs / "vae", device="cpu")
    for count in (0, 10**6):
        with pytest.raises(UsageError, match="sample 1 to"):
            space.sample(count)
    with pytest.raises(UsageError, match="seed"):
        space.sample(1, -1)
    with pytest.raises(UsageError, match="2 steps"):
        space.walk(1, 1)
    (tmp_path / "mine.npz").write_text("a letter")
    with pytest.raises(OutputError):
        space.sample(1).save(tmp_path / "mine.npz")
    assert (tmp_path / "mine.npz").read_text() == "a letter"
