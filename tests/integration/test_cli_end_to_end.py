"""The installed `gmaps` script in a process of its own: Ctrl-C and going on, and what goes to which stream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gmaps

SCRIPT = Path(sys.executable).with_name("gmaps")
ENV = {k: v for k, v in os.environ.items() if not k.startswith("GMAPS_")}
# One shard and a half: the first is kept, the second is interrupted.
BUILD = ("build", "--limit", "1500", "--workers", "0", "--maps", "geodesic,heatmap")


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # SIGINT may be ignored where the tests run in the background, and children inherit that.
        [sys.executable, "-c", "import signal, runpy, sys; "
         "signal.signal(signal.SIGINT, signal.default_int_handler); "
         "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')", SCRIPT, *words],
        cwd=cwd, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def typed(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *words], cwd=cwd, env=ENV, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(not SCRIPT.exists(), reason="the console script is not installed beside this Python")
def test_ctrl_c_then_the_same_command_goes_on(tmp_path):
    process = start(*BUILD, cwd=tmp_path)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith("1,024 of 1,500 frames (68%)"), first
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "gmaps: stopped: 1 of 2 shards are kept. Run the same command again to go on" in err
    assert "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["synthetic.zarr.partial"]

    unfinished = typed("inspect", "store", cwd=tmp_path)
    assert (unfinished.returncode, unfinished.stdout) == (1, "")
    assert "only synthetic.zarr.partial: run the same `gmaps build` command again" in unfinished.stderr

    resumed = typed(*BUILD, "--json", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    report = json.loads(resumed.stdout)
    assert (report["frames"], report["shards_done_now"], report["resumed"]) == (1500, 1, True)
    assert "going on after 1 of 2 shards" in resumed.stderr
    store = gmaps.open_store(tmp_path / "synthetic.zarr")
    np.testing.assert_array_equal(store.column("frame"), np.arange(1500))
    assert store.column("valid").all()


@pytest.mark.skipif(not SCRIPT.exists(), reason="the console script is not installed beside this Python")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("inspect", "store"), 1, "gmaps: there is no store here"),
        (("build", "--dataset", "sinthetic"), 2, "Did you mean 'synthetic'?"),
        (("build", "--limit", "none"), 2, "'none' is not a valid integer"),
    ],
)
def test_mistakes_go_to_stderr_without_a_traceback(words, code, message, tmp_path):
    done = typed(*words, cwd=tmp_path)
    assert done.returncode == code
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
