"""Recordings: an .npz of depth images as they were, with times and camera, so that a replay gives the same numbers.

An array a frame, so that neither writing nor reading holds more than one in memory: `depth_000000`, and so on;
`camera` is fx, fy, cx, cy, width, height (float64), `time` the frames' seconds (float64), `name` their names.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.capture.shot import Shot
from gmaps.errors import FrameError, OutputError, UsageError
from gmaps.formats.npy import check_size, read_header
from gmaps.formats.outputs import holds_arrays, replacing
from gmaps.formats.regular import open_regular

_MOST_PIXELS = 2**24
_MOST_BYTES = 8 * _MOST_PIXELS
#: Files that a recording may replace.
_RECORDING = holds_arrays("camera", "time", "name")


class Recorder:
    """Writes a recording; whole only after `close`, until when it lies under a name of its own.

    Parameters
    ----------
    path
        Where; .npz.
    camera
        Of all frames.
    inputs
        Paths that are read, which are not written.

    Raises
    ------
    UsageError
        The file's name does not end in .npz.
    OutputError
        It cannot be written, is one of `inputs`, or something else than a recording is there.
    """

    def __init__(self, path: str | os.PathLike[str], camera: Camera, inputs: Iterable[object] = ()) -> None:
        self.path, self._closed = Path(path), False
        if self.path.suffix.lower() != ".npz":
            raise UsageError(f"{self.path}: a recording's name ends in .npz")
        self.camera, self._times, self._names = camera, [0.0][:0], [""][:0]
        self._whole = ExitStack()
        place = self._whole.enter_context(replacing(self.path, _RECORDING, inputs))
        try:
            self._zip = zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        except OSError as error:
            raise self._unwritable(error) from None

    def add(self, shot: Shot) -> None:
        """One more frame, bit for bit.

        Raises
        ------
        OutputError
            The disk fails; `close` then keeps the frames before it.
        """
        whole = shot.depth.astype(np.uint16)
        self._write(f"depth_{len(self._times):06}", whole if np.array_equal(whole, shot.depth) else shot.depth)
        self._times.append(shot.time)
        self._names.append(shot.name)

    def _write(self, name: str, array: NDArray[Any]) -> None:
        try:
            with self._zip.open(f"{name}.npy", "w", force_zip64=True) as f:
                np.lib.format.write_array(f, np.ascontiguousarray(array), allow_pickle=False)
        except OSError as error:
            self._drop(f"{name}.npy")
            raise self._unwritable(error) from error

    def _drop(self, name: str) -> None:
        """Cut off the array that failed, so that the list of those before it has room."""
        archive = self._zip
        if archive.filelist and archive.filelist[-1].filename == name:
            archive.start_dir = archive.filelist.pop().header_offset
            archive.NameToInfo.pop(name, None)
        with suppress(OSError, AttributeError):
            archive.fp.seek(archive.start_dir)  # type: ignore[union-attr]
            archive.fp.truncate()  # type: ignore[union-attr]

    def close(self) -> None:
        """Write what is known at the end alone, and give the file its name.

        Raises
        ------
        OutputError
            The disk fails; nothing of the recording is kept then.
        """
        if self._closed:
            return
        self._closed = True
        c = self.camera
        with self._whole:
            try:
                self._write("camera", np.array([c.fx, c.fy, c.cx, c.cy, c.width, c.height], np.float64))
                self._write("time", np.array(self._times, np.float64))
                self._write("name", np.array(self._names or [""], dtype=np.str_)[: len(self._times)])
                self._zip.close()
            except OSError as error:
                raise self._unwritable(error) from error
            finally:
                if self._zip.fp is not None:
                    self._zip.fp.close()
                    self._zip.fp = None

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path}: cannot be written: {error.strerror or error}")


class Recording:
    """Reads a recording.

    Raises
    ------
    FrameError
        No such file, none of ours, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = open_regular(path)
            self._zip = zipfile.ZipFile(self._file)
            numbers = self._array("camera")
            self._times = self._array("time").astype(np.float64)
            self._names = [str(n) for n in self._array("name", kinds="U")]
            if numbers.shape != (6,) or self._times.ndim != 1 or len(self._names) != len(self._times):
                raise ValueError("camera, time and name do not fit")
            fx, fy, cx, cy, width, height = (float(v) for v in numbers)
            self._camera = Camera(fx, fy, cx, cy, int(width), int(height))
        except FileNotFoundError:
            raise FrameError(f"{path}: no such recording") from None
        except Exception as error:  # whatever a damaged archive leads zipfile and zlib to
            raise FrameError(f"{path}: cannot be read as a recording: {error}; `--record` writes them") from None
        if self._camera.width * self._camera.height > _MOST_PIXELS:
            raise FrameError(f"{path}: {self._camera.width} x {self._camera.height} pixels, which no camera has")

    @property
    def camera(self) -> Camera:
        """Of all frames."""
        return self._camera

    def __len__(self) -> int:
        return len(self._times)

    @property
    def times(self) -> list[float]:
        """Of the frames, s."""
        found: list[float] = self._times.tolist()
        return found

    def __iter__(self) -> Iterator[Shot]:
        return (self.shot(number) for number in range(len(self)))

    def shot(self, number: int) -> Shot:
        """Frame `number`, from 0 on; no other is read.

        Raises
        ------
        FrameError
            It is damaged.
        """
        size = (self._camera.height, self._camera.width)
        try:
            depth = self._array(f"depth_{number:06}", shape=size)
        except Exception as error:  # as above
            raise FrameError(f"{self.path}: frame {number} cannot be read: {error}") from None
        if depth.dtype not in (np.uint16, np.float32):
            raise FrameError(f"{self.path}: frame {number} is {depth.dtype}, not uint16 or float32 mm")
        return Shot(depth.astype(np.float32), float(self._times[number]), self._names[number])

    def _array(self, name: str, kinds: str = "fiu", shape: tuple[int, ...] | None = None) -> NDArray[Any]:
        """An array of the archive; no more memory is taken than a recording may need, whatever its header says."""
        with self._zip.open(f"{name}.npy") as stream:
            header = read_header(stream, name, kinds)  # type: ignore[arg-type]
            if (shape is not None and header.shape != shape) or header.bytes > _MOST_BYTES:
                raise ValueError(f"{name} is {header.shape} {header.dtype}")
            content = stream.read(header.bytes + 1)
        check_size(header, len(content), name)
        return np.frombuffer(content, header.dtype).reshape(header.shape, order="F" if header.column_major else "C")

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._file.close()
