"""`dataset.toml`: what a folder of frames and joints means. Read here, once, into frozen values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.folder.own_cameras import read_camera, read_cameras
from gmaps.datasets.folder.own_skeleton import read_skeleton
from gmaps.datasets.folder.patterns import Pattern, parse_pattern
from gmaps.errors import DatasetError
from gmaps.formats.strict_toml import Table, read_toml
from gmaps.skeleton import Skeleton

FILE = "dataset.toml"
#: Suffixes of each kind of file.
IMAGES = (".png", ".tif", ".tiff", ".npy", ".npz")
LABELS = (".npy", ".npz", ".txt", ".csv", ".json")
_DIRECTIONS = {
    "right": (0, 1.0), "left": (0, -1.0), "down": (1, 1.0), "up": (1, -1.0),
    "forward": (2, 1.0), "backward": (2, -1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Axes:
    """Where a file's three coordinates point, and how long their unit is.

    Parameters
    ----------
    names
        One of right, left; one of down, up; one of forward, backward; in the file's order.
    unit
        mm.
    """

    names: tuple[str, str, str] = ("right", "down", "forward")
    unit: float = 1.0

    def to_camera(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 3) of the file to (..., 3) mm, x right, y down, z forward."""
        out = np.empty(points.shape, np.float64)
        for k, name in enumerate(self.names):
            axis, sign = _DIRECTIONS[name]
            out[..., axis] = points[..., k] * (sign * self.unit)
        return out


@dataclass(frozen=True)
class Depth:
    """[depth]: `unit` mm a step, `none` values that mean no data, `farthest` mm, `rgb` weights of the channels."""

    files: Pattern
    unit: float
    none: tuple[float, ...]
    farthest: float
    rgb: tuple[float, ...]
    array: str


@dataclass(frozen=True)
class Joints:
    """[joints]: see docs/folder.md. `order` has the place in the file of each joint of the skeleton."""

    files: Pattern
    kind: Literal["xyz", "uvd"]
    axes: Axes
    rows: Literal["number", "order", "name"]
    first: int
    skip: int
    array: str
    order: tuple[int, ...]

    @property
    def shared(self) -> bool:
        """True where a file holds the joints of many frames."""
        return "frame" not in self.files.names


@dataclass(frozen=True)
class Segmentation:
    """[segmentation]: a picture a frame, whose values are places in `labels`."""

    files: Pattern
    labels: tuple[str, ...]
    array: str


@dataclass(frozen=True)
class MeshFiles:
    """[mesh]: vertices a frame, and the triangles that all frames share, if any."""

    files: Pattern
    axes: Axes
    faces: str
    array: str


@dataclass(frozen=True)
class Description:
    """All that a `dataset.toml` says.

    `splits` has, for "train" and "test", what selects their frames: placeholder -> values. `cameras` has those of
    single subjects or sequences, as `cameras_by` says.
    """

    camera: Camera
    depth: Depth
    joints: Joints | None
    skeleton: Skeleton
    splits: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    segmentation: Segmentation | None = None
    mesh: MeshFiles | None = None
    title: str = ""
    homepage: str = ""
    terms: str = ""
    citation: str = ""
    frames: int | None = None
    half_side: float = 120.0
    depth_range: tuple[float, float] = (100.0, 1000.0)
    cameras_by: str = ""
    cameras: dict[str, Camera] = field(default_factory=dict)

    def camera_of(self, subject: str, sequence: str) -> Camera:
        """The camera of a frame: that of its subject or sequence, where there are several, else `camera`."""
        return self.cameras.get(subject if self.cameras_by == "subject" else sequence, self.camera)


def read_description(root: Path) -> Description:
    """The `dataset.toml` of a folder.

    Parameters
    ----------
    root
        The folder.

    Raises
    ------
    DatasetError
        No such file, or one with a key or value that cannot be; with file, key and what is allowed.
    """
    path = root / FILE
    if not path.is_file():
        if (root / ".synth").is_dir():
            raise DatasetError(f"{root}: what an interrupted `gmaps synth` left; run the same command again")
        raise DatasetError(f"{root}: no {FILE} here, which says what its files mean; see docs/folder.md")
    return parse_description(read_toml(path))


def parse_description(root: Table) -> Description:
    """As `read_description`, from a table."""
    camera = read_camera(root.need_table("camera"))
    depth = _depth(root.need_table("depth"))
    skeleton = read_skeleton(root.table("skeleton"), "joints" in root)
    known = depth.files.names
    joints = root.table("joints")
    segmentation, mesh = root.table("segmentation"), root.table("mesh")
    by, cameras = read_cameras(root, camera, known)
    out = Description(
        camera=camera,
        depth=depth,
        skeleton=skeleton,
        joints=None if joints is None else _joints(joints, known, len(skeleton)),
        splits=_splits(root.table("splits"), known),
        segmentation=None if segmentation is None else _segmentation(segmentation, known),
        mesh=None if mesh is None else _mesh(mesh, known),
        title=root.text("title", ""),
        homepage=root.text("homepage", ""),
        terms=root.text("terms", ""),
        citation=root.text("citation", ""),
        frames=root.whole("frames", None, low=1, high=10**9),
        half_side=root.number("half_side", 120.0, above=0, high=10_000),
        depth_range=_range(root),
        cameras_by=by,
        cameras=cameras,
    )
    if cameras and out.joints is not None and out.joints.kind == "uvd":
        root.fail("cameras", "are of several views, and joints of u v d need one camera: give them as xyz")
    root.close()
    return out


def _range(root: Table) -> tuple[float, float]:
    near, far = root.numbers("depth_range", (100.0, 1000.0), count=2)
    if not 0 <= near < far:
        root.fail("depth_range", f"must be [nearest, farthest] in mm, not [{near:g}, {far:g}]")
    return near, far


def _pattern(table: Table, suffixes: tuple[str, ...], known: frozenset[str] | None, frame: bool) -> Pattern:
    """[...].files; `known` are the placeholders of depth.files, the only ones to have values elsewhere."""
    text = table.text("files")
    pattern = parse_pattern(text, f"{table.file}: {table.name}.files")
    if pattern.suffix == ".exr":
        table.fail("files", "names EXR files, which OpenCV's wheels do not read; convert them to .npy or TIFF")
    if pattern.suffix not in suffixes:
        table.fail("files", f"must end in {', '.join(suffixes)}, not {pattern.suffix!r}")
    if frame and "frame" not in pattern.names:
        table.fail("files", f"must have {{frame}} in it, not just {text!r}")
    if known is not None:
        unknown = sorted(pattern.names - known)
        if unknown:
            table.fail("files", f"has {{{unknown[0]}}}, which depth.files has not")
        if pattern.text != pattern.template:
            table.fail("files", "takes its characters from depth.files: write {frame} without a colon")
    return pattern


def _depth(table: Table) -> Depth:
    pattern = _pattern(table, IMAGES, None, frame=True)
    rgb = table.numbers("rgb", (), count=3)
    if rgb and (pattern.suffix != ".png" or not any(rgb) or not all(0 <= w <= 65536 for w in rgb)):
        table.fail("rgb", "has the weights (0 to 65536) of red, green and blue in an 8-bit PNG, as in [0, 256, 1]")
    out = Depth(
        files=pattern,
        unit=table.number("unit", 1.0, above=0, high=1e6),
        none=table.numbers("none", ()),
        farthest=table.number("farthest", math.inf, above=0, high=1e5),
        rgb=rgb,
        array=_array(table, pattern),
    )
    table.close()
    return out


def _array(table: Table, pattern: Pattern) -> str:
    name = table.text("array", "")
    if name and pattern.suffix not in (".npz", ".json"):
        table.fail("array", f"names an array of an .npz or .json file, and files are {pattern.suffix}")
    return name


def _axes(table: Table) -> Axes:
    names = table.texts("axes", Axes.names)
    if sorted(_DIRECTIONS.get(n, (9, 0))[0] for n in names) != [0, 1, 2]:
        table.fail("axes", f"must be right or left, down or up, forward or backward, in any order, not {list(names)}")
    return Axes((names[0], names[1], names[2]), table.number("unit", 1.0, above=0, high=1e6))


def _joints(table: Table, known: frozenset[str], count: int) -> Joints:
    pattern = _pattern(table, LABELS, known, frame=False)
    kind: Any = table.text("kind", "xyz", choices=("xyz", "uvd"))
    if kind == "uvd" and "axes" in table:
        table.fail("axes", "is for xyz: u is a column, v a row, d a depth")
    rows: Any = table.text("rows", "number", choices=("number", "order", "name"))
    if "frame" in pattern.names and ("rows" in table or "first" in table):
        table.fail("rows", "and first are for files of many frames, and files have {frame}")
    if rows == "name" and pattern.suffix in (".npy", ".npz"):
        table.fail("rows", f"cannot be 'name': {pattern.suffix} holds numbers only")
    if rows != "number" and "first" in table:
        table.fail("first", "is the number of the first row's frame, for rows = 'number'")
    if "skip" in table and pattern.suffix not in (".txt", ".csv"):
        table.fail("skip", f"counts lines to leave out, and files are {pattern.suffix}")
    order = table.wholes("order", (), low=0, high=999)
    if order and (len(order) != count or len(set(order)) != count):
        table.fail("order", f"must be the {count} different places of the skeleton's joints in the file")
    out = Joints(
        files=pattern,
        kind=kind,
        axes=_axes(table),
        rows=rows,
        first=table.whole("first", 0, low=0, high=10**9),
        skip=table.whole("skip", 0, low=0, high=1000),
        array=_array(table, pattern),
        order=order,
    )
    table.close()
    return out


def _segmentation(table: Table, known: frozenset[str]) -> Segmentation:
    pattern = _pattern(table, (".png", ".npy", ".npz"), known, frame=True)
    labels = table.texts("labels")
    if len(labels) > 256:
        table.fail("labels", f"are at most 256, not {len(labels)}")
    out = Segmentation(pattern, labels, _array(table, pattern))
    table.close()
    return out


def _mesh(table: Table, known: frozenset[str]) -> MeshFiles:
    pattern = _pattern(table, (".npy", ".npz"), known, frame=True)
    faces = table.text("faces", "")
    if faces:
        parse_pattern(faces, f"{table.file}: {table.name}.faces")
        if "{" in faces or not faces.endswith(".npy"):
            table.fail("faces", f"must be one .npy for all frames, not {faces!r}")
    out = MeshFiles(pattern, _axes(table), faces, _array(table, pattern))
    table.close()
    return out


def _splits(table: Table | None, known: frozenset[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    out: dict[str, dict[str, tuple[str, ...]]] = {}
    if table is None:
        return out
    for split in ("train", "test"):
        part = table.table(split)
        if part is None:
            continue
        allowed = [k for k in ("split", "subject", "sequence") if k in known]
        out[split] = {k: part.texts(k) for k in allowed if k in part}
        part.allow(*allowed)
        part.close()
        if not out[split]:
            by = ", ".join(allowed) or "what depth.files has not"
            table.fail(split, f"selects by {by}: as in {{ subject = ['A'] }}")
    table.close()
    return out
