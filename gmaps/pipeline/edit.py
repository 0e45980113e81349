"""Adding map kinds to a finished store, and removing them.

Maps are functions of a crop and its joints, both of which a store has: no data set is needed. What is added is made
as a build makes it, by the same workers and with the same ledger, in `<store>.adding` beside the store; it moves in
whole, and becomes visible in one step. The store is then, to the byte, the one that a build of all its kinds would
have made.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gmaps.errors import FingerprintError, GmapsError, StoreError, UsageError, unknown_name
from gmaps.maps import fingerprint
from gmaps.pipeline.dispatch import check_process
from gmaps.pipeline.fingerprint import differences
from gmaps.pipeline.ledger import LEDGER, Ledger
from gmaps.pipeline.lock import build_lock
from gmaps.pipeline.make import make_missing
from gmaps.pipeline.plan import Plan, cores, resolve_store
from gmaps.pipeline.probe import parse_memory
from gmaps.pipeline.progress import format_bytes, format_seconds
from gmaps.pipeline.publish import check_ours
from gmaps.pipeline.spec import BuildSpec
from gmaps.pipeline.stored_crops import StoredCrops
from gmaps.store.add_remove import add_arrays, clear_leftovers, pending_removal, remove_arrays
from gmaps.store.local import Store
from gmaps.store.names import check_kind, is_plain
from gmaps.store.object_store import is_remote, local_path
from gmaps.store.opening import open_store
from gmaps.store.ours import remove_tree
from gmaps.store.writer import disk_errors, remove_temporaries

#: Ends the name of the directory in which an addition is made.
ADDING = ".adding"


@dataclass(frozen=True)
class ChangeReport:
    """What an addition or a removal did.

    Parameters
    ----------
    path
        The store.
    added, removed
        The kinds.
    maps
        All kinds of the store now.
    frames
        Rows of the store.
    shards_total, shards_done_now
        Shards of each added array, and those that this run made.
    seconds
        Of this run.
    bytes
        How much larger or smaller the store is.
    """

    path: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    maps: tuple[str, ...]
    frames: int
    shards_total: int
    shards_done_now: int
    seconds: float
    bytes: int

    def summary(self) -> str:
        """A few lines for people."""
        if self.removed:
            did = f"removed {', '.join(self.removed)}, {format_bytes(self.bytes)}"
        else:
            did = f"added {', '.join(self.added)} to {self.frames:,} frames, {format_bytes(self.bytes)} "
            did += f"({self.shards_done_now} of {self.shards_total} shards in {format_seconds(self.seconds)})"
        return f"{self.path}: {did}\nmaps: {', '.join(self.maps)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def add_maps(
    path: str | os.PathLike[str],
    maps: Sequence[str],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    memory: str | float | None = None,
    progress: bool = True,
) -> ChangeReport:
    """Add map kinds to a finished store, with the store's own parameters.

    The same call goes on where an earlier one was stopped. Readers see the store without the new kinds until all of
    them are there.

    Parameters
    ----------
    path
        The store.
    maps
        The kinds.
    workers, scheduler, memory, progress
        As for `gmaps.build`.

    Raises
    ------
    UnknownNameError
        No such kind.
    UsageError
        A kind that the store has, or that cannot be kept as its other maps are.
    FingerprintError
        Another addition is unfinished, or this gmaps makes other values than the one that built the store.
    StoreLockedError
        The store is being built or changed.
    DiskFullError
        All finished shards are kept.
    """
    started = time.monotonic()
    check_process(workers, scheduler)
    budget = parse_memory(memory)
    maps = (maps,) if isinstance(maps, str) else tuple(maps)
    if workers is not None and workers < 0:
        raise UsageError(f"workers must be 0 (this process alone) or more, got {workers}")
    root = _local(path)
    open_store(root)  # a path that is none gets no lock beside it
    with build_lock(root):
        clear_leftovers(root)
        if pending := _kinds_of(pending_removal(root)):
            raise StoreError(
                f"{root}: a removal of {', '.join(pending)} was stopped; finish it first, with `gmaps store remove "
                f"{root} {' '.join(pending)}`"
            )
        source = StoredCrops(root)
        store = source.store
        if _was_finished(root, store, maps):
            seconds = time.monotonic() - started
            return ChangeReport(str(root), tuple(maps), (), store.maps, len(store), 0, 0, seconds, 0)
        plan = _plan(source, maps, cores() if workers is None else workers)
        ledger = _open(plan, store, maps)
        remove_temporaries(plan.partial)
        shards = range(plan.job.shards)
        made = make_missing(plan, source, scheduler, budget, progress, ledger, shards)
        records = [ledger.records[k] for k in shards]
        rejected = [r for record in records for r in record.rejects]
        if [r["row"] for r in rejected] != [r["row"] for r in store.rejects]:
            new = next(r for r in rejected if r["row"] not in {known["row"] for known in store.rejects})
            raise GmapsError(
                f"{root}: row {new['row']} ({new['name']}) cannot have these maps: {new['reason']}. "
                "Build a store of all kinds instead"
            )
        files = [f for record in records for f in record.files]
        job = plan.job
        attributes = plan.spec.attributes
        add_arrays(root, plan.partial, plan.arrays, store.names, job.rows, job.shard_samples, attributes, files)
        with disk_errors(root):
            remove_tree(plan.partial, LEDGER)
    return ChangeReport(
        str(root), tuple(maps), (), open_store(root).maps, len(store), len(records), made,
        time.monotonic() - started, sum(f.size for f in files),
    )  # fmt: skip


def remove_maps(path: str | os.PathLike[str], maps: Sequence[str]) -> ChangeReport:
    """Remove map kinds from a finished store, or drop their unfinished addition.

    Parameters
    ----------
    path
        The store.
    maps
        The kinds.

    Raises
    ------
    UnknownNameError
        The store has no such kind.
    UsageError
        What is named can be no kind, or none would be left.
    StoreLockedError
        The store is being built or changed.
    """
    started = time.monotonic()
    maps = (maps,) if isinstance(maps, str) else tuple(maps)
    for kind in maps:
        check_kind(kind)
    root = _local(path)
    open_store(root)
    with build_lock(root):
        clear_leftovers(root)
        store = open_store(root)
        _was_finished(root, store, ())
        staged, pending = unfinished_addition(root), _kinds_of(pending_removal(root))
        for kind in maps:
            left_behind = any((root / name).is_dir() for name in _arrays_of([kind]))
            if kind not in {*store.maps, *staged, *pending} and not left_behind:
                raise unknown_name(f"map in {root}", kind, store.maps)
        dropped = staged if any(kind in staged for kind in maps) else []
        going = list(dict.fromkeys([*maps, *dropped, *pending]))
        kinds = [k for k in store.maps if k not in going]
        if not kinds:
            raise UsageError(f"{root}: a store has at least one kind of map; there would be none left")
        if dropped:
            with disk_errors(root):
                remove_tree(_stage(root), LEDGER)
        gone = _arrays_of(going)
        kept = [name for name in store.names if name not in gone]
        spec = BuildSpec.of_store(store, kinds)
        freed = remove_arrays(root, gone, kept, len(store), spec.shard_samples, spec.attributes)
    return ChangeReport(str(root), (), tuple(maps), tuple(kinds), len(store), 0, 0, time.monotonic() - started, freed)


def unfinished_addition(path: str | os.PathLike[str]) -> list[str]:
    """Kinds whose addition to a store was stopped before its end."""
    if is_remote(path):
        return []
    root = _local(path)
    return [k for k in _kinds_made(Ledger(_stage(root))) if k not in open_store(root).maps]


def unfinished_removal(path: str | os.PathLike[str]) -> list[str]:
    """Kinds whose removal from a store was stopped before its end."""
    return [] if is_remote(path) else _kinds_of(pending_removal(_local(path)))


def _stage(root: Path) -> Path:
    return root.with_name(root.name + ADDING)


def _arrays_of(kinds: Sequence[str]) -> list[str]:
    return [f"maps/{kind}{end}" for kind in kinds for end in ("", "_scale")]


def _kinds_of(arrays: Sequence[str]) -> list[str]:
    """The kinds of which `_arrays_of` gives these."""
    names = [name.removeprefix("maps/") for name in arrays]
    return [k for k in names if not (k.endswith("_scale") and k.removesuffix("_scale") in names)]


def _kinds_made(ledger: Ledger) -> list[str]:
    """Kinds that an addition of this ledger makes, if it says so."""
    made = (ledger.fingerprint or {}).get("maps")
    kinds = made.get("maps") if isinstance(made, dict) else None
    return [k for k in kinds if is_plain(k)] if isinstance(kinds, list) else []


def _was_finished(root: Path, store: Store, maps: Sequence[str]) -> bool:
    """Whether these kinds came by an addition that was stopped at its very last step, which is made up for."""
    stage = _stage(root)
    ours = Ledger(stage).fingerprint == store.attributes["fingerprint_of"]
    with disk_errors(stage):
        if ours or (stage.is_dir() and not any(stage.iterdir())):
            remove_tree(stage, LEDGER)
    return ours and all(kind in store.maps for kind in maps)


def _local(path: str | os.PathLike[str]) -> Path:
    """The store's path, absolute.

    Raises
    ------
    UsageError
        For a store in an object store.
    """
    if is_remote(path):
        raise UsageError(f"{path}: only a store on this machine's file systems can be changed")
    return resolve_store(local_path(path))


def _plan(source: StoredCrops, maps: Sequence[str], workers: int) -> Plan:
    """A build of the new arrays alone, from the store's crops."""
    store = source.store
    changed = differences(store.attributes["fingerprint_of"]["versions"], fingerprint(), "versions")
    if changed:
        raise FingerprintError(
            f"{store.path} was built by a gmaps that makes other values ({'; '.join(changed)}): build it again"
        )
    present = [kind for kind in BuildSpec.of_store(store).maps.maps if kind not in maps]
    spec = BuildSpec.of_store(store, [*present, *maps])
    return Plan(spec, Path(store.path), workers, stage=ADDING, kinds=tuple(maps))


def _open(plan: Plan, store: Store, maps: Sequence[str]) -> Ledger:
    """The ledger to go on with, or a new one; while the lock is held."""
    stage, root = plan.partial, plan.out
    ledger = Ledger(stage)
    here = [kind for kind in maps if kind in store.maps]
    if here:
        raise UsageError(f"{root} has {', '.join(here)} already")
    if ledger.fingerprint not in (None, plan.spec.fingerprint):
        pending = " ".join(k for k in _kinds_made(ledger) if k not in store.maps)
        raise FingerprintError(
            f"{stage} is an unfinished addition of something else: finish it with `gmaps store add {root} "
            f"{pending}`, or drop it with `gmaps store remove {root} {pending}`"
        )
    for a in plan.arrays:
        # Moved in already when the last run was stopped, but not shown yet: back to where it is looked at.
        if (root / a.name).exists():
            if ledger.fingerprint is None:
                raise StoreError(
                    f"{root / a.name} is what an interrupted removal left behind: finish it with "
                    f"`gmaps store remove {root} {a.name.removeprefix('maps/')}`"
                )
            with disk_errors(stage):
                (stage / a.name).parent.mkdir(exist_ok=True)
                (root / a.name).rename(stage / a.name)
    if ledger.fingerprint is None:
        check_ours(ledger)
        with disk_errors(stage):
            stage.mkdir(exist_ok=True)
        ledger.start(plan.spec.fingerprint)
    return ledger
