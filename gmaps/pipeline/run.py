"""`build`: from a data set to a finished store; `plan`: what a build would do."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, overload

from gmaps.crop import CENTERS, CropParams
from gmaps.datasets import load_dataset
from gmaps.datasets.base import DataSet, Split
from gmaps.errors import UsageError
from gmaps.frame import Projection
from gmaps.maps import DEFAULT_MAPS, MapParams
from gmaps.maps.scene import Normalize, Profile
from gmaps.pipeline.dispatch import check_process
from gmaps.pipeline.ledger import Part
from gmaps.pipeline.make import build_here, build_part, make_missing
from gmaps.pipeline.plan import Plan, make_plan
from gmaps.pipeline.probe import clamp_workers, parse_memory, probe
from gmaps.pipeline.report import BuildReport, parse_max_rejects
from gmaps.pipeline.source import FrameCrops
from gmaps.pipeline.spec import BuildSpec
from gmaps.pipeline.upload import build_there
from gmaps.store.schema import SHARD_SAMPLES

_log = logging.getLogger("gmaps")


@overload
def build(
    dataset: str | DataSet,
    out: str | os.PathLike[str] | None = None,
    maps: Sequence[str] = DEFAULT_MAPS,
    *,
    dry_run: Literal[True],
    **options: Any,
) -> Plan: ...
@overload
def build(
    dataset: str | DataSet,
    out: str | os.PathLike[str] | None = None,
    maps: Sequence[str] = DEFAULT_MAPS,
    *,
    dry_run: Literal[False] = False,
    **options: Any,
) -> BuildReport: ...
def build(  # type: ignore[misc]  # the options of both are these
    dataset: str | DataSet,
    out: str | os.PathLike[str] | None = None,
    maps: Sequence[str] = DEFAULT_MAPS,
    *,
    root: str | os.PathLike[str] | None = None,
    split: Split = "all",
    workers: int | None = None,
    scheduler: str | None = None,
    limit: int | None = None,
    center: str | os.PathLike[str] | None = None,
    silhouette: str | None = None,
    half_side: float | None = None,
    crop_size: int = 128,
    projection: Projection = "orthographic",
    map_size: int = 32,
    profile: Profile = "default",
    normalize: Normalize = "joint",
    bridge: bool | float = False,
    dtype: str = "float16",
    layout: str = "packed",
    overwrite: bool = False,
    dry_run: bool = False,
    max_rejects: str | float = "1%",
    progress: bool = True,
    dataset_options: dict[str, Any] | None = None,
    shard_samples: int = SHARD_SAMPLES,
    memory: str | float | None = None,
    part: Part | None = None,
    staging: str | os.PathLike[str] | None = None,
) -> BuildReport | Plan:
    """Build a store of crops and guidance maps.

    The same call again goes on where a build was stopped, and does nothing when it was finished. In a script, call
    it below `if __name__ == "__main__":`, because worker processes import the script.

    Parameters
    ----------
    dataset
        A data set, its name, or `module:factory`, where the factory is called as a data set's `load` is. An object of
        your own is sent to workers as a pickle; a name is looked up by each of them.
    out
        Path of the store; `<name>.zarr` here by default, or `<name>-<split>.zarr`.
    maps
        Kinds of map; one may come as a bare name.
    root, split, dataset_options
        For `load_dataset`, when `dataset` is a name.
    workers
        Processes; all cores by default; 0 works in this process, without Dask.
    scheduler
        Address of a Dask scheduler whose workers see the same files; `workers` then counts for nothing.
    limit
        Use the first frames only.
    center
        "joints", "mean", "com", or the path of a centre file with a row for each frame of the split; the data set's
        own by default, which is "joints" for most.
    silhouette
        "depth": all that is seen in the cube is hand. "segmentation": what the data set says is; the default where it
        does.
    half_side
        Half the side of the cube, mm; the data set's own by default.
    crop_size, projection
        Of the crop: S, and "orthographic" or "perspective".
    map_size, profile, normalize, bridge
        Of the maps: see `gmaps.encode`, where `map_size` is called `size`.
    dtype
        How maps are kept: "float16", "float32" or "uint8".
    layout
        "packed": maps of distances take half the room, read through gmaps or its Zarr codec. "plain": Zarr's own
        codecs only.
    overwrite
        Replace a store that was built from something else, once the new one is finished.
    dry_run
        Write nothing; return the plan with an estimate, as `gmaps.plan` does.
    max_rejects
        How many frames may be rejected: a count, a share below 1, or "1%". The build finishes either way.
    progress
        Show progress on stderr.
    shard_samples
        Rows in a shard.
    memory
        What all processes together may take: bytes, or like "8GB", or "50%" of this machine's. Fewer workers are
        started where more would not fit.
    part
        (K, N): make only every N-th shard, from the K-th on, of a store that several machines build on one file
        system. `finalize` makes a store of the parts.
    staging
        For a store in an object store: the directory in which shards wait for their upload, by default the current.

    Returns
    -------
    BuildReport
        Or the `Plan`, when `dry_run`.

    Raises
    ------
    UsageError
        Parameters that cannot be met, or workers in a daemonic process, which may have none.
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
    check_process(workers, scheduler)
    over, budget = parse_max_rejects(max_rejects), parse_memory(memory)
    data = _data_set(dataset, root, split, dataset_options)
    center = getattr(data.info, "center", "joints") if center is None else os.fspath(center)
    named = center in CENTERS[:-1]
    side = float(data.info.half_side if half_side is None else half_side)
    if silhouette is None:
        silhouette = "segmentation" if getattr(data, "segmented", False) else "depth"
    color, flat = (bool(getattr(data, what, False)) for what in ("colored", "flat"))
    crop = CropParams(crop_size, projection, side, center if named else "file", silhouette, color, flat)
    source = FrameCrops(data, crop, None if named else center, dataset if isinstance(dataset, str) else "")
    kinds = (maps,) if isinstance(maps, str) else tuple(maps)
    spec = BuildSpec.of_frames(
        source,
        MapParams(kinds, map_size, profile, normalize, bridge),
        limit=limit,
        dtype=dtype,
        layout=layout,
        shard_samples=shard_samples,
    )
    left_out = getattr(data, "left_out", "")
    if left_out:
        _log.info("%s", left_out)
    plan = make_plan(spec, default_out(spec) if out is None else out, workers=workers, staging=staging)
    if dry_run:
        estimate = probe(plan, source)
        return replace(plan, estimate=estimate, workers=clamp_workers(plan, estimate, budget))
    make = partial(make_missing, plan, source, scheduler, budget, progress)
    if part is not None:
        report = build_part(plan, part, overwrite, started, make)
    elif plan.remote:
        report = build_there(plan, started, overwrite, make)
    else:
        report = build_here(plan, started, overwrite, make)
    return over(replace(report, notes=[*report.notes, left_out] if left_out else report.notes))


def plan(
    dataset: str | DataSet,
    out: str | os.PathLike[str] | None = None,
    maps: Sequence[str] = DEFAULT_MAPS,
    **options: Any,
) -> Plan:
    """What `build` would do with the same arguments; nothing is written.

    Parameters
    ----------
    dataset, out, maps, **options
        As for `build`.

    Returns
    -------
    Plan
        Its arrays, shards and place, with an estimate of bytes, seconds and memory from a few frames.

    Raises
    ------
    UsageError, DatasetError
        As `build`.
    """
    return build(dataset, out, maps, dry_run=True, **options)


def _data_set(
    dataset: str | DataSet, root: str | os.PathLike[str] | None, split: Split, options: dict[str, Any] | None
) -> DataSet:
    if isinstance(dataset, str):
        return load_dataset(dataset, root, split=split, **(options or {}))
    if root is not None or options:
        raise UsageError("root and dataset_options go with the name of a data set, not with a data set")
    return dataset


def default_out(spec: BuildSpec) -> str:
    """The name of a store that was given none: stores of two splits must not meet in one."""
    split = spec.fingerprint["split"]
    return f"{spec.name}.zarr" if split in (None, "all") else f"{spec.name}-{split}.zarr"
