"""Offsets, limbs and decoders: against slow twins and against true positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps.errors import UsageError
from gmaps.frame import Crop, Cube
from gmaps.maps import Scene
from gmaps.maps.limb import groups
from gmaps.skeleton import SKELETONS, Skeleton, get_skeleton
from tests.reference import planar as twin
from tests.scenes import flat_crop, px_to_mm
from tests.shapes import blob

MSRA = get_skeleton("msra21")


def rough_crop(rng, joints=21, projection="orthographic", half_side=120.0):
    """A blob with a rough surface, and joints inside the flesh behind it."""
    mask = blob(rng, 128, 0.35)
    depth = np.where(mask, rng.uniform(-0.3, 0.2, (128, 128)), 1).astype(np.float16).astype(np.float32)
    at = np.argwhere(mask)[rng.integers(mask.sum(), size=joints)] + rng.uniform(-0.5, 0.5, (joints, 2))
    xyz = px_to_mm(at, 128, half_side=half_side)
    xyz[:, 2] = 500 + rng.uniform(0, 30, joints)
    if projection == "perspective":
        xyz[:, :2] *= xyz[:, 2:] / 500
    return Crop(depth, Cube((0, 0, 500), half_side), xyz.astype(np.float32), projection)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["orthographic", "perspective"]))
@settings(deadline=None, max_examples=15)
def test_offset_equals_its_twin(seed, projection):
    crop = rough_crop(np.random.default_rng(seed), 5, projection)
    ours = gmaps.encode(crop, "offset", size=16)["offset"]
    scene = Scene(crop, 16)
    np.testing.assert_allclose(ours, twin.offset(scene.points, scene.silhouette, crop.joints_mm, 240.0), atol=2e-5)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["orthographic", "perspective"]), st.floats(60, 200))
@settings(deadline=None, max_examples=40)
def test_offset_gives_joints_back_in_space(seed, projection, half_side):
    crop = rough_crop(np.random.default_rng(seed), 21, projection, half_side)
    blind = Crop(crop.depth, crop.cube, np.zeros_like(crop.joints_mm), projection)
    found = gmaps.decode("offset", gmaps.encode(crop, "offset")["offset"], blind)
    assert np.linalg.norm(found - crop.joints_mm, axis=1).max() < 0.5


@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 32, 64]))
@settings(deadline=None, max_examples=40)
def test_heatmap_gives_joints_back_in_the_plane(seed, size):
    rng = np.random.default_rng(seed)
    crop = flat_crop(blob(rng, 128, 0.5), px_to_mm(rng.uniform(1, size - 2, (21, 2)), size))
    found = gmaps.decode("heatmap", gmaps.encode(crop, "heatmap", size=size)["heatmap"], crop)
    assert np.abs(found[:, :2] - crop.joints_mm[:, :2]).max() < 0.5 * 32 / size


def test_heatmap_on_the_border_and_outside_stays_in_the_cube():
    crop = flat_crop(np.ones((128, 128), bool), [[119, 0, 500], [-300, 80, 500], [0, 119.9, 500]])
    found = gmaps.decode("heatmap", gmaps.encode(crop, "heatmap")["heatmap"], crop)
    assert (np.abs(found[:, :2]) <= 120).all()
    assert np.abs(found[0, 0] - 119) < 7.5


@given(st.integers(0, 2**32 - 1), st.sampled_from(["joint", "theta"]))
@settings(deadline=None, max_examples=40)
def test_geodesic_gives_joints_back_in_the_plane(seed, normalize):
    crop = rough_crop(np.random.default_rng(seed))
    maps = gmaps.encode(crop, "geodesic", normalize=normalize)
    found = gmaps.decode("geodesic", maps["geodesic"], crop, scale=maps.scale["geodesic"])
    error = np.linalg.norm((found - crop.joints_mm)[:, :2], axis=1)
    # Exact where the joint sees hand on all sides; on thin parts the cells near by lie in a line, or nearly.
    assert np.median(error) < 0.5
    assert np.mean(error < 7.5) > 0.9


def test_geodesic_needs_its_scale():
    crop = rough_crop(np.random.default_rng(0))
    with pytest.raises(UsageError, match="scale"):
        gmaps.decode("geodesic", np.zeros((32, 32, 21), np.float32), crop)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["msra21", "nyu14", "nyu36"]), st.booleans())
@settings(deadline=None, max_examples=12)
def test_limbs_equal_their_twin(seed, name, probabilistic):
    rng = np.random.default_rng(seed)
    skeleton = get_skeleton(name)
    crop = flat_crop(np.ones((128, 128), bool), px_to_mm(rng.uniform(-3, 18, (len(skeleton), 2)), 16))
    of = groups(skeleton)
    parts = [[b for b, g in zip(skeleton.bones, of, strict=True) if g == k] for k in range(max(of) + 1)]
    expected = {
        "each": [[b] for b in skeleton.bones],
        "g1": [list(skeleton.bones)],
        "g6": parts,
        "g1g6": [list(skeleton.bones), *parts],
    }
    for grouping, channels in expected.items():
        kind = f"limb_{'lpm' if probabilistic else 'ldm'}_{grouping}"
        kind = "limb" if kind == "limb_lpm_g1g6" else kind
        ours = gmaps.encode(crop, kind, size=16, skeleton=skeleton)[kind]
        assert ours.shape[-1] == gmaps.maps.get_map(kind).channels(skeleton)
        np.testing.assert_allclose(ours, twin.limb(crop.joints_px(16), channels, 16, probabilistic), atol=1e-6)


def test_twenty_limbs_in_six_groups():
    of = groups(MSRA)
    assert len(MSRA.bones) == 20
    assert [of.count(k) for k in range(6)] == [3, 3, 3, 3, 3, 5]
    palm = [b for b, k in zip(MSRA.bones, of, strict=True) if k == 5]
    assert all(parent == 0 and MSRA.joints[child].endswith("mcp") for parent, child in palm)


def test_limbs_need_the_bones_of_these_joints():
    crop = flat_crop(np.ones((128, 128), bool), np.zeros((21, 3)) + 500)
    with pytest.raises(UsageError, match="give encode a skeleton"):
        gmaps.encode(crop, "limb")
    with pytest.raises(UsageError, match="nyu14 has 14 joints, the crop 21"):
        gmaps.encode(crop, "limb", skeleton=SKELETONS["nyu14"])


@pytest.mark.parametrize("joints", [14, 21, 42])
def test_any_skeleton_through_every_kind(joints):
    chain = Skeleton(
        "chain", tuple(f"j{k}" for k in range(joints)), (-1, *range(joints - 1)),
        {"palm": (0,), "index": tuple(range(1, joints))},
    )  # fmt: skip
    crop = rough_crop(np.random.default_rng(joints), joints)
    maps = gmaps.encode(crop, gmaps.list_maps(), size=16, skeleton=chain)
    for name, values in maps.items():
        assert values.shape == gmaps.maps.get_map(name).shape(16, chain)
        assert np.isfinite(values).all()


def test_limbs_and_offsets_go_through_a_store(tmp_path):
    gmaps.build("synthetic", tmp_path / "s.zarr", ("limb", "offset"), limit=3, workers=0, progress=False)
    sample = gmaps.open_store(tmp_path / "s.zarr")[1]
    assert sample.maps["limb"].shape == (32, 32, 7)
    found = gmaps.decode("offset", sample.maps["offset"], sample.crop)
    assert np.linalg.norm(found - sample.joints, axis=1).max() < 2.0  # float16
