"""Following hands from frame to frame.

The rules. A hand that is not followed is looked for in every frame: see `gmaps.inference.detector`. One that is
followed gets its next cube from its last joints: their middle, moved on by half of what it moved in the last frame.
If what the network then finds lies further than `RECENTER` from that cube's middle, it looks a second time, around
what it found. A hand is lost, and the frame has none of it, when the network is less sure than `KEEP` times the
confidence that finding asks for, or when the joints' middle has jumped by more than `JUMP`. In the next frame it is
looked for again. For `PATIENCE` frames one is found again only within `JUMP` and `REACH` more for each frame since;
then anywhere. As which side it is followed, where nobody says, is decided by the sum of both confidences over
`WEIGH` frames. Every `AROUND` frames the tracker looks around, in the next frame it looks closely at the likeliest
place, and goes over to it if that is surer by `BETTER`: so it does not stay with an elbow that it once took for a
hand, and no frame bears the time of both looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import UsageError
from gmaps.inference.detector import APART, SURE, Array, Detector, Found, Judge, Side, middle
from gmaps.inference.filters import OneEuro

#: mm between a cube's middle and that of its joints, at which a second look is taken.
RECENTER = 25.0
#: Share of the confidence of a find that suffices to go on.
KEEP = 0.75
#: mm from one frame to the next that no hand's middle moves.
JUMP = 140.0
#: mm more for each frame that a hand is lost, and frames after which it may be anywhere.
REACH, PATIENCE = 30.0, 3
#: Frames in which both sides are asked.
WEIGH = 10

#: Every so many frames of a hand, the tracker looks around; what is surer by so much is taken for the hand.
AROUND, BETTER = 12, 0.05

State = Literal["found", "tracking"]


class TrackedHand(NamedTuple):
    """A hand in one frame.

    Parameters
    ----------
    number
        Of the hand: the same while it is followed, and when it is found again soon.
    state
        "found" in its first frame, and in the first after it was lost; then "tracking".
    side
        "right" or "left".
    confidence
        From 0 to 1.
    joints : (J, 3) float32
        mm, camera axes, smoothed.
    raw : (J, 3) float32
        As the network gave them.
    """

    number: int
    state: State
    side: Side
    confidence: float
    joints: Array
    raw: Array


@dataclass
class _Hand:
    number: int
    last: NDArray[np.float64]
    filter: OneEuro | None
    speed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    followed: bool = True
    away: int = 0
    seen: int = 0
    rival: NDArray[np.float64] | None = None
    votes: dict[Side, float] = field(default_factory=dict)

    @property
    def side(self) -> Side:
        return max(self.votes, key=lambda side: self.votes[side])


class Tracker:
    """Hands from frame to frame.

    Parameters
    ----------
    judge
        A `Predictor`, such as `gmaps.inference.load_pretrained()` gives.
    camera
        Of the frames.
    hands
        How many at most.
    side
        "right", "left" or "auto".
    depth_range
        Where hands can be, mm.
    sure
        Least confidence of a find.
    smooth
        Whether joints are filtered: see `OneEuro`.

    Raises
    ------
    UsageError
        A value out of range.

    Examples
    --------
    >>> tracker = Tracker(load_pretrained(), camera)  # doctest: +SKIP
    >>> for number, depth in enumerate(images):  # doctest: +SKIP
    ...     for hand in tracker.step(depth, number / 30):
    ...         print(hand.number, hand.state, hand.joints[0])
    """

    def __init__(
        self, judge: Judge, camera: Camera, *, hands: int = 1, side: str = "auto",
        depth_range: tuple[float, float] = (100.0, 1500.0), sure: float = SURE, smooth: bool = True,
    ) -> None:  # fmt: skip
        if not 1 <= hands <= 4:
            raise UsageError(f"1 to 4 hands can be followed, not {hands}")
        self.detector = Detector(judge, camera, depth_range=depth_range, side=side, sure=sure)
        self.camera, self.most, self.smooth = camera, hands, smooth
        self._hands: list[_Hand] = []
        self._made = 0

    def step(self, depth: Array, time: float) -> list[TrackedHand]:
        """The hands of the next frame, in the order of their numbers.

        Parameters
        ----------
        depth : (H, W) float32
            mm; 0 where nothing was seen.
        time
            s; later than that of the frame before.
        """
        out: list[TrackedHand] = []
        for hand in self._hands:
            if hand.followed:
                found = self._follow(hand, depth, [h for h in self._hands if h is not hand and h.followed])
                if found is None:
                    hand.followed, hand.away = False, 0
                    continue
                better = self._look_around(hand, depth, found)
                if better is not None:
                    self._take(hand, better)
                out.append(self._note(hand, better or found, time, "found" if better else "tracking"))
        # A hand that was lost in this very frame is looked for in the next.
        lost = [h for h in self._hands if not h.followed]
        for hand in lost:
            hand.away += 1
        searching = self.most - sum(h.followed for h in self._hands) - sum(h.away == 1 for h in lost)
        if searching > 0:
            out += self._search(depth, time, searching)
        return sorted(out, key=lambda h: h.number)

    def _follow(self, hand: _Hand, depth: Array, others: list[_Hand]) -> Found | None:
        expected = hand.last + np.clip(hand.speed / 2, -60, 60)
        open_question = len(self.detector.sides) > 1 and hand.seen < WEIGH
        sides = self.detector.sides if open_question else (hand.side,)
        looks = self.detector.look(depth, [expected], sides)
        if not looks:
            return None
        for look in looks:
            hand.votes[look.side] = hand.votes.get(look.side, 0.0) + look.confidence
        found = next(look for look in looks if look.side == hand.side)
        if np.linalg.norm(found.center - expected) > RECENTER:
            found = max([found, *self.detector.look(depth, [found.center], (hand.side,))], key=lambda f: f.confidence)
        if not found.confidence >= KEEP * self.detector.sure or np.linalg.norm(found.center - hand.last) > JUMP:
            return None
        if any(np.linalg.norm(found.center - other.last) < 40 for other in others):
            return None  # two that follow one hand
        return found

    def _search(self, depth: Array, time: float, hands: int) -> list[TrackedHand]:
        taken = [h.last for h in self._hands if h.followed]
        out = []
        for found in self.detector.detect(depth, hands, taken):
            near = [
                h
                for h in self._hands
                if not h.followed and np.linalg.norm(found.center - h.last) <= JUMP + REACH * h.away
            ]
            hand = min(near, key=lambda h: float(np.linalg.norm(found.center - h.last)), default=None)
            if hand is None:
                # Elsewhere: while one that was lost may come back where it was, only its place counts.
                old = [h for h in self._hands if not h.followed and h.away <= PATIENCE]
                if len(old) + sum(h.followed for h in self._hands) >= self.most:
                    continue
                hand = _Hand(self._made, found.center, OneEuro() if self.smooth else None)
                self._made += 1
                self._hands = [h for h in self._hands if h.followed or h.away <= PATIENCE] + [hand]
            self._take(hand, found)
            out.append(self._note(hand, found, time, "found"))
        return out

    def _look_around(self, hand: _Hand, depth: Array, found: Found) -> Found | None:
        """A hand that the network is clearly surer of than of the one that is followed."""
        taken = [found.center, *(h.last for h in self._hands if h.followed and h is not hand)]
        least = found.confidence + BETTER
        if hand.rival is not None:
            looks = self.detector.look(depth, [hand.rival], self.detector.sides)
            hand.rival = None
            other = max(looks, key=lambda f: f.confidence, default=None)
            far = other is not None and all(np.linalg.norm(other.center - c) > APART for c in taken)
            return other if other is not None and far and other.confidence > least else None
        if hand.seen % AROUND == 0:
            hand.rival = next(iter(self.detector.places(depth, 1, taken, least)), None)
        return None

    @staticmethod
    def _take(hand: _Hand, found: Found) -> None:
        """Begin to follow, from here on."""
        hand.followed, hand.seen, hand.rival = True, 0, None
        hand.votes = {side: vote / 2 for side, vote in hand.votes.items()}
        hand.votes[found.side] = hand.votes.get(found.side, 0.0) + found.confidence
        hand.last, hand.speed = found.center, np.zeros(3)
        if hand.filter is not None:
            hand.filter.reset()

    def _note(self, hand: _Hand, found: Found, time: float, state: State) -> TrackedHand:
        center = middle(found.joints)
        hand.speed, hand.last, hand.seen, hand.away = center - hand.last, center, hand.seen + 1, 0
        joints = found.joints if hand.filter is None else hand.filter(found.joints, time).astype(np.float32)
        return TrackedHand(hand.number, state, found.side, found.confidence, joints, found.joints)
