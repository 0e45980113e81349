"""Augmentation keeps crop, cube, joints and maps of one piece, and can be undone."""

from __future__ import annotations

import numpy as np
import pytest

import gmaps
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.errors import UsageError
from gmaps.frame import Crop, Cube
from gmaps.kernels import warp
from gmaps.maps import MapParams, Scene
from tests.reference import warp as slow

pytest.importorskip("torch")
from torch.utils.data import DataLoader

from gmaps.augment.augment_rows import augment_rows
from gmaps.augment.changes import Augment
from gmaps.training import GuidanceDataset
from gmaps.training.collate import collate

KINDS = ("signed_edt", "geodesic", "geodesic_weighted", "euclidean", "heatmap", "limb")


def assert_carried(kind, carried, computed):
    """Equal; what is travelled on a turned crop is swept in another order, which shows in a cell here and there."""
    if not kind.startswith("geodesic"):
        np.testing.assert_allclose(carried, computed, atol=5e-5, err_msg=kind)
        return
    error = np.abs(carried - computed)
    assert (error > 5e-3).mean() < 5e-4
    assert error.max() < 0.1


PROJECTIONS = ("orthographic", "perspective")
ALL_ON = Augment(mirror=0.5, cutouts=3, noise=1.5, edge_loss=0.1)


@pytest.fixture(scope="module")
def hands():
    """Six hands in both projections, and their skeleton."""
    data = gmaps.load_dataset("synthetic", frames=64)
    frames = [data.read(i) for i in range(6)]
    crops = {
        p: [crop_dataset_frame(f, data.info.depth_range, CropParams(projection=p)) for f in frames]
        for p in PROJECTIONS
    }
    return crops, data.skeleton


def on_the_surface(crop, seed=0, count=60):
    """The crop with points of its own surface for joints, and their pixels."""
    px = np.argwhere(crop.mask)
    px = px[np.random.default_rng(seed).permutation(len(px))[:count]]
    center, h = np.array(crop.cube.center), crop.cube.half_side
    z = crop.depth[px[:, 0], px[:, 1]] * h + center[2]
    xy = ((2 * px[:, ::-1] + 1) / crop.size - 1) * h + center[:2]
    if crop.projection == "perspective":
        xy = xy * (z / center[2])[:, None]
    return Crop(crop.depth, crop.cube, np.column_stack([xy, z]).astype(np.float32), crop.projection), px


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_points_of_the_surface_stay_on_it(hands, projection):
    """The heart of it: image, cube and joints change together."""
    apart, void, number = [], 0, 0
    for i, crop in enumerate(hands[0][projection]):
        marked, _ = on_the_surface(crop, i)
        for epoch in range(5):
            found, _ = Augment(mirror=0.5, scale=0.3, translation=20, depth=20)(marked, epoch, i)
            px = np.rint(found.joints_px(found.size)).astype(int)
            inside = ((px >= 0) & (px < found.size)).all(axis=1) & found.inside()
            depth = found.depth[px[inside, 0], px[inside, 1]]
            hit = depth < 1
            apart += list(np.abs(depth - found.joints[inside, 2])[hit] * found.cube.half_side)
            void, number = void + np.count_nonzero(~hit), number + len(hit)
    assert number > 1000
    assert np.median(apart) < 0.6  # mm; what resampling to pixels of some 2 mm costs on slopes
    assert np.percentile(apart, 95) < 3
    assert void < 0.03 * number


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_joints_in_mm_come_back(hands, projection):
    for i, crop in enumerate(hands[0][projection]):
        for epoch in range(5):
            found, change = ALL_ON(crop, epoch, i)
            np.testing.assert_allclose(change.restore(found.joints_mm), crop.joints_mm, atol=1e-3)
            # What a network predicts is in units of the augmented cube.
            mm = found.joints * found.cube.half_side + np.asarray(found.cube.center)
            np.testing.assert_allclose(mm @ change.undo.T, crop.joints_mm, atol=1e-2)
            bones = [np.linalg.norm(np.diff(c.joints_mm, axis=0), axis=1) for c in (crop, found)]
            np.testing.assert_allclose(bones[0], bones[1], atol=1e-2)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_carried_maps_are_maps_of_the_augmented_crop(hands, projection):
    """Quarter turns and mirroring: exact, but for the order in which a solver adds."""
    crops, skeleton = hands
    augment = Augment.exact(mirror=0.5)
    params = MapParams(KINDS)
    assert all(augment.carries(kind, params, 128, projection) for kind in KINDS)
    seen = set()
    for i, crop in enumerate(crops[projection]):
        maps = gmaps.encode(crop, KINDS, skeleton=skeleton)
        for epoch in range(6):
            found, change = augment(crop, epoch, i)
            seen.add((change.quarters, change.mirrored))
            np.testing.assert_array_equal(change.carry(crop.depth[..., None])[..., 0], found.depth)
            again = gmaps.encode(found, KINDS, skeleton=skeleton)
            for kind in KINDS:
                assert_carried(kind, change.carry(maps[kind]), again[kind])
    assert len(seen) == 8


def test_maps_without_depth_bear_shifts_in_depth_and_noise(hands):
    crops, skeleton = hands
    augment = Augment(0, True, 0, 0, 0, depth=30, noise=2)
    flat = [k for k in KINDS if augment.carries(k, MapParams(KINDS), 128, "orthographic")]
    assert flat == ["signed_edt", "geodesic", "heatmap", "limb"]
    moved = 0
    for i, crop in enumerate(crops["orthographic"]):
        maps = gmaps.encode(crop, flat, skeleton=skeleton)
        for epoch in range(4):
            found, change = augment(crop, epoch, i)
            moved += abs(found.cube.center[2] - crop.cube.center[2]) > 1
            assert np.count_nonzero(found.mask) == np.count_nonzero(crop.mask)
            again = gmaps.encode(found, flat, skeleton=skeleton)
            for kind in flat:
                assert_carried(kind, change.carry(maps[kind]), again[kind])
    assert moved > 8


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_turned_maps_are_near_the_maps_of_the_turned_crop(hands, projection):
    """By any angle, the map on the fly is the old one turned, up to a cell of the grid."""
    augment, far = Augment(scale=0, translation=0, depth=0), []
    for i, crop in enumerate(hands[0][projection]):
        found, change = augment(crop, 0, i)
        a, b = gmaps.encode(crop, ("euclidean",))["euclidean"], gmaps.encode(found, ("euclidean",))["euclidean"]
        for row, col in np.argwhere(b[..., 0] > 0):
            x, y, _ = change.turn.T @ [(2 * col + 1) / 32 - 1, (2 * row + 1) / 32 - 1, 0]
            r, c = round((y + 1) * 16 - 0.5), round((x + 1) * 16 - 0.5)
            if 0 <= r < 32 and 0 <= c < 32 and a[r, c, 0] > 0:
                far.append(np.abs(a[r, c] - b[row, col]).mean())
    assert len(far) > 300
    assert np.median(far) < 7.5 / 240  # theta is 240 mm, a cell 7.5 mm


def test_what_does_not_carry_maps_over():
    params = MapParams(KINDS)

    def ask(a, kind="heatmap", params=params, size=128, projection="orthographic"):
        return a.carries(kind, params, size, projection)

    assert ask(Augment.exact())
    for other in (Augment(), Augment(0, True), Augment.exact().to_dict() | {"cutouts": 1}):
        assert not ask(other if isinstance(other, Augment) else Augment.from_dict(other))
    assert not ask(Augment.exact(), "offset")  # its channels are directions
    assert not ask(Augment.exact(), "voxel_joint")
    assert not ask(Augment.exact(), "geodesic_surface")  # its triangles have a diagonal
    assert not ask(
        Augment.exact(), params=MapParams(KINDS, profile="handmap")
    )  # every fourth pixel, which no turn keeps
    assert not ask(Augment.exact(), size=100)
    assert not ask(Augment.exact(depth=5), "euclidean")
    assert not ask(Augment.exact(depth=5), projection="perspective")


def test_it_depends_on_seed_epoch_and_row_alone(hands):
    crop = hands[0]["orthographic"][0]
    first, _ = ALL_ON(crop, 3, 7)
    np.random.default_rng().random(5)
    again, _ = Augment.from_dict(ALL_ON.to_dict())(crop, 3, 7)
    np.testing.assert_array_equal(first.depth, again.depth)
    np.testing.assert_array_equal(first.joints_mm, again.joints_mm)
    assert first.cube == again.cube
    for other in (ALL_ON(crop, 4, 7), ALL_ON(crop, 3, 8), Augment(**(ALL_ON.to_dict() | {"seed": 1}))(crop, 3, 7)):
        assert other[0].cube != first.cube


def test_depth_is_what_a_store_can_hold(hands):
    for crop in hands[0]["orthographic"]:
        found, _ = ALL_ON(crop, 0, 1)
        np.testing.assert_array_equal(found.depth, found.depth.astype(np.float16).astype(np.float32))
        assert found.depth.min() >= -1
        assert found.depth.max() == 1
        assert found.mask.any()


def test_nothing_on_changes_nothing(hands):
    for crop in hands[0]["perspective"]:
        found, change = Augment(0, scale=0, translation=0, depth=0)(crop, 0, 0)
        np.testing.assert_array_equal(found.depth, crop.depth)
        np.testing.assert_array_equal(found.joints_mm, crop.joints_mm)
        assert found.cube == crop.cube
        assert change.quarters == 0


def test_a_hand_is_never_lost(hands):
    wild = Augment(translation=300, scale=1, depth=300, cutouts=50, cutout_size=1, edge_loss=1)
    for i, crop in enumerate(hands[0]["orthographic"]):
        for epoch in range(10):
            found, _ = wild(crop, epoch, i)
            assert found.mask.any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rotation": 181}, "rotation is from 0 to 180"),
        ({"scale": -0.1}, "scale is from 0"),
        ({"noise": float("nan")}, "noise is from 0"),
        ({"quarter_turns": True}, "rotation=0"),
        ({"seed": -1}, "seed is not negative"),
    ],
)
def test_values_out_of_range(values, message):
    with pytest.raises(UsageError, match=message):
        Augment(**values)
    if "rotation" in values:
        with pytest.raises(UsageError, match="no rotations; known: rotation"):
            Augment.from_dict({"rotations": 3})


def test_rejected_rows_are_left_alone():
    depth, cube = np.ones((2, 32, 32), np.float32), np.full((2, 4), np.nan, np.float32)
    depth[1, 8:24, 8:24] = 0.25
    cube[1] = [0, 0, 400, 120]
    joints = np.full((2, 21, 3), np.nan, np.float32)
    changes = augment_rows(Augment(), depth, cube, joints, "orthographic", 0, np.array([4, 5]))
    assert changes[0] is None
    assert (depth[0] == 1).all()
    assert changes[1] is not None
    assert np.isfinite(cube[1]).all()
    assert np.isnan(joints).all()


# In the data set.


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("augment") / "hands.zarr"
    gmaps.build("synthetic", out, KINDS, limit=24, workers=0, dtype="float32", progress=False)
    return out


def test_items_hold_the_augmented_crop_and_its_maps(store):
    data, opened = GuidanceDataset(store, KINDS, augment=ALL_ON), gmaps.open_store(store)
    assert data.on_the_fly
    for epoch in (0, 5):
        data.set_epoch(epoch)
        batch = data.read_batch(range(12)).stacked
        for k in range(12):
            crop, change = ALL_ON(opened[k].crop, epoch, k)
            maps = gmaps.encode(crop, KINDS, skeleton=opened.skeleton)
            for kind in KINDS:
                np.testing.assert_array_equal(batch["maps"][kind][k].numpy(), np.moveaxis(maps[kind], -1, 0))
            np.testing.assert_array_equal(batch["depth"][k, 0].numpy(), crop.depth)
            np.testing.assert_array_equal(batch["silhouette"][k, 0].numpy(), Scene(crop, 32).silhouette)
            np.testing.assert_array_equal(batch["cube"][k].numpy(), crop.cube.to_array())
            np.testing.assert_array_equal(batch["undo"][k].numpy(), change.undo)
            mm = batch["joints"][k] * batch["cube"][k, 3] + batch["cube"][k, :3]
            np.testing.assert_allclose((mm @ batch["undo"][k].T).numpy(), opened[k].joints, atol=1e-2)


def test_stored_maps_are_carried_over_where_that_is_exact(store):
    augment = Augment.exact(mirror=0.5)
    carried = GuidanceDataset(store, KINDS, augment=augment, on_the_fly=False)
    computed = GuidanceDataset(store, KINDS, augment=augment)
    assert not carried.on_the_fly
    a, b = carried.read_batch(range(24)).stacked, computed.read_batch(range(24)).stacked
    for kind in KINDS:
        assert_carried(kind, np.asarray(a["maps"][kind]), np.asarray(b["maps"][kind]))
    with pytest.raises(UsageError, match=r"stored maps of signed_edt.* cannot be carried over.*on_the_fly=False"):
        GuidanceDataset(store, KINDS, augment=Augment(), on_the_fly=False)


def test_workers_that_live_on_follow_the_epoch(store):
    data = GuidanceDataset(store, ("heatmap",), augment=Augment(seed=2))
    loader = DataLoader(data, batch_size=8, num_workers=1, persistent_workers=True, collate_fn=collate,
                        multiprocessing_context="forkserver")  # fmt: skip
    for epoch in (0, 1):
        data.set_epoch(epoch)
        cubes = np.concatenate([batch["cube"].numpy() for batch in loader])
        np.testing.assert_array_equal(cubes, data.read_batch(range(24)).stacked["cube"].numpy())
    data.set_epoch(0)
    assert np.abs(cubes - data.read_batch(range(24)).stacked["cube"].numpy()).max() > 1


def test_training_is_augmented_and_validation_is_not(store, tmp_path):
    from gmaps.nets.handmap import model_params
    from gmaps.training.fit import train
    from gmaps.training.params import TrainParams

    network = model_params("geodesic", size=32, stem=(8, 16), width=16, repeats=1, head=(8, 8, 8), hidden=32)
    params = TrainParams(epochs=2, batch=8, workers=0, validation="0.3", augment="rotation=90,noise=1")
    ended = train(gmaps.open_store(store), tmp_path, network, params, progress=False, device="cpu")
    assert ended.step == 4
    assert np.isfinite(ended.last_mm)


def test_augmentation_is_read_from_a_command_line():
    assert Augment.parse("off") is None
    assert Augment.parse("on", 7) == Augment(seed=7)
    assert Augment.parse("rotation=30, cutouts=2") == Augment(rotation=30, cutouts=2)
    assert Augment.parse("quarter_turns=true,scale=0").rotation == 0
    for text in ("rotation", "rotation=far", "quarter_turns=7", ""):
        with pytest.raises(UsageError, match="is no NAME=VALUE"):
            Augment.parse(text)
    with pytest.raises(UsageError, match="no spin; known"):
        Augment.parse("spin=3")


# The kernels, against their twins.


def bumpy(seed, size=40):
    """A smooth surface with a hole, a step and void around it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    depth = (0.3 * np.sin(4 * x + seed) * np.cos(3 * y) + 0.3 * (x > 0.6)).astype(np.float32)
    depth[np.hypot(x - 0.5, y - 0.5) > 0.42] = 1
    depth[rng.random(depth.shape) < 0.03] = 1
    return depth


@pytest.mark.parametrize("seed", range(8))
def test_warp_equals_its_twin(seed):
    rng, depth = np.random.default_rng(seed), bumpy(seed)
    angle, scale = rng.uniform(-np.pi, np.pi), rng.uniform(0.7, 1.4)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    inverse = np.column_stack([turn, [20, 20] - turn @ [20, 20] + rng.uniform(-3, 3, 2)])
    z_scale, z_shift = rng.uniform(0.8, 1.2), rng.uniform(-0.6, 0.6)
    out = np.empty_like(depth)
    seen = warp.warp(depth, inverse, z_scale, z_shift, 0.1, out)
    twin = slow.warp(depth, inverse, z_scale, z_shift, 0.1)
    assert seen == np.count_nonzero(out < 1)
    np.testing.assert_array_equal(out < 1, twin < 1)
    np.testing.assert_allclose(out, twin, atol=2e-6)


def test_noise_is_normal_enough_and_edges_are_lost():
    depth = bumpy(1, 200)
    out = np.empty_like(depth)
    edge = slow.edges(depth, 0.1)
    seen = warp.roughen(depth, np.uint64(99), 0.01, 0.3, 0.1, out)
    kept = out < 1
    assert seen == np.count_nonzero(kept)
    assert not np.any(kept & (depth >= 1))
    assert np.all(kept[~edge] == (depth < 1)[~edge])
    assert np.mean(~kept[edge]) == pytest.approx(0.3, abs=0.04)
    noise = (out - depth)[kept] / 0.01
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.std() == pytest.approx(1, abs=0.03)
    assert np.percentile(noise, 97.7) == pytest.approx(2, abs=0.1)
    grid = np.where(kept, (out - depth) / 0.01, 0)
    assert abs(np.corrcoef(grid[:, 1:].ravel(), grid[:, :-1].ravel())[0, 1]) < 0.03
    other = np.empty_like(depth)
    warp.roughen(depth, np.uint64(100), 0.01, 0.3, 0.1, other)
    assert abs(np.corrcoef((other - depth)[kept & (other < 1)], (out - depth)[kept & (other < 1)])[0, 1]) < 0.03


def test_turning_a_cube_far_from_the_axis_moves_it():
    """The camera rolls about its own axis, so a cube at its side goes round."""
    crop = Crop(np.zeros((32, 32), np.float32), Cube((100, 0, 400)), np.array([[110, 5, 390]], np.float32))
    for epoch in range(8):
        found, change = Augment.exact()(crop, epoch, 0)
        expected = {0: (100, 0), 1: (0, -100), 2: (-100, 0), 3: (0, 100)}[change.quarters]
        np.testing.assert_allclose(found.cube.center[:2], expected, atol=1e-4)
