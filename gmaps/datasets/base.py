"""What a data set is to gmaps: an index that is cheap and complete, and frames read one by one."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import DatasetError, UsageError
from gmaps.skeleton import Skeleton

if TYPE_CHECKING:  # a list of names need not wait for Numba
    from gmaps.frame import Frame

Split = Literal["train", "val", "test", "all"]
#: Names that a store's own arrays, and what training gives, have already.
RESERVED = frozenset(
    (
        "depth",
        "joints",
        "joints_mm",
        "cube",
        "frame",
        "subject",
        "sequence",
        "valid",
        "maps",
        "silhouette",
        "index",
        "undo",
        "mask",
        "color",
    )
)
#: Types of the arrays that a data set may declare.
ARRAY_DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


@dataclass(frozen=True)
class Index:
    """All frames of a split, without their pixels.

    Parameters
    ----------
    frame : (N,) int64
        Number of each frame in the whole data set, so that two splits never share one.
    subject, sequence : (N,) int16
        Positions in `subjects` and `sequences`.
    subjects, sequences
        What these are called: ("P0", ...), ("1", ..., "Y").
    camera : (N,) int16, optional
        Positions in `cameras`, of sets that several cameras saw.
    cameras
        What these are called.
    time : (N,) int32, optional
        The moment of each frame within its sequence, the same for all cameras; by default frames of a sequence are
        in the order of their numbers.
    """

    frame: NDArray[np.int64]
    subject: NDArray[np.int16]
    sequence: NDArray[np.int16]
    subjects: tuple[str, ...]
    sequences: tuple[str, ...]
    camera: NDArray[np.int16] | None = None
    cameras: tuple[str, ...] = ()
    time: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def tracks(self) -> list[NDArray[np.int64]]:
        """Each sequence as one camera saw it: its positions in the order of time, for tracking.

        Returns
        -------
        list of (n,) int64
            Positions of the index, each in one of them; by subject, sequence and camera.
        """
        camera = np.zeros(len(self), np.int16) if self.camera is None else self.camera
        time = self.frame if self.time is None else self.time
        order = np.lexsort((time, camera, self.sequence, self.subject))
        keys = np.stack([self.subject[order], self.sequence[order], camera[order]])
        starts = np.flatnonzero((keys[:, 1:] != keys[:, :-1]).any(axis=0)) + 1
        return [part.astype(np.int64) for part in np.split(order, starts) if len(part)]


@dataclass(frozen=True)
class Check:
    """One line of `gmaps datasets NAME --check ROOT`.

    Parameters
    ----------
    what
        What was looked at: "P0/5".
    found, expected
        Counts, or a short text; `expected` is None where nothing is promised.
    problem
        Empty when all is well; else what is wrong and what to do.
    """

    what: str
    found: int | str
    expected: int | str | None = None
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


@dataclass(frozen=True)
class DatasetInfo:
    """What `gmaps datasets NAME` prints, and defaults of a build."""

    name: str
    title: str
    homepage: str
    terms: str
    tree: str
    citation: str
    skeleton: str
    splits: tuple[Split, ...] = ("train", "test", "all")
    half_side: float = 120.0
    #: Where the cube's centre is unless a build says otherwise: see `gmaps.center`.
    center: str = "joints"
    #: Depths (mm) between which the hand is looked for when the centre comes from the points themselves.
    depth_range: tuple[float, float] = (100.0, 1000.0)
    notes: str = ""
    needs_root: bool = True
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameArray:
    """What a data set knows of each frame besides depth and joints: a mesh, angles, colour, the side of the hand.

    Builds store it as an array of that name; `Frame.arrays` holds one frame's.

    Parameters
    ----------
    name
        Small letters, digits and underscores; none of `RESERVED`.
    shape
        Of one frame's value; () for a single number.
    dtype
        NumPy's name of its type: one of `ARRAY_DTYPES`.
    unit
        Of a value: "mm", "degree"; empty for none.
    about
        What it is, in a line.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    unit: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if not re.fullmatch("[a-z][a-z0-9_]*", self.name) or self.name in RESERVED:
            raise UsageError(
                f"an array of a data set cannot be called {self.name!r}: take small letters, digits and underscores, "
                f"and none of {', '.join(sorted(RESERVED))}"
            )
        if self.dtype not in ARRAY_DTYPES:
            raise UsageError(f"array {self.name}: {self.dtype!r} is none of {', '.join(ARRAY_DTYPES)}")
        if min(self.shape, default=1) < 1:
            raise UsageError(f"array {self.name}: shape {self.shape} holds nothing")

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "shape": list(self.shape)}


@dataclass(frozen=True)
class Window:
    """What of a frame is needed: a hint, by which a reader may leave out what no crop of this cube looks at.

    Parameters
    ----------
    half_side
        Half the side of the cube, mm; None where nobody knows yet where the cube will be, and all that the camera
        saw is needed.
    center : (3,), optional
        Of the cube, mm, camera axes; None where it follows from the frame's own joints. Not finite where it is
        invalid.
    of
        How it follows from the joints: "joints", the middle of the box around them, or "mean".
    mask
        Whether `Frame.mask` is looked at.
    """

    half_side: float | None = None
    center: NDArray[np.floating] | None = None
    of: str = "joints"
    mask: bool = True


class DataSet(Protocol):
    """One reader. Made by `gmaps.load_dataset`; light to pickle: `spec()` says all that remakes it.

    Further attributes may be there: `arrays`, a tuple of `FrameArray`, for what every frame has besides depth and
    joints; `labelled`, False where it is known before a frame is read that none has joints; `segmented`, True where
    every frame has a `mask`; `camera_of`, which gives the camera of the whole image at a position, where `camera` is
    not that of all frames; and `labels_touched` and `frame_files`, by which a build sees that files are written to
    meanwhile: see `gmaps.datasets.reader.Reader`. A data set without the first of these two is asked for its
    fingerprint before and after each shard.
    """

    info: DatasetInfo
    skeleton: Skeleton
    camera: Camera

    def __len__(self) -> int: ...

    def index(self) -> Index:
        """All frames of the split, without reading a pixel."""
        ...

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i of the index (0 <= i < len).

        Parameters
        ----------
        i
            The position.
        window
            What is needed, for readers that are faster then: they return the image's part that holds it, with a
            camera to match (`Camera.cut`). None, or a reader that does not look: the whole image. A data set whose
            `read` takes no window is asked without one.

        Raises
        ------
        FrameError
            When this frame cannot be used; the message names the file and the reason.
        """
        ...

    def spec(self) -> dict[str, Any]:
        """JSON values from which `load_dataset(**spec)` makes an equal data set."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """JSON values that decide what `read` returns, but for the root's place on disk: release, counts, seed,
        a digest of the labels. Part of a store's fingerprint."""
        ...


def camera_of(dataset: DataSet, i: int) -> Camera:
    """The camera of the whole image at position i."""
    own: Callable[[int], Camera] | None = getattr(dataset, "camera_of", None)
    return dataset.camera if own is None else own(i)


def read_window(dataset: DataSet, i: int, window: Window) -> Frame:
    """Frame i, or the part of it in the window where the data set's `read` takes one.

    To make room for a whole image, and to look through it, would take longer than all maps.
    """
    read = dataset.read
    if _takes_window(getattr(read, "__func__", read)):
        return read(i, window=window)
    return read(i)


@lru_cache(maxsize=64)
def _takes_window(read: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(read).parameters
    except (TypeError, ValueError):  # of what no one has written in Python
        return False
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = "window" in parameters and parameters["window"].kind in by_name
    return named or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def require_root(root: str | os.PathLike[str] | None, name: str) -> Path:
    """The directory that holds a data set: `root`, or `$GMAPS_DATA/<name>`.

    Raises
    ------
    DatasetError
        When neither is given, or it is no directory.
    """
    if root is None:
        base = os.environ.get("GMAPS_DATA")
        if not base:
            raise DatasetError(
                f"where is {name}? Give --root DIR, or set GMAPS_DATA to a directory that holds {name}/; "
                f"`gmaps datasets {name}` says where to get it"
            )
        root = Path(base) / name
    path = Path(root)
    if not path.is_dir():
        raise DatasetError(
            f"{path}: no such directory; `gmaps datasets {name}` says where to get {name} and the tree it must have"
        )
    return path
