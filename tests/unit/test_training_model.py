"""The network: shapes of all variants, the supervision module, guidance put into networks of others."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.errors import UnknownNameError, UsageError
from gmaps.maps import get_map
from gmaps.skeleton import get_skeleton

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from gmaps.nets.handmap import count_parameters  # noqa: E402
from gmaps.training import MODELS, GuidanceSupervision, HandMap, ModelParams, guide, model_params  # noqa: E402

SKELETON = get_skeleton("msra21")
SMALL = {"size": 32, "stem": (8, 8), "width": 8, "head": (8,), "hidden": 16}


def read(params: ModelParams, batch: int = 2) -> torch.Tensor:
    if params.dims == 3:
        channels = get_map(params.reads).channels(SKELETON)
        return torch.rand(batch, channels, *[params.size] * 3)
    return torch.rand(batch, 3 if params.reads == "views" else 1, params.size, params.size)


@pytest.mark.parametrize("name", MODELS)
def test_shapes_of_a_variant(name):
    params = model_params(name, **(SMALL | {"size": 16, "stem": (4,)} if MODELS[name].dims == 3 else SMALL))
    net = HandMap(params, SKELETON)
    found = net(read(params))
    assert found.joints.shape == (2, 21, 3)
    assert found.joints.dtype == torch.float32
    stages = 0 if name == "baseline" else 2
    assert len(found.maps) == stages
    for stage in found.maps:
        assert set(stage) == set(params.maps)
        for kind, m in stage.items():
            h = params.map_size
            assert m.shape == (2, get_map(kind).channels(SKELETON), *[h] * params.dims)


def test_defaults_are_those_of_the_paper():
    for name in ("geodesic_weighted", "offset", "unguided"):
        params = MODELS[name]
        assert (params.size, params.map_size, params.repeats) == (128, 32, 2)
    # What the original lacks: variants that differ in nothing but the map loss, or the channels of the maps.
    assert count_parameters(HandMap("unguided", SKELETON)) == count_parameters(HandMap("geodesic_weighted", SKELETON))


def test_the_guided_and_the_unguided_net_compute_the_same():
    nets = []
    for name in ("unguided", "geodesic_weighted"):
        torch.manual_seed(3)
        nets.append(HandMap(model_params(name, **SMALL), SKELETON).eval())
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(nets[0](x).joints, nets[1](x).joints)


def test_supervision_is_what_the_paper_says():
    torch.manual_seed(0)
    module = GuidanceSupervision(8, {"a": 3, "b": 5}, repeats=1).eval()
    x = torch.rand(2, 8, 16, 16)
    features, maps = module(x)
    b0 = module.branches[0](x)
    m = module.heads[0](b0)
    assert torch.equal(features, x + b0 + module.embeddings[0](m))
    assert torch.equal(torch.cat([maps[0]["a"], maps[0]["b"]], 1), m)
    # The map head is linear: it may be negative.
    assert (m < 0).any()


@pytest.mark.parametrize("branch", ["residual", "hourglass"])
@pytest.mark.parametrize("dims", [2, 3])
def test_supervision_keeps_the_shape(branch, dims):
    x = torch.rand(1, 8, *[8] * dims)
    found = GuidanceSupervision(8, ("geodesic",), dims=dims, branch=branch, repeats=3)(x)
    assert found.features.shape == x.shape
    assert len(found.maps) == 3


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12), nn.ReLU())
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


def test_guide_attaches_to_a_layer_of_a_foreign_network():
    net = Net()
    before = {n for n, _ in net.named_parameters()}
    guidance = guide(net, "layer2", ("geodesic", "limb"))
    with pytest.raises(UsageError, match="forward"):
        _ = guidance.maps
    out = net(torch.rand(2, 1, 64, 64))
    assert out.shape == (2, 5)
    assert [{k: tuple(m.shape) for k, m in s.items()} for s in guidance.maps] == 2 * [
        {"geodesic": (2, 21, 16, 16), "limb": (2, 7, 16, 16)}
    ]
    added = {n for n, _ in net.named_parameters()} - before
    assert added
    assert all(n.startswith("guidance_layer2.") for n in added)
    # Both losses reach the layers below.
    guidance.maps[-1]["geodesic"].sum().backward()
    assert net.layer1[0].weight.grad.abs().sum() > 0


def test_guide_in_three_dimensions():
    net = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten())
    guidance = guide(net, "0", ("voxel_joint",))
    assert net(torch.rand(1, 1, 8, 8, 8)).shape == (1, 4 * 8**3)
    assert guidance.maps[0]["voxel_joint"].shape == (1, 21, 8, 8, 8)


def test_what_guide_refuses():
    net = Net()
    with pytest.raises(UnknownNameError, match=r"layer of Net called 'layer3'.*layer2"):
        guide(net, "layer3", ("geodesic",))
    with pytest.raises(UsageError, match="give channels="):
        guide(net, "fc", ("geodesic",))
    guide(net, "layer1", ("geodesic",))
    with pytest.raises(UsageError, match="guided already"):
        guide(net, "layer1", ("geodesic",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 30, "stem": (8, 8)}, "cannot halve 30"),
        ({"width": 6}, "multiple of 4"),
        ({"repeats": 0}, "positive"),
        ({"dropout": 1.0}, "dropout"),
        ({"branch": "tree"}, "branch called 'tree'"),
    ],
)
def test_bad_parameters(changes, message):
    with pytest.raises(UsageError, match=message):
        model_params("geodesic", **changes)


def test_unknown_model():
    with pytest.raises(UnknownNameError, match="Did you mean 'geodesic_weighted'"):
        model_params("geodesic_weigthed")


def test_parameters_survive_json():
    import json

    for params in MODELS.values():
        assert ModelParams.from_dict(json.loads(json.dumps(params.to_dict()))) == params


def test_seeded_networks_are_equal():
    found = []
    for _ in range(2):
        torch.manual_seed(1)
        found.append(HandMap(model_params("limb", **SMALL), SKELETON).eval()(torch.ones(1, 1, 32, 32)).joints)
    np.testing.assert_array_equal(found[0].detach().numpy(), found[1].detach().numpy())
