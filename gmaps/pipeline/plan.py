"""What a build will do: its parameters checked, its shards counted, its fingerprint taken, its cost estimated."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gmaps
from gmaps.center import load_centers
from gmaps.crop import CropParams
from gmaps.datasets.base import DataSet, Index
from gmaps.errors import DatasetError, UsageError
from gmaps.frame import Projection
from gmaps.maps import MapParams, fingerprint, get_map
from gmaps.pipeline.fingerprint import array_digest, digest, plain
from gmaps.pipeline.progress import format_bytes, format_seconds
from gmaps.pipeline.worker import Job
from gmaps.skeleton import Skeleton
from gmaps.store.object_store import is_remote, local_path
from gmaps.store.schema import FORMAT, SHARD_SAMPLES, MapArray, make_layout


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
    """

    frames: int
    bytes: int
    seconds: float
    memory: int


@dataclass(frozen=True)
class Plan:
    """A build that has not begun. `build(..., dry_run=True)` returns it.

    Parameters
    ----------
    out
        The store's final path, absolute.
    job
        What the workers get.
    centers : (N, 3) float32 or None
        Rows of the centre file, mm.
    fingerprint
        JSON values that decide every value of the store.
    attributes
        The store's attributes, but for the counts.
    workers
        Processes; 0 for none.
    recipe
        JSON values from which `planned` makes the arguments of the same build again.
    estimate
        Filled by `probe`.
    stage
        Ends the name of the directory in which the work is done.
    remote
        The address of a store in an object store; `out` is then where its shards wait for their upload.
    """

    out: Path
    job: Job
    centers: NDArray[np.float32] | None
    fingerprint: dict[str, Any]
    attributes: dict[str, Any]
    workers: int
    recipe: dict[str, Any]
    estimate: Estimate | None = None
    stage: str = ".partial"
    remote: str = ""

    @property
    def partial(self) -> Path:
        """Where the store lies until it is finished."""
        return self.out.with_name(self.out.name + self.stage)

    @property
    def processes(self) -> int:
        """How many build at the same time."""
        return max(min(self.workers, self.job.shards), 1)

    def shard_centers(self, shard: int) -> NDArray[np.float32] | None:
        """A shard's part of the centre file."""
        rows = self.job.shard_rows(shard)
        return None if self.centers is None else self.centers[rows.start : rows.stop]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        e = self.estimate
        return {
            "out": self.remote or str(self.out),
            "frames": self.job.rows,
            "shards": self.job.shards,
            "shard_samples": self.job.shard_samples,
            "arrays": {a.name: {"item": list(a.item), "dtype": a.dtype} for a in self.job.layout},
            "workers": self.workers,
            "fingerprint": self.attributes["fingerprint"],
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
            + ", ".join(f"{a.name} {'x'.join(map(str, a.item)) or 'scalar'} {a.dtype}" for a in job.layout),
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
    dataset: DataSet,
    out: str | os.PathLike[str],
    maps: MapParams,
    *,
    workers: int | None,
    limit: int | None,
    center: str,
    half_side: float | None,
    crop_size: int,
    projection: Projection,
    dtype: str,
    layout: str = "packed",
    shard_samples: int = SHARD_SAMPLES,
    staging: str | os.PathLike[str] | None = None,
) -> Plan:
    """Checks a build's parameters and says what it will do; see `gmaps.build`.

    Raises
    ------
    UsageError
        Parameters that cannot be met.
    DatasetError
        A data set without frames, or a centre file that does not fit it.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be at least 1, got {limit}")
    if workers is not None and workers < 0:
        raise UsageError(f"workers must be 0 (this process alone) or more, got {workers}")
    if shard_samples < 1:
        raise UsageError(f"a shard has at least 1 sample, got {shard_samples}")
    side = dataset.info.half_side if half_side is None else half_side
    named = center in ("joints", "com")
    crop = CropParams(crop_size, projection, float(side), center if named else "file")
    kinds = [map_array(m, maps, dataset.skeleton) for m in maps.maps]
    arrays = make_layout(len(dataset.skeleton), crop_size, kinds, dtype, layout)

    index = dataset.index()
    rows = len(index) if limit is None else min(limit, len(index))
    if rows == 0:
        raise DatasetError(f"{dataset.info.name}: the split has no frames")
    centers = None if named else load_centers(center, dataset.camera, len(index))[:rows]

    target, remote = _target(out, staging)
    spec = dict(dataset.spec())
    if spec.get("root") is not None:
        spec["root"] = os.path.abspath(spec["root"])  # workers may run in another directory
    partial = target.with_name(target.name + ".partial")
    job = Job(str(partial), json.dumps(spec), rows, shard_samples, arrays, crop, maps)
    decides = plain(
        {
            "format": FORMAT,
            "dataset": dataset.fingerprint(),
            "split": spec.get("split"),
            "rows": rows,
            "index": array_digest(index.frame[:rows], index.subject[:rows], index.sequence[:rows]),
            "skeleton": dataset.skeleton.name,
            "crop": crop.to_dict(),
            "centers": None if centers is None else array_digest(centers),
            "maps": maps.to_dict(),
            "versions": fingerprint(),
            "dtype": dtype,
            "layout": layout,
            "shard_samples": shard_samples,
        }
    )
    attributes = _attributes(dataset, index, spec, crop, maps, dtype, layout, decides)
    recipe = {
        "dataset": spec,
        "maps": maps.maps, "map_size": maps.size, "profile": maps.profile, "normalize": maps.normalize,
        "bridge": maps.bridge, "limit": limit, "center": center if named else os.path.abspath(center),
        "half_side": half_side, "crop_size": crop_size, "projection": projection, "dtype": dtype,
        "layout": layout,
        "shard_samples": shard_samples,
    }  # fmt: skip
    return Plan(
        target,
        job,
        centers,
        decides,
        attributes,
        cores() if workers is None else workers,
        plain(recipe),
        remote=remote,
    )


def _target(out: str | os.PathLike[str], staging: str | os.PathLike[str] | None) -> tuple[Path, str]:
    """Where a store is made, and its address if that is elsewhere."""
    if not is_remote(out):
        if staging is not None:
            raise UsageError(f"shards wait for an upload only on their way to an object store, and {out} is none")
        return Path(os.path.abspath(local_path(out))), ""
    address = os.fspath(out).rstrip("/")
    # Two stores of one name wait in one directory.
    unique = hashlib.sha256(address.encode()).hexdigest()[:8]
    return Path(os.path.abspath(staging or ".")) / f"{address.rpartition('/')[2]}-{unique}", address


def map_array(name: str, params: MapParams, skeleton: Skeleton) -> MapArray:
    """What the store must know of a kind."""
    kind = get_map(name)
    shape = kind.shape(params.size, skeleton)
    return MapArray(name, shape, kind.scaled, kind.value_range, kind.keep_as, kind.smooth)


def _attributes(
    dataset: DataSet,
    index: Index,
    spec: dict[str, Any],
    crop: CropParams,
    maps: MapParams,
    dtype: str,
    layout: str,
    decides: dict[str, Any],
) -> dict[str, Any]:
    return plain(
        {
            "format": FORMAT,
            "gmaps_version": gmaps.__version__,
            "dataset": {
                "name": dataset.info.name,
                # Where the data lie on this machine is nobody else's business, and changes no value.
                "spec": {k: v for k, v in spec.items() if k != "root"},
                "fingerprint": dataset.fingerprint(),
                "subjects": index.subjects,
                "sequences": index.sequences,
            },
            "skeleton": dataset.skeleton.to_dict(),
            "camera": dataset.camera.to_dict(),
            "crop": crop.to_dict(),
            "maps": {**maps.to_dict(), "dtype": dtype, "layout": layout},
            "fingerprint": digest(decides),
            "fingerprint_of": decides,
        }
    )


def free_bytes(path: Path) -> int:
    """Free space where a path is, or will be."""
    there = next(p for p in (path, *path.parents) if p.exists())
    return shutil.disk_usage(there).free


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
