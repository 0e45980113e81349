"""Checkpoints: whole or not there, and refused with a reason when they do not fit."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from gmaps.errors import GmapsError
from gmaps.nets.handmap import HandMap, ModelParams
from gmaps.skeleton import Skeleton
from gmaps.store import Store

FORMAT = 1
#: What torch.load meets in bytes that are not its own.
_DAMAGE = (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile)
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
        raise CheckpointError(f"{path}: the checkpoint cannot be written: {error}; the one before is kept") from error
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
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; `gmaps train` writes best.pt and last.pt") from None
    except (*_DAMAGE, OSError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: it is damaged or something else ({reason}); "
            "use the run's other one of best.pt and last.pt"
        ) from error
    missing = [key for key in _KEYS if key not in state] if isinstance(state, dict) else list(_KEYS)
    if missing:
        raise CheckpointError(f"{path} is no checkpoint of gmaps: it lacks {', '.join(missing)}")
    if state["format"] != FORMAT:
        raise CheckpointError(f"{path} has format {state['format']}; this gmaps reads {FORMAT}: update it")
    return state


def restore_model(state: dict[str, Any], name: str | os.PathLike[str] = "checkpoint") -> HandMap:
    """The network of a checkpoint, with its weights, in evaluation mode.

    Raises
    ------
    CheckpointError
        Its weights do not fit its parameters.
    """
    try:
        net = HandMap(ModelParams.from_dict(state["model"]), Skeleton.from_dict(state["skeleton"]))
        net.load_state_dict(state["weights"])
    except (RuntimeError, TypeError, KeyError) as error:
        raise CheckpointError(f"{os.fspath(name)}: its weights are not those of its network: {error}") from error
    return net.eval()


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
