"""Hands that move: smooth sequences, within limits and free of contact, for tracking.

A sequence goes from one key pose to the next; frame t of it is a function of (seed, sequence, t) alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmaps.synth import turns
from gmaps.synth.contact import free_pose, penetration
from gmaps.synth.hand import LIMITS, WRIST, HandShape, place_pose, pose_hand
from gmaps.synth.poses import FAMILIES, family_angles, random_angles, random_turn
from gmaps.synth.stage import PosedHand, Stage, bring_into_view, find_spot, get_person

Array = NDArray[np.float64]
#: Frames from one key pose to the next: a second and a half of most cameras.
PACE = 45
#: How far a key pose's side is from the sequence's own towards a random one.
_SWAY = 0.3
#: How far a hand may open on its way, of the whole way to an open one, and what fingers may then overlap, mm, before
#: `free_pose` parts them: of deeper ones it parts some to the other side from one frame to the next.
_OPENINGS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MEET = 1.5
# First words of seeds; `gmaps.synth.stage` has 0 and 1.
_SEQUENCE, _KEY, _SENSOR = 2, 3, 4


def make_moving_hand(
    seed: int, sequence: int, step: int, subject: int, stage: Stage, poses: Array | None = None
) -> PosedHand:
    """Frame `step` of a sequence.

    Parameters
    ----------
    seed, sequence, step
        What decides, beside the rest, not negative.
    subject
        Which of the seed's people.
    stage
        Where.
    poses : (P, 23), optional
        Key poses are drawn from these, degrees; by default from all families.
    """
    person = get_person(seed, subject)
    before, since = divmod(step, PACE)
    share = since / PACE
    share = share * share * (3 - 2 * share)  # starts and stops softly
    base = random_turn(np.random.default_rng([_SEQUENCE, seed, sequence]))
    keys = []
    for k in (before, before + 1):
        rng = np.random.default_rng([_KEY, seed, sequence, k])
        wanted = draw_angles(poses, rng)
        angles, pose = free_pose(person.shape, wanted)
        turn = _between(base, random_turn(rng), _SWAY)
        spot = find_spot(turns.apply(turn, pose.joints[0]), stage, rng)
        keys.append((angles, turn, spot))
    (a, q, p), (b, r, s) = keys
    angles, pose = free_pose(person.shape, _on_the_way(a, b, np.array([share]), _opening(person.shape, a, b))[0])
    pose = place_pose(pose, _between(q, r, share), p + share * (s - p))
    # Between two places in view a hand may open or turn beyond the edge.
    pose = pose._replace(joints=pose.joints + bring_into_view(pose.joints[0], stage))
    return PosedHand(person, angles, pose, np.random.default_rng([_SENSOR, seed, sequence, step]))


def draw_angles(poses: Array | None, rng: np.random.Generator) -> Array:
    """(23,) degrees: one of the poses, its wrist bent at random, which joints do not show; or of any family."""
    if poses is None:
        return random_angles(FAMILIES[rng.integers(len(FAMILIES))], rng)
    angles: Array = poses[rng.integers(len(poses))].copy()
    angles[WRIST] = rng.normal(0, [18, 7])
    bound: Array = np.clip(angles, LIMITS[:, 0], LIMITS[:, 1])
    return bound


def _on_the_way(a: Array, b: Array, share: Array, opening: float) -> Array:
    """(S, 23) degrees: from a to b, by a hand that is opened at the middle."""
    s = share[:, None]
    straight = a + s * (b - a)
    opened = family_angles("open")
    angles: Array = straight + opening * 4 * s * (1 - s) * (opened - straight)
    return np.clip(angles, LIMITS[:, 0], LIMITS[:, 1])


def _opening(shape: HandShape, a: Array, b: Array) -> float:
    """The least of `_OPENINGS` at which no finger meets another on the way, or else where they meet least."""
    share = np.arange(1, 16) / 16
    depths = []
    for opening in _OPENINGS:
        pose = pose_hand(shape.roots, shape.lengths, _on_the_way(a, b, share, opening))
        depths.append(penetration(pose.joints, shape.radii).max())
        if depths[-1] < _MEET:
            return opening
    return _OPENINGS[int(np.argmin(depths))]


def _between(q: Array, r: Array, share: float) -> Array:
    """(4,): from q to r by the shorter way, evenly."""
    cosine = float(q @ r)
    r, cosine = (-r, -cosine) if cosine < 0 else (r, cosine)
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        return q
    mixed: Array = (np.sin((1 - share) * angle) * q + np.sin(share * angle) * r) / np.sin(angle)
    return mixed
