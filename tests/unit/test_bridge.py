"""Bridges to islands, against a slow readable twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from tests.shapes import masks


def twin(mask: np.ndarray, reached: np.ndarray, slowness: float) -> np.ndarray:
    """Order 1 over hand and void, from what is reached, which stays; every cell again until nothing moves."""
    t = np.where(np.isfinite(reached), reached, np.inf).astype(float)
    fixed = np.isfinite(reached)
    rows, cols = mask.shape

    def at(r: int, c: int) -> float:
        return t[r, c] if 0 <= r < rows and 0 <= c < cols else math.inf

    moved = True
    while moved:
        moved = False
        for r in range(rows):
            for c in range(cols):
                if fixed[r, c]:
                    continue
                a, b = min(at(r - 1, c), at(r + 1, c)), min(at(r, c - 1), at(r, c + 1))
                if math.isinf(min(a, b)):
                    continue
                cost = 1.0 if mask[r, c] else slowness
                if abs(a - b) >= cost:
                    new = min(a, b) + cost
                else:
                    new = (a + b + math.sqrt(2 * cost**2 - (a - b) ** 2)) / 2
                if new < t[r, c] - 1e-9:
                    t[r, c], moved = new, True
    return np.where(mask, t, np.inf)


@given(masks(2, 14), st.integers(0, 2**32 - 1), st.sampled_from([True, 0.5, 3.0]))
@settings(deadline=None, max_examples=40)
def test_bridges_equal_their_twin(mask, seed, slowness):
    if not mask.any():
        return
    rng = np.random.default_rng(seed)
    joints = np.argwhere(mask)[rng.integers(mask.sum(), size=3)].astype(float)
    apart = gmaps.geodesic_distance(mask, joints)
    joined = gmaps.geodesic_distance(mask, joints, bridge=slowness)
    for one, other in zip(apart, joined, strict=True):
        np.testing.assert_allclose(other[mask], twin(mask, one, float(slowness))[mask], atol=1e-3)
        np.testing.assert_array_equal(other[np.isfinite(one)], one[np.isfinite(one)])


@pytest.mark.parametrize("joint", [[-5.0, 3.0], [2.0, 40.0]])
def test_joints_off_the_grid_reach_every_island(joint):
    mask = np.zeros((12, 12), bool)
    mask[1:3, 1:3] = mask[8:11, 7:11] = mask[1, 9] = True
    assert np.isfinite(gmaps.geodesic_distance(mask, [joint], bridge=True)[0][mask]).all()
