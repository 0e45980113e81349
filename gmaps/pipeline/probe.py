"""What a build will cost, from a few frames."""

from __future__ import annotations

import os
import time

import numpy as np
import psutil

from gmaps.datasets.children import ChildDied, scout
from gmaps.errors import DiskFullError, UsageError
from gmaps.pipeline.plan import Estimate, Plan, free_bytes
from gmaps.pipeline.progress import format_bytes
from gmaps.pipeline.source import CropSource
from gmaps.pipeline.worker import job_row
from gmaps.store.codec import encode_chunk

#: Frames that are made to estimate bytes and time.
PROBE = 32
#: A worker takes more than this process does after the same frames: Dask, and what the allocator keeps.
MARGIN = 1.3


def probe(plan: Plan, source: CropSource) -> Estimate:
    """Makes a few rows from all over the source, without writing anything.

    Frames that cannot be used are skipped: they cost next to nothing. So are those that end the child in which they
    are made.
    """
    job = plan.job
    source.index()  # read here, and not by every child
    positions = [int(i) for i in np.unique(np.linspace(0, job.rows - 1, PROBE).astype(int))]
    plain = sum(a.item_bytes for a in job.layout if not a.sharded)

    def one(i: int) -> tuple[float, int, int, int]:
        """Seconds of row i, its bytes, those of the process, and which process that is."""
        start = time.perf_counter()
        _, row = job_row(source, job.maps, i)
        length = plain + sum(len(encode_chunk(a, row[a.name])) + 16 for a in job.layout if a.sharded)
        return time.perf_counter() - start, length, psutil.Process().memory_info().rss, os.getpid()

    made, size, seconds, memory = 0, 0, 0.0, psutil.Process().memory_info().rss
    compiled, forks, deadly = False, True, set()
    for i, outcome in scout(one, [positions[0], *positions]):
        if isinstance(outcome, ChildDied):
            deadly.add(i)
        if not isinstance(outcome, tuple):
            continue
        memory, forks = max(memory, outcome[2]), forks and outcome[3] != os.getpid()
        if not compiled:
            compiled = True  # the first one may compile
            continue
        seconds += outcome[0]
        size += outcome[1]
        made += 1
    # Plain files have room for whole shards.
    padding = plain * (job.shards * job.shard_samples - job.rows)
    scale = job.rows / max(made, 1)
    return Estimate(made, int(size * scale) + padding, seconds * scale, memory, tuple(sorted(deadly)), forks)


def parse_memory(value: str | float | None) -> int | None:
    """A budget as bytes: a number of them, "8GB", "500 MB", or "50%" of this machine's memory; None for none.

    Raises
    ------
    UsageError
        When it is none of these.
    """
    if value is None:
        return None
    text = str(value).strip().upper().removesuffix("IB").removesuffix("B").strip()
    factors = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "%": psutil.virtual_memory().total / 100}
    factor = factors.get(text[-1:], 1.0)
    try:
        number = float(text[:-1] if text[-1:] in factors else text) * factor
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise UsageError(f"memory is like 8GB, or 50% of this machine's, or a number of bytes, not {value!r}")
    return int(number)


def clamp_workers(plan: Plan, estimate: Estimate, budget: int | None) -> int:
    """How many workers fit into a budget of memory beside this process; at most those of the plan.

    Raises
    ------
    UsageError
        When not even one fits.
    """
    if budget is None or plan.workers == 0:
        return plan.workers
    fitting = int((budget - estimate.memory) // (estimate.memory * MARGIN))
    if fitting < 1:
        raise UsageError(
            f"memory {format_bytes(budget)} is too little: this process and one worker take about "
            f"{format_bytes(estimate.memory * (1 + MARGIN))}. Allow that much, or --workers 0 for no worker at all"
        )
    return min(plan.workers, fitting)


class Watch:
    """Looks after the disk while a build runs, so that it stops before the disk is full to the last byte.

    Parameters
    ----------
    plan, estimate, workers
        The build, what it takes, and how many shards are being written at a time.
    """

    def __init__(self, plan: Plan, estimate: Estimate, workers: int) -> None:
        self.plan = plan
        self.shard = estimate.bytes / plan.job.shards
        self.workers = max(workers, 1)

    def check(self, left: int) -> None:
        """Stops the build when what is being written would not fit.

        Parameters
        ----------
        left
            Shards that are not finished yet.

        Raises
        ------
        DiskFullError
        """
        free = free_bytes(self.plan.partial)
        needed = int(self.shard * min(left, self.workers))
        if free < needed:
            raise DiskFullError(
                f"{self.plan.out}: only {format_bytes(free)} are free, and the shards being written need about "
                f"{format_bytes(needed)}. All finished shards are kept: make room, then run the same command "
                "again to go on"
            )


def check_space(plan: Plan, estimate: Estimate, todo: int) -> None:
    """Refuses a build that cannot fit.

    Parameters
    ----------
    plan
        The build.
    estimate
        From `probe`.
    todo
        Shards that are still to be made.

    Raises
    ------
    DiskFullError
    """
    needed = int(estimate.bytes * todo / plan.job.shards)
    free = free_bytes(plan.out)
    if free < needed:
        raise DiskFullError(
            f"{plan.out} needs about {format_bytes(needed)} more, and {format_bytes(free)} are free there. "
            "Make room, choose another --out, fewer --maps, or --dtype uint8"
        )
