"""Hands fitted to the joints of a file or of a store: angles, bones, and a mesh for each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.pose_file import Side, read_joints, right_hands, to_right
from gmaps.errors import DatasetError, UsageError
from gmaps.formats.outputs import Ours, check_place, holds, holds_arrays, replacing
from gmaps.formats.ply import MESH, write_ply
from gmaps.skeleton import get_skeleton
from gmaps.store import Store, open_store
from gmaps.synth.fit_many import FittedHands, fit_hands
from gmaps.synth.skin import hand_mesh

_BLOCK = 256
#: Arrays of a file of fitted hands, beside `joints`, `valid` and `side`.
FITTED = FittedHands._fields
OURS = holds_arrays(*FITTED, "valid", "side")


class Fitted(NamedTuple):
    """What `fit_source` did.

    Parameters
    ----------
    rows, fitted
        Hands in all, and those with joints.
    seconds
        That it took.
    mean_mm, median_mm, percentile_95_mm
        Of the hands' mean distances of 21 joints from the labels.
    """

    rows: int
    fitted: int
    seconds: float
    mean_mm: float
    median_mm: float
    percentile_95_mm: float


def fit_source(
    source: str | os.PathLike[str], out: str | os.PathLike[str], *, vertices: str | os.PathLike[str] | None = None,
    ply: str | os.PathLike[str] | None = None, row: int = 0, skeleton: str = "msra21", unit: str = "mm",
    side: Side = "right", threads: int | None = None,
) -> Fitted:  # fmt: skip
    """Fit the hand to all joints of a source.

    Parameters
    ----------
    source
        A store, or a file of joints: see `gmaps.datasets.pose_file.read_joints`.
    out
        An .npz: the arrays of `gmaps.synth.fit_many.FittedHands`, `joints` (N, 21, 3) of the fitted hands in the
        order of msra21, mm, in the source's axes, and `valid` (N,). Angles, bones and `turn` are of right hands;
        where `side` is "left", of their mirror images.
    vertices
        An .npy, (N, V, 3) float32: each hand's mesh, mm, in the source's axes.
    ply
        A mesh of hand `row`.
    skeleton, unit, side
        Of a file's joints; a store has a skeleton of its own, and mm.
    threads
        By default one a core.

    Raises
    ------
    UsageError, DatasetError
        A source without joints that can be fitted.
    OutputError
        A file cannot be written, or something is there that is not its like.
    """
    begun = time.perf_counter()
    check_places(source, out, vertices, ply)
    joints = _joints(source, skeleton, unit, side)
    valid: Any = np.isfinite(joints).all(axis=(1, 2))
    if not valid.any():
        raise DatasetError(f"{source}: none of its {len(joints)} rows has joints")
    if ply is not None and not (row < len(valid) and valid[row]):
        raise UsageError(f"row {row} of {source} has no joints; it has {len(valid)} rows, {valid.sum()} with joints")
    found = fit_hands(joints[valid], threads=threads)
    mirror = to_right(side)
    arrays: dict[str, Any] = {name: _spread(part, valid) for name, part in zip(FITTED, found, strict=True)}
    arrays["joints"] = _spread(found.pose().joints * mirror, valid)
    arrays = {k: a.astype(np.float32) for k, a in arrays.items()}
    with replacing(out, OURS, [source]) as new, open(new, "wb") as file:
        np.savez_compressed(file, valid=valid, side=np.array(side), **arrays)
    write_meshes(lambda part: found.rows(part).vertices(), valid, source, vertices, ply, row, side)
    errors = found.error_mm
    return Fitted(len(joints), len(errors), time.perf_counter() - begun, float(errors.mean()),
                  float(np.median(errors)), float(np.percentile(errors, 95)))  # fmt: skip


def check_places(
    source: str | os.PathLike[str], out: str | os.PathLike[str] | None, vertices: str | os.PathLike[str] | None,
    ply: str | os.PathLike[str] | None,
) -> None:  # fmt: skip
    """See that all files can be written: before the work, not after it.

    Raises
    ------
    OutputError
        See `gmaps.formats.outputs.check_place`.
    """
    for place, ours in ((out, OURS), (vertices, _meshes()), (ply, MESH)):
        if place is not None:
            check_place(place, ours, [source])


def _meshes() -> Ours:
    """Files of meshes, by their shape."""
    return holds(f", {len(hand_mesh().vertices)}, 3)".encode())


def _joints(source: str | os.PathLike[str], skeleton: str, unit: str, side: Side) -> NDArray[np.float64]:
    if Path(source).is_file():
        return right_hands(read_joints(source), skeleton=skeleton, unit=unit, side=side)
    store = open_store(os.fspath(source))
    joints = np.asarray(store.column("joints"), np.float64)
    joints[~np.asarray(store.column("valid"), bool)] = np.nan
    order = joint_order(store)
    own = joints[:, list(order)]
    found: NDArray[np.float64] = own * to_right(side)
    return found


def joint_order(store: Store) -> tuple[int, ...]:
    """Where a store holds the joints of msra21.

    Raises
    ------
    UsageError
        It does not hold them all; the message says what fits such hands.
    """
    try:
        return store.skeleton.mapping_to(get_skeleton("msra21"))
    except UsageError as error:
        why = str(error).partition(". They share")[0]
        raise UsageError(
            f"{store.path}: {why}; `gmaps fit {store.path} --depth --start network` needs no joints of the store"
        ) from None


def _spread(part: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values of the valid rows in their places, NaN elsewhere."""
    whole = np.full((len(valid), *part.shape[1:]), np.nan)
    whole[valid] = part
    return whole


def write_meshes(
    meshes: Callable[[slice], NDArray[np.floating]], valid: NDArray[np.bool_], source: str | os.PathLike[str],
    vertices: str | os.PathLike[str] | None, ply: str | os.PathLike[str] | None, row: int, side: Side,
) -> None:  # fmt: skip
    """Write fitted hands as an array of meshes, one of them as a mesh for a viewer, or neither.

    Parameters
    ----------
    meshes
        Of some of the valid rows, counted among them: (n, V, 3), mm, right hands.
    valid : (N,)
        Rows with a hand.
    source, vertices, ply, row, side
        See `fit_source`.
    """
    mirror = to_right(side)
    if vertices is not None:
        _write_vertices(vertices, source, meshes, valid, mirror)
    if ply is not None:
        at = int(valid[:row].sum())
        faces = hand_mesh().triangles[:, ::-1] if side == "left" else hand_mesh().triangles
        write_ply(ply, meshes(slice(at, at + 1))[0] * mirror, faces, [source])


def _write_vertices(
    path: str | os.PathLike[str], source: str | os.PathLike[str], meshes: Callable[[slice], NDArray[np.floating]],
    valid: NDArray[np.bool_], mirror: NDArray[np.float32],
) -> None:  # fmt: skip
    """Written, not mapped: where the disk is full, a mapping ends the process."""
    shape = (len(valid), len(hand_mesh().vertices), 3)
    before = np.concatenate([[0], np.cumsum(valid)])  # found hands before each row
    with replacing(path, _meshes(), [source]) as new, open(new, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for at in range(0, len(valid), _BLOCK):
            rows = valid[at : at + _BLOCK]
            block = np.full((len(rows), *shape[1:]), np.nan, "<f4")
            part = slice(int(before[at]), int(before[at + len(rows)]))
            if rows.any():
                block[rows] = meshes(part) * mirror
            file.write(block.tobytes())
