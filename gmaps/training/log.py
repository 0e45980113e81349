"""What training writes: a CSV file, and TensorBoard's events where it is installed."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gmaps.formats.csv_log import read_log as read_log  # where others look for it
from gmaps.training.params import TrainingError

#: Of every run; terms of a loss other than these two follow, with their gradients.
COLUMNS = (
    "step", "epoch", "seconds", "lr", "loss", "pose", "maps", "mm", "samples_per_second", "waiting",
    "gradient_pose", "gradient_maps", "validation_mm",
)  # fmt: skip


@dataclass
class Tally:
    """Sums since the last row of the log; part of a checkpoint, so that a resumed run has the rows of a whole one.

    Parameters
    ----------
    sums
        Of the loss's terms, and of "mm", over steps.
    counts
        Over how many steps each was known: "mm" is NaN where no frame of a batch has labels.
    steps
        How many in all.
    seconds, waited
        As `RunState` had them at the last row.
    """

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def add(self, values: Mapping[str, float]) -> None:
        """One step."""
        self.steps += 1
        for name, value in values.items():
            known = not math.isnan(value)
            self.sums[name] = self.sums.get(name, 0.0) + (value if known else 0.0)
            self.counts[name] = self.counts.get(name, 0) + known

    def means(self) -> dict[str, float]:
        """Over the steps in which they were known; NaN where in none."""
        return {name: v / self.counts[name] if self.counts[name] else math.nan for name, v in self.sums.items()}

    def rate(self, seconds: float, waited: float) -> tuple[float, float]:
        """Steps a second, and the share of time spent waiting."""
        spent = max(seconds - self.seconds, 1e-9)
        return self.steps / spent, (waited - self.waited) / spent

    def begin(self, seconds: float, waited: float) -> None:
        """A new row."""
        self.sums, self.counts, self.steps, self.seconds, self.waited = {}, {}, 0, seconds, waited

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "sums": dict(self.sums), "counts": dict(self.counts), "steps": self.steps, "seconds": self.seconds,
            "waited": self.waited,
        }  # fmt: skip

    def load(self, state: Mapping[str, Any]) -> None:
        """What `to_dict` gave."""
        self.sums = {str(k): float(v) for k, v in state["sums"].items()}
        # Earlier versions counted steps alone.
        self.counts = {k: int(state.get("counts", {}).get(k, state["steps"])) for k in self.sums}
        self.steps, self.seconds, self.waited = int(state["steps"]), float(state["seconds"]), float(state["waited"])


class Log:
    """Rows of a run; one that is resumed goes on behind the checkpoint's step.

    Parameters
    ----------
    folder
        The run's; gets log.csv, and events of TensorBoard if that is installed.
    step
        Rows of later steps, which a killed run has left, are dropped.
    terms
        Names of the loss's terms.

    Raises
    ------
    TrainingError
        It cannot be written.
    """

    def __init__(self, folder: Path, step: int = 0, terms: Sequence[str] = ()) -> None:
        self.path = folder / "log.csv"
        more = [name for term in terms for name in (term, f"gradient_{term}") if name not in COLUMNS]
        self._columns = (*COLUMNS, *more)
        try:
            kept = [r for r in read_log(self.path) if int(r["step"]) <= step] if self.path.exists() and step else []
            self._file = open(self.path, "w", newline="")  # noqa: SIM115
            self._rows = csv.DictWriter(self._file, self._columns, restval="", extrasaction="ignore")
            self._rows.writeheader()
            self._rows.writerows(kept)
            self._file.flush()
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._board = _tensorboard(folder, step)

    def row(self, step: int, **values: float) -> None:
        """One line: values by the names of columns, those not given left empty.

        Raises
        ------
        TrainingError
            It cannot be written.
        """
        shown = {
            k: f"{v:.6g}" if isinstance(v, float) else v
            for k, v in values.items()
            if not (isinstance(v, float) and math.isnan(v))
        }
        try:
            self._rows.writerow({"step": step, **shown})
            self._file.flush()
        except OSError as error:
            raise TrainingError(
                f"{self.path} cannot be written: {error.strerror or error}; the same command goes on from last.pt"
            ) from error
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
