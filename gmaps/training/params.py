"""How to train, where a run is, and the learning rate that follows from both."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from gmaps.errors import GmapsError, UsageError, unknown_name
from gmaps.training.feed import SHUFFLES
from gmaps.training.loss import LossParams
from gmaps.training.maps_on import MapsOn, check_name

Schedule = Literal["original", "cosine"]
Clock = Literal["wall", "cpu"]
#: What a run's seconds are: of the wall, or of all the processors that this process keeps busy.
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
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
    clock
        What these are minutes of: "wall"; or "cpu", the processors' time of this process and its threads, which means
        the same on a machine that others use. Processes that read are not counted.
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
        See `gmaps.training.split.split`.
    shuffle
        "uniform", or "blocks" for a store larger than memory: see `gmaps.training.sampler`.
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
    maps_on
        Where maps are made: "stored" reads them, "cpu" computes them where the crops are read, "gpu" in the step, on
        the device. "auto": on the GPU where there is one, else as `on_the_fly` and `augment` have it.
    augment
        "off", "on", or such as "rotation=30,noise=1": see `Augment`. Maps are then computed while training.
    drop_unlabelled
        Leave frames without labels out, instead of learning from them or refusing them.
    loss
        Weights of the losses.
    """

    epochs: int = 10
    minutes: float | None = None
    clock: Clock = "wall"
    batch: int = 64
    lr: float = 1e-3
    schedule: Schedule = "original"
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 5
    validation: str = "auto"
    shuffle: str = "uniform"
    seed: int = 0
    workers: int = 1
    precision: str = "auto"
    compile: bool = False
    on_the_fly: bool = False
    maps_on: MapsOn = "auto"
    augment: str = "off"
    drop_unlabelled: bool = False
    loss: LossParams = field(default_factory=LossParams)

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or min(self.workers, self.patience, self.clip, self.weight_decay) < 0:
            raise UsageError(f"epochs and batch are 1 or more, workers, patience, clip, decay 0 or more: got {self}")
        if not (math.isfinite(self.lr) and self.lr > 0 and (self.minutes is None or self.minutes > 0)):
            raise UsageError(f"learning rate and minutes are positive, got {self.lr} and {self.minutes}")
        if self.schedule not in ("original", "cosine"):
            raise unknown_name("schedule", self.schedule, ("original", "cosine"))
        if self.clock not in CLOCKS:
            raise unknown_name("clock", self.clock, tuple(CLOCKS))
        if self.shuffle not in SHUFFLES:
            raise unknown_name("shuffle", self.shuffle, tuple(SHUFFLES))
        check_name(self.maps_on)
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"a seed is 0 to 2**32 - 1, got {self.seed}")


@dataclass
class RunState:
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


def learning_rate(params: TrainParams, progress: RunState, steps: int, world: int = 1) -> float:
    """Of the next step; `steps` is the length of an epoch."""
    if params.schedule == "original":
        samples = progress.step * params.batch * world
        result: float = max(params.lr * _DECAY ** (samples // _DECAY_SAMPLES), min(_FLOOR, params.lr))
        return result
    done = progress.step / (params.epochs * steps)
    if params.minutes is not None:
        done = max(done, progress.seconds / (60 * params.minutes))
    if done < _WARM:
        return params.lr * max(done / _WARM, 0.02)
    return params.lr * max(0.5 * (1 + math.cos(math.pi * min((done - _WARM) / (1 - _WARM), 1.0))), 1e-4)


def ended(params: TrainParams, progress: RunState) -> str:
    """Why a run is at its end, as `RunState.finished` has it; empty while it is not."""
    if params.minutes is not None and progress.seconds >= 60 * params.minutes:
        return "minutes"
    if progress.epoch >= params.epochs:
        return "epochs"
    if params.patience and (progress.stale >= params.patience or progress.last_mm > _WORSE * progress.best_mm):
        return "early"
    return ""
