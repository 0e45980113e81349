"""Crops: what is seen where, without holes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gmaps.camera import Camera
from gmaps.center import find_center, load_centers
from gmaps.crop import CropParams, crop_dataset_frame, crop_frame
from gmaps.errors import DatasetError, FrameError, UsageError
from gmaps.frame import Cube, Frame
from gmaps.kernels import raster
from tests.scenes import CAMERA, plane_frame


@given(
    st.floats(-0.9, 0.9), st.floats(-0.9, 0.9), st.floats(180, 650), st.sampled_from([96, 128, 200]),
    st.sampled_from([CAMERA, Camera(588.03, 587.07, 320.0, 240.0, 640, 480)]),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_orthographic_crop_of_a_plane_has_no_holes_and_true_depth(a, b, z, size, camera):
    frame = plane_frame((a, b), z, camera)
    crop = crop_frame(frame, Cube((0.0, 0.0, z), 120.0), size=size)
    assert ndimage.binary_fill_holes(crop.mask).sum() == crop.mask.sum()
    # A cell at the cut may touch the rest by a corner only.
    assert ndimage.label(crop.mask, np.ones((3, 3)))[1] == 1
    across = ((np.arange(size) + 0.5) / size * 2 - 1) * 120
    expected = a * across[None, :] + b * across[:, None]
    inner = ndimage.binary_erosion(crop.mask, iterations=3) & (np.abs(expected) < 110)
    # A cell takes the nearest of the pixels whose footprints cover it: within two pixels' step of the plane.
    pixel = (z + 60) / camera.fx
    assert np.abs(crop.depth * 120 - expected)[inner].max() < (abs(a) + abs(b)) * (2.5 * pixel + 240 / size) + 0.2


def test_nearest_point_wins_whatever_the_order():
    depth = np.zeros((240, 320), np.float32)
    depth[100:140, 140:180] = 450
    depth[110:130, 150:170] = 400
    frame = Frame(depth, CAMERA, np.array([[0, 0, 420]], np.float32))
    crop = crop_frame(frame, Cube((0.0, 0.0, 425.0), 120.0))
    # The near square covers |x| < 16.5 mm: 8 cells of 1.875 mm on either side.
    centre = crop.depth[64 - 7 : 64 + 7, 64 - 7 : 64 + 7]
    np.testing.assert_allclose(centre * 120, -25, atol=0.06)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_joints_fall_on_the_cells_of_their_surface(projection):
    depth = np.zeros((240, 320), np.float32)
    uvd = np.array([[100.0, 80.0, 380.0], [200.0, 150.0, 440.0], [161.0, 121.0, 410.0]])
    for u, v, d in uvd.astype(int):
        depth[v, u] = d
    joints = CAMERA.unproject(uvd).astype(np.float32)
    crop = crop_frame(Frame(depth, CAMERA, joints), Cube((-10.0, 5.0, 410.0), 120.0), projection=projection)
    for (row, col), joint in zip(np.floor(crop.joints_px(128) + 0.5).astype(int), joints, strict=True):
        patch = crop.depth[row - 1 : row + 2, col - 1 : col + 2]
        assert np.abs(patch * 120 + 410 - joint[2]).min() < 0.1


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_crop_depth_survives_float16(projection):
    rng = np.random.default_rng(0)
    depth = rng.uniform(300, 520, (240, 320)).astype(np.float32)
    crop = crop_frame(
        Frame(depth, CAMERA, np.zeros((1, 3), np.float32) + 400), Cube((0, 0, 400), 120), projection=projection
    )
    assert crop.mask.mean() > 0.5
    assert crop.depth[crop.mask].max() < 1
    np.testing.assert_array_equal(crop.depth.astype(np.float16).astype(np.float32), crop.depth)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_round_half_is_numpys_rounding(seed):
    rng = np.random.default_rng(seed)
    values = (rng.uniform(-1, 1, (20, 20)) * 10.0 ** rng.integers(-9, 1, (20, 20))).astype(np.float32)
    expected = values.astype(np.float16).astype(np.float32)
    raster.round_half(values)
    np.testing.assert_array_equal(values, expected)


def test_far_face_is_still_hand():
    depth = np.full((240, 320), 520.0, np.float32)
    crop = crop_frame(Frame(depth, CAMERA, np.array([[0, 0, 500]], np.float32)), Cube((0, 0, 400), 120))
    assert crop.mask.any()


def test_empty_cube_is_refused_by_name():
    frame = Frame(np.zeros((240, 320), np.float32), CAMERA, np.array([[0, 0, 400]], np.float32), name="P0/1/7.bin")
    with pytest.raises(FrameError, match=r"P0/1/7.bin.*no depth pixel lies in the cube"):
        crop_frame(frame, Cube((0, 0, 400), 120))
    with pytest.raises(FrameError, match="no hand to be found"):
        find_center(frame, "com", 120, (100, 1000))


def test_nan_depth_and_nan_joints():
    depth = np.full((240, 320), np.nan, np.float32)
    frame = Frame(depth, CAMERA, np.array([[0, 0, 400]], np.float32))
    with pytest.raises(FrameError, match="no depth pixel"):
        crop_frame(frame, Cube((0, 0, 400), 120))
    bad = Frame(np.full((240, 320), 400.0, np.float32), CAMERA, np.array([[0, np.nan, 400]], np.float32), name="x")
    with pytest.raises(FrameError, match="x: joints must be finite"):
        crop_frame(bad, Cube((0, 0, 400), 120))
    with pytest.raises(FrameError, match="not a number"):
        find_center(bad, "joints", 120, (100, 1000))


@pytest.mark.parametrize(
    "values", [{"size": 4}, {"half_side": -1.0}, {"projection": "fisheye"}, {"center": "palm"}, {"half_side": np.nan}]
)
def test_bad_crop_parameters(values):
    with pytest.raises(UsageError):
        CropParams(**values)


def test_center_of_mass_finds_the_nearest_thing_not_the_body_behind():
    depth = np.full((240, 320), 1500.0, np.float32)
    depth[60:200, 20:300] = 900  # a body
    v, u = np.mgrid[:240, :320]
    depth[(u - 210) ** 2 + (v - 90) ** 2 < 30**2] = 500  # a fist
    frame = Frame(depth, CAMERA, np.array([[0, 0, 400]], np.float32))
    x, y, z = find_center(frame, "com", 120, (100, 1000))
    assert abs(z - 500) < 1
    assert abs(x - 50 * 500 / 241.42) < 2
    assert abs(y + 30 * 500 / 241.42) < 2


def scene(*parts):
    """A frame of planes: (slice of rows, slice of columns, mm)."""
    depth = np.zeros((240, 320), np.float32)
    for rows, cols, mm in parts:
        depth[rows, cols] = mm
    return Frame(depth, CAMERA, np.full((1, 3), np.nan, np.float32), name="f")


WALL = (slice(None), slice(None), 1100)
HAND = (slice(100, 150), slice(200, 240), 600)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([WALL], "no depth between 100 and 1000 mm"),
        ([WALL, (slice(120, 121), slice(160, 161), 999)], "only stray pixels"),
        ([(slice(120, 121), slice(160, 161), 999)], "only stray pixels"),
        ([WALL, (slice(0, 240, 24), slice(0, 320, 32), 500)], "only stray pixels"),  # 100 of them, far apart
        ([WALL, (slice(0, 5), slice(0, 5), 400), (slice(230, 235), slice(0, 5), 800)], "only stray pixels"),
    ],
)
def test_no_hand_in_range_is_a_rejection(parts, message):
    with pytest.raises(FrameError, match=rf"^f: .*{message}"):
        find_center(scene(*parts), "com", 120, (100, 1000))


@pytest.mark.parametrize(
    "strays",
    [(slice(0, 240, 24), slice(0, 100, 10), 200), (slice(5, 8), slice(5, 8), 150), (slice(0, 9), slice(0, 9), 110)],
)
def test_stray_pixels_and_walls_do_not_move_the_centre(strays):
    want = find_center(scene(HAND), "com", 120, (100, 1000))
    np.testing.assert_allclose(
        want, [(219.5 - 160) * 600 / CAMERA.fx, (124.5 - 120) * 600 / CAMERA.fy, 600], atol=0.01
    )
    assert find_center(scene(WALL, strays, HAND), "com", 120, (100, 1000)) == pytest.approx(want, abs=1e-6)
    near_far = scene((slice(None), slice(None), 650), HAND)  # a wall within the cube, out of range
    assert find_center(near_far, "com", 120, (100, 640)) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "good"),
    [(0, 0, True), (-480, 0, False), (480, 0, False), (0, 400, False), (0, -400, False), (-370, 0, True)],
)
def test_a_hand_outside_its_picture_is_a_rejection(x, y, good):
    """A table in view is no hand: about -370 mm the outermost joints are still seen."""
    offsets = np.linspace(-20, 20, 21)[:, None] * [1, 1, 0]
    joints = (offsets + np.array([x, y, 560])).astype(np.float32)
    frame = Frame(np.full((240, 320), 600, np.float32), CAMERA, joints, name="f")
    part = Frame(frame.depth[100:, 50:200], CAMERA.cut(50, 100, 150, 140), joints, name="f")
    for one in (frame, part):
        if good:
            crop_dataset_frame(one, (100, 1000), CropParams(), None, CAMERA)
        else:
            with pytest.raises(FrameError, match=r"^f: all its joints lie outside the picture, about column"):
                crop_dataset_frame(one, (100, 1000), CropParams(), None, CAMERA)
    behind = Frame(frame.depth, CAMERA, -joints, name="f")
    with pytest.raises(FrameError, match="outside the picture"):
        crop_dataset_frame(behind, (100, 1000), CropParams(), None, CAMERA)


def test_center_files(tmp_path):
    file = tmp_path / "center_uvd.txt"
    file.write_text("160 120 400\n\ninvalid\n260 20 500\n")
    rows = load_centers(file, CAMERA, 3)
    np.testing.assert_allclose(rows[0], [0, 0, 400])
    assert np.isnan(rows[1]).all()
    np.testing.assert_allclose(rows[2], [100 * 500 / 241.42, -100 * 500 / 241.42, 500], rtol=1e-6)
    with pytest.raises(DatasetError, match="3 centres, the data set has 5 frames"):
        load_centers(file, CAMERA, 5)
    file.write_text("1 2\n")
    with pytest.raises(DatasetError, match="line 1: a centre is three numbers"):
        load_centers(file, CAMERA, 1)
    with pytest.raises(DatasetError, match="no such centre file"):
        load_centers(tmp_path / "nothing.txt", CAMERA, 1)
    frame = Frame(np.full((240, 320), 400.0, np.float32), CAMERA, np.array([[0, 0, 400]], np.float32))
    with pytest.raises(FrameError, match="marked invalid"):
        crop_dataset_frame(frame, (100, 1000), CropParams(center="file"), rows[1])
    crop = crop_dataset_frame(frame, (100, 1000), CropParams(center="file"), np.array([5.0, 6.0, 401.0]))
    assert crop.cube == Cube((5.0, 6.0, 401.0), 120.0)
