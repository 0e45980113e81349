"""Where a store lies: finished, unfinished under another name, and how the one becomes the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gmaps.errors import CorruptStoreError, FingerprintError, StoreError
from gmaps.pipeline.fingerprint import differences
from gmaps.pipeline.ledger import LEDGER, ROW, Ledger, ShardRecord
from gmaps.pipeline.plan import Plan
from gmaps.pipeline.report import BuildReport
from gmaps.store.file_records import read_checksums
from gmaps.store.local import Store
from gmaps.store.opening import open_store
from gmaps.store.ours import MARK, remove_tree
from gmaps.store.writer import CHECKSUMS, disk_errors, write_file

#: In an unfinished store: from what arguments it is built, so that parts of it can be built elsewhere.
PLAN = "plan.json"


def finished_report(plan: Plan, started: float, overwrite: bool) -> BuildReport | None:
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
    compare(store.attributes["fingerprint_of"], plan, f"{out} was built from something else")
    _clear(plan)  # a crash may have come between the last steps of its build
    size = sum(r.size for r in read_checksums(out)) + (out / CHECKSUMS).stat().st_size
    return complete_report(plan, store, out, size, started)


def complete_report(plan: Plan, store: Store, path: object, size: int, started: float) -> BuildReport:
    """The report of a store to which nothing had to be done."""
    counts = store.attributes["counts"]
    return BuildReport(
        path=str(path),
        frames=len(store),
        rejected=counts["rejected"],
        joints_outside=counts["joints_outside"],
        shards_total=plan.job.shards,
        shards_done_now=0,
        seconds=time.monotonic() - started,
        frames_per_second=0.0,
        bytes=size,
        resumed=True,
        rejects=store.rejects,
    )


def compare(old: dict[str, Any], plan: Plan, what: str) -> None:
    """Raises `FingerprintError` when something was built from something else than what is planned."""
    if old != plan.spec.fingerprint:
        changes = "; ".join(differences(old, plan.spec.fingerprint))
        raise FingerprintError(f"{what} ({changes}). Choose another --out, or --overwrite to replace it")


def open_ledger(plan: Plan, overwrite: bool = False) -> Ledger:
    """The ledger to go on with: that of an interrupted build of the same, or a new one; while the lock is held.

    Raises
    ------
    FingerprintError
        An unfinished build of something else is there.
    StoreError
        Something is there that no build of ours left.
    """
    ledger = Ledger(plan.partial)
    if ledger.fingerprint is not None and not overwrite:
        what = f"{plan.partial} is the unfinished part ({len(ledger.records)} shards) of a build from something else"
        compare(ledger.fingerprint, plan, what)
    if ledger.fingerprint != plan.spec.fingerprint:
        with disk_errors(plan.partial):
            if ledger.fingerprint is None:
                check_ours(ledger)
            remove_tree(plan.partial, LEDGER)
            plan.partial.mkdir(parents=True)
        ledger = Ledger(plan.partial)
        ledger.start(plan.spec.fingerprint)
    write_file(plan.partial, PLAN, plan.spec.to_json().encode())
    return ledger


def finish_arguments(plan: Plan, records: Sequence[ShardRecord]) -> dict[str, Any]:
    """What `finish_store` needs to know, from all shards in order."""
    job = plan.job
    rejects = [r for record in records for r in record.rejects]
    counts = {"rejected": len(rejects), "joints_outside": sum(r.joints_outside for r in records)}
    return {
        "layout": plan.arrays,
        "rows": job.rows,
        "shard_samples": job.shard_samples,
        "attributes": plan.spec.attributes | {"counts": counts},
        "rejects": rejects,
        "shards": [f for record in records for f in record.files],
    }


def check_ours(ledger: Ledger) -> None:
    """Refuse to replace a directory that a build may not have made: nothing in it says so.

    Raises
    ------
    StoreError
        With what is in it.
    """
    root = ledger.root
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        raise StoreError(f"{root} is in the way, and no build of ours made it: move it away")
    inside = sorted(p.name for p in root.iterdir()) if root.exists() else []
    # A build that was killed while it wrote its very first line.
    begun = [ledger.path.name] if not ledger.headless else []
    if inside not in ([], begun):
        if ledger.headless:
            raise StoreError(
                f"the first line of {ledger.path} is damaged, so that nothing tells of what {root} is the unfinished "
                "part: restore that line, or move the directory away to begin anew"
            )
        raise StoreError(f"{root} is there already, and holds what no build of ours left ({inside[0]}): move it away")


def publish(plan: Plan) -> None:
    """Gives the finished store its name; what bore it before is removed last."""
    with disk_errors(plan.out):
        if plan.out.exists():
            _clear_old(plan)
            old = _old(plan)
            if old.exists() or old.is_symlink():
                raise StoreError(f"{old} is in the way, and no build of ours left it: move it away, and go on")
            (plan.out / MARK).touch()
            plan.out.rename(old)
        plan.partial.rename(plan.out)
    _clear(plan)


def _clear(plan: Plan) -> None:
    """Removes what a finished store needs no more."""
    with disk_errors(plan.out):
        for name in (LEDGER, PLAN, MARK):
            (plan.out / name).unlink(missing_ok=True)
        for path in (*plan.out.glob("ledger.part-*.jsonl"), *plan.out.glob(f"ledger*{ROW}")):
            path.unlink()
        _clear_old(plan)


def _clear_old(plan: Plan) -> None:
    """Removes the store that was replaced; what merely bears its name stays."""
    old = _old(plan)
    if (old / MARK).is_file() or (old.is_dir() and not old.is_symlink() and not any(old.iterdir())):
        remove_tree(old, MARK)


def _old(plan: Plan) -> Path:
    return plan.out.with_name(plan.out.name + ".deleting")
