"""Films of a hand in a room, with truth: a person, a wall, a table before it, stray pixels, what hides it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import UsageError
from gmaps.synth import turns
from gmaps.synth.hand import FOREARM, HandShape, place_pose, pose_hand
from gmaps.synth.poses import FAMILIES, random_pose, random_shape
from gmaps.synth.render import render_mesh
from gmaps.synth.scenery import Box, Ellipsoid, Plane, Thing, add_things
from gmaps.synth.sensor import TimeOfFlight
from gmaps.synth.skin import shape_rest, skin

Array = NDArray[np.float64]
#: As wide as a Kinect's image, at half its resolution.
CAMERA = Camera(182.0, 182.0, 127.5, 105.5, 256, 212)


class RoomFrame(NamedTuple):
    """One frame of a film.

    Parameters
    ----------
    depth : (H, W) float32
        mm.
    joints : (21, 3) float64
        mm, camera axes.
    hidden
        Whether something hides the hand.
    """

    depth: NDArray[np.float32]
    joints: Array
    hidden: bool


@dataclass(frozen=True)
class Room:
    """A film of one hand.

    Parameters
    ----------
    seed
        What decides, beside the rest.
    camera
        The camera.
    frames
        How many; 30 a second.
    speed
        How fast the hand sways, mm/s at most; 0 for one that keeps still and holds its pose.
    hidden
        First frame and number of frames of each time that a board before the hand hides it.
    left
        Whether it is a left hand: the film in a mirror.
    furnished
        Whether there is a room: else a hand alone.

    Raises
    ------
    UsageError
        No frame, or a negative speed.
    """

    seed: int
    camera: Camera = CAMERA
    frames: int = 90
    speed: float = 400.0
    hidden: tuple[tuple[int, int], ...] = ()
    left: bool = False
    furnished: bool = True

    def __post_init__(self) -> None:
        if self.frames < 1 or not 0 <= self.speed < 1e5:
            raise UsageError(f"a film has frames and a speed that is not negative, got {self.frames}, {self.speed:g}")

    def __iter__(self) -> Iterator[RoomFrame]:
        rng = np.random.default_rng([21, self.seed])
        shape = random_shape(rng)
        girth = shape.girth.copy()
        girth[FOREARM, 1] *= 2
        shape = HandShape(shape.roots, shape.lengths, girth)
        rest = shape_rest(shape.roots[None], shape.lengths[None], shape.girth[None])
        poses = [
            random_pose(FAMILIES[int(rng.integers(len(FAMILIES)))], shape, rng)[0]
            for _ in range(2 + self.frames // 25)
        ]
        home = np.array([rng.uniform(-60, 60), rng.uniform(-60, 20), rng.uniform(550, 700)])
        around = add_things(
            np.zeros((self.camera.height, self.camera.width), np.float32), self.camera, self._things()
        )
        phase, pace = rng.uniform(0, 6.3, 6), rng.uniform(0.6, 1.0, 3)
        sensor, moving = TimeOfFlight(), self.speed > 0
        for k in range(self.frames):
            time = k / 30 if moving else 0.0
            # Swings of 100 mm whose fastest moment is the speed.
            reach = np.array([100.0, 70.0, 60.0])
            swing = reach * np.sin(time * pace * self.speed / 200 + phase[:3])
            at = 0.5 - 0.5 * np.cos(np.pi * (time * 30 % 25) / 25)
            first = int(time * 30 // 25)
            angles = (1 - at) * poses[first] + at * poses[first + 1]
            tilt = 0.35 * np.sin(time * 1.3 + phase[3:])
            turn = turns.product(turns.about(2, tilt[0]), turns.about(0, np.pi + tilt[1]))
            turn = turns.product(turn, turns.about(1, tilt[2]))
            pose = place_pose(pose_hand(shape.roots, shape.lengths, angles[None]), turn, np.zeros(3))
            middle = (pose.joints[0].min(axis=0) + pose.joints[0].max(axis=0)) / 2
            pose = pose._replace(joints=pose.joints + (home + swing - middle))
            hand = render_mesh(skin(pose, *rest)[0], self.camera).depth
            both = np.where((hand > 0) & ((around == 0) | (hand < around)), hand, around)
            hides = any(start <= k < start + count for start, count in self.hidden)
            if hides:
                both = add_things(both, self.camera, [Box(home + swing - [0, 0, 140], (190, 190, 8))])
            depth = sensor.apply(both, self.camera, rng)
            if self.furnished:
                stray = rng.random(depth.shape) < 0.0004
                depth[stray] = rng.uniform(150, 500, int(stray.sum())).astype(np.float32)
            joints = pose.joints[0]
            if self.left:
                c = self.camera
                if abs(c.cx - (c.width - 1) / 2) > 1e-6:
                    raise UsageError("a film is mirrored about the camera's axis: cx must be the image's middle")
                depth, joints = np.ascontiguousarray(depth[:, ::-1]), joints * [-1, 1, 1]
            yield RoomFrame(depth, joints, hides)

    def _things(self) -> list[Thing]:
        if not self.furnished:
            return []
        return [
            Plane((0, 0, -1), (0, 0, 2600)),
            Ellipsoid((60, 330, 1050), (230, 420, 130)),  # a trunk
            Ellipsoid((60, -190, 1020), (80, 110, 95)),  # a head
            Box((0, 330, 480), (420, 12, 160)),  # a table, nearer than the hand
        ]
