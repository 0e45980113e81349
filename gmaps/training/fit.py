"""`train`: a HandMap from a store, which a kill does not lose and the same command goes on with."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gmaps.augment.changes import Augment
from gmaps.nets.handmap import HandMap, ModelParams
from gmaps.store import Store
from gmaps.training.checkpoint import CheckpointError, check_store, load_checkpoint, save_checkpoint
from gmaps.training.device import Device, open_device
from gmaps.training.feed import (
    SHUFFLES,
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
from gmaps.training.params import Progress, TrainingError, TrainParams, ended, learning_rate
from gmaps.training.settle import BATCHES, settle


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
        order = SHUFFLES[params.shuffle](
            self.data, positions=learn, seed=params.seed, rank=device.rank, replicas=device.world
        )
        self.batches = Batches(order, params.batch)
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
                while not ended(self.params, self.progress):
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
        now.finished = ended(self.params, self.progress)
        return now

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
        own, size = self.batches.order.order(now.epoch), self.params.batch
        some = make_loader(self.data, in_order(own[: min(BATCHES, len(self.batches)) * size], size), 0)
        settle(self.net, (network_input(to_device(b, self.device.torch), self.net.params) for b in some), self.device)
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
