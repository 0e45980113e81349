"""Frames and joints of one's own: any tree of depth files that a `dataset.toml` at its root describes.

What the file may say is in docs/folder.md; `description.py` reads it. Here the tree is walked once, labels are
put to their frames, and frames are read one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.datasets.base import Check, DatasetInfo, Index, Split, Window
from gmaps.datasets.folder.check_tree import check_folder
from gmaps.datasets.folder.description import FILE, read_description
from gmaps.datasets.folder.frame_labels import parse_labels
from gmaps.datasets.folder.frame_table import FrameTable, in_split, read_table
from gmaps.datasets.folder.images import largest_file, parse_depth, parse_labels_image
from gmaps.datasets.folder.patterns import Pattern, Values
from gmaps.datasets.label_axes import judge_labels
from gmaps.datasets.reader import Pixels, Reader, check_joints, cube_window, cut_camera, digest, read_bytes
from gmaps.errors import DatasetError, FrameError, GmapsError, UsageError, unknown_name
from gmaps.formats import npy
from gmaps.frame import Frame

__all__ = ["INFO", "Folder", "check", "load"]

#: Bytes of one frame's joints or mesh.
_LARGEST_FRAME_LABELS = 2**27

INFO = DatasetInfo(
    name="folder",
    title="Frames and joints of your own, described by a dataset.toml",
    homepage="none: the files are yours",
    terms="Those that dataset.toml states.",
    tree=f"ROOT/{FILE}, and whatever tree of depth and joint files it describes: 16-bit PNG, TIFF, .npy or .npz; "
    "joints as .npy, .npz, .txt, .csv or .json. docs/folder.md has a complete example; `gmaps synth OUT --layout "
    "folder` writes one.",
    citation="That of dataset.toml.",
    skeleton="that of dataset.toml",
    notes="`gmaps datasets folder --overlay 0 --root ROOT --save P.png` shows at once whether units and axes are "
    "right. Without [joints], frames are built with --center com and maps of depth alone.",
    options={
        "cut": "labels of the segmentation, comma-separated, whose pixels become no data: cut=forearm",
        "mask": "labels of the segmentation that are hand, where the rest of the scene stays: mask=palm,thumb",
    },
)


class Folder(Reader):
    """The reader; see `INFO` and the module's docstring.

    Parameters
    ----------
    root
        The directory with the `dataset.toml`.
    split
        "train", "test" or "all".
    cut
        Labels of the segmentation whose pixels become 0.
    mask
        Labels of the segmentation that are hand: frames then have a `mask`.
    info
        Of the data set that it is registered as.
    """

    #: Somebody says what its files mean, who may be wrong.
    described = True

    def __init__(self, root: Path, split: Split, cut: str = "", info: DatasetInfo = INFO, mask: str = "") -> None:
        super().__init__(root, split, {k: v for k, v in (("cut", cut), ("mask", mask)) if v})
        self.path = root.absolute()
        self.note_labels(self.path / FILE)
        self.description = said = read_description(self.path)
        self.skeleton, self.camera = said.skeleton, said.camera
        self.labelled = said.joints is not None
        self.size = said.camera.width, said.camera.height
        self.info = replace(
            info,
            title=said.title or info.title, homepage=said.homepage or info.homepage, terms=said.terms or info.terms,
            citation=said.citation or info.citation, skeleton=said.skeleton.name,
            half_side=said.half_side, depth_range=said.depth_range,
        )  # fmt: skip
        self.cut, self.hand = self._labels_of(cut, "cut off", "cut"), self._labels_of(mask, "told apart", "mask")
        self.segmented = bool(self.hand)

    def _labels_of(self, given: str, what: str, option: str) -> tuple[int, ...]:
        names = [n.strip() for n in given.split(",") if n.strip()]
        if names and self.description.segmentation is None:
            raise UsageError(
                f"{self.path / FILE} has no [segmentation], so nothing can be {what}: leave {option}={given} away"
            )
        labels = () if self.description.segmentation is None else self.description.segmentation.labels
        for name in names:
            if name not in labels:
                raise unknown_name("label of the segmentation", name, labels)
        return tuple(labels.index(n) for n in names)

    @cached_property
    def _table(self) -> FrameTable:
        return read_table(self.path, self.description, self.note_labels)

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        """Rows of the table that the split has."""
        frames = self._table.frames
        if self.split == "all":
            return np.arange(len(frames))
        rows = np.flatnonzero(in_split(frames, self.split, self.description, self.path))
        if not len(rows):
            raise DatasetError(f"{self.path}: no frame of the {len(frames)} here is in split {self.split}")
        return rows

    def _make_index(self) -> Index:
        rows, frames = self._rows, self._table.frames
        # Where there are no sequences, train and test are: a store then tells them apart.
        second = 2 if "sequence" in self.description.depth.files.names else 0
        codes = frames.codes[rows]
        subjects, sequences = (tuple(n or "all" for n in frames.names[k]) for k in (1, second))
        said = self.description
        if not said.cameras:
            return Index(rows, codes[:, 1], codes[:, second], subjects, sequences)
        at, names = (codes[:, 1], subjects) if said.cameras_by == "subject" else (codes[:, second], sequences)
        return Index(rows, codes[:, 1], codes[:, second], subjects, sequences, at, names)

    def camera_of(self, i: int) -> Camera:
        """The camera of the whole image at position i."""
        values = self._values(i)
        return self.description.camera_of(values[1], values[2])

    def _values(self, i: int) -> Values:
        return self._table.frames.values(int(self._rows[self.position(i)]))

    def depth_name(self, i: int) -> str:
        """The depth file of the frame at position i, below the root."""
        return self.description.depth.files.path(self._values(i))

    def read(self, i: int, window: Window | None = None) -> Frame:
        """Frame at position i; see `DataSet.read`. Joints are NaN where the description has none."""
        row, values, said = int(self._rows[self.position(i)]), self._values(i), self.description
        name = said.depth.files.path(values)
        joints = self._joints(row, values)
        if said.joints is not None:
            check_joints(joints, name)
        own = said.camera_of(values[1], values[2])
        pixels = cube_window(own, joints, window)
        depth = parse_depth(self._bytes(said.depth.files, values), name, said.depth, self.size, pixels)
        masked = self.segmented and (window is None or window.mask)
        mask = None
        if self.cut or masked:
            parts = self._segmentation(values, pixels)
            depth[np.isin(parts, self.cut)] = 0
            mask = np.isin(parts, self.hand) if masked else None
        index, camera = self._index, cut_camera(own, pixels)
        return Frame(depth, camera, joints, row, int(index.subject[i]), int(index.sequence[i]), name, mask=mask)

    def _bytes(self, files: Pattern, values: Values, limit: int = 0) -> bytes:
        name = files.path(values)
        return read_bytes(self.path / name, name, limit or largest_file(self.size))

    def _joints(self, row: int, values: Values) -> NDArray[np.float32]:
        said, table = self.description.joints, self._table
        if said is None:
            return np.full((len(self.skeleton), 3), np.nan, np.float32)
        if table.joints is None:
            data = self._bytes(said.files, values, _LARGEST_FRAME_LABELS)
            labels = parse_labels(data, said.files.path(values), said, len(self.skeleton), self.camera)
            own: NDArray[np.float32] = labels.joints[0]
            return own
        if row in table.faults:
            raise FrameError(f"{table.faults[row]}; correct the labels")
        result: NDArray[np.float32] = table.joints[row]
        return result

    def segmentation(self, i: int) -> NDArray[np.uint8]:
        """(H, W) uint8 of the frame at position i: places in `description.segmentation.labels`.

        Raises
        ------
        UsageError
            The description has no [segmentation].
        FrameError
            The file cannot be used.
        """
        return self._segmentation(self._values(i), None)

    def _segmentation(self, values: Values, pixels: Pixels | None) -> NDArray[np.uint8]:
        kind = self.description.segmentation
        if kind is None:
            raise UsageError(f"{self.path / FILE} has no [segmentation]")
        return parse_labels_image(self._bytes(kind.files, values), kind.files.path(values), kind, self.size, pixels)

    def vertices(self, i: int) -> NDArray[np.float32]:
        """(V, 3) float32 mm, camera axes: the mesh of the frame at position i.

        Raises
        ------
        UsageError
            The description has no [mesh].
        FrameError
            The file cannot be used.
        """
        mesh, values = self.description.mesh, self._values(i)
        if mesh is None:
            raise UsageError(f"{self.path / FILE} has no [mesh]")
        name = mesh.files.path(values)
        data = self._bytes(mesh.files, values, _LARGEST_FRAME_LABELS)
        found = npy.parse_npy(data, name) if mesh.files.suffix == ".npy" else npy.parse_npz(data, name, mesh.array)
        if found.ndim != 2 or found.shape[1] != 3:
            raise FrameError(f"{name}: an array of shape {found.shape}, where vertices are (V, 3)")
        with np.errstate(all="ignore"):
            points = mesh.axes.to_camera(found).astype(np.float32)
        if not np.isfinite(points).all():
            raise FrameError(f"{name}: a vertex is not a number; restore it")
        return points

    @property
    def faces(self) -> NDArray[np.int32]:
        """(T, 3) int32, the triangles of all frames' meshes.

        Raises
        ------
        UsageError
            The description has no mesh.faces.
        DatasetError
            The file cannot be used.
        """
        mesh = self.description.mesh
        if mesh is None or not mesh.faces:
            raise UsageError(f"{self.path / FILE} has no mesh.faces")
        try:
            found = npy.parse_npy(read_bytes(self.path / mesh.faces, mesh.faces, _LARGEST_FRAME_LABELS), mesh.faces)
        except FrameError as error:
            raise DatasetError(str(error)) from error
        if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "iu" or not found.min(initial=0) >= 0:
            raise DatasetError(f"{mesh.faces}: {found.dtype} {found.shape}, where triangles are whole numbers (T, 3)")
        return found.astype(np.int32)

    def fingerprint(self) -> dict[str, Any]:
        """See `DataSet.fingerprint`. Reads the labels of all frames, where each has a file of its own."""
        said = asdict(self.description)
        decides = {k: said[k] for k in ("camera", "depth", "joints", "skeleton", "segmentation")}
        decides |= {"cameras": said["cameras"], "by": said["cameras_by"]} if said["cameras"] else {}
        decides["segmentation"] = decides["segmentation"] if self.cut or self.hand else None
        return {
            "dataset": self.info.name, "split": self.split, "frames": len(self), **self.options,
            "description": digest(np.frombuffer(repr(_plain(decides)).encode(), np.uint8)),
            "labels": self._labels_digest,
        }  # fmt: skip

    def frame_files(self, i: int) -> tuple[str, ...]:
        """See `Reader.frame_files`."""
        files = [self.description.depth.files]
        if (self.cut or self.hand) and self.description.segmentation is not None:
            files.append(self.description.segmentation.files)
        values = self._values(i)
        return tuple(f"{self.path}/{f.path(values)}" for f in files)

    def _own_labels(self, rows: Sequence[int]) -> list[str]:
        if self.description.joints is None or self._table.joints is not None:
            return []
        return [f"{self.path}/{self.description.joints.files.path(self._values(i))}" for i in rows]

    @cached_property
    def _labels_digest(self) -> str:
        table, rows = self._table, self._rows
        names = np.frombuffer("\n".join("/".join(table.frames.values(r)) for r in rows.tolist()).encode(), np.uint8)
        joints = self.description.joints
        if joints is None:
            return digest(names)
        if table.joints is not None:
            return digest(names, table.joints[rows])

        def one(row: int) -> str:
            values = table.frames.values(row)
            self.note_labels(self.path / joints.files.path(values), own=True)
            try:
                return digest(self._joints(row, values))
            except FrameError:  # the frame will be rejected
                return ""

        with ThreadPoolExecutor(8) as pool:  # small files, of which a disk serves several at a time
            all_of_them = "".join(pool.map(one, rows.tolist(), chunksize=256))
        return digest(names, np.frombuffer(all_of_them.encode(), np.uint8))


def check(root: Path) -> list[Check]:
    """Every file's header and size; and, of some frames, whether joints lie where the depth shows a hand."""
    checks = check_folder(root)
    try:
        verdict = judge_labels(Folder(Path(root), "all"))
    except GmapsError:  # said by a line of its own
        verdict = None
    if verdict is not None:
        problem = ""
        if verdict.reading is not None:
            share = f"{100 * verdict.better:.0f} %"
            problem = f"as {verdict.reading.describe()}, {share} would: are joints.kind, axes and unit right?"
        checks.insert(len(checks) - 1, Check("joints in the hand", f"{100 * verdict.share:.0f} %", None, problem))
    return checks


def _plain(value: Any) -> Any:
    """With dictionaries in order and sets as lists, so that equal descriptions print alike."""
    if isinstance(value, dict):
        return {k: _plain(value[k]) for k in sorted(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def load(root: Path, *, split: Split = "all", cut: str = "", mask: str = "") -> Folder:
    """A reader; called by `gmaps.load_dataset`."""
    return Folder(Path(root), split, str(cut), mask=str(mask))
