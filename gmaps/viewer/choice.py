"""Which rows of a store are shown, and in what order: from a million rows to the numbers of a screenful."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.store import Store
from gmaps.viewer.query import Query

if TYPE_CHECKING:
    from gmaps.viewer.predicted import Predicted

_KEPT = 4


class Wish(NamedTuple):
    """What the page's controls say.

    Parameters
    ----------
    show
        "all", "valid" or "rejected".
    subject
        Its number; -1 for any.
    above
        Mean errors of at least this, mm; -1 for any.
    order
        "row", or "error" for the largest error first.
    """

    show: str = "all"
    subject: int = -1
    above: float = -1.0
    order: str = "row"

    @classmethod
    def of(cls, query: Query) -> Wish:
        """From a question."""
        return cls(
            query.choice("show", ("all", "valid", "rejected")), query.whole("subject", -1, 2**31, -1),
            query.number("above", -1, 1e6, -1), query.choice("order", ("row", "error")),
        )  # fmt: skip


class Choice:
    """Rows of a store by what is wished, the last few wishes kept.

    Parameters
    ----------
    store
        Its columns `valid` and `subject` are read once, when they are needed.
    predicted
        Gives errors, if there are predictions.
    """

    def __init__(self, store: Store, predicted: Predicted | None) -> None:
        self._store, self._predicted = store, predicted
        self._columns: dict[str, NDArray[np.generic]] = {}
        self._kept: OrderedDict[tuple[Wish, int], NDArray[np.int64]] = OrderedDict()
        self._lock = Lock()

    def column(self, name: str) -> NDArray[np.generic]:
        """A small column, read once."""
        if name not in self._columns:
            self._columns[name] = self._store.column(name)
        return self._columns[name]

    def rows(self, wish: Wish) -> NDArray[np.int64]:
        """(n,) int64, in the order that is wished.

        Raises
        ------
        UsageError
            Errors are asked for, and there are no predictions.
        """
        p = self._predicted
        if p is None and (wish.above >= 0 or wish.order == "error"):
            raise UsageError("errors are known of predictions alone: say --predictions PRED.txt or --checkpoint C")
        key = (wish, 0 if p is None else p.version)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._make(wish)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def _make(self, wish: Wish) -> NDArray[np.int64]:
        keep = np.ones(len(self._store), bool)
        if wish.show != "all":
            keep &= self.column("valid") == (wish.show == "valid")
        if wish.subject >= 0:
            keep &= self.column("subject") == wish.subject
        if self._predicted is None:
            return np.flatnonzero(keep)
        errors = self._predicted.errors.copy()  # it may grow meanwhile
        if wish.above >= 0:
            keep &= errors >= wish.above  # NaN is not
        rows = np.flatnonzero(keep)
        if wish.order == "error":
            # Of equals the earlier row; those whose error nobody knows come last.
            rows = rows[np.argsort(-errors[rows], kind="stable")]
        return rows

    def place(self, wish: Wish, row: int) -> int:
        """At which position a row stands; -1 if it is not among those wished."""
        found = np.flatnonzero(self.rows(wish) == row)
        return int(found[0]) if len(found) else -1
