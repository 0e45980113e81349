"""`build`: from a data set to a finished store."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gmaps.datasets import load_dataset
from gmaps.datasets.base import DataSet, Split
from gmaps.errors import CorruptStoreError, FingerprintError, StoreError, UsageError
from gmaps.frame import Projection
from gmaps.maps import DEFAULT_MAPS, MapParams, warm_up
from gmaps.maps.base import Normalize, Profile
from gmaps.pipeline.dispatch import make_shards
from gmaps.pipeline.fingerprint import differences
from gmaps.pipeline.ledger import LEDGER, Ledger, build_lock
from gmaps.pipeline.plan import Plan, make_plan
from gmaps.pipeline.probe import check_space, probe
from gmaps.pipeline.progress import Progress
from gmaps.pipeline.report import BuildReport
from gmaps.store.reader import open_store
from gmaps.store.schema import SHARD_SAMPLES
from gmaps.store.verify import read_checksums
from gmaps.store.writer import CHECKSUMS, finish_store, remove_temporaries


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
    overwrite: bool = False,
    dry_run: bool = False,
    max_rejects: str | float = "1%",
    progress: bool = True,
    dataset_options: dict[str, Any] | None = None,
    shard_samples: int = SHARD_SAMPLES,
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
    allowed = _parse_limit(max_rejects)
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
        shard_samples=shard_samples,
    )
    if dry_run:
        return replace(plan, estimate=probe(plan, source))
    with build_lock(plan.out):
        report = _finished(plan, started, overwrite) or _build(plan, source, started, scheduler, overwrite, progress)
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


def _finished(plan: Plan, started: float, overwrite: bool) -> BuildReport | None:
    """The report of a store that is there and is what was asked for.

    Raises
    ------
    FingerprintError
        It is there, and was built from something else.
    StoreError
        Something else is there.
    """
    out = plan.out
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        store = open_store(out)
    except CorruptStoreError:
        if overwrite and (out / CHECKSUMS).exists():
            return None
        raise
    except StoreError as error:
        # Never remove what we did not make.
        raise StoreError(f"{out} is there already, and is no gmaps store: choose another --out") from error
    if overwrite:
        return None
    _compare(store.attributes["fingerprint_of"], plan, f"{out} was built from something else")
    _clear(plan)  # a crash may have come between the last steps of its build
    counts = store.attributes["counts"]
    return BuildReport(
        path=str(out),
        frames=len(store),
        rejected=counts["rejected"],
        joints_outside=counts["joints_outside"],
        shards_total=plan.job.shards,
        shards_done_now=0,
        seconds=time.monotonic() - started,
        frames_per_second=0.0,
        bytes=sum(r.size for r in read_checksums(out)) + (out / CHECKSUMS).stat().st_size,
        resumed=True,
        rejects=store.rejects,
    )


def _compare(old: dict[str, Any], plan: Plan, what: str) -> None:
    if old != plan.fingerprint:
        changes = "; ".join(differences(old, plan.fingerprint))
        raise FingerprintError(f"{what} ({changes}). Use --overwrite to replace it, or another --out")


def _build(
    plan: Plan, dataset: DataSet, started: float, scheduler: str | None, overwrite: bool, show: bool
) -> BuildReport:
    ledger = _open_ledger(plan, overwrite)
    damaged = ledger.drop_damaged()
    remove_temporaries(plan.partial)
    job = plan.job
    todo = [k for k in range(job.shards) if k not in ledger.records]
    resumed = bool(ledger.records)
    before = sum(r.rows for r in ledger.records.values())
    with Progress(job.rows, before, show) as bar:
        if resumed:
            bar.say(f"{plan.out}: going on after {len(ledger.records)} of {job.shards} shards")
        for problem in damaged:
            bar.say(f"made again: {problem}")
        if todo:
            # Compiled here, so that no worker has to; and a full disk is better met now than in the night.
            warm_up(job.maps, dataset.skeleton)
            check_space(plan, probe(plan, dataset), before)
        try:
            for record in make_shards(plan, dataset, todo, scheduler):
                ledger.add(record)
                bar.update(record.rows)
        except KeyboardInterrupt:
            done = f"{len(ledger.records)} of {job.shards} shards are kept"
            raise KeyboardInterrupt(f"stopped: {done}. Run the same command again to go on") from None
        records = [ledger.records[k] for k in range(job.shards)]
        rejects = [r for record in records for r in record.rejects]
        outside = sum(r.joints_outside for r in records)
        attributes = plan.attributes | {"counts": {"rejected": len(rejects), "joints_outside": outside}}
        files = [f for record in records for f in record.files]
        size = finish_store(plan.partial, job.layout, job.rows, job.shard_samples, attributes, rejects, files)
        _publish(plan)
    seconds = time.monotonic() - started
    return BuildReport(
        path=str(plan.out),
        frames=job.rows,
        rejected=len(rejects),
        joints_outside=outside,
        shards_total=job.shards,
        shards_done_now=len(todo),
        seconds=seconds,
        frames_per_second=(job.rows - before) / seconds,
        bytes=size,
        resumed=resumed,
        rejects=rejects,
    )


def _open_ledger(plan: Plan, overwrite: bool) -> Ledger:
    """The ledger to go on with: that of an interrupted build of the same, or a new one."""
    ledger = Ledger(plan.partial)
    if ledger.fingerprint is not None and not overwrite:
        what = f"{plan.partial} is the unfinished part ({len(ledger.records)} shards) of a build from something else"
        _compare(ledger.fingerprint, plan, what)
    if ledger.fingerprint != plan.fingerprint:
        if plan.partial.exists():
            shutil.rmtree(plan.partial)
        plan.partial.mkdir(parents=True)
        ledger = Ledger(plan.partial)
        ledger.start(plan.fingerprint)
    return ledger


def _publish(plan: Plan) -> None:
    """Gives the finished store its name; what bore it before is removed last."""
    old = _old(plan)
    if plan.out.exists():
        if old.exists():
            shutil.rmtree(old)
        plan.out.rename(old)
    plan.partial.rename(plan.out)
    _clear(plan)


def _clear(plan: Plan) -> None:
    """Removes what a finished store needs no more."""
    (plan.out / LEDGER).unlink(missing_ok=True)
    old = _old(plan)
    if old.exists():
        shutil.rmtree(old)


def _old(plan: Plan) -> Path:
    return plan.out.with_name(plan.out.name + ".deleting")
