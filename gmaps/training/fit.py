"""`train`: a network from a store, which a kill does not lose and the same command goes on with."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from gmaps.nets.network import Network
from gmaps.nets.registry import NamedNetwork, Recipe
from gmaps.store import Store
from gmaps.training.device import open_device
from gmaps.training.feed import Transform
from gmaps.training.params import RunState, TrainParams, ended
from gmaps.training.resume import resume
from gmaps.training.run_folder import move_others_aside, run_folder
from gmaps.training.trainer import Trainer

__all__ = ["Trainer", "train"]
_log = logging.getLogger("gmaps")


def train(
    store: Store, out: Path, network: str | Recipe | Network, params: TrainParams, *, overwrite: bool = False,
    transform: Transform | None = None, progress: bool = True, checkpoint_minutes: float = 5.0,
    device: str = "auto", log_steps: int = 50,
) -> RunState:  # fmt: skip
    """Train a network.

    Writes into `out`: last.pt, where the same call goes on; best.pt, of the smallest validation error; log.csv.
    Started by `torchrun`, each process trains on its share, on a GPU of its own.

    Parameters
    ----------
    store
        What to learn from.
    out
        The run's folder; one that holds a checkpoint of the same run is gone on with.
    network
        A name of `gmaps.nets.list_networks()`, or MODULE:NAME; what makes a network, such as HandMap's `ModelParams`;
        or one that `build_network` has made, to go on with its weights.
    params
        How to train.
    overwrite
        Begin anew; what `out` holds of an earlier run is replaced, and what no run left there is moved aside.
    transform
        Called with each item that is trained on.
    progress
        First say on what is trained, then draw a bar, or lines where stderr is no terminal.
    checkpoint_minutes
        Between checkpoints; one is written after each epoch besides.
    device
        "auto", "cpu" or "cuda".
    log_steps
        Steps between two rows of the log.

    Returns
    -------
    RunState
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
    recipe = NamedNetwork(network) if isinstance(network, str) else network
    with open_device(device, params.precision) as opened, run_folder(out, opened.first):
        trainer = Trainer(
            store, out, recipe, params, opened, transform=transform, checkpoint_minutes=checkpoint_minutes,
            log_steps=log_steps,
        )  # fmt: skip
        last = out / "last.pt"
        resumes = last.exists() and not overwrite
        if opened.first and not resumes:
            move_others_aside(out)
        if resumes:
            resume(trainer, last)
            if why := ended(params, trainer.progress):
                _log.info(
                    "%s has ended already (%s): more --epochs or --minutes go on, --overwrite begins anew", out, why
                )
        if progress and opened.first:
            print(trainer.describe(), file=sys.stderr, flush=True)
        return trainer.run(progress)
