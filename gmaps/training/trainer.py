"""One training run: batches in, weights out, and what is kept of both. It knows `gmaps.nets.Network`, no network."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gmaps.augment.changes import Augment
from gmaps.errors import GmapsError, SharedMemoryError, UsageError
from gmaps.formats.printable import printable
from gmaps.nets.inputs import entries
from gmaps.nets.network import Network, count_parameters
from gmaps.nets.registry import Recipe
from gmaps.store import Store
from gmaps.training.checkpoint import reason, save_checkpoint
from gmaps.training.device import Device
from gmaps.training.feed import (
    SHUFFLES,
    Batches,
    Transform,
    in_order,
    make_dataset,
    make_loader,
    needs_depth_alone,
    to_device,
)  # fmt: skip
from gmaps.training.interrupt import Interrupt
from gmaps.training.joined import JoinedStore
from gmaps.training.judge import predict_batches
from gmaps.training.log import Log, Tally
from gmaps.training.loss import gradient_norms, mean_error_mm, weighted
from gmaps.training.maps_on import MapsInStep, choose, learnt_alone
from gmaps.training.meter import Meter
from gmaps.training.norms import BATCHES, average_norms
from gmaps.training.params import CLOCKS, RunState, TrainingError, TrainParams, ended, learning_rate
from gmaps.training.resume import run_state
from gmaps.training.split import balance, labelled, people, split, validation_of

_MAPS_ON = {
    "stored": "as the store holds them",
    "cpu": "computed where crops are read",
    "gpu": "computed on the device, in the step",
}


class Trainer:
    """See `gmaps.training.fit.train`; `run` does it all."""

    def __init__(
        self, store: Store, out: Path, network: Recipe | Network, params: TrainParams, device: Device,
        *, transform: Transform | None = None, checkpoint_minutes: float = 5.0, log_steps: int = 50,
    ) -> None:  # fmt: skip
        self.store, self.out, self.device = store, out, device
        self.checkpoint_seconds, self.log_steps = 60 * checkpoint_minutes, log_steps
        torch.manual_seed(params.seed)
        self.net = device.place(_make(network, store, params))
        augment = Augment.parse(params.augment, params.seed)
        where = choose(params.maps_on, store, self.net, device.torch, params.on_the_fly or augment is not None)
        in_step = where == "gpu" and transform is None and needs_depth_alone(store, self.net)
        kinds = learnt_alone(self.net) if where == "gpu" else ()
        self.make_maps = MapsInStep(store, kinds, augment if in_step else None)
        self.data = make_dataset(
            store, self.net, on_the_fly=params.on_the_fly or where == "cpu", augment=None if in_step else augment,
            transform=transform, elsewhere=kinds,
        )  # fmt: skip
        self.maps_on = where
        # Augmented frames are to learn from, not to be judged by.
        clean = (
            self.data
            if augment is None and transform is None
            else make_dataset(store, self.net, learn=False, on_the_fly=params.on_the_fly)
        )
        self.params = params = replace(params, validation=validation_of(self.data, params.validation))
        self.learn, self.judged = split(
            self.data, params.validation, params.seed, self.net.learns_unlabelled, params.drop_unlabelled
        )
        order = SHUFFLES[params.shuffle](
            self.data,
            positions=balance(self.data, self.learn),
            seed=params.seed,
            rank=device.rank,
            replicas=device.world,
        )
        self.batches = Batches(order, params.batch)
        self.loader = make_loader(self.data, self.batches, params.workers, device.cuda)
        self.judge = make_loader(clean, in_order(self.judged[device.rank :: device.world], params.batch), 0)
        wrap = DistributedDataParallel(self.net, find_unused_parameters=True) if device.world > 1 else self.net
        self.plain: nn.Module = wrap
        self.fast: nn.Module = torch.compile(wrap) if params.compile else wrap  # type: ignore[assignment]
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), params.lr, weight_decay=params.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(device.torch.type, enabled=device.scaled)
        self.progress, self.tally, self.interrupt = RunState(), Tally(), Interrupt()
        self._starting = True

    def describe(self) -> str:
        """What is trained, on what and how: the first lines of a run."""
        p, net = self.params, self.net
        judged = f"{len(self.judged):,} frames of {people(self.data, self.judged)}" if len(self.judged) else "none"
        length = f"{p.minutes:g} minutes" if p.minutes is not None else f"{p.epochs} epochs"
        name = net.origin[0] if net.origin else type(net).__name__
        blank = len(self.learn) - len(labelled(self.data, self.learn))
        return "\n".join(printable(line, lines=False) for line in [
            f"frames      {len(self.learn):,} of {people(self.data, self.learn, 3)}, of {self.store.path}"
            + (f"; {blank:,} of them without labels" if blank else ""),
            *self._lacking(),
            f"validation  {judged} (--validation {p.validation})",
            f"network     {name}, {count_parameters(net):,} parameters; reads {', '.join(net.inputs)}; "
            f"learns {', '.join(net.targets)}",
            f"maps        {_MAPS_ON[self.maps_on]}",
            f"device      {self.device.torch}, {self.device.precision}, {torch.get_num_threads()} threads, "
            f"{p.workers} processes that read" + (f", {self.device.world} that train" * (self.device.world > 1)),
            f"weights     {', '.join(f'{k} {v:g}' for k, v in net.weights.items())}",
            f"steps       {len(self.batches):,} an epoch, of {p.batch * self.device.world} frames; {length}",
        ])  # fmt: skip

    def _lacking(self) -> list[str]:
        """What of several stores not all give to learn from."""
        known = self.store.lacking if isinstance(self.store, JoinedStore) else {}
        return [f"lacking     {n} in {', '.join(known[n])}" for n in self.net.targets if n in known]

    def run(self, progress: bool = True) -> RunState:
        """Train to the end; Ctrl-C keeps a checkpoint and goes through."""
        now, first = self.progress, self.device.first
        steps = len(self.batches)
        total = None if self.params.minutes else self.params.epochs * steps
        log = Log(self.out, now.step, tuple(self.net.weights)) if first else None
        meter = Meter(total, now.step, progress and first)
        try:
            with Interrupt() as self.interrupt:
                while not ended(self.params, self.progress):
                    self._epoch(log, meter)
                    if self.interrupt.asked:
                        self._save("last.pt")
                        kept = self.out / "last.pt"
                        raise KeyboardInterrupt(
                            f"stopped at step {now.step}, kept in {kept}: the same command goes on"
                        )
                    # Time may have run out in mid-epoch; what was learnt until then is judged as well.
                    self._validate(log, meter)
                    if now.within == steps:
                        now.epoch, now.within = now.epoch + 1, 0
                    self._save("last.pt")
        finally:
            meter.close()
            if log is not None:
                log.close()
        now.finished = ended(self.params, self.progress)
        return now

    def _epoch(self, log: Log | None, meter: Meter) -> None:
        now, size = self.progress, self.params.batch * self.device.world
        self.net.train()
        self.batches.epoch, self.batches.start = now.epoch, now.within
        self.data.set_epoch(now.epoch)
        self.make_maps.epoch = now.epoch
        self.net.begin_epoch(now.epoch)
        clock = CLOCKS[self.params.clock]
        saved, before = time.monotonic(), clock()
        for batch in self._read():
            waited = clock() - before
            rate = learning_rate(self.params, now, len(self.batches), self.device.world)
            # The same steps in every run, so that one that is resumed takes them in the same way.
            norms = now.step % self.log_steps == 0
            ready = self.make_maps(to_device(batch, self.device.torch))
            values, pulls = self._step(ready, rate, norms)
            self.tally.add(values)
            now.step, now.within = now.step + 1, now.within + 1
            now.seconds += clock() - before
            # A run's first batch waits for processes to start.
            now.waited += 0.0 if self._starting else waited
            before, self._starting = clock(), False
            speed, share = self.tally.rate(now.seconds, now.waited)
            meter.advance(sum(v for k, v in values.items() if k != "mm"), values["mm"], speed * size, share)
            if norms:
                if log is not None:
                    self._row(log, rate, speed * size, share, pulls)
                self.tally.begin(now.seconds, now.waited)
            if time.monotonic() - saved > self.checkpoint_seconds:
                self._save("last.pt")
                saved = time.monotonic()
            late = self.params.minutes is not None and now.seconds >= 60 * self.params.minutes
            if self.device.any(late or self.interrupt.asked):
                break

    def _read(self) -> Iterator[dict[str, Any]]:
        """Batches; what goes wrong in a process that reads is said in a sentence."""
        try:
            yield from self.loader
        except SharedMemoryError:
            self._save("last.pt")
            raise
        except GmapsError as error:
            # PyTorch puts the other process's traceback into the message, which ends it.
            own = str(error).rpartition(f"{type(error).__name__}: ")[2].strip()
            raise (TrainingError(own) if "Original Traceback" in str(error) else error) from error
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker"):
                raise
            self._save("last.pt")
            raise TrainingError(
                f"a process that reads ended at step {self.progress.step} ({reason(error)}): it may have run out of "
                f"memory. {self.out / 'last.pt'} is kept, and the same command goes on; fewer --workers or a smaller "
                "--batch need less"
            ) from error

    def _row(self, log: Log, rate: float, speed: float, share: float, pulls: dict[str, float]) -> None:
        now, means, weights = self.progress, self.tally.means(), self.net.weights
        mm = means.pop("mm")
        loss = sum(weights[name] * value for name, value in means.items())
        # A network without maps has a 0 there, as one whose maps weigh nothing.
        terms = {"pose": 0.0, "maps": 0.0, **means}
        gradients = {f"gradient_{name}": pulls.get(name, 0.0) for name in terms}
        log.row(now.step, epoch=now.epoch, seconds=now.seconds, lr=rate, loss=loss, **terms, mm=mm,
                samples_per_second=speed, waiting=share, **gradients)  # fmt: skip

    def _step(self, batch: dict[str, Any], rate: float, norms: bool) -> tuple[dict[str, float], dict[str, float]]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        inputs = [self.device.lay_out(x) for x in entries(batch, self._names)]
        # What a compiled graph keeps inside has no gradient that could be asked for.
        with self.device.autocast():
            output = (self.plain if norms else self.fast)(*inputs)
        terms = self.net.loss(output, batch)
        total = weighted(terms, self.net.weights)
        with torch.no_grad():
            mm = mean_error_mm(self.net.decode(output, batch), batch).nanmean()  # of frames with labels
        found = torch.stack([*(term.detach().float() for term in terms.values()), mm.float()]).tolist()
        values = dict(zip((*terms, "mm"), found, strict=True))
        if not math.isfinite(sum(found[:-1])):
            self._refuse(values, batch)
        shared = getattr(output, "features", None) if norms else None
        pulls = {} if shared is None else gradient_norms(terms, self.net.weights, shared)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        if self.params.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.net.parameters(), self.params.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return values, pulls

    @property
    def _names(self) -> tuple[str, ...]:
        """What the network is called with in training."""
        return (*self.net.inputs, *self.net.training_inputs)

    def _refuse(self, values: dict[str, float], batch: dict[str, Any]) -> None:
        now = self.progress
        kept = [name for name in ("last.pt", "best.pt") if (self.out / name).exists()]
        good = f"{' and '.join(kept)} of {self.out} keep what was good" if kept else "no checkpoint was written yet"
        terms = ", ".join(f"{name} {value:g}" for name, value in values.items() if name != "mm")
        raise TrainingError(
            f"the loss of step {now.step} is not a number ({terms}; epoch {now.epoch}, batch {now.within}, store "
            f"rows {', '.join(str(i) for i in batch['index'].tolist())}): training stopped, {good}. "
            "Look at these rows with `gmaps inspect sample`, or lower --lr"
        )

    def _validate(self, log: Log | None, meter: Meter) -> None:
        now = self.progress
        own, size = self.batches.order.order(now.epoch), self.params.batch
        some = make_loader(self.data, in_order(own[: min(BATCHES, len(self.batches)) * size], size), 0)
        inputs = (entries(to_device(b, self.device.torch), self._names) for b in some)
        average_norms(self.net, inputs, self.device)
        if not self.judge.dataset or not len(self.judge):
            self._save("best.pt")
            return
        found = np.concatenate([e for _, e in predict_batches(self.net, self.judge, self.device)])
        now.last_mm = self.device.mean(float(found.sum()), len(found))
        if not math.isfinite(now.last_mm):
            raise TrainingError(f"validation after step {now.step} gives no number; {self.out / 'best.pt'} is kept")
        if log is not None:
            log.row(now.step, epoch=now.epoch, seconds=now.seconds, validation_mm=now.last_mm)
        meter.say(f"epoch {now.epoch}: {now.last_mm:.2f} mm on {len(found)} validation frames")
        now.stale = 0 if now.last_mm < now.best_mm else now.stale + 1
        if now.stale == 0:
            now.best_mm = now.last_mm
            self._save("best.pt")

    def _save(self, name: str) -> None:
        if self.device.first:
            save_checkpoint(self.out / name, run_state(self))


def _make(network: Recipe | Network, store: Store, params: TrainParams) -> Network:
    """The network, with the weights of its loss as they are asked for."""
    net = network if isinstance(network, Network) else network.build(store.skeleton)
    if net.skeleton.joints != store.skeleton.joints:
        raise UsageError(f"the network is of skeleton {net.skeleton.name}, {store.path} of {store.skeleton.name}")
    try:
        json.dumps(net.origin)
    except TypeError as error:
        raise UsageError(
            f"a checkpoint cannot hold the network's parameters ({error}): use numbers, texts and lists of them"
        ) from None
    net.check_crops(store.attributes["crop"])
    if store.flat and "depth" in net.inputs:
        raise UsageError(
            f"{store.path} has colour and no depth, which the network reads: train --model cpm or nsrm with -P "
            "input=color, or crossmodal_vae with pairs of color"
        )
    net.weights, net.pose_loss = params.loss.of(net.weights), params.loss.pose
    return net
