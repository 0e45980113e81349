"""Predicted joints of a store's rows: all of a file, or by a network, as rows are looked at and in the background."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import GmapsError
from gmaps.store import Store

if TYPE_CHECKING:
    from gmaps.evaluation.of_store import Judged
    from gmaps.inference.predictor import Predictor

#: Rows that a network judges at a time in the background; few, so that a row that is looked at does not wait long.
_BATCH = 32


class Predicted(Protocol):
    """Predictions beside a store."""

    name: str
    #: Mean error of each row, mm; NaN where it is not known.
    errors: NDArray[np.float64]
    #: Grows with every change of `errors`.
    version: int
    #: Which joints of the skeleton they hold.
    evaluated: tuple[int, ...]

    def of_row(self, row: int) -> NDArray[np.floating] | None:
        """(E, 3) mm, or None where there is no prediction."""
        ...

    def state(self) -> dict[str, Any]:
        """How far they are."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


class FromFile:
    """Predictions of a file, judged as `gmaps evaluate` does."""

    version = 0

    def __init__(self, store: Store, judged: Judged) -> None:
        self._judged, self.name, self.evaluated = judged, judged.name, judged.evaluated
        self.errors = np.full(len(store), np.nan)
        self.errors[judged.rows] = judged.errors.mean(axis=1)

    def of_row(self, row: int) -> NDArray[np.floating] | None:
        """See `Predicted`."""
        return self._judged.of_row(row)

    def state(self) -> dict[str, Any]:
        """See `Predicted`."""
        known = len(self._judged.rows)
        return {"done": known, "of": known, "problem": None}

    def close(self) -> None:
        """Nothing goes on."""


class FromNetwork:
    """Predictions by a network: of a row when it is asked for, and of all rows meanwhile, in their order.

    Parameters
    ----------
    store
        Of crops such as the network has learnt.
    checkpoint, network, device
        See `gmaps.inference.Predictor`, which is loaded in the background: PyTorch takes its seconds.
    """

    def __init__(self, store: Store, checkpoint: str, network: str | None = None, device: str = "auto") -> None:
        self.name, self.version = checkpoint, 0
        self._store, self._how = store, (checkpoint, network, device)
        self.evaluated = store.skeleton.evaluation or tuple(range(len(store.skeleton)))
        self.errors = np.full(len(store), np.nan)
        self._joints = np.empty((len(store), len(self.evaluated), 3), np.float32)  # no memory until it is written
        self._valid = np.flatnonzero(store.column("valid"))
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._done, self._problem = 0, ""
        self._predictor: Predictor | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _load(self) -> Predictor:
        from gmaps.inference.predictor import Predictor

        checkpoint, network, device = self._how
        found = Predictor(checkpoint, device=device, network=network)
        found.check(self._store)
        return found

    def _work(self) -> None:
        try:
            self._predictor = self._load()
            self._ready.set()
            for start in range(0, len(self._valid), _BATCH):
                rows = self._valid[start : start + _BATCH]
                if self._stop.is_set():
                    return
                self._predict(rows[np.isnan(self.errors[rows])])
                self._done = start + len(rows)
        except GmapsError as error:
            self._problem = str(error)
        finally:
            self._ready.set()

    def _predict(self, rows: NDArray[np.int64]) -> None:
        if len(rows) == 0 or self._predictor is None:
            return
        crops = [self._store[int(row)].crop for row in rows]
        with self._lock:
            found = self._predictor.crops(crops, batch=_BATCH)[:, list(self.evaluated)]
        true = np.stack([crop.joints_mm for crop in crops])[:, list(self.evaluated)]
        self._joints[rows] = found
        self.errors[rows] = np.linalg.norm(found - true, axis=2).mean(axis=1)
        self.version += 1

    def of_row(self, row: int) -> NDArray[np.floating] | None:
        """See `Predicted`; None while the network is not loaded yet."""
        if not self._ready.is_set():
            return None
        if np.isnan(self.errors[row]) and bool(self._store.read([row], ["valid"])["valid"][0]):
            self._predict(np.array([row]))
        return None if np.isnan(self.errors[row]) else self._joints[row]

    def state(self) -> dict[str, Any]:
        """See `Predicted`."""
        return {"done": self._done, "of": len(self._valid), "problem": self._problem or None}

    def close(self) -> None:
        """Stop after the rows at hand."""
        self._stop.set()
