"""What a build reads of a frame gives the same crops, to the last bit, as the whole frame does."""

from __future__ import annotations

import numpy as np
import pytest

import gmaps
from gmaps.center import find_center
from gmaps.crop import crop_frame
from gmaps.datasets.base import Window, read_window
from gmaps.datasets.write.tree import write_tree
from gmaps.errors import FrameError
from gmaps.frame import Cube
from tests.trees import bighand_tree, hands17_tree, icvl_tree

#: Data set -> what writes it, and options.
SETS = {
    "nyu": ("nyu", {}), "msra": ("msra", {}), "folder": ("folder", {}), "synhand5m": ("synhand", {"cut": "forearm"}),
    "icvl": (icvl_tree, {}), "hands17": (hands17_tree, {}), "bighand": (bighand_tree, {}),
}  # fmt: skip


@pytest.fixture(scope="module", params=SETS)
def data(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    write, options = SETS[request.param]
    if callable(write):
        write(root)
    else:
        write_tree(root, write, 4, seed=7, workers=1)
    return gmaps.load_dataset(request.param, root=root, **options)


def cropped(frame, cube, projection):
    try:
        return crop_frame(frame, cube, size=96, projection=projection).depth
    except FrameError as error:
        return str(error)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize("half_side", [30.0, 120.0, 150.0, 400.0])
def test_crops_of_the_part_are_those_of_the_whole(data, projection, half_side):
    rng = np.random.default_rng(int(half_side))
    for i in range(len(data)):
        whole = data.read(i)
        middle = np.array(find_center(whole, "joints", half_side, data.info.depth_range))
        for away in (0.0, 40.0, 120.0, 2000.0):
            # A centre beside the hand, at the image's edge, and beyond it; none is the middle of the joints.
            center = None if away == 0 else (middle + rng.normal(0, away, 3)).astype(np.float32)
            part = data.read(i, Window(half_side, center))
            where = middle if center is None else center
            cube = Cube(tuple(float(v) for v in where), half_side)
            np.testing.assert_array_equal(cropped(part, cube, projection), cropped(whole, cube, projection))
            assert (part.name, part.index, part.subject, part.sequence) == (
                whole.name, whole.index, whole.subject, whole.sequence,
            )  # fmt: skip
            np.testing.assert_array_equal(part.joints, whole.joints)


def test_a_cube_that_nobody_knows_yet_needs_the_whole(data):
    part, whole = data.read(0, Window()), data.read(0)
    found = [find_center(f, "com", 120.0, data.info.depth_range) for f in (part, whole)]
    np.testing.assert_allclose(*found, atol=1e-3)
    unknown = data.read(0, Window(120.0, np.full(3, np.nan)))
    np.testing.assert_array_equal(unknown.depth, part.depth)


def test_a_window_is_smaller_than_its_image(data):
    part = data.read(0, Window(50.0))
    assert part.depth.shape == (part.camera.height, part.camera.width)
    assert part.depth.size < data.camera.width * data.camera.height / 3


def test_a_read_that_takes_no_window_is_asked_without_one(data):
    class Plain(type(data)):
        def read(self, i):
            return super().read(i)

    class Passing(type(data)):
        def read(self, i, **how):
            return super().read(i, **how)

    size = data.camera.height, data.camera.width
    for kind, whole in ((Plain, True), (Passing, False)):
        made = object.__new__(kind)
        vars(made).update(vars(data))
        assert (read_window(made, 0, Window(120.0)).depth.shape == size) is whole
        np.testing.assert_array_equal(made.read(0).depth, data.read(0).depth)


def test_a_box_moves_with_the_part(tmp_path):
    """HANDS17's test frames have a box and no joints; a centre file says where the hand is."""
    _, truth = hands17_tree(tmp_path)
    (tmp_path / "frame").mkdir()
    (tmp_path / "training" / "images").rename(tmp_path / "frame" / "images")
    boxes = "".join(f"image_D{k + 1:08d}.png\t200\t150\t250\t220\n" for k in range(len(truth)))
    (tmp_path / "frame" / "BoundingBox.txt").write_text(boxes)
    data = gmaps.load_dataset("hands17", root=tmp_path, split="test")
    for i, (_, joints) in enumerate(truth):
        whole = data.read(i)
        assert data.read(i, Window(120.0)).depth.shape == whole.depth.shape  # where the hand is, nobody knows
        part = data.read(i, Window(120.0, joints.mean(axis=0)))
        assert part.depth.size < whole.depth.size / 3
        # The same ray goes through the box's corner.
        for frame in (whole, part):
            corner = np.array(frame.box[:2]) - (frame.camera.cx, frame.camera.cy)
            np.testing.assert_allclose(corner, [200 - whole.camera.cx, 150 - whole.camera.cy])
            assert frame.box[2:] == (250, 220)
