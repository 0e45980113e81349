"""Depth cameras, by their makers' own libraries: pyrealsense2, pyorbbecsdk, pyk4a."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.capture.shot import Shot, Source
from gmaps.errors import FrameError, MissingExtraError, UsageError

#: ms without a frame, after which a camera counts as gone.
PATIENCE_MS = 5000


def _load(module: str, device: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        if module == "pyk4a":  # built on the user's machine, against the maker's own SDK: no extra can bring it
            raise UsageError(
                "the camera k4a needs pyk4a, which is not installed: install Microsoft's Azure Kinect SDK, then "
                "`pip install pyk4a`"
            ) from None
        raise MissingExtraError(module, "camera", f"the camera {device}") from None


class DepthCamera:
    """A running camera: `read` gives depth in mm and the camera's own time in s, or None in vain."""

    def __init__(self, name: str, camera: Camera) -> None:
        self.name, self._camera = name, camera

    @property
    def camera(self) -> Camera:
        """Of all its frames, as the camera tells."""
        return self._camera

    def read(self) -> tuple[NDArray[np.float32], float] | None:
        """The next frame."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop it."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Shot]:
        number = 0
        while True:
            found = self.read()
            if found is None:
                raise FrameError(f"{self.name}: no frame for {PATIENCE_MS / 1000:g} s; is it plugged in and free?")
            yield Shot(found[0], found[1], f"{self.name}:{number}")
            number += 1


class RealSense(DepthCamera):
    """Intel's RealSense, 640 x 480."""

    def __init__(self, serial: str, fps: float) -> None:
        rs = self._rs = _load("pyrealsense2", "realsense")
        self._pipeline, config = rs.pipeline(), rs.config()
        if serial:
            config.enable_device(serial)
        config.enable_stream(rs.stream.depth, 640, 480, rs.format.z16, round(fps))
        try:
            profile = self._pipeline.start(config)
        except RuntimeError as error:
            raise FrameError(f"realsense {serial}: cannot be started: {error}") from None
        self._mm = 1000 * float(profile.get_device().first_depth_sensor().get_depth_scale())
        i = profile.get_stream(rs.stream.depth).as_video_stream_profile().get_intrinsics()
        super().__init__("realsense", Camera(i.fx, i.fy, i.ppx, i.ppy, i.width, i.height))

    def read(self) -> tuple[NDArray[np.float32], float] | None:
        """See `DepthCamera`."""
        try:
            depth = self._pipeline.wait_for_frames(PATIENCE_MS).get_depth_frame()
        except RuntimeError:  # what it raises when time is up
            return None
        if not depth:
            return None
        return np.asanyarray(depth.get_data()).astype(np.float32) * np.float32(self._mm), depth.get_timestamp() / 1e3

    def close(self) -> None:
        """Stop it."""
        self._pipeline.stop()


class Orbbec(DepthCamera):
    """Orbbec's Gemini, Femto, Astra, in their own default size."""

    def __init__(self, serial: str, fps: float) -> None:
        ob = _load("pyorbbecsdk", "orbbec")
        try:
            if serial:
                self._pipeline = ob.Pipeline(ob.Context().query_devices().get_device_by_serial_number(serial))
            else:
                self._pipeline = ob.Pipeline()
            profiles = self._pipeline.get_stream_profile_list(ob.OBSensorType.DEPTH_SENSOR)
            config = ob.Config()
            config.enable_stream(profiles.get_default_video_stream_profile())
            self._pipeline.start(config)
            i = self._pipeline.get_camera_param().depth_intrinsic
        except ob.OBError as error:
            raise FrameError(f"orbbec {serial}: cannot be started: {error}") from None
        super().__init__("orbbec", Camera(i.fx, i.fy, i.cx, i.cy, i.width, i.height))

    def read(self) -> tuple[NDArray[np.float32], float] | None:
        """See `DepthCamera`."""
        for _ in range(10):  # sets without a depth image are usual
            frames = self._pipeline.wait_for_frames(PATIENCE_MS // 10)
            depth = frames.get_depth_frame() if frames is not None else None
            if depth is not None:
                values = np.frombuffer(depth.get_data(), np.uint16).reshape(depth.get_height(), depth.get_width())
                return values.astype(np.float32) * np.float32(depth.get_depth_scale()), depth.get_timestamp() / 1e3
        return None

    def close(self) -> None:
        """Stop it."""
        self._pipeline.stop()


class AzureKinect(DepthCamera):
    """Microsoft's Azure Kinect, 640 x 576, narrow field of view; `serial` is its number, from 0."""

    def __init__(self, serial: str, fps: float) -> None:
        k4a = self._k4a = _load("pyk4a", "k4a")
        if serial and not serial.isdigit():
            raise UsageError(f"k4a:N is the camera's number, from 0: got {serial!r}")
        rates = {5: k4a.FPS.FPS_5, 15: k4a.FPS.FPS_15, 30: k4a.FPS.FPS_30}
        if round(fps) not in rates:
            raise UsageError(f"k4a gives 5, 15 or 30 frames a second, not {fps:g}")
        config = k4a.Config(
            color_resolution=k4a.ColorResolution.OFF, depth_mode=k4a.DepthMode.NFOV_UNBINNED,
            camera_fps=rates[round(fps)], synchronized_images_only=False,
        )  # fmt: skip
        self._device = k4a.PyK4A(config, device_id=int(serial or 0))
        try:
            self._device.start()
        except k4a.K4AException as error:
            raise FrameError(f"k4a {serial}: cannot be started: {error}") from None
        m = self._device.calibration.get_camera_matrix(k4a.CalibrationType.DEPTH)
        camera = Camera(float(m[0][0]), float(m[1][1]), float(m[0][2]), float(m[1][2]), 640, 576)
        super().__init__("k4a", camera)

    def read(self) -> tuple[NDArray[np.float32], float] | None:
        """See `DepthCamera`."""
        try:
            capture = self._device.get_capture(PATIENCE_MS)
        except self._k4a.K4ATimeoutException:
            return None
        if capture.depth is None:
            return None
        return np.asarray(capture.depth).astype(np.float32), capture.depth_timestamp_usec / 1e6

    def close(self) -> None:
        """Stop it."""
        self._device.stop()


DEVICES: dict[str, Callable[[str, float], DepthCamera]] = {
    "realsense": RealSense, "orbbec": Orbbec, "k4a": AzureKinect,
}  # fmt: skip


def open_device(name: str, serial: str, fps: float) -> Source:
    """Start a camera; see `gmaps.capture.open_source`."""
    return DEVICES[name](serial, fps)
