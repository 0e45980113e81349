"""Files at their own speed: as a camera would have given them, for somebody who looks on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from gmaps.camera import Camera
from gmaps.capture.devices import DepthCamera
from gmaps.capture.shot import Shot, Source

#: Seconds: no pause of a recording is waited out for longer.
LONGEST = 1.0


def at_own_speed(source: Source, begin: Callable[[], None]) -> Source:
    """Files as `Paced`; a camera as it is, for it sets its own pace.

    Parameters
    ----------
    source, begin
        See `Paced`.
    """
    return source if isinstance(source, DepthCamera) else Paced(source, begin)


class Paced:
    """A source whose frames come no sooner than their times say; none is left out, and none is changed.

    Parameters
    ----------
    source
        Frames.
    begin
        Called before the first.
    """

    def __init__(self, source: Source, begin: Callable[[], None]) -> None:
        self._source, self._begin = source, begin

    @property
    def camera(self) -> Camera:
        """See `Source`."""
        return self._source.camera

    def __iter__(self) -> Iterator[Shot]:
        self._begin()
        due = before = None
        for shot in self._source:
            now = time.monotonic()
            # One that comes late does not make those behind it hurry.
            due = now if due is None or before is None else max(now, due + min(shot.time - before, LONGEST))
            before = shot.time
            time.sleep(due - now)
            yield shot

    def close(self) -> None:
        """See `Source`."""
        self._source.close()
