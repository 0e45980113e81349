"""The contract of networks: a user's own is built, trained, resumed, kept and predicted with like those of gmaps."""

from __future__ import annotations

import lzma
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import GmapsError, StoreError, UnknownNameError, UsageError
from gmaps.skeleton import get_skeleton

torch = pytest.importorskip("torch")

from gmaps.inference import Predictor  # noqa: E402
from gmaps.nets import build_network, list_networks, registry  # noqa: E402
from gmaps.nets.handmap import MODELS, HandMap  # noqa: E402
from gmaps.training.checkpoint import CheckpointError, load_checkpoint, restore_model  # noqa: E402
from gmaps.training.fit import train  # noqa: E402
from gmaps.training.log import read_log  # noqa: E402
from gmaps.training.params import TrainParams  # noqa: E402

SKELETON = get_skeleton("msra21")
GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints"
SMALL = {"size": 32, "stem": (4,), "width": 4, "head": (4,), "hidden": 8}
OWN = """
    import torch
    from torch import nn
    from gmaps.nets import Network

    class Net(Network):
        inputs = ("depth", "maps/signed_edt")
        targets = ("joints", "joints_mm")

        def __init__(self, skeleton, width=4):
            super().__init__(skeleton, weights={"pose": 1.0, "spread": 0.1})
            self.last = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32, 3 * len(skeleton)))

        def forward(self, depth, edt):
            both = [nn.functional.adaptive_avg_pool2d(x, 8) for x in (depth, edt / 100)]
            return self.last(torch.cat(both, 1)).unflatten(1, (-1, 3))

        def loss(self, output, batch):
            mean = output.mean(1, keepdim=True)
            return super().loss(output, batch) | {"spread": (output - mean).square().mean()}

    def picky(skeleton):
        return nn.Linear(1, 1)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("nets") / "hands.zarr"
    gmaps.build("synthetic", out, ("signed_edt", "geodesic"), limit=60, workers=0, progress=False, crop_size=32,
                map_size=16, center="com")  # fmt: skip
    return gmaps.open_store(out)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of one's own in the working directory."""
    (tmp_path / "my_own_net.py").write_text(textwrap.dedent(OWN))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_own_net:Net"
    sys.modules.pop("my_own_net", None)


def run(*words):
    found = CliRunner().invoke(main, [str(w) for w in words])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def test_names_and_parameters():
    assert {*MODELS, "handmap"} <= set(list_networks())
    net = build_network("geodesic", SKELETON, **SMALL)
    again = build_network(net.origin[0], SKELETON, **net.origin[1])
    assert isinstance(net, HandMap)
    assert again.params == net.params
    with pytest.raises(UnknownNameError, match="Did you mean 'geodesic_weighted'"):
        build_network("geodesic_weigthed", SKELETON)
    with pytest.raises(UsageError, match=r"no parameter 'widht'.*width"):
        build_network("geodesic", SKELETON, widht=4)


def test_one_number_stands_for_a_list_of_one():
    assert build_network("geodesic", SKELETON, **(SMALL | {"stem": 4})).params.stem == (4,)


def test_a_network_of_ones_own_from_the_command_line(store, own):
    words = ["train", store.path, "--model", own, "-P", "width=8", "--weight", "spread=0.25", "--out", "run",
             "--batch", "8", "--workers", "0", "--device", "cpu", "--patience", "0", "--log-steps", "1"]  # fmt: skip
    found = run(*words, "--epochs", "1")
    assert found.exit_code == 0, found.output
    assert "my_own_net:Net" in found.stderr
    assert "weights     pose 1, spread 0.25" in found.stderr
    rows = read_log(Path("run/log.csv"))
    first = next(r for r in rows if r["pose"])
    want = float(first["pose"]) + 0.25 * float(first["spread"])
    assert float(first["loss"]) == pytest.approx(want, rel=1e-4)
    state = load_checkpoint("run")
    assert (state["network"], state["model"]) == (own, {"width": 8})
    assert run(*words, "--epochs", "2").exit_code == 0
    assert load_checkpoint("run/last.pt")["progress"]["epoch"] == 2
    refused = run(*words[:4], *words[6:], "--epochs", "3", "-P", "width=9")
    assert "width 8 -> 9" in refused.stderr
    said = run("predict", store.path, "--checkpoint", "run", "--model", own)
    assert said.exit_code == 0, said.output
    assert "60 frames" in said.stdout


def test_a_checkpoint_alone_imports_nothing(store, own):
    """Code is run because the user names it, not because a file from a stranger does."""
    train(store, Path("run"), own, TrainParams(epochs=1, batch=8, workers=0), progress=False, device="cpu")
    del sys.modules["my_own_net"]
    with pytest.raises(
        CheckpointError, match=r"my_own_net:Net, which is not part of gmaps: .*--model my_own_net:Net"
    ):
        Predictor("run", device="cpu")
    assert "my_own_net" not in sys.modules
    with pytest.raises(CheckpointError, match="not of my_own_net:picky"):
        Predictor("run", device="cpu", network="my_own_net:picky")
    assert Predictor("run", device="cpu", network=own).store(store).joints.shape == (60, 21, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:net", "no module 'no_such_module'"),
        ("my_own_net:nothing", "nothing called 'nothing'"),
        ("my_own_net:picky", "gives a Linear, which is no gmaps.nets.Network"),
        (":Net", "no module ''"),
    ],
)
def test_what_is_no_network(own, name, message):
    with pytest.raises(UsageError, match=message):
        build_network(name, SKELETON)


def test_parameters_of_ones_own_are_checked(own):
    with pytest.raises(UsageError, match="no parameter 'depth', only width"):
        build_network(own, SKELETON, depth=3)


def test_networks_of_other_distributions(monkeypatch, own):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    monkeypatch.syspath_prepend(".")
    points = [EntryPoint("mine", own, registry.ENTRY_POINTS)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    registry._load_plugins.cache_clear()
    assert list_networks()[-1] == "mine"
    net = build_network("mine", SKELETON, width=2)
    assert net.origin == ("mine", {"width": 2})
    registry._load_plugins.cache_clear()
    points[:] = [EntryPoint("broken", "my_own_net:absent", registry.ENTRY_POINTS)]
    with pytest.raises(GmapsError, match="network 'broken', added by my_own_net:absent, cannot be loaded"):
        list_networks()
    registry._load_plugins.cache_clear()


def test_what_a_batch_has_not(store, own):
    net = build_network(own, store.skeleton)
    net.inputs = ("depth", "colour")
    with pytest.raises(StoreError, match=r"wants colour, and .* has only depth, .* and maps/KIND"):
        train(store, Path("run"), net, TrainParams(epochs=1, batch=8, workers=0), progress=False, device="cpu")


def test_a_predictor_says_the_same_of_crops_and_of_their_store(store, own):
    train(store, Path("run"), own, TrainParams(epochs=1, batch=8, workers=0), progress=False, device="cpu")
    predictor = Predictor("run", device="cpu", network=own)
    whole = predictor.store(store).joints
    crops = [store[i].crop for i in range(12)]
    np.testing.assert_allclose(
        predictor.crops(crops, batch=5), whole[:12], atol=0.02
    )  # a store keeps its maps in 16 bits
    assert predictor.crops([]).shape == (0, 21, 3)


def test_a_predictor_says_the_same_of_frames(store, tmp_path):
    small = HandMap("geodesic", store.skeleton).params.from_dict({**SMALL, "maps": ["geodesic"]})
    train(store, tmp_path / "run", small, TrainParams(epochs=1, batch=8, workers=0), progress=False, device="cpu")
    predictor, data = Predictor(tmp_path / "run", device="cpu"), gmaps.load_dataset("synthetic")
    found = predictor.frames([data.read(i).depth for i in range(4)], data.camera)
    whole = predictor.store(store).joints
    for k, frame in enumerate(found):
        np.testing.assert_allclose(frame.joints, whole[k], atol=1.0)
    one = predictor.frame(data.read(2).depth, data.camera)
    np.testing.assert_allclose(one.joints, found[2].joints, atol=1e-3)
    for bad in ((900, 100), (float("nan"), 500), (0, float("inf")), (-5, 100)):
        with pytest.raises(UsageError, match="NEAR,FAR in mm"):
            predictor.frame(data.read(2).depth, data.camera, depth_range=bad)


@pytest.mark.parametrize("name", ["geodesic", "views", "voxel"])
def test_checkpoints_of_the_first_format(name, tmp_path):
    """Written before there was a contract: the network is HandMap, and says what it said."""
    path = tmp_path / "last.pt"
    path.write_bytes(lzma.decompress((GOLDEN / f"{name}.pt.xz").read_bytes()))
    want = np.load(GOLDEN / f"{name}.npz")
    state = load_checkpoint(path)
    net = restore_model(state)
    with torch.inference_mode():
        output = net(torch.from_numpy(want["input"]))
        mm = net.decode(output, {"cube": torch.from_numpy(want["cube"])})
    np.testing.assert_allclose(output.joints.numpy(), want["joints"], atol=1e-5)
    np.testing.assert_allclose(mm.numpy(), want["mm"], atol=1e-2)
    assert state["network"] == "handmap"
    assert state["maps"] == {"size": net.params.size // 2}


def test_a_run_of_the_first_format_goes_on(tmp_path):
    made = {"limit": 40, "workers": 0, "crop_size": 32, "map_size": 8, "center": "com", "progress": False}
    gmaps.build("synthetic", tmp_path / "hands.zarr", ("geodesic",), **made)
    store, out = gmaps.open_store(tmp_path / "hands.zarr"), tmp_path / "run"
    out.mkdir()
    (out / "last.pt").write_bytes(lzma.decompress((GOLDEN / "geodesic.pt.xz").read_bytes()))
    state = torch.load(out / "last.pt", weights_only=True)
    assert (state["format"], state["progress"]["epoch"]) == (1, 2)
    torch.save({**state, "store": store.attributes["fingerprint"]}, out / "last.pt")
    net = "--size 32 --stem 4,4 --width 4 --head 4 --hidden 8 --repeats 1 --dropout 0.25 --model geodesic"
    how = "--epochs 3 --batch 8 --workers 0 --precision float32 --patience 0 --device cpu --quiet"
    flags = [*net.split(), *how.split(), "--out", out]
    refused = run("train", store.path, *flags, "--map-weight", 3)
    assert "maps weight 1.0 -> 3.0" in refused.stderr
    assert "validation 0.1 -> subjects:0.1" in refused.stderr
    found = run("train", store.path, *flags, "--map-weight", 1, "--validation", 0.1)
    assert found.exit_code == 0, found.output
    again = load_checkpoint(out / "last.pt")
    assert (again["format"], again["progress"]["epoch"], again["progress"]["step"]) == (2, 3, 12)


def test_a_network_may_learn_from_further_arrays_of_a_store(tmp_path):
    from torch import nn

    from gmaps.nets import Network

    class Angles(Network):
        targets = ("joints", "angles")

        def __init__(self, skeleton, count):
            super().__init__(skeleton, {"pose": 1.0, "angles": 0.5})
            self.last = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16, 63 + count))

        def forward(self, depth):
            both = self.last(depth)
            return type("Output", (), {"joints": both[:, :63].unflatten(1, (21, 3)), "angles": both[:, 63:]})()

        def loss(self, output, batch):
            wrong = (output.angles - batch["angles"]).square().mean()
            return super().loss(output, batch) | {"angles": wrong}

    options = {"frames": 24, "arrays": "angles"}
    gmaps.build("synthetic", tmp_path / "s.zarr", ("geodesic",), workers=0, progress=False, crop_size=32, map_size=16,
                dataset_options=options)  # fmt: skip
    store = gmaps.open_store(tmp_path / "s.zarr")
    net = Angles(store.skeleton, store.column("angles").shape[1])
    net.origin = ("angles", {})
    train(store, tmp_path / "run", net, TrainParams(epochs=1, batch=8, workers=0), progress=False, device="cpu")
    rows = read_log(tmp_path / "run" / "log.csv")
    assert float(rows[0]["angles"]) > 0
    with pytest.raises(CheckpointError, match="its network angles, or that is not known here"):
        Predictor(tmp_path / "run", device="cpu")
