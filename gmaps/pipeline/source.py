"""Where crops come from: frames of a data set, or a finished store. All that the pipeline knows of either."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import pickle
import sys
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gmaps.center import load_centers
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.datasets import load_dataset, loads_anywhere
from gmaps.datasets.base import DataSet, FrameArray, Index, Window, camera_of, read_window
from gmaps.datasets.reader import Reader, file_stamp
from gmaps.errors import DatasetError, FrameError, GmapsError, UsageError
from gmaps.frame import Crop
from gmaps.pipeline.fingerprint import array_digest, digest
from gmaps.pipeline.stored_crops import StoredCrops
from gmaps.skeleton import Skeleton

#: Bytes of a data set that is sent to workers with every shard.
LARGEST_PICKLE = 2**25


class CropSource(Protocol):
    """Crops by position, made or read one by one."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Of the joints."""
        ...

    def __len__(self) -> int: ...

    def __hash__(self) -> int: ...

    def index(self) -> Index:
        """All frames, without reading a pixel."""
        ...

    def crop(self, i: int) -> Crop:
        """The crop at position i.

        Raises
        ------
        FrameError
            When there can be none; the message says why.
        """
        ...

    def spec(self) -> dict[str, Any]:
        """JSON values from which `open_source` makes an equal source."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """JSON values that decide what the data set's frames are."""
        ...

    def check_labels(self, planned: str, rows: Sequence[int]) -> None:
        """Refuse labels that were edited since they were read.

        Parameters
        ----------
        planned
            Digest of the fingerprint when the build was planned.
        rows
            Of which crops are made.

        Raises
        ------
        DatasetError
            They are not those that were planned.
        """
        ...

    def frames_digest(self, rows: Sequence[int]) -> str:
        """Stands for sizes and times of the files that hold these rows' pixels; empty where that is not known."""
        ...

    def payload(self) -> str | bytes:
        """What makes an equal source in another process: `spec` as JSON, or a pickle where no spec does."""
        ...


class FrameCrops:
    """Crops of a data set's frames.

    Parameters
    ----------
    dataset
        The data set.
    params
        How to crop.
    center_file
        The centre file, where `params.center` is "file".
    known_as
        The name by which `load_dataset` gave the data set, if it did.
    """

    def __init__(
        self, dataset: DataSet, params: CropParams, center_file: str | None = None, known_as: str = ""
    ) -> None:
        self.dataset, self.params, self.known_as = dataset, params, known_as
        self.center_file = None if center_file is None else os.path.abspath(center_file)
        self.name, self.skeleton = dataset.info.name, dataset.skeleton

    def __len__(self) -> int:
        return len(self.dataset)

    def index(self) -> Index:
        """The data set's own."""
        return self.dataset.index()

    @cached_property
    def centers(self) -> NDArray[np.float32] | None:
        """(N, 3) mm, rows of the centre file; None without one."""
        if self.center_file is None:
            return None
        if "uvd" in os.path.basename(self.center_file) and len(self.dataset.index().cameras) > 1:
            raise DatasetError(
                f"{self.center_file}: u v d say nothing where frames are of {len(self.dataset.index().cameras)} "
                f"cameras, as those of {self.name}: write x y z, and no uvd in the file's name"
            )
        return load_centers(self.center_file, self.dataset.camera, len(self.dataset))

    def crop(self, i: int) -> Crop:
        """Reads frame i, or the part of it that the crop needs, and crops it."""
        center = None if self.centers is None else self.centers[i]
        window = self._window(center)
        frame = read_window(self.dataset, i, window)
        for a in self.arrays:
            value = frame.arrays.get(a.name)
            if value is None or np.shape(value) != a.shape:
                what = "is missing" if value is None else f"has shape {np.shape(value)}, not {a.shape}"
                raise FrameError(f"{frame.name}: {a.name} {what}, which {self.name} declares of every frame")
        whole = camera_of(self.dataset, i)
        return crop_dataset_frame(frame, self.dataset.info.depth_range, self.params, center, whole)

    def _window(self, center: NDArray[np.floating] | None) -> Window:
        how = self.params.center
        # A reader that is none of ours may know one way alone by which a centre follows from joints.
        unknown = how == "com" or (how == "mean" and not isinstance(self.dataset, Reader))
        of, masked = "mean" if how == "mean" else "joints", self.params.silhouette == "segmentation"
        return Window(None if unknown else self.params.half_side, center, of, masked)

    @property
    def arrays(self) -> tuple[FrameArray, ...]:
        """What the data set declares of every frame besides depth and joints."""
        return tuple(getattr(self.dataset, "arrays", ()))

    @property
    def dataset_spec(self) -> dict[str, Any]:
        """The arguments of `load_dataset`."""
        spec = dict(self.dataset.spec())
        if ":" in self.known_as:
            spec["name"] = self.known_as
        if spec.get("root") is not None:
            spec["root"] = os.path.abspath(spec["root"])  # workers may run in another directory
        return spec

    def spec(self) -> dict[str, Any]:
        """See `CropSource.spec`."""
        centers = None if self.centers is None else array_digest(self.centers)
        where = {"center": self.center_file, "centers": centers}
        return {"dataset": self.dataset_spec, "crop": self.params.to_dict(), **where}

    def fingerprint(self) -> dict[str, Any]:
        """See `CropSource.fingerprint`."""
        return self.dataset.fingerprint()

    def check_labels(self, planned: str, rows: Sequence[int]) -> None:
        """See `CropSource.check_labels`. A data set that cannot tell is asked for its fingerprint."""
        touched = getattr(self.dataset, "labels_touched", None)
        if touched is None:
            check_digest(self, planned)
        elif touched(rows):
            fresh = FrameCrops(self._made_anew(), self.params, self.center_file, self.known_as)
            check_digest(fresh, planned)
            self.dataset = fresh.dataset  # written to, and still the same

    def _made_anew(self) -> DataSet:
        return load_dataset(**self.dataset_spec) if self._remade_by_name() else copy.copy(self.dataset)

    def frames_digest(self, rows: Sequence[int]) -> str:
        """See `CropSource.frames_digest`."""
        files = getattr(self.dataset, "frame_files", None)
        stamps = [] if files is None else [file_stamp(path) for i in rows for path in files(i)]
        return hashlib.blake2b(repr(stamps).encode(), digest_size=16).hexdigest() if stamps else ""

    def payload(self) -> str | bytes:
        """See `CropSource.payload`.

        Raises
        ------
        UsageError
            The data set cannot be sent, or is too large to be.
        """
        if self._remade_by_name():
            return json.dumps(self.spec())
        cure = "name it as module:factory, which each worker calls, or build with workers=0"
        try:
            import cloudpickle  # type: ignore[import-untyped]  # takes what a script's main module defines

            content: bytes = cloudpickle.dumps(self)
        except Exception as error:  # whatever a stranger's object raises
            raise UsageError(f"data set {self.name!r} cannot be sent to workers ({error}): {cure}") from error
        if len(content) > LARGEST_PICKLE:
            size = f"{len(content) / 1e6:,.0f} MB"
            raise UsageError(f"data set {self.name!r} is {size} to send to workers with every shard: {cure}")
        return content

    def _remade_by_name(self) -> bool:
        """Whether `load_dataset` gives this very kind of data set in any process, and not one that looks like it."""
        spec = self.dataset_spec
        if not loads_anywhere(str(spec.get("name"))):
            return False
        if self.known_as:
            return True
        try:
            return type(load_dataset(**spec)) is type(self.dataset)
        except (GmapsError, TypeError):
            return False

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "centers"}  # read anew where they are needed


def check_digest(source: CropSource, planned: str) -> None:
    """Refuse a source that is not the one that was planned: a store is of one data set.

    Raises
    ------
    DatasetError
        It has changed.
    """
    if planned and digest(source.fingerprint()) != planned:
        raise DatasetError(
            f"{source.name}: its labels have changed since the build began, and a store is of one data set: restore "
            "them and run the same command again, or build anew with --overwrite"
        )


def open_source(spec: dict[str, Any]) -> CropSource:
    """A source from what its `spec` gave.

    Raises
    ------
    DatasetError
        The data set cannot be read, or its centre file has changed.
    """
    if "store" in spec:
        return StoredCrops(spec["store"])
    name = str(spec["dataset"]["name"])
    source = FrameCrops(load_dataset(**spec["dataset"]), CropParams(**spec["crop"]), spec["center"], name)
    if source.centers is not None and array_digest(source.centers) != spec["centers"]:
        raise DatasetError(f"{source.center_file} has changed since the build began: restore it, or build anew")
    return source


@functools.lru_cache(maxsize=1)
def sent_source(payload: str | bytes) -> CropSource:
    """In a worker: the source whose `payload` was sent, made once a process, so that labels never travel.

    Raises
    ------
    UsageError
        A data set that was sent cannot be made here.
    """
    # A worker has one core; libraries that start threads of their own would fight over it.
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    if isinstance(payload, str):
        return open_source(json.loads(payload))
    try:
        sent: FrameCrops = pickle.loads(payload)  # from the build that started this worker
    except Exception as error:
        raise UsageError(
            f"a worker cannot make the data set that the build was given ({type(error).__name__}: {error}): put its "
            "class into a module that workers can import, or build with workers=0"
        ) from error
    return sent
