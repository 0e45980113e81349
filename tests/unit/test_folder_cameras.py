"""A folder whose frames several cameras took: each sequence, or subject, has numbers of its own."""

from __future__ import annotations

import numpy as np
import pytest

from gmaps.camera import Camera
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.datasets import load_dataset
from gmaps.datasets.write.frame_files import write_grey_png
from gmaps.errors import DatasetError
from gmaps.pipeline.source import FrameCrops
from tests.object_scenes import held

CAMERAS = {"a": Camera(600.0, 605.0, 310.0, 250.0, 640, 480), "b": Camera(640.0, 635.0, 330.0, 230.0, 640, 480)}
TOML = """\
[camera]
fx = 500.0
fy = 500.0
cx = 320.0
cy = 240.0
width = 640
height = 480
{cameras}
[depth]
files = "{{{by}}}/{{frame:[0-9]{{2}}}}.png"
[joints]
files = "{{{by}}}/joints.csv"
{more}
[skeleton]
name = "openpose21"
"""


def write(root, by="sequence", cameras=None, more=""):
    if cameras is None:
        cameras = "".join(
            f"[cameras.{by}.{n}]\nfx = {c.fx}\nfy = {c.fy}\ncx = {c.cx}\ncy = {c.cy}\n" for n, c in CAMERAS.items()
        )
    for name, camera in CAMERAS.items():
        (root / name).mkdir(exist_ok=True)
        rows = []
        for k in range(2):
            seen = held(k, camera)
            write_grey_png(root / name / f"{k:02d}.png", seen.depth)
            rows.append(",".join(f"{v:.4f}" for v in seen.joints.ravel()))
        (root / name / "joints.csv").write_text("\n".join(rows) + "\n")
    (root / "dataset.toml").write_text(TOML.format(cameras=cameras, by=by, more=more))
    return root


@pytest.mark.parametrize("by", ["sequence", "subject"])
def test_each_frame_has_its_camera(tmp_path, by):
    ds = load_dataset("folder", write(tmp_path, by))
    index = ds.index()
    assert index.cameras == ("a", "b")
    assert [len(track) for track in index.tracks()] == [2, 2]
    for i in range(len(ds)):
        name = index.cameras[index.camera[i]]
        frame = ds.read(i)
        assert ds.camera_of(i) == frame.camera == CAMERAS[name]
        np.testing.assert_array_equal(frame.depth, held(i % 2, CAMERAS[name]).depth)
        params = CropParams(half_side=125.0)
        np.testing.assert_array_equal(
            FrameCrops(ds, params).crop(i).depth, crop_dataset_frame(frame, (100, 1000), params).depth
        )


def test_a_camera_that_changes_makes_another_data_set(tmp_path):
    before = load_dataset("folder", write(tmp_path)).fingerprint()
    text = (tmp_path / "dataset.toml").read_text()
    (tmp_path / "dataset.toml").write_text(text.replace("fx = 640.0", "fx = 641.0"))
    assert load_dataset("folder", tmp_path).fingerprint() != before
    write(tmp_path, cameras="")
    plain = load_dataset("folder", tmp_path)
    assert plain.index().camera is None
    assert plain.camera_of(0).fx == 500


@pytest.mark.parametrize(
    ("cameras", "more", "said"),
    [
        ("[cameras.subject.a]\nfx=1.0\nfy=1.0\ncx=1.0\ncy=1.0", "", "told by subject or by sequence"),
        ("[cameras]\n", "", "told by subject or by sequence"),
        ("[cameras.sequence.a]\nfx=1.0\nfy=1.0\ncx=1.0", "", r"cameras\.sequence\.a\.cy is missing"),
        ("[cameras.sequence.a]\nfx=-1.0\nfy=1.0\ncx=1.0\ncy=1.0", "", r"cameras\.sequence\.a\.fx"),
        ("[cameras.sequence.a]\nfx=1.0\nfy=1.0\ncx=1.0\ncy=1.0\nwidth=3", "", "width"),
        ("[cameras.sequence.a]\nfx=1.0\nfy=1.0\ncx=1.0\ncy=1.0", 'kind = "uvd"', "joints of u v d need one camera"),
    ],
)
def test_cameras_that_are_none_are_refused(tmp_path, cameras, more, said):
    with pytest.raises(DatasetError, match=rf"dataset\.toml: .*{said}"):
        load_dataset("folder", write(tmp_path, cameras=cameras, more=more))
