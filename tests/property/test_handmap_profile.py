"""`profile="handmap"` against the original's own steps, written with SciPy, scikit-fmm and NumPy's masked arrays."""

from __future__ import annotations

import numpy as np
import pytest
import skfmm
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps.errors import UsageError
from gmaps.frame import Crop, Cube
from gmaps.kernels.march import fmm_space
from tests.reference import handmap, multiview

SEEDS = st.integers(0, 2**32 - 1)
CENTER, HALF, SIZE = np.array([10.0, -20.0, 500.0]), 100.0, 16


def crop_of(seed: int) -> tuple[Crop, np.ndarray]:
    """32 x 32 pixels of a slope with a step, and a rough patch; joints in the cube and out of it. And its points."""
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[:32, :32] / 32
    slope = rng.uniform(-1.2, 1.2) * r + rng.uniform(-1.2, 1.2) * c + 0.4 * (c > rng.uniform(0.3, 0.7))
    hand = np.hypot(r - rng.uniform(0.3, 0.7), c - 0.5) < rng.uniform(0.2, 0.45)
    depth = np.where(hand, np.clip(slope - slope[hand].mean() + rng.normal(0, 0.05, r.shape), -1, 0.99), 1)
    joints = CENTER + rng.uniform(-99, 99, (5, 3))
    joints[0] = CENTER + np.array([130, 60, 150])  # beyond theta of most
    crop = Crop(depth.astype(np.float16).astype(np.float32), Cube(tuple(CENTER), HALF), joints.astype(np.float32))
    return crop, np.array(multiview.points(crop)).reshape(-1, 3)


def occupied(points: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros((size,) * 3, bool)
    out[tuple(np.floor((points + 1) / 2 * size).astype(int).clip(0, size - 1).T)] = True
    return out


@given(SEEDS)
@settings(deadline=None, max_examples=30)
def test_maps_of_the_plane(seed):
    crop, _ = crop_of(seed)
    maps = gmaps.encode(crop, ("euclidean", "offset", "geodesic", "geodesic_weighted"), size=SIZE, profile="handmap")
    image = handmap.unit_image(crop.depth, SIZE)
    offset = handmap.offset(image, crop.joints_mm, CENTER, HALF)
    cells = np.floor(crop.joints_px(SIZE) + 0.5).astype(int).clip(0, SIZE - 1)
    geodesic = handmap.geodesic(image, cells)
    np.testing.assert_allclose(maps["offset"], offset, atol=1e-6)
    np.testing.assert_allclose(maps["euclidean"], offset[..., :5], atol=1e-6)
    np.testing.assert_allclose(maps["geodesic"], geodesic, atol=1e-6)
    np.testing.assert_allclose(maps["geodesic_weighted"], geodesic * offset[..., :5], atol=1e-6)


@given(SEEDS)
@settings(deadline=None, max_examples=30)
def test_maps_of_three_views(seed):
    crop, points = crop_of(seed)
    kinds = ("views_euclidean", "views_geodesic", "views_geodesic_weighted")
    maps = gmaps.encode(crop, kinds, size=SIZE, profile="handmap")
    unit = (crop.joints_mm.astype(float) - CENTER) / HALF
    geodesic = handmap.views_geodesic(points, unit, 32, SIZE)
    straight = handmap.views_euclidean(handmap.voxel_offset(occupied(points, SIZE), crop.joints_mm, CENTER, HALF))
    np.testing.assert_allclose(maps["views_euclidean"], straight, atol=1e-6)
    np.testing.assert_allclose(maps["views_geodesic"], geodesic, atol=1e-6)
    np.testing.assert_allclose(maps["views_geodesic_weighted"], geodesic * straight, atol=1e-6)


@given(SEEDS)
@settings(deadline=None, max_examples=30)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_maps_in_voxels(seed):
    crop, points = crop_of(seed)
    kinds = ("truncated_distance", "tsdf", "voxel_geodesic", "voxel_offset")
    maps = gmaps.encode(crop, kinds, size=SIZE, profile="handmap")
    fine, coarse = occupied(points, 2 * SIZE), occupied(points, SIZE)
    np.testing.assert_allclose(maps["truncated_distance"][..., 0], handmap.truncated_distance(fine), atol=1e-6)
    np.testing.assert_allclose(maps["tsdf"], handmap.tsdf(fine), atol=1e-6)
    unit = (crop.joints_mm.astype(float) - CENTER) / HALF
    cells = np.floor((unit + 1) / 2 * SIZE).astype(int).clip(0, SIZE - 1)
    np.testing.assert_allclose(maps["voxel_geodesic"], handmap.voxel_geodesic(coarse, cells), atol=1e-6)
    offset = handmap.voxel_offset(coarse, crop.joints_mm, CENTER, HALF)
    np.testing.assert_allclose(maps["voxel_offset"], offset, atol=1e-6)


def test_a_plate_by_hand():
    """A plate at z = 0 and a joint at its centre: from the corner of the cell, and half a cube side off in z."""
    crop = Crop(np.zeros((128, 128), np.float32), Cube((0, 0, 500), 120.0), np.array([[0, 0, 500]], np.float32))
    maps = gmaps.encode(crop, ("euclidean", "offset", "truncated_distance", "tsdf"), size=32, profile="handmap")
    corner = np.array([10 / 32 * 2 - 1, 10 / 32 * 2 - 1, 0.5]) * 120
    assert maps["euclidean"][10, 10, 0] == pytest.approx(1 - np.linalg.norm(corner) / 240, abs=1e-6)
    assert maps["euclidean"][10, 10, 0] == pytest.approx(0.6356, abs=1e-4)
    np.testing.assert_allclose(maps["offset"][10, 10, 1:], -corner / np.linalg.norm(corner), atol=1e-6)
    line = maps["truncated_distance"][20, 20, :, 0]
    np.testing.assert_allclose(line[28:37], [0, 0, 0.2, 0.1, 0, 0.1, 0.2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(
        maps["tsdf"][20, 20, 27:38, 2], [0, 0, 0.3, 0.2, 0.1, 0, -0.1, -0.2, -0.3, 0, 0], atol=1e-6
    )


@given(SEEDS, st.sampled_from([0.004, 0.02, 0.1, 0.4]))
@settings(deadline=None, max_examples=40)
def test_the_march_in_space_is_that_of_scikit_fmm_to_the_last_bit(seed, share):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(6, 18))
    hit = rng.random((size,) * 3) < share
    cell = tuple(rng.integers(0, size, 3))
    hit[cell] = True
    out, nowhere = np.empty(hit.shape), np.zeros(hit.shape, bool)
    fmm_space.fast_marching(np.ones(hit.shape, bool), np.where(hit, 0.0, np.nan), nowhere, 0.1, 0.2, out)
    theirs = skfmm.distance(np.where(hit, 0.0, 1.0), dx=0.1, narrow=0.2)
    np.testing.assert_array_equal(out, np.ma.filled(np.ma.masked_array(theirs), np.inf))
    start = np.full(hit.shape, np.nan)
    start[cell] = 0
    fmm_space.fast_marching(hit, start, nowhere, 0.1, 0.0, out)
    phi = np.ma.masked_array(np.ones(hit.shape), ~hit)
    phi[cell] = 0
    np.testing.assert_array_equal(out, np.ma.filled(np.ma.masked_array(skfmm.distance(phi, dx=0.1)), np.inf))


@pytest.mark.parametrize(("size", "cells"), [(100, 40), (128, 48), (16, 32)])
def test_crops_that_are_no_multiple_of_the_map_are_refused(size, cells):
    crop = Crop(np.zeros((size, size), np.float32), Cube((0, 0, 500)), np.array([[0, 0, 500]], np.float32))
    for kind in ("signed_edt", "euclidean", "geodesic", "views_geodesic"):
        with pytest.raises(UsageError, match=f"crops of {size} rows have no maps of {cells}"):
            gmaps.encode(crop, kind, size=cells, profile="handmap")
    assert np.isfinite(gmaps.encode(crop, "euclidean", size=cells)["euclidean"]).all()


def test_a_build_of_such_crops_is_refused_before_the_first(tmp_path):
    with pytest.raises(UsageError, match="crops of 100 rows have no maps of 40"):
        gmaps.build(
            "synthetic", tmp_path / "s.zarr", "voxel_offset", profile="handmap", crop_size=100, map_size=40, limit=1
        )
    assert not list(tmp_path.iterdir())
