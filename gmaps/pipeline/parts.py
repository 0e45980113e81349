"""A build that several machines share without a scheduler: planned once, made in parts, finished once.

    gmaps plan --dataset msra --out /shared/msra.zarr
    gmaps build --part K/N --out /shared/msra.zarr      on each of N machines
    gmaps finalize --out /shared/msra.zarr

All of them see one file system. A plan lies in the unfinished store, with the arguments of the build.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from gmaps.datasets import list_datasets, loads_anywhere
from gmaps.errors import StoreError, UsageError
from gmaps.formats.regular import read_regular
from gmaps.pipeline.ledger import Ledger
from gmaps.pipeline.lock import build_lock
from gmaps.pipeline.make import check_shared
from gmaps.pipeline.plan import Plan, resolve_store
from gmaps.pipeline.publish import PLAN, complete_report, finish_arguments, open_ledger, publish
from gmaps.pipeline.report import BuildReport, make_report, parse_max_rejects
from gmaps.pipeline.run import plan
from gmaps.pipeline.spec import BuildSpec
from gmaps.store import open_store
from gmaps.store.file_records import read_checksums
from gmaps.store.writer import CHECKSUMS, finish_store


def prepare(*arguments: Any, overwrite: bool = False, **options: Any) -> Plan:
    """Plan a build, and lay the plan down beside its store for parts of it to be built anywhere.

    Parameters
    ----------
    *arguments, **options
        As for `build`.
    overwrite
        Drop an unfinished build of something else that is in the way. A finished store is not touched.

    Returns
    -------
    Plan
        With an estimate.

    Raises
    ------
    FingerprintError
        An unfinished build of something else is there.
    """
    made = plan(*arguments, **options)
    check_shared(made)
    name = made.spec.source["dataset"]["name"]
    if not loads_anywhere(name) and name not in list_datasets():
        raise UsageError(
            f"the parts of a build are made by other processes, which know no data set {name!r}: name it as "
            "module:factory"
        )
    if made.out.exists():
        raise StoreError(f"{made.out} is there already: choose another --out, or remove it")
    with build_lock(made.out):
        open_ledger(made, overwrite)
    return made


def planned(out: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """The arguments of a planned build, for `build`.

    Parameters
    ----------
    out
        The store that was planned.
    root
        Where the data set is on this machine, if elsewhere than where it was planned.

    Returns
    -------
    dict
        Keyword arguments of `build`.

    Raises
    ------
    StoreError
        Nothing is planned there; or code is to be run, and somebody else may have written so.
    """
    spec = _read_plan(out)[0]
    _check_author(Path(f"{resolve_store(out)}.partial") / PLAN, spec.source["dataset"]["name"])
    options = dict(spec.source["dataset"])
    where = {"dataset": options.pop("name"), "root": options.pop("root", None), "split": options.pop("split", "all")}
    if root is not None:
        where["root"] = os.fspath(root)
    return {**where, "dataset_options": options, "out": out, **spec.arguments()}


def _check_author(path: Path, name: str) -> None:
    """A plan names a data set. Where that is code of one's own, nobody else may be able to say which.

    Raises
    ------
    StoreError
        Another user wrote the plan, or can write where it lies.
    """
    if ":" not in name:
        return
    for place in (path, path.parent):
        found = os.lstat(place)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022 or stat.S_ISLNK(found.st_mode):
            raise StoreError(
                f"{path} says to run {name}, and {place} is not yours alone to write: plan the build anew, or build "
                "with --dataset and all options of the plan"
            )


def _read_plan(out: str | os.PathLike[str]) -> tuple[BuildSpec, Path]:
    """What was planned, and the final path of its store."""
    store = resolve_store(out)
    path = Path(f"{store}.partial") / PLAN
    try:
        return BuildSpec.from_json(read_regular(path).decode()), store
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise StoreError(
            f"{path}: no plan can be read there ({error}); make one with `gmaps plan --out {out}` and the options of "
            "`gmaps build`"
        ) from error


def finalize(
    out: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    max_rejects: str | float = "1%",
    progress: bool = True,
) -> BuildReport:
    """Make a store of the parts of a planned build, from its plan and its ledgers alone: no frame is read.

    Parameters
    ----------
    out
        The store.
    root, progress
        Not looked at any more: neither the data set is opened, nor is there anything to wait for.
    max_rejects
        As for `build`.

    A store that was finished before, and is planned no more, is reported as complete.

    Raises
    ------
    StoreError
        Nothing is planned there, or shards are missing or damaged; the message says how many, and the first of them.
    StoreLockedError
        A part is still being built.
    """
    started = time.monotonic()
    over = parse_max_rejects(max_rejects)
    store = resolve_store(out)
    if store.exists() and not (Path(f"{store}.partial") / PLAN).exists():
        return over(_complete(store, started))
    spec, store = _read_plan(out)
    made = Plan(spec, store, workers=0)
    with build_lock(store):
        if store.exists():
            raise StoreError(f"{store} is there already: move it away, then run the same command again")
        ledger = Ledger(made.partial)
        if ledger.fingerprint not in (None, spec.fingerprint):
            raise StoreError(f"{made.partial}: its plan and its shards do not belong together: plan it anew")
        ledger.fingerprint = spec.fingerprint
        ledger.take_parts()
        job = made.job
        damaged = ledger.drop_misfits(job.layout, [job.shard_rows(k) for k in range(job.shards)])
        damaged += ledger.drop_damaged()
        shards = range(made.job.shards)
        _refuse_missing(made, [k for k in shards if k not in ledger.records], damaged)
        records = [ledger.records[k] for k in shards]
        size = finish_store(made.partial, **finish_arguments(made, records))
        publish(made)
        report = make_report(made, store, records, started, 0, size, True)
        return over(replace(report, assembled=True))


def _complete(path: Path, started: float) -> BuildReport:
    """The report of a store that was finished before."""
    store = open_store(path)
    size = sum(r.size for r in read_checksums(path)) + (path / CHECKSUMS).stat().st_size
    return complete_report(Plan(BuildSpec.of_store(store), path, workers=0), store, path, size, started)


def _refuse_missing(plan: Plan, missing: list[int], damaged: list[str]) -> None:
    if not missing:
        return
    shown = ", ".join(str(k + 1) for k in missing[:8]) + (", ..." if len(missing) > 8 else "")
    broken = f"; {len(damaged)} are damaged, the first: {damaged[0]}" if damaged else ""
    raise StoreError(
        f"{plan.out}: {len(missing)} of {plan.job.shards} shards are not made yet ({shown}){broken}. Part K/N makes "
        "the K-th, the (K+N)-th and so on: run the parts that are missing, or `gmaps build` with the plan's options, "
        "which makes all that is left"
    )
