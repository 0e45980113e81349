"""A recording in the browser, frame by frame, with the hands that `gmaps track` found in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmaps.capture.recording import Recording
from gmaps.errors import PredictionError, UsageError
from gmaps.viewer.packet import Packet
from gmaps.viewer.query import Query
from gmaps.viewer.tracked import Track, hand_arrays, hand_facts, said, surest

if TYPE_CHECKING:
    from gmaps.viewer.server import Answer


class RecordingSite:
    """Answers for the page of a recording.

    Parameters
    ----------
    name
        What the page calls it.
    recording
        The frames; None for hands without them.
    track
        The hands; None for frames without them.

    Raises
    ------
    PredictionError
        The two are not of the same frames.
    """

    def __init__(self, name: str, recording: Recording | None, track: Track | None) -> None:
        self.name, self.recording, self.track = name, recording, track
        self._lock = Lock()  # an archive has one place at which it reads
        if recording is not None and track is not None:
            if len(recording) != len(track.frames):
                raise PredictionError(
                    f"{name} has {len(recording):,} frames, and the track {len(track.frames):,}: give the track of "
                    "this recording"
                )
            if recording.camera != track.camera:
                raise PredictionError(f"{name} was taken with another camera than the track: give its own track")

    @property
    def calls(self) -> Mapping[str, Callable[[Query], Answer]]:
        """See `Site`."""
        return {"about": self.about, "frame": self.frame, "course": self.course}

    def close(self) -> None:
        """See `Site`."""
        if self.recording is not None:
            self.recording.close()

    def __len__(self) -> int:
        if self.recording is not None:
            return len(self.recording)
        return 0 if self.track is None else len(self.track.frames)

    def about(self, query: Query) -> Answer:
        """What the page needs to know before it shows a frame."""
        known = self.recording or self.track
        camera = known.camera if known is not None else None
        return {
            "kind": "recording", "name": self.name, "frames": len(self), "depth": self.recording is not None,
            "width": camera.width if camera else 0, "height": camera.height if camera else 0,
            "lens": [camera.fx, camera.fy, camera.cx, camera.cy] if camera else [1, 1, 0, 0], "range": [100, 1500],
            "tracked": self.track is not None,
            **(hand_facts((), None) if self.track is None else hand_facts(self.track.joints, self.track.skeleton)),
        }  # fmt: skip

    def course(self, query: Query) -> Answer:
        """Of all frames: time, and confidence and state of the hand that is surest."""
        frames = len(self)
        sure, state = np.full(frames, np.nan, np.float32), np.zeros(frames, np.uint8)
        times = self.recording.times if self.recording is not None else []
        if self.track is not None:
            times = times or self.track.times
            for k, hands in enumerate(self.track.hands):
                sure[k], state[k] = surest(hands)
        return Packet({}, {"time": np.array(times, np.float64), "confidence": sure, "state": state})

    def frame(self, query: Query) -> Answer:
        """One frame: its depth, and its hands."""
        if len(self) == 0:
            raise UsageError(f"{self.name} holds no frame")
        k = query.whole("k", 0, len(self) - 1)
        hands = [] if self.track is None else self.track.hands[k]
        name, arrays = "", dict[str, NDArray[Any]]()
        if self.recording is not None:
            with self._lock:
                shot = self.recording.shot(k)
            name, arrays["depth"] = shot.name, shot.depth
        elif self.track is not None:
            name = self.track.frames[k]
        known = self.recording or self.track
        if known is not None:
            arrays |= hand_arrays(hands, known.camera)
        return Packet({"k": k, "frame": name, "hands": [said(hand) for hand in hands]}, arrays)
