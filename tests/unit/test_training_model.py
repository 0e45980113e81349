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


class Pair(nn.Module):
    """A layer that gives a tuple, as recurrent and attention layers do."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x), x.mean()


class PairNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = Pair()

    def forward(self, x):
        features, mean = self.pair(x)
        return features.mean((2, 3)) + mean


def test_the_first_tensor_of_a_tuple_is_guided():
    torch.manual_seed(0)
    net, x = PairNet(), torch.rand(2, 1, 16, 16)
    plain = net(x)
    guidance = guide(net, "pair", ("geodesic",))
    assert net(x).shape == plain.shape
    assert not torch.equal(net(x), plain)
    assert guidance.maps[0]["geodesic"].shape == (2, 21, 8, 8)


class Dense(nn.ModuleDict):
    """DenseNet's block: each layer reads all before it and gives 4 channels; the block gives them joined."""

    def __init__(self, channels, layers=3):
        super().__init__({f"l{k}": nn.Conv2d(channels + 4 * k, 4, 3, padding=1) for k in range(layers)})

    def forward(self, x):
        for layer in self.values():
            x = torch.cat([x, layer(x)], 1)
        return x


def test_channels_of_a_layer_that_joins_its_parts():
    net = nn.Sequential(nn.Conv2d(1, 8, 3), Dense(8), nn.BatchNorm2d(20))
    net[2].running_mean.fill_(3)
    guidance = guide(net, "1", ("geodesic",))
    assert net(torch.rand(1, 1, 16, 16)).shape == (1, 20, 14, 14)
    assert guidance.supervision.heads[0].in_channels == 20
    assert net.training


def test_trying_a_layer_leaves_it_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5))
    net[2].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.get_rng_state()
    from gmaps.nets.layer_output import channels_of

    assert channels_of(net) == (2, 8)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert [m.training for m in net] == [True, True, False]


def test_other_channels_than_it_was_made_for_are_named():
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())
    guide(net, "0", ("geodesic",), channels=12)
    with pytest.raises(UsageError, match=r"layer '0' gives \(1, 8, 6, 6\), .* 12 channels: say channels=8"):
        net(torch.rand(1, 1, 8, 8))


def test_copies_of_a_guided_network():
    import copy
    import io

    torch.manual_seed(0)
    net, x = Net(), torch.rand(2, 1, 32, 32)
    guidance = guide(net, "layer2", ("geodesic",))
    net(x)
    twin = copy.deepcopy(net)
    averaged = torch.optim.swa_utils.AveragedModel(net)
    averaged.update_parameters(net)
    file = io.BytesIO()
    torch.save(net, file)
    for part in net.parameters():
        part.data.zero_()
    seen = guidance.maps
    # The copy is guided by its own module, and keeps its maps to itself.
    assert twin(x).abs().sum() > 0
    assert averaged(x).shape == (2, 5)
    assert guidance.maps is seen
    loaded = torch.load(io.BytesIO(file.getvalue()), weights_only=False)
    torch.testing.assert_close(loaded(x), twin(x))


def test_guidance_is_in_evaluation_where_its_layer_is():
    net = Net().eval()
    guidance = guide(net, "layer2", ("geodesic",))
    assert not any(m.training for m in net.modules())
    assert guidance.supervision.training is False


def test_copies_that_run_side_by_side_are_refused():
    net = Net()
    guide(net, "layer2", ("geodesic",))
    replica = net.layer2._replicate_for_data_parallel()
    replica._former_parameters = {}
    with pytest.raises(UsageError, match="use DistributedDataParallel"):
        replica(torch.rand(1, 8, 8, 8))


def test_a_missing_extra_is_an_import_error_too():
    from gmaps.errors import MissingExtraError

    with pytest.raises(ImportError, match="pip install"):
        raise MissingExtraError("torch", "train", "gmaps.training")


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


def test_voxels_of_another_size_are_resized():
    net = HandMap(model_params("voxel", size=16, stem=(4,), width=4, head=(4,), hidden=8), SKELETON).eval()
    x = (torch.rand(1, 1, 32, 32, 32) < 0.1).float()
    assert torch.equal(net(x).joints, net(nn.functional.avg_pool3d(x, 2)).joints)
    assert net(x).maps[0]["voxel_joint"].shape == (1, 21, 8, 8, 8)
