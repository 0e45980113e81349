"""Depth with joints over it, frame by frame: a film, an animated picture, or a folder of pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import OutputError, UsageError
from gmaps.formats.outputs import holds, replacing
from gmaps.skeleton import Skeleton

#: An animated picture holds no more frames than that: it is all in memory.
MOST_FRAMES = 600
_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}


def draw_frame(
    depth: NDArray[np.float32], camera: Camera, hands: Sequence[NDArray[np.floating]], skeleton: Skeleton,
    depth_range: tuple[float, float] = (100.0, 1500.0), text: str = "",
) -> NDArray[np.uint8]:  # fmt: skip
    """(H, W, 3) uint8, BGR: depth in grey, near is light, with the joints (J, 3), mm, of each hand.

    Parameters
    ----------
    depth : (H, W) float32
        mm; 0, where nothing was seen, is black.
    camera
        Its intrinsics.
    hands
        Joints of each, mm, camera axes.
    skeleton
        Of the joints.
    depth_range
        From white to the darkest grey, mm.
    text
        Written in the corner.
    """
    near, far = depth_range
    grey = np.where(depth > 0, 225 - 185 * np.clip((depth - near) / (far - near), 0, 1), 0).astype(np.uint8)
    picture: NDArray[np.uint8] = np.repeat(grey[..., None], 3, axis=2)
    for joints in hands:
        at = [tuple(round(float(v) * 8) for v in p) for p in camera.project(joints)[:, :2]]
        for parent, child in skeleton.bones:
            cv2.line(picture, at[parent], at[child], _bgr(skeleton.colour(child)), 2, cv2.LINE_AA, 3)
        for joint, p in enumerate(at):
            cv2.circle(picture, p, 8 * 3, _bgr(skeleton.colour(joint)), -1, cv2.LINE_AA, 3)
    if text:
        cv2.putText(picture, text, (6, picture.shape[0] - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    return picture


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


class Film:
    """Pictures one after the other.

    Parameters
    ----------
    path
        .mp4, .avi or .mkv: a film; .gif: an animated picture; a folder, made if it is not there: PNG files.
    fps
        Frames a second.
    inputs
        Paths that are read, which are not written.

    Raises
    ------
    UsageError
        The name ends otherwise.
    OutputError
        Nothing can be written there, or something is there: only an earlier .gif of ours is replaced.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float = 30.0, inputs: Iterable[object] = ()) -> None:
        self.path, self.fps = Path(path), fps
        self._suffix = self.path.suffix.lower()
        self._video: Any = None
        self._pictures: list[Any] = []
        self.count, self._closed = 0, False
        if self._suffix and self._suffix not in (*_CODECS, ".gif"):
            raise UsageError(f"{self.path}: a film is {', '.join(_CODECS)}, .gif, or a folder of pictures")
        self._whole = ExitStack()
        if self._suffix:
            ours = holds(b"gmaps") if self._suffix == ".gif" else None
            self._place = self._whole.enter_context(replacing(self.path, ours, inputs))
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            there = next(self.path.iterdir(), None)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from None
        if there is not None:
            raise OutputError(f"{self.path} is not empty: name a folder that is, or a new one, for pictures")

    def add(self, picture: NDArray[np.uint8]) -> None:
        """One more picture (H, W, 3), BGR, all of one size.

        Raises
        ------
        UsageError
            It cannot be written, or an animated picture grows too long.
        """
        if not self._suffix:
            file = self.path / f"{self.count:06}.png"
            if not cv2.imwrite(str(file), picture):
                raise UsageError(f"{file}: cannot be written")
        elif self._suffix == ".gif":
            from PIL import Image  # comes with matplotlib

            if self.count >= MOST_FRAMES:
                raise UsageError(f"{self.path}: an animated picture holds {MOST_FRAMES} frames at most: take .mp4")
            self._pictures.append(Image.fromarray(picture[..., ::-1]).quantize(64))
        else:
            if self._video is None:
                code = cv2.VideoWriter.fourcc(*_CODECS[self._suffix])
                size = (picture.shape[1], picture.shape[0])
                self._video = cv2.VideoWriter(str(self._place), cv2.CAP_FFMPEG, code, self.fps, size)
            if not self._video.isOpened():
                raise UsageError(f"{self.path}: this OpenCV cannot write it; take a folder, or .gif")
            self._video.write(picture)
        self.count += 1

    def close(self) -> None:
        """Finish the file; a film without pictures is none.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        with self._whole:
            if self._video is not None:
                self._video.release()
            elif self._pictures:
                first, *rest = self._pictures
                first.save(
                    self._place, save_all=True, append_images=rest, duration=round(1000 / self.fps), loop=0,
                    comment=b"gmaps",
                )  # fmt: skip
            elif self._suffix:
                self._whole.__exit__(OutputError, OutputError("no pictures"), None)
