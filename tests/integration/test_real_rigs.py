"""Real files of a rig of eight cameras and of a Kinect, through `folder`: built, inspected and drawn.

The files lie beside the repository and are for trials only; where they are not, these tests skip.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.datasets import check_dataset, load_dataset
from gmaps.plot.overlay import measure_fit


def rig_tree(real: Path, root: Path) -> Path:
    """The rig as a folder: its depth images, joints of each camera in its own axes, and a camera each."""
    with np.load(real / "labels.npz") as file:
        labels = dict(file)
    joints = labels["joints_world_m"]
    camera_tables = []
    for c, serial in enumerate(labels["serials"].tolist()):
        world_to_camera = np.linalg.inv(labels["camera_to_world"][c])
        own = joints @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        there = sorted(int(image.stem.split("_")[1]) for image in real.glob(f"{serial}_*.png"))
        lines = [",".join(f"{v:.6f}" for v in row) for row in own[there].reshape(len(there), -1)]
        (root / f"joints_{serial}.csv").write_text("\n".join(lines) + "\n")
        k = labels["K"][c]
        camera_tables.append(
            f"[cameras.sequence.{serial}]\nfx = {k[0, 0]}\nfy = {k[1, 1]}\ncx = {k[0, 2]}\ncy = {k[1, 2]}\n"
        )
    for image in real.glob("*.png"):
        (root / image.name).symlink_to(image)
    (root / "dataset.toml").write_text(
        "half_side = 125\ndepth_range = [200, 1500]\n"
        "[camera]\nfx = 610.0\nfy = 610.0\ncx = 320.0\ncy = 240.0\nwidth = 640\nheight = 480\n"
        + "".join(camera_tables)
        + '[depth]\nfiles = "{sequence}_{frame:[0-9]{6}}.png"\n'
        '[joints]\nfiles = "joints_{sequence}.csv"\nrows = "order"\nunit = 1000\n'
        '[skeleton]\nname = "openpose21"\n'
    )
    return root


@pytest.fixture(scope="module")
def rig(real_data, tmp_path_factory):
    if not (real_data / "multiview").is_dir():
        pytest.skip("needs the real rig, which is not there")
    return rig_tree(real_data / "multiview", tmp_path_factory.mktemp("rig"))


def test_each_frame_of_the_rig_has_its_own_camera(rig, real_data):
    with np.load(real_data / "multiview" / "labels.npz") as file:
        labels = dict(file)
    ds = load_dataset("folder", rig)
    index = ds.index()
    assert len(ds) == 296
    assert index.cameras == tuple(sorted(labels["serials"].tolist()))
    assert len(index.tracks()) == 8
    for track in index.tracks():
        names = [ds.depth_name(int(i)) for i in track]
        assert names == sorted(names)
    where = {serial: c for c, serial in enumerate(labels["serials"].tolist())}
    near, count = [], 0
    for i in range(0, len(ds), 5):
        serial, number = ds.depth_name(i).removesuffix(".png").split("_")
        c, t = where[serial], int(number)
        assert ds.camera_of(i).fx == pytest.approx(labels["K"][c, 0, 0])
        if not np.isfinite(labels["joints_world_m"][t]).all():
            continue
        frame = ds.read(i)
        # What a hand marked in the image: the joints that were made of it come back within some pixels.
        marked = labels["keypoints_px"][t, c]
        seen = np.isfinite(marked).all(axis=1)
        near += np.linalg.norm(frame.camera.project(frame.joints)[seen, :2] - marked[seen], axis=1).tolist()
        count += 1
    assert count > 10
    assert np.median(near) < 6


def test_the_rig_is_checked_built_and_inspected(rig, tmp_path):
    problems = [c for c in check_dataset("folder", rig) if c.problem]
    assert [c for c in problems if "bad rows" not in c.problem] == []  # joints that fewer than two cameras saw
    out = tmp_path / "rig.zarr"
    report = gmaps.build("folder", out, root=rig, workers=0, max_rejects="90%", progress=False)
    store = gmaps.open_store(out)
    assert len(store) == 296
    valid = np.asarray(store.column("valid"))
    assert report.rejected == (~valid).sum()
    assert valid.sum() > 50
    row = int(np.flatnonzero(valid)[0])
    run = CliRunner().invoke(main, ["inspect", "sample", str(row), "--store", str(out), "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.output)["hand_pixels"] > 500
    # Joints lie in the cube, and near what the camera saw: stereo smears, and centimetres are a wrong camera.
    fits = [measure_fit(load_dataset("folder", rig).read(int(i))) for i in np.flatnonzero(valid)[::12]]
    assert np.median([f.in_image for f in fits]) == 21  # a hand may be half out of one camera's picture
    assert abs(np.median([f.behind[1] for f in fits])) < 40


def test_an_overlay_of_the_rig_is_drawn(rig, tmp_path):
    ds = load_dataset("folder", rig)
    number = next(i for i in range(len(ds)) if ds.depth_name(i).startswith(ds.index().cameras[2]))
    while True:
        try:
            ds.read(number)
            break
        except gmaps.errors.FrameError:
            number += 1
    words = ["datasets", "folder", "--overlay", str(number), "--root", str(rig), "--save", str(tmp_path / "o.png")]
    run = CliRunner().invoke(main, words)
    assert run.exit_code == 0, run.output
    assert (tmp_path / "o.png").stat().st_size > 20_000


def test_a_kinects_frames_without_joints_are_built(real_data, tmp_path):
    real = real_data / "kinect2"
    if not real.is_dir():
        pytest.skip("needs the real Kinect's frames, which are not there")
    root = tmp_path / "kinect"
    root.mkdir()
    for image in real.glob("*.png"):
        (root / image.name).symlink_to(image)
    (root / "dataset.toml").write_text(
        "depth_range = [400, 1200]\n[camera]\nfx = 363.9\nfy = 363.9\ncx = 255.4\ncy = 206.3\nwidth = 512\n"
        'height = 424\n[depth]\nfiles = "{frame:[0-9]{8}}.png"\n'
    )
    assert [c for c in check_dataset("folder", root) if c.problem] == []
    out = tmp_path / "kinect.zarr"
    gmaps.build(
        "folder", out, ("signed_edt",), root=root, center="com", workers=0, max_rejects="100%", progress=False
    )
    store = gmaps.open_store(out)
    assert len(store) == len(list(real.glob("*.png")))
    valid = np.asarray(store.column("valid"))
    assert valid.mean() > 0.5  # in the first frames no hand is raised
    sizes = [(store[int(i)].depth < 1).sum() for i in np.flatnonzero(valid)[::10]]
    assert np.median(sizes) > 500
