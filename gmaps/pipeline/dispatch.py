"""Where shards are made: in this process, on a Dask cluster started here or one that is there, or, where that takes
less time than a cluster's start is worth, in forks of this process.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gmaps.datasets.children import CAN_FORK, PATIENCE
from gmaps.errors import GmapsError, UsageError
from gmaps.formats.open_files import require_room
from gmaps.pipeline.forks import AT_A_TIME, share_out
from gmaps.pipeline.ledger import ShardRecord
from gmaps.pipeline.obituary import obituary
from gmaps.pipeline.plan import Plan
from gmaps.pipeline.source import CropSource
from gmaps.pipeline.suspects import RowNote
from gmaps.pipeline.worker import build_shard, frame_name, write_shard
from gmaps.shared_memory import check_shared_memory

if TYPE_CHECKING:
    from distributed import Client

#: Shards that wait for each thread, so that none is ever idle and the scheduler never drowns.
IN_FLIGHT = 2
#: Shards that may end workers; where there are more, it is no matter of frames.
MOST_DEADLY = 32
#: Seconds of a build that forks make: a longer one has a cluster, whose workers begin anew, hold nothing of this
#: process and are watched by Dask. Its start is then a small part.
SHORT = 60
#: What a script must do that builds with worker processes.
GUARD = 'call gmaps.build below `if __name__ == "__main__":`, or with workers=0'
#: Where a cluster of our own listens.
LOOPBACK = "127.0.0.1"
#: Files that a cluster of our own holds open here, and so many more for each of its workers; and that a worker holds
#: besides a shard's, of which it writes one while it flushes another. Dask waits for ever where it may have no more.
FILES, FILES_A_WORKER, FILES_OF_WORKER = 22, 12, 24
#: Seconds for a scheduler to answer, and for its first worker to appear.
CONNECT, FIRST_WORKER = 10, 60
#: A worker has one core to itself.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
#: Of clusters of our own. No page is served. Nobody reads the profiles for which Dask would stop each worker a
#: hundred times a second.
_SETTINGS = {
    "distributed.nanny.pre-spawn-environ": _ONE_THREAD,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    # A shard that was being made, or waiting, where a second worker died is made here, row by row.
    "distributed.scheduler.allowed-failures": 1,
}


@dataclass(frozen=True)
class Suspicion:
    """What is known of rows that end the process which makes them, and who is told more of it.

    Parameters
    ----------
    rows
        They are made in children, where this process makes shards.
    note
        Where this process notes the row that it makes.
    say
        Told what becomes of shards that ended workers.
    """

    rows: frozenset[int]
    note: RowNote
    say: Callable[[str], None]


def make_shards(
    plan: Plan, source: CropSource, todo: Sequence[int], scheduler: str | None, suspicion: Suspicion
) -> Iterator[ShardRecord]:
    """Makes shards, and yields each when it is finished, in any order.

    Parameters
    ----------
    plan
        The build.
    source
        Read here when there are no workers; workers make their own.
    todo
        Numbers of the shards.
    scheduler
        Address of a Dask scheduler; else `plan.workers` processes are started here: a Dask cluster, or forks of this
        one where the build is short and the system allows them.
    suspicion
        Of rows that end a process.

    Raises
    ------
    GmapsError
        What stopped a worker, or no scheduler at the address.
    """
    if scheduler is None and plan.workers == 0:
        words = partial(suspicion.note.last_words, partial(frame_name, source.index()))
        with suspicion.note as note, obituary(words):
            job = replace(plan.job, suspects=suspicion.rows, note=note)
            for k in todo:
                yield write_shard(source, job, k)
        return
    payload = source.payload()
    deadly: list[int] = []
    if scheduler is None:
        check_open_files(min(plan.workers, len(todo)), len(plan.job.layout))
        if CAN_FORK:
            made: set[int] = set()
            for record in _in_forks(plan, source, todo, suspicion.rows, deadly):
                made.add(record.shard)
                yield record
            todo = [k for k in todo if k not in made and k not in deadly]
    if todo:
        with _client(scheduler, min(plan.workers, len(todo))) as client:
            yield from _submit(client, plan, payload, todo, deadly)
    for k in deadly:
        # The workers are gone, and with them all that a fork of this process could stumble over.
        rows = plan.job.shard_rows(k)
        suspicion.say(
            f"rows {rows.start} to {rows.stop - 1} were being made when workers died: they are made once more, each "
            "in a process of its own. If there was too little memory: fewer --workers"
        )
        yield write_shard(source, replace(plan.job, suspects=rows), k)


def _in_forks(
    plan: Plan, source: CropSource, todo: Sequence[int], suspects: frozenset[int], deadly: list[int]
) -> Iterator[ShardRecord]:
    """Makes the shards of a short build in forks of this process: they are there at once, a cluster takes seconds.

    None of a longer build, and fewer than all where forks come to nothing: what is read may hold what no fork can
    use. A cluster's workers, which begin anew, make the rest then, or tell what is wrong. Shards that ended too many
    children are added to `deadly`.
    """
    workers = min(plan.workers, len(todo))
    seconds, forks = (plan.estimate.seconds, plan.estimate.forks) if plan.estimate is not None else (0.0, True)
    if not forks or seconds * len(todo) / plan.job.shards > SHORT * workers:
        return
    work = partial(write_shard, source, replace(plan.job, suspects=suspects))
    patience = PATIENCE + 10 * AT_A_TIME * seconds / plan.job.shards
    with closing(share_out(work, todo, workers, patience)) as outcomes:
        for k, outcome in outcomes:
            if isinstance(outcome, ShardRecord):
                yield outcome
            elif isinstance(outcome, GmapsError) and type(outcome) is not GmapsError:
                raise outcome  # known to be no matter of forks
            elif isinstance(outcome, Exception) or outcome.status is None:
                return
            else:
                _add_deadly(plan, k, deadly, outcome)


def _add_deadly(plan: Plan, shard: int, deadly: list[int], cause: object) -> None:
    """Notes a shard that ended too many workers.

    Raises
    ------
    GmapsError
        There are too many of them.
    """
    deadly.append(shard)
    if len(deadly) > MOST_DEADLY or not CAN_FORK:
        rows = plan.job.shard_rows(shard)
        raise GmapsError(
            f"workers died again and again, last with rows {rows.start} to {rows.stop - 1} to do: they may "
            "have run out of memory. Try fewer --workers. Finished shards are kept"
        ) from (cause if isinstance(cause, Exception) else None)


def check_open_files(workers: int, arrays: int) -> None:
    """Refuse workers where their files would be more than a process may have open.

    Raises
    ------
    GmapsError
        With the limit, and what to do.
    """
    needed = max(FILES + FILES_A_WORKER * workers, FILES_OF_WORKER + 2 * arrays)
    require_room(needed, f"a build with {workers} workers", "build with --workers 0")


def check_process(workers: int | None, scheduler: str | None) -> None:
    """Refuse workers where none can be started, before a build begins.

    Raises
    ------
    UsageError
        In a worker process that imports the script that builds, or in one that may have no children.
    SharedMemoryError
        There is no room for their locks.
    """
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False):
        raise UsageError(f"a worker process imports the script that builds: {GUARD}")
    if process.daemon and scheduler is None and workers != 0:
        raise UsageError(
            f"{process.name} is a daemonic process, as those of multiprocessing.Pool are, and can start no workers: "
            "call gmaps.build with workers=0 in it, or outside of it with as many as you like"
        )
    if scheduler is None:
        check_shared_memory(1 if workers is None else workers)


@contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    with _quiet(), dask.config.set(_SETTINGS):
        if scheduler is None:
            try:
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=2,  # see dask_setup
                    processes=True,
                    # Who may submit a task runs code as this user. Keys that live as long as the cluster keep out
                    # everybody else on this machine; see SECURITY.md.
                    security=Security.temporary(),
                    protocol="tls://",
                    host=LOOPBACK,
                    scheduler_kwargs={"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"},
                    silence_logs=logging.CRITICAL,
                    preload=["gmaps.pipeline.worker"],
                )
            except RuntimeError as error:
                raise GmapsError(f"no worker could be started ({error}). If a script builds: {GUARD}") from error
            with cluster, Client(cluster, set_as_default=False) as client:
                yield client
            return
        try:
            client = Client(_address(scheduler), set_as_default=False, timeout=CONNECT)
        except (OSError, ValueError) as error:
            raise GmapsError(f"no Dask scheduler answers at {scheduler}: {error}") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=FIRST_WORKER)
            except TimeoutError:
                raise GmapsError(f"the Dask scheduler at {scheduler} has no workers") from None
            yield client


def _address(scheduler: str) -> str:
    """The address, if it is one: Dask would look for a host of that name until it gave up.

    Raises
    ------
    UsageError
        It names no host and port.
    """
    host, _, port = scheduler.rpartition("://")[2].rpartition(":")
    if not host or not port.rstrip("/").isdigit():
        raise UsageError(f"a Dask scheduler has an address like tcp://host:8786, got {scheduler!r}")
    return scheduler


def _submit(
    client: Client, plan: Plan, payload: str | bytes, todo: Sequence[int], deadly: list[int]
) -> Iterator[ShardRecord]:
    """Yields what workers make; shards that ended too many of them are added to `deadly`."""
    from distributed import KilledWorker, as_completed

    slots = max(sum(client.nthreads().values()), 1)
    waiting = iter(todo)
    shards: dict[Any, int] = {}

    def submit(k: int) -> Any:
        # Indices only: a job is a few kilobytes whatever N.
        future = client.submit(build_shard, payload, plan.job, k, pure=False)
        shards[future.key] = k
        return future

    first = [submit(k) for _, k in zip(range(IN_FLIGHT * slots), waiting, strict=False)]
    running = as_completed(first, loop=client.loop)
    del first
    for future in running:
        k = shards.pop(future.key)
        try:
            record = future.result()
        except KilledWorker as error:
            _add_deadly(plan, k, deadly, error)
            record = None
        if (following := next(waiting, None)) is not None:
            running.add(submit(following))
        if record is not None:
            yield record


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask tells of lost connections whenever a cluster goes down; a build has its own words for what matters."""
    names = ("distributed", "tornado", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
