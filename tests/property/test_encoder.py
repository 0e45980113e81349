"""An encoder's three ways, one crop, its hand alone and a batch, are equal to the last bit and byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmaps.errors import FrameError, UsageError
from gmaps.frame import Crop, OnHand
from gmaps.maps import DEFAULT_MAPS, Encoded, Encoder, MapKind, MapParams, Scene, get_map
from gmaps.skeleton import get_skeleton
from gmaps.store.codec import encode_chunk
from gmaps.store.schema import MapArray, make_layout
from tests.property.test_maps_planar import rough_crop

SEEDS = st.integers(0, 2**32 - 1)
KINDS = (*DEFAULT_MAPS, "offset", "geodesic_surface")
SKELETON = get_skeleton("msra21")


def same(crop: Crop, params: MapParams) -> None:
    """Asserts that both ways give the same values and scales, and the same bytes in every kind of store."""
    want = Encoder(params, SKELETON).crop(crop)
    got, scale = Encoder(params, SKELETON).hand(crop)
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
def test_a_crop_and_its_hand_are_one(seed, projection, normalize, bridge, size, kinds):
    crop = rough_crop(np.random.default_rng(seed), 21, projection)
    same(crop, MapParams(tuple(kinds), size, "default", normalize, bridge))


@pytest.mark.parametrize("fill", [1.0, 0.0])
def test_a_crop_of_void_and_a_crop_of_hand(fill):
    crop = rough_crop(np.random.default_rng(1), 21, "orthographic")
    same(Crop(np.full_like(crop.depth, fill), crop.cube, crop.joints_mm), MapParams(DEFAULT_MAPS))


def test_the_default_kinds_come_as_their_hand():
    crop = rough_crop(np.random.default_rng(2), 21, "orthographic")
    made, _ = Encoder(MapParams(DEFAULT_MAPS)).hand(crop)
    assert [k for k, v in made.items() if isinstance(v, OnHand)] == ["geodesic", "geodesic_weighted", "euclidean"]


def test_the_original_s_profile_comes_whole():
    crop = rough_crop(np.random.default_rng(3), 21, "orthographic")
    same(crop, MapParams(("geodesic", "euclidean"), profile="handmap"))


def test_joints_that_are_none_are_refused():
    crop = rough_crop(np.random.default_rng(4), 21, "orthographic")
    lost = np.full_like(crop.joints_mm, np.nan)
    with pytest.raises(FrameError, match="geodesic must have joints"):
        Encoder(MapParams(("signed_edt", "geodesic"))).hand(Crop(crop.depth, crop.cube, lost))


@given(
    SEEDS,
    st.sampled_from(["orthographic", "perspective"]),
    st.sampled_from(["joint", "theta"]),
    st.sampled_from([False, 3.0]),
    st.sampled_from(["default", "handmap"]),
    st.lists(st.sampled_from((*KINDS, "views_geodesic")), min_size=1, max_size=4, unique=True),
    st.lists(st.booleans(), min_size=0, max_size=4),
)
@settings(deadline=None, max_examples=40)
def test_a_batch_and_its_crops_are_one(seed, projection, normalize, bridge, profile, kinds, valid):
    rng = np.random.default_rng(seed)
    crops = [rough_crop(rng, 21, projection) for _ in valid]
    encoder = Encoder(MapParams(tuple(kinds), 32, profile, normalize, bridge), SKELETON)
    rows = zip(crops, valid, strict=True)
    depth = np.array([c.depth for c in crops], np.float32).reshape(-1, *(crops[0].depth.shape if crops else (64, 64)))
    cube = np.array([c.cube.to_array() if v else [np.nan] * 4 for c, v in rows], np.float32).reshape(-1, 4)
    joints = np.array([c.joints_mm for c in crops], np.float32).reshape(-1, 21, 3)
    silhouettes = encoder.silhouettes(depth, cube)
    shapes = {kind: get_map(kind).shape(32, SKELETON) for kind in kinds}
    out = {kind: np.full((len(crops), *shape), np.nan, np.float32) for kind, shape in shapes.items()}
    encoder.batch(depth, cube, joints, projection, silhouettes, out)
    for k, crop in enumerate(crops):
        if not valid[k]:
            assert not silhouettes[k].any()
            assert all(not made[k].any() for made in out.values())
            continue
        assert silhouettes[k].tobytes() == encoder.scene(crop).silhouette.tobytes()
        want = encoder.crop(crop)
        assert all(out[kind][k].tobytes() == want[kind].tobytes() for kind in kinds)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_kind_gives_a_scale_if_it_is_scaled_and_only_then(scaled):
    def encode(scene):
        return Encoded(scene.euclidean, None if scaled else np.ones(scene.joints, np.float32))

    kind = MapKind("wrong", "", "", len, (0.0, 1.0), encode, scaled=scaled)
    crop = rough_crop(np.random.default_rng(5), 21, "orthographic")
    with pytest.raises(UsageError, match=r"encode of wrong gives .* scale"):
        kind.made_of(Scene(crop))


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
