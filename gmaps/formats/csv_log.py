"""A CSV file that another process is still writing."""

from __future__ import annotations

import csv
from pathlib import Path


def read_log(path: Path) -> list[dict[str, str]]:
    """Rows of a log.csv by column; a last line that a kill cut short is left out."""
    with open(path, newline="", errors="replace") as file:
        return [
            r
            for r in csv.DictReader(file)
            if None not in r and None not in r.values() and r.get("step", "").isdigit()
        ]
