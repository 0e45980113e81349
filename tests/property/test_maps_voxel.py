"""Voxel kinds: against slow twins, scikit-fmm and true positions, and free of the original's faults."""

from __future__ import annotations

import numpy as np
import pytest
import skfmm
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps.errors import UsageError
from gmaps.frame import Crop, Cube
from gmaps.kernels.march import voxel_march
from gmaps.kernels.march.lanes import FAR
from gmaps.maps import Encoder, MapParams, Scene, get_map
from gmaps.maps.volumetric import centers, joint_cells
from gmaps.skeleton import Skeleton, get_skeleton
from tests.property.test_maps_planar import rough_crop
from tests.reference import voxel as twin

READ = ("occupancy", "density", "tsdf", "truncated_distance")
LEARNED = ("voxel_joint", "voxel_vector", "voxel_offset", "voxel_geodesic")
KINDS = (*READ, *LEARNED, "voxel_label")
PROJECTIONS = st.sampled_from(["orthographic", "perspective"])
SEEDS = st.integers(0, 2**32 - 1)


def small_crop(seed: int, joints: int = 4, projection="orthographic", half_side: float = 120.0) -> Crop:
    """24 x 24 pixels: half the time rough, else a smooth slope with a step."""
    rng = np.random.default_rng(seed)
    crop = rough_crop(rng, joints, projection, half_side)
    depth = crop.depth[::5, ::5][:24, :24].copy()
    if seed % 2:
        r, c = np.mgrid[:24, :24] / 24
        slope = rng.uniform(-1, 1, 2) @ [r.ravel(), c.ravel()]
        smooth = np.clip(slope.reshape(24, 24) * rng.uniform(0, 2) + 0.4 * (r > 0.5), -1, 0.999)
        depth = np.where(depth < 1, smooth, 1).astype(np.float32)
    return Crop(depth, crop.cube, crop.joints_mm, projection)


def plate(z: float, joints_mm, size: int = 32) -> Crop:
    """Hand everywhere, at cube depth z."""
    return Crop(np.full((size, size), z, np.float32), Cube((0, 0, 500)), np.asarray(joints_mm, np.float32))


def blind(crop: Crop) -> Crop:
    return Crop(crop.depth, crop.cube, np.zeros_like(crop.joints_mm), crop.projection)


@given(SEEDS, PROJECTIONS)
@settings(deadline=None, max_examples=15)
def test_what_is_read_equals_its_twin(seed, projection):
    crop = small_crop(seed, 2, projection)
    maps = gmaps.encode(crop, READ, size=8)
    counts = twin.counts(crop, 16)
    most = max(counts.values(), default=1)
    np.testing.assert_array_equal(maps["occupancy"], twin.filled(dict.fromkeys(counts, 1), 16))
    np.testing.assert_allclose(maps["density"], twin.filled({v: n / most for v, n in counts.items()}, 16), atol=1e-6)
    np.testing.assert_allclose(maps["truncated_distance"], twin.truncated_distance(set(counts), 16), atol=1e-6)
    np.testing.assert_allclose(maps["tsdf"], twin.tsdf(set(counts), 16), atol=1e-6)


@given(SEEDS, PROJECTIONS, st.floats(40, 250))
@settings(deadline=None, max_examples=20)
def test_vectors_and_offsets_equal_their_twins(seed, projection, half_side):
    crop = small_crop(seed, 3, projection, half_side)
    crop.joints_mm[0] += 3 * half_side  # outside the cube, beyond theta
    maps = gmaps.encode(crop, ("voxel_vector", "voxel_offset"), size=12)
    np.testing.assert_allclose(maps["voxel_vector"], twin.vectors(crop, 12), atol=1e-3)
    np.testing.assert_allclose(maps["voxel_offset"], twin.offsets(crop, 12), atol=1e-5)


@given(SEEDS, PROJECTIONS)
@settings(deadline=None, max_examples=30)
def test_geodesic_equals_its_twin(seed, projection):
    crop = small_crop(seed, 4, projection)
    crop.joints_mm[0] = [400, -20, 510]
    maps = gmaps.encode(crop, "voxel_geodesic", size=12)
    got, scale = maps["voxel_geodesic"], maps.scale["voxel_geodesic"]
    occupied = set(twin.counts(crop, 12))
    passed = twin.joined(crop, 12)
    assert got[tuple(np.array(sorted(set(np.ndindex(12, 12, 12)) - occupied)).T)].max() == 0
    at = (crop.joints_mm - np.array(crop.cube.center)) / 20 + 5.5
    for j, p in enumerate(at):
        t = twin.march(passed, p.astype(float), 12)
        reached = {v: d for v, d in t.items() if v in occupied and np.isfinite(d)}
        largest = max(max(reached.values(), default=0), min(reached.values(), default=0) + 1)
        assert scale[j] == pytest.approx(largest * 20, rel=1e-4)
        for v in occupied:
            assert got[v][j] == pytest.approx(1 - reached[v] / largest if v in reached else 0, abs=1e-4)


def solve(mask: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(J, V, V, V) voxels, inf where not reached."""
    t = voxel_march.march(np.flatnonzero(mask), len(mask), np.asarray(joints, float))
    out = np.full((len(joints), *mask.shape), np.inf)
    out[:, mask] = np.where(t[:-1, : len(joints)] < FAR / 2, t[:-1, : len(joints)], np.inf).T
    return out


@given(SEEDS, st.floats(0.15, 1.0))
@settings(deadline=None, max_examples=40)
def test_march_equals_scikit_fmm_and_is_no_shorter_than_straight(seed, fill):
    rng = np.random.default_rng(seed)
    mask = rng.random((9, 9, 9)) < fill
    mask[4, 4, 4] = True
    inside = np.argwhere(mask)
    joints = inside[rng.integers(len(inside), size=5)].astype(float)
    for t, joint in zip(solve(mask, joints), joints, strict=True):
        phi = np.ma.MaskedArray(np.ones(mask.shape), ~mask)
        phi[tuple(joint.astype(int))] = 0
        theirs = skfmm.distance(phi, order=1)
        reached = mask & ~np.ma.getmaskarray(theirs)
        # scikit-fmm leaves what it cannot reach masked, or at 0.
        reached &= np.ma.getdata(theirs) > 0
        reached[tuple(joint.astype(int))] = True
        assert (np.isfinite(t) == reached).all()
        np.testing.assert_allclose(t[reached], np.ma.getdata(theirs)[reached], atol=1e-4)
        straight = np.linalg.norm(inside - joint, axis=1)
        assert (t[mask] >= straight - 1e-4).all()


@given(SEEDS)
@settings(deadline=None, max_examples=20)
def test_turns_and_mirrors_of_space_commute_with_the_march(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((8, 8, 8)) < 0.5
    joints = rng.uniform(-1, 8, (4, 3))
    t = solve(mask, joints)
    turned = solve(np.ascontiguousarray(mask.transpose(2, 0, 1)), joints[:, [2, 0, 1]])
    np.testing.assert_allclose(turned, t.transpose(0, 3, 1, 2), atol=1e-4)
    mirrored = solve(np.ascontiguousarray(mask[:, ::-1]), joints * [1, -1, 1] + [0, 7, 0])
    np.testing.assert_allclose(mirrored, t[:, :, ::-1], atol=1e-4)


def test_march_in_a_solid_cube_is_nearly_straight():
    mask = np.ones((20, 20, 20), bool)
    joint = np.array([[9.3, 4.8, 11.1]])
    t = solve(mask, joint)[0]
    straight = np.linalg.norm(np.argwhere(mask) - joint, axis=1).reshape(mask.shape)
    assert (t - straight)[9, :, 11].max() < 0.5  # along an axis
    assert (t - straight).mean() < 0.12 * straight.mean()  # of order 1, in space


def test_joint_in_the_flesh_starts_on_the_skin():
    # 20 mm behind the plate in the cube's centre: its own voxel is empty.
    crop = plate(0.0, [[3.75, 3.75, 523.75], [3.75, 3.75, 503.75]])
    maps = gmaps.encode(crop, "voxel_geodesic", normalize="theta")
    mm = (1 - maps["voxel_geodesic"]) * maps.scale["voxel_geodesic"]
    assert mm[16, 16, 16, 0] == pytest.approx(20, abs=1e-3)
    assert mm[16, 16, 16, 1] == pytest.approx(0, abs=1e-3)
    # Both go on along the plate. The ball of 20 mm touches a few voxels, which start at their straight distances.
    assert mm[26, 16, 16, 0] == pytest.approx(20 + 75, abs=18)
    assert mm[26, 16, 16, 1] == pytest.approx(75, abs=1e-2)


def test_original_divides_by_zero_for_an_empty_source_and_the_default_does_not():
    rng = np.random.default_rng(3)
    crop = rough_crop(rng, 21)
    crop.joints_mm[:] = rng.uniform([-150, -150, 350], [150, 150, 650], (21, 3))
    assert not np.isin(
        joint_cells(crop, 32), np.flatnonzero(gmaps.encode(crop, "occupancy", size=16)["occupancy"])
    ).all()
    g = gmaps.encode(crop, "voxel_geodesic")["voxel_geodesic"]
    assert np.isfinite(g).all()
    assert (g.max(axis=(0, 1, 2)) > 0).all()


def test_steep_skin_hangs_together():
    # A slope of 5 mm a pixel of 1.9 mm: neighbouring pixels fall into voxels that do not touch at 64.
    r, c = np.mgrid[:128, :128]
    depth = np.where((c > 40) & (c < 80) & (r > 40) & (r < 90), (c - 60) * 5.2 / 120, 1).astype(np.float32)
    crop = Crop(depth, Cube((0, 0, 500)), np.array([[0, 0, 500]], np.float32))
    maps = gmaps.encode(crop, ("voxel_geodesic", "voxel_joint"), size=64, normalize="theta")
    occupied = gmaps.encode(crop, "occupancy", size=32)["occupancy"][..., 0] > 0
    assert (maps["voxel_geodesic"][occupied][:, 0] > 0).all()
    original = gmaps.encode(crop, "voxel_geodesic", size=64, profile="handmap")["voxel_geodesic"][occupied][:, 0]
    assert len(np.unique(original[original > 0])) < 0.1 * len(original)  # a few voxels, and one value that leaks


def test_far_from_the_surface_the_sign_is_kept():
    crop = plate(0.01, [[0, 0, 500]])
    t = gmaps.encode(crop, "tsdf", size=16)["tsdf"][20, 20]
    front = 16
    np.testing.assert_allclose(t[:, 2], np.clip((front - np.arange(32)) / 3, -1, 1), atol=1e-6)
    original = gmaps.encode(crop, ("tsdf", "truncated_distance"), size=16, profile="handmap")
    band = 0.1 * (front - np.arange(32))
    np.testing.assert_allclose(original["tsdf"][20, 20, :, 2], np.where(np.abs(band) < 0.35, band, 0), atol=1e-6)
    assert original["truncated_distance"][20, 20, 0, 0] == 0
    default = gmaps.encode(crop, "truncated_distance", size=16)["truncated_distance"][20, 20, :, 0]
    np.testing.assert_allclose(default, np.abs(t[:, 2]), atol=1e-6)


@given(SEEDS, st.sampled_from([16, 32, 64]), st.floats(40, 250), PROJECTIONS)
@settings(deadline=None, max_examples=25)
def test_joints_come_back_to_half_a_voxel(seed, size, half_side, projection):
    rng = np.random.default_rng(seed)
    crop = rough_crop(rng, 21, projection, half_side)
    crop.joints_mm[:] = np.array(crop.cube.center) + rng.uniform(-1, 1, (21, 3)) * half_side
    maps = gmaps.encode(crop, ("voxel_joint", "voxel_label"), size=size)
    assert maps["voxel_joint"].sum(axis=(0, 1, 2)).tolist() == [1] * 21
    for name, values in maps.items():
        found = gmaps.decode(name, values, blind(crop), scale=maps.scale.get(name))
        assert np.abs(found - crop.joints_mm).max() <= half_side / size * (1 + 1e-4)


def test_joints_outside_go_to_the_nearest_voxel_and_are_flagged():
    crop = plate(0.0, [[-121, 0.1, 500.1], [0.1, 900, 500.1], [0.1, 0.1, 100], [0.1, 0.1, 500.1], [120, 120, 620]])
    maps = gmaps.encode(crop, ("voxel_joint", "voxel_label"))
    expected = [(0, 16, 16), (16, 31, 16), (16, 16, 0), (16, 16, 16), (31, 31, 31)]
    assert [tuple(i) for i in np.argwhere(maps["voxel_joint"].transpose(3, 0, 1, 2))[:, 1:]] == expected
    assert maps["voxel_label"].tolist() == [np.ravel_multi_index(v, (32, 32, 32)) for v in expected]
    assert crop.inside().tolist() == [False, False, False, True, True]


@given(SEEDS, PROJECTIONS, st.floats(60, 200))
@settings(deadline=None, max_examples=25)
def test_offset_gives_joints_back_in_space(seed, projection, half_side):
    crop = rough_crop(np.random.default_rng(seed), 21, projection, half_side)
    found = gmaps.decode("voxel_offset", gmaps.encode(crop, "voxel_offset")["voxel_offset"], blind(crop))
    assert np.linalg.norm(found - crop.joints_mm, axis=1).max() < 0.1


def test_each_joint_is_decoded_by_its_own_weights():
    # The original weighs all joints' votes with joint 0's values.
    rng = np.random.default_rng(8)
    crop = rough_crop(rng, 3)
    values = gmaps.encode(crop, "voxel_offset")["voxel_offset"]
    values += rng.normal(0, 0.05, values.shape).astype(np.float32)
    before = gmaps.decode("voxel_offset", values, crop)
    values[..., 0] = rng.random(values.shape[:3])
    after = gmaps.decode("voxel_offset", values, crop)
    np.testing.assert_array_equal(after[1:], before[1:])
    assert np.abs(after[0] - before[0]).max() > 1


def test_a_joint_at_a_voxels_centre_has_no_direction():
    crop = plate(0.01, [centers(np.array([(16 * 32 + 16) * 32 + 16]), plate(0, [[0, 0, 500]]), 32)[0]])
    o = gmaps.encode(crop, "voxel_offset")["voxel_offset"][16, 16, 16]
    np.testing.assert_allclose(o, [1, 0, 0, 0], atol=1e-6)


def test_decoders_refuse_what_they_cannot_read():
    crop = plate(0.0, [[0, 0, 500]])
    with pytest.raises(UsageError, match="give decode scale="):
        gmaps.decode("voxel_label", np.zeros(1), crop)
    with pytest.raises(UsageError, match="0 to 32767, got"):
        gmaps.decode("voxel_label", np.array([40_000.0]), crop, scale=np.array([7.5]))
    void = Crop(np.ones((32, 32), np.float32), crop.cube, crop.joints_mm)
    with pytest.raises(UsageError, match="holds no hand"):
        gmaps.decode("voxel_offset", np.zeros((32, 32, 32, 4)), void)


def chain(joints: int) -> Skeleton:
    return Skeleton(
        "chain", tuple(f"j{k}" for k in range(joints)), (-1, *range(joints - 1)),
        {"palm": (0,), "index": tuple(range(1, joints))},
    )  # fmt: skip


@pytest.mark.parametrize("joints", [1, 14, 21, 36, 42])
@pytest.mark.parametrize(("size", "half_side"), [(16, 33.0), (32, 120.0), (64, 250.0)])
def test_any_number_of_joints_and_voxels(joints, size, half_side):
    crop = rough_crop(
        np.random.default_rng(joints), joints, "perspective" if joints % 2 else "orthographic", half_side
    )
    crop.joints_mm[0] = 0  # far outside
    maps = gmaps.encode(crop, KINDS, size=size)
    for name, values in maps.items():
        kind = get_map(name)
        assert values.shape == kind.shape(size, chain(joints)), name
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        low, high = kind.value_range
        assert low <= values.min()
        assert values.max() <= high
        assert kind.scaled == (name in maps.scale)


def test_shapes_and_names():
    msra = get_skeleton("msra21")
    shapes = {name: get_map(name).shape(32, msra) for name in (*KINDS, "geodesic", "offset")}
    assert shapes == {
        "occupancy": (64, 64, 64, 1), "density": (64, 64, 64, 1), "tsdf": (64, 64, 64, 3),
        "truncated_distance": (64, 64, 64, 1), "voxel_joint": (32, 32, 32, 21), "voxel_label": (21,),
        "voxel_vector": (32, 32, 32, 63), "voxel_offset": (32, 32, 32, 84), "voxel_geodesic": (32, 32, 32, 21),
        "geodesic": (32, 32, 21), "offset": (32, 32, 84),
    }  # fmt: skip
    assert [get_map(name).original for name in KINDS] == [
        "vxhit", "pcnt3", "tsdf3", "truncd", "pose_hit", "vxoff", "vxudir", "vxedt", "pose_lab",
    ]  # fmt: skip
    # float16 counts no further than 2,048 without gaps.
    assert [name for name in KINDS if get_map(name).keep_as] == ["voxel_label"]


def test_an_empty_crop_has_empty_maps():
    crop = Crop(np.ones((32, 32), np.float32), Cube((0, 0, 500)), np.array([[0, 0, 500]], np.float32))
    maps = gmaps.encode(crop, KINDS, size=16)
    for name in ("occupancy", "density", "voxel_vector", "voxel_offset", "voxel_geodesic"):
        assert (maps[name] == 0).all()
    assert (maps["tsdf"] == 1).all()
    assert (maps["truncated_distance"] == 1).all()
    assert np.isfinite(maps.scale["voxel_geodesic"]).all()


def test_what_kinds_share_is_made_once(monkeypatch):
    from gmaps.maps import multiview, volumetric

    calls: list[str] = []

    def counted(module, name):
        kernel = getattr(module, name)

        def call(*args):
            calls.append(name)
            return kernel(*args)

        monkeypatch.setattr(module, name, call)

    counted(volumetric.voxel, "count")
    counted(multiview.three_views, "points_of")
    counted(multiview.three_views, "occupied")
    crop = rough_crop(np.random.default_rng(0), 4)
    Encoder(MapParams((*KINDS, "views_euclidean", "views_geodesic"))).crop(crop)
    assert sorted(calls) == ["count", "occupied", "points_of"]
    assert Scene(crop).silhouette.any()
