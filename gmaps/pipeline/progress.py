"""How far a build is: a bar on a terminal, a line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from gmaps.formats.printable import printable

#: A line appears when this much time has passed, or this share of all frames.
SECONDS, SHARE = 10.0, 0.1


class Progress:
    """Counts frames.

    Parameters
    ----------
    total
        Frames of the whole build.
    done
        Frames that an earlier run finished; they do not count as speed.
    show
        False prints nothing.
    stream
        stderr by default.
    """

    def __init__(self, total: int, done: int = 0, show: bool = True, stream: TextIO | None = None) -> None:
        self.total, self.done, self._first = total, done, done
        self._stream = stream or sys.stderr
        self._started = self._last_time = time.monotonic()
        self._last_done = done
        self._lines = show and not self._stream.isatty()
        self._bar = None
        if show and not self._lines:
            self._bar = tqdm(total=total, initial=done, unit=" frames", unit_scale=True, file=self._stream)

    @property
    def speed(self) -> float:
        """Frames a second of this run."""
        return (self.done - self._first) / max(time.monotonic() - self._started, 1e-9)

    def update(self, frames: int) -> None:
        """Counts frames that are finished."""
        self.done += frames
        if self._bar is not None:
            self._bar.update(frames)
        elif self._lines:
            now = time.monotonic()
            grown = self.done - self._last_done
            if now - self._last_time >= SECONDS or grown >= SHARE * self.total or self.done >= self.total:
                self._last_time, self._last_done = now, self.done
                self.say(self._line())

    def _line(self) -> str:
        left = (self.total - self.done) / self.speed if self.speed > 0 else 0.0
        share = self.done / self.total if self.total else 1.0
        return (
            f"{self.done:,} of {self.total:,} frames ({share:.0%}), {self.speed:,.0f} frames/s, "
            f"{format_seconds(left)} left"
        )

    def say(self, text: str) -> None:
        """A line of text that does not tear the bar; names in it may be a stranger's."""
        text = printable(text, lines=False)
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        elif self._lines:
            print(text, file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def format_seconds(seconds: float) -> str:
    """3725 -> "1 h 02 min", 65 -> "1 min 05 s", 4.2 -> "4 s"."""
    s = round(seconds)
    if s >= 3600:
        return f"{s // 3600} h {s % 3600 // 60:02d} min"
    if s >= 60:
        return f"{s // 60} min {s % 60:02d} s"
    return f"{s} s"


def format_bytes(n: float) -> str:
    """12_345_678 -> "12.3 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"
