"""Maps that current networks learn: against slow twins, public formulas and true positions, in NumPy and torch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.errors import UsageError
from gmaps.maps import Scene
from gmaps.maps.ball_offset import decode_ball_offset, grid_points, joints_in
from gmaps.maps.pixel_offset import decode_pixel_offset
from gmaps.maps.plane_offset import decode_plane_offset
from gmaps.maps.points import chosen, decode_point_offset, points_of
from tests.property.test_maps_planar import rough_crop
from tests.reference import dense as twin
from tests.reference import public_targets as public

PROJECTIONS = st.sampled_from(["orthographic", "perspective"])
SEEDS = st.integers(0, 2**32 - 1)


def hands(projection, count=6):
    data = gmaps.load_dataset("synthetic", frames=64)
    params = CropParams(projection=projection, center="com")
    return [crop_dataset_frame(data.read(7 * i), data.info.depth_range, params) for i in range(count)]


def blind(crop):
    return dataclasses.replace(crop, joints_mm=np.zeros_like(crop.joints_mm))


def coarse(crop, size):
    """A crop whose cells hold one depth each, so that every way to make them smaller gives the same image."""
    image = Scene(crop, size).surface.astype(np.float16).astype(np.float32)
    step = crop.size // size
    return dataclasses.replace(crop, depth=np.kron(image, np.ones((step, step), np.float32))), image


def uvd(crop, size):
    px = crop.joints_px(size)
    plane = (px + 0.5) / size * 2 - 1
    return np.column_stack([plane[:, 1], plane[:, 0], crop.joints[:, 2]])


def met(crop, k, axes, size=32):
    """Which joints' balls meet the hand."""
    scene = Scene(crop, size)
    points, joints = grid_points(scene, axes)[scene.silhouette], joints_in(scene, axes)
    return np.linalg.norm(points[:, None] - joints, axis=2).min(axis=0) < k - 0.5


@given(SEEDS, PROJECTIONS, st.sampled_from([20.0, 60.0, 80.0, 150.0]), st.sampled_from(["camera", "uvd"]))
@settings(deadline=None, max_examples=20)
def test_ball_offset_equals_its_twin(seed, projection, k, axes):
    crop = rough_crop(np.random.default_rng(seed), 5, projection)
    name = f"ball_offset:k={k:g}:axes={axes}"
    scene = Scene(crop, 16)
    expected = twin.ball(grid_points(scene, axes), scene.silhouette, joints_in(scene, axes), k)
    ours = gmaps.encode(crop, name, size=16)[name]
    # Within a hair of the ball's surface float32 may decide otherwise, which moves a unit vector from 1 to 0.
    on_edge = ((expected[..., 15:] > 0) != (ours[..., 15:] > 0)) & (np.abs(expected - ours)[..., 15:] < 1e-5)
    keep = ~np.concatenate([np.repeat(on_edge, 3, axis=-1), on_edge], axis=-1)
    np.testing.assert_allclose(ours[keep], expected[keep], atol=3e-5)
    assert keep.mean() > 0.999


@given(SEEDS, PROJECTIONS, st.floats(60, 200), st.sampled_from(["camera", "uvd"]))
@settings(deadline=None, max_examples=40)
def test_ball_offset_gives_joints_back_where_the_ball_meets_the_hand(seed, projection, half_side, axes):
    crop = rough_crop(np.random.default_rng(seed), 21, projection, half_side)
    name = f"ball_offset:axes={axes}"
    values = gmaps.encode(crop, name)[name]
    seen = met(crop, 80, axes)
    assert seen.any()
    rng = np.random.default_rng(seed)
    learned = np.where(values[..., 63:] > 0, rng.normal(0, 1, (32, 32, 21)), -100)
    for found in (
        gmaps.decode(name, values, blind(crop)),
        decode_ball_offset(values, blind(crop), axes=axes, how="top"),
        decode_ball_offset(values, blind(crop), axes=axes, weights=learned),
    ):
        assert np.linalg.norm(found - crop.joints_mm, axis=1)[seen].max() < 0.5


@given(SEEDS, PROJECTIONS, st.sampled_from([0.8, 1.5]))
@settings(deadline=None, max_examples=20)
def test_heatmap_depth_equals_its_twin(seed, projection, sigma):
    crop = rough_crop(np.random.default_rng(seed), 4, projection)
    name = f"heatmap_depth:sigma={sigma}"
    scene = Scene(crop, 16)
    expected = twin.heatmap_depth(
        scene.joints_px, crop.joints[:, 2].astype(float), scene.surface, scene.silhouette, sigma
    )
    ours = gmaps.encode(crop, name, size=16)[name]
    np.testing.assert_allclose(ours[..., :4], expected[..., :4], atol=1e-6)
    clear = np.abs(expected[..., :4] - 0.01) > 1e-5
    np.testing.assert_allclose(ours[..., 4:][clear], expected[..., 4:][clear], atol=1e-6)


@given(SEEDS, PROJECTIONS, st.sampled_from([32, 64]))
@settings(deadline=None, max_examples=30)
def test_heatmap_depth_gives_joints_back_in_space(seed, projection, size):
    crop = rough_crop(np.random.default_rng(seed), 21, projection)
    found = gmaps.decode(
        "heatmap_depth", gmaps.encode(crop, "heatmap_depth", size=size)["heatmap_depth"], blind(crop)
    )
    inner = (np.abs(crop.joints_px(size) - (size - 1) / 2) < size / 2 - 1.5).all(axis=1)
    assert np.linalg.norm(found - crop.joints_mm, axis=1)[inner].max(initial=0) < 0.5


def test_a_joint_that_no_heat_on_the_hand_tells_of_is_put_on_its_nearest_cell():
    crop = rough_crop(np.random.default_rng(0), 1)
    depth = np.ones_like(crop.depth)
    depth[60:68, 60:68] = 0.25
    far = dataclasses.replace(crop, depth=depth, joints_mm=np.array([[90, 90, 520]], np.float32))
    found = gmaps.decode("heatmap_depth", gmaps.encode(far, "heatmap_depth")["heatmap_depth"], blind(far))
    np.testing.assert_allclose(found, [[90, 90, 500 + 0.25 * 120]], atol=0.2)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize("size", [32, 64])
def test_ball_offset_is_what_awr_and_its_descendants_learn(projection, size):
    for whole in hands(projection):
        crop, image = coarse(whole, size)
        h = crop.cube.half_side
        name = f"ball_offset:k={0.8 * h:g}:axes=uvd"
        ours, theirs = gmaps.encode(crop, name, size=size)[name], public.awr(uvd(crop, size), image, 0.8)
        # Their void begins at 0.99, ours at 1; and d has 1e-8 beneath its root: 1e-4 of it at the joint itself.
        same = np.isclose(ours, theirs, atol=2e-3)
        assert same.mean() > 0.9999
        assert ours.any()
        back = public.awr_joints(theirs, image, 0.8)
        known = met(crop, 0.5 * h, "uvd", size)
        found = gmaps.decode(name, theirs.astype(np.float32), blind(crop))
        assert np.abs(found - crop.joints_mm)[known].max() < 0.5
        # Their own way back counts every cell of the void as a vote for itself, e^-30 beside the best.
        assert np.median(np.abs(back - uvd(crop, size))[known]) * h < 0.5


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_ball_offset_is_what_dense_reg_learns(projection):
    for crop in hands(projection):
        scene = Scene(crop, 32)
        theirs = public.dense_reg(crop.joints_mm.astype(float), scene.points.astype(float), scene.silhouette)
        np.testing.assert_allclose(gmaps.encode(crop, "ball_offset")["ball_offset"], theirs, atol=2e-4)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_heatmap_depth_is_what_ipnet_and_pixelwise_regression_learn(projection):
    for whole in hands(projection):
        crop, image = coarse(whole, 64)
        name = "heatmap_depth:sigma=1.414214"
        ours, joints = gmaps.encode(crop, name, size=64)[name], uvd(crop, 64)
        heat = public.ipnet_heat(joints, 64, 2.0)
        np.testing.assert_allclose(ours[..., :21], heat, atol=1e-5)
        behind = public.depth_behind(joints, image, heat)
        assert np.isclose(ours[..., 21:], behind, atol=1e-5).mean() > 0.9999
        covered = ((heat >= 0.01) & (image < public.VOID)[..., None]).any(axis=(0, 1))
        deep = public.regressed_depth(heat, behind, image)[covered]
        found = gmaps.decode(name, ours, blind(crop))[covered]
        np.testing.assert_allclose(found[:, 2], crop.cube.center[2] + deep * crop.cube.half_side, atol=0.05)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize("name", ["ball_offset", "ball_offset:k=60:axes=uvd", "offset", "heatmap_depth"])
def test_torch_decodes_what_numpy_does_and_lets_gradients_through(name, projection):
    torch = pytest.importorskip("torch")
    from gmaps.maps import torch_decode

    crops = hands(projection)
    depth = torch.from_numpy(np.stack([c.depth for c in crops]))[:, None]
    cube = torch.from_numpy(np.stack([c.cube.to_array() for c in crops]))
    maps = np.stack([gmaps.encode(c, name)[name] for c in crops])
    perspective = projection == "perspective"
    axes = "camera" if name in ("ball_offset", "offset") else "uvd"
    points, hand = torch_decode.grid_of(depth, cube, 32, perspective=perspective, axes=axes)
    for k, crop in enumerate(crops):
        scene = Scene(crop, 32)
        assert (hand[k, 0].numpy() == scene.silhouette).all()
        np.testing.assert_allclose(
            points[k].permute(1, 2, 0).numpy()[scene.silhouette],
            grid_points(scene, axes)[scene.silhouette],
            atol=1e-3,
        )
    values = torch.from_numpy(np.moveaxis(maps, -1, 1).copy()).requires_grad_()
    if name == "heatmap_depth":
        found = torch_decode.heatmap_depth(values, points, hand, cube, perspective=perspective)
    else:
        radius = {"ball_offset": 80.0, "offset": 2 * cube[:, 3]}.get(name, 60.0)
        given_ = torch.cat([values[:, 21:], values[:, :21]], 1) if name == "offset" else values
        found = torch_decode.to_mm(
            torch_decode.ball_vote(given_, points, hand, radius), cube, perspective=perspective, axes=axes
        )
    expected = np.stack([gmaps.decode(name, a, blind(c)) for a, c in zip(maps, crops, strict=True)])
    inner = np.stack([(np.abs(c.joints_px(32) - 15.5) < 13).all(axis=1) for c in crops])
    assert inner.mean() > 0.8
    assert np.abs(found.detach().numpy() - expected)[inner].max() < 0.02
    found.sum().backward()
    assert values.grad is not None
    assert torch.isfinite(values.grad).all()
    assert values.grad.any()


def test_torch_weighs_votes_as_numpy_does_and_bears_a_crop_without_hand():
    torch = pytest.importorskip("torch")
    from gmaps.maps import torch_decode

    crop, rng = hands("orthographic", 1)[0], np.random.default_rng(0)
    noisy = gmaps.encode(crop, "ball_offset")["ball_offset"] + rng.normal(0, 0.02, (32, 32, 84)).astype(np.float32)
    weights = rng.normal(0, 1, (32, 32, 21)).astype(np.float32)
    cube = torch.from_numpy(crop.cube.to_array())[None]
    points, hand = torch_decode.grid_of(torch.from_numpy(crop.depth)[None], cube, 32)
    values, logits = (torch.from_numpy(np.moveaxis(a, -1, 0).copy())[None] for a in (noisy, weights))
    for found, expected in (
        (torch_decode.ball_vote(values, points, hand, 80), decode_ball_offset(noisy, crop)),
        (torch_decode.ball_vote(values, points, hand, 80, top=30), decode_ball_offset(noisy, crop, how="top")),
        (torch_decode.ball_vote(values, points, hand, 80, weights=logits),
         decode_ball_offset(noisy, crop, weights=weights)),
    ):  # fmt: skip
        np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-2)
    for extra in ({}, {"top": 30}, {"weights": logits}):
        lost = torch_decode.ball_vote(values, points, torch.zeros_like(hand), 80, **extra)
        assert torch.isfinite(lost).all()


def test_a_ball_offset_of_no_hand_or_in_an_unknown_way_is_refused():
    crop = rough_crop(np.random.default_rng(0))
    values = gmaps.encode(crop, "ball_offset")["ball_offset"]
    with pytest.raises(UsageError, match="softmax or top"):
        decode_ball_offset(values, crop, how="mean")
    with pytest.raises(UsageError, match="no hand"):
        gmaps.decode("ball_offset", values, dataclasses.replace(crop, depth=np.ones_like(crop.depth)))


@given(SEEDS, PROJECTIONS)
@settings(deadline=None, max_examples=15)
def test_offsets_of_pixels_and_of_the_plane_equal_their_twins(seed, projection):
    crop = rough_crop(np.random.default_rng(seed), 4, projection)
    scene, h = Scene(crop, 16), crop.cube.half_side
    places, joints = grid_points(scene, "uvd").astype(float), joints_in(scene, "uvd").astype(float)
    made = gmaps.encode(crop, ("pixel_offset", "plane_offset:k=40"), size=16)
    np.testing.assert_allclose(made["pixel_offset"], twin.pixel_offset(places, joints) / h, atol=1e-5)
    expected = twin.plane_offset(places, scene.silhouette, joints, 40.0)
    expected[..., 12:] /= h
    clear = np.tile(np.abs(np.linalg.norm(joints[:, :2] - places[:, :, None, :2], axis=-1) - 40) > 1e-3, 4)
    clear[..., :8] = np.repeat(clear[..., :4], 2, axis=-1)
    np.testing.assert_allclose(made["plane_offset:k=40"][clear], expected[clear], atol=3e-5)


@given(SEEDS, PROJECTIONS, st.floats(60, 200))
@settings(deadline=None, max_examples=30)
def test_offsets_of_pixels_plane_and_points_give_joints_back(seed, projection, half_side):
    rng = np.random.default_rng(seed)
    crop = rough_crop(rng, 21, projection, half_side)
    made = gmaps.encode(crop, ("pixel_offset", "plane_offset", "point_offset:n=256"))
    values, flat, cloud = made["pixel_offset"], made["plane_offset"], made["point_offset:n=256"]
    for found in (
        gmaps.decode("pixel_offset", values, blind(crop)),
        decode_pixel_offset(values, blind(crop), weights=rng.normal(0, 3, (32, 32, 21))),
    ):
        assert np.abs(found - crop.joints_mm).max() < 0.5
    scene = Scene(crop, 32)
    points, joints = grid_points(scene, "uvd")[scene.silhouette], joints_in(scene, "uvd")
    near = np.linalg.norm(points[:, None, :2] - joints[:, :2], axis=2).min(axis=0) < 79
    learned = np.where(flat[..., 42:63] > 0, rng.normal(0, 1, (32, 32, 21)), -100)
    for found in (
        gmaps.decode("plane_offset", flat, blind(crop)),
        decode_plane_offset(flat, blind(crop), weights=learned),
    ):
        assert np.abs(found - crop.joints_mm)[near].max() < 0.5
    p = points_of(crop, 256)
    met_ = np.linalg.norm(p[:, None] - crop.joints_mm, axis=2).min(axis=0) < 79
    found = gmaps.decode("point_offset:n=256", cloud, blind(crop))
    assert met_.any()
    assert np.abs(found - crop.joints_mm)[met_].max() < 0.5


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_they_are_what_jgr_p2o_ipnet_and_p2p_learn(projection):
    for whole in hands(projection, 3):
        crop, image = coarse(whole, 64)
        h, joints = crop.cube.half_side, uvd(crop, 64)
        name = f"plane_offset:k={0.8 * h:g}"
        made = gmaps.encode(crop, ("pixel_offset", name, "point_offset"), size=64)
        jgr = public.jgr_offsets(joints, image).reshape(64, 64, 21, 3)
        ours = made["pixel_offset"].reshape(64, 64, 21, 3)
        np.testing.assert_allclose(ours[..., :2] * 64 / 2 / 63, jgr[..., :2], atol=1e-5)
        np.testing.assert_allclose(ours[..., 2], jgr[..., 2], atol=1e-5)
        assert np.isclose(made[name], public.ipnet_plane(joints, image, 0.8), atol=2e-3).mean() > 0.9999
        expected = public.p2p(crop.joints_mm.astype(float), points_of(crop, 1024).astype(float), 80.0)
        assert np.isclose(made["point_offset"], expected, atol=2e-4).mean() > 0.9999


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_points_lie_on_the_hand_each_once_and_are_stable(projection):
    crop = hands(projection, 1)[0]
    rows, columns = chosen(crop, 512)
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 512
    assert crop.mask[rows, columns].all()
    made = gmaps.encode(crop, "points:n=512")["points:n=512"]
    assert made.shape == (512, 3)
    px = dataclasses.replace(crop, joints_mm=points_of(crop, 512)).joints_px(crop.size)
    np.testing.assert_allclose(px, np.column_stack([rows, columns]), atol=1e-3)
    np.testing.assert_allclose(made[:, 2], crop.depth[rows, columns], atol=1e-6)
    # They cover the hand: each of its quarters has about its share.
    share = [np.mean((rows > 64) == a) for a in (False, True)]
    whole = [np.mean((np.nonzero(crop.mask)[0] > 64) == a) for a in (False, True)]
    np.testing.assert_allclose(share, whole, atol=0.06)
    # A pixel less moves no other point but the one that takes its place.
    depth = crop.depth.copy()
    depth[rows[0], columns[0]] = 1
    other = set(zip(*(a.tolist() for a in chosen(dataclasses.replace(crop, depth=depth), 512)), strict=True))
    assert len(other & set(zip(rows.tolist(), columns.tolist(), strict=True))) == 511


def test_few_pixels_are_points_again_and_none_are_zeros():
    crop = rough_crop(np.random.default_rng(1), 3)
    depth = np.ones_like(crop.depth)
    depth[10, 20:27] = 0.25
    few = dataclasses.replace(crop, depth=depth)
    _, columns = chosen(few, 16)
    assert sorted(set(columns.tolist())) == list(range(20, 27))
    assert (columns[:7] == columns[7:14]).all()
    none = dataclasses.replace(crop, depth=np.ones_like(depth))
    made = gmaps.encode(none, ("points:n=16", "point_offset:n=16"))
    assert not made["points:n=16"].any()
    assert not made["point_offset:n=16"].any()
    with pytest.raises(UsageError, match="no hand"):
        decode_point_offset(made["point_offset:n=16"], none)
    with pytest.raises(UsageError, match="no hand"):
        decode_plane_offset(np.zeros((32, 32, 12)), none)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_torch_decodes_pixels_plane_and_points_as_numpy_does(projection):
    torch = pytest.importorskip("torch")
    from gmaps.maps import torch_decode

    crops, perspective, rng = hands(projection, 3), projection == "perspective", np.random.default_rng(0)
    depth = torch.from_numpy(np.stack([c.depth for c in crops]))
    cube = torch.from_numpy(np.stack([c.cube.to_array() for c in crops]))
    points, hand = torch_decode.grid_of(depth, cube, 32, perspective=perspective, axes="uvd")
    weights = rng.normal(0, 1, (3, 32, 32, 21)).astype(np.float32)
    logits = torch.from_numpy(np.moveaxis(weights, -1, 1).copy())

    def maps_of(kind):
        made = [gmaps.encode(c, kind)[kind] for c in crops]
        noisy = [m + rng.normal(0, 0.01, m.shape).astype(np.float32) for m in made]
        return noisy, torch.from_numpy(np.stack([np.moveaxis(m, -1, 0) for m in noisy]))

    noisy, values = maps_of("pixel_offset")
    for given_ in (None, logits):
        found = torch_decode.pixel_vote(values, points, hand, cube, given_, perspective=perspective)
        for k, crop in enumerate(crops):
            own = None if given_ is None else weights[k]
            np.testing.assert_allclose(found[k], decode_pixel_offset(noisy[k], crop, weights=own), atol=0.02)
    noisy, values = maps_of("plane_offset")
    for given_ in (None, logits):
        found = torch_decode.plane_vote(values, points, hand, cube, 80.0, weights=given_, perspective=perspective)
        for k, crop in enumerate(crops):
            own = None if given_ is None else weights[k]
            np.testing.assert_allclose(found[k], decode_plane_offset(noisy[k], crop, weights=own), atol=0.02)
    noisy, values = maps_of("point_offset:n=256")
    cloud = torch.from_numpy(np.stack([points_of(c, 256).T for c in crops]))
    found = torch_decode.ball_vote(values, cloud, torch.ones(3, 1, 256, dtype=torch.bool), 80.0, top=25)
    for k, crop in enumerate(crops):
        np.testing.assert_allclose(found[k], decode_point_offset(noisy[k], crop), atol=0.02)
