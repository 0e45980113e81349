"""The data set of the documentation, installed as another distribution would be, from the command line to a store."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gmaps

PAGE = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()


@pytest.fixture
def run(tmp_path):
    """Runs gmaps in a process that finds the documentation's module and its entry point."""
    (module,) = re.findall(r'^```python\n("""turntable_hands.py.*?)^```', PAGE, re.M | re.S)
    (points,) = re.findall(r'^```toml\n\[project.entry-points."gmaps.datasets"\]\n(.*?)^```', PAGE, re.M | re.S)
    (tmp_path / "turntable_hands.py").write_text(module)
    info = tmp_path / "turntable_hands-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: turntable-hands\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gmaps.datasets]\n" + points.replace('"', ""))

    def go(*words):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-c", "from gmaps.cli import main; main()", *words]
        env = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return go


def test_it_is_listed_checked_built_and_verified(run, tmp_path):
    assert "A flat hand on a turntable" in run("datasets")
    assert "frames of a full turn" in run("datasets", "turntable")
    run("build", "--dataset", "turntable", "-O", "steps=8", "--split", "train", "--out", "t.zarr", "--workers", "2")
    store = gmaps.open_store(tmp_path / "t.zarr")
    assert len(store) == 6
    assert store.column("valid").all()
    assert store.column("frame").tolist() == [1, 2, 3, 5, 6, 7]
    assert store[0].maps["geodesic"].max() > 0.9
    assert "6 rows of 6 made again are the same" in run("verify", "t.zarr")
