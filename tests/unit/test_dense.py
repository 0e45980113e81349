"""The pixel-wise network: what it reads out of true maps; that it is trained, gone on with and used like HandMap."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.crop import crop_frame
from gmaps.errors import UsageError
from gmaps.frame import Cube
from gmaps.skeleton import get_skeleton

torch = pytest.importorskip("torch")

from gmaps.inference import Predictor  # noqa: E402
from gmaps.maps.torch_decode import grid_of  # noqa: E402
from gmaps.nets import build_network, guide, list_networks  # noqa: E402
from gmaps.training.checkpoint import load_checkpoint  # noqa: E402
from gmaps.training.log import read_log  # noqa: E402

SKELETON = get_skeleton("msra21")
SMALL = {"size": 32, "cells": 16, "width": 4, "blocks": 1, "up": (8, 8, 8)}
FLAGS = ["--size", "32", "-P", "cells=16", "--width", "4", "-P", "blocks=1", "-P", "up=8"]
CUBES = torch.tensor([[10.0, -20.0, 500.0, 120.0]])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("dense") / "hands.zarr"
    gmaps.build("synthetic", out, ("offset", "heatmap", "geodesic"), limit=48, workers=0, progress=False,
                crop_size=32, map_size=16, center="com")  # fmt: skip
    return gmaps.open_store(out)


def run(*words):
    found = CliRunner().invoke(main, [str(w) for w in words])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def hand(projection="orthographic"):
    data = gmaps.load_dataset("synthetic")
    frame = data.read(3)
    cube = Cube(tuple(frame.joints.mean(axis=0)), 120.0)
    return crop_frame(frame, cube, projection=projection)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize(
    ("kind", "weights", "most"),
    [
        ("offset", "learned", 0.01),
        ("offset", "closeness", 0.01),
        ("ball_offset:k=60:axes=uvd", "closeness", 0.01),
        ("ball_offset", "closeness", 0.01),
        ("heatmap_depth", "learned", 3.0),
    ],
)
def test_true_maps_give_the_true_joints(projection, kind, weights, most):
    crop = hand(projection)
    net = build_network("dense", SKELETON, maps=kind, weights=weights, projection=projection, width=4)
    maps = torch.from_numpy(gmaps.encode(crop, (kind,))[kind]).movedim(-1, 0)[None]
    depth, cube = torch.from_numpy(crop.depth)[None, None], torch.from_numpy(crop.cube.to_array())[None]
    found = net._read_out({kind: maps}, torch.randn(1, net.free, 32, 32), depth, cube)
    away = (found[0] - torch.from_numpy(crop.joints)).norm(dim=1) * crop.cube.half_side
    # Every cell of the hand knows every joint, or those in whose ball it is; all but joints of no heat on the grid.
    assert away.median() < most
    assert away.max() < 10 * most or kind.startswith("ball")


def test_a_crop_without_a_hand_gives_numbers():
    net = build_network("dense", SKELETON, **SMALL).eval()
    assert net(torch.ones(1, 1, 32, 32), CUBES).joints.isfinite().all()


@pytest.mark.parametrize(
    ("params", "channels"),
    [
        ({}, 84),
        ({"weights": "closeness"}, 84),
        ({"maps": "heatmap"}, 21),
        ({"maps": ("geodesic", "euclidean")}, 21),
        ({"maps": "ball_offset:k=60"}, 84),
        ({"maps": ("geodesic", "heatmap_depth")}, 21),
    ],
)
def test_every_reading_learns_from_joints_and_from_maps(params, channels):
    """A few steps on one crop lower each loss, and that of the joints reaches every parameter."""
    crop = hand()
    kinds = build_network("dense", SKELETON, **(SMALL | params)).params.maps
    small = gmaps.encode(crop, kinds, size=16)
    batch = {
        "depth": torch.from_numpy(crop.depth[::4, ::4].copy())[None, None].repeat(4, 1, 1, 1),
        "cube": torch.from_numpy(crop.cube.to_array())[None].repeat(4, 1),
        "joints": torch.from_numpy(crop.joints)[None].repeat(4, 1, 1),
        "maps": {k: torch.from_numpy(small[k]).movedim(-1, 0)[None].repeat(4, 1, 1, 1) for k in kinds},
    }
    batch["silhouette"] = grid_of(batch["depth"], batch["cube"], 16)[1]
    for term, least in (("pose", 0.5), ("maps", 0.95)):
        torch.manual_seed(0)
        net = build_network("dense", SKELETON, **(SMALL | params))
        optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
        values = []
        for _ in range(20):
            output = net(batch["depth"], batch["cube"])
            loss = net.loss(output, batch)[term]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        assert output.maps[0][kinds[0]].shape == (4, channels, 16, 16)
        assert values[-1] < least * values[0], term
        if term == "pose" and net.reads:
            assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_it_is_trained_gone_on_with_judged_and_used(store, tmp_path):
    assert "dense" in list_networks()
    words = ["train", store.path, "--model", "dense", *FLAGS, "--out", tmp_path / "run", "--batch", "8", "--workers",
             "0", "--device", "cpu", "--patience", "0", "--log-steps", "1"]  # fmt: skip
    done = run(*words, "--epochs", "1")
    assert done.exit_code == 0, done.output
    assert "weights     pose 100, maps 1" in done.stderr
    assert "learns joints, maps/offset" in done.stderr
    first = next(r for r in read_log(tmp_path / "run" / "log.csv") if r["pose"])
    assert float(first["loss"]) == pytest.approx(100 * float(first["pose"]) + float(first["maps"]), rel=1e-3)
    assert float(first["gradient_maps"]) > 0
    assert run(*words, "--epochs", "2").exit_code == 0
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    assert state["progress"]["epoch"] == 2
    assert state["network"] == "dense"
    refused = run(*words, "--epochs", "3", "-P", "skips=false")
    assert "skips True -> False" in refused.stderr
    said = run("predict", store.path, "--checkpoint", tmp_path / "run", "--out", tmp_path / "p.txt")
    assert said.exit_code == 0, said.output
    assert "48 frames" in said.stdout
    predictor = Predictor(tmp_path / "run", device="cpu")
    assert predictor.store(store).joints.shape == (48, 21, 3)
    crops = [store[k].crop for k in range(3)]
    np.testing.assert_allclose(predictor.crops(crops), predictor.store(store).joints[:3], atol=1e-2)


def test_without_the_map_loss_no_map_is_needed(store, tmp_path):
    done = run("train", store.path, "--model", "dense", *FLAGS, "-P", "maps=euclidean", "--map-weight", "0", "--out",
               tmp_path / "run", "--batch", "8", "--workers", "0", "--device", "cpu", "--epochs", "1")  # fmt: skip
    assert done.exit_code == 0, done.output
    refused = run("train", store.path, "--model", "dense", *FLAGS, "-P", "maps=euclidean", "--out", tmp_path / "x",
                  "--device", "cpu")  # fmt: skip
    assert refused.exit_code == 1
    assert "store add" in refused.stderr
    assert "euclidean" in refused.stderr


def test_guidance_is_put_on_it():
    net = build_network("dense", SKELETON, **SMALL)
    guidance = guide(net, "trunk.up3", ("geodesic_weighted",), channels=8, skeleton=SKELETON)
    net(torch.rand(2, 1, 32, 32) - 0.5, CUBES.repeat(2, 1)).joints.sum().backward()
    assert guidance.maps[-1]["geodesic_weighted"].shape == (2, 21, 16, 16)
    assert all(p.grad is not None for p in guidance.supervision.embeddings.parameters())


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"cells": 12}, "half or a quarter"),
        ({"size": 100}, "half or a quarter"),
        ({"up": (8, 8)}, "three deconvolutions"),
        ({"width": 0}, "width"),
        ({"maps": ()}, "at least one kind"),
        ({"maps": "geodesic", "weights": "closeness"}, "maps=offset"),
        ({"weights": "learnt"}, "Did you mean 'learned'"),
        ({"wdith": 3}, "no parameter 'wdith'"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(params, why):
    with pytest.raises(UsageError, match=why):
        build_network("dense", SKELETON, **(SMALL | params))


def test_crops_of_another_projection_are_refused(store, tmp_path):
    refused = run("train", store.path, "--model", "dense", *FLAGS, "-P", "projection=perspective", "--out",
                  tmp_path / "x", "--device", "cpu")  # fmt: skip
    assert refused.exit_code == 2
    assert "-P projection=orthographic" in refused.stderr
