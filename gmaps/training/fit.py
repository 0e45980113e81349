"""`train`: a HandMap from a store, which a kill does not lose and the same command goes on with."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gmaps.errors import GmapsError, UsageError, unknown_name
from gmaps.store import Store
from gmaps.training.augment import Augment
from gmaps.training.checkpoint import CheckpointError, check_store, load_checkpoint, save_checkpoint
from gmaps.training.device import Device, open_device
from gmaps.training.feed import (
    Batches,
    Transform,
    in_order,
    make_dataset,
    make_loader,
    network_input,
    split,
    to_device,
)
from gmaps.training.interrupt import Interrupt
from gmaps.training.log import Log
from gmaps.training.loss import LossParams, gradient_norms, losses, mean_error_mm
from gmaps.training.model import HandMap, ModelParams

Schedule = Literal["original", "cosine"]
#: The original: x 0.94 every 1e6 samples, never below 1e-6.
_DECAY, _DECAY_SAMPLES, _FLOOR = 0.94, 1e6, 1e-6
#: Share of a cosine schedule in which the rate rises.
_WARM = 0.05
#: The original stops at a validation error this much above the best.
_WORSE = 1.1


class TrainingError(GmapsError):
    """Training cannot go on; what was learnt until then is kept."""


@dataclass(frozen=True)
class TrainParams:
    """How to train.

    Parameters
    ----------
    epochs
        Times through the data; with `minutes`, no more than these.
    minutes
        Stop after this much time in training, validation not counted; None for no limit. Time then also drives the
        cosine schedule.
    batch
        Samples a step, of each process.
    lr
        Learning rate of AdamW; the largest one of the cosine schedule.
    schedule
        "original": x 0.94 every 1e6 samples, not below 1e-6. "cosine": up in the first 5 %, then down to 0.
    weight_decay
        AdamW's.
    clip
        Largest norm of all gradients together; 0 for no limit.
    patience
        Stop after so many epochs without a better validation, or at 1.1 times the best, as the original; 0: never.
    validation
        See `gmaps.training.feed.split`.
    seed
        Decides weights, order and dropout.
    workers
        Processes that read; 0 reads in this one.
    precision
        "auto" is bf16 where the device computes in it, else float32. "fp16" scales its gradients.
    compile
        Use `torch.compile`.
    on_the_fly
        Compute the maps while training.
    augment
        "off", "on", or such as "rotation=30,noise=1": see `Augment`. Maps are then computed while training.
    loss
        Weights of the losses.
    """

    epochs: int = 10
    minutes: float | None = None
    batch: int = 64
    lr: float = 1e-3
    schedule: Schedule = "original"
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 5
    validation: str = "0.1"
    seed: int = 0
    workers: int = 1
    precision: str = "auto"
    compile: bool = False
    on_the_fly: bool = False
    augment: str = "off"
    loss: LossParams = field(default_factory=LossParams)

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or min(self.workers, self.patience, self.clip, self.weight_decay) < 0:
            raise UsageError(f"epochs and batch are 1 or more, workers, patience, clip, decay 0 or more: got {self}")
        if not (math.isfinite(self.lr) and self.lr > 0 and (self.minutes is None or self.minutes > 0)):
            raise UsageError(f"learning rate and minutes are positive, got {self.lr} and {self.minutes}")
        if self.schedule not in ("original", "cosine"):
            raise unknown_name("schedule", self.schedule, ("original", "cosine"))
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"a seed is 0 to 2**32 - 1, got {self.seed}")


@dataclass
class Progress:
    """Where a run is; part of a checkpoint.

    Parameters
    ----------
    step
        Steps done in all.
    epoch, within
        The epoch, and the steps done of it.
    seconds, waited
        In training, and of that spent waiting for data after each run's first batch.
    best_mm
        Smallest validation error, infinite before the first.
    stale
        Epochs since then.
    finished
        Why training ended: "epochs", "minutes" or "early"; empty while it goes on.
    """

    step: int = 0
    epoch: int = 0
    within: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    best_mm: float = math.inf
    last_mm: float = math.nan
    stale: int = 0
    finished: str = ""


def learning_rate(params: TrainParams, progress: Progress, steps: int, world: int = 1) -> float:
    """Of the next step; `steps` is the length of an epoch."""
    if params.schedule == "original":
        samples = progress.step * params.batch * world
        return max(params.lr * _DECAY ** (samples // _DECAY_SAMPLES), min(_FLOOR, params.lr))
    done = progress.step / (params.epochs * steps)
    if params.minutes is not None:
        done = max(done, progress.seconds / (60 * params.minutes))
    if done < _WARM:
        return params.lr * max(done / _WARM, 0.02)
    return params.lr * max(0.5 * (1 + math.cos(math.pi * min((done - _WARM) / (1 - _WARM), 1.0))), 1e-4)


class Trainer:
    """One training run; `run` does it all. See `train`."""

    def __init__(
        self, store: Store, out: Path, model: ModelParams, params: TrainParams, device: Device,
        *, transform: Transform | None = None, checkpoint_minutes: float = 5.0, log_steps: int = 50,
    ) -> None:  # fmt: skip
        self.store, self.out, self.params, self.device = store, out, params, device
        self.checkpoint_seconds, self.log_steps = 60 * checkpoint_minutes, log_steps
        self.guided = model.guided and bool(model.maps) and params.loss.map_weight > 0
        self.loss = params.loss if self.guided else LossParams(0.0, params.loss.pose_weight, params.loss.pose)
        kept = {"guided": self.guided, "on_the_fly": params.on_the_fly}
        augment = Augment.parse(params.augment, params.seed)
        self.data = make_dataset(store, model, **kept, augment=augment, transform=transform)
        # Augmented frames are to learn from, not to be judged by.
        clean = (
            self.data
            if augment is None and transform is None
            else make_dataset(store, model, guided=False, on_the_fly=params.on_the_fly)
        )
        learn, judge = split(self.data, params.validation, params.seed)
        self.batches = Batches(learn, params.batch, params.seed, device.rank, device.world)
        self.loader = make_loader(self.data, self.batches, params.workers, device.cuda)
        self.judge = make_loader(clean, in_order(judge[device.rank :: device.world], params.batch), 0)
        torch.manual_seed(params.seed)
        self.net = device.place(HandMap(model, store.skeleton))
        wrap = DistributedDataParallel(self.net, find_unused_parameters=True) if device.world > 1 else self.net
        self.plain: nn.Module = wrap
        self.fast: nn.Module = torch.compile(wrap) if params.compile else wrap  # type: ignore[assignment]
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), params.lr, weight_decay=params.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(device.torch.type, enabled=device.scaled)
        self.progress = Progress()
        self.interrupt = Interrupt()

    def state(self) -> dict[str, Any]:
        """All that a checkpoint holds."""
        crop = self.store.attributes["crop"]
        return {
            "model": self.net.params.to_dict(), "skeleton": self.store.skeleton.to_dict(), "crop": dict(crop),
            "weights": self.net.state_dict(), "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(), "progress": asdict(self.progress), "params": asdict(self.params),
            "store": self.store.attributes.get("fingerprint", ""), "world": self.device.world,
            "random": self.device.random_state(),
        }  # fmt: skip

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same run.

        Raises
        ------
        CheckpointError
            It is damaged, or of a run with other parameters or another store.
        """
        state = load_checkpoint(path)
        check_store(state, self.store, path)
        now, differ = self.state(), []
        for name in ("model", "params"):
            # A longer run, or one that is read by more workers, is the same run.
            free = ("epochs", "minutes", "workers", "patience", "compile", "precision")
            differ += [f"{k} {state[name].get(k)} -> {v}" for k, v in now[name].items()
                       if k not in free and _plain(state[name].get(k)) != _plain(v)]  # fmt: skip
        differ += ["another store"] if state["store"] != now["store"] else []
        differ += [f"processes {state['world']} -> {now['world']}"] if state["world"] != now["world"] else []
        if differ:
            raise CheckpointError(
                f"{path} is of another run: {'; '.join(differ)}. Use the same options to go on with it, another "
                "--out to keep both, or --overwrite"
            )
        try:
            self.net.load_state_dict(state["weights"])
        except RuntimeError as error:
            raise CheckpointError(f"{path}: its weights are not those of its network: {error}") from None
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.device.set_random_state(state["random"])
        self.progress = Progress(**state["progress"])

    def run(self, progress: bool = True) -> Progress:
        """Train to the end; Ctrl-C keeps a checkpoint and goes through."""
        now = self.progress
        steps = len(self.batches)
        total = None if self.params.minutes else self.params.epochs * steps
        log = Log(self.out, now.step, progress, total) if self.device.first else None
        try:
            with Interrupt() as self.interrupt:
                while not self._ended():
                    self._epoch(log)
                    if self.interrupt.asked:
                        self._save("last.pt")
                        kept = self.out / "last.pt"
                        raise KeyboardInterrupt(
                            f"stopped at step {now.step}, kept in {kept}: the same command goes on"
                        )
                    # Time may have run out in mid-epoch; what was learnt until then is judged as well.
                    self._validate(log)
                    if now.within == steps:
                        now.epoch, now.within = now.epoch + 1, 0
                    self._save("last.pt")
        finally:
            if log is not None:
                log.close()
        now.finished = self._ended()
        return now

    def _ended(self) -> str:
        now, params = self.progress, self.params
        if params.minutes is not None and now.seconds >= 60 * params.minutes:
            return "minutes"
        if now.epoch >= params.epochs:
            return "epochs"
        if params.patience and (now.stale >= params.patience or now.last_mm > _WORSE * now.best_mm):
            return "early"
        return ""

    def _epoch(self, log: Log | None) -> None:
        now, size = self.progress, self.params.batch * self.device.world
        self.net.train()
        self.batches.epoch, self.batches.start = now.epoch, now.within
        self.data.set_epoch(now.epoch)
        saved, shown, sums = time.monotonic(), (now.seconds, now.waited, now.step), np.zeros(4)
        before, first = time.perf_counter(), True
        for batch in self.loader:
            waited = time.perf_counter() - before
            rate = learning_rate(self.params, now, len(self.batches), self.device.world)
            # The same steps in every run, so that one that is resumed takes them in the same way.
            norms = now.step % self.log_steps == 0
            values, pulls = self._step(to_device(batch, self.device.torch), rate, norms)
            sums += [*values, 1]
            now.step, now.within = now.step + 1, now.within + 1
            now.seconds += time.perf_counter() - before
            # The first batch waits for processes to start, once.
            now.waited += 0.0 if first and now.step <= 1 else waited
            before, first = time.perf_counter(), False
            if log is not None:
                spent = max(now.seconds - shown[0], 1e-9)
                speed, share = (now.step - shown[2]) * size / spent, (now.waited - shown[1]) / spent
                log.advance(values[0] + values[1], values[2], speed, share)
                if norms:
                    pose, maps, mm, _ = (sums / sums[3]).tolist()
                    loss = self.loss.pose_weight * pose + self.loss.map_weight * maps
                    log.row(now.step, epoch=now.epoch, seconds=now.seconds, lr=rate, loss=loss, pose=pose, maps=maps,
                            mm=mm, samples_per_second=speed, waiting=share, gradient_pose=pulls[0],
                            gradient_maps=pulls[1])  # fmt: skip
                    shown, sums = (now.seconds, now.waited, now.step), np.zeros(4)
            if time.monotonic() - saved > self.checkpoint_seconds:
                self._save("last.pt")
                saved = time.monotonic()
            late = self.params.minutes is not None and now.seconds >= 60 * self.params.minutes
            if self.device.any(late or self.interrupt.asked):
                break

    def _step(self, batch: dict[str, Any], rate: float, norms: bool) -> tuple[list[float], tuple[float, float]]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        x = self.device.lay_out(network_input(batch, self.net.params))
        # What a compiled graph keeps inside has no gradient that could be asked for.
        with self.device.autocast():
            prediction = (self.plain if norms else self.fast)(x)
        found = losses(prediction, batch, self.loss)
        values = torch.stack([found.pose, found.maps, mean_error_mm(prediction.joints, batch).mean()]).tolist()
        if not math.isfinite(values[0] + values[1]):
            raise TrainingError(
                f"the loss of step {self.progress.step} is not a number (pose {values[0]:g}, maps {values[1]:g}; "
                f"epoch {self.progress.epoch}, batch {self.progress.within}, store rows "
                f"{', '.join(str(i) for i in batch['index'].tolist())}): training stopped, last.pt and best.pt of "
                f"{self.out} keep what was good. Look at these rows with `gmaps inspect sample`, or lower --lr"
            )
        pulls = gradient_norms(found, self.loss, prediction.features) if norms else (0.0, 0.0)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(found.total).backward()
        if self.params.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.net.parameters(), self.params.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return values, pulls

    def _validate(self, log: Log | None) -> None:
        now = self.progress
        if not self.judge.dataset or not len(self.judge):
            self._save("best.pt")
            return
        found = np.concatenate([e for _, e in predict_batches(self.net, self.judge, self.device)])
        now.last_mm = self.device.mean(float(found.sum()), len(found))
        if not math.isfinite(now.last_mm):
            raise TrainingError(f"validation after step {now.step} gives no number; {self.out / 'best.pt'} is kept")
        if log is not None:
            log.row(now.step, epoch=now.epoch, seconds=now.seconds, validation_mm=now.last_mm)
            log.say(f"epoch {now.epoch}: {now.last_mm:.2f} mm on {len(found)} validation frames")
        now.stale = 0 if now.last_mm < now.best_mm else now.stale + 1
        if now.stale == 0:
            now.best_mm = now.last_mm
            self._save("best.pt")

    def _save(self, name: str) -> None:
        if self.device.first:
            save_checkpoint(self.out / name, self.state())


def predict_batches(net: HandMap, loader: Any, device: Device) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(B, J, 3) mm in camera axes, and (B,) mean errors in mm, of each batch; the network is in evaluation mode."""
    net.eval()
    with torch.inference_mode():
        for batch in loader:
            batch = to_device(batch, device.torch)
            with device.autocast():
                joints = net(device.lay_out(network_input(batch, net.params))).joints
            cube = batch["cube"]
            xyz = joints * cube[:, None, 3:] + cube[:, None, :3]
            yield xyz.cpu().numpy(), mean_error_mm(joints, batch).cpu().numpy()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def train(
    store: Store, out: Path, model: ModelParams, params: TrainParams, *, overwrite: bool = False,
    transform: Transform | None = None, progress: bool = True, checkpoint_minutes: float = 5.0,
    device: str = "auto", log_steps: int = 50,
) -> Progress:  # fmt: skip
    """Train a HandMap.

    Writes into `out`: last.pt, where the same call goes on; best.pt, of the smallest validation error; log.csv.
    Started by `torchrun`, each process trains on its share, on a GPU of its own.

    Parameters
    ----------
    store
        What to learn from.
    out
        The run's folder; one that holds a checkpoint of the same run is gone on with.
    model
        The network.
    params
        How to train.
    overwrite
        Begin anew, whatever `out` holds.
    transform
        Called with each item that is trained on.
    progress
        Draw a bar.
    checkpoint_minutes
        Between checkpoints; one is written after each epoch besides.
    device
        "auto", "cpu" or "cuda".
    log_steps
        Steps between two rows of the log.

    Returns
    -------
    Progress
        Where it ended, and why.

    Raises
    ------
    StoreError
        The store lacks a map.
    CheckpointError
        `out` holds another run's checkpoint.
    TrainingError
        The loss became NaN.
    """
    with open_device(device, params.precision) as opened:
        out.mkdir(parents=True, exist_ok=True)
        last = out / "last.pt"
        trainer = Trainer(
            store, out, model, params, opened, transform=transform, checkpoint_minutes=checkpoint_minutes,
            log_steps=log_steps,
        )  # fmt: skip
        if last.exists() and not overwrite:
            trainer.resume(last)
        return trainer.run(progress)
