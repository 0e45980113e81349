"""Colour: cut with the depth's cube or by a box of its own, kept, augmented, shown; and frames that have no depth."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps.augment import Augment
from gmaps.crop import crop_frame
from gmaps.datasets import check_dataset, load_dataset
from gmaps.errors import DatasetError, FrameError, UsageError
from gmaps.formats.picture import parse_picture, picture_size
from gmaps.frame import BACKGROUND, Crop, Cube, Frame
from gmaps.kernels import colour
from gmaps.maps import encode
from gmaps.skeleton import get_skeleton
from tests.object_scenes import held

SKELETON = get_skeleton("openpose21")
RNG = np.random.default_rng(0)
#: A hand's joints in a picture of 200 x 160.
JOINTS = np.stack([60 + 70 * RNG.random(21), 50 + 60 * RNG.random(21)], axis=1)


def slow_cut(image, left, top, step_u, step_v, size):
    """Cell by cell: the mean of the pixels in it, black outside the image; or what lies between four pixels."""
    rows, cols = image.shape[:2]
    out = np.zeros((size, size, 3), int)
    for i in range(size):
        for j in range(size):
            us = [u for u in range(-500, 500) if left + j * step_u <= u < left + (j + 1) * step_u]
            vs = [v for v in range(-500, 500) if top + i * step_v <= v < top + (i + 1) * step_v]
            if us and vs:
                values = [image[v, u].astype(int) for v in vs for u in us if 0 <= u < cols and 0 <= v < rows]
                out[i, j] = (sum(values, np.zeros(3, int)) + len(us) * len(vs) // 2) // (len(us) * len(vs))
                continue
            u, v = left + (j + 0.5) * step_u, top + (i + 0.5) * step_v
            if -0.5 <= u < cols - 0.5 and -0.5 <= v < rows - 0.5:
                u, v = np.clip(u, 0, cols - 1), np.clip(v, 0, rows - 1)
                a, b = int(u), int(v)
                c, d = min(a + 1, cols - 1), min(b + 1, rows - 1)
                fu, fv = u - a, v - b
                mixed = (1 - fv) * ((1 - fu) * image[b, a] + fu * image[b, c])
                mixed = mixed + fv * ((1 - fu) * image[d, a] + fu * image[d, c])
                out[i, j] = np.floor(mixed + 0.5)
    return out


@settings(max_examples=40, deadline=None)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.2, 4), st.floats(0.2, 4), st.integers(0, 9))
def test_a_cut_is_what_its_slow_twin_makes(left, top, step_u, step_v, seed):
    image = np.random.default_rng(seed).integers(0, 256, (13, 17, 3), np.uint8)
    out = np.empty((6, 6, 3), np.uint8)
    colour.cut(image, left, top, step_u, step_v, out)
    assert np.abs(out.astype(int) - slow_cut(image, left, top, step_u, step_v, 6)).max() <= 1


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_colour_is_that_of_the_same_place(projection):
    """Columns are coded in red, rows in green: what a cell shows is where its point is seen."""
    seen = held(0)
    v, u = np.mgrid[:480, :640]
    image = np.dstack([u * 255 / 639, v * 255 / 479, np.full(u.shape, 77)]).round().astype(np.uint8)
    cube = Cube(tuple(seen.joints.mean(axis=0)), 125.0)
    frame = Frame(seen.depth, seen.camera, seen.joints, color=image, mask=seen.hand)
    crop = crop_frame(frame, cube, projection=projection)
    bare = crop_frame(Frame(seen.depth, seen.camera, seen.joints), cube, projection=projection)
    np.testing.assert_array_equal(crop.depth, bare.depth)
    at = (2 * np.indices((128, 128)) + 1) / 128 - 1
    z = crop.depth * 125.0 + cube.center[2]
    x, y = at[1] * 125 + cube.center[0], at[0] * 125 + cube.center[1]
    if projection == "perspective":
        x, y = x / cube.center[2] * z, y / cube.center[2] * z
    uv = seen.camera.project(np.stack([x, y, z], -1))[..., :2]
    there = (crop.depth < BACKGROUND) & (uv > 1).all(-1) & (uv < (638, 478)).all(-1)
    assert there.sum() > 3000
    assert np.abs(crop.color[..., 0] * (639 / 255) - uv[..., 0])[there].max() < 4
    assert np.abs(crop.color[..., 1] * (479 / 255) - uv[..., 1])[there].max() < 4
    if projection == "orthographic":
        assert not crop.color[crop.depth == BACKGROUND].any()


def test_dexycbs_colour_is_cut_and_mirrored_with_its_depth(tmp_path):
    """A left hand: its image is coded by columns, so that the crop tells which it shows."""
    from gmaps.datasets.dexycb.recordings import SERIALS, SUBJECTS
    from gmaps.datasets.write.dexycb_files import write_calibration, write_frame, write_meta
    from tests.object_scenes import CAMERA

    folder = tmp_path / SUBJECTS[0] / "20200709_141754"
    seen = held(1, left=True)
    u = np.mgrid[:480, :640][1]
    image = np.dstack([u * 255 / 639] * 3).round().astype(np.uint8)
    for serial in SERIALS:
        (folder / serial).mkdir(parents=True)
        write_frame(folder / serial, 0, seen.depth, seen.joints, seen.hand)
        cv2.imwrite(str(folder / serial / "color_000000.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
    write_meta(folder, 1, "left", SERIALS, "a")
    write_calibration(tmp_path, dict.fromkeys(SERIALS, CAMERA), {"a": np.zeros(10)})
    ds = load_dataset("dexycb", tmp_path, color="on")
    assert ds.colored
    frame = ds.read(0)
    assert np.abs(frame.color[:, ::-1].astype(int) - image).max() <= 2
    assert load_dataset("dexycb", tmp_path).read(0).color is None
    out = tmp_path / "s.zarr"
    gmaps.build("dexycb", out, ("geodesic",), root=tmp_path, limit=1, workers=0, progress=False,
                dataset_options={"color": "on"})  # fmt: skip
    store = gmaps.open_store(out)
    assert store.colored
    assert not store.flat
    crop = crop_frame(ds.read(0), store[0].cube)
    np.testing.assert_array_equal(store[0].arrays["color"], crop.color)
    np.testing.assert_array_equal(store[0].crop.color, crop.color)


# --- frames without depth --------------------------------------------------------------------------------------


def picture(path):
    v, u = np.mgrid[:160, :200]
    image = np.dstack([u, v, np.full(u.shape, 99)]).astype(np.uint8)
    cv2.imwrite(str(path), image[..., ::-1])
    return image


def coco(joints, names, visible=None):
    points = [np.column_stack([j, np.ones(21) if visible is None else visible[k]]) for k, j in enumerate(joints)]
    return json.dumps({
        "images": [{"id": 7 + k, "file_name": n, "width": 200, "height": 160} for k, n in enumerate(names)],
        "annotations": [
            {"id": 30 + k, "image_id": 7 + k, "keypoints": p.ravel().tolist()} for k, p in enumerate(points)
        ],
    })  # fmt: skip


@pytest.fixture(params=["panoptic", "onehand10k", "nsrm"])
def flat(request, tmp_path):
    """Three hands, of which the last has a joint that nobody marked (but for nsrm, which knows no such)."""
    root, name = tmp_path / "data", request.param
    (root / "imgs").mkdir(parents=True)
    names = [f"a{k}.png" for k in range(3)]
    for n in names:
        picture(root / "imgs" / n)
    joints = [JOINTS + k for k in range(3)]
    if name == "nsrm":
        (root / "labels.json").write_text(json.dumps({n: j.tolist() for n, j in zip(names, joints, strict=True)}))
        (root / "partitions.json").write_text(json.dumps({"train": names[:2], "valid": names[2:], "test": names[1:]}))
    else:
        visible = np.ones((3, 21))
        visible[2, 4] = 0
        (root / "annotations").mkdir()
        for split in ("train", "test"):
            (root / "annotations" / f"{name}_{split}.json").write_text(coco(joints, names, visible))
    return name, root


def test_a_frame_is_the_image_and_its_joints(flat):
    name, root = flat
    ds = load_dataset(name, root, split="train", scale=2.2)
    assert [c for c in check_dataset(name, root) if c.problem] == []
    frame = ds.read(1)
    assert frame.flat
    np.testing.assert_array_equal(frame.color, picture(root / "imgs" / "a1.png"))
    np.testing.assert_allclose(frame.joints[:, :2], JOINTS + 1, atol=1e-4)
    assert (frame.joints[:, 2] == 1).all()
    left, top, width, height = frame.box
    side = 2.2 * np.ptp(JOINTS, axis=0).max()
    assert width == height == pytest.approx(side, rel=1e-5)
    np.testing.assert_allclose(
        (left + width / 2, top + width / 2), (JOINTS.min(0) + JOINTS.max(0)) / 2 + 1, atol=1e-3
    )
    if name != "nsrm":
        with pytest.raises(FrameError, match=r"a2\.png: 1 of its 21 joints are not marked"):
            ds.read(2)


def test_maps_in_the_plane_are_built_and_others_refused_by_name(flat, tmp_path):
    name, root = flat
    out = tmp_path / "s.zarr"
    with pytest.raises(UsageError, match=rf"{name} has colour and no depth, of which geodesic must be made; take"):
        gmaps.build(name, out, ("heatmap", "geodesic"), root=root, split="train", workers=0, progress=False)
    kinds = ("heatmap", *[k for k in gmaps.list_maps() if k.startswith("limb")][:1])
    gmaps.build(name, out, kinds, root=root, split="train", workers=0, max_rejects=1, progress=False,
                dataset_options={"scale": 2.2})  # fmt: skip
    store = gmaps.open_store(out)
    sample, frame = store[0], load_dataset(name, root, split="train", scale=2.2).read(0)
    assert store.flat
    assert sample.crop.flat
    left, top, side, _ = frame.box
    px = (frame.joints[:, 1::-1] - (top, left)) / side * 32 - 0.5
    np.testing.assert_allclose(sample.crop.joints_px(32), px, atol=1e-2)
    peaks = [np.unravel_index(sample.maps["heatmap"][..., j].argmax(), (32, 32)) for j in range(21)]
    assert np.abs(np.array(peaks) - px).max() <= 0.51
    # The image codes its columns in red: what the crop shows is where it was cut.
    u = left + (np.arange(128) + 0.5) * side / 128
    row = sample.arrays["color"][64, :, 0]
    inside = (u > 1) & (u < 198)
    assert np.abs(row[inside] - u[inside]).max() <= 1.5
    shown = CliRunner().invoke(
        main, ["inspect", "sample", "0", "--store", str(out), "--save", str(tmp_path / "p.png")]
    )
    assert shown.exit_code == 0, shown.output
    assert "colour, no depth" in shown.output
    assert (tmp_path / "p.png").stat().st_size > 5000
    with pytest.raises(UsageError, match="colour and no depth, of which signed_edt must be made"):
        encode(sample.crop, ("signed_edt",), skeleton=SKELETON)


def test_training_gives_colour_and_augments_it_with_the_joints(flat, tmp_path):
    pytest.importorskip("torch")
    from gmaps.training import GuidanceDataset

    name, root = flat
    out = tmp_path / "s.zarr"
    gmaps.build(name, out, ("heatmap",), root=root, split="train", workers=0, max_rejects=1, progress=False)
    store = gmaps.open_store(out)
    plain = GuidanceDataset(store, ("heatmap",), arrays=("color",))[0]
    np.testing.assert_array_equal(plain["color"], store[0].arrays["color"])
    item = GuidanceDataset(store, ("heatmap",), augment=Augment.exact(mirror=1.0, seed=1), arrays=("color",))[0]
    turned = [np.rot90(store[0].arrays["color"][:, ::-1], k) for k in range(4)]
    k = next(k for k in range(4) if (turned[k] == item["color"].numpy()).all())
    maps = np.rot90(np.moveaxis(plain["maps"]["heatmap"].numpy(), 0, -1)[:, ::-1], k)
    np.testing.assert_allclose(np.moveaxis(item["maps"]["heatmap"].numpy(), 0, -1), maps, atol=2e-3)
    with pytest.raises(UsageError, match="must be made"):
        GuidanceDataset(store, ("geodesic",), on_the_fly=True)


def test_any_change_moves_colour_and_joints_alike():
    """A white dot at a joint of a black picture is at that joint's place afterwards."""
    color = np.zeros((128, 128, 3), np.uint8)
    color[60:63, 80:83] = 255
    at = np.array([[(81 + 0.5) / 64 - 1, (61 + 0.5) / 64 - 1, 0.0]]) * 50 + (100, 90, 1)
    crop = Crop(
        np.full((128, 128), BACKGROUND, np.float32),
        Cube((100.0, 90.0, 1.0), 50.0),
        at.astype(np.float32),
        color=color,
    )
    for row in range(20):
        moved, _ = Augment(translation=3, depth=0, mirror=0.5)(crop, 0, row)
        rows, cols = np.nonzero(moved.color[..., 0] > 100)
        np.testing.assert_allclose((rows.mean(), cols.mean()), moved.joints_px(128)[0], atol=0.8)


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"), ("[]", "no images and annotations"), ('{"images": [], "annotations": []}', "names no hand"),
        ('{"images": [{"id": 1, "file_name": "../../etc/passwd"}], "annotations": []}', "without id and file_name"),
        ('{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 2}]}', "of no image"),
        ('{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "keypoints": [1]}]}', "21 x 3"),
    ],
)  # fmt: skip
def test_labels_that_are_none_are_refused(tmp_path, text, said):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "panoptic_train.json").write_text(text)
    with pytest.raises(DatasetError, match=rf"panoptic_train\.json: .*{said}"):
        load_dataset("panoptic", tmp_path, split="train").index()
    with pytest.raises(DatasetError, match=r"no annotations/panoptic_test\.json here"):
        load_dataset("panoptic", tmp_path, split="test").index()
    with pytest.raises(UsageError, match="scale of panoptic is from 1 to 10"):
        load_dataset("panoptic", tmp_path, split="train", scale="big")


def test_pictures_are_jpeg_or_png_of_a_size_that_can_be():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    for kind in (".jpg", ".png"):
        data = cv2.imencode(kind, image)[1].tobytes()
        assert picture_size(data, "f") == (30, 20)
        assert parse_picture(data, "f").shape == (20, 30, 3)
        with pytest.raises(FrameError, match="30 x 20 pixels, not 31 x 20"):
            parse_picture(data, "f", (31, 20))
    for data, said in (
        (b"GIF89a" + bytes(99), "no JPEG or PNG"),
        (b"\xff\xd8\xff\xe0\xff\xff" + bytes(20), "no JPEG"),
    ):
        with pytest.raises(FrameError, match=said):
            parse_picture(data, "f")


def test_a_real_picture_of_panoptic_is_read(real_data, tmp_path):
    real = real_data / "panoptic"
    (tmp_path / "annotations").mkdir()
    said = json.loads((real / "test_panoptic.json").read_text())
    there = {i["id"] for i in said["images"] if (real / i["file_name"]).is_file()}
    said["annotations"] = [a for a in said["annotations"] if a["image_id"] in there]
    (tmp_path / "annotations" / "panoptic_test.json").write_text(json.dumps(said))
    (tmp_path / "imgs").symlink_to(real)
    frame = load_dataset("panoptic", tmp_path, split="test").read(0)
    assert frame.color.shape == (720, 1280, 3)
    gmaps.build("panoptic", tmp_path / "s.zarr", ("heatmap",), root=tmp_path, split="test", workers=0, progress=False)
    sample = gmaps.open_store(tmp_path / "s.zarr")[0]
    assert sample.crop.inside().all()
    assert sample.arrays["color"].std() > 10
