"""From files to training, as typed: the real NYU frame, MSRA files with real poses, the synthetic default."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gmaps
from gmaps.maps import DEFAULT_MAPS


def typed(*words: object, cwd: Path, env: dict[str, str] | None = None, code: int = 0) -> str:
    """Run a command in its own process; its stdout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GMAPS_")}
    done = subprocess.run(
        [sys.executable, "-c", "from gmaps.cli import main; main()", *map(str, words)],
        cwd=cwd, env=clean | (env or {}), capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("center", ["joints", "com", "file"])
def test_real_nyu_frame_goes_through_the_whole_line(nyu_tree, real_data, tmp_path, center):
    torch = pytest.importorskip("torch")
    from gmaps.training import GuidanceDataset

    root = nyu_tree()
    if center == "file":
        center = tmp_path / "center_test_uvd.txt"
        center.write_text((real_data / "nyu" / "center_test_uvd.txt").read_text().split("\n")[0] + "\n")
    out = tmp_path / "nyu.zarr"
    report = gmaps.build(
        "nyu", out, ("geodesic_surface", *DEFAULT_MAPS), root=root, split="test", workers=0, center=center,
        dtype="float32", progress=False,
    )  # fmt: skip
    assert (report.frames, report.rejected) == (1, 0)
    sample = gmaps.open_store(out)[0]
    names = (real_data / "nyu" / "test_depth_1_0000001_joints36_uvd.txt").read_text().split("\n")
    uvd = np.array([line.split()[1:] for line in names if line.strip()], float)
    camera = gmaps.load_dataset("nyu", root, split="test").camera
    np.testing.assert_allclose(sample.joints, camera.unproject(uvd), atol=0.05)
    # The surface lies 2.6 to 34.3 mm in front of the joints, along their rays; in the crop, along z, nearly so.
    assert 0.05 < sample.crop.mask.mean() < 0.6
    px = np.floor(sample.crop.joints_px(128) + 0.5).astype(int)
    front = sample.depth[px[:, 0], px[:, 1]] * sample.cube.half_side + sample.cube.center[2]
    seen = sample.crop.mask[px[:, 0], px[:, 1]]
    assert seen.sum() >= 34
    behind = (sample.joints[:, 2] - front)[seen]
    assert behind.min() == pytest.approx(2.6, abs=2)
    assert behind.max() == pytest.approx(34.3, abs=5)
    assert sample.crop.inside().all()
    # Every joint's map peaks at the joint, within a cell.
    for kind in ("geodesic", "heatmap", "geodesic_surface"):
        for j, p in enumerate(sample.crop.joints_px(32)):
            peak = np.unravel_index(sample.maps[kind][..., j].argmax(), (32, 32))
            assert np.hypot(*(np.array(peak) - p)) < 1.5, (kind, j)
    stored, computed = GuidanceDataset(out)[0], GuidanceDataset(out, on_the_fly=True)[0]
    for kind in stored["maps"]:
        assert torch.equal(stored["maps"][kind], computed["maps"][kind])
    text = typed("inspect", "sample", 0, "--store", out, "--save", tmp_path / "p.png", cwd=tmp_path)
    assert "F1_KNU3_A" in text
    assert (tmp_path / "p.png").stat().st_size > 20_000


def test_msra_files_of_real_poses(msra_tree, tmp_path):
    msra_tree({"P0": {"1": 30, "TIP": 12}, "P3": {"Y": 25}}, root=tmp_path / "data" / "msra")
    env = {"GMAPS_DATA": str(tmp_path / "data")}
    out = typed("build", "--dataset", "msra", "--workers", 2, cwd=tmp_path, env=env)
    assert "67 frames" in out
    assert typed("verify", cwd=tmp_path, env=env).startswith("msra.zarr: all checksums are right")
    values = json.loads(typed("inspect", "store", "--json", cwd=tmp_path))
    assert values["rows"] == 67
    sample = json.loads(typed("inspect", "sample", 42, "--json", cwd=tmp_path))
    truth = gmaps.load_dataset("msra", tmp_path / "data" / "msra").read(42)
    assert sample["joints_mm"]["wrist"] == pytest.approx(truth.joints[0].tolist(), abs=1e-3)
    assert sample["maps"]["geodesic"]["max"] > 0.9
    test_only = typed(
        "build", "--dataset", "msra", "--split", "test", "-O", "test_subject=P3", "--out", "p3.zarr",
        "--workers", 0, cwd=tmp_path, env=env,
    )  # fmt: skip
    assert "25 frames" in test_only


def test_the_two_commands_of_the_readme(tmp_path):
    out = typed("build", "--dataset", "synthetic", "--limit", 60, "--workers", 2, cwd=tmp_path)
    assert "60 frames" in out
    assert "index_tip" in typed("inspect", "sample", 42, "--save", "demo.png", cwd=tmp_path)
    assert (tmp_path / "demo.png").exists()
