"""What a build did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gmaps.errors import UsageError
from gmaps.formats.printable import printable
from gmaps.pipeline.progress import format_bytes, format_seconds

if TYPE_CHECKING:
    from gmaps.pipeline.ledger import ShardRecord
    from gmaps.pipeline.plan import Plan


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Parameters
    ----------
    path
        The store.
    frames, rejected
        Rows, and how many of them could not be used.
    joints_outside
        Frames of which a joint lies outside the cube.
    shards_total, shards_done_now
        Shards of the store, and those that this run made.
    seconds, frames_per_second
        Of this run.
    bytes
        Size of the store.
    resumed
        Whether an earlier run had made shards of it.
    rejected_over_limit
        Whether more frames were rejected than `max_rejects`.
    assembled
        Whether a store was made of shards that were all there.
    part
        "K/N" where this is a part of a build only: counts are then of the part, and the path is that of the
        unfinished store.
    rejects
        Row, frame, name and reason of each rejected frame.
    notes
        What else should be known: of frames that were written to since they were read.
    """

    path: str
    frames: int
    rejected: int
    joints_outside: int
    shards_total: int
    shards_done_now: int
    seconds: float
    frames_per_second: float
    bytes: int
    resumed: bool
    rejected_over_limit: bool = False
    part: str = ""
    assembled: bool = False
    rejects: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """A few lines for people."""
        if self.assembled:
            did = f"of {self.shards_total} shards that were made before"
        elif self.shards_done_now == 0:
            did = "already complete"
        else:
            did = f"{self.shards_done_now} of {self.shards_total} shards in {format_seconds(self.seconds)}"
            did += f", {self.frames_per_second:,.0f} frames/s" + (", resumed" if self.resumed else "")
        what = f"part {self.part} of {self.path}" if self.part else self.path
        lines = [f"{what}: {self.frames:,} frames, {format_bytes(self.bytes)} ({did})"]
        if self.rejected:
            first = self.rejects[0]
            lines.append(
                f"{self.rejected:,} frames rejected{' (more than the limit)' if self.rejected_over_limit else ''}: "
                f"see rejects.json; the first is row {first['row']}, {first['name']}: {first['reason']}"
            )
        if self.joints_outside:
            lines.append(f"{self.joints_outside:,} frames have a joint outside the cube")
        lines = [printable(line, lines=False) for line in [*lines, *self.notes]]
        if self.part:
            lines.append("when all parts are done: gmaps finalize")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def parse_max_rejects(value: str | float) -> Callable[[BuildReport], BuildReport]:
    """`max_rejects` as what notes in a report whether more frames were rejected.

    Raises
    ------
    UsageError
        No number of frames, and no share.
    """
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = -1.0
    share = number / 100 if text.endswith("%") else number
    if not 0 <= number < float("inf") or (text.endswith("%") and share > 1):
        raise UsageError(f"max_rejects is a number of frames, a share below 1, or like '1%', not {value!r}")

    def noted(report: BuildReport) -> BuildReport:
        of_all = text.endswith("%") or share < 1
        allowed = share * report.frames if of_all else share
        return replace(report, rejected_over_limit=report.rejected > allowed)

    return noted


def make_report(
    plan: Plan, path: object, records: Sequence[ShardRecord], started: float, made: int, size: int, resumed: bool
) -> BuildReport:
    """The report of a build of some shards, of which so many were made now."""
    seconds = time.monotonic() - started
    rejects = [r for record in records for r in record.rejects]
    rows = sum(r.rows for r in records)
    return BuildReport(
        path=str(path),
        frames=rows,
        rejected=len(rejects),
        joints_outside=sum(r.joints_outside for r in records),
        shards_total=len(records),
        shards_done_now=made,
        seconds=seconds,
        frames_per_second=min(made * plan.job.shard_samples, rows) / seconds,
        bytes=size,
        resumed=resumed,
        rejects=rejects,
    )
