"""A source by what a person types."""

from __future__ import annotations

import os
from pathlib import Path

from gmaps.capture.devices import DEVICES, open_device
from gmaps.capture.folder import IMAGES, ImageFolder
from gmaps.capture.recording import Recording
from gmaps.capture.shot import FPS, Source
from gmaps.capture.video import VIDEOS, Video
from gmaps.errors import UsageError

Intrinsics = tuple[float, float, float, float]


def open_source(
    source: str | os.PathLike[str], camera: Intrinsics | None = None, *, unit: float = 1.0, fps: float = FPS
) -> Source:
    """Frames of a folder, a video, a recording or a camera.

    Parameters
    ----------
    source
        A folder of .png or .npy images, in the order of their names; a 16-bit grey video; a recording (.npz); or
        "realsense", "orbbec", "k4a", each with ":" and a serial number where several are plugged in.
    camera
        fx, fy, cx, cy, px; for folders and videos, which do not tell.
    unit
        mm that a value of an image or a video stands for.
    fps
        Frames a second: of folders and videos, and asked of a camera.

    Raises
    ------
    UsageError
        Nothing of this kind is there, or the camera's numbers are missing or superfluous.
    FrameError
        It cannot be read.
    MissingExtraError
        The camera's library is not installed.
    """
    if not 0 < fps < 10_000:
        raise UsageError(f"frames a second are more than 0 and less than 10,000, got {fps:g}")
    if not 0 < unit < 1e6:
        raise UsageError(f"--unit is the mm that a value stands for, more than 0: got {unit:g}")
    name, path = os.fspath(source), Path(source)
    device = name.partition(":")[0].lower()
    known = path.exists()
    if not known and device in DEVICES:
        _refuse_camera(camera, f"{device} tells its own intrinsics")
        return open_device(device, name.partition(":")[2], fps)
    if path.suffix.lower() == ".npz":
        _refuse_camera(camera, f"{name} holds its camera")
        return Recording(path)
    if not known:
        raise UsageError(
            f"{name}: no such folder, video or recording, and no camera of that name ({', '.join(DEVICES)})"
        )
    if camera is None:
        raise UsageError(f"{name} does not tell its camera: say --camera FX,FY,CX,CY (px)")
    if path.is_dir():
        return ImageFolder(path, camera, unit, fps)
    if path.suffix.lower() in VIDEOS:
        return Video(path, camera, unit, fps)
    raise UsageError(
        f"{name} is no source of frames: a folder of {' or '.join(IMAGES)}, a 16-bit video ({', '.join(VIDEOS)}), "
        f"a recording (.npz), or {', '.join(DEVICES)}"
    )


def _refuse_camera(camera: Intrinsics | None, why: str) -> None:
    if camera is not None:
        raise UsageError(f"--camera is for folders and videos: {why}")
