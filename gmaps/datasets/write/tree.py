"""Write a tree of synthetic frames with many processes: the same bytes whatever their number, and resumable.

All grows in `OUT.partial`, which becomes OUT when it is complete. Blocks of frames that are done leave their joints
in `OUT.partial/.synth`; the same call again goes on from there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.write.layouts import Item, Made, get_layout, make_items, make_sequences
from gmaps.errors import FrameError, GmapsError, UsageError
from gmaps.formats.npy import parse_npy
from gmaps.formats.regular import read_regular
from gmaps.shared_memory import check_shared_memory
from gmaps.synth.motion import draw_angles, make_moving_hand
from gmaps.synth.render import render_mesh
from gmaps.synth.sensor import get_sensor
from gmaps.synth.stage import make_hand

#: Raise when the same request starts to give other bytes: half-written trees of an older release are not finished.
RELEASE = 2
_BLOCK = 100
_NOTES, _REQUEST = ".synth", "request.json"
#: First word of a seed; others are in `gmaps.synth`.
_POSES = 5


@dataclass(frozen=True)
class TreeReport:
    """What `write_tree` did.

    Parameters
    ----------
    path
        The tree.
    frames
        In all.
    resumed
        Those that an earlier, interrupted call had written.
    """

    path: str
    frames: int
    resumed: int


def write_tree(
    out: str | os.PathLike[str],
    layout: str,
    frames: int,
    *,
    seed: int = 0,
    sensor: str | None = None,
    poses: NDArray[np.float64] | None = None,
    sequences: bool = False,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> TreeReport:
    """Write synthetic frames as a data set's own files.

    Parameters
    ----------
    out
        The directory to be made; it must not exist, or be empty.
    layout
        "msra", "nyu", "folder" or "synhand".
    frames
        How many.
    seed
        Which ones: the same seed gives the same bytes, whatever the number of workers.
    sensor
        "none", "structured" or "tof"; by default the one that the real set's camera resembles.
    poses : (P, 23), optional
        Angles of real hands, degrees, which are shown in the place of the families': see `read_poses`.
    sequences
        A person's frames in a folder follow each other smoothly, see `gmaps.synth.motion`.
    workers
        Processes; up to 1 works in this one.
    progress
        Called with the number of frames newly done, those of an earlier call first.

    Raises
    ------
    UsageError
        An `out` that is not empty, a number out of range, an unfinished tree of another request.
    GmapsError
        The disk or a worker failed; the message says how to go on.
    """
    path = Path(out)
    kind = sensor or get_layout(layout).sensor
    get_sensor(kind)  # an unknown name is told before anything is made
    if not 0 <= seed < 2**32:
        raise UsageError(f"a seed is a whole number from 0 to 2**32 - 1, not {seed}")
    items = make_items(layout, frames)
    partial = path.with_name(path.name + ".partial")
    request: dict[str, Any] = {"release": RELEASE, "layout": layout, "frames": frames, "seed": seed, "sensor": kind}
    if poses is not None:
        request["poses"] = hashlib.sha256(np.ascontiguousarray(poses, np.float64).tobytes()).hexdigest()[:16]
    if sequences:
        request["sequences"] = True
        items = make_sequences(items)
    try:
        if _finished(path, request):
            _forget_notes(path)
            return TreeReport(str(path), frames, frames)
        if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
            raise UsageError(f"{path} is there already and not empty: name a directory that is not, or remove it")
        with _hold(partial, request):
            resumed = _fill(partial, request, items, poses, workers, progress or (lambda count: None))
            joints = np.concatenate([_joints(partial, start, frames) for start in range(0, frames, _BLOCK)])
            get_layout(layout).finish(partial, items, joints)
            os.replace(partial, path)
            _forget_notes(path)
    except OSError as error:
        raise GmapsError(
            f"{error.filename or partial}: {error.strerror or error}; see to it and run the same again to go on"
        ) from error
    return TreeReport(str(path), frames, resumed)


def _finished(path: Path, request: dict[str, Any]) -> bool:
    """Whether a call of this request was stopped at its very last step, which is made up for."""
    try:
        return bool(json.loads(read_regular(path / _NOTES / _REQUEST)) == request)
    except (OSError, ValueError):
        return False


def _forget_notes(path: Path) -> None:
    """Remove what a finished tree needs no more; what tells whose it is goes last."""
    names = [name for name in os.listdir(path / _NOTES) if name != _REQUEST]
    for name in [*names, _REQUEST]:
        (path / _NOTES / name).unlink()
    (path / _NOTES).rmdir()


@contextmanager
def _hold(partial: Path, request: dict[str, Any]) -> Iterator[None]:
    """The unfinished tree, for this process alone, and of this request."""
    notes = partial / _NOTES
    notes.mkdir(parents=True, exist_ok=True)
    # A link would have us write elsewhere, and a pipe wait for ever.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(notes / "lock", flags, 0o644), "r+b", buffering=0) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{partial} is being written by another process: wait for it, or name another") from None
        said = notes / _REQUEST
        if not said.exists():
            if any(p.name != _NOTES for p in partial.iterdir()):
                raise UsageError(f"{partial} holds files that gmaps did not write: move it away")
            said.with_suffix(".new").write_text(json.dumps(request))
            said.with_suffix(".new").replace(said)
        try:
            earlier = json.loads(read_regular(said))
            if not isinstance(earlier, dict):
                raise ValueError("no object")
        except ValueError as error:
            raise UsageError(f"{said} is damaged ({error}): remove {partial}, and begin anew") from None
        other = [f"{k}={earlier.get(k)!r}" for k in request if earlier.get(k) != request[k]]
        if other:
            raise UsageError(
                f"{partial} is an unfinished tree of {', '.join(other)}: ask for that to finish it, or remove it"
            )
        yield


def _note(partial: Path, start: int) -> Path:
    return partial / _NOTES / f"{start:09d}.npy"


def _joints(partial: Path, start: int, frames: int) -> NDArray[np.float32]:
    """What a block left; one that is damaged is made again by the next call."""
    note, count = _note(partial, start), min(_BLOCK, frames - start)
    try:
        found = parse_npy(read_regular(note), str(note))
        if found.shape != (count, 21, 3):
            raise FrameError(f"{note}: {found.shape}")
    except FrameError as error:
        note.unlink()
        raise GmapsError(f"{error}: run the same again, which makes its frames anew") from None
    joints: NDArray[np.float32] = found
    return joints


def _fill(
    partial: Path, request: dict[str, Any], items: list[Item], poses: NDArray[np.float64] | None, workers: int,
    progress: Callable[[int], None],
) -> int:  # fmt: skip
    """Write all frames that are not there; returns how many were."""
    layout = get_layout(request["layout"])
    for folder in dict.fromkeys(item.folder for item in items):
        for part in layout.folders or (".",):
            (partial / folder / part).mkdir(parents=True, exist_ok=True)
    blocks = {start: min(_BLOCK, len(items) - start) for start in range(0, len(items), _BLOCK)}
    todo = {start: count for start, count in blocks.items() if not _note(partial, start).exists()}
    resumed = len(items) - sum(todo.values())
    if resumed:
        progress(resumed)
    tasks = [(partial, request, start, items[start : start + count], poses) for start, count in todo.items()]
    if workers <= 1 or len(tasks) <= 1:
        for task in tasks:
            for _ in _write_frames(*task):
                progress(1)
        return resumed
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imported once, not by every worker
    check_shared_memory(min(workers, len(tasks)))
    with ProcessPoolExecutor(min(workers, len(tasks)), context) as pool:
        futures = {pool.submit(_write_block, *task): len(task[3]) for task in tasks}
        try:
            for future in as_completed(futures):
                future.result()
                progress(futures[future])
        except BrokenProcessPool:
            raise GmapsError(
                f"{partial}: a worker died; it may have run out of memory. Run the same with fewer workers to go on"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return resumed


def _write_block(
    partial: Path, request: dict[str, Any], start: int, items: list[Item], poses: NDArray[np.float64] | None
) -> None:
    for _ in _write_frames(partial, request, start, items, poses):
        pass


def _write_frames(
    partial: Path, request: dict[str, Any], start: int, items: list[Item], poses: NDArray[np.float64] | None
) -> Iterator[None]:
    """Write frames `start` and on, yielding after each; when all are there, their joints say so."""
    layout = get_layout(request["layout"])
    joints = np.empty((len(items), 21, 3), np.float32)
    for k, item in enumerate(items):
        made = make_frame(
            request["layout"], request["seed"], start + k, item, request["sensor"], poses,
            bool(request.get("sequences")),
        )  # fmt: skip
        layout.write(partial / item.folder, item, made)
        joints[k] = made.joints
        yield
    note = _note(partial, start)
    np.save(note.with_suffix(".new.npy"), joints)
    note.with_suffix(".new.npy").replace(note)


def make_frame(
    layout: str, seed: int, number: int, item: Item, sensor: str, poses: NDArray[np.float64] | None = None,
    sequences: bool = False,
) -> Made:  # fmt: skip
    """Frame `number` of a tree, before it becomes files; see `write_tree`."""
    stage = get_layout(layout).stage
    if sequences:
        step = item.number - item.first
        scene = make_moving_hand(seed, number - step, step, item.subject, stage, poses)
    else:
        wanted = None if poses is None else draw_angles(poses, np.random.default_rng([_POSES, seed, number]))
        scene = make_hand(seed, number, item.subject, item.family, stage, wanted)
    vertices = scene.vertices()
    image = render_mesh(vertices, stage.camera)
    faults = get_sensor(sensor)
    depth: NDArray[np.float32] = image.depth
    if faults is not None:
        depth = faults.apply(depth, stage.camera, scene.rng)
    return Made(depth, image.parts, scene.joints.astype(np.float32), vertices)
