"""Changed bytes in the files of data sets of hands and objects: a value or an error of ours, and nothing else."""

from __future__ import annotations

import io
import json
import pickle
import random
import zipfile

import cv2
import numpy as np
import pytest

from gmaps.datasets.dexycb import label_file
from gmaps.datasets.dexycb.recordings import parse_betas, parse_intrinsics, parse_meta
from gmaps.datasets.ho3d import meta_file, truth
from gmaps.datasets.hocap.hand_json import parse_calibration, parse_hands, parse_recording
from gmaps.formats.strict_yaml import parse_yaml
from tests.safety.kit import bad, in_children
from tests.safety.test_parsers import checked_png, mutated, saved

META = b"""extrinsics: '20200702_151821'
mano_calib: !!python/tuple
- 20200709-subject-01_right
mano_sides:
- right
num_frames: 72
serials: ['836212060125', "839512060362"]
ycb_grasp_ind: 0
"""
INTRINSICS = b"color:\n  fx: 613.7\n  fy: 613.9\n  ppx: 318.4\n  ppy: 241.2\ndepth: {fx: 380.0, coeffs: [0, 1e-3]}\n"
BETAS = b"betas: !!python/tuple\n" + b"".join(b"- %.3f\n" % v for v in np.linspace(-1, 1, 10))
LABELS = {
    "seg": np.zeros((8, 10), np.uint8),
    "pose_m": np.zeros((1, 51), np.float32),
    "joint_3d": np.linspace(0.1, 0.9, 63, dtype=np.float32).reshape(1, 21, 3),
}


def zipped(member, data):
    """An archive whose checksums are right, with one member of any bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in LABELS.items():
            archive.writestr(f"{name}.npy", data if name == member else saved(np.save, value))
    return file.getvalue()


def read_labels(data):
    return label_file.parse_labels(data, "x"), label_file.parse_mask(data, "x", (10, 8), (0, 4, 1, 3))


def picture(values):
    return cv2.imencode(".png", values[..., ::-1])[1].tobytes()


META_HO3D = {
    "camMat": np.array([[614.6, 0, 320.3], [0, 615.2, 241.8], [0, 0, 1]]), "objName": "025_mug",
    "handJoints3D": LABELS["joint_3d"][0], "handBoundingBox": [1, 2, 30, 40], "handPose": np.zeros(48),
    "handTrans": np.zeros(3), "handBeta": np.zeros(10), "objRot": np.zeros((3, 1)),
}  # fmt: skip
DEPTH_HO3D = picture(np.concatenate([np.full((480, 640, 2), 7, np.uint8), np.zeros((480, 640, 1), np.uint8)], axis=2))
SEG_HO3D = picture(np.zeros((240, 320, 3), np.uint8))
JOINTS_HO3D = json.dumps([[[[0.1, -0.2, -0.5]] * 21] * 3, [[[0.0, 0.0, -0.5]]] * 3]).encode()

_JOINTS = [[0.1, -0.2, 0.5]] * 21
HANDS_HOCAP = {
    "0375": {"0": {"landmarks_3d": {"right": _JOINTS, "left": [[-1, -1, -1]] * 21}}, "3": {"landmarks_3d": {}}}
}
META_HOCAP = b'{"realsense": {"serials": ["037522251142"], "width": 640}, "num_frames": 4}'
CAMERA_HOCAP = b'{"color": {"fx": 613.7, "fy": 613.9, "ppx": 318.4, "ppy": 241.2}}'

#: Name -> an example, and what reads it.
FORMATS = {
    "hocap meta": (META_HOCAP, lambda d: parse_recording(d, "x")),
    "hocap joints": (json.dumps(HANDS_HOCAP).encode(), lambda d: parse_hands(d, "x", ("0375",))),
    "hocap intrinsics": (CAMERA_HOCAP, lambda d: parse_calibration(d, "x", (640, 480))),
    "yaml": (META, lambda d: parse_yaml(d, "x")),
    "dexycb meta": (META, lambda d: parse_meta(d, "x")),
    "dexycb intrinsics": (INTRINSICS, lambda d: parse_intrinsics(d, "x")),
    "dexycb betas": (BETAS, lambda d: parse_betas(d, "x")),
    "dexycb labels": (saved(np.savez_compressed, **LABELS), read_labels),
    "dexycb joints": (saved(np.save, LABELS["joint_3d"]), lambda d: read_labels(zipped("joint_3d", d))),
    **{
        f"ho3d meta, protocol {k}": (pickle.dumps(META_HO3D, k), lambda d: meta_file.parse_meta(d, "x"))
        for k in (0, 2, 4)
    },
    "ho3d depth": (DEPTH_HO3D, lambda d: meta_file.parse_depth(checked_png(d), "x", pixels=(0, 9, 5, 20))),
    "ho3d segmentation": (SEG_HO3D, lambda d: meta_file.parse_mask(checked_png(d), "x")),
    "ho3d list": (b"ABF10/0000\nSM2/0001\r\n", lambda d: meta_file.parse_list(d, "x")),
    "ho3d joints": (JOINTS_HO3D, lambda d: truth.parse_joints_json(d, "x")),
    "dexycb segmentation": (saved(np.save, LABELS["seg"]), lambda d: read_labels(zipped("seg", d))),
}


@pytest.mark.parametrize("count", [400, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("name", FORMATS)
def test_changed_bytes(name, count):
    content, parse = FORMATS[name]
    parse(content)

    def work(k):
        parse(mutated(content, random.Random(k)))

    assert not bad(in_children(work, range(count), seconds=10, memory=1 << 30))


@pytest.mark.parametrize("text", [b"[" * 60_000, b"- " * 30_000 + b"a", b"{a: " * 20_000, b"? " * 30_000, b"\xff\xfe",
                                  b"a: &x [1]\nb: *x", b"!!python/object:os.system a", b"%YAML 9.9\n---\na",
                                  b"a: 2020-13-45", b"1" * 60_000, b"a: " + b"9" * 500])  # fmt: skip
def test_yaml_of_any_shape_ends(text):
    assert not bad(in_children(lambda k: str(parse_yaml(text, "x"))[:9], [0], seconds=5, memory=1 << 28))
