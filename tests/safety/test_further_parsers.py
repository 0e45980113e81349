"""Changed bytes in files of colour data sets, MANO, recordings and fitted hands; archives that blow up."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import zipfile

import cv2
import numpy as np
import pytest

from gmaps.camera import Camera
from gmaps.capture.recording import Recorder, Recording
from gmaps.capture.shot import Shot
from gmaps.datasets.flat_images import parse_coco, parse_named, parse_partitions
from gmaps.datasets.pose_file import read_joints, right_hands
from gmaps.datasets.write.real_poses import _angles_of
from gmaps.errors import DatasetError, FrameError, GmapsError
from gmaps.formats.picture import parse_picture
from tests.safety.kit import bad, in_children
from tests.safety.test_parsers import mutated, saved, with_file

CAMERA = Camera(50.0, 50.0, 5.0, 4.0, 10, 8)
COCO = json.dumps({
    "images": [{"id": 3, "file_name": "a/b.jpg"}, {"id": 4, "file_name": "c.png"}],
    "annotations": [{"id": k, "image_id": 3 + k, "keypoints": [10.5, 20, 2] * 21} for k in (0, 1)],
}).encode()  # fmt: skip
NAMED = json.dumps({f"{k:08}.jpg": [[10.5, 20]] * 21 for k in range(2)}).encode()
PARTS = json.dumps({"train": ["00000000.jpg"], "valid": ["00000001.jpg"], "test": []}).encode()
FITTED = {"angles": np.ones((4, 23), np.float32), "error_mm": np.ones(4, np.float32), "girth": np.ones(4, np.float32)}
JOINTS = np.linspace(0, 90, 126).reshape(2, 21, 3).astype(np.float32)


def recorded(folder):
    recorder = Recorder(folder / "r.npz", CAMERA)
    for k in range(2):
        recorder.add(Shot(np.full((8, 10), 500.0 + k, np.float32), k / 30, str(k)))
    recorder.close()
    return (folder / "r.npz").read_bytes()


def changed_inside(content, rnd):
    """An archive whose checksums are right, one member of which was changed; or whose own bytes were."""
    if rnd.random() < 0.3:
        return mutated(content, rnd)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w", rnd.choice((0, 8))) as written:
        chosen = rnd.choice(archive.namelist())
        for name in archive.namelist():
            data = archive.read(name)
            if name == chosen and rnd.random() < 0.1:
                continue
            written.writestr(name, mutated(data, rnd) if name == chosen else data)
    return out.getvalue()


def replay(path):
    source = Recording(path)
    try:
        return [shot.depth.sum() for shot in source]
    finally:
        source.close()


def mano():
    from tests.unit.test_mano import made_up

    return made_up(vertices=24)


def layer(path):
    from gmaps.nets.mano import ManoLayer

    return ManoLayer(path, tips=(16, 17, 18, 19, 20))


def hands(path):
    return right_hands(read_joints(path))


#: Name -> an example, how it is changed, and what reads it.
FORMATS = {
    "panoptic, onehand10k": (lambda f: COCO, mutated, lambda d, f: parse_coco(d, "x")),
    "nsrm labels": (lambda f: NAMED, mutated, lambda d, f: parse_named(d, "x")),
    "nsrm partitions": (lambda f: PARTS, mutated, lambda d, f: parse_partitions(d, "x")),
    "colour jpg": (
        lambda f: cv2.imencode(".jpg", np.arange(960, dtype=np.uint8).reshape(16, 20, 3))[1].tobytes(), mutated,
        lambda d, f: parse_picture(d, "x"),
    ),
    "recording": (recorded, changed_inside, with_file(replay, "x.npz")),
    "fitted hands": (lambda f: saved(np.savez_compressed, **FITTED), changed_inside, with_file(_angles_of, "x.npz")),
    "joints npz": (lambda f: saved(np.savez, joints=JOINTS), changed_inside, with_file(hands, "x.npz")),
    "joints npy": (lambda f: saved(np.save, JOINTS), mutated, with_file(hands, "x.npy")),
    "mano pkl": (lambda f: pickle.dumps(mano(), protocol=2), mutated, with_file(layer, "x.pkl")),
    "mano npz": (lambda f: saved(np.savez, **{k: v for k, v in mano().items() if k != "bs_style"}), changed_inside,
                 with_file(layer, "x.npz")),
}  # fmt: skip


@pytest.mark.parametrize("count", [200, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
@pytest.mark.parametrize("name", FORMATS)
def test_changed_bytes(name, count, tmp_path):
    example, change, parse = FORMATS[name]
    if name.startswith("mano"):
        pytest.importorskip("torch").set_num_threads(1)
        count = count // 10  # a layer takes some milliseconds
    content = example(tmp_path)
    parse(content, tmp_path)

    def work(k):
        with np.errstate(all="ignore"):
            parse(change(content, random.Random(k)), tmp_path)

    assert not bad(in_children(work, range(count), seconds=10, memory=1 << 30))


def header(shape, dtype):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def blown_up(arrays):
    """An archive of arrays of zeros that are never in memory: (shape, type) -> a thousandth of their bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (shape, dtype) in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                stream.write(header(shape, dtype))
                left, block = int(np.prod(shape)) * np.dtype(dtype).itemsize, bytes(1 << 20)
                while left > 0:
                    stream.write(block[:left])
                    left -= len(block)
    return out.getvalue()


GIB = 1 << 30


@pytest.mark.parametrize("lies", [False, True], ids=["zeros", "headers"])
def test_archives_that_blow_up(lies, tmp_path):
    """A gigabyte of zeros in a megabyte; and headers that ask for it where there is nothing."""
    huge = {"camera": ((6,), "<f8"), "time": ((GIB // 8,), "<f8"), "name": ((2,), "<U1")}
    cases = [
        (huge, replay), ({"joints": ((GIB // 252, 21, 3), "<f4")}, hands),
        ({"angles": ((GIB // 92, 23), "<f4")}, hands), ({"v_template": ((GIB // 12, 3), "<f4")}, layer),
    ]  # fmt: skip
    if lies:
        content = [saved(np.savez, **{k: np.zeros(0) for k in arrays}) for arrays, _ in cases]
        for k, (arrays, _) in enumerate(cases):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w") as archive:
                for name, (shape, dtype) in arrays.items():
                    archive.writestr(f"{name}.npy", header(shape, dtype))
            content[k] = out.getvalue()
    else:
        content = [blown_up(arrays) for arrays, _ in cases]
    pytest.importorskip("torch")

    def work(k):
        (tmp_path / "x.npz").write_bytes(content[k])
        with pytest.raises((FrameError, DatasetError)):
            cases[k][1](tmp_path / "x.npz")

    found = in_children(work, range(len(cases)), seconds=30, memory=512 << 20)
    assert {r[0] for r in found.values()} == {"value"}, found


@pytest.mark.parametrize("read", [replay, hands, layer, _angles_of])
def test_pipes_are_not_waited_for(read, tmp_path):
    pytest.importorskip("torch")
    os.mkfifo(tmp_path / "x.npz")

    def work(k):
        if read is _angles_of:
            assert read(tmp_path / "x.npz") is None
        else:
            with pytest.raises(GmapsError):
                read(tmp_path / "x.npz")

    assert in_children(work, [0], seconds=10)[0] == ("value", None)
