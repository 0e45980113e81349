"""Fair comparisons on noisy machines: peers take turns, and medians count."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of a table: ours against a peer, seconds, and what was asked for."""

    what: str
    ours: float
    peer: float
    peer_name: str
    must: float | None = None
    aim: float | None = None

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.peer / self.ours


def take_turns(
    calls: Mapping[str, Callable[[], Any]], rounds: int = 30, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each call by a clock, run in turns after one warm-up each.

    A turn lasts at least a millisecond: a call of some microseconds is repeated, or it would be charged for caches
    that the slower peer before it has emptied.
    """
    repeats: dict[str, int] = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, round(1e-3 / (time.perf_counter() - start)))
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            for _ in range(repeats[name]):
                call()
            seconds[name].append((clock() - start) / repeats[name])
    return {name: statistics.median(values) for name, values in seconds.items()}


def human(seconds: float) -> str:
    """Three figures and a unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1 or unit == "us":
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def table(title: str, rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = [f"## {title}", "", "| what | ours | peer | ratio | must | aim |", "|---|---|---|---|---|---|"]
    for r in rows:
        must = "" if r.must is None else f"{r.must:g}x"
        aim = "" if r.aim is None else f"{r.aim:g}x"
        lines.append(
            f"| {r.what} | {human(r.ours)} | {r.peer_name}: {human(r.peer)} | {r.ratio:.1f}x | {must} | {aim} |"
        )
    return "\n".join(lines) + "\n"


def write(name: str, values: Any) -> Path:
    """Keep a result as JSON beside the benchmarks."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    rows = [{**asdict(v), "ratio": v.ratio} if isinstance(v, Row) else v for v in values]
    path.write_text(json.dumps({"machine": platform.processor() or platform.machine(), "rows": rows}, indent=1))
    return path
