"""A tracker at work, in the browser: its newest frame, and how long each took.

The tracker never waits for a page. It leaves its newest frame here and goes on; a page asks for what is newer than
what it has, and gets the newest. So what a page cannot keep up with is left out, and nothing is queued.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gmaps.camera import Camera
from gmaps.capture.shot import Shot
from gmaps.errors import GmapsError
from gmaps.skeleton import Skeleton
from gmaps.viewer.packet import Packet
from gmaps.viewer.query import Query
from gmaps.viewer.tracked import SeenHand, hand_arrays, hand_facts, said, surest

if TYPE_CHECKING:
    from gmaps.inference.tracker import TrackedHand
    from gmaps.viewer.server import Answer, ViewServer

#: Frames of which the page shows confidence and times.
PAST = 300
#: Seconds after which a page without news is told that there are none; and after which a silent one counts as closed.
_PATIENCE, _GONE = 10.0, 2.0
#: Seconds over which frames are counted.
_RATE = 2.0
_MOST_PAGES = 64


class _Newest(NamedTuple):
    shot: Shot
    hands: list[SeenHand]


class LiveSite:
    """Answers for the page of a tracker at work.

    Parameters
    ----------
    name
        What the page calls the source.
    camera
        Of its frames.
    skeleton
        Of the joints.
    depth_range
        Where hands are looked for, mm: the greys of the picture.
    """

    def __init__(self, name: str, camera: Camera, skeleton: Skeleton, depth_range: tuple[float, float]) -> None:
        self.name, self.camera, self.skeleton, self.depth_range = name, camera, skeleton, depth_range
        self._new = Condition()
        self._number, self._end = -1, ""
        self._newest: _Newest | None = None
        self._past: deque[tuple[float, int, float, float]] = deque(maxlen=PAST)
        self._seen: dict[int, int] = {}
        self._pages: dict[str, float] = {}

    @property
    def calls(self) -> Mapping[str, Callable[[Query], Answer]]:
        """See `Site`."""
        return {"about": self.about, "next": self.next, "told": self.told}

    def close(self) -> None:
        """See `Site`."""

    def put(self, shot: Shot, hands: Sequence[TrackedHand], spent_ms: float) -> None:
        """The tracker's newest frame; never waits for a page.

        Parameters
        ----------
        shot
            The frame, which nobody changes any more.
        hands
            What was found in it.
        spent_ms
            What it took.
        """
        seen = [SeenHand(h.number, h.state, h.side, h.confidence, h.joints) for h in hands]
        sure, state = surest(seen)
        with self._new:
            self._number += 1
            self._newest = _Newest(shot, seen)
            self._past.append((sure, state, spent_ms, time.perf_counter()))
            self._seen = {n: k for n, k in self._seen.items() if self._number - k <= PAST}
            self._seen.update((hand.number, self._number) for hand in seen)
            self._new.notify_all()

    def wait_for_page(self, seconds: float) -> None:
        """Until a page looks on, but no longer than that."""
        with self._new:
            self._new.wait_for(lambda: bool(self._pages), seconds)

    def end(self, why: str) -> None:
        """There will be no more frames; returns when the pages that look on know, or are gone."""
        with self._new:
            self._end = why
            self._new.notify_all()
            self._new.wait_for(lambda: not self._looking_on(), _GONE)

    def _looking_on(self) -> bool:
        now = time.monotonic()
        return any(now - last < _GONE for last in self._pages.values())

    def about(self, query: Query) -> Answer:
        """What the page needs to know before it shows a frame."""
        c = self.camera
        return {
            "kind": "live", "name": self.name, "depth": True, "tracked": True, "width": c.width, "height": c.height,
            "lens": [c.fx, c.fy, c.cx, c.cy], "range": list(self.depth_range),
            **hand_facts(self.skeleton.joints, self.skeleton),
        }  # fmt: skip

    def told(self, query: Query) -> Answer:
        """A page knows that this has ended."""
        with self._new:
            self._pages.pop(query.text("page"), None)
            self._new.notify_all()
        return {}

    def next(self, query: Query) -> Answer:
        """The newest frame, once there is one of a number above `after`; or that there is none."""
        after, page = query.whole("after", -1, 2**53), query.text("page")
        with self._new:
            self._note(page, time.monotonic() + _PATIENCE)  # while it waits it looks on
            self._new.wait_for(lambda: self._number > after or bool(self._end), _PATIENCE)
            self._note(page, time.monotonic())
            number, newest, end = self._number, self._newest, self._end
            past, seen = list(self._past), dict(self._seen)
        if newest is None or number <= after:
            return {"number": after, "ended": end}
        hands, now = newest.hands, time.perf_counter()
        spent = np.array([p[2] for p in past], np.float32)
        recent = [p[3] for p in past if now - p[3] < _RATE]
        lost = [[n, number - k] for n, k in seen.items() if k < number]
        values: dict[str, Any] = {
            "number": number, "frame": newest.shot.name, "ended": end, "hands": [said(hand) for hand in hands],
            "lost": lost, "fps": (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0,
            "median_ms": float(np.percentile(spent, 50)), "p99_ms": float(np.percentile(spent, 99)),
        }  # fmt: skip
        return Packet(
            values,
            {"depth": np.minimum(newest.shot.depth + 0.5, 65535).astype(np.uint16), "spent": spent,
             "confidence": np.array([p[0] for p in past], np.float32),
             "state": np.array([p[1] for p in past], np.uint8), **hand_arrays(hands, self.camera)},
        )  # fmt: skip

    def _note(self, page: str, seen: float) -> None:
        """A page asks, and so is there."""
        if page not in self._pages:
            self._pages = {p: last for p, last in self._pages.items() if seen - last < 3 * _PATIENCE}
            if len(self._pages) >= _MOST_PAGES:
                return
            self._new.notify_all()  # for one that waits for a page
        self._pages[page] = seen


@contextlib.contextmanager
def shown_live(server: ViewServer, site: LiveSite) -> Iterator[LiveSite]:
    """Show a tracker at work; its page is told how it ended.

    Parameters
    ----------
    server
        Shows it from now on.
    site
        To be given frames.
    """
    server.show(site)
    try:
        yield site
    except GmapsError as error:
        site.end(f"gmaps track has ended: {error}")
        raise
    except OSError as error:
        site.end(f"gmaps track has ended: {error.filename or 'a file'}: {error.strerror or error}")
        raise
    site.end("gmaps track has ended.")
