"""Random hands before a camera: who, in which pose, where. Frame n is a function of (seed, n) alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.synth.contact import free_pose
from gmaps.synth.hand import HandShape, Pose, place_pose
from gmaps.synth.poses import make_shape, random_pose, random_proportions, random_turn
from gmaps.synth.skin import shape_rest, skin

Array = NDArray[np.float64]
# The first word of a stream's seed: people and frames never share one.
_PEOPLE, _FRAMES = 0, 1


class Person(NamedTuple):
    """A hand, its proportions, and what its flesh is at rest: see `gmaps.synth.poses.make_shape` and
    `gmaps.synth.skin.shape_rest`."""

    shape: HandShape
    proportions: Array
    joints: Array
    vertices: Array


@dataclass(frozen=True)
class Stage:
    """Where hands are shown.

    Parameters
    ----------
    camera
        The camera.
    distance
        Least and greatest depth of a hand's middle, mm.
    nearest
        No joint is nearer than this, mm.
    margin
        Pixels between the image's border and the nearest joint, where the hand is not too large for that.
    """

    camera: Camera
    distance: tuple[float, float]
    nearest: float = 180.0
    margin: float = 12.0


class PosedHand(NamedTuple):
    """One hand before a camera.

    Parameters
    ----------
    person
        Whose hand.
    angles : (23,) float64
        Degrees, as `gmaps.synth.hand.ANGLES` names them.
    pose
        A batch of one, camera axes.
    rng
        The frame's own randomness, for its sensor.
    """

    person: Person
    angles: Array
    pose: Pose
    rng: np.random.Generator

    @property
    def joints(self) -> Array:
        """(21, 3) mm, camera axes."""
        result: Array = self.pose.joints[0]
        return result

    def vertices(self) -> Array:
        """(V, 3) mm, camera axes: the mesh of `gmaps.synth.skin.hand_mesh`."""
        result: Array = skin(self.pose, self.person.joints, self.person.vertices)[0]
        return result


@lru_cache(maxsize=64)
def get_person(seed: int, subject: int) -> Person:
    """One of a seed's people."""
    proportions, bones = random_proportions(np.random.default_rng([_PEOPLE, seed, subject]))
    shape = make_shape(proportions, bones)
    return Person(shape, proportions, *shape_rest(shape.roots[None], shape.lengths[None], shape.girth[None]))


def make_hand(
    seed: int, number: int, subject: int, family: str, stage: Stage, wanted: Array | None = None
) -> PosedHand:
    """Frame `number` of a seed: a random pose of a family, in view.

    Parameters
    ----------
    seed, number
        What decides, beside the rest, not negative.
    subject
        Which of the seed's people.
    family
        One of `gmaps.synth.poses.FAMILIES`.
    stage
        Where.
    wanted : (23,), optional
        Angles, degrees, in the place of the family's, from which the hand is freed of contact.
    """
    rng = np.random.default_rng([_FRAMES, seed, number])
    person = get_person(seed, subject)
    if wanted is None:
        angles, pose = random_pose(family, person.shape, rng)
    else:
        angles, pose = free_pose(person.shape, wanted)
    pose = place_pose(pose, random_turn(rng), np.zeros(3))
    pose = pose._replace(joints=pose.joints + find_spot(pose.joints[0], stage, rng))
    return PosedHand(person, angles, pose, rng)


def find_spot(hand: Array, stage: Stage, rng: np.random.Generator) -> Array:
    """(3,): the shift of a hand, given around any origin, to a random spot where the image shows all of it."""
    shift = -(hand.min(axis=0) + hand.max(axis=0)) / 2
    z = hand[:, 2] + shift[2]
    shift[2] += max(rng.uniform(*stage.distance), stage.nearest - z.min())
    for axis, (low, high) in enumerate(_room(hand, hand[:, 2] + shift[2], stage)):
        share = rng.uniform()
        shift[axis] = low + share * (high - low) if low < high else (low + high) / 2
    result: Array = shift
    return result


def bring_into_view(hand: Array, stage: Stage) -> Array:
    """(3,): the least shift of a hand (21, 3) that is near its place to where the image shows all of it."""
    shift = np.zeros(3)
    shift[2] = max(stage.nearest - hand[:, 2].min(), 0.0)
    for axis, (low, high) in enumerate(_room(hand, hand[:, 2] + shift[2], stage)):
        shift[axis] = min(max(0.0, low), high) if low < high else (low + high) / 2
    return shift


def _room(hand: Array, z: Array, stage: Stage) -> list[tuple[float, float]]:
    """Along x and y, the least and the largest shift that keep in the image a hand whose joints are z away."""
    camera = stage.camera
    lenses = ((camera.fx, camera.cx, camera.width), (camera.fy, camera.cy, camera.height))
    return [
        (
            float(((stage.margin - center) * z / focal - hand[:, axis]).max()),
            float(((size - 1 - stage.margin - center) * z / focal - hand[:, axis]).min()),
        )
        for axis, (focal, center, size) in enumerate(lenses)
    ]
