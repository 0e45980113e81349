"""The crops of a finished store, as a source of further maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from gmaps.datasets.base import Index
from gmaps.errors import FrameError
from gmaps.frame import Crop, Cube
from gmaps.store.opening import open_store


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
        colored = ("color",) if self.store.colored else ()
        row = self.store.read([i], ("depth", "cube", "joints", "valid", *masked, *colored))
        if not row["valid"][0]:
            raise FrameError("rejected when the store was built")
        cube = Cube.from_array(row["cube"][0])
        hand = row["mask"][0] if masked else None
        color = row["color"][0] if colored else None
        projection = self.store.attributes["crop"]["projection"]
        return Crop(row["depth"][0], cube, row["joints"][0], projection, hand=hand, color=color).checked()

    def spec(self) -> dict[str, Any]:
        """See `CropSource.spec`."""
        return {"store": str(Path(self.store.path).absolute())}

    def fingerprint(self) -> dict[str, Any]:
        """See `CropSource.fingerprint`."""
        known: dict[str, Any] = self.store.attributes["dataset"]["fingerprint"]
        return known

    def check_labels(self, planned: str, rows: Sequence[int]) -> None:
        """See `CropSource.check_labels`: whoever changes a store holds its lock."""

    def frames_digest(self, rows: Sequence[int]) -> str:
        """See `CropSource.frames_digest`."""
        return ""

    def payload(self) -> str | bytes:
        """See `CropSource.payload`."""
        return json.dumps(self.spec())
