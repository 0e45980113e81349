"""Training meets damaged checkpoints, dead processes, full folders and second runs: a sentence each, nothing lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import CorruptStoreError, UnknownNameError

torch = pytest.importorskip("torch")

from gmaps.nets.handmap import HandMap  # noqa: E402
from gmaps.training import GuidanceDataset, model_params, trainer  # noqa: E402
from gmaps.training.checkpoint import CheckpointError, load_checkpoint  # noqa: E402
from gmaps.training.fit import train  # noqa: E402
from gmaps.training.log import read_log  # noqa: E402
from gmaps.training.loss import LossParams, map_loss  # noqa: E402
from gmaps.training.params import TrainingError, TrainParams  # noqa: E402
from gmaps.training.run_folder import run_folder  # noqa: E402

NET = model_params("geodesic", size=32, stem=(4,), width=4, head=(4,), hidden=8, repeats=1)
FLAGS = "--model geodesic --size 32 --stem 4 --width 4 --head 4 --hidden 8 --repeats 1 --batch 8 --workers 0"
PARAMS = TrainParams(epochs=1, batch=8, workers=0, precision="float32", patience=0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("faults") / "hands.zarr"
    gmaps.build("synthetic", out, ("geodesic",), limit=60, workers=0, progress=False, crop_size=32, map_size=16)
    return gmaps.open_store(out)


@pytest.fixture(scope="module")
def finished(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("faults") / "run"
    train(store, out, NET, PARAMS, progress=False, device="cpu")
    return out


def go(store, out, params=PARAMS, **options):
    return train(store, Path(out), NET, params, progress=False, device="cpu", **options)


def run(store, out, *more):
    words = ["train", str(store.path), *FLAGS.split(), "--device", "cpu", "--out", str(out), *more]
    found = CliRunner().invoke(main, words)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def test_bytes_that_are_no_checkpoint(store, finished, tmp_path):
    rng, whole = random.Random(5), (finished / "last.pt").read_bytes()
    bad = [rng.randbytes(n) for n in (1, 64, 5000)]
    bad += [b"PK\x03\x04" + rng.randbytes(200), b"\x80\x02" + rng.randbytes(50), whole[: len(whole) // 3]]
    for _ in range(30):
        torn = bytearray(whole)
        for _ in range(rng.randint(1, 20)):
            torn[rng.randrange(len(torn))] = rng.randrange(256)
        bad.append(bytes(torn))
    for k, data in enumerate(bad):
        (tmp_path / "x.pt").write_bytes(data)
        # Some flips fall on padding.
        with pytest.raises(CheckpointError, match=r"x\.pt") if k < 6 else contextlib.suppress(CheckpointError):
            load_checkpoint(tmp_path / "x.pt")
    out = tmp_path / "run"
    out.mkdir()
    (out / "last.pt").write_bytes(bad[2])
    found = run(store, out)
    assert found.exit_code == 1
    assert "cannot be read as a checkpoint" in found.stderr
    assert "weights_only" not in found.stderr
    assert "--overwrite" in found.stderr
    assert run(store, out, "--overwrite", "--epochs", "1").exit_code == 0


@pytest.mark.parametrize(
    "key", ["optimizer", "progress", "random", "scaler", "params", "store", "world", "network", "maps"]
)
def test_checkpoints_that_lack_something(store, finished, tmp_path, key):
    state = torch.load(finished / "last.pt", weights_only=True)
    del state[key]
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=rf"last\.pt .*{key}"):
        go(store, tmp_path, replace(PARAMS, epochs=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": {"state": {}, "param_groups": []}},
        {"progress": {"within": 10**9}},
        {"progress": {"epoch": -5}},
        {"progress": {"unheard_of": 1}},
        {"random": "x"},
        {"params": {"loss": 3}},
        {"tally": {"sums": {"pose": "much"}}},
        {"crop": {"size": 10**9, "half_side": 120.0, "projection": "orthographic"}},
        {"skeleton": {"joints": 3}},
    ],
)
def test_checkpoints_that_make_no_sense(store, finished, tmp_path, changes):
    state = torch.load(finished / "last.pt", weights_only=True)
    for key, value in changes.items():
        merge = isinstance(value, dict) and key == "progress"
        state[key] = {**state[key], **value} if merge else value
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt is damaged"):
        go(store, tmp_path, replace(PARAMS, epochs=2))


def test_no_number_at_the_first_step(store, tmp_path, monkeypatch):
    found = HandMap.loss
    monkeypatch.setattr(HandMap, "loss", lambda *a: {k: v * float("nan") for k, v in found(*a).items()})
    with pytest.raises(TrainingError, match=r"step 0 is not a number .*no checkpoint was written yet"):
        go(store, tmp_path / "run")


def test_rows_of_a_resumed_run_are_those_of_a_whole_one(store, tmp_path, monkeypatch):
    params = replace(PARAMS, epochs=3)
    go(store, tmp_path / "whole", params, log_steps=4)
    step = trainer.Trainer._step

    def stop(self, *rest):
        if self.progress.step == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *rest)

    monkeypatch.setattr(trainer.Trainer, "_step", stop)
    with pytest.raises(KeyboardInterrupt):
        go(store, tmp_path / "run", params, log_steps=4)
    monkeypatch.undo()
    go(store, tmp_path / "run", params, log_steps=4)
    rows = [read_log(tmp_path / name / "log.csv") for name in ("whole", "run")]
    assert len(rows[0]) > 5
    for name in ("step", "epoch", "lr", "loss", "pose", "maps", "mm", "gradient_maps", "validation_mm"):
        assert [r[name] for r in rows[0]] == [r[name] for r in rows[1]], name


def test_one_run_a_folder(store, tmp_path):
    out = tmp_path / "run"
    with run_folder(out):
        found = run(store, out)
        assert found.exit_code == 1
        assert "another process trains into" in found.stderr
        assert not list(out.iterdir())
    left = out / ".last.pt.4711.tmp"
    left.write_bytes(b"half")
    (out / "mine.tmp").write_text("a person's")
    assert run(store, out, "--epochs", "1").exit_code == 0
    assert not left.exists()
    assert (out / "mine.tmp").exists()


def test_folders_that_cannot_be(store, tmp_path):
    (tmp_path / "odd" / "last.pt").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"last\.pt is a folder"):
        go(store, tmp_path / "odd")
    (tmp_path / "file").write_text("x")
    for out, message in (("file", "is a file; --out is a folder"), ("file/run", "Not a directory")):
        found = run(store, tmp_path / out)
        assert found.exit_code == 1
        assert message in found.stderr


def test_the_first_lines_say_what_is_trained(store, tmp_path):
    found = run(store, tmp_path / "run", "--epochs", "1")
    lines = {line.split()[0]: line for line in found.stderr.splitlines()}
    subjects = store.attributes["dataset"]["subjects"]
    judged = lines["validation"].partition("1 person: ")[2].split()[0]
    assert judged in subjects
    assert lines["frames"].startswith("frames      54 of 9 people")
    assert "reads depth; learns joints, maps/geodesic" in lines["network"]
    assert "cpu, " in lines["device"]
    assert lines["weights"] == "weights     pose 1, maps 4"
    assert "6 an epoch, of 8 frames" in lines["steps"]
    # No terminal: lines, and no bar.
    assert "\r" not in found.stderr
    assert "step 6 of 6: loss" in found.stderr
    assert run(store, tmp_path / "quiet", "--epochs", "1", "--quiet").stderr == ""


def test_the_maps_weigh_what_their_kind_says():
    from gmaps.maps import get_map
    from gmaps.skeleton import get_skeleton

    for kind, weight in (("geodesic", 4), ("offset", 2), ("euclidean", 12), ("heatmap", 150)):
        net = HandMap(model_params("geodesic", **{**NET.to_dict(), "maps": kind}), get_skeleton("msra21"))
        assert get_map(kind).weight == weight
        assert LossParams().of(net.weights) == {"pose": 1.0, "maps": weight}
    # Of several kinds the mean, and they stay to each other as they are.
    both = HandMap(replace(NET, maps=("geodesic", "offset")), get_skeleton("msra21"))
    assert both.weights["maps"] == 3
    x, y = torch.rand(2, 21, 4, 4), torch.rand(2, 84, 4, 4)
    batch = {"maps": {"geodesic": x, "offset": y}, "joints": torch.zeros(2, 21, 3)}
    stage = {"geodesic": x + 1, "offset": y + 1}
    output = type("Output", (), {"joints": torch.zeros(2, 21, 3), "maps": [stage]})()
    each = [map_loss(k, stage[k], batch["maps"][k]).item() for k in stage]
    assert 3 * both.loss(output, batch)["maps"].item() == pytest.approx(4 * each[0] + 2 * each[1], rel=1e-5)


def test_a_coarser_choice_among_cells():
    target = torch.zeros(1, 1, 4, 4, 4)
    target[0, 0, 3, 0, 2] = 1
    predicted = torch.full((1, 1, 2, 2, 2), -50.0)
    predicted[0, 0, 1, 0, 1] = 50
    assert map_loss("voxel_joint", predicted, target).item() == pytest.approx(0, abs=1e-6)


def test_frames_of_some_people_and_one_kind_by_its_name(store):
    names = store.attributes["dataset"]["subjects"]
    subject = store.column("subject")
    for subjects, want in ((names[3], [3]), ((names[0], names[5]), [0, 5]), ([], [])):
        data = GuidanceDataset(store, "geodesic", subjects=subjects)
        assert data.maps == ("geodesic",)
        assert sorted(data.rows) == [i for i in range(60) if subject[i] in want]
    with pytest.raises(UnknownNameError, match=r"subject in .* called 'S77'"):
        GuidanceDataset(store, subjects="S77")


def die(item):
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def corrupt(item):
    raise CorruptStoreError("hands.zarr: shard 3 is not what was written: build it again")


@pytest.mark.slow
def test_a_process_that_reads_is_killed(store, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"a process that reads ended at step 0 .*last\.pt is kept.*--workers"):
        go(store, out, replace(PARAMS, workers=1), transform=die)
    assert go(store, out).step == 6


@pytest.mark.slow
def test_an_error_in_a_process_that_reads_is_one_sentence(store, tmp_path):
    with pytest.raises(TrainingError) as found:
        go(store, tmp_path / "run", replace(PARAMS, workers=1), transform=corrupt)
    assert str(found.value) == "hands.zarr: shard 3 is not what was written: build it again"
