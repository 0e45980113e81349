"""Hands of a file that `gmaps track --out` wrote, frame by frame; reading it needs no network."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import GmapsError, PredictionError
from gmaps.skeleton import SKELETONS, Skeleton

#: Joints of a hand, hands of a frame, and frames: more than anyone tracks, and less than would fill the memory.
_MOST_JOINTS, _MOST_HANDS, _MOST_FRAMES = 256, 16, 10**7


class SeenHand(NamedTuple):
    """A hand in one frame, as a file says it.

    Parameters
    ----------
    number
        The same while it is followed.
    state, side
        "found" or "tracking"; "right" or "left".
    confidence
        From 0 to 1.
    joints : (J, 3) float32
        mm, camera axes.
    """

    number: int
    state: str
    side: str
    confidence: float
    joints: NDArray[np.float32]


@dataclass(frozen=True)
class Track:
    """All hands of a file.

    Parameters
    ----------
    camera
        Of the frames.
    joints
        Their names.
    frames, times
        Names of the frames, and when they were taken, s.
    hands
        Of each frame.
    """

    camera: Camera
    joints: tuple[str, ...]
    frames: list[str]
    times: list[float]
    hands: list[list[SeenHand]]

    @property
    def skeleton(self) -> Skeleton | None:
        """The skeleton of these joints, if it is a known one."""
        return next((s for s in SKELETONS.values() if s.joints == self.joints), None)


def hand_facts(joints: Sequence[str], skeleton: Skeleton | None) -> dict[str, Any]:
    """For a page: names, bones and colours of joints, of a known skeleton or of none."""
    if skeleton is None:
        return {"joints": list(joints), "bones": [], "colours": ["#f58231"] * len(joints)}
    return {"joints": list(joints), "bones": [list(bone) for bone in skeleton.bones],
            "colours": [skeleton.colour(j) for j in range(len(skeleton))]}  # fmt: skip


def hand_arrays(hands: Sequence[SeenHand], camera: Camera) -> dict[str, NDArray[np.float32]]:
    """For a page: "joints" (n, J, 3), mm, and "uvd", px, px, mm, of a frame's hands; nothing of none."""
    if not hands:
        return {}
    joints = np.stack([hand.joints for hand in hands])
    return {"joints": joints, "uvd": camera.project(joints).astype(np.float32)}


def said(hand: SeenHand) -> dict[str, Any]:
    """For a page: all but the joints."""
    return {"number": hand.number, "state": hand.state, "side": hand.side, "confidence": hand.confidence}


def surest(hands: Sequence[SeenHand]) -> tuple[float, int]:
    """Confidence and state, 0 for none, 1 for found, 2 for tracking, of the hand of a frame that is surest."""
    if not hands:
        return math.nan, 0
    best = max(hands, key=lambda hand: hand.confidence)
    return best.confidence, 1 if best.state == "found" else 2


def read_track(path: Path) -> Track:
    """Read a file of `gmaps track --out`, .npz or JSON lines.

    Raises
    ------
    PredictionError
        It is none, or damaged; the message says where.
    """
    try:
        return _read_arrays(path) if path.suffix.lower() == ".npz" else _read_lines(path)
    except FileNotFoundError:
        raise PredictionError(f"{path}: no such file; `gmaps track --out` writes one") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError, EOFError,
            zipfile.BadZipFile, MemoryError, GmapsError) as error:  # fmt: skip
        raise PredictionError(
            f"{path}: cannot be read as a track: {str(error)[:200]}; `gmaps track --out` writes them"
        ) from None


def _read_lines(path: Path) -> Track:
    with path.open(encoding="utf-8") as file:
        head = json.loads(file.readline(1 << 20))
        if not isinstance(head, dict) or head.get("gmaps") != "track" or head.get("format") != 1:
            raise ValueError("its first line does not say so")
        joints = _names(head["joints"])
        camera = Camera(**head["camera"])
        found = Track(camera, joints, [], [], [])
        for number, line in enumerate(file, 2):
            try:
                row = json.loads(line)
                hands = [_hand(values, len(joints)) for values in row["hands"][:_MOST_HANDS]]
                name, time = str(row["frame"]), float(row["time"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                if not line.endswith("\n"):
                    break  # it is still being written
                raise ValueError(f"line {number}: {error}") from None
            found.frames.append(name)
            found.times.append(time)
            found.hands.append(hands)
            if number > _MOST_FRAMES:
                raise ValueError(f"it has more than {_MOST_FRAMES:,} frames")
    return found


def _hand(values: dict[str, Any], joints: int) -> SeenHand:
    xyz = np.array(values["joints_mm"], np.float32)
    if xyz.shape != (joints, 3):
        raise ValueError(f"a hand has {joints} joints of x, y and z, not {xyz.shape}")
    return SeenHand(
        int(values["number"]), str(values["state"]), str(values["side"]), float(values["confidence"]), xyz
    )


def _names(values: Any) -> tuple[str, ...]:
    names = tuple(str(value) for value in values)
    if not 0 < len(names) <= _MOST_JOINTS:
        raise ValueError(f"a hand cannot have {len(names)} joints")
    return names


def _read_arrays(path: Path) -> Track:
    with np.load(path, allow_pickle=False) as file:
        joints = _names(file["joint_names"])
        fx, fy, cx, cy, width, height = (float(v) for v in file["camera"])
        xyz, number, sure = file["joints_mm"], file["number"], file["confidence"]
        states, sides = [str(s) for s in file["state_names"]], [str(s) for s in file["side_names"]]
        state, side = file["state"], file["side"]
        frames, times = [str(n) for n in file["frame"]], [float(t) for t in file["time"]]
    if xyz.shape != (len(frames), *number.shape[1:], len(joints), 3) or len(times) != len(frames):
        raise ValueError("its arrays do not fit each other")
    hands = [
        [
            SeenHand(int(number[f, h]), states[state[f, h]], sides[side[f, h]], float(sure[f, h]), xyz[f, h])
            for h in range(number.shape[1])
            if number[f, h] >= 0
        ]
        for f in range(len(frames))
    ]
    return Track(Camera(fx, fy, cx, cy, int(width), int(height)), joints, frames, times, hands)
