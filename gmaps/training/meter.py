"""How far a run is: a bar on a terminal, a line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from tqdm import tqdm

from gmaps.formats.printable import printable

#: A line appears when this much time has passed, or this share of all steps.
SECONDS, SHARE = 10.0, 0.1


class Meter:
    """Counts steps.

    Parameters
    ----------
    total
        Steps of the whole run; None if time decides.
    done
        Steps of earlier runs.
    show
        False prints nothing.
    stream
        stderr by default.
    """

    def __init__(self, total: int | None, done: int = 0, show: bool = True, stream: TextIO | None = None) -> None:
        self.total, self.done = total, done
        self._stream = stream or sys.stderr
        self._last_time, self._last_done = time.monotonic(), done
        self._lines = show and not self._stream.isatty()
        self._bar = None
        if show and not self._lines:
            self._bar = tqdm(total=total, initial=done, unit="step", file=self._stream, dynamic_ncols=True)

    def advance(self, loss: float, mm: float, samples_per_second: float, waiting: float) -> None:
        """One step more, and how the last ones went."""
        self.done += 1
        if self._bar is None and not self._lines:
            return
        text = f"loss {loss:.4f}, {mm:.1f} mm, {samples_per_second:.0f} samples/s, waiting {waiting:.1%}"
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()
            return
        now, grown = time.monotonic(), self.done - self._last_done
        share = self.total is not None and (grown >= SHARE * self.total or self.done >= self.total)
        if share or now - self._last_time >= SECONDS:
            self._last_time, self._last_done = now, self.done
            of = "" if self.total is None else f" of {self.total:,}"
            self.say(f"step {self.done:,}{of}: {text}")

    def say(self, text: str) -> None:
        """A line of text that does not tear the bar."""
        text = printable(text, lines=False)
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        elif self._lines:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Finish the bar."""
        if self._bar is not None:
            self._bar.close()
