"""Making the shards that are missing, and of all of them a store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from gmaps.errors import UsageError
from gmaps.maps import warm_up
from gmaps.pipeline.dispatch import Suspicion, make_shards
from gmaps.pipeline.ledger import ROW, Ledger, Part, part_ledger
from gmaps.pipeline.lock import build_lock, part_lock
from gmaps.pipeline.plan import Plan
from gmaps.pipeline.probe import Watch, check_space, clamp_workers, probe
from gmaps.pipeline.progress import Progress
from gmaps.pipeline.publish import finish_arguments, finished_report, open_ledger, publish
from gmaps.pipeline.report import BuildReport, make_report
from gmaps.pipeline.source import CropSource
from gmaps.pipeline.suspects import RowNote
from gmaps.pipeline.upload import WAITING
from gmaps.pipeline.worker import Job
from gmaps.store.writer import finish_store, remove_temporaries

#: `make_missing` but for the ledger and the wanted shards.
Make = Callable[[Ledger, Sequence[int]], int]


def make_missing(
    plan: Plan,
    source: CropSource,
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
    damaged = ledger.drop_misfits(job.layout, [job.shard_rows(k) for k in range(job.shards)])
    damaged += ledger.drop_damaged()
    note = RowNote(ledger.path.with_suffix(ROW))
    last = note.left()
    todo = [k for k in wanted if k not in ledger.records]
    rows = sum(len(job.shard_rows(k)) for k in wanted)
    before = rows - sum(len(job.shard_rows(k)) for k in todo)
    with Progress(rows, before, show) as bar:
        if before:
            bar.say(f"{plan.out}: going on after {len(wanted) - len(todo)} of {len(wanted)} shards")
        for problem in damaged:
            bar.say(f"made again: {problem}")
        if last is not None:
            bar.say(f"the last run ended without a word at row {last}: it is made in a process of its own")
        if not todo:
            ledger.notes = _changed_frames(job, source, ledger, wanted)
            return 0
        # Compiled here, so that no worker has to; and a full disk is better met now than in the night.
        warm_up(job.maps, source.skeleton)
        estimate = probe(plan, source)
        workers = clamp_workers(plan, estimate, budget)
        if workers < min(plan.workers, len(todo)) and scheduler is None:
            bar.say(f"{workers} workers: more would not fit into the memory allowed")
        # Where shards are uploaded, only some of them are here at a time.
        check_space(plan, estimate, min(len(todo), WAITING + max(workers, 1)) if plan.remote else len(todo))
        watch = Watch(plan, estimate, workers)
        suspicion = Suspicion(frozenset((*estimate.deadly, *([] if last is None else [last]))), note, bar.say)
        try:
            plan = replace(plan, workers=workers, estimate=estimate)
            for record in make_shards(plan, source, todo, scheduler, suspicion):
                ledger.add(record)
                bar.update(record.rows)
                watch.check(sum(k not in ledger.records for k in todo))
        except KeyboardInterrupt:
            done = f"{sum(k in ledger.records for k in wanted)} of {len(wanted)} shards are kept"
            raise KeyboardInterrupt(f"stopped: {done}. Run the same command again to go on") from None
    ledger.notes = _changed_frames(job, source, ledger, wanted)
    return len(todo)


def _changed_frames(job: Job, source: CropSource, ledger: Ledger, wanted: Sequence[int]) -> list[str]:
    """A note of shards whose frames were written to since they were made, while labels are the same.

    No refusal: files that were copied or touched look so, too.
    """
    made = [ledger.records[k] for k in wanted]
    changed = [r.shard for r in made if r.frames and r.frames != source.frames_digest(job.shard_rows(r.shard))]
    if not changed:
        return []
    rows = job.shard_rows(changed[0])
    return [
        f"files of frames have changed since they were read, in {len(changed)} of {len(made)} shards, the first with "
        f"rows {rows.start} to {rows.stop - 1}: if their pixels have, build anew with --overwrite"
    ]


def build_here(plan: Plan, started: float, overwrite: bool, make: Make) -> BuildReport:
    """Makes a store on this machine's file systems, or finds that it is there."""
    with build_lock(plan.out):
        return finished_report(plan, started, overwrite) or _build(plan, started, overwrite, make)


def _build(plan: Plan, started: float, overwrite: bool, make: Make) -> BuildReport:
    begun = plan.partial.exists()
    ledger = open_ledger(plan, overwrite)
    ledger.take_parts()
    remove_temporaries(plan.partial)
    shards = range(plan.job.shards)
    resumed = bool(ledger.records)
    try:
        made = make(ledger, shards)
    except BaseException:
        if not begun and not ledger.records:
            shutil.rmtree(plan.partial, ignore_errors=True)  # nothing is in it, and it would be in the way
        raise
    records = [ledger.records[k] for k in shards]
    size = finish_store(plan.partial, **finish_arguments(plan, records))
    publish(plan)
    report = make_report(plan, plan.out, records, started, made, size, resumed)
    return replace(report, notes=ledger.notes, assembled=made == 0)


def build_part(plan: Plan, part: Part, overwrite: bool, started: float, make: Make) -> BuildReport:
    """Makes one part of a store that several machines build; see `gmaps.pipeline.parts`."""
    k, n = part
    check_shared(plan)
    if not 1 <= k <= n:
        raise UsageError(f"a part is K/N with K from 1 to N, got {k}/{n}")
    if overwrite:
        raise UsageError("a part replaces nothing: run `gmaps plan --overwrite` first, then the parts")
    report = finished_report(plan, started, False)
    if report is None:
        with part_lock(plan.out, part, partial(open_ledger, plan)) as ledger:
            report = _make_part(plan, part, ledger, started, make)
    return report


def _make_part(plan: Plan, part: Part, whole: Ledger, started: float, make: Make) -> BuildReport:
    k, n = part
    ledger = Ledger(plan.partial, part_ledger(part))
    if ledger.fingerprint != plan.spec.fingerprint:
        ledger.start(plan.spec.fingerprint)
    wanted = range(k - 1, plan.job.shards, n)
    # What a build of the whole had finished before it was split need not be made again.
    whole.take_parts()
    ledger.records = {i: r for i, r in whole.records.items() if i in wanted} | ledger.records
    resumed = bool(ledger.records)
    made = make(ledger, wanted)
    records = [ledger.records[i] for i in wanted]
    size = sum(f.size for record in records for f in record.files)
    return replace(
        make_report(plan, plan.partial, records, started, made, size, resumed), part=f"{k}/{n}", notes=ledger.notes
    )


def check_shared(plan: Plan) -> None:
    """A build in parts needs files that all its machines see.

    Raises
    ------
    UsageError
        For a store in an object store.
    """
    if plan.remote:
        raise UsageError(f"{plan.remote}: parts need a file system that all machines share; build there, then copy")
