"""`build`: from a data set to a finished store."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gmaps.datasets import load_dataset
from gmaps.datasets.base import DataSet, Split
from gmaps.errors import UsageError
from gmaps.frame import Projection
from gmaps.maps import DEFAULT_MAPS, MapParams, warm_up
from gmaps.maps.base import Normalize, Profile
from gmaps.pipeline.dispatch import GUARD, make_shards
from gmaps.pipeline.ledger import Ledger, Part, part_ledger
from gmaps.pipeline.lock import build_lock, part_lock
from gmaps.pipeline.plan import Plan, make_plan
from gmaps.pipeline.probe import Watch, check_space, clamp_workers, parse_memory, probe
from gmaps.pipeline.progress import Progress
from gmaps.pipeline.publish import finish_arguments, finished_report, open_ledger, publish
from gmaps.pipeline.report import BuildReport, make_report
from gmaps.pipeline.upload import WAITING, build_there
from gmaps.store.schema import SHARD_SAMPLES
from gmaps.store.writer import finish_store, remove_temporaries


def build(
    dataset: str | DataSet,
    out: str | os.PathLike[str] | None = None,
    maps: Sequence[str] = DEFAULT_MAPS,
    *,
    root: str | os.PathLike[str] | None = None,
    split: Split = "all",
    workers: int | None = None,
    scheduler: str | None = None,
    limit: int | None = None,
    center: str | os.PathLike[str] = "joints",
    half_side: float | None = None,
    crop_size: int = 128,
    projection: Projection = "orthographic",
    map_size: int = 32,
    profile: Profile = "default",
    normalize: Normalize = "joint",
    bridge: bool | float = False,
    dtype: str = "float16",
    layout: str = "packed",
    overwrite: bool = False,
    dry_run: bool = False,
    max_rejects: str | float = "1%",
    progress: bool = True,
    dataset_options: dict[str, Any] | None = None,
    shard_samples: int = SHARD_SAMPLES,
    memory: str | float | None = None,
    part: Part | None = None,
    staging: str | os.PathLike[str] | None = None,
) -> BuildReport | Plan:
    """Build a store of crops and guidance maps.

    The same call again goes on where a build was stopped, and does nothing when it was finished. In a script, call
    it below `if __name__ == "__main__":`, because worker processes import the script.

    Parameters
    ----------
    dataset
        A data set, or the name of one.
    out
        Path of the store; `<name>.zarr` here by default.
    maps
        Kinds of map.
    root, split, dataset_options
        For `load_dataset`, when `dataset` is a name.
    workers
        Processes; all cores by default; 0 works in this process, without Dask.
    scheduler
        Address of a Dask scheduler whose workers see the same files; `workers` then counts for nothing.
    limit
        Use the first frames only.
    center
        "joints", "com", or the path of a centre file with a row for each frame of the split.
    half_side
        Half the side of the cube, mm; the data set's own by default.
    crop_size, projection
        Of the crop: S, and "orthographic" or "perspective".
    map_size, profile, normalize, bridge
        Of the maps: see `gmaps.encode`, where `map_size` is called `size`.
    dtype
        How maps are kept: "float16", "float32" or "uint8".
    layout
        "packed": maps of distances take half the room, read through gmaps or its Zarr codec. "plain": Zarr's own
        codecs only.
    overwrite
        Replace a store that was built from something else, once the new one is finished.
    dry_run
        Write nothing; return the plan with an estimate.
    max_rejects
        How many frames may be rejected: a count, a share below 1, or "1%". The build finishes either way.
    progress
        Show progress on stderr.
    shard_samples
        Rows in a shard.
    memory
        What all processes together may take: bytes, or like "8GB", or "50%" of this machine's. Fewer workers are
        started where more would not fit.
    part
        (K, N): make only every N-th shard, from the K-th on, of a store that several machines build on one file
        system. `finalize` makes a store of the parts.
    staging
        For a store in an object store: the directory in which shards wait for their upload, by default the current.

    Returns
    -------
    BuildReport
        Or the `Plan`, when `dry_run`.

    Raises
    ------
    UsageError
        Parameters that cannot be met.
    DatasetError
        The data set cannot be read.
    FingerprintError
        The store, or its unfinished part, was built from something else: the message says what.
    StoreLockedError
        Another process builds this store.
    DiskFullError
        All finished shards are kept.
    """
    started = time.monotonic()
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(f"a worker process imports the script that builds: {GUARD}")
    allowed, budget = _parse_limit(max_rejects), parse_memory(memory)
    if isinstance(dataset, str):
        source = load_dataset(dataset, root, split=split, **(dataset_options or {}))
    elif root is not None or dataset_options:
        raise UsageError("root and dataset_options go with the name of a data set, not with a data set")
    else:
        source = dataset
    plan = make_plan(
        source,
        f"{source.info.name}.zarr" if out is None else out,
        MapParams(tuple(maps), map_size, profile, normalize, bridge),
        workers=workers,
        limit=limit,
        center=os.fspath(center),
        half_side=half_side,
        crop_size=crop_size,
        projection=projection,
        dtype=dtype,
        layout=layout,
        shard_samples=shard_samples,
        staging=staging,
    )
    if dry_run:
        estimate = probe(plan, source)
        return replace(plan, estimate=estimate, workers=clamp_workers(plan, estimate, budget))
    make = partial(make_missing, plan, source, scheduler, budget, progress)
    if part is not None:
        _check_part(plan, part, overwrite)
        report = finished_report(plan, started, False)
        if report is None:
            with part_lock(plan.out, part, partial(open_ledger, plan)) as ledger:
                report = _build_part(plan, part, ledger, started, make)
    elif plan.remote:
        report = build_there(plan, started, overwrite, make)
    else:
        with build_lock(plan.out):
            report = finished_report(plan, started, overwrite) or _build(plan, started, overwrite, make)
    return replace(report, rejected_over_limit=report.rejected > allowed(report.frames))


def _parse_limit(value: str | float) -> Any:
    """`max_rejects` as a function of the number of frames."""
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = -1.0
    share = number / 100 if text.endswith("%") else number
    if not 0 <= number < float("inf") or (text.endswith("%") and share > 1):
        raise UsageError(f"max_rejects is a number of frames, a share below 1, or like '1%', not {value!r}")
    if text.endswith("%") or share < 1:
        return lambda frames: share * frames
    return lambda frames: share


#: `make_missing` but for the ledger and the wanted shards.
_Make = Callable[[Ledger, Sequence[int]], int]


def make_missing(
    plan: Plan,
    dataset: DataSet,
    scheduler: str | None,
    budget: int | None,
    show: bool,
    ledger: Ledger,
    wanted: Sequence[int],
) -> int:
    """Makes the wanted shards that the ledger lacks, and records each; returns how many there were.

    Raises
    ------
    KeyboardInterrupt
        Its text says how many shards are kept.
    """
    job = plan.job
    damaged = ledger.drop_damaged()
    todo = [k for k in wanted if k not in ledger.records]
    rows = sum(len(job.shard_rows(k)) for k in wanted)
    before = rows - sum(len(job.shard_rows(k)) for k in todo)
    with Progress(rows, before, show) as bar:
        if before:
            bar.say(f"{plan.out}: going on after {len(wanted) - len(todo)} of {len(wanted)} shards")
        for problem in damaged:
            bar.say(f"made again: {problem}")
        if not todo:
            return 0
        # Compiled here, so that no worker has to; and a full disk is better met now than in the night.
        warm_up(job.maps, dataset.skeleton)
        estimate = probe(plan, dataset)
        workers = clamp_workers(plan, estimate, budget)
        if workers < min(plan.workers, len(todo)) and scheduler is None:
            bar.say(f"{workers} workers: more would not fit into the memory allowed")
        # Where shards are uploaded, only some of them are here at a time.
        check_space(plan, estimate, min(len(todo), WAITING + max(workers, 1)) if plan.remote else len(todo))
        watch = Watch(plan, estimate, workers)
        try:
            for record in make_shards(replace(plan, workers=workers), dataset, todo, scheduler):
                ledger.add(record)
                bar.update(record.rows)
                watch.check(sum(k not in ledger.records for k in todo))
        except KeyboardInterrupt:
            done = f"{sum(k in ledger.records for k in wanted)} of {len(wanted)} shards are kept"
            raise KeyboardInterrupt(f"stopped: {done}. Run the same command again to go on") from None
    return len(todo)


def _build(plan: Plan, started: float, overwrite: bool, make: _Make) -> BuildReport:
    ledger = open_ledger(plan, overwrite)
    ledger.take_parts()
    remove_temporaries(plan.partial)
    shards = range(plan.job.shards)
    resumed = bool(ledger.records)
    made = make(ledger, shards)
    records = [ledger.records[k] for k in shards]
    size = finish_store(plan.partial, **finish_arguments(plan, records))
    publish(plan)
    return make_report(plan, plan.out, records, started, made, size, resumed)


def _build_part(plan: Plan, part: Part, whole: Ledger, started: float, make: _Make) -> BuildReport:
    k, n = part
    ledger = Ledger(plan.partial, part_ledger(part))
    if ledger.fingerprint != plan.fingerprint:
        ledger.start(plan.fingerprint)
    wanted = range(k - 1, plan.job.shards, n)
    # What a build of the whole had finished before it was split need not be made again.
    whole.take_parts()
    ledger.records = {i: r for i, r in whole.records.items() if i in wanted} | ledger.records
    resumed = bool(ledger.records)
    made = make(ledger, wanted)
    records = [ledger.records[i] for i in wanted]
    size = sum(f.size for record in records for f in record.files)
    return replace(make_report(plan, plan.partial, records, started, made, size, resumed), part=f"{k}/{n}")


def _check_part(plan: Plan, part: Part, overwrite: bool) -> None:
    k, n = part
    check_shared(plan)
    if not 1 <= k <= n:
        raise UsageError(f"a part is K/N with K from 1 to N, got {k}/{n}")
    if overwrite:
        raise UsageError("a part replaces nothing: run `gmaps plan --overwrite` first, then the parts")


def check_shared(plan: Plan) -> None:
    """A build in parts needs files that all its machines see.

    Raises
    ------
    UsageError
        For a store in an object store.
    """
    if plan.remote:
        raise UsageError(f"{plan.remote}: parts need a file system that all machines share; build there, then copy")
