"""What a build will do: where its store is made, of what, by how many processes, and what that will cost."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gmaps.errors import UsageError
from gmaps.pipeline.fingerprint import digest
from gmaps.pipeline.progress import format_bytes, format_seconds
from gmaps.pipeline.spec import BuildSpec
from gmaps.pipeline.worker import Job
from gmaps.store.object_store import is_remote, local_path
from gmaps.store.schema import ArraySpec


@dataclass(frozen=True)
class Estimate:
    """What a build would cost, from a few frames.

    Parameters
    ----------
    frames
        Frames that were tried.
    bytes
        Of the finished store.
    seconds
        Of one core for all frames.
    memory
        Bytes that one worker takes.
    deadly
        Rows, of those that were tried, that end the process that makes them.
    forks
        Whether forks of this process could make the frames.
    """

    frames: int
    bytes: int
    seconds: float
    memory: int
    deadly: tuple[int, ...] = ()
    forks: bool = False


@dataclass(frozen=True)
class Plan:
    """A build that has not begun; see `gmaps.plan`.

    Parameters
    ----------
    spec
        What the store is made of.
    out
        The store's final path, absolute.
    workers
        Processes; 0 for none.
    estimate
        Filled by `probe`.
    remote
        The address of a store in an object store; `out` is then where its shards wait for their upload.
    stage
        Ends the name of the directory in which the work is done.
    kinds
        The kinds of map that are made, where all else is there already; empty for the whole store.
    """

    spec: BuildSpec
    out: Path
    workers: int
    estimate: Estimate | None = None
    remote: str = ""
    stage: str = ".partial"
    kinds: tuple[str, ...] = ()

    @property
    def partial(self) -> Path:
        """Where the store lies until it is finished."""
        return self.out.with_name(self.out.name + self.stage)

    @cached_property
    def arrays(self) -> tuple[ArraySpec, ...]:
        """The arrays that are made."""
        made = {f"maps/{kind}{end}" for kind in self.kinds for end in ("", "_scale")}
        return tuple(a for a in self.spec.arrays if not made or a.name in made)

    @cached_property
    def job(self) -> Job:
        """What workers are told."""
        spec = self.spec
        maps = replace(spec.maps, maps=self.kinds or spec.maps.maps)
        known = digest(spec.fingerprint["dataset"])
        return Job(str(self.partial), spec.rows, spec.shard_samples, self.arrays, maps, known)

    @property
    def processes(self) -> int:
        """How many build at the same time."""
        return max(min(self.workers, self.job.shards), 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        e = self.estimate
        return {
            "out": self.remote or str(self.out),
            "frames": self.job.rows,
            "shards": self.job.shards,
            "shard_samples": self.job.shard_samples,
            "arrays": {a.name: {"item": list(a.item), "dtype": a.dtype} for a in self.arrays},
            "workers": self.workers,
            "fingerprint": self.spec.attributes["fingerprint"],
            "estimate": None
            if e is None
            else {"bytes": e.bytes, "core_seconds": e.seconds, "worker_bytes": e.memory},
        }

    def summary(self) -> str:
        """A few lines for people."""
        job, e = self.job, self.estimate
        lines = [
            f"{self.remote or self.out}: {job.rows:,} frames in {job.shards:,} shards of {job.shard_samples:,}",
            "arrays: "
            + ", ".join(f"{a.name} {'x'.join(map(str, a.item)) or 'scalar'} {a.dtype}" for a in self.arrays),
        ]
        if e is not None:
            n = self.processes
            lines += [
                f"disk: about {format_bytes(e.bytes)} ({format_bytes(free_bytes(self.out))} free)",
                f"memory: about {format_bytes(e.memory)} for each of {n} workers",
                f"time: about {format_seconds(e.seconds / n)} (from {e.frames} frames)",
            ]
        return "\n".join(lines)


def make_plan(
    spec: BuildSpec,
    out: str | os.PathLike[str],
    *,
    workers: int | None,
    staging: str | os.PathLike[str] | None = None,
) -> Plan:
    """Where a store is made, and by how many; see `gmaps.build`.

    Raises
    ------
    UsageError
        Parameters that cannot be met.
    """
    if workers is not None and workers < 0:
        raise UsageError(f"workers must be 0 (this process alone) or more, got {workers}")
    target, remote = _target(out, staging)
    return Plan(spec, target, cores() if workers is None else workers, remote=remote)


def _target(out: str | os.PathLike[str], staging: str | os.PathLike[str] | None) -> tuple[Path, str]:
    """Where a store is made, and its address if that is elsewhere."""
    if not is_remote(out):
        if staging is not None:
            raise UsageError(f"shards wait for an upload only on their way to an object store, and {out} is none")
        return resolve_store(local_path(out)), ""
    address = os.fspath(out).rstrip("/")
    # Two stores of one name wait in one directory.
    unique = hashlib.sha256(address.encode()).hexdigest()[:8]
    return Path(os.path.abspath(staging or ".")) / f"{address.rpartition('/')[2]}-{unique}", address


def resolve_store(path: str | os.PathLike[str]) -> Path:
    """A store's own place, absolute, where the path is a link to it: what is renamed must not be the link.

    Raises
    ------
    UsageError
        A link that leads nowhere but to itself.
    """
    real = os.path.realpath(path)
    if os.path.islink(real):
        raise UsageError(f"{path} is a link that leads back to itself: remove it, or choose another --out")
    return Path(real)


def free_bytes(path: Path) -> int:
    """Free space where a path is, or will be."""
    there = next(p for p in (path, *path.parents) if p.exists())
    return shutil.disk_usage(there).free


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
