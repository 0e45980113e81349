"""What runs in a worker: one shard, crop by crop.

A worker gets a `Job`, which is small and the same for all shards, a shard's number, and what remakes the source of
the crops, once a process, so that labels never travel.
"""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable, Container, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.base import Index
from gmaps.errors import FrameError, GmapsError
from gmaps.frame import Crop
from gmaps.maps import Encoder, MapParams, Maps
from gmaps.pipeline.ledger import ShardRecord
from gmaps.pipeline.source import CropSource, check_digest, sent_source
from gmaps.pipeline.suspects import try_rows
from gmaps.store.schema import ArraySpec
from gmaps.store.writer import ShardWriter

#: Held while frames are made: in a worker of a cluster of our own by one thread at a time.
_turn: AbstractContextManager[Any] = nullcontext()


@dataclass(frozen=True)
class Job:
    """All that a worker must know of a build, but for the source of its crops.

    Parameters
    ----------
    root
        Directory of the unfinished store, absolute.
    rows, shard_samples
        N, and rows in a shard.
    layout
        The arrays to write.
    maps
        The maps to make.
    source
        Digest of the source's fingerprint when the build was planned; empty where nobody says.
    suspects
        Rows of which one may end the process: they are made in children.
    note
        Told each row before it is made, where that is done in the process that builds.
    """

    root: str
    rows: int
    shard_samples: int
    layout: tuple[ArraySpec, ...]
    maps: MapParams
    source: str = ""
    suspects: Container[int] = ()
    note: Callable[[int], None] | None = None

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.rows // self.shard_samples)

    def shard_rows(self, shard: int) -> range:
        """Rows of a shard."""
        start = shard * self.shard_samples
        return range(start, min(start + self.shard_samples, self.rows))


def make_sample(source: CropSource, i: int, maps: MapParams) -> tuple[Crop, Maps]:
    """Crop i of a source and its maps. The one code path of builds and of verification, but for `OnHand`.

    Parameters
    ----------
    source
        Where the crop comes from.
    i
        Its position.
    maps
        How to make maps.

    Raises
    ------
    FrameError
        When this frame cannot be used.
    """
    crop = source.crop(i)
    return crop, Encoder(maps, source.skeleton).crop(crop)


def job_row(source: CropSource, maps: MapParams, i: int) -> tuple[Crop, dict[str, Any]]:
    """Crop i within a build, and what a `ShardWriter` gets.

    Other than from `make_sample`, maps that are 0 in the void come as `OnHand`, and an error that nobody foresaw says
    which frame it was. A frame that would end the process, as a script is ended, is one that cannot be used.

    Raises
    ------
    FrameError
        When this frame cannot be used.
    GmapsError
        For anything else.
    """
    try:
        crop = source.crop(i)
        return crop, _row(crop, *Encoder(maps, source.skeleton).hand(crop))
    except GmapsError:
        raise
    except (SystemExit, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt) and _heeds_interrupts():
            raise
        raise FrameError(f"{source.name} ends the process there: {error!r}") from error
    except Exception as error:
        index = source.index()
        raise GmapsError(
            f"row {i} ({frame_name(index, i)}, frame {index.frame[i]}) of {source.name} stopped the build: "
            f"{type(error).__name__}: {error}. Finished shards are kept; workers=0 shows where it broke"
        ) from error


def _heeds_interrupts() -> bool:
    """Whether Ctrl-C becomes a KeyboardInterrupt here: not in other threads, and not in our workers."""
    here = threading.current_thread() is threading.main_thread()
    return here and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def sample_row(crop: Crop, maps: Maps) -> dict[str, Any]:
    """A sample by the store's array names, before it is converted to the stored types."""
    return _row(crop, maps, maps.scale)


def _row(crop: Crop, maps: Mapping[str, Any], scale: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    own = {"depth": crop.depth, "joints": crop.joints_mm, "cube": crop.cube.to_array()}
    row: dict[str, Any] = {**crop.arrays, **own}  # of the first, the writer takes what the data set declares
    if crop.hand is not None:
        row["mask"] = crop.hand
    if crop.color is not None:
        row["color"] = crop.color
    row |= {f"maps/{kind}": values for kind, values in maps.items()}
    return row | {f"maps/{kind}_scale": values for kind, values in scale.items()}


def frame_name(index: Index, i: int) -> str:
    """Where a frame belongs, for people: subject and sequence."""
    return f"{index.subjects[index.subject[i]]}/{index.sequences[index.sequence[i]]}"


def build_shard(payload: str | bytes, job: Job, shard: int) -> ShardRecord:
    """Makes one shard of every array, in a worker.

    Parameters
    ----------
    payload
        Of the source.
    job
        The build.
    shard
        Its number.

    Raises
    ------
    DiskFullError
        Nothing of this shard is left behind.
    GmapsError
        For whatever else stops a build; a frame that cannot be used does not.
    """
    with _turn:  # or both threads of a worker would read all labels
        source = sent_source(payload)
        source.index()
        check_source(source, job.source)
    return write_shard(source, job, shard)


@functools.lru_cache(maxsize=1)
def check_source(source: CropSource, planned: str) -> None:
    """Refuse a source that is not the one that was planned: labels that were edited while others build from them.

    Once a process, of the labels that it has just read; `CropSource.check_labels` tells whether they still are those.

    Raises
    ------
    DatasetError
        It has changed.
    """
    check_digest(source, planned)


def write_shard(source: CropSource, job: Job, shard: int) -> ShardRecord:
    """As `build_shard`, from a source that is here."""
    index = source.index()
    rejects: list[dict[str, Any]] = []
    outside = 0
    rows = job.shard_rows(shard)
    source.check_labels(job.source, rows)
    frames = source.frames_digest(rows)
    tried = try_rows(lambda i: job_row(source, job.maps, i), [i for i in rows if i in job.suspects])
    with ShardWriter(Path(job.root), job.layout, shard, job.shard_samples) as writer, closing(tried):
        with _turn:
            for i in rows:
                if job.note is not None:
                    job.note(i)
                row: dict[str, Any] = {
                    "frame": index.frame[i],
                    "subject": index.subject[i],
                    "sequence": index.sequence[i],
                }
                try:
                    crop, made = next(tried)() if i in job.suspects else job_row(source, job.maps, i)
                    row |= made | {"valid": np.True_}
                    outside += crop.labelled and not crop.inside().all()
                except FrameError as error:
                    name = frame_name(index, i)
                    rejects.append({"row": i, "frame": int(index.frame[i]), "name": name, "reason": str(error)})
                writer.append(row)
        source.check_labels(job.source, rows)  # some are read frame by frame
        files = writer.close()
    return ShardRecord(shard, len(rows), files, rejects, outside, frames)


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker of a cluster of our own, before its first task.

    Ctrl-C in a terminal reaches workers too. They leave it to the build, which stops them in good order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    take_turns()


def take_turns() -> None:
    """Of this process's two threads one makes frames, while the other flushes the shard before to the disk."""
    global _turn
    _turn = threading.Lock()
