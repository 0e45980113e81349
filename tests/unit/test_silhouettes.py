"""The hand's own silhouette, where a data set knows which pixels are hand: in crops, maps, stores and training."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.augment import Augment
from gmaps.crop import CropParams, crop_dataset_frame, crop_frame
from gmaps.datasets import load_dataset
from gmaps.datasets.dexycb.recordings import SERIALS, SUBJECTS
from gmaps.datasets.write.dexycb_files import write_calibration, write_frame, write_meta
from gmaps.errors import FrameError, UsageError
from gmaps.frame import BACKGROUND, Crop, Cube, Frame
from gmaps.maps import encode
from gmaps.pipeline.verify import recompute_rows
from gmaps.skeleton import get_skeleton
from gmaps.synth.skin import PARTS
from tests.object_scenes import CAMERA, held

KINDS = ("signed_edt", "geodesic", "euclidean", "geodesic_weighted", "views_geodesic", "voxel_joint", "heatmap")


def frame_of(k):
    seen = held(k)
    return Frame(seen.depth, seen.camera, seen.joints, k, mask=seen.hand, name=f"held {k}"), seen


def cube_of(frame):
    return Cube(tuple(frame.joints.mean(axis=0)), 125.0)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Five hands that hold a ball over a table, as DexYCB's files, all in the first camera."""
    root = tmp_path_factory.mktemp("dexycb")
    folder = root / SUBJECTS[0] / "20200709_141754"
    for serial in SERIALS:
        (folder / serial).mkdir(parents=True)
    for k in range(5):
        seen = held(k)
        for serial in SERIALS:
            write_frame(folder / serial, k, seen.depth, seen.joints if serial == SERIALS[0] else None, seen.hand)
    write_meta(folder, 5, "right", SERIALS, "a")
    write_calibration(root, dict.fromkeys(SERIALS, CAMERA), {"a": np.zeros(10)})
    return root


@pytest.fixture(scope="module")
def store(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("stores") / "s.zarr"
    gmaps.build("dexycb", out, KINDS, root=tree, limit=5, workers=0, progress=False)
    return gmaps.open_store(out)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize("k", range(5))
def test_a_cell_is_hand_where_its_own_pixel_is(k, projection):
    """Each cell's point, seen by the camera again, lies in a pixel of the hand or in none."""
    frame, seen = frame_of(k)
    cube, size = cube_of(frame), 128
    crop = crop_frame(frame, cube, size=size, projection=projection)
    at = ((2 * np.indices((size, size)) + 1) / size - 1) * cube.half_side
    z = crop.depth * cube.half_side + cube.center[2]
    x, y = at[1] + cube.center[0], at[0] + cube.center[1]
    if projection == "perspective":
        x, y = x / cube.center[2] * z, y / cube.center[2] * z
    u, v, _ = np.moveaxis(seen.camera.project(np.stack([x, y, z], -1)), -1, 0)
    inside = (crop.depth < BACKGROUND) & (u > 0) & (v > 0) & (u < 639) & (v < 479)
    label = seen.hand[np.rint(v).astype(int).clip(0, 479), np.rint(u).astype(int).clip(0, 639)]
    assert crop.hand.any()
    assert not (crop.hand & (crop.depth == BACKGROUND)).any()
    assert (crop.hand == label)[inside].mean() > 0.97  # borders fall to either side
    np.testing.assert_array_equal(crop.mask, crop.hand)


def test_the_network_sees_the_scene_and_maps_the_hand():
    frame, _ = frame_of(0)
    cube = cube_of(frame)
    crop = crop_frame(frame, cube)
    bare = crop_frame(Frame(frame.depth, frame.camera, frame.joints), cube)
    np.testing.assert_array_equal(crop.depth, bare.depth)  # the scene, as without a mask
    assert bare.hand is None
    assert (bare.depth < BACKGROUND).mean() > 2 * crop.hand.mean()
    alone = Crop(np.where(crop.hand, crop.depth, BACKGROUND), cube, crop.joints_mm)
    for kind, values in encode(crop, KINDS, skeleton=get_skeleton("openpose21")).items():
        expected = encode(alone, (kind,), skeleton=get_skeleton("openpose21"))[kind]
        np.testing.assert_array_equal(values, expected, err_msg=kind)


def test_all_hand_is_as_no_mask_and_none_is_refused():
    frame, _ = frame_of(1)
    cube = cube_of(frame)
    every = Frame(frame.depth, frame.camera, frame.joints, mask=np.ones_like(frame.mask))
    crop = crop_frame(every, cube)
    np.testing.assert_array_equal(crop.hand, crop.depth < BACKGROUND)
    for mask, said in ((np.zeros_like(frame.mask), "no pixel of the hand is seen"), (frame.mask[1:], "has shape")):
        with pytest.raises(FrameError, match=said):
            crop_frame(Frame(frame.depth, frame.camera, frame.joints, mask=mask), cube)


def test_parameters_of_depth_are_those_of_older_stores():
    assert "silhouette" not in CropParams().to_dict()
    assert CropParams(silhouette="segmentation").to_dict()["silhouette"] == "segmentation"
    with pytest.raises(UsageError, match="no silhouette called 'hand'"):
        CropParams(silhouette="hand")
    frame, _ = frame_of(0)
    assert crop_dataset_frame(frame, (300, 900), CropParams()).hand is None
    unmasked = Frame(frame.depth, frame.camera, frame.joints, name="f")
    with pytest.raises(FrameError, match="does not say which pixels are hand"):
        crop_dataset_frame(unmasked, (300, 900), CropParams(silhouette="segmentation"))


def test_a_store_keeps_the_mask_and_maps_on_the_fly_are_its_bits(store, tree):
    assert store.masked
    assert store.attributes["crop"]["silhouette"] == "segmentation"
    ds = load_dataset("dexycb", tree)
    for i in range(5):
        sample = store[i]
        crop = crop_frame(ds.read(i), sample.cube)
        np.testing.assert_array_equal(sample.arrays["mask"], crop.hand)
        np.testing.assert_array_equal(sample.crop.mask, crop.hand)
        np.testing.assert_array_equal(sample.depth, crop.depth)
    assert recompute_rows(store, range(5), root=tree) == []


def test_training_reads_the_scene_and_learns_the_hand(store):
    pytest.importorskip("torch")
    from gmaps.training import GuidanceDataset

    kinds = ("signed_edt", "geodesic", "geodesic_weighted", "heatmap")
    stored, made = (GuidanceDataset(store, kinds, on_the_fly=fly, arrays=("mask",))[:] for fly in (False, True))
    for i, (a, b) in enumerate(zip(stored, made, strict=True)):
        np.testing.assert_array_equal(a["depth"][0], store[i].depth)
        assert np.array_equal(a["silhouette"], b["silhouette"])
        hand = store[i].arrays["mask"].reshape(32, 4, 32, 4).any(axis=(1, 3))
        np.testing.assert_array_equal(a["silhouette"][0], hand)
        np.testing.assert_array_equal(b["mask"], store[i].arrays["mask"])
        for kind in kinds:
            exact = encode(store[i].crop, (kind,))[kind]
            np.testing.assert_array_equal(np.moveaxis(b["maps"][kind].numpy(), 0, -1), exact)
            np.testing.assert_allclose(a["maps"][kind], b["maps"][kind], atol=1e-3 if kind != "signed_edt" else 0.1)


def test_maps_added_to_a_store_are_those_of_a_build(store, tree, tmp_path):
    out = tmp_path / "s.zarr"
    gmaps.build("dexycb", out, ("heatmap",), root=tree, limit=5, workers=0, progress=False)
    added = CliRunner().invoke(main, ["store", "add", str(out), "geodesic", "--workers", "0"])
    assert added.exit_code == 0, added.output
    np.testing.assert_array_equal(gmaps.open_store(out)["maps/geodesic"][:], store["maps/geodesic"][:])


def test_silhouette_depth_is_as_before(tree, tmp_path, store):
    out = tmp_path / "s.zarr"
    run = CliRunner().invoke(
        main,
        ["build", "--dataset", "dexycb", "--root", str(tree), "--silhouette", "depth", "--maps", "geodesic",
         "--limit", "5", "--workers", "0", "--quiet", "--out", str(out)],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    plain = gmaps.open_store(out)
    assert not plain.masked
    assert "mask" not in plain.names
    assert "silhouette" not in plain.attributes["crop"]
    np.testing.assert_array_equal(plain["depth"][:], store["depth"][:])
    assert (plain["maps/geodesic"][:] != store["maps/geodesic"][:]).any()
    with pytest.raises(UsageError, match="synthetic does not say which pixels are hand"):
        gmaps.build("synthetic", tmp_path / "x.zarr", silhouette="segmentation", workers=0, limit=2)


# --- augmentation ----------------------------------------------------------------------------------------------


def test_quarter_turns_and_mirrors_move_the_mask_exactly():
    frame, _ = frame_of(2)
    crop = crop_frame(frame, cube_of(frame))
    for row in range(12):
        moved, change = Augment.exact(mirror=0.5, seed=3)(crop, 0, row)
        expected = crop.hand[:, ::-1] if change.mirrored else crop.hand
        np.testing.assert_array_equal(moved.hand, np.rot90(expected, change.quarters))


def test_any_change_moves_mask_and_depth_alike():
    frame, _ = frame_of(0)
    crop = crop_frame(frame, cube_of(frame))
    augment = Augment(cutouts=3, noise=1.0, edge_loss=0.2, mirror=0.5)
    labelled = Crop(crop.depth, crop.cube, crop.joints_mm)
    for row in range(20):
        moved, _ = augment(crop, 1, row)
        bare, _ = augment(labelled, 1, row)
        assert moved.hand.any()
        assert not (moved.hand & (moved.depth == BACKGROUND)).any()
        assert 0.2 * crop.hand.sum() < moved.hand.sum() < 2 * crop.hand.sum()
        if moved.cube == bare.cube:  # the hand was in view either way: the scene is what it would be without a mask
            np.testing.assert_array_equal(moved.depth, bare.depth)


def test_training_augments_mask_and_maps_together(store):
    pytest.importorskip("torch")
    from gmaps.training import GuidanceDataset

    data = GuidanceDataset(store, ("geodesic",), augment=Augment(), arrays=("mask",))
    for item in data[:]:
        depth, mask = item["depth"][0].numpy(), item["mask"].numpy()
        crop = Crop(depth, Cube.from_array(item["cube"].numpy()), item["joints_mm"].numpy(), hand=mask)
        expected = encode(crop, ("geodesic",))["geodesic"]
        np.testing.assert_array_equal(np.moveaxis(item["maps"]["geodesic"].numpy(), 0, -1), expected)
    np.testing.assert_array_equal(store[0].arrays["mask"], gmaps.open_store(store.path)[0].arrays["mask"])


# --- other data sets -------------------------------------------------------------------------------------------


def test_the_synthetic_hands_forearm_is_no_hand():
    ds, plain = load_dataset("synthetic", frames=4, mask="hand"), load_dataset("synthetic", frames=4)
    assert ds.segmented
    assert not plain.segmented
    for i in range(4):
        parts = ds.truth(i).parts
        np.testing.assert_array_equal(ds.read(i).mask, (parts > 0) & (parts != 1 + PARTS.index("forearm")))
        assert plain.read(i).mask is None
    assert ds.fingerprint() != plain.fingerprint()
    with pytest.raises(UsageError, match="mask is hand, or none"):
        load_dataset("synthetic", mask="arm")


def test_a_folders_segmentation_says_what_is_hand(tmp_path):
    from gmaps.datasets.write.tree import write_tree

    write_tree(tmp_path / "t", "synhand", 4)
    labels = [p for p in PARTS if p != "forearm"]
    ds = load_dataset("folder", tmp_path / "t", mask=",".join(labels))
    assert ds.segmented
    frame = ds.read(0)
    parts = ds.segmentation(0)
    np.testing.assert_array_equal(frame.mask, (parts > 0) & (parts != 1 + PARTS.index("forearm")))
    source = CropParams(silhouette="segmentation")
    whole = crop_dataset_frame(frame, (200, 900), source)
    from gmaps.pipeline.source import FrameCrops

    cut = FrameCrops(ds, source).crop(0)
    np.testing.assert_array_equal(cut.hand, whole.hand)
    assert load_dataset("folder", tmp_path / "t").fingerprint() != ds.fingerprint()
    with pytest.raises(UsageError, match="Did you mean 'palm'"):
        load_dataset("folder", tmp_path / "t", mask="plam")


def test_a_name_of_a_stores_own_arrays_is_reserved():
    from gmaps.datasets import FrameArray

    for name in ("mask", "color"):
        with pytest.raises(UsageError, match=f"cannot be called '{name}'"):
            FrameArray(name, (3,))
