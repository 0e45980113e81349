"""Several processes train one network, as `torchrun` starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

import gmaps

torch = pytest.importorskip("torch")

from gmaps.training.checkpoint import load_checkpoint  # noqa: E402
from gmaps.training.log import read_log  # noqa: E402

NET = ["--size", "32", "--stem", "8", "--width", "8", "--head", "8,8", "--hidden", "16"]
HOW = ["--epochs", "2", "--batch", "16", "--workers", "0", "--log-steps", "1", "--patience", "0", "--quiet"]


@pytest.mark.slow
def test_two_processes_share_the_frames_and_stay_the_same(tmp_path):
    gmaps.build("synthetic", tmp_path / "hands.zarr", ("geodesic",), limit=120, workers=0, progress=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gmaps.cli", "train", str(tmp_path / "hands.zarr"), "--model", "geodesic"]
    command += [*NET, *HOW, "--device", "cpu", "--precision", "float32", "--out", str(tmp_path / "run")]
    started = [
        subprocess.Popen(command, env=os.environ | {
            "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"})
        for rank in (0, 1)
    ]  # fmt: skip
    assert [p.wait(240) for p in started] == [0, 0]
    state = load_checkpoint(tmp_path / "run" / "last.pt")
    # 108 frames, 32 a step of both.
    assert (state["world"], state["progress"]["step"]) == (2, 6)
    rows = read_log(tmp_path / "run" / "log.csv")
    assert sum(bool(r["validation_mm"]) for r in rows) == 2
    assert all(torch.isfinite(v.float()).all() for v in state["weights"].values())
