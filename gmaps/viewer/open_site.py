"""From a path to what is shown of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gmaps.viewer.target import run_folders

# Each imports what it needs itself: what a store needs takes long enough.
if TYPE_CHECKING:
    from gmaps.viewer.recording_site import RecordingSite
    from gmaps.viewer.run_site import RunSite
    from gmaps.viewer.store_site import StoreSite


def open_store_site(
    path: str, name: str, *, predictions: str | None = None, checkpoint: str | None = None,
    model: str | None = None, device: str = "auto",
) -> StoreSite:  # fmt: skip
    """A store, with its predictions beside it.

    Parameters
    ----------
    path
        The store.
    name
        What the page calls it.
    predictions
        A file of predicted joints.
    checkpoint, model, device
        Of a network: see `gmaps.inference.Predictor`.

    Raises
    ------
    StoreError, PredictionError
        It is no store, or the file does not fit it.
    """
    from gmaps.store import open_store
    from gmaps.viewer.store_site import StoreSite

    store = open_store(path)
    store.skeleton  # noqa: B018  a store that names none is refused now
    if predictions is not None:
        from gmaps.evaluation.of_store import judge_store
        from gmaps.viewer.predicted import FromFile

        return StoreSite(store, name, FromFile(store, judge_store(store, predictions)))
    if checkpoint is not None:
        from gmaps.viewer.predicted import FromNetwork

        return StoreSite(store, name, FromNetwork(store, checkpoint, model, device))
    return StoreSite(store, name)


def open_recording_site(path: str, name: str, *, predictions: str | None = None) -> RecordingSite:
    """A recording, with the hands of a file of `gmaps track --out` in it.

    Raises
    ------
    FrameError, PredictionError
        One of the files is damaged, or they do not belong together.
    """
    from gmaps.capture.recording import Recording
    from gmaps.viewer.recording_site import RecordingSite
    from gmaps.viewer.tracked import read_track

    track = None if predictions is None else read_track(Path(predictions))
    return RecordingSite(name, Recording(Path(path)), track)


def open_track_site(path: str, name: str) -> RecordingSite:
    """Hands of a file of `gmaps track --out`, without their frames.

    Raises
    ------
    PredictionError
        The file is damaged.
    """
    from gmaps.viewer.recording_site import RecordingSite
    from gmaps.viewer.tracked import read_track

    return RecordingSite(name, None, read_track(Path(path)))


def open_run_site(path: str, name: str) -> RunSite:
    """A run of `gmaps train`, or all those that lie in a folder."""
    from gmaps.viewer.run_site import RunSite

    return RunSite(run_folders(Path(path)), name)
