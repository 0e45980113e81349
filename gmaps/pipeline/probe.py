"""What a build will cost, from a few frames."""

from __future__ import annotations

import time

import numpy as np
import psutil

from gmaps.datasets.base import DataSet
from gmaps.errors import DiskFullError, FrameError
from gmaps.pipeline.plan import Estimate, Plan, free_bytes
from gmaps.pipeline.progress import format_bytes
from gmaps.pipeline.worker import job_sample, sample_row
from gmaps.store.codec import compress, encode_item

#: Frames that are made to estimate bytes and time.
PROBE = 32


def probe(plan: Plan, dataset: DataSet) -> Estimate:
    """Makes a few frames from all over the data set, without writing anything.

    Frames that cannot be used are skipped: they cost next to nothing.
    """
    job = plan.job
    positions = np.unique(np.linspace(0, job.rows - 1, PROBE).astype(int))
    made, size, seconds = 0, 0, 0.0
    plain = sum(a.item_bytes for a in job.layout if not a.sharded)
    for number, i in enumerate([positions[0], *positions]):
        start = time.perf_counter()
        try:
            center = None if plan.centers is None else plan.centers[i]
            row = sample_row(*job_sample(dataset, job, int(i), center))
        except FrameError:
            continue
        length = plain + sum(len(compress(encode_item(a, row[a.name]))) + 16 for a in job.layout if a.sharded)
        if number == 0:
            continue  # the first one may compile
        seconds += time.perf_counter() - start
        size += length
        made += 1
    # Plain files have room for whole shards.
    padding = plain * (job.shards * job.shard_samples - job.rows)
    scale = job.rows / max(made, 1)
    return Estimate(made, int(size * scale) + padding, seconds * scale, psutil.Process().memory_info().rss)


def check_space(plan: Plan, estimate: Estimate, done: int) -> None:
    """Refuses a build that cannot fit.

    Parameters
    ----------
    plan
        The build.
    estimate
        From `probe`.
    done
        Rows that an earlier run finished.

    Raises
    ------
    DiskFullError
    """
    needed = int(estimate.bytes * (1 - done / plan.job.rows))
    free = free_bytes(plan.out)
    if free < needed:
        raise DiskFullError(
            f"{plan.out} needs about {format_bytes(needed)} more, and {format_bytes(free)} are free there. "
            "Make room, choose another --out, fewer --maps, or --dtype uint8"
        )
