"""Distances along the surface: against the slow twin, exact polyhedral geodesics, and themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import gmaps
from gmaps.kernels.march import lanes, surface
from tests.reference import polyhedral
from tests.reference import surface as twin
from tests.shapes import blob, masks


@given(masks(2, 9), st.integers(0, 2**32 - 1), st.floats(0, 3))
@settings(deadline=None, max_examples=25)
def test_sweeps_over_triangles_equal_their_twin(mask, seed, roughness):
    if not mask.any():
        return
    rng = np.random.default_rng(seed)
    depth = rng.normal(scale=roughness, size=mask.shape).astype(np.float32)
    cells, number, row_ptr, _, fan_ptr, fan, shapes = surface.triangulate(mask, depth, 1.0)
    start = int(rng.integers(len(cells)))
    t = np.full((len(cells) + 1, lanes.LANES), lanes.FAR, np.float32)
    t[start, 0] = 0
    surface.solve(t, row_ptr, fan_ptr, fan, shapes)
    cell = divmod(int(cells[start]), mask.shape[1])
    expected = twin.march(mask, depth, 1.0, {cell: 0.0})[mask]
    found = np.where(t[:-1, 0] < lanes.FAR / 2, t[:-1, 0], math.inf)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    known = np.isfinite(expected)
    np.testing.assert_allclose(found[known], expected[known], atol=2e-4, rtol=2e-4)
    assert (number[cells] == np.arange(len(cells))).all()


@given(masks(3, 20), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_surface_is_never_shorter_than_the_straight_line(mask, seed):
    if not mask.any():
        return
    rng = np.random.default_rng(seed)
    depth = rng.normal(scale=4, size=mask.shape).astype(np.float32)
    at = np.argwhere(mask)[rng.integers(mask.sum())]
    t = gmaps.geodesic_distance(mask, at[None].astype(float), depth=depth, spacing=2.0)[0]
    r, c = np.nonzero(mask & np.isfinite(t))
    straight = np.sqrt(((r - at[0]) ** 2 + (c - at[1]) ** 2) * 4.0 + (depth[r, c] - depth[tuple(at)]) ** 2)
    # Linear interpolation over the first triangles around a source undershoots by a few percent at most.
    assert (t[r, c] >= straight * 0.97 - 1e-3).all()
    assert t[tuple(at)] == 0
    plane = gmaps.geodesic_distance(mask, at[None].astype(float), spacing=2.0)[0]
    np.testing.assert_array_equal(np.isfinite(plane), np.isfinite(t))


@pytest.mark.parametrize(("size", "limit"), [(64, 0.04), (128, 0.03)])
def test_error_against_exact_polyhedral_geodesics(size, limit):
    rng = np.random.default_rng(size)
    mask = blob(rng, size, 0.3)
    depth = ndimage.gaussian_filter(rng.normal(size=(size, size)), size / 16)
    depth = (depth / depth.std() * 15 + (np.arange(size) > size // 2) * 20.0).astype(np.float32)
    h = 240 / size
    cells, number, _, points, fan_ptr, fan, _ = surface.triangulate(mask, depth, h)
    owner = np.repeat(np.arange(len(cells)), np.diff(fan_ptr))
    faces = np.column_stack([owner, fan[: fan_ptr[-1]]])
    faces = np.unique(np.sort(faces[faces[:, 1] != faces[:, 2]], axis=1), axis=0)
    for start in rng.choice(np.unique(faces), 2):
        exact = polyhedral.distances(points, faces, int(start))
        at = divmod(int(cells[start]), size)
        t = gmaps.geodesic_distance(mask, [at], depth=depth, spacing=h)[0].ravel()[cells]
        known = (exact > 0) & (exact < 1e6)
        assert known.mean() > 0.9
        assert np.abs(t - exact)[known].sum() < limit * exact[known].sum()
    assert number[cells[0]] == 0
