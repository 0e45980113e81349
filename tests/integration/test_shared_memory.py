"""A machine, as most containers are, with little or no shared memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps import shared_memory
from gmaps.datasets.write.tree import write_tree
from gmaps.errors import SharedMemoryError
from gmaps.pipeline.edit import add_maps

OPTIONS = {"dataset_options": {"frames": 140}, "progress": False, "crop_size": 64}
NETWORK = ["--size", "32", "--stem", "8", "--width", "8", "--head", "8,8,8", "--hidden", "16", "--model", "geodesic"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """h.zarr, and run/, which was trained on it."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("shm")
    gmaps.build("synthetic", folder / "h.zarr", ("geodesic",), workers=0, **OPTIONS)
    words = [
        "train",
        folder / "h.zarr",
        *NETWORK,
        "--epochs",
        "1",
        "--workers",
        "0",
        "--out",
        folder / "run",
        "--quiet",
    ]
    assert CliRunner().invoke(main, [str(w) for w in words]).exit_code == 0
    return folder


def test_processes_that_cannot_have_locks_are_not_started(place, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_memory, "free_bytes", lambda: 4096)
    with pytest.raises(SharedMemoryError, match=r"2 processes cannot be started: /dev/shm is full \(0.0 MB free\)"):
        gmaps.build("synthetic", tmp_path / "b.zarr", ("geodesic",), workers=2, **OPTIONS)
    with pytest.raises(SharedMemoryError, match="--shm-size=1g"):
        write_tree(tmp_path / "t", "folder", frames=600, workers=2)
    with pytest.raises(SharedMemoryError, match="--workers 0, which needs none"):
        add_maps(place / "h.zarr", ["heatmap"], workers=2, progress=False)
    assert not (tmp_path / "b.zarr.partial").exists()
    train = ["train", place / "h.zarr", *NETWORK, "--workers", 1, "--out", tmp_path / "r"]
    predict = ["predict", place / "h.zarr", "--checkpoint", place / "run", "--workers", 1]
    for words in (train, predict):
        done = CliRunner().invoke(main, [str(w) for w in words])
        assert done.exit_code == 1
        assert "1 processes cannot be started: /dev/shm is full" in done.output
    monkeypatch.setattr(shared_memory, "free_bytes", lambda: None)  # a system without
    gmaps.build("synthetic", tmp_path / "b.zarr", ("geodesic",), workers=0, **OPTIONS)


def in_a_container(command: list[str], size: str, folder) -> subprocess.CompletedProcess[str]:
    """A command with a /dev/shm of this size."""
    words = " ".join(f"'{w}'" for w in (sys.executable, "-m", "gmaps.cli", *command))
    script = f"mount -t tmpfs -o size={size} tmpfs /dev/shm && exec {words}"
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script], cwd=folder, capture_output=True, text=True, timeout=200
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small /dev/shm")
@pytest.mark.parametrize("command", ["train", "predict"])
def test_a_batch_that_does_not_fit_is_told_in_a_line(place, tmp_path, command):
    if in_a_container(["--version"], "1m", tmp_path).returncode:
        pytest.skip("this machine lets nobody mount")
    words = {
        "train": [*NETWORK, "--batch", "64", "--out", str(tmp_path / "r")],
        "predict": ["--checkpoint", str(place / "run")],
    }[command]
    done = in_a_container([command, str(place / "h.zarr"), *words, "--workers", "1"], "256k", tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("gmaps: ") and "compiling" not in line]
    assert "processes that read (--workers 1) cannot hand over a batch: /dev/shm is full" in line
    assert "Traceback" not in done.stderr
