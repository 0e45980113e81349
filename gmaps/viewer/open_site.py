"""From a path to what is shown of it."""

from __future__ import annotations

from gmaps.store import open_store
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
