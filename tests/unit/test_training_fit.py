"""Training: resumed to the same weights, stopped with its work kept, refused with a reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import StoreError, UsageError

torch = pytest.importorskip("torch")

from gmaps.nets.handmap import HandMap  # noqa: E402
from gmaps.training import fit, model_params, trainer  # noqa: E402
from gmaps.training.checkpoint import CheckpointError, load_checkpoint, restore_model  # noqa: E402
from gmaps.training.device import open_device  # noqa: E402
from gmaps.training.feed import SHUFFLES, Batches, make_dataset  # noqa: E402
from gmaps.training.fit import train  # noqa: E402
from gmaps.training.log import read_log  # noqa: E402
from gmaps.training.loss import LossParams  # noqa: E402
from gmaps.training.params import RunState, TrainingError, TrainParams, learning_rate  # noqa: E402
from gmaps.training.split import split  # noqa: E402

SMALL = {"size": 32, "stem": (8,), "width": 8, "head": (8, 8), "hidden": 16}
NET = model_params("geodesic", **SMALL)
FLAGS = ["--size", "32", "--stem", "8", "--width", "8", "--head", "8,8", "--hidden", "16"]
PARAMS = TrainParams(epochs=2, batch=16, workers=0, precision="float32", lr=3e-3, patience=0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("fit") / "hands.zarr"
    gmaps.build("synthetic", out, ("geodesic", "heatmap"), limit=120, workers=0, progress=False)
    return gmaps.open_store(out)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def go(store, out, params=PARAMS, net=NET, **options):
    return train(store, Path(out), net, params, progress=False, device="cpu", **options)


def replace_method(store, name, function):
    """A second view of a store, one of whose methods does something else."""
    other = gmaps.open_store(store.path)
    setattr(other, name, function)
    return other


def weights(out: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    return load_checkpoint(out / name)["weights"]


def assert_same_weights(a: Path, b: Path) -> None:
    first, second = weights(a), weights(b)
    assert list(first) == list(second)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    """A run that nothing has stopped."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, go(store, out)


def test_a_run_leaves_what_it_promises(whole):
    out, ended = whole
    assert (ended.step, ended.epoch, ended.finished) == (12, 2, "epochs")
    rows = read_log(out / "log.csv")
    judged = [float(r["validation_mm"]) for r in rows if r["validation_mm"]]
    assert len(judged) == 2
    assert ended.best_mm == pytest.approx(min(judged), rel=1e-5)
    first = rows[0]
    assert float(first["gradient_pose"]) > 0
    assert float(first["gradient_maps"]) > 0
    weight = load_checkpoint(out)["params"]["loss"]["weights"]["maps"]
    assert float(first["loss"]) == pytest.approx(float(first["pose"]) + weight * float(first["maps"]), rel=1e-4)
    assert not list(out.glob(".*"))
    assert restore_model(load_checkpoint(out)).params == NET


def test_the_same_seed_gives_the_same_weights_and_another_one_others(store, whole, tmp_path):
    go(store, tmp_path / "same")
    assert_same_weights(whole[0], tmp_path / "same")
    go(store, tmp_path / "other", replace(PARAMS, seed=1))
    assert not torch.equal(weights(whole[0])["stem.0.0.weight"], weights(tmp_path / "other")["stem.0.0.weight"])


@pytest.mark.parametrize("after", [1, 5, 6, 8])
def test_stopped_in_mid_epoch_and_resumed_to_the_same_weights(store, whole, tmp_path, monkeypatch, after):
    step = fit.Trainer._step

    def stop(self, *rest):
        found = step(self, *rest)
        if self.progress.step == after - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return found

    monkeypatch.setattr(fit.Trainer, "_step", stop)
    with pytest.raises(KeyboardInterrupt, match=f"step {after}, .*the same command goes on"):
        go(store, tmp_path / "run")
    monkeypatch.undo()
    torch.rand(7)  # what another program has drawn in between
    assert load_checkpoint(tmp_path / "run" / "last.pt")["progress"]["step"] == after
    assert go(store, tmp_path / "run").step == 12
    assert_same_weights(whole[0], tmp_path / "run")
    steps = [r["step"] for r in read_log(tmp_path / "run" / "log.csv")]
    assert steps == [r["step"] for r in read_log(whole[0] / "log.csv")]


def test_killed_and_resumed_to_the_same_weights(store, tmp_path):
    params = [str(store.path), "--model", "geodesic", *FLAGS, "--epochs", "4", "--batch", "8", "--workers", "0",
              "--precision", "float32", "--quiet", "--device", "cpu", "--log-steps", "1",
              "--patience", "0"]  # fmt: skip
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    code = "import torch; torch.set_num_threads(1); from gmaps.cli import main; main()"
    command = [sys.executable, "-c", code, "train", *params, "--checkpoint-minutes", "0"]
    with subprocess.Popen([*command, "--out", str(killed)]) as process:
        for _ in range(3000):
            if (killed / "log.csv").exists() and len((killed / "log.csv").read_text().splitlines()) > 18:
                break
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    at = load_checkpoint(killed / "last.pt")["progress"]
    assert 0 < at["step"] < 4 * 13
    for out in (killed, straight):
        found = CliRunner().invoke(main, ["train", *params, "--checkpoint-minutes", "0", "--out", str(out), "--json"])
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout)["step"] == 4 * 13
    assert_same_weights(killed, straight)
    logs = [[r["step"] for r in read_log(out / "log.csv")] for out in (killed, straight)]
    assert logs[0] == logs[1]


def test_a_finished_run_is_not_run_again_but_longer(store, whole, tmp_path, caplog):
    caplog.set_level("INFO", "gmaps")
    import shutil

    out = tmp_path / "run"
    shutil.copytree(whole[0], out)
    assert go(store, out).step == 12
    assert "has ended already (epochs)" in caplog.text
    assert go(store, out, replace(PARAMS, epochs=3)).step == 18
    straight = go(store, tmp_path / "straight", replace(PARAMS, epochs=3))
    assert straight.step == 18
    assert_same_weights(out, tmp_path / "straight")


def test_another_runs_folder_is_refused(store, whole):
    with pytest.raises(CheckpointError, match=r"another run: .*batch 16 -> 8.*--overwrite"):
        go(store, whole[0], replace(PARAMS, batch=8))
    with pytest.raises(CheckpointError, match="width 8 -> 12"):
        go(store, whole[0], net=replace(NET, width=12))


def test_unguided_needs_no_maps_and_differs_from_guided(store, tmp_path, whole):
    net = model_params("unguided", **SMALL, maps=("geodesic",))
    go(store, tmp_path / "off", net=net)
    go(store, tmp_path / "zero", replace(PARAMS, loss=LossParams(map_weight=0)))
    assert_same_weights(tmp_path / "off", tmp_path / "zero")
    assert not torch.equal(weights(whole[0])["stem.0.0.weight"], weights(tmp_path / "off")["stem.0.0.weight"])
    assert {r["gradient_maps"] for r in read_log(tmp_path / "off" / "log.csv")} <= {"0", ""}
    assert make_dataset(store, HandMap("unguided", store.skeleton))[0]["maps"] == {}


def test_a_store_without_the_maps(store, tmp_path):
    net = model_params("limb", **SMALL)
    with pytest.raises(StoreError, match=r"does not hold limb.*gmaps store add .* limb.*--on-the-fly"):
        go(store, tmp_path / "run", net=net)
    assert go(store, tmp_path / "run", replace(PARAMS, epochs=1, on_the_fly=True), net).step == 6


@pytest.mark.parametrize("name", ["views", "baseline", pytest.param("voxel", marks=pytest.mark.slow)])
def test_other_inputs(store, tmp_path, name):
    small = SMALL | ({"size": 64, "stem": (4,)} if name == "voxel" else {"branch": "residual"})
    params = replace(PARAMS, epochs=1, batch=40, on_the_fly=True)
    assert go(store, tmp_path / "run", params, model_params(name, **small)).step == 2
    assert (tmp_path / "run" / "best.pt").exists()


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good(store, tmp_path, monkeypatch):
    found = HandMap.loss

    def poisoned(self, output, batch):
        terms = found(self, output, batch)
        return terms | {"pose": terms["pose"] * float("nan")} if 37 in batch["index"] else terms

    monkeypatch.setattr(HandMap, "loss", poisoned)
    with pytest.raises(TrainingError, match=r"loss of step \d+ is not a number.*batch \d+, store rows .*\b37\b"):
        go(store, tmp_path / "run", checkpoint_minutes=0)
    kept = tmp_path / "run" / "last.pt"
    if kept.exists():
        assert all(torch.isfinite(v.float()).all() for v in weights(tmp_path / "run").values())


def test_it_learns(store, tmp_path):
    params = replace(PARAMS, epochs=12, validation="0", lr=1e-2, schedule="cosine")
    go(store, tmp_path / "run", params, log_steps=7)
    mm = [float(r["mm"]) for r in read_log(tmp_path / "run" / "log.csv") if r["mm"]]
    assert mm[-1] < 0.75 * mm[1]


def test_early_stopping(store, tmp_path, monkeypatch):
    errors = iter([50.0, 49.0, 49.5, 49.4, 49.3])
    monkeypatch.setattr(trainer, "predict_batches", lambda *a: iter([(None, np.full(4, next(errors), np.float32))]))
    ended = go(store, tmp_path / "run", replace(PARAMS, epochs=9, patience=2))
    assert (ended.finished, ended.epoch, ended.best_mm) == ("early", 4, 49.0)
    errors = iter([50.0, 55.1])
    ended = go(store, tmp_path / "run2", replace(PARAMS, epochs=9, patience=5))
    assert (ended.finished, ended.epoch) == ("early", 2)


def test_minutes_end_a_run(store, tmp_path):
    ended = go(store, tmp_path / "run", replace(PARAMS, epochs=10_000, minutes=0.01, schedule="cosine"))
    assert ended.finished == "minutes"
    assert 0.6 <= ended.seconds < 10
    assert (tmp_path / "run" / "best.pt").exists()


def test_schedules():
    original = TrainParams(lr=1e-3, batch=50)
    rates = [learning_rate(original, RunState(step=s), 100) for s in (0, 19_999, 20_000, 40_000, 10_000_000)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 0.94e-3, 0.94**2 * 1e-3, 1e-6], rtol=1e-9)
    cosine = TrainParams(lr=1e-3, epochs=10, schedule="cosine")
    rates = np.array([learning_rate(cosine, RunState(step=s), 100) for s in range(1000)])
    assert rates.argmax() == 50
    assert rates[50] == pytest.approx(1e-3)
    assert (np.diff(rates[50:]) <= 0).all()
    assert 0 < rates[-1] < 1e-6
    timed = replace(cosine, minutes=1.0, epochs=1000)
    assert learning_rate(timed, RunState(step=1, seconds=31.5), 100) == pytest.approx(5e-4, rel=1e-3)


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_batches_see_all_once_and_start_anywhere(shuffle):
    data = SimpleNamespace(rows=np.arange(0, 400, 2), store=SimpleNamespace(shard_samples=32))
    part = np.arange(100, 150)

    def batches(size, **rank):
        return Batches(SHUFFLES[shuffle](data, positions=part, seed=3, **rank), size)

    whole = batches(8)
    first = list(whole)
    assert len(first) == len(whole) == 6
    drawn = np.concatenate(first)
    assert len(np.unique(drawn)) == 48
    assert np.isin(drawn, part).all()
    whole.start = 4
    assert list(whole) == first[4:]
    whole.epoch, whole.start = 1, 0
    assert list(whole) != first
    halves = [np.concatenate(list(batches(4, rank=rank, replicas=2))) for rank in (0, 1)]
    assert [len(half) for half in halves] == [24, 24]
    assert len(np.unique(halves)) == 48
    with pytest.raises(UsageError, match="do not fill one batch of 64"):
        batches(64)


def test_splits(store):
    data = make_dataset(store, HandMap(NET, store.skeleton))
    subject = store.column("subject")
    for how, count in (("0.1", 12), ("0", 0), ("S9", 12), ("S1, S2", 24), ("subjects:0.2", 24)):
        learn, judge = split(data, how, 0)
        assert len(judge) == count
        assert sorted([*learn, *judge]) == list(range(120))
        if "S" in how or "sub" in how:
            assert not set(subject[learn]) & set(subject[judge])
    for how, message in (
        ("S77", "subject .*'S77'"),
        ("1.5", "share"),
        (",".join(store.attributes["dataset"]["subjects"]), "none"),
    ):
        with pytest.raises(UsageError, match=message):
            split(data, how, 0)


def test_frames_without_labels_are_not_trained_on(store):
    data = make_dataset(store, HandMap(NET, store.skeleton))
    column = store.column

    def without(name):
        values = column(name).copy()
        if name == "joints":
            values[[7, 40]] = np.nan
        return values

    data.store = replace_method(store, "column", without)
    with pytest.raises(UsageError, match=r"2 of 120 frames of .* have no labels, the first in row 7"):
        split(data, "0.1", 0)


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"batch": 0}, {"lr": 0.0}, {"lr": float("nan")}, {"minutes": -1}, {"schedule": "linear"},
     {"seed": -1}, {"workers": -1}],
)  # fmt: skip
def test_bad_parameters(changes):
    with pytest.raises(UsageError):
        TrainParams(**changes)


def test_bad_devices():
    with pytest.raises(UsageError, match="precision called 'int4'"), open_device("cpu", "int4"):
        pass
    with pytest.raises(UsageError, match="no device 'tpux'"), open_device("tpux"):
        pass


def test_damaged_checkpoints(whole, tmp_path):
    data = (whole[0] / "last.pt").read_bytes()
    torn, other = tmp_path / "torn.pt", tmp_path / "other.pt"
    for bad in (b"", b"hello", data[: len(data) // 2], data[:100] + b"\xff" * 50 + data[150:]):
        torn.write_bytes(bad)
        with pytest.raises(CheckpointError, match=r"torn\.pt cannot be read as a checkpoint"):
            load_checkpoint(torn)
    torch.save({"weights": {}}, other)
    with pytest.raises(CheckpointError, match="lacks format, model"):
        load_checkpoint(other)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    state = load_checkpoint(whole[0])
    torch.save({**state, "format": 99}, other)
    with pytest.raises(CheckpointError, match="format 99"):
        load_checkpoint(other)
    huge = {**state, "model": {**state["model"], "hidden": 2**14, "head": [2**14] * 3}}
    with pytest.raises(CheckpointError, match="weights are not those"):
        restore_model(huge)
    state["weights"].popitem()
    with pytest.raises(CheckpointError, match="weights are not those"):
        restore_model(state)


def test_a_full_disk_keeps_the_checkpoint_before(whole, tmp_path, monkeypatch):
    from gmaps.training import checkpoint

    path = tmp_path / "last.pt"
    checkpoint.save_checkpoint(path, {"weights": {}})
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoint.save_checkpoint(path, {"weights": {"a": torch.zeros(1000)}})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
