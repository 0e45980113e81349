"""What a checkpoint holds of a run, and how the same run goes on from it."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmaps.errors import UsageError
from gmaps.training.checkpoint import CheckpointError, check_store, load_checkpoint, load_weights
from gmaps.training.params import RunState

if TYPE_CHECKING:
    from gmaps.training.trainer import Trainer

#: A longer run, or one that is read by more workers, is the same run.
_FREE = ("epochs", "minutes", "workers", "patience", "compile", "precision", "maps_on")
_NEEDED = ("optimizer", "scaler", "progress", "params", "store", "world", "random")


def run_state(run: Trainer) -> dict[str, Any]:
    """All that a checkpoint holds."""
    attributes, net = run.store.attributes, run.net
    if net.origin is None:
        raise UsageError(f"{type(net).__name__} was not made by build_network: a checkpoint could not make it again")
    loss = {"pose": net.pose_loss, "weights": dict(net.weights)}
    return {
        "network": net.origin[0], "model": net.origin[1], "skeleton": run.store.skeleton.to_dict(),
        "crop": dict(attributes["crop"]), "maps": {k: v for k, v in attributes["maps"].items() if k != "maps"},
        "weights": net.state_dict(), "optimizer": run.optimizer.state_dict(), "scaler": run.scaler.state_dict(),
        "progress": asdict(run.progress), "tally": run.tally.to_dict(),
        "params": {**asdict(run.params), "loss": loss}, "store": attributes.get("fingerprint", ""),
        "world": run.device.world, "random": run.device.random_state(),
    }  # fmt: skip


def resume(run: Trainer, path: Path) -> None:
    """Go on from a checkpoint of the same run.

    Raises
    ------
    CheckpointError
        It is damaged, or of a run with other parameters or another store.
    """
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, where a checkpoint is a file; use another --out")
    state = load_checkpoint(path)
    missing = [key for key in _NEEDED if key not in state]
    if missing:
        raise CheckpointError(f"{path} is no run to go on with: it lacks {', '.join(missing)}; {_CURE}")
    check_store(state, run.store, path)
    try:
        differ = _differences(state, run_state(run))
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: its parameters make no sense ({error!r}); {_CURE}") from error
    if differ:
        raise CheckpointError(
            f"{path} is of another run: {'; '.join(differ)}. Use the same options to go on with it, another "
            "--out to keep both, or --overwrite"
        )
    load_weights(run.net, state, path)
    try:
        progress = RunState(**state["progress"])
        _check(progress, len(run.batches))
        run.optimizer.load_state_dict(state["optimizer"])
        run.scaler.load_state_dict(state["scaler"])
        run.device.set_random_state(state["random"])
        run.tally.begin(progress.seconds, progress.waited)
        if "tally" in state:
            run.tally.load(state["tally"])
    # Whatever PyTorch makes of a state that is not its own.
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged: what it says of the run makes no sense ({error!r:.150}); {_CURE}"
        ) from error
    run.progress = progress


_CURE = "keep best.pt elsewhere and begin anew with --overwrite, or use another --out"


def _check(progress: RunState, steps: int) -> None:
    counts = (progress.step, progress.epoch, progress.within, progress.stale)
    if not all(isinstance(n, int) and n >= 0 for n in counts) or progress.within > steps:
        raise ValueError(f"step {progress.step}, epoch {progress.epoch}, {progress.within} of {steps} steps of it")
    if not (math.isfinite(progress.seconds) and progress.seconds >= 0):
        raise ValueError(f"{progress.seconds} seconds")


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """In what a checkpoint's run is another one than this, in words."""
    found = []
    if before["network"] != now["network"]:
        found.append(f"network {before['network']} -> {now['network']}")
    old, new = before["params"]["loss"], now["params"]["loss"]
    # What a checkpoint of an earlier version does not name was not there to be chosen.
    for was, is_now, what in (
        (before["model"], now["model"], "{}"), (before["params"], now["params"], "{}"), (old, new, "{} loss"),
        (old["weights"], new["weights"], "{} weight"),
    ):  # fmt: skip
        for key, value in is_now.items():
            if key in was and key not in (*_FREE, "loss", "weights") and _plain(was[key]) != _plain(value):
                found.append(f"{what.format(key)} {was[key]} -> {value}")
    found += ["another store"] if before["store"] != now["store"] else []
    found += [f"processes {before['world']} -> {now['world']}"] if before["world"] != now["world"] else []
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
