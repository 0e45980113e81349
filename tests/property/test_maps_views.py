"""Three views: against slow twins, and free of the original's fault."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps.frame import Crop
from gmaps.kernels.march.cells import march_mask
from gmaps.maps import Scene
from gmaps.maps.multiview import AXES, draw, silhouettes, views
from tests.property.test_maps_planar import rough_crop
from tests.reference import multiview as twin

PROJECTIONS = st.sampled_from(["orthographic", "perspective"])


def small(crop: Crop) -> Crop:
    """Every fourth pixel, for slow twins."""
    return Crop(crop.depth[::4, ::4].copy(), crop.cube, crop.joints_mm, crop.projection)


@given(st.integers(0, 2**32 - 1), PROJECTIONS)
@settings(deadline=None, max_examples=15)
def test_views_equal_their_twin(seed, projection):
    crop = small(rough_crop(np.random.default_rng(seed), 4, projection))
    np.testing.assert_allclose(views(crop), twin.look(crop, crop.size), atol=1e-5)
    np.testing.assert_allclose(views(crop, 16), twin.look(crop, 16), atol=1e-5)
    np.testing.assert_allclose(views(crop, profile="handmap"), twin.look(crop, crop.size, stored=2), atol=1e-5)


@given(st.integers(0, 2**32 - 1), PROJECTIONS)
@settings(deadline=None, max_examples=10)
def test_euclidean_equals_its_twin(seed, projection):
    crop = small(rough_crop(np.random.default_rng(seed), 4, projection))
    ours = gmaps.encode(crop, "views_euclidean", size=16)["views_euclidean"]
    np.testing.assert_allclose(ours, twin.euclidean(crop, 16), atol=1e-5)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_geodesic_is_that_of_each_silhouette(seed):
    crop = rough_crop(np.random.default_rng(seed), 5)
    maps = gmaps.encode(crop, ("views_geodesic", "views_euclidean", "views_geodesic_weighted"))
    g = maps["views_geodesic"]
    scale = maps.scale["views_geodesic"]
    assert scale.shape == (15,)
    drawn = draw(crop)
    for view, (mask, axes) in enumerate(zip(silhouettes(Scene(crop)), AXES, strict=True)):
        assert drawn[view].reshape(32, 4, 32, 4).any(axis=(1, 3))[mask].all()
        px = np.ascontiguousarray((crop.joints[:, axes].astype(float) + 1) / 2 * 32 - 0.5)
        # Over the silhouette as fine as the crop.
        cells, t = march_mask(mask, drawn[view], px, 0.0)
        np.testing.assert_array_equal(cells, np.flatnonzero(mask))
        for j in range(5):
            k = view * 5 + j
            assert (g[..., k][~mask] == 0).all()
            reached = t[:-1, j] < 1 << 19
            mm = ((1 - g[..., k]) * scale[k])[mask]
            np.testing.assert_allclose(mm[reached], t[:-1, j][reached] * 7.5, atol=1e-2)
    np.testing.assert_allclose(maps["views_geodesic_weighted"], g * maps["views_euclidean"])


def test_each_view_stores_what_it_looks_along():
    depth = np.ones((128, 128), np.float32)
    depth[64, 32] = -0.5  # x = -0.49, y = 0.008
    crop = Crop(depth, gmaps.Cube((0, 0, 500)), np.zeros((1, 3), np.float32) + 500)
    seen = views(crop)
    assert seen[64, 32, 0] == -0.5
    assert seen[32, 32, 1] == pytest.approx(0.0078, abs=1e-3)
    assert seen[32, 64, 2] == pytest.approx(-0.492, abs=1e-3)
    assert (seen < 1).sum() == 3
    original = views(crop, profile="handmap")
    assert original[32, 32, 1] == original[32, 64, 2] == -0.5


def test_joints_outside_the_cube_and_any_size():
    crop = rough_crop(np.random.default_rng(1), 6)
    crop.joints_mm[:3] += 1000
    for size in (16, 64):
        for values in gmaps.encode(crop, ("views_euclidean", "views_geodesic"), size=size).values():
            assert values.shape == (size, size, 18)
            assert np.isfinite(values).all()
            assert values.min() >= 0
            assert values.max() <= 1
