"""Runs of `gmaps train` in the browser: their logs, read again as they grow."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gmaps.errors import GmapsError
from gmaps.formats.csv_log import read_log
from gmaps.viewer.packet import Packet
from gmaps.viewer.query import Query

if TYPE_CHECKING:
    from gmaps.viewer.server import Answer

#: Rows of a log that the page gets at most: the last of each stretch, so that a curve keeps its ends.
MOST_ROWS = 4000


class RunSite:
    """Answers for the page of runs.

    Parameters
    ----------
    folders
        Of the runs, each with its log.csv.
    name
        What the page calls them.
    """

    def __init__(self, folders: Sequence[Path], name: str) -> None:
        self.folders, self.name = list(folders), name

    @property
    def calls(self) -> Mapping[str, Callable[[Query], Answer]]:
        """See `Site`."""
        return {"about": self.about, "log": self.log}

    def close(self) -> None:
        """Nothing goes on."""

    def about(self, query: Query) -> Answer:
        """Names of the runs."""
        return {"kind": "runs", "name": self.name, "runs": [folder.resolve().name for folder in self.folders]}

    def log(self, query: Query) -> Answer:
        """All numbers of one run's log: rows of behind step `after`, columns by name."""
        run = query.whole("run", 0, len(self.folders) - 1)
        path, after = self.folders[run] / "log.csv", query.whole("after", -1, 2**62, -1)
        try:
            rows = read_log(path)
        except (csv.Error, ValueError) as error:
            raise GmapsError(f"{path} cannot be read as the log of a run: {error}") from None
        columns = [name for name in rows[0] if name] if rows else []
        rows = [row for row in rows if len(row["step"]) < 19 and int(row["step"]) > after]
        stride = max(1, math.ceil(len(rows) / MOST_ROWS))
        kept = rows[::-1][::stride][::-1]
        values = np.array([[_number(row[name]) for name in columns] for row in kept], np.float64)
        return Packet(
            {"columns": columns, "rows": len(rows), "every": stride},
            {"values": values.reshape(len(kept), len(columns))},
        )


def _number(text: str) -> float:
    """Empty fields, and what is no number, are NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan
