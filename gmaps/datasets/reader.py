"""What the readers share: their place, their index made once, their spec, and small safe steps of file reading."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.center import center_of_joints
from gmaps.datasets.base import DatasetInfo, FrameArray, Index, Split, Window
from gmaps.errors import DatasetError, FrameError, RowError, UsageError
from gmaps.formats.litter import is_litter
from gmaps.frame import FARTHEST_MM, Cube
from gmaps.kernels import joints as joint_kernels
from gmaps.kernels import raster
from gmaps.rows import shown
from gmaps.skeleton import Skeleton


class Reader:
    """Base of the built-in data sets: a subclass says `_make_index`, `read` and `fingerprint`.

    Its public attributes remake it; underscored ones are what was read from disk, and stay behind in a pickle.

    Parameters
    ----------
    root
        The data set's directory; None where it needs none.
    split
        "train", "test" or "all".
    options
        The rest of the spec, as JSON values.
    """

    info: DatasetInfo
    skeleton: Skeleton
    camera: Camera
    #: False where it is known, before a frame is read, that none has joints.
    labelled: bool = True
    #: Whether every frame says which pixels are hand.
    segmented: bool = False
    #: What frames have besides depth and joints.
    arrays: tuple[FrameArray, ...] = ()
    #: Empty, or how many frames that labels name are not here; known once the index is made.
    left_out: str = ""

    def __init__(self, root: Path | None, split: Split, options: dict[str, Any]) -> None:
        self.root = None if root is None else root.absolute()
        self.split = split
        self.options = options

    def __len__(self) -> int:
        return len(self._index)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}

    def index(self) -> Index:
        """All frames of the split, without reading a pixel; made at the first call."""
        return self._index

    @cached_property
    def _index(self) -> Index:
        return self._make_index()

    def _make_index(self) -> Index:
        raise NotImplementedError

    def spec(self) -> dict[str, Any]:
        """JSON values from which `load_dataset(**spec)` makes an equal data set."""
        root = {} if self.root is None else {"root": str(self.root)}
        return {"name": self.info.name, **root, "split": self.split, **self.options}

    def camera_of(self, i: int) -> Camera:
        """The camera of the whole image at position i: `camera`, where a data set has one for all."""
        return self.camera

    def note_left_out(self, absent: int, labelled: int) -> None:
        """Frames that labels name and that are not here are no rows; builds say how many."""
        if absent:
            self.left_out = (
                f"{self.info.name}: {absent:,} of {labelled:,} frames that labels name are not here, and left out; "
                f"`gmaps datasets {self.info.name} --check {self.root}` says which"
            )

    def note_labels(self, path: str | os.PathLike[str], own: bool = False) -> None:
        """Called before a file of labels is read, for `labels_touched`; `own` tells that it is one frame's."""
        (self._own_stamps if own else self._label_stamps)[os.fspath(path)] = file_stamp(path)

    @cached_property
    def _own_stamps(self) -> dict[str, Stamp | None]:
        return {}

    @cached_property
    def _label_stamps(self) -> dict[str, Stamp | None]:
        return {}

    def labels_touched(self, rows: Sequence[int]) -> bool:
        """Whether a file of labels, of those that say something of these rows, was written to after it was read."""
        own = {path: self._own_stamps[path] for path in self._own_labels(rows) if path in self._own_stamps}
        return any(file_stamp(path) != stamp for path, stamp in (self._label_stamps | own).items())

    def _own_labels(self, rows: Sequence[int]) -> list[str]:
        """Files of labels that some frames alone have."""
        return []

    def frame_files(self, i: int) -> tuple[str, ...]:
        """Paths of the files whose pixels frame i is made of; none where that is not known."""
        name = self._frame_name(i)
        return (f"{self.root}/{name}",) if name else ()

    def _frame_name(self, i: int) -> str:
        """Path of frame i below the root."""
        return ""

    def position(self, i: int) -> int:
        """i, when it is a position of the index.

        Raises
        ------
        UsageError
            When it is not: negative positions do not count from the end.
        """
        if isinstance(i, bool) or not isinstance(i, int | np.integer):
            raise RowError(f"{self.info.name}: {shown(i)} is no frame's position: take a whole number")
        if not 0 <= i < len(self):
            raise UsageError(f"{self.info.name} ({self.split}) has frames 0 to {len(self) - 1}, not {i}")
        return int(i)


#: Size, and time of the last change in nanoseconds.
Stamp = tuple[int, int]


def file_stamp(path: str | os.PathLike[str]) -> Stamp | None:
    """What changes when a file is written to; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


#: Pixels beside a cube's window that a crop may look at: footprints end half way to their neighbours.
_MARGIN = 2


#: top, bottom, left, right of a part of an image, ends excluded.
Pixels = tuple[int, int, int, int]


def cube_window(camera: Camera, joints: NDArray[np.float32], window: Window | None) -> Pixels:
    """The pixels of an image that a crop needs.

    Parameters
    ----------
    camera
        Of the image.
    joints : (J, 3) float32
        mm, camera axes.
    window
        What is needed; None for all.

    Returns
    -------
    top, bottom, left, right
        Pixels, ends excluded. The whole image where the cube is not known, or beside it.
    """
    whole = 0, camera.height, 0, camera.width
    if window is None or window.half_side is None:
        return whole
    center = center_of_joints(joints, window.of) if window.center is None else window.center
    x, y, z = (float(v) for v in center)
    if not math.isfinite(x + y + z):
        return whole
    cube = Cube((x, y, z), window.half_side)
    top, bottom, left, right = raster.window(
        camera.height, camera.width, camera.fx, camera.fy, camera.cx, camera.cy, *cube.center, cube.half_side
    )
    if bottom <= top or right <= left:
        return whole
    return (
        max(top - _MARGIN, 0), min(bottom + _MARGIN, camera.height),
        max(left - _MARGIN, 0), min(right + _MARGIN, camera.width),
    )  # fmt: skip


def cut_camera(camera: Camera, pixels: Pixels) -> Camera:
    """The camera of a part of its image."""
    top, bottom, left, right = pixels
    return camera.cut(left, top, right - left, bottom - top)


def open_at_once(path: str, flags: int) -> int:
    """An `opener` for `open`: a pipe under a file's name is found empty, and not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_bytes(path: str | Path, name: str, limit: int) -> bytes:
    """A whole small file.

    Parameters
    ----------
    path, name
        The file, and what messages call it.
    limit
        Bytes; a longer file is refused before it fills the memory.

    Raises
    ------
    FrameError
        Missing, unreadable or too long.
    """
    try:
        # The system's own calls: a file object would take as long to make as a small file takes to read.
        fd = open_at_once(os.fspath(path), os.O_RDONLY)
        try:
            data = os.read(fd, min(os.fstat(fd).st_size, limit) + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise FrameError(
            f"{name}: cannot be read ({error.strerror or error}); restore it from the archive"
        ) from error
    if len(data) > limit:
        raise FrameError(f"{name}: longer than the {limit:,} bytes that such a frame can have; restore it")
    return data


def check_joints(joints: NDArray[np.float32], name: str) -> None:
    """Refuse labels that no hand can have.

    Parameters
    ----------
    joints : (J, 3)
        mm, camera axes.
    name
        What messages call the frame.

    Raises
    ------
    FrameError
        A joint that is not finite, out of all range, or not in front of the camera.
    """
    # Every frame that is built comes by here.
    if joint_kernels.plausible(np.ascontiguousarray(joints, np.float32), np.float32(FARTHEST_MM)):
        return
    good = (np.abs(joints) < FARTHEST_MM).all(axis=1) & (joints[:, 2] > 0)  # False for NaN, too
    if not good.all():
        j = int(np.argmin(good))
        raise FrameError(f"{name}: joint {j} is at {joints[j].tolist()} mm, which no hand can be; correct the labels")


def digest(*arrays: NDArray[Any]) -> str:
    """32 hexadecimal digits that stand for the arrays' shapes, types and values."""
    h = hashlib.blake2b(digest_size=16)
    for a in arrays:
        h.update(f"{a.shape}{a.dtype.str}".encode())
        h.update(np.ascontiguousarray(a).data)
    return h.hexdigest()


def frame_numbers(folder: Path, pattern: re.Pattern[str]) -> NDArray[np.int64]:
    """Numbers of the frames in a folder, in order, from one look at its names.

    Parameters
    ----------
    folder
        The directory.
    pattern
        Matches a frame's whole name; its first group is the number.

    Raises
    ------
    DatasetError
        When the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(int(m[1]) for e in entries if (m := pattern.fullmatch(e.name)))  # litter has no such name
    except OSError as error:
        raise DatasetError(
            f"{folder}: cannot be listed ({error.strerror or error}); see to its permissions and its disk"
        ) from error
    return np.array(found, np.int64)


def some_names(path: str | os.PathLike[str], most: int = 6) -> str:
    """The first names in a directory, for messages about a wrong tree."""
    names = sorted(name for name in os.listdir(path) if not is_litter(name))
    return (", ".join(names[:most]) + (", ..." if len(names) > most else "")) or "nothing"
