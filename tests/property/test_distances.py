"""The two distances against their slow twins, SciPy and scikit-fmm, on any silhouette."""

from __future__ import annotations

import numpy as np
import pytest
import skfmm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

import gmaps
from gmaps.kernels.march import fmm, starts
from tests.reference import eikonal
from tests.shapes import blob, masks, stick_hand

settings.register_profile("kernels", deadline=None, max_examples=60)
settings.load_profile("kernels")


@given(masks())
def test_signed_edt_equals_its_twin(mask):
    np.testing.assert_allclose(gmaps.signed_edt(mask), eikonal.signed_edt(mask), rtol=1e-6)


@given(masks(2, 60), st.floats(0.01, 50))
def test_signed_edt_equals_scipy(mask, spacing):
    if mask.all() or not mask.any():
        return  # SciPy has no answer there
    expected = (distance_transform_edt(mask) - distance_transform_edt(~mask)) * spacing
    np.testing.assert_allclose(gmaps.signed_edt(mask, spacing), expected, rtol=1e-6)


@given(masks())
def test_signed_edt_flips_with_the_mask(mask):
    np.testing.assert_array_equal(gmaps.signed_edt(mask), -gmaps.signed_edt(~mask))


@given(masks(2, 40), st.integers(0, 2**32 - 1))
def test_what_a_masked_array_masks_is_not_hand(mask, seed):
    hidden = np.random.default_rng(seed).random(mask.shape) < 0.2
    masked, plain = np.ma.masked_array(mask, hidden), mask & ~hidden
    np.testing.assert_array_equal(gmaps.signed_edt(masked), gmaps.signed_edt(plain))
    p = np.ma.masked_array([[0.0, 1.0], [1.0, 0.5]], [[False, False], [True, False]])
    got = gmaps.geodesic_distance(masked, p)
    np.testing.assert_array_equal(got[:1], gmaps.geodesic_distance(plain, p.data[:1]))
    assert np.isinf(got[1]).all()


def test_masked_pixels_of_a_frame_are_no_data():
    depth = np.full((64, 64), 400.0, np.float32)
    hidden = np.zeros(depth.shape, bool)
    hidden[:, 32:] = True
    joints = np.array([[0, 0, 400.0]], np.float32)
    camera = gmaps.Camera(100.0, 100.0, 32.0, 32.0, 64, 64)
    frame = gmaps.Frame(np.ma.masked_array(depth, hidden), camera, joints)
    cube = gmaps.Cube((0, 0, 400), 100)
    expected = gmaps.crop_frame(gmaps.Frame(np.where(hidden, 0, depth).astype(np.float32), camera, joints), cube)
    np.testing.assert_array_equal(gmaps.crop_frame(frame, cube).depth, expected.depth)
    unknown = gmaps.Frame(depth, camera, np.ma.masked_array(joints, np.ones(joints.shape, bool)))
    assert not unknown.labelled


@pytest.mark.parametrize("size", [32, 64, 128, 200])
def test_signed_edt_equals_scipy_on_large_grids(size):
    rng = np.random.default_rng(size)
    mask = blob(rng, size)
    np.testing.assert_allclose(
        gmaps.signed_edt(mask), distance_transform_edt(mask) - distance_transform_edt(~mask), rtol=1e-6
    )


def random_cells(mask, rng, n):
    cells = np.argwhere(mask)
    return cells[rng.integers(len(cells), size=n)].astype(float)


def scikit_fmm(mask, joint, dx, order):
    phi = np.ones(mask.shape)
    phi[tuple(joint.astype(int))] = 0
    t = skfmm.distance(np.ma.MaskedArray(phi, ~mask), dx=dx, order=order)
    return np.ma.filled(t, np.inf) if np.ma.isMA(t) else t


@given(masks(2, 24), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 7.5]), st.sampled_from([1, 2]))
@settings(max_examples=400)
def test_fmm_is_bit_identical_to_scikit_fmm(mask, seed, dx, order):
    if not mask.any():
        return
    joints = random_cells(mask, np.random.default_rng(seed), 3)
    ptr, cells, values = starts.find_starts(mask, joints, False)
    ours = np.empty((3, *mask.shape))
    fmm.fast_marching(mask, ptr, cells, values * dx, dx, order, ours)
    for joint, plane in zip(joints, ours, strict=True):
        np.testing.assert_array_equal(plane, scikit_fmm(mask, joint, dx, order))


@pytest.mark.parametrize("order", [1, 2])
def test_fmm_is_bit_identical_on_thousands_of_masks(order):
    rng = np.random.default_rng(order)
    for _ in range(1500):
        size = int(rng.integers(8, 40))
        mask = stick_hand(rng, size) if rng.random() < 0.3 else blob(rng, size, rng.uniform(0.1, 0.9), False)
        joints = random_cells(mask, rng, 1)
        ours = np.empty((1, size, size))
        ptr, cells, values = starts.find_starts(mask, joints, False)
        fmm.fast_marching(mask, ptr, cells, values * 0.1, 0.1, order, ours)
        np.testing.assert_array_equal(ours[0], scikit_fmm(mask, joints[0], 0.1, order))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dx", [0.1, 3.0])
def test_fmm_is_bit_identical_where_fronts_are_long(order, dx):
    rng = np.random.default_rng(order)
    for size in (100, 128, 201, 256):
        mask = rng.random((size, size)) < 0.97
        mask[::40, : size // 2] = False
        joints = random_cells(mask, rng, 2)
        ours = np.empty((2, size, size))
        ptr, cells, values = starts.find_starts(mask, joints, False)
        fmm.fast_marching(mask, ptr, cells, values * dx, dx, order, ours)
        for joint, plane in zip(joints, ours, strict=True):
            np.testing.assert_array_equal(plane, scikit_fmm(mask, joint, dx, order))


@given(masks(2, 16), st.floats(-3, 20), st.floats(-3, 20), st.sampled_from([1e-3, 1.0, 1e5]))
def test_fmm_from_anywhere_equals_its_twin(mask, row, col, spacing):
    ours = gmaps.geodesic_distance(mask, [[row, col]], solver="fmm", spacing=spacing)[0]
    twin = eikonal.march(mask, eikonal.starts(mask, row, col, False))
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(twin))
    reached = np.isfinite(twin)
    np.testing.assert_allclose(ours[reached] / spacing, twin[reached], atol=2e-4)


@given(masks(2, 40), st.integers(0, 2**32 - 1), st.integers(1, 45))
def test_sweep_of_order_one_equals_fast_marching(mask, seed, joints):
    if not mask.any():
        return
    p = random_cells(mask, np.random.default_rng(seed), joints)
    swept = gmaps.geodesic_distance(mask, p)
    marched = gmaps.geodesic_distance(mask, p, solver="fmm")
    np.testing.assert_array_equal(np.isfinite(swept), np.isfinite(marched))
    reached = np.isfinite(marched)
    assert np.abs(swept[reached] - marched[reached]).max() <= 1e-5 * max(marched[reached].max(), 1)


@given(masks(2, 16), st.floats(-3, 20), st.floats(-3, 20), st.booleans())
@settings(max_examples=200)
def test_start_cells_equal_their_twin(mask, row, col, inscribed):
    _, cells, values = starts.find_starts(mask, np.array([[row, col]]), inscribed)
    found = {(int(c) // mask.shape[1], int(c) % mask.shape[1]): v for c, v in zip(cells, values, strict=True)}
    expected = eikonal.starts(mask, row, col, inscribed)
    assert found.keys() == expected.keys()
    for cell, value in expected.items():
        assert found[cell] == pytest.approx(value, abs=1e-12)


@given(masks(2, 16), st.floats(-3, 20), st.floats(-3, 20))
def test_march_from_anywhere_equals_its_twin(mask, row, col):
    ours = gmaps.geodesic_distance(mask, [[row, col]])[0]
    twin = eikonal.march(mask, eikonal.starts(mask, row, col, False))
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(twin))
    np.testing.assert_allclose(ours[np.isfinite(twin)], twin[np.isfinite(twin)], atol=2e-4)


@given(masks(2, 20), st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([1, 2]))
def test_mirrors_and_quarter_turns_commute(mask, seed, inscribed, order):
    if not mask.any():
        return
    p = random_cells(mask, np.random.default_rng(seed), 4)
    straight = gmaps.geodesic_distance(mask, p, inscribed=inscribed, order=order)
    mirrored = gmaps.geodesic_distance(
        mask[:, ::-1], np.stack([p[:, 0], mask.shape[1] - 1 - p[:, 1]], 1), inscribed=inscribed, order=order
    )
    turned = gmaps.geodesic_distance(
        np.rot90(mask), np.stack([mask.shape[1] - 1 - p[:, 1], p[:, 0]], 1), inscribed=inscribed, order=order
    )
    np.testing.assert_allclose(mirrored[:, :, ::-1], straight, atol=5e-3 if order == 2 else 1e-4)
    np.testing.assert_allclose(np.rot90(turned, -1, axes=(1, 2)), straight, atol=5e-3 if order == 2 else 1e-4)
