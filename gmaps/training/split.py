"""Which frames are trained on, and which are judged by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import UsageError, unknown_name
from gmaps.training.dataset import GuidanceDataset


def validation_of(data: GuidanceDataset, validation: str) -> str:
    """What "auto" means: a tenth of the people, lest one is on both sides; of the frames where there is one person.

    Anything else is passed through.
    """
    if validation != "auto":
        return validation
    people = np.unique(np.asarray(data.store.column("subject"))[data.rows])
    return "subjects:0.1" if len(people) > 1 else "0.1"


def split(
    data: GuidanceDataset, validation: str, seed: int, unlabelled: bool = False, drop: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions to train on and to validate on.

    Parameters
    ----------
    data
        The data set.
    validation
        "0.1": this share of the frames; "subjects:0.1": all frames of this share of the people, at least one;
        "S9,S19": those people; "0": nothing; "auto": see `validation_of`.
    seed
        Decides which.

    unlabelled
        Whether frames without labels are trained on. They are never judged by: not those of people who are, either.
    drop
        Whether they are left out.

    Raises
    ------
    UsageError
        It is none of these, or leaves nothing to train on; or there are frames without labels that are not wanted.
    """
    known = np.zeros(len(data), bool)
    known[labelled(data, np.arange(len(data)))] = True
    if not known.all() and not (unlabelled or drop):
        raise UsageError(
            f"{(~known).sum()} of {len(data)} frames of {data.store.path} have no labels, the first in row "
            f"{data.rows[int(np.argmin(known))]}: --drop-unlabelled leaves them out; a network that learns from "
            "frames alone is --model crossmodal_vae, or deephps with --weight surface=1"
        )
    validation = validation_of(data, validation)
    store, rng = data.store, np.random.default_rng([seed, 0x5E1])
    names = list(store.attributes["dataset"].get("subjects", []))
    subject = np.asarray(store.column("subject"))[data.rows]
    share = _share(validation.removeprefix("subjects:"))
    if validation.startswith("subjects:") and share is not None:
        people = rng.permutation(np.unique(subject[known]))
        chosen = np.isin(subject, people[: max(1, round(share * len(people)))])
    elif share is not None:
        having = np.flatnonzero(known)
        chosen = np.zeros(len(data), bool)
        chosen[having[rng.permutation(len(having))[: int(np.ceil(share * len(having)))]]] = True
    else:
        wanted = [name.strip() for name in validation.split(",")]
        for name in wanted:
            if name not in names:
                raise unknown_name(f"subject in {store.path}", name, names)
        chosen = np.isin(subject, [names.index(name) for name in wanted])
        if not (chosen & known).any():
            raise UsageError(f"{store.path} has no labels of {validation} to validate on: name others, or 0 for none")
    if chosen.all():
        raise UsageError(f"validation on {validation!r} leaves none of the {len(data)} frames to train on")
    learn = ~chosen & known if drop else ~chosen
    if not learn.any():
        raise UsageError(f"{store.path} has no frame with labels but those of {validation}, which are validated on")
    return np.flatnonzero(learn), np.flatnonzero(chosen & known)


def labelled(data: GuidanceDataset, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of these positions whose frames have all their joints."""
    known: NDArray[np.bool_] = np.isfinite(data.store.column("joints")[data.rows[positions]]).all(axis=(1, 2))
    found: NDArray[np.int64] = positions[known]
    return found


def _share(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not 0 <= value < 1:
        raise UsageError(f"validation is on a share from 0 to below 1 of the frames, got {text}")
    return value


def people(data: GuidanceDataset, positions: NDArray[np.int64], most: int = 5) -> str:
    """Who is on these positions: "3 people: S1, S2, S3", or how many where they are more than can be listed."""
    found = np.unique(np.asarray(data.store.column("subject"))[data.rows[positions]])
    known = list(data.store.attributes["dataset"].get("subjects", []))
    names = [known[s] if 0 <= s < len(known) else str(s) for s in found.tolist()]
    count = f"{len(names)} {'person' if len(names) == 1 else 'people'}"
    return f"{count}: {', '.join(names)}" if 0 < len(names) <= most else f"{count}"


def balance(data: GuidanceDataset, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """These positions, those with labels so many times that they are about as many as those without.

    Else a batch where one frame of twenty has labels would learn from three of them. Unchanged where all have labels,
    or most.
    """
    known = labelled(data, positions)
    times = round((len(positions) - len(known)) / max(len(known), 1))
    return np.concatenate([positions, *[known] * (times - 1)])
