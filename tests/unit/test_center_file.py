"""Centre files in another convention than they are read in: told by where the joints are."""

from __future__ import annotations

import types

import numpy as np
import pytest

from gmaps.camera import Camera
from gmaps.center import load_centers
from gmaps.errors import DatasetError, FrameError
from gmaps.frame import Frame
from gmaps.pipeline.center_file import check_centers, check_label_axes

CAMERA = Camera(200.0, 200.0, 159.5, 119.5, 320, 240)
N = 40


class Hands:
    """Frames of a square hand at some distance before a wall, and joints."""

    camera = CAMERA
    labelled = described = True
    info = types.SimpleNamespace(name="mine", half_side=120.0, depth_range=(100.0, 1000.0))

    def __init__(self, joints, centers):
        self.joints, self.centers = joints, centers

    def __len__(self):
        return len(self.centers)

    def read(self, i):
        if i % 7 == 3:
            raise FrameError("one that is broken")
        depth = np.full((240, 320), 1400, np.float32)
        u, v, d = CAMERA.project(self.centers[i])
        depth[int(v) - 32 : int(v) + 33, int(u) - 32 : int(u) + 33] = d - 20
        joints = self.joints[i] if self.labelled else np.full((21, 3), np.nan)
        return Frame(depth, CAMERA, joints.astype(np.float32), name=f"{i}")


@pytest.fixture
def hands():
    """Hands low in the picture, and their centres, some 10 mm from the middles of their joints."""
    rng = np.random.default_rng(0)
    centers = np.c_[rng.uniform(-60, 60, N), rng.uniform(30, 90, N), rng.uniform(380, 520, N)]
    joints = centers[:, None] + rng.uniform(-50, 50, (N, 21, 3)) + rng.normal(0, 6, (N, 1, 3))
    return Hands(joints, centers), centers


def write(path, rows):
    lines = [" ".join(f"{v:.4f}" for v in row) for row in rows]
    path.write_text("\n".join(["\ufeff" + lines[0], "", "invalid", *lines[2:]]) + "\n")
    return load_centers(path, CAMERA, len(rows))


def test_centres_in_the_convention_of_their_name_are_taken(hands, tmp_path):
    data, centers = hands
    for name, rows in (("center_refined.txt", centers), ("centers_uvd.txt", CAMERA.project(centers))):
        found = write(tmp_path / name, rows)
        np.testing.assert_allclose(np.delete(found, 1, axis=0), np.delete(centers, 1, axis=0), atol=1e-3)
        assert np.isnan(found[1]).all()
        check_centers(data, found, str(tmp_path / name))
        check_centers(data, found + np.float32(25), str(tmp_path / name))  # a bad detector's, but of this convention


@pytest.mark.parametrize(
    ("name", "made", "says"),
    [
        ("center_refined.txt", CAMERA.project, r"read as xyz, .* as uvd, they would be .* uvd in their name: rename"),
        ("center_uvd.txt", lambda c: c, r"read as uvd, .* as xyz, they .* hold u v d .*: rename it"),
        ("center_refined.txt", lambda c: c * [1, -1, 1], r"as xyz, y up, they .* Write it so: mm, .* y down"),
        ("center_refined.txt", lambda c: c * [1, -1, -1], r"y up and z towards the viewer"),
        ("center_refined.txt", lambda c: c / 1000, r"as xyz, in metres"),
        ("center_refined.txt", lambda c: c * 10, r"in tenths of a mm"),
    ],
)
def test_another_convention_is_named(hands, tmp_path, name, made, says):
    data, centers = hands
    found = write(tmp_path / name, made(centers))
    with pytest.raises(DatasetError, match=rf"{name}: .*{says}"):
        check_centers(data, found, str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "made", "good"),
    [
        ("c.txt", lambda c: c, True), ("c_uvd.txt", CAMERA.project, True),
        ("c.txt", CAMERA.project, False), ("c_uvd.txt", lambda c: c, False),
        ("c.txt", lambda c: c * [1, -1, 1], False),
    ],
)  # fmt: skip
def test_without_joints_depth_tells(hands, tmp_path, name, made, good):
    data, centers = hands
    data.labelled = False
    found = write(tmp_path / name, made(centers))
    if good:
        check_centers(data, found, str(tmp_path / name))
    else:
        with pytest.raises(DatasetError, match="mm from the hands; as"):
            check_centers(data, found, str(tmp_path / name))


def test_labels_in_their_own_convention_are_taken(hands):
    data, _ = hands
    check_label_axes(data)
    data.joints = data.joints + np.random.default_rng(0).normal(0, 15, data.joints.shape)  # bad ones
    check_label_axes(data)
    data.joints[:, :, 0] += 150  # beside the hands, and nothing explains it
    check_label_axes(data)
    data.labelled = False
    check_label_axes(data)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda j: j * [1, -1, 1], "as xyz, y up, "),
        (lambda j: j * [1, -1, -1], "y up and z towards the viewer"),
        (lambda j: j / 1000, "in metres"),
        (lambda j: j * 10, "in tenths of a mm"),
        (CAMERA.project, "as uvd, "),
    ],
)
def test_labels_in_another_convention_are_named(hands, made, says):
    data, _ = hands
    data.joints = made(data.joints)
    with pytest.raises(
        DatasetError, match=rf"mine: \d+ % of joints lie where .*{says}.*(9\d|100) % would: correct the labels"
    ):
        check_label_axes(data)


def test_nothing_is_told_of_nothing(hands):
    data, _ = hands
    check_centers(data, np.full((3, 3), np.nan, np.float32), "c.txt")


def test_commas_and_what_is_no_centre(tmp_path):
    (tmp_path / "c.txt").write_text("1, 2, 400\n\n3,4,500\n")
    np.testing.assert_array_equal(load_centers(tmp_path / "c.txt", CAMERA, 2), [[1, 2, 400], [3, 4, 500]])
    (tmp_path / "c.txt").write_text("1 2 400\n\n3 4\n")
    with pytest.raises(DatasetError, match=r"c.txt, line 3: a centre is three numbers or 'invalid', got '3 4'"):
        load_centers(tmp_path / "c.txt", CAMERA, 2)


@pytest.mark.parametrize("word", ["inf", "-Infinity", "1e400", "1_0"])
def test_what_is_no_place_is_no_centre(tmp_path, word):
    path = tmp_path / "c.txt"
    path.write_text(f"1 2 500\n1 {word} 500\n")
    with pytest.raises(DatasetError, match="line 2: a centre is three numbers or 'invalid'"):
        load_centers(path, CAMERA, 2)
