"""Predictions in the form that a data set's own evaluation takes, where that is not the field's lines of u v d."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError
from gmaps.evaluation.files import replace_text
from gmaps.evaluation.groundtruth import own_sides
from gmaps.evaluation.protocols import PROTOCOLS

if TYPE_CHECKING:
    from gmaps.store import Store


def numbered_results(
    store: Store, joints: NDArray[Any], rejected: NDArray[Any]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names and values of the lines of a result file whose protocol numbers its frames, as DexYCB's.

    Parameters
    ----------
    store
        That was predicted.
    joints : (N, J, 3)
        mm, as the store has its hands.
    rejected
        Rows without a hand, which have no line.

    Returns
    -------
    names
        The place of each frame in its split; empty where the store's data set numbers none.
    values : (n, J, 3) float64
        mm, x right, y down, z forward, of hands as the camera saw them.
    """
    found = np.asarray(joints, np.float64)
    protocol = PROTOCOLS.get(store.attributes["dataset"]["name"])
    if protocol is None or not protocol.numbered:
        return (), found
    sides = own_sides(store) if protocol.sided else None
    if sides is not None:
        found = found * np.stack([sides, np.ones(len(sides)), np.ones(len(sides))], axis=1)[:, None]
    kept = np.setdiff1d(np.arange(len(found)), np.asarray(rejected, np.int64))
    return tuple(str(k) for k in kept.tolist()), found[kept]


def write_json_results(path: str, store: Store, joints: NDArray[Any]) -> None:
    """Write predictions as a `.json` of the form that the store's own evaluation takes.

    Parameters
    ----------
    path
        The file; other predictions that are there are replaced.
    store
        That was predicted.
    joints : (N, J, 3)
        mm.

    Raises
    ------
    UsageError
        The data set has no such form, or not all its frames were predicted.
    """
    name = store.attributes["dataset"]["name"]
    protocol = PROTOCOLS.get(name)
    if protocol is None or protocol.format_json is None:
        raise UsageError(f"{path}: the evaluation of {name} takes no JSON; name the file .txt")
    found = np.asarray(joints, np.float64)
    lost = np.flatnonzero(~np.isfinite(found).all(axis=(1, 2)))
    if len(lost):
        raise UsageError(
            f"{path}: {len(lost):,} frames have no prediction, the first is {lost[0]}; all must have one"
        )
    replace_text(Path(path), protocol.format_json(found) + "\n")
