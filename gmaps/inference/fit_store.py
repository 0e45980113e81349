"""Hands fitted to the depth of a store's rows: what `gmaps fit --depth` does."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from gmaps.datasets.pose_file import Side, to_right
from gmaps.errors import StoreError, UsageError, unknown_name
from gmaps.formats.outputs import replacing
from gmaps.inference.fit_crops import MSRA, fit_crops, joints_of, mirrored
from gmaps.inference.fit_depth import LABELS, NETWORK, DepthFit
from gmaps.inference.predictor import Predictor
from gmaps.inference.shipped import load_pretrained
from gmaps.nets.hand_layer import HandLayer
from gmaps.pipeline.fit_source import OURS, check_places, joint_order, write_meshes
from gmaps.pipeline.progress import Progress
from gmaps.store import Store, open_store

Start = Literal["auto", "joints", "network"]
#: Hands at a time, and seconds after which what is done is written.
_BATCH, _SAVE = 16, 30.0


class FittedRows(NamedTuple):
    """What `fit_store` did.

    Parameters
    ----------
    rows, fitted, before
        Rows in all, those with a fitted hand, and how many of these an earlier, stopped run had fitted.
    from_network
        Hands that began with the network's joints.
    seconds
        That it took.
    depth_mm
        Median over hands of the median distance of a crop's pixels from the mesh.
    mean_mm
        Mean distance of the fitted joints from the store's own, where it has them; else NaN.
    """

    rows: int
    fitted: int
    before: int
    from_network: int
    seconds: float
    depth_mm: float
    mean_mm: float


def fit_store(
    source: str | os.PathLike[str], out: str | os.PathLike[str], *, start: Start = "auto",
    checkpoint: str | os.PathLike[str] | None = None, side: Side = "right", steps: int = 60,
    vertices: str | os.PathLike[str] | None = None, ply: str | os.PathLike[str] | None = None, row: int = 0,
    device: str = "auto", progress: bool = True,
) -> FittedRows:  # fmt: skip
    """Fit the hand to the depth of every row of a store.

    Parameters
    ----------
    source
        A store of depth crops.
    out
        As of `gmaps.pipeline.fit_source.fit_source`, and `proportions` (N, 8) and `depth_mm` (N,); of the flesh,
        `girth` is the mean of `proportions`' around all bones. `error_mm` is NaN where the store has no joints.
        It is written every half minute; the same call goes on where an earlier one was stopped.
    start
        What fits begin with: "joints" of the store, those of a "network", or "auto": the store's where it has them.
    checkpoint
        Of that network; by default what ships.
    side
        "left" where the store's hands are.
    steps, vertices, ply, row
        See `fit_depth` and `fit_source`.
    device
        Of the network; the fit itself runs on the CPU.
    progress
        Whether to say on stderr how far it is.

    Raises
    ------
    UsageError, StoreError, CheckpointError
        Nothing can be fitted; the message says what to do.
    OutputError
        A file cannot be written, or something is there that is not its like.
    """
    begun = time.perf_counter()
    if start not in get_args(Start):
        raise unknown_name("start", start, get_args(Start))
    check_places(source, out, vertices, ply)
    store = open_store(source)
    if store.flat:
        raise StoreError(f"{store.path} has colour and no depth: fit its joints, without --depth")
    work = _Work(store, start, checkpoint, side, device)
    if not work.seen.any():
        raise StoreError(f"{store.path}: none of its {len(store)} rows has {work.needed}")
    if ply is not None and not (row < len(store) and work.seen[row]):
        raise UsageError(f"row {row} of {store.path} cannot be fitted: {work.seen.sum()} of {len(store)} rows can")
    made_of = json.dumps({"store": store.attributes.get("fingerprint", str(store.path)), "rows": len(store),
                          "start": start, "checkpoint": checkpoint and os.fspath(checkpoint), "side": side,
                          "steps": steps})  # fmt: skip
    found = _Found(len(store), out, source, side, made_of)
    before = int(found.valid.sum())
    todo = np.flatnonzero(work.seen & ~found.valid)
    saved = time.monotonic()
    try:
        with Progress(int(work.seen.sum()), before, progress) as bar:
            for at in range(0, len(todo), _BATCH):
                rows = todo[at : at + _BATCH]
                found.put(rows, *work.fit(rows, steps))
                bar.update(len(rows))
                if time.monotonic() - saved > _SAVE:
                    found.save()
                    saved = time.monotonic()
    finally:  # stopped or not, what is done is kept
        if len(todo) and found.valid.any():
            found.save()
    write_meshes(found.meshes, found.valid, source, vertices, ply, row, side)
    errors = found.arrays["error_mm"][found.valid]
    return FittedRows(
        len(store), int(found.valid.sum()), before, work.from_network, time.perf_counter() - begun,
        float(np.median(found.arrays["depth_mm"][found.valid])),
        float(np.nanmean(errors)) if np.isfinite(errors).any() else float("nan"),
    )  # fmt: skip


class _Work:
    """Rows of a store and what their fits begin with."""

    def __init__(
        self, store: Store, start: Start, checkpoint: str | os.PathLike[str] | None, side: Side, device: str
    ) -> None:
        self.store, self.left = store, side == "left"
        valid = np.asarray(store.column("valid"), bool)
        own = set(store.skeleton.common_names) >= set(MSRA.common_names)
        if start == "joints" and not own:
            joint_order(store)  # says which joints lack
        self.labels = list(store.skeleton.mapping_to(MSRA)) if own else None
        self.from_labels = own and start != "network"
        labelled = valid & np.isfinite(np.asarray(store.column("joints"))).all(axis=(1, 2))
        self.seen = labelled if start == "joints" else valid
        self.needed = "a crop and joints: begin with --start network" if start == "joints" else "a crop"
        self.from_network = 0
        self.predictor = None
        if not self.from_labels or not labelled[self.seen].all():
            self.predictor = _predictor(checkpoint, device)
            self._check(self.predictor)

    def _check(self, predictor: Predictor) -> None:
        own, learnt = self.store.attributes["crop"]["projection"], predictor.crop_settings["projection"]
        if own != learnt:
            raise StoreError(
                f"{self.store.path} has crops in {own} projection, the network that fits begin with has learnt "
                f"{learnt} ones: build the store so, give a --checkpoint that was trained on such a store, or use "
                "--start joints where the store has labels of 21 joints"
            )

    def fit(self, rows: NDArray[np.int64], steps: int) -> tuple[DepthFit, NDArray[np.float64]]:
        """Hands of some rows, and how far their joints are from the store's, mm; right hands, whatever the side."""
        samples = [self.store[int(i)] for i in rows]
        crops = [mirrored(s.crop) if self.left else s.crop for s in samples]
        known = np.full((len(rows), 21, 3), np.nan)
        if self.labels is not None:
            known = np.stack([c.joints_mm for c in crops])[:, self.labels].astype(np.float64)
        begin = known.copy() if self.from_labels else np.full_like(known, np.nan)
        deviation = np.full(len(rows), LABELS)
        lacking = np.asarray(~np.isfinite(begin).all(axis=(1, 2)))
        if lacking.any() and self.predictor is not None:
            begin[lacking] = joints_of(self.predictor, [crops[k] for k in np.flatnonzero(lacking)])
            deviation[lacking] = NETWORK
            self.from_network += int(lacking.sum())
        fit = fit_crops(crops, begin, deviation, steps=steps)
        return fit, np.sqrt(((fit.joints - known) ** 2).sum(-1)).mean(axis=1)


class _Found:
    """Fitted hands of a store, and the file that holds them."""

    def __init__(
        self, count: int, out: str | os.PathLike[str], source: str | os.PathLike[str], side: Side, made_of: str
    ) -> None:
        self.out, self.source, self.side, self.made_of = out, source, side, made_of
        shapes = {"angles": (23,), "roots": (5, 3), "lengths": (5, 3), "girth": (), "turn": (4,), "wrist": (3,),
                  "error_mm": (), "proportions": (8,), "depth_mm": (), "joints": (21, 3)}  # fmt: skip
        self.arrays = {name: np.full((count, *shape), np.nan, np.float32) for name, shape in shapes.items()}
        self.valid = np.zeros(count, bool)
        self._mirror = to_right(side)
        self._go_on()

    def _go_on(self) -> None:
        """With what an earlier run of the same work has left."""
        try:
            with np.load(self.out) as kept:
                if "made_of" in kept and str(kept["made_of"]) == self.made_of:
                    arrays, valid = {name: kept[name] for name in self.arrays}, kept["valid"]
                    if (
                        all(arrays[n].shape == a.shape for n, a in self.arrays.items())
                        and valid.shape == self.valid.shape
                    ):
                        self.arrays, self.valid = arrays, valid
        except (OSError, ValueError, KeyError, EOFError):
            return  # nothing is there, or nothing of use: `check_places` has seen that it may be replaced

    def put(self, rows: NDArray[np.int64], fit: DepthFit, error_mm: NDArray[np.float64]) -> None:
        """Keep the hands of some rows."""
        bones = HandLayer().make_bones(torch.from_numpy(fit.proportions), torch.from_numpy(fit.lengths))
        girth = bones.girth[..., [0, 2]].mean(dim=(1, 2)).numpy()
        values: dict[str, Any] = {**fit._asdict(), "roots": bones.roots.numpy(), "girth": girth, "error_mm": error_mm}
        values["joints"] = values["joints"] * self._mirror
        for name, array in self.arrays.items():
            array[rows] = values[name]
        self.valid[rows] = True

    def save(self) -> None:
        """Write them."""
        with replacing(self.out, OURS, [self.source]) as new, open(new, "wb") as file:
            np.savez_compressed(file, valid=self.valid, side=np.array(self.side), made_of=np.array(self.made_of),
                                **self.arrays)  # type: ignore[arg-type] # fmt: skip

    def meshes(self, part: slice) -> NDArray[np.float32]:
        """Of some of the valid rows, counted among them."""
        at = np.flatnonzero(self.valid)[part]
        return DepthFit(*(self.arrays[name][at] for name in DepthFit._fields)).vertices()


def _predictor(checkpoint: str | os.PathLike[str] | None, device: str) -> Predictor:
    if checkpoint is None:
        return load_pretrained(device=device)
    predictor = Predictor(checkpoint, device=device)
    predictor.skeleton.mapping_to(MSRA)  # refuses one that lacks joints
    return predictor
