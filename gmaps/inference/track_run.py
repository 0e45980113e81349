"""A source, tracked to its end: what `gmaps track` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from gmaps.capture.shot import Shot, Source
from gmaps.inference.tracker import TrackedHand, Tracker


class TrackStats(NamedTuple):
    """How it went.

    Parameters
    ----------
    frames, with_hand, finds
        How many frames, how many of them with a hand, and how often one was found.
    median_ms, p99_ms, slowest_ms
        Of a frame: find or follow, crop, network, filter. Without reading and writing.
    """

    frames: int
    with_hand: int
    finds: int
    median_ms: float
    p99_ms: float
    slowest_ms: float


def track_source(
    tracker: Tracker, source: Source, note: Callable[[Shot, list[TrackedHand], float], None], most: int | None = None
) -> TrackStats:
    """Track every frame of a source; Ctrl-C ends it as the end of the source does.

    Parameters
    ----------
    tracker
        Of the source's camera.
    source
        Frames.
    note
        Called with each frame, its hands, and what it took, ms.
    most
        Stop after so many.
    """
    spent: list[float] = []
    seen = finds = 0
    try:
        for shot in _first(source, most):
            began = time.perf_counter()
            hands = tracker.step(shot.depth, shot.time)
            spent.append(1e3 * (time.perf_counter() - began))
            seen += bool(hands)
            finds += sum(hand.state == "found" for hand in hands)
            note(shot, hands, spent[-1])
    except KeyboardInterrupt:
        pass
    if not spent:
        return TrackStats(0, 0, 0, 0.0, 0.0, 0.0)
    middle, late = np.percentile(spent, [50, 99])
    return TrackStats(len(spent), seen, finds, float(middle), float(late), max(spent))


def _first(source: Source, most: int | None) -> Iterator[Shot]:
    for number, shot in enumerate(source):
        yield shot
        if most is not None and number + 1 >= most:
            return
