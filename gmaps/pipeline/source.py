"""A finished store as a data set: its crops instead of frames."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from gmaps.camera import Camera
from gmaps.datasets.base import DatasetInfo, Index, Window
from gmaps.errors import FrameError, UsageError
from gmaps.frame import Crop, Cube, Frame
from gmaps.store.reader import open_store

#: The key by which a description of a data set tells that it is a store.
STORED = "stored"


class StoredCrops:
    """The crops of a store, to make further maps of. Stands in for a data set wherever shards are made.

    Parameters
    ----------
    path
        The store.
    """

    def __init__(self, path: str | Path) -> None:
        self.store = open_store(path)
        self.skeleton = self.store.skeleton
        a = self.store.attributes
        self.camera = Camera(**a["camera"])
        self.info = DatasetInfo(str(path), str(path), "", "", "", "", self.skeleton.name)

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
        """The crop of row i.

        Raises
        ------
        FrameError
            When the frame was rejected.
        """
        row = self.store.read([i], ("depth", "cube", "joints", "valid"))
        if not row["valid"][0]:
            raise FrameError("rejected when the store was built")
        cube = Cube.from_array(row["cube"][0])
        return Crop(row["depth"][0], cube, row["joints"][0], self.store.attributes["crop"]["projection"])

    def read(self, i: int, window: Window | None = None) -> Frame:
        """There are no frames."""
        raise UsageError(f"{self.store.path} holds crops; its frames are in the data set that it was built from")

    def spec(self) -> dict[str, Any]:
        """From what a worker makes it again."""
        return {STORED: str(Path(self.store.path).absolute())}

    def fingerprint(self) -> dict[str, Any]:
        """That of the data set."""
        return json.loads(json.dumps(self.store.attributes["dataset"]["fingerprint"]))
