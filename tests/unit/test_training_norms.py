"""Batch normalisation is judged by what its weights give now, and nothing else of a network moves."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from gmaps.skeleton import get_skeleton  # noqa: E402
from gmaps.training import HandMap, model_params  # noqa: E402
from gmaps.training.device import open_device  # noqa: E402
from gmaps.training.norms import average_norms  # noqa: E402

NET = model_params("geodesic", size=32, stem=(8,), width=8, head=(8, 8), hidden=16, dropout=0.5)


@pytest.fixture
def net():
    torch.manual_seed(1)
    return HandMap(NET, get_skeleton("msra21"))


def batches(count=5):
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(4, 1, 32, 32, generator=generator) * 2 - 1 for _ in range(count)]


def inputs_of(tensors):
    return ((x,) for x in tensors)


def test_averages_are_those_of_the_batches(net):
    first = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    seen = []
    first.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach()))
    with open_device("cpu", "float32") as device:
        average_norms(net, inputs_of(batches()), device)
    want_mean = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    want_var = torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0)
    torch.testing.assert_close(first.running_mean, want_mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(first.running_var, want_var, atol=1e-5, rtol=1e-4)
    assert {m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    assert not any(m.training for m in net.modules())


def test_weights_and_random_numbers_stay(net):
    before = {name: p.clone() for name, p in net.named_parameters()}
    state = torch.get_rng_state()
    with open_device("cpu", "float32") as device:
        average_norms(net, inputs_of(batches()), device)
    assert torch.equal(torch.get_rng_state(), state)
    for name, p in net.named_parameters():
        assert torch.equal(p, before[name]), name
        assert p.grad is None


def test_without_batches_nothing_happens(net):
    before = {name: b.clone() for name, b in net.named_buffers()}
    with open_device("cpu", "float32") as device:
        average_norms(net, [], device)
    for name, b in net.named_buffers():
        assert torch.equal(b, before[name]), name


def test_a_network_whose_averages_lag_is_itself_again(net):
    """As in training at a high rate: averages of other weights, and then a judgement that says nothing of these."""
    inputs = batches(8)
    with open_device("cpu", "float32") as device:
        average_norms(net, inputs_of(inputs), device)
        right = net(inputs[0]).joints
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean += 0.3
                m.running_var *= 3
        wrong = net(inputs[0]).joints
        average_norms(net, inputs_of(inputs), device)
        again = net(inputs[0]).joints
    assert float((wrong - right).detach().abs().max()) > 1e-3
    np.testing.assert_allclose(again.detach().numpy(), right.detach().numpy(), atol=1e-6)


def test_the_figures_are_those_of_a_plain_loop(net):
    """What stood here before PyTorch's `update_bn`: evaluation mode, but for the norms, each batch counting alike."""
    twin = HandMap(NET, get_skeleton("msra21"))
    twin.load_state_dict(net.state_dict())
    with open_device("cpu", "float32") as device:
        average_norms(net, inputs_of(batches()), device)
    twin.eval()
    for m in twin.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.reset_running_stats()
            m.momentum = None
            m.train()
    with torch.no_grad():
        for x in batches():
            twin(device.lay_out(x))
    for (name, mine), (_, other) in zip(net.named_buffers(), twin.named_buffers(), strict=True):
        assert torch.equal(mine, other), name
