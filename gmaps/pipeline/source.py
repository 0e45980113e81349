"""Where crops come from: frames of a data set, or a finished store. All that the pipeline knows of either."""

from __future__ import annotations

import functools
import json
import os
import pickle
import sys
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gmaps.center import load_centers
from gmaps.crop import CropParams, crop_dataset_frame
from gmaps.datasets import load_dataset, loads_anywhere
from gmaps.datasets.base import DataSet, FrameArray, Index, Window, camera_of, read_window
from gmaps.datasets.reader import Reader
from gmaps.errors import DatasetError, FrameError, GmapsError, UsageError
from gmaps.frame import Crop, Cube
from gmaps.pipeline.fingerprint import array_digest
from gmaps.skeleton import Skeleton
from gmaps.store.opening import open_store

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


class StoredCrops:
    """The crops of a store, to make further maps of.

    Parameters
    ----------
    path
        The store.
    """

    def __init__(self, path: str | Path) -> None:
        self.store = open_store(path)
        self.name, self.skeleton = str(path), self.store.skeleton

    def __len__(self) -> int:
        return len(self.store)

    def index(self) -> Index:
        """As the data set's own."""
        return self._index

    @cached_property
    def _index(self) -> Index:
        named = self.store.attributes["dataset"]
        frame, subject, sequence = (self.store.column(name) for name in ("frame", "subject", "sequence"))
        return Index(frame, subject, sequence, tuple(named["subjects"]), tuple(named["sequences"]))

    def crop(self, i: int) -> Crop:
        """Reads the crop of row i; values that no build writes are refused as those of a data set are."""
        masked = ("mask",) if self.store.masked else ()
        row = self.store.read([i], ("depth", "cube", "joints", "valid", *masked))
        if not row["valid"][0]:
            raise FrameError("rejected when the store was built")
        cube = Cube.from_array(row["cube"][0])
        hand = row["mask"][0] if masked else None
        projection = self.store.attributes["crop"]["projection"]
        return Crop(row["depth"][0], cube, row["joints"][0], projection, hand=hand).checked()

    def spec(self) -> dict[str, Any]:
        """See `CropSource.spec`."""
        return {"store": str(Path(self.store.path).absolute())}

    def fingerprint(self) -> dict[str, Any]:
        """See `CropSource.fingerprint`."""
        known: dict[str, Any] = self.store.attributes["dataset"]["fingerprint"]
        return known

    def payload(self) -> str | bytes:
        """See `CropSource.payload`."""
        return json.dumps(self.spec())


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
