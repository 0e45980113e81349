"""`gmaps datasets folder --check ROOT`: counts, sizes and headers of all that a `dataset.toml` describes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.base import Check
from gmaps.datasets.folder.description import FILE, Description, Joints, MeshFiles, Segmentation, read_description
from gmaps.datasets.folder.find_files import Frames, find_frames
from gmaps.datasets.folder.frame_table import in_split, label_files, read_shared
from gmaps.datasets.folder.images import check_image
from gmaps.datasets.folder.match_rows import match_labels
from gmaps.datasets.folder.patterns import Pattern
from gmaps.datasets.reader import open_at_once
from gmaps.errors import DatasetError, FrameError
from gmaps.formats import npy

#: (open file, its size, its name): raises FrameError where the header is not what it must be.
_Look = Callable[[BinaryIO, int, str], None]


def check_folder(root: Path) -> list[Check]:
    """Every file's header and size, frames beside labels, and whether joints are where the depths are.

    Parameters
    ----------
    root
        The directory with the `dataset.toml`.

    Returns
    -------
    list of Check
        The description; frames, joints, segmentation and mesh of each part of the tree; splits; all frames.
    """
    root = Path(root)
    try:
        said = read_description(root)
    except DatasetError as error:
        return [Check(FILE, "unreadable", None, str(error))]
    frames = find_frames(root, said.depth.files)
    checks = [Check(FILE, f"{len(said.skeleton)} joints", f"skeleton {said.skeleton.name}")]
    kinds, which = np.unique(frames.codes, axis=0, return_inverse=True)
    for k, code in enumerate(kinds):
        part = "/".join(n[c] for n, c in zip(frames.names, code, strict=True) if n[c]) or "depth"
        rows = np.flatnonzero(which.ravel() == k)
        checks.append(_count(root, frames, rows, said.depth.files, part, _depth_look(said)))
        for what, files, look in _companions(said):
            checks.append(_count(root, frames, rows, files, f"{part} {what}", look, expected=len(rows)))
    for what, files, _ in _companions(said):
        known = {files.path(frames.values(r)) for r in range(len(frames))}
        checks += _strangers(root, known, files, what)
    if said.joints is not None and said.joints.shared:
        checks += _shared_labels(root, frames, said, said.joints)
        checks += _strangers(root, set(label_files(frames, said.joints)), said.joints.files, "joints")
    if said.mesh is not None and said.mesh.faces:
        checks.append(_one_file(root, said.mesh.faces))
    checks += _splits(root, frames, said)
    problem = ""
    if not len(frames):
        problem = f"no file matches {said.depth.files.text!r}, depth.files of {FILE}"
    elif said.frames is not None and said.frames != len(frames):
        problem = f"{FILE} says {said.frames} frames: incomplete, or another release"
    return [*checks, Check("frames", len(frames), said.frames, problem)]


def _depth_look(said: Description) -> _Look:
    size = (said.camera.width, said.camera.height)
    return lambda file, length, name: check_image(file, length, name, said.depth, size)


def _companions(said: Description) -> list[tuple[str, Pattern, _Look]]:
    """What each frame has beside its depth, in a file of its own."""
    out: list[tuple[str, Pattern, _Look]] = []
    joints, parts, mesh, size = said.joints, said.segmentation, said.mesh, (said.camera.width, said.camera.height)
    if joints is not None and not joints.shared:
        out.append(("joints", joints.files, lambda f, n, name: _look_joints(f, n, name, joints, len(said.skeleton))))
    if parts is not None:
        out.append(("segmentation", parts.files, lambda f, n, name: check_image(f, n, name, parts, size)))
    if mesh is not None:
        out.append(("mesh", mesh.files, lambda f, n, name: _look_mesh(f, n, name, mesh)))
    return out


def _header(file: BinaryIO, size: int, name: str, kind: Joints | MeshFiles | Segmentation) -> npy.ArrayHeader:
    if kind.files.suffix == ".npz":
        return npy.read_npz_header(file, name, kind.array)
    header = npy.read_header(file, name)
    npy.check_size(header, size - file.tell(), name)
    return header


def _look_joints(file: BinaryIO, size: int, name: str, said: Joints, count: int) -> None:
    if said.files.suffix not in (".npy", ".npz"):
        if size == 0:
            raise FrameError(f"{name}: empty; restore it")
        return
    shape = _header(file, size, name, said).shape
    numbers = int(np.prod(shape, dtype=object))
    if numbers < 3 * (max(said.order) + 1) if said.order else numbers != 3 * count:
        raise FrameError(f"{name}: an array of shape {shape}, where {count} joints are ({count}, 3)")


def _look_mesh(file: BinaryIO, size: int, name: str, said: MeshFiles) -> None:
    shape = _header(file, size, name, said).shape
    if len(shape) != 2 or shape[1] != 3:
        raise FrameError(f"{name}: an array of shape {shape}, where vertices are (V, 3)")


def _look(root: Path, names: Iterable[str], look: _Look) -> tuple[int, list[str]]:
    """How many files are there, and what is wrong with which."""
    there, bad = 0, []
    for name in names:
        try:
            with open(root / name, "rb", buffering=0, opener=open_at_once) as file:
                size = os.fstat(file.fileno()).st_size
                there += 1
                look(file, size, name)
        except OSError as error:
            bad.append(f"{name}: {error.strerror or error}")
        except FrameError as error:
            bad.append(str(error))
    return there, bad


def _count(
    root: Path,
    frames: Frames,
    rows: NDArray[np.int64],
    files: Pattern,
    what: str,
    look: _Look,
    expected: int | None = None,
) -> Check:
    there, bad = _look(root, (files.path(frames.values(r)) for r in rows.tolist()), look)
    problem = f"{len(bad)} files are missing or broken, first: {bad[0]}" if bad else ""
    return Check(what, there, expected, problem)


def _strangers(root: Path, known: set[str], files: Pattern, what: str) -> list[Check]:
    """Files of frames that are not here: the tree is a part of another."""
    strange = sorted(p for v in files.walk(root) if (p := files.path(v)) not in known)
    if not strange:
        return []
    problem = f"of frames that are not here, first {strange[0]}: frames are missing"
    return [Check(f"{what} without frame", len(strange), 0, problem)]


def _shared_labels(root: Path, frames: Frames, said: Description, joints: Joints) -> list[Check]:
    checks, found = [], []
    for name, rows in label_files(frames, joints).items():
        problems, count = [], 0
        try:
            labels = read_shared(root, name, said)
            count = len(labels.joints)
            lines = match_labels(frames, rows, labels, said, joints, name)
            found.append(labels.joints[lines[lines >= 0]])
            if labels.faults:
                problems.append(f"{len(labels.faults)} bad rows, first: {min(labels.faults.items())[1]}")
            if (lines < 0).any():
                first = frames.text(int(rows[np.argmax(lines < 0)]))
                problems.append(f"{np.count_nonzero(lines < 0)} frames are not named in it, first {first!r}")
        except DatasetError as error:
            problems.append(str(error))
        checks.append(Check(name, count, len(rows), "; ".join(problems)))
    if found:
        known = np.concatenate(found)
        checks.append(_distance(known[..., 2], said))
        checks += [] if said.cameras else [_in_picture(known, said)]  # a file does not say which camera's frame it is
    return checks


def _distance(depths: NDArray[np.float32], said: Description) -> Check:
    """Whether joints are as far away as hands are to be: a wrong unit or sign shows here."""
    near, far = said.depth_range
    good = depths[np.isfinite(depths)]
    if not good.size:
        return Check("joints' distance", "none", f"{near:g} to {far:g} mm", "not one joint is a number")
    inside = np.count_nonzero((good >= near) & (good <= far)) / good.size
    low, high = np.percentile(good, [1, 99])
    problem = "" if inside > 0.5 else "are joints.unit, joints.axes, joints.kind and depth_range right?"
    return Check("joints' distance", f"{low:.0f} to {high:.0f} mm", f"{near:g} to {far:g} mm", problem)


def _in_picture(joints: NDArray[np.float32], said: Description) -> Check:
    """Whether frames show where their joints are: wrong axes, or another camera, show here."""
    cam, known = said.camera, np.isfinite(joints).all(axis=(1, 2)) & (joints[..., 2] > 0).all(axis=1)
    with np.errstate(all="ignore"):
        u, v, _ = np.moveaxis(cam.project(joints[known]), -1, 0)
    inside = ((u >= -0.5) & (u <= cam.width - 0.5) & (v >= -0.5) & (v <= cam.height - 0.5)).any(axis=1)
    outside = int(np.count_nonzero(~inside))
    problem = f"{outside} frames have all joints outside the picture: are joints.axes and camera right?"
    return Check("joints in the picture", int(np.count_nonzero(inside)), len(inside), problem if outside else "")


def _one_file(root: Path, name: str) -> Check:
    def look(file: BinaryIO, size: int, name: str) -> None:
        header = npy.read_header(file, name)
        npy.check_size(header, size - file.tell(), name)

    there, bad = _look(root, [name], look)
    return Check(name, there, 1, "; ".join(bad))


def _splits(root: Path, frames: Frames, said: Description) -> list[Check]:
    if not (len(frames) and (said.splits or "split" in said.depth.files.names)):
        return []
    checks = []
    for split in ("train", "test"):
        try:
            count = int(np.count_nonzero(in_split(frames, split, said, root)))
            checks.append(Check(f"split {split}", count, None, "" if count else "no frame is in it"))
        except DatasetError as error:
            checks.append(Check(f"split {split}", 0, None, str(error)))
    return checks
