"""Folders described by a dataset.toml: every format, convention and fault that such a tree can have.

The trees are synthetic, written here; real frames are read in tests/integration/test_folder_real.py.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from gmaps.camera import Camera
from gmaps.datasets import check_dataset, load_dataset
from gmaps.errors import DatasetError, FrameError, UnknownNameError, UsageError
from gmaps.skeleton import get_skeleton

CAMERA = Camera(475.0, 470.0, 31.0, 25.0, 64, 48)
HEAD = """
[camera]
fx = 475.0
fy = 470.0
cx = 31.0
cy = 25.0
width = 64
height = 48
"""
SKELETON = '\n[skeleton]\nname = "msra21"\n'
PLAIN = '\n[depth]\nfiles = "{frame:[0-9]+}.png"\n'


def joints(n, count=21, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform((-20, -20, 400), (20, 20, 500), (n, count, 3)).astype(np.float32)


def depth(k, top=600):
    """(48, 64) uint16: 0 in the first row, then all kinds of values."""
    image = np.random.default_rng(100 + k).integers(1, top, (48, 64)).astype(np.uint16)
    image[0] = 0
    return image


def save_image(path: Path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".npz":
        np.savez_compressed(path, depth=image, other=np.zeros(3))
    else:
        assert cv2.imwrite(str(path), image)


def tree(root: Path, toml: str, frames=3, suffix=".png"):
    """Frames 0, 1, ... at the root of the tree, and its dataset.toml."""
    root.mkdir(exist_ok=True)
    (root / "dataset.toml").write_text(HEAD + toml)
    for k in range(frames):
        save_image(root / f"{k}{suffix}", depth(k))
    return root


def shared(root, **keys):
    """A toml of plain PNGs with joints in one file."""
    lines = "\n".join(f"{k} = {json.dumps(v)}" for k, v in keys.items())
    return PLAIN + f"[joints]\n{lines}\n" + SKELETON


# --- depth in every format -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".npy", ".npz"])
def test_whole_numbers_in_every_format(suffix, tmp_path):
    array = 'array = "depth"\n' if suffix == ".npz" else ""
    toml = f'\n[depth]\nfiles = "{{frame}}{suffix}"\nunit = 0.125\nnone = [511]\nfarthest = 70\n{array}'
    root = tree(tmp_path / "t", toml, suffix=suffix)
    data = load_dataset("folder", root)
    for k in range(3):
        raw = depth(k).astype(np.float32)
        want = raw * np.float32(0.125)
        want[(raw == 511) | (want > 70)] = 0
        frame = data.read(k)
        assert frame.depth.dtype == np.float32
        assert frame.depth.flags.writeable
        np.testing.assert_array_equal(frame.depth, want)
        assert frame.name == f"{k}{suffix}"
        assert frame.camera == CAMERA
        assert np.isnan(frame.joints).all()
        assert frame.joints.shape == (21, 3)
    assert all(c.ok for c in check_dataset("folder", root))


@pytest.mark.parametrize("suffix", [".tiff", ".npy", ".npz"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fractions_and_metres(suffix, dtype, tmp_path):
    root = tree(tmp_path / "t", f'\n[depth]\nfiles = "{{frame}}{suffix}"\nunit = 1000\n', frames=0)
    if suffix == ".npz":
        (root / "dataset.toml").write_text(HEAD + '\n[depth]\nfiles = "{frame}.npz"\nunit = 1000\narray = "depth"\n')
    metres = (depth(0) / 1234.5).astype(dtype)
    metres[1, :3] = np.nan, np.inf, -np.inf
    save_image(root / f"a{suffix}", metres)
    found = load_dataset("folder", root).read(0).depth
    metres[1, :3] = 0
    np.testing.assert_allclose(found, metres.astype(np.float32) * np.float32(1000), rtol=1e-6)


@pytest.mark.parametrize("weights", [[0, 256, 1], [1, 256, 0], [256, 1, 0], [65536, 256, 1]])
def test_depth_packed_into_colours(weights, tmp_path):
    root = tree(tmp_path / "t", f'\n[depth]\nfiles = "{{frame}}.png"\nrgb = {weights}\nunit = 0.1\n', frames=0)
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for k, weight in enumerate(weights):
        image[..., 2 - k] *= weight > 0
    save_image(root / "a.png", image)
    want = sum(np.float32(w) * image[..., 2 - k] for k, w in enumerate(weights))
    if want.max() < 1e6:
        np.testing.assert_allclose(load_dataset("folder", root).read(0).depth, want * np.float32(0.1), rtol=1e-6)
    else:
        with pytest.raises(FrameError, match=r"a.png: depths from .* mm; are depth.unit"):
            load_dataset("folder", root).read(0)
    if 0 in weights:
        image[3, 3, 2 - weights.index(0)] = 1
        save_image(root / "a.png", image)
        with pytest.raises(FrameError, match=r"a.png: has (red|blue) in it, so it is a picture"):
            load_dataset("folder", root).read(0)


BAD_FRAMES = {
    ".png": [
        (np.zeros((48, 64), np.uint8), "an 8-bit grey PNG"), (np.zeros((48, 64, 4), np.uint8), "an 8-bit RGBA PNG"),
        (np.zeros((48, 64, 3), np.uint8), "an 8-bit RGB PNG"), (np.zeros((64, 48), np.uint16), "48 x 64 pixels"),
    ],
    ".tiff": [
        (np.zeros((48, 64), np.uint8), "1 x 8 bits"), (np.zeros((48, 64, 3), np.uint8), "3 x 8 bits"),
        (np.zeros((48, 64, 3), np.uint16), "3 x 16 bits"), (np.zeros((40, 64), np.uint16), "64 x 40 pixels"),
        (np.full((48, 64), -3.0, np.float32), "depths from -3 to -3 mm"),
    ],
    ".npy": [
        (np.zeros((64, 48), np.uint16), r"shape \(64, 48\), not \(48, 64\)"), (np.zeros((48, 64), np.uint8), "uint8"),
        (np.zeros((48, 64), bool), "array of bool"), (np.zeros((48, 64), complex), "array of complex"),
        (np.zeros((48, 64), "U3"), "array of <U3"), (np.full((48, 64), 1e7), "depths from 1e[+]07"),
        (np.zeros((48, 64), np.longdouble), "float128"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "case"), [(s, c) for s, cases in BAD_FRAMES.items() for c in range(len(cases))])
def test_decoys_are_refused_by_name(suffix, case, tmp_path):
    image, message = BAD_FRAMES[suffix][case]
    root = tree(tmp_path / "t", f'\n[depth]\nfiles = "{{frame}}{suffix}"\n', frames=0)
    save_image(root / f"decoy{suffix}", image)
    with pytest.raises(FrameError, match=rf"^decoy{suffix}: .*{message}"):
        load_dataset("folder", root).read(0)
    (problem,) = [c.problem for c in check_dataset("folder", root) if not c.ok] or [""]
    assert "depths" in message or f"decoy{suffix}" in problem


def packbits_tiff(image, predictor, order="<", compression=32773, data=None):
    """A TIFF of two strips, packed as PackBits does, of pixels' differences where there is a predictor."""
    rows = np.diff(image, axis=1, prepend=image.dtype.type(0)) if predictor == 2 else image
    strips = []
    for part in (rows[:24], rows[24:]):
        raw = part.astype(part.dtype.newbyteorder(order)).tobytes()
        pieces = [raw[k : k + 128] for k in range(0, len(raw), 128)]
        strips.append(b"".join(bytes([len(p) - 1]) + p for p in pieces) if compression == 32773 else raw)
    bits = image.dtype.itemsize * 8
    kind = {"u": 1, "i": 2, "f": 3}[image.dtype.kind]
    first = 8 + 2 + 12 * 10 + 4
    places = first + 16, first + 16 + len(strips[0])
    tags = [(256, 3, 1, 64), (257, 3, 1, 48), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, 1),
            (273, 4, 2, first), (278, 3, 1, 24), (279, 4, 2, first + 8), (317, 3, 1, predictor),
            (339, 3, 1, kind)]  # fmt: skip
    directory = struct.pack(order + "H", len(tags))
    for tag, form, count, value in tags:
        packed = struct.pack(order + "HH", value, 0) if form == 3 else struct.pack(order + "I", value)
        directory += struct.pack(order + "HHI", tag, form, count) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    lists = struct.pack(order + "4I", *places, *map(len, strips))
    return head + directory + bytes(4) + lists + b"".join(strips)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("predictor", [1, 2])
def test_packed_tiffs_with_and_without_predictor(order, dtype, predictor, tmp_path):
    """libtiff undoes no predictor behind PackBits; tifffile writes and reads such files."""
    root = tree(tmp_path / "t", '\n[depth]\nfiles = "{frame}.tif"\n', frames=0)
    image = depth(0).astype(dtype)
    (root / "0.tif").write_bytes(packbits_tiff(image, predictor, order))
    if dtype is np.float32 and predictor == 2:
        with pytest.raises(FrameError, match=r"0.tif: a TIFF of compression 32773 with predictor 2, which programs"):
            load_dataset("folder", root).read(0)
        assert any("predictor 2" in c.problem for c in check_dataset("folder", root))
    else:
        np.testing.assert_array_equal(load_dataset("folder", root).read(0).depth, image.astype(np.float32))
        assert all(c.ok for c in check_dataset("folder", root))


@pytest.mark.parametrize(("compression", "predictor"), [(1, 2), (1, 3), (32773, 3), (32773, 7)])
def test_predictors_that_programs_read_differently_are_refused(compression, predictor, tmp_path):
    root = tree(tmp_path / "t", '\n[depth]\nfiles = "{frame}.tif"\n', frames=0)
    (root / "0.tif").write_bytes(packbits_tiff(depth(0), predictor, compression=compression))
    with pytest.raises(FrameError, match=f"compression {compression} with predictor {predictor}"):
        load_dataset("folder", root).read(0)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_clean_images_compress_a_thousand_times(dtype, tmp_path):
    """What a rendered hand, or a segmentation, becomes by np.savez_compressed is not damaged."""
    toml = '\n[depth]\nfiles = "d{frame}.npz"\n[segmentation]\nfiles = "s{frame}.npz"\nlabels = ["none", "hand"]\n'
    root = tmp_path / "t"
    root.mkdir()
    (root / "dataset.toml").write_text(HEAD.replace("64", "1024").replace("48", "1024") + toml)
    image = np.zeros((1024, 1024), dtype)
    image[300:500, 200:700] = 500
    np.savez_compressed(root / "d0.npz", image)
    np.savez_compressed(root / "s0.npz", image > 0)
    np.savez_compressed(root / "s0.npz", (image > 0).astype(np.int64))
    assert image.nbytes > 250 * (root / "d0.npz").stat().st_size
    data = load_dataset("folder", root, cut="hand")
    assert (load_dataset("folder", root).read(0).depth == image).all()
    assert not data.read(0).depth.any()
    assert all(c.ok for c in check_dataset("folder", root))
    np.savez_compressed(root / "d0.npz", np.zeros((1024, 1200)))
    with pytest.raises(
        FrameError, match=r"d0.npz: .* bytes that say they are .*, more than such an array's 8,388,608"
    ):
        load_dataset("folder", root).read(0)


def test_pickles_are_not_opened(tmp_path):
    root = tree(tmp_path / "t", '\n[depth]\nfiles = "{frame}.npy"\n', frames=0)
    np.save(root / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(FrameError, match=r"a.npy: an array of object"):
        load_dataset("folder", root).read(0)


def test_torn_files_are_refused(tmp_path):
    for suffix in (".png", ".tiff", ".npy", ".npz"):
        array = 'array = "depth"\n' if suffix == ".npz" else ""
        toml = f'\n[depth]\nfiles = "{{frame}}{suffix}"\n{array}'
        root = tree(tmp_path / suffix[1:], toml, frames=1, suffix=suffix)
        whole = (root / f"0{suffix}").read_bytes()
        for cut in (0, 5, 40, len(whole) // 2, len(whole) - 5):
            (root / f"0{suffix}").write_bytes(whole[:cut])
            with pytest.raises(FrameError, match=rf"^0{suffix}"):
                load_dataset("folder", root).read(0)


# --- joints in every format ------------------------------------------------------------------------------------


def write_rows(path: Path, rows, names=None):
    """(N, J, 3) as a file of many frames."""
    flat = rows.reshape(len(rows), -1)
    if path.suffix == ".npy":
        np.save(path, rows)
    elif path.suffix == ".npz":
        np.savez(path, xyz=flat, more=np.zeros(2))
    elif path.suffix == ".json":
        listed = rows.tolist() if names is None else dict(zip(names, rows.tolist(), strict=True))
        path.write_text(json.dumps({"xyz": listed}))
    else:
        between = "," if path.suffix == ".csv" else " "
        lines = [between.join(f"{v:.9g}" for v in row) for row in flat]
        if names is not None:
            lines = [f"{n}{between}{line}" for n, line in zip(names, lines, strict=True)]
        path.write_text("\n".join(["a header", *lines, ""]))


EXTRA = {".npz": {"array": "xyz"}, ".json": {"array": "xyz"}, ".txt": {"skip": 1}, ".csv": {"skip": 1}, ".npy": {}}


@pytest.mark.parametrize("suffix", list(EXTRA))
def test_joints_of_many_frames_in_every_format(suffix, tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files=f"all{suffix}", **EXTRA[suffix]))
    want = joints(4)
    write_rows(root / f"all{suffix}", want[:3])
    data = load_dataset("folder", root)
    for k in range(3):
        np.testing.assert_array_equal(data.read(k).joints, want[k])
    assert all(c.ok for c in check_dataset("folder", root))
    write_rows(root / f"all{suffix}", want)  # a row more than frames: each may have its neighbour's
    with pytest.raises(DatasetError, match=rf"all{suffix}: joints of 4 frames, where 3 frames are"):
        load_dataset("folder", root).index()
    assert any("joints of 4 frames, where 3 frames are" in c.problem for c in check_dataset("folder", root))


@pytest.mark.parametrize("suffix", list(EXTRA))
def test_joints_of_one_frame_in_every_format(suffix, tmp_path):
    extra = "\n".join(f"{k} = {json.dumps(v)}" for k, v in EXTRA[suffix].items())
    toml = PLAIN + f'[joints]\nfiles = "joints/{{frame}}{suffix}"\n{extra}\n' + SKELETON
    root = tree(tmp_path / "t", toml)
    (root / "joints").mkdir()
    want = joints(3)
    for k in range(3):
        write_rows(root / "joints" / f"{k}{suffix}", want[k : k + 1])
    data = load_dataset("folder", root)
    for k in range(3):
        np.testing.assert_array_equal(data.read(k).joints, want[k])
    assert all(c.ok for c in check_dataset("folder", root))
    before = data.fingerprint()
    write_rows(root / "joints" / f"2{suffix}", want[:1])
    assert load_dataset("folder", root).fingerprint() != before
    (root / "joints" / f"1{suffix}").unlink()
    with pytest.raises(FrameError, match=rf"^joints/1{suffix}: cannot be read"):
        load_dataset("folder", root).read(1)
    (bad,) = [c for c in check_dataset("folder", root) if not c.ok]
    assert (bad.found, bad.expected) == (2, 3)
    assert f"joints/1{suffix}" in bad.problem


def test_a_line_a_joint(tmp_path):
    toml = PLAIN + '[joints]\nfiles = "{frame}.txt"\n' + SKELETON
    root = tree(tmp_path / "t", toml, frames=1)
    want = joints(1)[0]
    np.savetxt(root / "0.txt", want, fmt="%.9g")
    np.testing.assert_array_equal(load_dataset("folder", root).read(0).joints, want)
    np.savetxt(root / "0.txt", want.T, fmt="%.9g")  # 3 lines of 21 would be the same 63 numbers, shuffled
    with pytest.raises(FrameError, match=r"0.txt: an array of shape \(3, 21\), where joints are \(joints, 3\)"):
        load_dataset("folder", root).read(0)


@pytest.mark.parametrize(
    "axes", [["right", "up", "backward"], ["forward", "left", "down"], ["down", "right", "forward"]]
)
def test_axes_and_unit(axes, tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy", axes=axes, unit=1000.0))
    want = joints(3)
    direction = {"right": want[..., 0], "left": -want[..., 0], "down": want[..., 1], "up": -want[..., 1],
                 "forward": want[..., 2], "backward": -want[..., 2]}  # fmt: skip
    np.save(root / "j.npy", np.stack([direction[a] for a in axes], axis=-1) / 1000)
    np.testing.assert_allclose(load_dataset("folder", root).read(1).joints, want[1], rtol=1e-6)


def test_uvd(tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy", kind="uvd", unit=0.1))
    want = joints(3)
    np.save(root / "j.npy", CAMERA.project(want) * [1, 1, 10])
    np.testing.assert_allclose(load_dataset("folder", root).read(2).joints, want[2], rtol=1e-5, atol=1e-4)


def test_order_takes_the_skeletons_joints_out_of_the_files(tmp_path):
    order = list(range(40, 19, -1))
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy", order=order))
    rows = joints(3, 42)
    np.save(root / "j.npy", rows)
    np.testing.assert_array_equal(load_dataset("folder", root).read(2).joints, rows[2, order])


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".json"])
def test_rows_by_name(suffix, tmp_path):
    extra = EXTRA[suffix]
    root = tree(tmp_path / "t", shared(tmp_path, files=f"j{suffix}", rows="name", **extra), frames=0)
    for name in ("left_hand", "b", "7"):
        save_image(root / f"{name}.png", depth(1))
    (root / "dataset.toml").write_text((root / "dataset.toml").read_text().replace("{frame:[0-9]+}", "{frame}"))
    want = joints(3)
    write_rows(root / f"j{suffix}", want[[0, 2]], ["b", "images/left_hand.png"])
    data = load_dataset("folder", root)
    found = {data.index().frame[i]: i for i in range(3)}
    assert len(found) == 3
    np.testing.assert_array_equal(data.read(1).joints, want[0])
    np.testing.assert_array_equal(data.read(2).joints, want[2])
    with pytest.raises(FrameError, match=r"j\S+: has no joints of frame '7', but of 'b'"):
        data.read(0)
    assert any("1 frames are not named in it, first '7'" in c.problem for c in check_dataset("folder", root))
    write_rows(root / f"j{suffix}", want, ["b", "left", "7"])
    message = "1 of its 3 names are of no frame here: it holds 'left', where frames are called 'left_hand'"
    with pytest.raises(DatasetError, match=message):
        load_dataset("folder", root).index()
    assert any(message in c.problem for c in check_dataset("folder", root))


@pytest.mark.parametrize(
    ("pattern", "names", "head"),
    [
        ("d_{frame:[0-9]{5}}.png", "{:05d}.png", b""),
        ("d_{frame:[0-9]{5}}.png", "d_{:05d}.png", b""),
        ("d_{frame:[0-9]{5}}.png", "d_{:05d}.PNG", b""),
        ("d_{frame:[0-9]{5}}.png", "d_{:05d}", b""),
        ("d_{frame:[0-9]{5}}.png", "seq1\\{:05d}.png", b""),
        ("d_{frame:[0-9]{5}}.png", '"{:05d}.png"', b""),
        ("d_{frame:[0-9]{5}}.png", "{}", b""),
        ("d_{frame:[0-9]{5}}.png", "{:08d}", b""),
        ("d_{frame:[0-9]{5}}.png", "{:05d}.jpg", b"\xef\xbb\xbf"),
        ("hand {frame}.png", '"hand {}.png"', b""),
        ("{subject}/{frame}/depth.png", "anna/{}/depth.png", b""),
        ("{subject}/{frame}/depth.png", "{}", b""),
        ("{subject}/{frame}.png", "C:\\data\\anna\\{:03d}.png", b""),
    ],
)
@pytest.mark.parametrize("between", [",", ";"])
def test_names_as_peoples_programs_write_them(pattern, names, head, between, tmp_path):
    toml = f'\n[depth]\nfiles = "{pattern}"\n[joints]\nfiles = "j.csv"\nrows = "name"\n' + SKELETON
    root = tree(tmp_path / "t", toml, frames=0)
    digits = 5 if "5" in pattern else 1
    for k in range(3):
        path = pattern.replace("{subject}", "anna").replace("{frame:[0-9]{5}}", "{frame}")
        save_image(root / path.format(frame=f"{k:0{digits}d}"), depth(k))
    want = joints(3)
    lines = [between.join([names.format(k), *(f"{v:.9g}" for v in want[k].ravel())]) for k in (2, 0, 1)]
    (root / "j.csv").write_bytes(head + "\r\n".join([lines[0], "", *lines[1:], ""]).encode())
    data = load_dataset("folder", root)
    for k in range(3):
        np.testing.assert_array_equal(data.read(k).joints, want[k])
    assert all(c.ok for c in check_dataset("folder", root))


def test_files_of_operating_systems_are_no_frames(tmp_path):
    toml = '\n[depth]\nfiles = "{subject}/{frame}.png"\n[joints]\nfiles = "{subject}/{frame}.npy"\n' + SKELETON
    root = tree(tmp_path / "t", toml, frames=0)
    save_image(root / "anna" / "1.png", depth(1))
    np.save(root / "anna" / "1.npy", joints(1)[0])
    (root / "__MACOSX").mkdir()
    for litter in ("anna/._1.png", "anna/._1.npy", "anna/.DS_Store", "anna/Thumbs.db", "._anna", "__MACOSX/1.png"):
        (root / litter).write_bytes(b"\0\5\x16\7")
    assert len(load_dataset("folder", root)) == 1
    assert all(c.ok for c in check_dataset("folder", root))


def test_a_name_that_two_frames_have_is_refused(tmp_path):
    toml = '\n[depth]\nfiles = "{subject}/{frame}.png"\n[joints]\nfiles = "j.json"\nrows = "name"\n' + SKELETON
    root = tree(tmp_path / "t", toml, frames=0)
    for name in ("anna/1", "bob/1"):
        save_image(root / f"{name}.png", depth(1))
    want = joints(2)

    def index(names):
        (root / "j.json").write_text(json.dumps(dict(zip(names, want.tolist(), strict=False))))
        return load_dataset("folder", root)

    with pytest.raises(DatasetError, match=r"j.json: names '1.png', which may be anna/1.png or bob/1.png"):
        index(["1.png"]).index()
    data = index(["bob/1", "anna/1"])
    np.testing.assert_array_equal(data.read(0).joints, want[1])
    np.testing.assert_array_equal(data.read(1).joints, want[0])
    with pytest.raises(DatasetError, match=r"1 of its 2 names .* holds 'carl/1'"):
        index(["bob/1", "carl/1"]).index()
    (root / "dataset.toml").write_text(HEAD + toml.replace('rows = "name"\n', ""))
    (root / "j.json").write_text(json.dumps(joints(3).tolist()))
    with pytest.raises(DatasetError, match="frames anna/1 and bob/1 would both have row 1 of it"):
        load_dataset("folder", root).index()


def test_rows_in_order_and_from_a_first_number(tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files="j.csv", rows="order"), frames=0)
    for name in ("10", "9", "100"):
        save_image(root / f"{name}.png", depth(1))
    want = joints(3)
    np.savetxt(root / "j.csv", want.reshape(3, -1), delimiter=",", fmt="%.9g")
    data = load_dataset("folder", root)
    assert [data.read(i).name for i in range(3)] == ["9.png", "10.png", "100.png"]  # by value, not by letters
    np.testing.assert_array_equal(data.read(2).joints, want[2])
    (root / "100.png").unlink()
    with pytest.raises(DatasetError, match=r"j.csv: joints of 3 frames, where 2 frames are"):
        load_dataset("folder", root).index()
    (root / "dataset.toml").write_text(HEAD + shared(tmp_path, files="j.csv", first=8))
    with pytest.raises(DatasetError, match=r"j.csv: joints of 3 frames, where 2 frames are: frames are missing"):
        load_dataset("folder", root).index()
    save_image(root / "8.png", depth(1))
    np.testing.assert_array_equal(load_dataset("folder", root).read(1).joints, want[1])
    (root / "dataset.toml").write_text(HEAD + shared(tmp_path, files="j.csv", first=10))
    with pytest.raises(DatasetError, match=r"j.csv: joints of 3 frames, from 10 on, .*'8'"):
        load_dataset("folder", root).index()


def test_lines_never_slip(tmp_path):
    """A header nobody skipped, or a line that is blank or bad, must not give a frame its neighbour's joints."""
    root = tree(tmp_path / "t", shared(tmp_path, files="j.csv"), frames=4)
    want = joints(5)
    lines = [",".join(f"{v:.9g}" for v in row) for row in want.reshape(5, -1)]
    (root / "j.csv").write_text("\n".join(["x0,y0,z0", *lines]))
    with pytest.raises(DatasetError, match=r"j.csv, line 1: .*x0.*joints.skip"):
        load_dataset("folder", root).index()
    for blank in ("", "   ", "\t"):
        (root / "j.csv").write_text("\n".join([blank, lines[0], blank, blank, "1,2,3", *lines[2:4]]) + "\n\n")
        data = load_dataset("folder", root)
        for k in (0, 2, 3):
            np.testing.assert_array_equal(data.read(k).joints, want[k])
        with pytest.raises(FrameError, match=r"j.csv, line 5: 3 numbers, not 63"):
            data.read(1)
    for stray in ("", "# here the light changed", "1,2,3", lines[0]):
        (root / "j.csv").write_text("\n".join([*lines[:2], stray, *lines[2:]]))  # 5 rows or more, 4 frames
        with pytest.raises(DatasetError, match=r"j.csv: joints of [56] frames, where 4 frames are"):
            load_dataset("folder", root).index()
    (root / "j.csv").write_text("\n".join([*lines[:2], "", lines[3]]))  # a blank line is no frame without labels
    with pytest.raises(DatasetError, match=r"j.csv: joints of 3 frames, .*'3'"):
        load_dataset("folder", root).index()
    lines = lines[:4]
    slipped = [*lines[:2], lines[2].replace(lines[2].split(",")[0], "1_0", 1), *lines[3:]]
    (root / "j.csv").write_text("\n".join(slipped))
    with pytest.raises(FrameError, match=r"j.csv, line 3: b'1_0' is no number"):  # to Python it is 10
        load_dataset("folder", root).read(2)
    (root / "j.csv").write_bytes(b"\r\r\n".join(line.encode() for line in lines))  # ICVL's ends
    np.testing.assert_array_equal(load_dataset("folder", root).read(3).joints, want[3])


@pytest.mark.parametrize("count", [20, 22])
def test_another_number_of_joints_names_both(count, tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy"))
    np.save(root / "j.npy", joints(3, count))
    with pytest.raises(DatasetError, match=rf"j.npy: {count} joints a frame, where the skeleton has 21"):
        load_dataset("folder", root).index()
    assert any("skeleton has 21" in c.problem for c in check_dataset("folder", root))


def test_joints_that_no_hand_has_reject_their_frame(tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy"))
    rows = joints(3).astype(np.float64)
    rows[0, 3, 1], rows[1, 20, 2], rows[2, 0, 0] = np.nan, -400, 1e300
    np.save(root / "j.npy", rows)
    data = load_dataset("folder", root)
    for k, joint in enumerate((3, 20, 0)):
        with pytest.raises(FrameError, match=rf"{k}.png: joint {joint} is at"):
            data.read(k)


# --- skeletons -------------------------------------------------------------------------------------------------


def own_skeleton(count):
    names = [f"j{k}" for k in range(count)]
    parents = ["", *names[:-1]]
    return (
        f"\n[skeleton]\nname = 'mine'\njoints = {names}\nparents = {parents}\n"
        f"[skeleton.fingers]\npalm = {names[:9]}\nindex = {names[9:]}\n"
    )


@pytest.mark.parametrize("count", [14, 22, 42])
def test_skeletons_of_14_to_42_joints(count, tmp_path):
    toml = PLAIN + '[joints]\nfiles = "j.npy"\n' + own_skeleton(count)
    root = tree(tmp_path / "t", toml)
    want = joints(3, count)
    np.save(root / "j.npy", want)
    data = load_dataset("folder", root)
    assert len(data.skeleton) == count
    assert data.skeleton.name == data.info.skeleton == "mine"
    assert data.skeleton.fingers["index"] == tuple(range(9, count))
    np.testing.assert_array_equal(data.read(1).joints, want[1])


def test_own_skeletons_meet_others_by_name(tmp_path):
    toml = PLAIN + own_skeleton(22) + "[skeleton.common]\nj3 = 'thumb_tip'\nj9 = 'index_tip'\n"
    own = load_dataset("folder", tree(tmp_path / "t", toml)).skeleton
    msra = get_skeleton("msra21")
    shared = own.shared_with(msra)
    assert len(shared) == 2
    assert list(own.mapping_to(shared)) == [3, 9]
    assert list(msra.mapping_to(shared)) == [20, 4]


@pytest.mark.parametrize("count", [10, 13, 43, 64])
def test_other_skeletons_are_refused(count, tmp_path):
    root = tree(tmp_path / "t", PLAIN + '[joints]\nfiles = "j.npy"\n' + own_skeleton(count))
    with pytest.raises(DatasetError, match=rf"skeleton.joints are {count}; gmaps takes skeletons of 14 to 42"):
        load_dataset("folder", root)


@pytest.mark.parametrize("files", ["j.csv", "{frame}.csv"])
@pytest.mark.timeout(20)
def test_pipes_are_not_waited_for(files, tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files=files), frames=1)
    os.mkfifo(root / files.replace("{frame}", "0"))
    os.mkfifo(root / "1.png")  # no frame
    with pytest.raises((DatasetError, FrameError), match="joints"):
        load_dataset("folder", root).read(0)
    checks = check_dataset("folder", root)
    assert not all(c.ok for c in checks)
    assert checks[-1].found == 1


# --- splits, subjects, sequences -------------------------------------------------------------------------------


def people(tmp_path, splits=""):
    toml = '\n[depth]\nfiles = "{subject}/{sequence}/f_{frame}.png"\n' + splits
    root = tree(tmp_path / "t", toml, frames=0)
    for subject in ("S10", "S2"):
        for sequence in ("fist", "open"):
            for k in (3, 20):
                save_image(root / subject / sequence / f"f_{k}.png", depth(k))
    (root / "S2" / "notes.txt").write_text("neither a folder nor a frame")
    (root / "S2" / "open" / "f_4.jpg").write_text("x")
    (root / "S2" / "open" / "f_5.png").mkdir()
    return root


def names_of(root, split, **options):
    data = load_dataset("folder", root, split=split, **options)
    index = data.index()
    out = [data.read(i).name for i in range(len(data))]
    for i, name in enumerate(out):
        assert name.startswith(f"{index.subjects[index.subject[i]]}/{index.sequences[index.sequence[i]]}/")
    return out


def test_splits_by_subject_and_sequence(tmp_path):
    root = people(tmp_path, '\n[splits]\ntest = { subject = ["S2"], sequence = ["open"] }\n')
    everything = names_of(root, "all")
    assert len(everything) == 8
    assert everything == sorted(everything, key=lambda n: (n.split("/")[:2], len(n)))
    assert names_of(root, "test") == ["S2/open/f_3.png", "S2/open/f_20.png"]
    assert names_of(root, "train") == [n for n in everything if not n.startswith("S2/open")]
    numbers = [set(load_dataset("folder", root, split=s).index().frame.tolist()) for s in ("train", "test", "all")]
    assert not numbers[0] & numbers[1]
    assert numbers[0] | numbers[1] == numbers[2]


def test_both_splits_may_leave_frames_out_but_not_share_them(tmp_path):
    root = people(
        tmp_path, '\n[splits]\ntrain = { subject = ["S10"] }\ntest = { subject = ["S2"], sequence = ["open"] }\n'
    )
    assert len(names_of(root, "train")) == 4
    assert len(names_of(root, "test")) == 2
    toml = (root / "dataset.toml").read_text().replace('train = { subject = ["S10"]', 'train = { sequence = ["open"]')
    (root / "dataset.toml").write_text(toml)
    with pytest.raises(DatasetError, match=r"2 frames, first S2/open/f_3.png, are in train and in test"):
        load_dataset("folder", root, split="train").index()
    assert any("are in train and in test" in c.problem for c in check_dataset("folder", root))


def test_splits_that_are_folders_and_splits_that_are_not_said(tmp_path):
    root = people(tmp_path)
    with pytest.raises(DatasetError, match=r"tells of no train and test: write \[splits\]"):
        load_dataset("folder", root, split="train").index()
    (root / "S2").rename(root / "test")
    toml = (root / "dataset.toml").read_text().replace("{subject}", "{split}")
    (root / "dataset.toml").write_text(toml)
    data = load_dataset("folder", root, split="test")
    assert len(data) == 4
    with pytest.raises(DatasetError, match="no frame of the 8 here is in split train"):
        load_dataset("folder", root, split="train").index()


def test_spec_pickle_and_fingerprint(tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy"))
    np.save(root / "j.npy", joints(3))
    data = load_dataset("folder", root)
    before = len(pickle.dumps(data))
    first = data.read(1)
    for again in (load_dataset(**json.loads(json.dumps(data.spec()))), pickle.loads(pickle.dumps(data))):
        assert again.fingerprint() == data.fingerprint()
        np.testing.assert_array_equal(again.read(1).depth, first.depth)
    json.dumps(data.fingerprint())
    assert len(pickle.dumps(data)) == before < 6000
    same = (root / "dataset.toml").read_text() + "\n# a remark\n"
    (root / "dataset.toml").write_text('title = "T"\n' + same)
    assert load_dataset("folder", root).fingerprint() == data.fingerprint()
    (root / "dataset.toml").write_text(same.replace("fx = 475.0", "fx = 476.0"))
    assert load_dataset("folder", root).fingerprint() != data.fingerprint()


# --- what dataset.toml may not say -----------------------------------------------------------------------------

GOOD = HEAD + PLAIN + '[joints]\nfiles = "j.npy"\n' + SKELETON


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fx = 475.0", "", r"camera.fx is missing; \[camera\] has cx, cy"),
        ("fx = 475.0", "fx = '475'", r"camera.fx must be a number above 0 and up to 1e\+06, not '475'"),
        ("fx = 475.0", "fx = nan", "camera.fx must be a number"),
        ("fx = 475.0", "fx = -1", "camera.fx must be a number"),
        ("fx = 475.0", "fx = true", "camera.fx must be a number"),
        ("fx = 475.0", "fx = 475\nfz = 3", r"\[camera\] knows no key 'fz'. Did you mean 'fy'\? It takes: cx, cy, fx"),
        ("width = 64", "width = 64.0", "camera.width must be a whole number from 16 to 16384, not 64.0"),
        ("width = 64", "width = 100000", "camera.width must be a whole number"),
        ("width = 64\nheight = 48", "width = 16384\nheight = 16384", "more than 67,108,864"),
        ("[depth]", "[deep]", "depth is missing; the file has camera"),
        ("[depth]", "depht_range = [1, 2]\n[depth]", r"\[camera\] knows no key 'depht_range'"),
        (HEAD, "half-side = 100\n" + HEAD, "the file knows no key 'half-side'. Did you mean 'half_side'"),
        (HEAD, "depth_range = [900, 200]\n" + HEAD, r"depth_range must be \[nearest, farthest\] in mm"),
        (HEAD, "depth_range = [1]\n" + HEAD, "depth_range must be a list of 2 numbers"),
        (HEAD, "title = 3\n" + HEAD, "title must be a string, not 3"),
        ("{frame:[0-9]+}.png", "frame.png", "depth.files must have {frame} in it"),
        ("{frame:[0-9]+}.png", "{frame}.exr", "names EXR files, which OpenCV's wheels do not read"),
        ("{frame:[0-9]+}.png", "{frame}.jpg", "depth.files must end in .png, .tif, .tiff, .npy, .npz, not '.jpg'"),
        ("{frame:[0-9]+}.png", "../{frame}.png", r"must be a path below the root"),
        ("{frame:[0-9]+}.png", "/data/{frame}.png", r"must be a path below the root"),
        ("{frame:[0-9]+}.png", "{frame:(a+)+}.png", "has braces that are none of"),
        ("{frame:[0-9]+}.png", "{frame:[9-0]+}.png", "is no pattern"),
        ("{frame:[0-9]+}.png", "{frame:[0-9]{5,2}}.png", "is no pattern"),
        ("{frame:[0-9]+}.png", "{person}/{frame}.png", "has braces that are none of {split}, {subject}"),
        ("{frame:[0-9]+}.png", "a\\u0000{frame}.png", "printable"),
        ("[joints]\n", "[joints]\naxes = ['right', 'up', 'down']\n", "joints.axes must be right or left, down or up"),
        ("[joints]\n", "[joints]\nkind = 'uv'\n", "joints.kind must be one of xyz, uvd, not 'uv'"),
        ("[joints]\n", "[joints]\nkind = 'uvd'\naxes = ['right', 'down', 'forward']\n", "joints.axes is for xyz"),
        ("[joints]\n", "[joints]\nunit = 0\n", "joints.unit must be a number above 0"),
        ("[joints]\n", "[joints]\nskip = 1\n", "joints.skip counts lines to leave out, and files are .npy"),
        ("[joints]\n", "[joints]\nrows = 'name'\n", "joints.rows cannot be 'name': .npy holds numbers only"),
        ("[joints]\n", "[joints]\nrows = 'order'\nfirst = 1\n", "joints.first is the number of the first"),
        ("[joints]\n", "[joints]\norder = [1, 2]\n", "joints.order must be the 21 different places"),
        ("[joints]\n", "[joints]\narray = 'x'\n", "joints.array names an array of an .npz or .json"),
        ('"j.npy"', '"{subject}.npy"', "joints.files has {subject}, which depth.files has not"),
        ('"j.npy"', '"{frame:[0-9]}.npy"', "joints.files takes its characters from depth.files"),
        ('"j.npy"', '"j.mat"', "joints.files must end in .npy, .npz, .txt, .csv, .json, not '.mat'"),
        ('"j.npy"', '"{frame}.npy"\nrows = "order"', "joints.rows and first are for files of many frames"),
        (SKELETON, "", r"\[skeleton\] is missing: a `name`"),
        ('"msra21"', '"msra12"', "skeleton.name is unknown: .*Did you mean 'msra21'"),
        ('name = "msra21"', "joints = ['a', 'a']", "skeleton.joints names 'a' twice"),
        (SKELETON, own_skeleton(14).replace("'mine'", "'nyu36'"), "skeleton.name is taken"),
        (SKELETON, own_skeleton(14).replace("['', 'j0'", "['j0', 'j0'"), "skeleton.parents go round in a circle"),
        (SKELETON, own_skeleton(14).replace("['', 'j0'", "['', 'jx'"), "skeleton.parents names 'jx'"),
        (SKELETON, own_skeleton(14).replace("['', 'j0'", "['', 3"), "skeleton.parents names '3'"),
        (SKELETON, own_skeleton(14).replace("palm = ['j0', ", "palm = ["), "'j0' is there 0 times"),
        (SKELETON, own_skeleton(14).replace("palm =", "pinky ="), "knows no key 'pinky'"),
        (SKELETON, own_skeleton(14) + "[skeleton.common]\nwrist = 'wrist'", "knows no key 'wrist'"),
        (SKELETON, own_skeleton(14) + "[skeleton.common]\nj1 = 3", r"skeleton.common.j1 must be a string"),
        (SKELETON, own_skeleton(14) + "[skeleton.common]\nj1 = 'j2'", "skeleton.common calls two joints 'j2'"),
        (SKELETON, SKELETON + "[splits]\ntest = { subject = ['a'] }", r"\[splits.test\] knows no key 'subject'"),
        (SKELETON, SKELETON + "[splits]\nval = { }", r"\[splits\] knows no key 'val'"),
        (SKELETON, SKELETON + "[mesh]\nfiles = '{frame}.obj'", "mesh.files must end in .npy, .npz"),
        (SKELETON, SKELETON + "[segmentation]\nfiles = '{frame}.png'", "segmentation.labels is missing"),
        (SKELETON, SKELETON + "[[mesh]]\nfiles = '{frame}.npy'", r"mesh must be a table \(\[mesh\]\)"),
        ("[camera]", "[camera", "is no TOML: .*line 2"),
        ("[camera]", "x = " + "[" * 5000, "is no TOML"),
        ("[camera]", "#" * 300_000 + "\n[camera]", "longer than 262,144 bytes"),
        ("fx = 475.0", "fx = 1" + "0" * 400, "camera.fx must be a number"),
        ("width = 64", "width = 1" + "0" * 3000, "camera.width must be a whole number from 16 to 16384, not "),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be(old, new, message, tmp_path):
    assert old in GOOD
    root = tmp_path / "t"
    root.mkdir()
    (root / "dataset.toml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(DatasetError, match=message):
        load_dataset("folder", root)
    (check,) = check_dataset("folder", root)
    assert not check.ok


def test_no_description_and_no_frames(tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset.toml here, which says what its files mean"):
        load_dataset("folder", tmp_path)
    (tmp_path / "dataset.toml").write_text(GOOD)
    with pytest.raises(
        DatasetError, match=r"no file matches '\{frame:\[0-9\]\+\}.png', depth.files of dataset.toml; here"
    ):
        load_dataset("folder", tmp_path).index()
    assert any("no file matches" in c.problem for c in check_dataset("folder", tmp_path))
    (tmp_path / "dataset.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetError, match="is no TOML"):
        load_dataset("folder", tmp_path)


# --- segmentation and mesh -------------------------------------------------------------------------------------


def parts_tree(tmp_path, labels="['nothing', 'hand', 'forearm']"):
    extra = f"[segmentation]\nfiles = 's/{{frame}}.png'\nlabels = {labels}\n[mesh]\nfiles = 'm/{{frame}}.npy'\n"
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy") + extra)
    np.save(root / "j.npy", joints(3))
    (root / "m").mkdir()
    for k in range(3):
        parts = np.zeros((48, 64), np.uint8)
        parts[10:30], parts[30:40] = 1, 2
        save_image(root / "s" / f"{k}.png", parts)
        np.save(root / "m" / f"{k}.npy", np.full((5 + k, 3), k, np.float32))
    return root


def test_what_is_cut_off_is_no_data(tmp_path):
    root = parts_tree(tmp_path)
    whole, cut = load_dataset("folder", root), load_dataset("folder", root, cut="forearm, nothing")
    a, b, parts = whole.read(1).depth, cut.read(1).depth, whole.segmentation(1)
    np.testing.assert_array_equal(b, np.where(parts == 1, a, 0))
    assert a[30:40].any()
    assert cut.fingerprint() != whole.fingerprint()
    assert load_dataset(**cut.spec()).fingerprint() == cut.fingerprint()
    assert cut.vertices(2).shape == (7, 3)
    with pytest.raises(UnknownNameError, match="Did you mean 'forearm'"):
        load_dataset("folder", root, cut="forarm")
    with pytest.raises(UsageError, match=r"no mesh\.faces"):
        _ = cut.faces
    save_image(root / "s" / "1.png", np.full((48, 64), 3, np.uint8))
    with pytest.raises(FrameError, match=r"s/1.png: values from 3 to 3, where segmentation.labels has 3 names"):
        cut.read(1)
    assert whole.read(1).depth.any()
    np.save(root / "m" / "0.npy", np.zeros((3, 5)))
    with pytest.raises(FrameError, match=r"m/0.npy: an array of shape \(3, 5\)"):
        whole.vertices(0)
    assert any("m/0.npy" in c.problem for c in check_dataset("folder", root))


def test_nothing_to_cut_or_to_show(tmp_path):
    root = tree(tmp_path / "t", PLAIN)
    with pytest.raises(UsageError, match=r"no \[segmentation\], so nothing can be cut off"):
        load_dataset("folder", root, cut="forearm")
    data = load_dataset("folder", root)
    for ask in (data.segmentation, data.vertices):
        with pytest.raises(UsageError, match="has no"):
            ask(0)


def test_synhand5m_is_a_folder_with_parts(tmp_path):
    root = parts_tree(tmp_path)
    data = load_dataset("synhand5m", root, cut="forearm")
    assert data.info.name == data.spec()["name"] == "synhand5m"
    np.testing.assert_array_equal(data.read(0).depth, load_dataset("folder", root, cut="forearm").read(0).depth)
    assert all(c.ok for c in check_dataset("synhand5m", root))
    (root / "dataset.toml").write_text(GOOD)
    with pytest.raises(DatasetError, match=r"SynHand5M has \[joints\] and \[segmentation\]"):
        load_dataset("synhand5m", root)


# --- --check ---------------------------------------------------------------------------------------------------


def test_check_names_what_is_missing_and_what_is_too_much(tmp_path):
    toml = (
        "frames = 5\n" + HEAD + '\n[depth]\nfiles = "d/{frame}.png"\n[joints]\nfiles = "j/{frame}.npy"\n' + SKELETON
    )
    root = tmp_path / "t"
    for k in range(5):
        save_image(root / "d" / f"{k}.png", depth(k))
        (root / "j").mkdir(exist_ok=True)
        np.save(root / "j" / f"{k}.npy", joints(1)[0])
    (root / "dataset.toml").write_text(toml)
    assert all(c.ok for c in check_dataset("folder", root))
    (root / "d" / "3.png").unlink()
    (root / "j" / "1.npy").write_bytes((root / "j" / "1.npy").read_bytes()[:-1])
    (root / "d" / "0.png").write_bytes(b"")
    problems = {c.what: c.problem for c in check_dataset("folder", root) if not c.ok}
    assert set(problems) == {"frames", "depth", "depth joints", "joints without frame"}
    text = " ".join(problems.values())
    for said in ("d/0.png: no PNG", "j/1.npy: 251 bytes", "first j/3.npy", "dataset.toml says 5 frames"):
        assert said in text


SPLITS = '\n[depth]\nfiles = "{subject}/{sequence}/{frame}.png"\n[splits]\n'


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ("test = { subject = ['dora', 'Emil'] }", r"'Emil'.*Did you mean 'emil'\? There are anna, dora, emil"),
        ("train = { subject = ['anna'], sequence = ['1', '3'] }", "splits.train names sequence '3'.* There are 1, 2"),
        ("test = { subject = ['dora '] }", "names subject 'dora '.*Did you mean 'dora'"),
        ("test = { sequence = ['01'] }", "names sequence '01'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("split", ["train", "test"])
def test_names_in_splits_that_no_frame_has(splits, message, split, tmp_path):
    root = tree(tmp_path / "t", SPLITS + splits, frames=0)
    for name in ("anna", "dora", "emil"):
        for sequence in "12":
            save_image(root / name / sequence / "0.png", depth(1))
    with pytest.raises(DatasetError, match=message):
        load_dataset("folder", root, split=split).index()
    assert any("no frame here has it" in c.problem for c in check_dataset("folder", root))


def test_splits_that_are_folders_of_another_name(tmp_path):
    root = tree(tmp_path / "t", '\n[depth]\nfiles = "{split}/{frame}.png"\n', frames=0)
    for name in ("Train", "val"):
        save_image(root / name / "0.png", depth(1))
    with pytest.raises(DatasetError, match=r"is in split train: .* of depth.files is Train, val; say in"):
        load_dataset("folder", root, split="train").index()


def test_check_warns_of_joints_outside_the_picture(tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy"))
    rows = joints(3)
    rows[1, :, 0] -= 200
    np.save(root / "j.npy", rows)
    (bad,) = [c for c in check_dataset("folder", root) if not c.ok]
    assert (bad.what, bad.found, bad.expected) == ("joints in the picture", 2, 3)
    assert bad.problem.startswith("1 frames have all joints outside the picture")


def test_check_warns_of_a_wrong_unit(tmp_path):
    root = tree(tmp_path / "t", shared(tmp_path, files="j.npy"))
    np.save(root / "j.npy", joints(3) / 1000)
    (bad,) = [c for c in check_dataset("folder", root) if not c.ok]
    assert bad.what == "joints' distance"
    assert "joints.unit" in bad.problem
