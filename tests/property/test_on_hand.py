"""What a build makes of a crop in one call equals what everybody else computes, to the last bit and byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmaps.errors import FrameError
from gmaps.frame import Crop, OnHand
from gmaps.maps import DEFAULT_MAPS, MapParams, encode_params, get_map
from gmaps.maps.onhand import encode_on_hand
from gmaps.skeleton import get_skeleton
from gmaps.store.codec import encode_chunk
from gmaps.store.schema import MapArray, make_layout
from tests.property.test_maps_planar import rough_crop

SEEDS = st.integers(0, 2**32 - 1)
KINDS = (*DEFAULT_MAPS, "offset", "geodesic_surface")
SKELETON = get_skeleton("msra21")


def same(crop: Crop, params: MapParams) -> None:
    """Asserts that both ways give the same values and scales, and the same bytes in every kind of store."""
    want = encode_params(crop, params, SKELETON)
    got, scale = encode_on_hand(crop, params, SKELETON)
    assert got.keys() == want.keys()
    assert scale.keys() == want.scale.keys()
    for kind, mm in scale.items():
        np.testing.assert_array_equal(mm, want.scale[kind])
    for kind, value in got.items():
        dense = value.dense() if isinstance(value, OnHand) else value
        assert dense.dtype == np.float32
        assert value.shape == want[kind].shape
        assert dense.tobytes() == want[kind].tobytes(), kind
        known = get_map(kind)
        array = MapArray(kind, dense.shape, known.scaled, known.value_range, known.keep_as, known.smooth)
        for dtype in ("float16", "uint8", "float32"):
            if dtype == "uint8" and not np.isfinite(known.value_range).all():
                continue
            for layout in ("packed", "plain"):
                spec = next(a for a in make_layout(21, 128, (array,), dtype, layout) if a.name == f"maps/{kind}")
                assert encode_chunk(spec, value) == encode_chunk(spec, want[kind]), (kind, dtype, layout)


@given(
    SEEDS,
    st.sampled_from(["orthographic", "perspective"]),
    st.sampled_from(["joint", "theta"]),
    st.sampled_from([False, True, 3.0]),
    st.sampled_from([16, 32, 40]),
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=5, unique=True),
)
@settings(deadline=None, max_examples=40)
def test_both_ways_are_one(seed, projection, normalize, bridge, size, kinds):
    crop = rough_crop(np.random.default_rng(seed), 21, projection)
    same(crop, MapParams(tuple(kinds), size, "default", normalize, bridge))


@pytest.mark.parametrize("fill", [1.0, 0.0])
def test_a_crop_of_void_and_a_crop_of_hand(fill):
    crop = rough_crop(np.random.default_rng(1), 21, "orthographic")
    same(Crop(np.full_like(crop.depth, fill), crop.cube, crop.joints_mm), MapParams(DEFAULT_MAPS))


def test_the_default_kinds_come_as_their_hand():
    crop = rough_crop(np.random.default_rng(2), 21, "orthographic")
    made, _ = encode_on_hand(crop, MapParams(DEFAULT_MAPS))
    assert [k for k, v in made.items() if isinstance(v, OnHand)] == ["geodesic", "geodesic_weighted", "euclidean"]


def test_the_original_s_profile_comes_whole():
    crop = rough_crop(np.random.default_rng(3), 21, "orthographic")
    same(crop, MapParams(("geodesic", "euclidean"), profile="handmap"))


def test_joints_that_are_none_are_refused():
    crop = rough_crop(np.random.default_rng(4), 21, "orthographic")
    lost = np.full_like(crop.joints_mm, np.nan)
    with pytest.raises(FrameError, match="geodesic must have joints"):
        encode_on_hand(Crop(crop.depth, crop.cube, lost), MapParams(("signed_edt", "geodesic")))


@given(SEEDS, st.sampled_from(["orthographic", "perspective"]), st.sampled_from([16, 32, 100]))
@settings(deadline=None, max_examples=40)
def test_positions_of_joints_equal_their_formulas(seed, projection, size):
    crop = rough_crop(np.random.default_rng(seed), 21, projection)
    center, half = np.asarray(crop.cube.center), crop.cube.half_side
    mm = crop.joints_mm.astype(np.float64)
    across = mm[:, :2] * (center[2] / mm[:, 2:]) if projection == "perspective" else mm[:, :2]
    np.testing.assert_array_equal(
        crop.joints_px(size), ((across - center[:2]) / (2 * half) + 0.5)[:, ::-1] * size - 0.5
    )
    np.testing.assert_array_equal(crop.inside(), (np.abs(crop.joints) <= 1).all(axis=1))
