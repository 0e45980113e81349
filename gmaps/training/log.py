"""What training tells: a CSV file, TensorBoard where it is installed, and a progress bar."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

COLUMNS = (
    "step", "epoch", "seconds", "lr", "loss", "pose", "maps", "mm", "samples_per_second", "waiting",
    "gradient_pose", "gradient_maps", "validation_mm",
)  # fmt: skip


class Log:
    """Rows of a run; one that is resumed goes on behind the checkpoint's step.

    Parameters
    ----------
    folder
        The run's; gets log.csv, and events of TensorBoard if that is installed.
    step
        Rows of later steps, which a killed run has left, are dropped.
    progress
        Draw a bar on stderr.
    total
        Steps that the bar counts to; None if time decides.
    """

    def __init__(self, folder: Path, step: int = 0, progress: bool = True, total: int | None = None) -> None:
        path = folder / "log.csv"
        kept = [r for r in read_log(path) if int(r["step"]) <= step] if path.exists() and step else []
        self._file = open(path, "w", newline="")  # noqa: SIM115
        self._rows = csv.DictWriter(self._file, COLUMNS, restval="")
        self._rows.writeheader()
        self._rows.writerows(kept)
        self._file.flush()
        self._board = _tensorboard(folder, step)
        self._bar = tqdm(
            total=total, initial=step, unit="step", disable=not progress, file=sys.stderr, dynamic_ncols=True
        )

    def row(self, step: int, **values: float) -> None:
        """One line: values by the names in `COLUMNS`, those not given left empty."""
        shown = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values.items()}
        self._rows.writerow({"step": step, **shown})
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def advance(self, loss: float, mm: float, samples_per_second: float, waiting: float) -> None:
        """One step on the bar."""
        self._bar.set_postfix_str(
            f"loss {loss:.4f}, {mm:.1f} mm, {samples_per_second:.0f} samples/s, waiting {waiting:.1%}", refresh=False
        )
        self._bar.update()

    def say(self, text: str) -> None:
        """A line above the bar."""
        if not self._bar.disable:
            self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        """Finish the files."""
        self._bar.close()
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_log(path: Path) -> list[dict[str, str]]:
    """Rows of a log.csv by column; a last line that a kill cut short is left out."""
    with open(path, newline="") as file:
        return [r for r in csv.DictReader(file) if None not in r.values() and r["step"].isdigit()]


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
