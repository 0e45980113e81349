"""What runs in a worker: one shard, frame by frame.

A worker gets a `Job`, which is small and the same for all shards, and a shard's number. It makes the data set anew
from its description, once a process, so labels never travel.
"""

from __future__ import annotations

import functools
import json
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.datasets import load_dataset
from gmaps.datasets.base import DataSet, Index, Window, read_window
from gmaps.errors import FrameError, GmapsError
from gmaps.frame import Crop
from gmaps.maps import Encoder, MapParams, Maps
from gmaps.pipeline.ledger import ShardRecord
from gmaps.pipeline.source import STORED, StoredCrops
from gmaps.store.schema import ArraySpec
from gmaps.store.writer import ShardWriter

#: Held while frames are made: in a worker of a cluster of our own by one thread at a time.
_turn: AbstractContextManager[Any] = nullcontext()


@dataclass(frozen=True)
class Job:
    """All that a worker must know of a build.

    Parameters
    ----------
    root
        Directory of the unfinished store, absolute.
    dataset
        The arguments of `load_dataset`, or the store whose crops are used, as JSON text.
    rows, shard_samples
        N, and rows in a shard.
    layout
        The arrays to write.
    crop, maps
        How to make them.
    """

    root: str
    dataset: str
    rows: int
    shard_samples: int
    layout: tuple[ArraySpec, ...]
    crop: CropParams
    maps: MapParams

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.rows // self.shard_samples)

    def shard_rows(self, shard: int) -> range:
        """Rows of a shard."""
        start = shard * self.shard_samples
        return range(start, min(start + self.shard_samples, self.rows))


def make_sample(
    dataset: DataSet, i: int, crop: CropParams, maps: MapParams, center: NDArray[np.floating] | None = None
) -> tuple[Crop, Maps]:
    """Frame i of a data set to its crop and maps. The one code path of builds and of verification, but for `OnHand`.

    Parameters
    ----------
    dataset
        Where the frame comes from.
    i
        Position in the data set's index.
    crop, maps
        How to make them.
    center : (3,), optional
        The frame's row of the centre file, mm; NaN where the file calls it invalid.

    Raises
    ------
    FrameError
        When this frame cannot be used.
    """
    made = _make_crop(dataset, i, crop, center)
    return made, Encoder(maps, dataset.skeleton).crop(made)


def _make_crop(dataset: DataSet, i: int, crop: CropParams, center: NDArray[np.floating] | None) -> Crop:
    if isinstance(dataset, StoredCrops):
        return dataset.crop(i)
    window = Window(None if crop.center == "com" else crop.half_side, center)
    return crop_dataset_frame(read_window(dataset, i, window), dataset.info.depth_range, crop, center)


def job_row(
    dataset: DataSet, job: Job, i: int, center: NDArray[np.floating] | None = None
) -> tuple[Crop, dict[str, Any]]:
    """Frame i within a build: its crop, and what a `ShardWriter` gets.

    Other than from `make_sample`, maps that are 0 in the void come as `OnHand`, and an error that nobody foresaw says
    which frame it was.

    Raises
    ------
    FrameError
        When this frame cannot be used.
    GmapsError
        For anything else.
    """
    try:
        crop = _make_crop(dataset, i, job.crop, center)
        return crop, _row(crop, *Encoder(job.maps, dataset.skeleton).hand(crop))
    except GmapsError:
        raise
    except Exception as error:
        index = dataset.index()
        raise GmapsError(
            f"row {i} ({frame_name(index, i)}, frame {index.frame[i]}) of {dataset.info.name} stopped the build: "
            f"{type(error).__name__}: {error}. Finished shards are kept; workers=0 shows where it broke"
        ) from error


def sample_row(crop: Crop, maps: Maps) -> dict[str, Any]:
    """A sample by the store's array names, before it is converted to the stored types."""
    return _row(crop, maps, maps.scale)


def _row(crop: Crop, maps: Mapping[str, Any], scale: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    row = {"depth": crop.depth, "joints": crop.joints_mm, "cube": crop.cube.to_array()}
    row |= {f"maps/{kind}": values for kind, values in maps.items()}
    return row | {f"maps/{kind}_scale": values for kind, values in scale.items()}


def frame_name(index: Index, i: int) -> str:
    """Where a frame belongs, for people: subject and sequence."""
    return f"{index.subjects[index.subject[i]]}/{index.sequences[index.sequence[i]]}"


def build_shard(job: Job, shard: int, centers: NDArray[np.float32] | None = None) -> ShardRecord:
    """Makes one shard of every array, in a worker.

    Parameters
    ----------
    job
        The build.
    shard
        Its number.
    centers : (rows in the shard, 3), optional
        The shard's part of the centre file.

    Raises
    ------
    DiskFullError
        Nothing of this shard is left behind.
    GmapsError
        For whatever else stops a build; a frame that cannot be used does not.
    """
    with _turn:  # or both threads of a worker would read all labels
        dataset = _remade(job.dataset)
        dataset.index()
    return write_shard(dataset, job, shard, centers)


def write_shard(dataset: DataSet, job: Job, shard: int, centers: NDArray[np.float32] | None = None) -> ShardRecord:
    """As `build_shard`, from a data set that is here."""
    index = dataset.index()
    rejects: list[dict[str, Any]] = []
    outside = 0
    rows = job.shard_rows(shard)
    with ShardWriter(Path(job.root), job.layout, shard, job.shard_samples) as writer:
        with _turn:
            for k, i in enumerate(rows):
                row: dict[str, Any] = {
                    "frame": index.frame[i],
                    "subject": index.subject[i],
                    "sequence": index.sequence[i],
                }
                try:
                    crop, made = job_row(dataset, job, i, None if centers is None else centers[k])
                    row |= made | {"valid": np.True_}
                    outside += crop.labelled and not crop.inside().all()
                except FrameError as error:
                    name = frame_name(index, i)
                    rejects.append({"row": i, "frame": int(index.frame[i]), "name": name, "reason": str(error)})
                writer.append(row)
        files = writer.close()
    return ShardRecord(shard, len(rows), files, rejects, outside)


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker of a cluster of our own, before its first task.

    Ctrl-C in a terminal reaches workers too. They leave it to the build, which stops them in good order. Of its two
    threads one makes frames, while the other waits for the disk to settle the shard before.
    """
    global _turn
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _turn = threading.Lock()


@functools.lru_cache(maxsize=1)
def _remade(spec: str) -> DataSet:
    # A worker has one core; libraries that start threads of their own would fight over it.
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    arguments = json.loads(spec)
    return StoredCrops(arguments[STORED]) if STORED in arguments else load_dataset(**arguments)
