"""Where a run's maps are made: the same training from all places, and what cannot be is refused in a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import StoreError, UsageError

torch = pytest.importorskip("torch")

from gmaps.nets.handmap import model_params  # noqa: E402
from gmaps.training import maps_on  # noqa: E402
from gmaps.training.fit import train  # noqa: E402
from gmaps.training.log import read_log  # noqa: E402
from gmaps.training.params import TrainParams  # noqa: E402

SMALL = {"size": 32, "stem": (8,), "width": 8, "head": (8, 8), "hidden": 16}
PARAMS = TrainParams(epochs=1, batch=8, workers=0, precision="float32", patience=0, validation="0")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("maps_on") / "hands.zarr"
    gmaps.build("synthetic", out, ("heatmap",), map_size=16, crop_size=32, limit=24, workers=0, progress=False)
    return gmaps.open_store(out)


@pytest.fixture
def anywhere(monkeypatch):
    """Maps are made in the step on the CPU, too."""
    monkeypatch.setattr(maps_on, "DEVICES", ["cuda", "cpu"])


def losses(store, out, where, kinds=("offset", "geodesic_weighted"), **changes):
    params = replace(PARAMS, maps_on=where, **changes)
    train(store, out, model_params("offset", **SMALL, maps=kinds), params, progress=False, device="cpu", log_steps=1)
    return np.array([[float(r["maps"]), float(r["pose"])] for r in read_log(out / "log.csv") if r["maps"]])


@pytest.mark.parametrize("augment", ["off", "rotation=30,scale=0.1"])
def test_maps_made_in_the_step_are_learnt_as_those_of_the_cpu(store, tmp_path, anywhere, augment):
    here = losses(store, tmp_path / "cpu", "cpu", augment=augment)
    there = losses(store, tmp_path / "gpu", "gpu", augment=augment)
    assert len(here) == 3
    np.testing.assert_allclose(there, here, rtol=1e-3)


def test_batches_carry_no_maps_then(store, tmp_path, anywhere, monkeypatch):
    seen = []
    call = maps_on.MapsInStep.__call__
    monkeypatch.setattr(
        maps_on.MapsInStep, "__call__", lambda self, batch: (seen.append(batch), call(self, batch))[1]
    )
    losses(store, tmp_path / "gpu", "auto", ("heatmap",))  # auto: the device is one of those
    assert seen
    assert all(batch["maps"] == {} for batch in seen)
    losses(store, tmp_path / "stored", "stored", ("heatmap",))
    assert set(seen[-1]["maps"]) == {"heatmap"}


def test_a_run_goes_on_wherever_its_maps_are_made(store, tmp_path, anywhere):
    losses(store, tmp_path / "x", "cpu", ("heatmap",))
    assert len(losses(store, tmp_path / "x", "gpu", ("heatmap",), epochs=2)) == 6


def test_auto_on_the_cpu_is_as_before(store, tmp_path):
    with pytest.raises(StoreError, match="gmaps store add"):
        losses(store, tmp_path / "x", "auto")
    assert len(losses(store, tmp_path / "y", "auto", on_the_fly=True)) == 3


def test_what_cannot_be_is_refused(store, tmp_path, anywhere):
    with pytest.raises(UsageError, match="leave out --augment"):
        losses(store, tmp_path / "x", "stored", augment="on")
    with pytest.raises(UsageError, match=r"views_euclidean cannot be made of tensors.*--maps-on cpu or stored can"):
        losses(store, tmp_path / "x", "gpu", ("views_euclidean",))
    with pytest.raises(UsageError, match="place to make maps"):
        TrainParams(maps_on="tpu")


def test_without_a_gpu_the_command_says_what_to_do(store, tmp_path):
    done = CliRunner().invoke(
        main, ["train", str(store.path), "--out", str(tmp_path / "x"), "--maps-on", "gpu", "--device", "cpu"]
    )
    assert done.exit_code == 2
    assert "training is on cpu: say --device cuda where there is one, or --maps-on cpu or stored" in done.stderr
