"""A build that several machines share without a scheduler: planned once, made in parts, finished once.

    gmaps plan --dataset msra --out /shared/msra.zarr
    gmaps build --part K/N --out /shared/msra.zarr      on each of N machines
    gmaps finalize --out /shared/msra.zarr

All of them see one file system. A plan lies in the unfinished store, with the arguments of the build.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gmaps.datasets import load_dataset
from gmaps.errors import StoreError
from gmaps.pipeline.ledger import Ledger
from gmaps.pipeline.lock import build_lock
from gmaps.pipeline.plan import Plan
from gmaps.pipeline.publish import PLAN, open_ledger
from gmaps.pipeline.report import BuildReport
from gmaps.pipeline.run import build, check_shared


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
    plan = build(*arguments, dry_run=True, **options)
    if not isinstance(plan, Plan):
        raise TypeError("a dry run gives a plan")
    check_shared(plan)
    if plan.out.exists():
        raise StoreError(f"{plan.out} is there already: remove it, or choose another --out")
    with build_lock(plan.out):
        open_ledger(plan, overwrite)
    return plan


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
        Nothing is planned there.
    """
    path = Path(f"{os.fspath(out)}.partial") / PLAN
    try:
        recipe = json.loads(path.read_text())
        spec = recipe.pop("dataset")
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"{path}: no plan can be read there ({error}); make one with `gmaps plan --out {out}` and the options of "
            "`gmaps build`"
        ) from error
    if root is not None:
        spec["root"] = os.fspath(root)
    return {"dataset": load_dataset(**spec), "out": out, **recipe}


def finalize(
    out: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    max_rejects: str | float = "1%",
    progress: bool = True,
) -> BuildReport:
    """Make a store of the parts of a planned build.

    Parameters
    ----------
    out
        The store.
    root, max_rejects, progress
        As for `planned` and `build`.

    Raises
    ------
    StoreError
        Nothing is planned there, or shards are missing; the message says how many, and the first of them.
    StoreLockedError
        A part is still being built.
    """
    arguments = planned(out, root)
    plan = build(**arguments, dry_run=True)
    if not isinstance(plan, Plan):
        raise TypeError("a dry run gives a plan")
    ledger = Ledger(plan.partial)
    ledger.take_parts()
    missing = [k for k in range(plan.job.shards) if k not in ledger.records]
    if missing:
        shown = ", ".join(str(k + 1) for k in missing[:8]) + (", ..." if len(missing) > 8 else "")
        raise StoreError(
            f"{plan.out}: {len(missing)} of {plan.job.shards} shards are not made yet ({shown}). Part K/N makes the "
            "K-th, the (K+N)-th and so on: run the parts that are missing, or `gmaps build` with the plan's options, "
            "which makes all that is left"
        )
    report = build(**arguments, workers=0, max_rejects=max_rejects, progress=progress)
    if not isinstance(report, BuildReport):
        raise TypeError("a build gives a report")
    return report
