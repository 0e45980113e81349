"""Depth PNGs against OpenCV: pixels of whole files and of a hand's window, and NYU's layout to a store.

`python -m benchmarks.png FOLDER` takes real frames, too: `FOLDER/{nyu,sr305,kinect2,multiview}/*.png`. Times are of
the processor, in one process, in turns.
"""

from __future__ import annotations

import secrets
import shutil
import statistics
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

import gmaps
from benchmarks.timing import Row, table, take_turns, write
from gmaps.camera import Camera
from gmaps.center import find_center
from gmaps.datasets import nyu
from gmaps.datasets.base import Window
from gmaps.datasets.reader import Pixels, cube_window
from gmaps.datasets.write.tree import write_tree
from gmaps.errors import FrameError
from gmaps.formats import png
from gmaps.frame import Frame
from gmaps.maps import DEFAULT_MAPS

#: Folder of real frames -> mm of a unit; fx, fy, cx, cy; half the side of a hand's cube and where hands are, mm.
REAL = {
    "nyu": (1.0, nyu.CAMERA.fx, nyu.CAMERA.fy, nyu.CAMERA.cx, nyu.CAMERA.cy, 150.0, (500.0, 1300.0)),
    "sr305": (0.125, 476.007, 476.007, 313.683, 242.755, 125.0, (100.0, 1000.0)),
    "kinect2": (1.0, 363.9, 363.9, 255.4, 206.3, 150.0, (500.0, 4000.0)),
    "multiview": (1.0, 615.0, 615.0, 320.0, 240.0, 125.0, (300.0, 1500.0)),
}
FRAMES, ROUNDS, BUILT, BUILDS = 8, 9, 500, 5
_KINDS: tuple[png.Kind, ...] = ("rgb8", "grey16")


class File(NamedTuple):
    """A PNG, and the pixels that a crop of its hand needs."""

    data: bytes
    kind: png.Kind
    size: tuple[int, int]
    window: Pixels


def _read(path: Path, unit: float, fx: float, fy: float, cx: float, cy: float, half_side: float, where: Any) -> File:
    data = path.read_bytes()
    width, height, _, colour = struct.unpack(">IIBB", data[16:26])
    kind: png.Kind = "rgb8" if colour == 2 else "grey16"
    image = png.decode(data, path.name, kind, (width, height))
    depth = image[..., 1] * np.float32(256) + image[..., 2] if kind == "rgb8" else image * np.float32(unit)
    camera, nobody = Camera(fx, fy, cx, cy, width, height), np.full((1, 3), np.nan, np.float32)
    center = find_center(Frame(depth.astype(np.float32), camera, nobody), "com", half_side, where)
    window = cube_window(camera, nobody, Window(half_side, np.array(center)))
    return File(data, kind, (width, height), window)


def real_files(folder: Path) -> Iterator[tuple[str, list[File]]]:
    """Some frames of each sensor whose folder is there."""
    for name, facts in REAL.items():
        paths = sorted((folder / name).glob("*.png"))
        chosen = [paths[k] for k in np.unique(np.linspace(0, len(paths) - 1, FRAMES).astype(int))] if paths else []
        found = []
        for path in chosen:
            try:
                found.append(_read(path, *facts))
            except FrameError as error:  # nobody's hand is seen
                print(f"left out: {error}")
        if found:
            yield f"{name}, {len(found)} frames", found


def synthetic_files(folder: Path) -> Iterator[tuple[str, list[File]]]:
    """Frames of `gmaps synth`; and hands before a wall of much noise, as two encoders filter it."""
    for layout, kind in (("nyu", _KINDS[0]), ("folder", _KINDS[1])):
        root = folder / layout
        write_tree(root, layout, FRAMES, seed=secrets.randbelow(2**31), workers=1)
        data = gmaps.load_dataset(layout, root=root)
        size, files = (data.camera.width, data.camera.height), []
        for frame in map(data.read, range(FRAMES)):
            window = cube_window(data.camera, frame.joints, Window(data.info.half_side))
            files.append(File((root / frame.name).read_bytes(), kind, size, window))
        yield f"gmaps synth, {layout}", files
    made = gmaps.load_dataset("synthetic", frames=FRAMES, seed=secrets.randbelow(2**31))
    y, x = np.mgrid[:480, :640]
    for name, flags in (("OpenCV's filter", []), ("Paeth", [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH])):
        for kind in _KINDS:
            files = []
            for k in range(FRAMES):
                hand = cv2.resize(made.read(k).depth, (640, 480), interpolation=cv2.INTER_NEAREST)
                wall = 1500 + 0.3 * x + 0.2 * y + np.random.default_rng(k).normal(0, 2, x.shape)
                depth = np.where(hand > 0, hand, wall).astype(np.uint16)
                image = np.dstack([depth & 255, depth >> 8, 0 * depth]).astype(np.uint8) if kind == "rgb8" else depth
                rows, cols = (np.flatnonzero((hand > 0).any(axis=a)) for a in (1, 0))
                window = int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
                packed = cv2.imencode(".png", image, flags)[1].tobytes()
                files.append(File(packed, kind, (640, 480), window))
            yield f"noise, {kind}, {name}", files


def decode_as_before(data: bytes, name: str, kind: png.Kind, size: tuple[int, int], window: Any) -> NDArray[Any]:
    """What gmaps did until it had a decoder: checksums by zlib, all pixels by OpenCV."""
    png.check_header(data, name, kind, size)
    view, at = memoryview(data), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise FrameError(f"{name}: damaged")
        at = end
    top, bottom, left, right = window
    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    part: NDArray[Any] = image[top:bottom, left:right]
    return cv2.cvtColor(part, cv2.COLOR_BGR2RGB) if kind == "rgb8" else part


def compare_files(name: str, files: list[File]) -> list[Row]:
    """Our time and OpenCV's, of whole images and of windows."""
    seconds = dict.fromkeys(("cv2", "whole", "window"), 0.0)
    share = 0.0
    for data, kind, size, window in files:
        raw = np.frombuffer(data, np.uint8)
        top, bottom, left, right = window
        theirs = decode_as_before(data, "f", kind, size, (0, size[1], 0, size[0]))
        np.testing.assert_array_equal(png.decode(data, "f", kind, size), theirs)
        np.testing.assert_array_equal(png.decode(data, "f", kind, size, window), theirs[top:bottom, left:right])
        share += (bottom - top) * (right - left) / (size[0] * size[1]) / len(files)
        calls: dict[str, Callable[[], Any]] = {
            "cv2": partial(cv2.imdecode, raw, cv2.IMREAD_UNCHANGED),
            "whole": partial(png.decode, data, "f", kind, size),
            "window": partial(png.decode, data, "f", kind, size, window),
        }
        for call, value in take_turns(calls, ROUNDS, time.process_time).items():
            seconds[call] += value / len(files)
    return [
        Row(f"{name}: window, {100 * share:.0f} %", seconds["window"], seconds["cv2"], "OpenCV", 3, 6),
        Row(f"{name}: whole", seconds["whole"], seconds["cv2"], "OpenCV", 1.5, 3),
    ]


def compare_builds() -> list[Row]:
    """NYU's layout to a store: seconds of a core a frame, now and with the decoder of before."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "nyu", Path(folder) / "nyu.zarr"
        write_tree(root, "nyu", BUILT, seed=secrets.randbelow(2**31), workers=2)

        def build(joints: int, limit: int) -> float:
            started = time.process_time()
            options = {"joints": joints}
            gmaps.build(
                "nyu", out, DEFAULT_MAPS, root=root, workers=0, progress=False, dataset_options=options, limit=limit
            )
            taken = time.process_time() - started
            shutil.rmtree(out)
            return taken

        def frame(joints: int) -> float:
            """Without what a build takes of itself, of which full data sets have as much."""
            return (build(joints, BUILT) - build(joints, 1)) / (BUILT - 1)

        for joints in (14, 36):
            now, before = [], []
            build(joints, 16)  # compiles
            for _ in range(BUILDS):
                now.append(frame(joints))
                with mock.patch.object(png, "decode", decode_as_before):
                    before.append(frame(joints))
            ours, theirs = statistics.median(now), statistics.median(before)
            rows.append(Row(f"NYU to a store, {joints} joints, a frame", ours, theirs, "OpenCV", 2, 4))
            print(f"{rows[-1].what}: {1 / ours:,.0f} frames/s a core, with OpenCV {1 / theirs:,.0f}")
    return rows


def run(folder: str | None = None) -> None:
    """Prints the table and keeps it."""
    cv2.setNumThreads(1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as trees:
        for name, files in (*(real_files(Path(folder)) if folder else ()), *synthetic_files(Path(trees))):
            rows += compare_files(name, files)
    rows += compare_builds()
    print(table("Depth PNGs", rows))
    write("png", rows)


if __name__ == "__main__":
    run(*sys.argv[1:2])
