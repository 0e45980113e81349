"""Checkpoints: whole or not there, and refused with a reason when they do not fit."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch

from gmaps.errors import GmapsError
from gmaps.formats.regular import open_regular
from gmaps.nets.network import Network
from gmaps.nets.registry import build_network
from gmaps.skeleton import Skeleton
from gmaps.store import Store

#: 1 was of HandMap alone, and did not say how the store's maps were made; it is still read.
FORMAT = 2
_KEYS = ("format", "model", "skeleton", "crop", "weights")


class CheckpointError(GmapsError):
    """A file that is no checkpoint, a damaged one, or one that does not fit what it is used for."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint under a temporary name, force it to disk, and give it its own: a kill leaves the old one.

    Raises
    ------
    CheckpointError
        It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        kept = "the one before is kept" if path.exists() else "there was none before"
        # PyTorch's writer says of a full disk that its position is unexpected.
        why = error.strerror or reason(error) if isinstance(error, OSError) else reason(error)
        if "unexpected pos" in why:
            why = f"the disk is full, {shutil.disk_usage(path.parent).free:,} bytes are free"
        raise CheckpointError(f"{path}: the checkpoint cannot be written: {why}; {kept}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is run, whoever wrote it.

    Raises
    ------
    CheckpointError
        No such file, no checkpoint of gmaps, a damaged one, or one of another format.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "best.pt" if (path / "best.pt").exists() else path / "last.pt"
    try:
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what torch thinks that damaged bytes are
            state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; `gmaps train` writes best.pt and last.pt") from None
    # Bytes that are not its own lead torch.load to any exception there is.
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: it is damaged or something else ({_unread(error)}); "
            "use the run's other one of best.pt and last.pt, or begin anew with --overwrite"
        ) from error
    missing = [key for key in _KEYS if key not in state] if isinstance(state, dict) else list(_KEYS)
    if missing:
        raise CheckpointError(f"{path} is no checkpoint of gmaps: it lacks {', '.join(missing)}")
    if state["format"] not in (1, FORMAT):
        raise CheckpointError(f"{path} has format {state['format']}; this gmaps reads {FORMAT}: update it")
    try:
        state = _newer(state)
        _check(state)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: what it says of its network makes no sense: {error!r}") from error
    return state


def reason(error: BaseException) -> str:
    """The first line of an error, short enough for a message."""
    return str(error).splitlines()[0][:120] if str(error).strip() else type(error).__name__


def _unread(error: Exception) -> str:
    """Why torch.load gave up; its own advice is to run what the file holds."""
    return "these bytes are no tensors" if "weights_only" in str(error) else reason(error)


def _newer(state: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of format 1 in the words of format 2."""
    if state["format"] != 1:
        return state
    model = state["model"]
    state |= {"format": FORMAT, "network": "handmap", "maps": {"size": int(model["size"]) // 2}}
    if "params" in state:
        loss = state["params"]["loss"]
        weights = {"pose": loss["pose_weight"]}
        if model["guided"] and model["maps"]:
            weights["maps"] = loss["map_weight"]
        state["params"] = {**state["params"], "loss": {"pose": loss["pose"], "weights": weights}}
    return state


def _check(state: dict[str, Any]) -> None:
    """See that what is computed with is what it must be.

    Raises
    ------
    ValueError, TypeError, KeyError
        It is not.
    """
    crop = state["crop"]
    size, half = int(crop["size"]), float(crop["half_side"])
    if not (8 <= size <= 4096 and math.isfinite(half) and half > 0):
        raise ValueError(f"crops of {size} pixels and half side {half}")
    if crop["projection"] not in ("orthographic", "perspective"):
        raise ValueError(f"projection {crop['projection']!r}")
    if not (isinstance(state["network"], str) and isinstance(state["model"], dict)):
        raise TypeError("the network has no name or no parameters")
    if not isinstance(state["maps"], dict) or not all(isinstance(v, torch.Tensor) for v in state["weights"].values()):
        raise TypeError("maps or weights are something else")
    Skeleton.from_dict(state["skeleton"])


def restore_model(
    state: dict[str, Any], name: str | os.PathLike[str] = "checkpoint", network: str | None = None
) -> Network:
    """The network of a checkpoint, with its weights, in evaluation mode.

    Parameters
    ----------
    state
        What `load_checkpoint` gave.
    name
        What messages call it.
    network
        MODULE:NAME of a network of one's own. A checkpoint may name one, but code is imported only where the user
        names it: a stranger's checkpoint decides nothing about what runs.

    Raises
    ------
    CheckpointError
        Its network is another one, or unknown here, or its weights do not fit its parameters.
    """
    name, own = os.fspath(name), state["network"]
    if network is not None and network != own:
        raise CheckpointError(f"{name} is of network {own}, not of {network}")
    if ":" in own and network is None:
        raise CheckpointError(
            f"{name} is of network {own}, which is not part of gmaps: if that is yours, say --model {own} "
            f"(in Python, network={own!r})"
        )
    skeleton = Skeleton.from_dict(state["skeleton"])
    try:
        # Without memory first: a few altered bytes may ask for terabytes.
        with torch.device("meta"):
            made = build_network(own, skeleton, **state["model"]).state_dict()
        right = {k: v.shape for k, v in made.items()} == {k: v.shape for k, v in state["weights"].items()}
    except Exception:  # a network of one's own may not know how to be made so
        right = ":" in own
    if not right:
        raise CheckpointError(f"{name}: its weights are not those of its network {own}, or that is not known here")
    try:
        net = build_network(own, skeleton, **state["model"])
    except Exception as error:
        raise CheckpointError(f"{name}: its network {own} cannot be made: {reason(error)}") from error
    load_weights(net, state, name)
    return net.eval()


def load_weights(net: torch.nn.Module, state: dict[str, Any], name: str | os.PathLike[str]) -> None:
    """Give a network a checkpoint's weights.

    Raises
    ------
    CheckpointError
        They are of another one.
    """
    try:
        net.load_state_dict(state["weights"])
    except Exception as error:
        raise CheckpointError(f"{os.fspath(name)}: its weights are not those of its network: {error}") from error


def check_store(state: dict[str, Any], store: Store, name: str | os.PathLike[str] = "checkpoint") -> None:
    """Refuse a store that shows another skeleton, or other crops, than the checkpoint has learnt.

    Raises
    ------
    CheckpointError
        They differ; the message says in what.
    """
    learnt, shown = Skeleton.from_dict(state["skeleton"]), store.skeleton
    if learnt.joints != shown.joints:
        raise CheckpointError(
            f"{os.fspath(name)} has learnt skeleton {learnt.name} of {len(learnt)} joints, {store.path} has "
            f"{shown.name} of {len(shown)}: use a checkpoint that was trained on such a store"
        )
    crop = store.attributes["crop"]
    for key in ("projection", "half_side"):
        if state["crop"][key] != crop[key]:
            raise CheckpointError(
                f"{os.fspath(name)} has learnt crops of {key} {state['crop'][key]}, {store.path} has {crop[key]}: "
                f"build the store with the same {key}"
            )
