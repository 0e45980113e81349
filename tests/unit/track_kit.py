"""For tests of tracking: frames of a hand in a room, and a tiny network with random weights: any joints will do."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from gmaps.capture import Recorder, Shot
from gmaps.skeleton import get_skeleton
from gmaps.synth.room import CAMERA, Room

LENS = ",".join(str(v) for v in (CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy))


def room_frames(folder: Path, frames: int = 6) -> None:
    """PNG files of a film."""
    folder.mkdir()
    for k, frame in enumerate(Room(4, frames=frames)):
        cv2.imwrite(str(folder / f"{k}.png"), np.rint(frame.depth).astype(np.uint16))


def track_folder(folder: Path) -> Path:
    """A folder with `frames` and `net.pt`."""
    room_frames(folder / "frames")
    tiny_network(folder / "net.pt")
    return folder


def recording(path: Path, frames: int, *, fps: float = 30.0) -> None:
    """The same six frames again and again, as a recording."""
    depths = [frame.depth for frame in Room(4, frames=6)]
    recorder = Recorder(path, CAMERA)
    for k in range(frames):
        recorder.add(Shot(depths[k % 6], k / fps, f"frame {k}"))
    recorder.close()


def tiny_network(path: Path) -> None:
    """A checkpoint."""
    import torch

    from gmaps.nets import build_network
    from gmaps.training.checkpoint import save_checkpoint

    torch.manual_seed(0)
    net = build_network("votes", get_skeleton("msra21"), size=32, widths=(4, 4, 8, 8))
    save_checkpoint(path, {
        "network": "votes", "model": net.origin[1], "skeleton": net.skeleton.to_dict(), "maps": {},
        "crop": {"size": 32, "half_side": 120.0, "projection": "orthographic"}, "weights": net.state_dict(),
    })  # fmt: skip
