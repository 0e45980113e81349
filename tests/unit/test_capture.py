"""Where frames come from: folders, videos, recordings, and cameras, spoken to as their makers document."""

import itertools
import sys
import types
import zipfile

import cv2
import numpy as np
import pytest

from gmaps.camera import Camera
from gmaps.capture import Recorder, Shot, open_source
from gmaps.errors import FrameError, MissingExtraError, UsageError
from tests.stand_in_realsense import stand_in_realsense

LENS = (100.0, 101.0, 15.5, 11.5)
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(300, 4000, (24, 32)).astype(np.uint16) for _ in range(12)]


def test_a_folder_in_the_order_of_its_numbers(tmp_path):
    for k, image in enumerate(IMAGES):
        cv2.imwrite(str(tmp_path / f"d{k}.png"), image)  # d10.png comes after d9.png
    np.save(tmp_path / "d12.npy", IMAGES[0].astype(np.float32) / 2)
    (tmp_path / "notes.txt").write_text("none of ours")
    source = open_source(tmp_path, LENS, unit=2.0, fps=10)
    shots = list(source)
    assert [s.name for s in shots] == [f"d{k}.png" for k in range(12)] + ["d12.npy"]
    np.testing.assert_array_equal(shots[10].depth, 2.0 * IMAGES[10].astype(np.float32))
    np.testing.assert_array_equal(shots[12].depth, IMAGES[0].astype(np.float32))
    assert shots[3].time == pytest.approx(0.3)
    assert source.camera == Camera(*LENS, 32, 24)


def test_a_folder_of_two_sizes_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), IMAGES[0])
    cv2.imwrite(str(tmp_path / "1.png"), IMAGES[1][:, :20])
    with pytest.raises(FrameError, match=r"1\.png.*20 x 24.*32 x 24"):
        list(open_source(tmp_path, LENS))


def write_video(path, images, kind):
    flags = [cv2.VIDEOWRITER_PROP_DEPTH, kind, cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
    size = images[0].shape[::-1]
    video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), 15, size, flags)
    assert video.isOpened()
    for image in images:
        video.write(image)
    video.release()


def test_a_16_bit_video_bit_for_bit(tmp_path):
    write_video(tmp_path / "v.mkv", IMAGES, cv2.CV_16U)
    source = open_source(tmp_path / "v.mkv", LENS)
    shots = list(source)
    source.close()
    assert len(shots) == len(IMAGES)
    for shot, image in zip(shots, IMAGES, strict=True):
        np.testing.assert_array_equal(shot.depth, image.astype(np.float32))
    assert shots[3].time == pytest.approx(0.2)  # at the video's own rate


def test_a_video_of_8_bits_is_no_depth(tmp_path):
    write_video(tmp_path / "v.mkv", [(i >> 4).astype(np.uint8) for i in IMAGES], cv2.CV_8U)
    with pytest.raises(FrameError, match="16-bit grey"):
        open_source(tmp_path / "v.mkv", LENS)
    (tmp_path / "no.mkv").write_bytes(b"\x1aE\xdf\xa3 cut off")
    with pytest.raises(FrameError, match="cannot be read as a video"):
        open_source(tmp_path / "no.mkv", LENS)


@pytest.mark.parametrize("unit", [1.0, 0.125, 0.1])
def test_a_recording_gives_the_same_bits(tmp_path, unit):
    camera = Camera(*LENS, 32, 24)
    recorder = Recorder(tmp_path / "r.npz", camera)
    shots = [Shot(i.astype(np.float32) * np.float32(unit), 7.5 + k / 29.97, f"n {k}") for k, i in enumerate(IMAGES)]
    for shot in shots:
        recorder.add(shot)
    assert not (tmp_path / "r.npz").exists()  # whole, or not there
    recorder.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.npz"]
    source = open_source(tmp_path / "r.npz")
    assert source.camera == camera
    for one, two in zip(source, shots, strict=True):
        assert one.depth.tobytes() == two.depth.tobytes()
        assert (one.time, one.name) == (two.time, two.name)
    source.close()


def test_damaged_recordings_are_refused(tmp_path):
    path = tmp_path / "r.npz"
    recorder = Recorder(path, Camera(*LENS, 32, 24))
    for k, image in enumerate(IMAGES):
        recorder.add(Shot(image.astype(np.float32), k / 30, str(k)))
    recorder.close()
    whole = path.read_bytes()
    for keep in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:keep])
        with pytest.raises(FrameError, match=r"r\.npz"):
            list(open_source(path))
    damaged = bytearray(whole)
    damaged[200:400] = bytes(200)
    path.write_bytes(damaged)
    with pytest.raises(FrameError, match=r"frame 0 cannot be read"):
        list(open_source(path))
    np.savez(path, depth=np.zeros(3))
    with pytest.raises(FrameError, match="recording"):
        open_source(path)
    with zipfile.ZipFile(path, "w"), pytest.raises(FrameError, match="recording"):
        open_source(path)
    with pytest.raises(FrameError, match="no such recording"):
        open_source(tmp_path / "none.npz")


def test_what_a_person_mistypes(tmp_path):
    with pytest.raises(UsageError, match="realsense, orbbec, k4a"):
        open_source(tmp_path / "nowhere", LENS)
    cv2.imwrite(str(tmp_path / "0.png"), IMAGES[0])
    with pytest.raises(UsageError, match="--camera FX,FY,CX,CY"):
        open_source(tmp_path)
    with pytest.raises(UsageError, match="no source of frames"):
        open_source(tmp_path / "0.png", LENS)
    with pytest.raises(UsageError, match="tells its own"):
        open_source("realsense", LENS)
    with pytest.raises(UsageError, match=r"ends in \.npz"):
        Recorder(tmp_path / "r.zip", Camera(*LENS, 32, 24))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FrameError, match=r"no \.png"):
        open_source(tmp_path / "empty", LENS)
    for wrong in ({"fps": 0}, {"unit": -1.0}):
        with pytest.raises(UsageError):
            open_source(tmp_path, LENS, **wrong)


def missing(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)


def test_a_missing_library_names_its_cure(monkeypatch):
    for device, module in (("realsense", "pyrealsense2"), ("orbbec", "pyorbbecsdk")):
        missing(monkeypatch, module)
        with pytest.raises(MissingExtraError, match=r"guidance-maps\[camera\]"):
            open_source(device)
    missing(monkeypatch, "pyk4a")
    with pytest.raises(UsageError, match="pip install pyk4a"):
        open_source("k4a")


def test_realsense(monkeypatch):
    log = []
    monkeypatch.setitem(sys.modules, "pyrealsense2", stand_in_realsense(log, IMAGES[:3]))
    source = open_source("realsense:0123", fps=60)
    assert log == [("device", "0123"), ("stream", "depth", 640, 480, "z16", 60)]
    assert source.camera == Camera(380.0, 381.0, 320.5, 240.5, 32, 24)
    shots = list(itertools.islice(source, 3))
    np.testing.assert_allclose(shots[1].depth, IMAGES[1] * 0.25)  # a unit is 0.25 mm
    assert shots[1].time - shots[0].time == pytest.approx(0.033)
    with pytest.raises(FrameError, match="no frame for 5 s"):
        next(iter(source))
    source.close()
    assert log[-1] == ("stopped",)


def test_orbbec(monkeypatch):
    ob, log = types.ModuleType("pyorbbecsdk"), []
    ob.OBError = type("OBError", (Exception,), {})
    ob.OBSensorType = types.SimpleNamespace(DEPTH_SENSOR="depth sensor")
    ob.Config = lambda: types.SimpleNamespace(enable_stream=lambda profile: log.append(profile))
    i = types.SimpleNamespace(fx=500.0, fy=501.0, cx=16.0, cy=12.0, width=32, height=24)

    def depth(k):
        return types.SimpleNamespace(
            get_data=lambda: IMAGES[k].tobytes(), get_width=lambda: 32, get_height=lambda: 24,
            get_depth_scale=lambda: 0.5, get_timestamp=lambda: 40.0 * k,
        )  # fmt: skip

    class Pipeline:
        k = -2

        def get_stream_profile_list(self, sensor):
            assert sensor == "depth sensor"
            return types.SimpleNamespace(get_default_video_stream_profile=lambda: "default")

        def start(self, config):
            log.append("started")

        def get_camera_param(self):
            return types.SimpleNamespace(depth_intrinsic=i)

        def wait_for_frames(self, timeout_ms):
            self.k += 1
            if self.k < 0:
                return None  # as in the first moments
            return types.SimpleNamespace(get_depth_frame=lambda: depth(self.k) if self.k < 4 else None)

        def stop(self):
            log.append("stopped")

    ob.Pipeline = Pipeline
    monkeypatch.setitem(sys.modules, "pyorbbecsdk", ob)
    source = open_source("orbbec")
    assert source.camera == Camera(500.0, 501.0, 16.0, 12.0, 32, 24)
    shots = list(itertools.islice(source, 4))
    np.testing.assert_allclose(shots[2].depth, IMAGES[2] * 0.5)
    assert shots[2].time == pytest.approx(0.08)
    with pytest.raises(FrameError, match="no frame"):
        next(iter(source))
    source.close()
    assert log == ["default", "started", "stopped"]


def test_k4a(monkeypatch):
    k4a, log = types.ModuleType("pyk4a"), []
    k4a.K4AException = type("K4AException", (Exception,), {})
    k4a.K4ATimeoutException = type("K4ATimeoutException", (k4a.K4AException,), {})
    k4a.FPS = types.SimpleNamespace(FPS_5=0, FPS_15=1, FPS_30=2)
    k4a.ColorResolution, k4a.DepthMode = types.SimpleNamespace(OFF=0), types.SimpleNamespace(NFOV_UNBINNED=2)
    k4a.CalibrationType = types.SimpleNamespace(DEPTH=0)
    k4a.Config = lambda **options: options

    class PyK4A:
        calibration = types.SimpleNamespace(get_camera_matrix=lambda kind: [[504, 0, 322], [0, 505, 330], [0, 0, 1]])

        def __init__(self, config, device_id):
            log.append((config["camera_fps"], config["color_resolution"], device_id))
            self.k = -1

        def start(self):
            log.append("started")

        def get_capture(self, timeout):
            self.k += 1
            if self.k > 1:
                raise k4a.K4ATimeoutException
            return types.SimpleNamespace(depth=IMAGES[self.k], depth_timestamp_usec=33_333 * self.k)

        def stop(self):
            log.append("stopped")

    k4a.PyK4A = PyK4A
    monkeypatch.setitem(sys.modules, "pyk4a", k4a)
    with pytest.raises(UsageError, match="5, 15 or 30"):
        open_source("k4a", fps=60)
    source = open_source("k4a:1", fps=15)
    assert source.camera == Camera(504.0, 505.0, 322.0, 330.0, 640, 576)
    shots = list(itertools.islice(source, 2))
    np.testing.assert_array_equal(shots[1].depth, IMAGES[1].astype(np.float32))
    with pytest.raises(FrameError, match="plugged in"):
        next(iter(source))
    source.close()
    assert log == [(1, 0, 1), "started", "stopped"]
