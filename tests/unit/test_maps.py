"""The 2D maps: values that can be worked out by hand, and the original's, fault for fault."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps.errors import FrameError, UnknownNameError, UsageError
from gmaps.frame import Crop, Cube
from gmaps.maps import DEFAULT_MAPS
from tests.reference import handmap
from tests.scenes import flat_crop, px_to_mm
from tests.shapes import blob, stick_hand


def upscale(mask: np.ndarray, times: int = 4) -> np.ndarray:
    return np.kron(mask, np.ones((times, times), bool))


def u_shape() -> np.ndarray:
    """Two fingers on a palm, 32 x 32."""
    mask = np.zeros((32, 32), bool)
    mask[20:30, 6:26] = True
    mask[3:20, 6:10] = True
    mask[3:20, 22:26] = True
    return mask


def test_signed_edt_map_is_in_mm_and_signed():
    crop = flat_crop(upscale(u_shape()), [[0, 0, 500]])
    edt = gmaps.encode(crop, "signed_edt")["signed_edt"]
    assert edt.shape == (32, 32, 1)
    # At a cell's centre, between four pixels: as interpolation in the transform of the pixels has it, or nearly.
    fine = gmaps.signed_edt(crop.mask, spacing=240 / 128)
    between = (fine[1::4, 1::4] + fine[2::4, 1::4] + fine[1::4, 2::4] + fine[2::4, 2::4]) / 4
    np.testing.assert_allclose(edt[..., 0], between, atol=0.6)
    assert ((edt[..., 0] > 0) == u_shape()).all()


def test_signed_edt_of_a_full_crop_is_finite():
    crop = flat_crop(np.ones((128, 128), bool), [[0, 0, 500]])
    assert gmaps.encode(crop, "signed_edt")["signed_edt"].max() == 240


def test_euclidean_is_one_at_a_joint_on_the_surface():
    # A joint on a flat surface at the cube's centre: 1. The original's z fault makes it 0.75.
    at = px_to_mm(np.array([[16.0, 16.0]]), 32)
    crop = flat_crop(np.ones((128, 128), bool), at)
    assert gmaps.encode(crop, "euclidean")["euclidean"][16, 16, 0] == pytest.approx(1, abs=1e-6)
    assert gmaps.encode(crop, "euclidean", profile="handmap")["euclidean"][16, 16, 0] == pytest.approx(
        1 - np.hypot(60, np.hypot(3.75, 3.75)) / 240, abs=1e-6
    )


def test_euclidean_measures_depth():
    joint = px_to_mm(np.array([[16.0, 16.0]]), 32, z=530.0)
    crop = flat_crop(np.ones((128, 128), bool), joint, z=-0.5)  # the surface is at 440 mm
    e = gmaps.encode(crop, "euclidean")["euclidean"][..., 0]
    assert e[16, 16] == pytest.approx(1 - 90 / 240, abs=1e-4)
    assert e[16, 20] == pytest.approx(1 - np.hypot(90, 30) / 240, abs=1e-4)


def test_heatmap_peaks_at_one_whatever_the_depth():
    for z in (400.0, 600.0):
        joint = px_to_mm(np.array([[10.0, 20.0]]), 32, z=z)
        crop = flat_crop(np.ones((128, 128), bool), joint)
        h = gmaps.encode(crop, "heatmap")["heatmap"][..., 0]
        assert h[10, 20] == pytest.approx(1, abs=1e-6)
        assert h[10, 21] == pytest.approx(np.exp(-0.5 / 0.64), rel=1e-5)
        original = gmaps.encode(crop, "heatmap", profile="handmap")["heatmap"].max()
        assert original == pytest.approx({400.0: 0.021, 600.0: 0.228}[z], abs=1e-3)


def test_geodesic_goes_around_the_gap():
    # Joint on the left fingertip; the right fingertip is near in space and far along the hand.
    crop = flat_crop(upscale(u_shape()), px_to_mm(np.array([[4.0, 8.0]]), 32))
    maps = gmaps.encode(crop, ("geodesic", "euclidean", "geodesic_weighted"))
    g = maps["geodesic"][..., 0]
    assert g[4, 8] == pytest.approx(1, abs=0.02)
    assert g[4, 23] < 0.06  # 0.04 in the specification's example
    assert g[24, 16] == pytest.approx(0.48, abs=0.06)
    assert maps["euclidean"][4, 23, 0] > 0.5
    assert (g[~u_shape()] == 0).all()
    np.testing.assert_allclose(maps["geodesic_weighted"], maps["geodesic"] * maps["euclidean"])


def test_geodesic_scale_gives_mm_back():
    crop = flat_crop(upscale(u_shape()), px_to_mm(np.array([[4.0, 8.0], [25.0, 16.0]]), 32))
    joint = gmaps.encode(crop, "geodesic")
    theta = gmaps.encode(crop, "geodesic", normalize="theta")
    mask = u_shape()
    mm = (1 - joint["geodesic"]) * joint.scale["geodesic"]
    # The mean over a cell's pixels, of the distances over the crop's own.
    fine = gmaps.geodesic_distance(crop.mask, crop.joints_px(128), spacing=240 / 128, order=2, inscribed=True)
    t = fine.reshape(2, 32, 4, 32, 4).mean(axis=(2, 4)).transpose(1, 2, 0)
    error = np.abs(mm[mask] - t[mask])
    assert error.mean() < 2
    assert error.max() < 6
    assert (theta.scale["geodesic"] == 240).all()
    np.testing.assert_allclose(theta["geodesic"][mask], np.maximum(1 - mm[mask] / 240, 0), atol=1e-5)


@pytest.mark.parametrize("away", [1.0, 2**0.5, 3.0, 16.0])
def test_joint_off_the_silhouette_has_a_map(away):
    mask = np.zeros((32, 32), bool)
    mask[10:31, 2:12] = True
    direction = np.array([0.6, 0.8]) if away not in (1.0,) else np.array([0.0, 1.0])
    joint = np.array([20.0, 11.0]) + away * direction
    crop = flat_crop(upscale(mask), px_to_mm(joint[None], 32))
    g = gmaps.encode(crop, "geodesic")["geodesic"][..., 0]
    assert g.max() > 0.4
    t = gmaps.geodesic_distance(mask, joint[None])[0]
    straight = np.hypot(*(np.argwhere(mask) - joint).T)
    assert (t[mask] >= straight - 1e-4).all()
    assert t[mask].min() == pytest.approx(straight.min(), abs=1e-5)


def test_original_leaves_joints_off_the_silhouette_without_a_map():
    mask = np.zeros((32, 32), bool)
    mask[10:31, 2:12] = True
    crop = flat_crop(upscale(mask), px_to_mm(np.array([[20.0, 12.0], [20.0, 13.0], [9.0, 12.0]]), 32))
    original = gmaps.encode(crop, "geodesic", profile="handmap")["geodesic"]
    assert original[..., 0].max() > 0.5  # touches the hand by an edge
    assert original[..., 1].max() == 0  # two cells away
    assert original[..., 2].max() == 0  # by a corner


@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 32]))
@settings(deadline=None, max_examples=60)
def test_handmap_profile_equals_the_original_steps(seed, size):
    rng = np.random.default_rng(seed)
    shape = stick_hand(rng, 128) if rng.random() < 0.5 else blob(rng, 128, rng.uniform(0.05, 0.6), False)
    depth = np.where(shape, rng.uniform(-1, 0.99, (128, 128)), 1).astype(np.float16).astype(np.float32)
    joints = rng.uniform(-119, 119, (6, 3)).astype(np.float32) + np.array([0, 0, 500], np.float32)
    crop = Crop(depth, Cube((0, 0, 500), 120.0), joints)
    ours = gmaps.encode(crop, DEFAULT_MAPS, size=size, profile="handmap")
    image = handmap.unit_image(depth, size)
    cells = np.floor(crop.joints_px(size) + 0.5).astype(int)
    geodesic = handmap.geodesic(image, cells)
    np.testing.assert_array_equal(ours["geodesic"], geodesic.astype(np.float32))
    euclidean = handmap.euclidean(image, joints, np.array([0, 0, 500]), 120.0)
    np.testing.assert_allclose(ours["euclidean"], euclidean, atol=1e-6)
    np.testing.assert_allclose(ours["geodesic_weighted"], geodesic * euclidean, atol=1e-6)
    np.testing.assert_allclose(ours["heatmap"], handmap.heatmap(crop.joints, cells, size), atol=1e-6)
    np.testing.assert_allclose(ours["signed_edt"][..., 0], handmap.signed_edt(image) * 240 / size, rtol=1e-5)


def test_original_leaks_the_maximum_on_small_islands_and_the_default_does_not():
    mask = np.zeros((32, 32), bool)
    mask[4:8, 4:8] = True  # the joint's island: T_max < 1 in the original's units
    mask[20:30, 20:30] = True
    crop = flat_crop(upscale(mask), px_to_mm(np.array([[5.0, 5.0]]), 32))
    original = gmaps.encode(crop, "geodesic", profile="handmap")["geodesic"][..., 0]
    assert original[25, 25] == pytest.approx(original[20, 29])
    assert 0.2 < original[25, 25] <= 1
    assert gmaps.encode(crop, "geodesic")["geodesic"][25, 25, 0] == 0


def test_stride_loses_thin_fingers_and_pooling_does_not():
    shape = np.zeros((128, 128), bool)
    shape[40:120, 41:43] = True  # between the columns that every fourth pixel sees
    shape[100:120, 30:60] = True
    crop = flat_crop(shape, [[0, 0, 500]])
    pooled = gmaps.encode(crop, "signed_edt")["signed_edt"][..., 0] > 0
    sliced = gmaps.encode(crop, "signed_edt", profile="handmap")["signed_edt"][..., 0] > 0
    assert pooled[12:25, 10].all()
    assert not sliced[12:25, 10].any()


def test_joints_outside_the_cube_are_clipped_not_wrapped():
    crop = flat_crop(upscale(u_shape()), [[-500, 0, 500], [0, 900, 500], [130, -130, 500]])
    maps = gmaps.encode(crop, DEFAULT_MAPS)
    assert not crop.inside().any()
    for name in DEFAULT_MAPS:
        assert np.isfinite(maps[name]).all()
    g = maps["geodesic"]
    # A joint far to the left is nearest to the hand's left edge, never to its right one.
    assert g[20:30, 6, 0].max() > g[20:30, 25, 0].max()
    assert g[29, 6:26, 1].max() > g[3, 6:26, 1].max()


def test_perspective_joints_outside_are_finite_too():
    mask = upscale(u_shape())
    depth = np.where(mask, np.float32(0), np.float32(1))
    crop = Crop(depth, Cube((0, 0, 500), 120.0), np.array([[300, 0, 520]], np.float32), "perspective")
    assert all(np.isfinite(m).all() for m in gmaps.encode(crop, DEFAULT_MAPS).values())


def test_perspective_euclidean_is_one_at_a_joint_on_the_surface():
    depth = np.full((128, 128), 0.5, np.float32)  # 560 mm
    px = np.array([[8.0, 25.0]])
    at_center_plane = px_to_mm(px, 32)[0]
    joint = np.array([[at_center_plane[0] * 560 / 500, at_center_plane[1] * 560 / 500, 560]], np.float32)
    crop = Crop(depth, Cube((0, 0, 500), 120.0), joint, "perspective")
    np.testing.assert_allclose(crop.joints_px(32), px, atol=1e-5)
    assert gmaps.encode(crop, "euclidean")["euclidean"][8, 25, 0] == pytest.approx(1, abs=1e-5)


def test_ten_thousand_random_joints_all_have_a_map():
    rng = np.random.default_rng(5)
    for _ in range(100):
        mask = blob(rng, 32, rng.uniform(0.02, 0.5), connected=False)
        joints = px_to_mm(rng.uniform(-8, 40, (100, 2)), 32)
        g = gmaps.encode(flat_crop(upscale(mask), joints), "geodesic")["geodesic"]
        assert (g.max(axis=(0, 1)) > 0).all()


@pytest.mark.parametrize("joints", [1, 14, 21, 36, 42])
@pytest.mark.parametrize("size", [16, 32, 64, 100, 256])
def test_any_number_of_joints_and_cells(joints, size):
    rng = np.random.default_rng(joints)
    crop = flat_crop(blob(rng, 128), px_to_mm(rng.uniform(0, 31, (joints, 2)), 32), half_side=87.0)
    maps = gmaps.encode(crop, DEFAULT_MAPS, size=size)
    for name, array in maps.items():
        assert array.shape == (size, size, 1 if name == "signed_edt" else joints)
        assert array.dtype == np.float32
        low, high = gmaps.maps.get_map(name).value_range
        assert array.min() >= low
        assert array.max() <= high


def test_refinement_converges_to_the_straight_distance():
    joint = np.array([[3.0, 5.0, 500.0]])
    errors = []
    for size in (16, 32, 64, 128):
        crop = flat_crop(np.ones((128, 128), bool), joint)
        maps = gmaps.encode(crop, "geodesic", size=size)
        t = (1 - maps["geodesic"][..., 0]) * maps.scale["geodesic"]
        across = ((np.arange(size) + 0.5) / size * 2 - 1) * 120
        straight = np.hypot(across[:, None] - 5, across[None, :] - 3)
        errors.append(np.abs(t - straight).mean())
    # The way is straight: what is left of an error is that of pixels where the joint's are coarser than its place.
    assert max(errors) < 0.3
    assert errors[-1] < 0.05


def test_errors_name_the_cure():
    crop = flat_crop(upscale(u_shape()), [[0, 0, 500]])
    with pytest.raises(UnknownNameError, match="Did you mean 'geodesic'"):
        gmaps.encode(crop, ("geodesik",))
    with pytest.raises(UsageError, match="twice"):
        gmaps.encode(crop, ("geodesic", "geodesic"))
    with pytest.raises(UsageError, match="8 to 512"):
        gmaps.encode(crop, ("geodesic",), size=4)
    with pytest.raises(UsageError, match="cannot be inverted"):
        gmaps.decode("euclidean", np.zeros((32, 32, 1)), crop)
    broken = Crop(crop.depth, crop.cube, np.array([[np.nan, 0, 0]], np.float32))
    with pytest.raises(FrameError, match="finite"):
        gmaps.encode(broken, ("geodesic",))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: gmaps.signed_edt(m.astype(float)), "boolean"),
        (lambda m: gmaps.signed_edt(m[0]), "boolean array"),
        (lambda m: gmaps.signed_edt(m, spacing=0), "positive"),
        (lambda m: gmaps.geodesic_distance(m, [1, 2]), "shape"),
        (lambda m: gmaps.geodesic_distance(m, [[1, 2]], order=3), "order is 1 or 2"),
        (lambda m: gmaps.geodesic_distance(m, [[1, 2]], solver="fm"), "Did you mean 'fmm'"),
    ],
)
def test_bad_arguments_of_the_distances(call, message):
    with pytest.raises(UsageError, match=message):
        call(u_shape())


def test_surface_distance_over_a_step_costs_its_height():
    mask = np.ones((5, 20), bool)
    depth = np.zeros((5, 20), np.float32)
    depth[:, 10:] = 30.0
    t = gmaps.geodesic_distance(mask, [[2, 2]], depth=depth)[0]
    flat = gmaps.geodesic_distance(mask, [[2, 2]])[0]
    assert flat[2, 17] == pytest.approx(15)
    assert t[2, 9] == pytest.approx(7)
    assert t[2, 17] == pytest.approx(7 + np.hypot(1, 30) + 7, rel=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.7, 2.0])
def test_surface_distance_on_a_tilted_plane_is_straight(slope):
    rows, cols = np.mgrid[:40, :40].astype(np.float32)
    source = np.array([[17.3, 22.6]])
    t = gmaps.geodesic_distance(np.ones((40, 40), bool), source, depth=slope * cols * 2.0, spacing=2.0)[0]
    straight = 2 * np.hypot(rows - 17.3, (cols - 22.6) * np.hypot(1, slope))
    assert np.abs(t - straight).mean() < 0.025 * straight.mean()


def test_surface_map_does_not_jump_from_a_finger_to_the_palm_behind():
    # A finger 60 mm before the palm, bent over it: in the plane its tip lies on the palm.
    shape = np.zeros((128, 128), bool)
    shape[40:120, 20:108] = True
    depth = np.where(shape, np.float32(0.25), np.float32(1))
    depth[50:110, 60:68] = -0.25
    at = px_to_mm(np.array([[14.0, 15.5]]), 32)
    crop = Crop(depth, Cube((0, 0, 500), 120.0), at.astype(np.float32))
    maps = gmaps.encode(crop, ("geodesic", "geodesic_surface"))
    plane = (1 - maps["geodesic"][14, 20, 0]) * maps.scale["geodesic"][0]
    surface = (1 - maps["geodesic_surface"][14, 20, 0]) * maps.scale["geodesic_surface"][0]
    assert plane == pytest.approx(4.5 * 7.5, rel=1e-4)
    assert surface > plane + 50


def test_bridge_reaches_islands_and_changes_nothing_else():
    mask = np.zeros((32, 32), bool)
    mask[4:12, 4:12] = True
    mask[4:12, 16:26] = True
    joint = np.array([[7.0, 7.0]])
    apart = gmaps.geodesic_distance(mask, joint)[0]
    for slowness in (True, 3.0):
        joined = gmaps.geodesic_distance(mask, joint, bridge=slowness)[0]
        np.testing.assert_array_equal(joined[:, :14], apart[:, :14])
        # Straight across: 4 cells on the island, 4 in the void at its cost, then hand again.
        assert joined[7, 16] == pytest.approx(4 + 4 * float(slowness) + 1, rel=1e-3)
        assert np.isfinite(joined[mask]).all()
        assert np.isinf(joined[~mask]).all()
    crop = flat_crop(upscale(mask), px_to_mm(joint, 32))
    for kind in ("geodesic", "geodesic_surface"):
        assert gmaps.encode(crop, kind)[kind][7, 20, 0] == 0
        assert gmaps.encode(crop, kind, bridge=True)[kind][7, 20, 0] > 0.1


def test_depth_and_bridge_are_the_sweeps():
    mask = np.ones((4, 4), bool)
    with pytest.raises(UsageError, match="knows neither depth nor bridges"):
        gmaps.geodesic_distance(mask, [[0, 0]], solver="fmm", depth=np.zeros((4, 4)))
    with pytest.raises(UsageError, match="finite on the mask"):
        gmaps.geodesic_distance(mask, [[0, 0]], depth=np.full((4, 4), np.nan))
    with pytest.raises(UsageError, match="slowness"):
        gmaps.geodesic_distance(mask, [[0, 0]], bridge=-1)
