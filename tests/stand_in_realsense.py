"""A stand-in of pyrealsense2, as far as its documentation of pipeline, config and depth_sensor goes."""

from __future__ import annotations

import types


def stand_in_realsense(log, images):
    """A module that gives these images, uint16, and logs what it is asked to do; after the last no frame comes."""
    rs = types.ModuleType("pyrealsense2")
    rs.stream, rs.format = types.SimpleNamespace(depth="depth"), types.SimpleNamespace(z16="z16")
    intrinsics = types.SimpleNamespace(
        fx=380.0, fy=381.0, ppx=320.5, ppy=240.5, width=images[0].shape[1], height=images[0].shape[0]
    )

    class Config:
        def enable_device(self, serial):
            log.append(("device", serial))

        def enable_stream(self, *args):
            log.append(("stream", *args))

    class Profile:
        def get_device(self):
            return types.SimpleNamespace(
                first_depth_sensor=lambda: types.SimpleNamespace(get_depth_scale=lambda: 0.00025)
            )

        def get_stream(self, stream):
            assert stream == "depth"
            return types.SimpleNamespace(
                as_video_stream_profile=lambda: types.SimpleNamespace(get_intrinsics=lambda: intrinsics)
            )

    class Depth:
        def __init__(self, k):
            self.k = k

        def get_data(self):
            return images[self.k]

        def get_timestamp(self):
            return 1000.0 + 33.0 * self.k

    class Pipeline:
        def __init__(self):
            self.k = -1

        def start(self, config):
            assert isinstance(config, Config)
            return Profile()

        def wait_for_frames(self, timeout_ms):
            self.k += 1
            if self.k == len(images):
                raise RuntimeError(f"Frame didn't arrive within {timeout_ms}")
            return types.SimpleNamespace(get_depth_frame=lambda: Depth(self.k))

        def stop(self):
            log.append(("stopped",))

    rs.config, rs.pipeline = Config, Pipeline
    return rs
