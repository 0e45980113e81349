"""Builds into an object store.

Shards are made on this machine, in a directory of its own, and uploaded one by one as they are finished; what has
arrived is recorded and removed here. The group's `zarr.json` is uploaded last, so that the store is there when it is
whole. A file that marks the place as ours says, until then, where the build goes on.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from types import TracebackType
from typing import Any

from gmaps.errors import CorruptStoreError, StoreError, StoreLockedError
from gmaps.pipeline.ledger import LEDGER, Ledger, ShardRecord
from gmaps.pipeline.lock import build_lock
from gmaps.pipeline.plan import Plan
from gmaps.pipeline.publish import compare, complete_report, finish_arguments, open_ledger
from gmaps.pipeline.report import BuildReport, make_report
from gmaps.store.file_records import check_file, read_checksums
from gmaps.store.object_store import Place
from gmaps.store.opening import open_store
from gmaps.store.ours import remove_tree
from gmaps.store.writer import CHECKSUMS, FileRecord, disk_errors, finish_store, remove_temporaries

#: Files that are uploaded at the same time.
THREADS = 16
#: Shards that may wait for their upload; the build then waits for it too, lest the disk fill.
WAITING = 8
#: What has arrived: one JSON line a file.
ARRIVED = "arrived.jsonl"
#: At the place itself, until the store is whole: who builds it, and where.
MARKER = ".gmaps-upload.json"
GROUP = "zarr.json"


class UploadLedger(Ledger):
    """A ledger whose shards are uploaded when they are finished. Leaving its `with` block stops uploads.

    Parameters
    ----------
    plan
        The build.
    place
        Where shards go.
    """

    def __init__(self, plan: Plan, place: Place) -> None:
        super().__init__(plan.partial)
        self.place = place
        self._pool = ThreadPoolExecutor(THREADS)
        self._running: dict[Future[None], FileRecord] = {}
        # Its lines are like a ledger's, and what a crash cut off counts as not written.
        self._log = Ledger(plan.partial, ARRIVED)
        if self._log.fingerprint != plan.spec.fingerprint:
            self._log.path.unlink(missing_ok=True)
            self._log = Ledger(plan.partial, ARRIVED)
            self._log.start(plan.spec.fingerprint)
        self.arrived = {f.path: f for record in self._log.records.values() for f in record.files}

    def __enter__(self) -> UploadLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for future in [f for f in self._running if not f.cancelled() and f.exception() is None]:
            self._record(self._running.pop(future))

    def drop_damaged(self) -> list[str]:
        """As a ledger's, for files that are here or there; those that are only here are uploaded."""
        there = self.place.sizes()
        self.arrived = {name: f for name, f in self.arrived.items() if there.get(name) == f.size}
        problems = []
        for k, record in list(self.records.items()):
            here = [f for f in record.files if self.arrived.get(f.path) != f]
            wrong = [line for f in here if (line := check_file(self.root, f))]
            if wrong:
                del self.records[k]
                problems += wrong
        for record in self.records.values():
            self._send(record)
        return problems

    def add(self, record: ShardRecord) -> None:
        """Records a finished shard, and begins its upload."""
        super().add(record)
        self._send(record)

    def _send(self, record: ShardRecord) -> None:
        files = [f for f in record.files if self.arrived.get(f.path) != f]
        self.wait_for_uploads(max(WAITING * len(record.files) - len(files), 0))
        for f in files:
            self._running[self._pool.submit(self.place.upload, self.root / f.path, f.path)] = f

    def wait_for_uploads(self, left: int = 0) -> None:
        """Waits until no more than so many files are under way.

        Raises
        ------
        StoreError
            A file cannot be uploaded.
        """
        while True:
            done = [f for f in self._running if f.done()]
            for future in done:
                f = self._running.pop(future)
                future.result()
                self._record(f)
            if len(self._running) <= left:
                return
            wait(self._running, return_when=FIRST_COMPLETED)

    def _record(self, f: FileRecord) -> None:
        self._log.add(ShardRecord(len(self._log.records), 0, [f]))
        self.arrived[f.path] = f
        (self.root / f.path).unlink(missing_ok=True)


def build_there(
    plan: Plan, started: float, overwrite: bool, make: Callable[[Ledger, Sequence[int]], int]
) -> BuildReport:
    """Builds a store at `plan.remote`.

    Parameters
    ----------
    plan
        Its `out` is where shards wait.
    started
        `time.monotonic()` of the start.
    overwrite
        Replace a store, or an unfinished build, of something else.
    make
        Makes the shards that a ledger lacks.

    Raises
    ------
    FingerprintError
        A store, or an unfinished build, of something else is there.
    StoreLockedError
        Another machine, or another process, builds it.
    StoreError
        Something else is there, or it cannot be reached.
    """
    place = Place(plan.remote)
    with build_lock(plan.out):
        report = _finished(plan, place, started, overwrite)
        if report is not None:
            return report
        _claim(plan, place, overwrite)
        open_ledger(plan, overwrite)
        remove_temporaries(plan.partial)
        with UploadLedger(plan, place) as ledger:
            resumed = bool(ledger.records)
            made = make(ledger, range(plan.job.shards))
            ledger.wait_for_uploads()
            records = [ledger.records[k] for k in range(plan.job.shards)]
        size = _finish(plan, place, records)
    return replace(make_report(plan, plan.remote, records, started, made, size, resumed), notes=ledger.notes)


def _finished(plan: Plan, place: Place, started: float, overwrite: bool) -> BuildReport | None:
    """The report of a store that is there and is what was asked for."""
    there = place.sizes()
    if GROUP not in there:
        return None
    try:
        store = open_store(plan.remote)
    except CorruptStoreError:
        if overwrite and CHECKSUMS in there:
            return None
        raise
    except StoreError as error:
        raise StoreError(f"{plan.remote} is there already, and is no gmaps store: choose another --out") from error
    if overwrite:
        return None
    compare(store.attributes["fingerprint_of"], plan, f"{plan.remote} was built from something else")
    if MARKER in there:  # a crash came between the last two steps
        place.remove([MARKER])
    if Ledger(plan.partial).fingerprint is not None:
        remove_tree(plan.partial, LEDGER)
    size = sum(r.size for r in read_checksums(place)) + there[CHECKSUMS]
    return complete_report(plan, store, plan.remote, size, started)


def _claim(plan: Plan, place: Place, overwrite: bool) -> None:
    """Marks the place as ours, and finds out whether it can be written before anything is computed."""
    there = place.sizes()
    if there and MARKER not in there and GROUP not in there:
        raise StoreError(f"{place} holds other files already ({min(there)}): choose another --out")
    own: dict[str, Any] = {"host": socket.gethostname(), "directory": str(plan.partial)}
    if MARKER in there and not overwrite:
        try:
            found = json.loads(place.read(MARKER))
            holder = {key: str(found[key]) for key in own}
        except (ValueError, KeyError, TypeError):
            holder = own
        if holder != own:
            raise StoreLockedError(
                f"{place} is being built on {holder['host']} in {holder['directory']}: go on there, or use "
                "--overwrite to begin anew here"
            )
    place.write(MARKER, json.dumps(own).encode())
    if GROUP in there:
        place.remove([GROUP])  # from now on it is no store


def _finish(plan: Plan, place: Place, records: Sequence[ShardRecord]) -> int:
    """Uploads what makes a store of shards, the group's metadata last; returns the store's size."""
    arguments = finish_arguments(plan, records)
    shards = {f.path for record in records for f in record.files}
    size = finish_store(plan.partial, **arguments)
    known = {r.path: r.size for r in read_checksums(plan.partial)}
    small = [*(name for name in known if name not in shards and name != GROUP), CHECKSUMS]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda name: place.upload(plan.partial / name, name), small))
    there = place.sizes()
    wrong = [name for name, n in known.items() if name != GROUP and there.get(name) != n]
    if wrong:
        raise StoreError(f"{place}: {len(wrong)} files did not arrive whole ({wrong[0]}): run the same command again")
    place.remove(sorted(set(there) - set(known) - {CHECKSUMS, MARKER}))  # of the store that was there before
    place.upload(plan.partial / GROUP, GROUP)
    place.remove([MARKER])
    with disk_errors(plan.partial):
        remove_tree(plan.partial, LEDGER)
    return size
