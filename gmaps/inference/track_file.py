"""What a tracker found, as a file: JSON lines, one a frame, or the arrays of an .npz."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import OutputError, UsageError
from gmaps.formats.outputs import check_place, holds, holds_arrays, replacing
from gmaps.inference.tracker import TrackedHand
from gmaps.skeleton import Skeleton

STATES = ("absent", "found", "tracking")
SIDES = ("right", "left")
#: Files of tracks that may be replaced.
_ARRAYS, _LINES = holds_arrays("joints_mm", "raw_mm", "state_names"), holds(b'{"gmaps": "track"')


class TrackWriter:
    """Writes hands frame by frame.

    Parameters
    ----------
    path
        .npz: arrays, written by `close`. .jsonl, .json or .txt, or "-" for stdout: JSON lines, written as they come,
        the first of which holds camera and skeleton.
    camera
        Of the frames; gives u v d.
    skeleton
        Of the joints.
    hands
        Most in a frame.
    inputs
        Paths that are read, which are not written.

    Raises
    ------
    UsageError
        The name ends otherwise.
    OutputError
        The file cannot be written, or holds something else than tracks.
    """

    def __init__(self, path: str | os.PathLike[str], camera: Camera, skeleton: Skeleton, hands: int = 1,
                 inputs: Iterable[object] = ()) -> None:  # fmt: skip
        self.path, self.camera, self.skeleton, self.hands = os.fspath(path), camera, skeleton, hands
        suffix = Path(self.path).suffix.lower()
        if self.path != "-" and suffix not in (".npz", ".jsonl", ".json", ".txt"):
            raise UsageError(f"{self.path}: tracks are written as .jsonl or .npz")
        self._inputs = tuple(inputs)
        if self.path != "-":
            check_place(self.path, _ARRAYS if suffix == ".npz" else _LINES, self._inputs)
        self._rows: list[tuple[str, float, list[TrackedHand]]] = []
        self._file: TextIO | None = None
        self._arrays = suffix == ".npz"
        if not self._arrays:
            try:
                self._file = sys.stdout if self.path == "-" else Path(self.path).open("w", encoding="utf-8")  # noqa: SIM115
            except OSError as error:
                raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from None
            self._line({"gmaps": "track", "format": 1, "camera": camera.to_dict(), "joints": list(skeleton.joints)})

    def add(self, name: str, time: float, hands: list[TrackedHand]) -> None:
        """One more frame."""
        if self._arrays:
            self._rows.append((name, time, hands))
            return
        self._line({"frame": name, "time": time, "hands": [self._hand(hand) for hand in hands]})

    def _hand(self, hand: TrackedHand) -> dict[str, Any]:
        return {
            "number": hand.number, "state": hand.state, "side": hand.side, "confidence": round(hand.confidence, 4),
            "joints_mm": _rounded(hand.joints), "joints_uvd": _rounded(self.camera.project(hand.joints)),
        }  # fmt: skip

    def _line(self, values: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()
        except BrokenPipeError:
            raise  # whoever reads our output has seen enough
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}; what was written is kept") from None

    def close(self) -> None:
        """Write what is left, and close the file."""
        if self._file is not None and self._file is not sys.stdout:
            self._file.close()
        if not self._arrays:
            return
        shape = (len(self._rows), self.hands)
        joints = np.full((*shape, len(self.skeleton), 3), np.nan, np.float32)
        raw = joints.copy()
        state, side = np.zeros(shape, np.int8), np.full(shape, -1, np.int8)
        number, sure = np.full(shape, -1, np.int32), np.full(shape, np.nan, np.float32)
        for row, (_, _, hands) in enumerate(self._rows):
            for k, hand in enumerate(hands[: self.hands]):
                joints[row, k], raw[row, k], sure[row, k] = hand.joints, hand.raw, hand.confidence
                state[row, k], side[row, k] = STATES.index(hand.state), SIDES.index(hand.side)
                number[row, k] = hand.number
        with np.errstate(invalid="ignore"):
            uvd = self.camera.project(joints).astype(np.float32)
        c = self.camera
        with replacing(self.path, _ARRAYS, self._inputs) as place, open(place, "wb") as file:
            np.savez_compressed(
                file, joints_mm=joints, joints_uvd=uvd, raw_mm=raw, state=state, side=side, number=number,
                confidence=sure, time=np.array([t for _, t, _ in self._rows], np.float64),
                frame=np.array([n for n, _, _ in self._rows] or [""])[: len(self._rows)],
                camera=np.array([c.fx, c.fy, c.cx, c.cy, c.width, c.height], np.float64),
                joint_names=np.array(self.skeleton.joints), state_names=np.array(STATES), side_names=np.array(SIDES),
            )  # fmt: skip


def _rounded(values: NDArray[np.floating]) -> list[list[float]]:
    """To a thousandth: of a mm, or of a pixel."""
    return [[round(float(v), 3) for v in row] for row in values]
