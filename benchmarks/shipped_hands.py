"""The synthetic hands that the shipped weights learn from: what `benchmarks.shipped` trains on and tests with.

One crop in eight shows no hand. A crop is 1.33 times as large as the network's cube, so that the training can move,
turn and scale the cube within it. Crop n is a function of (seed, n) alone.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.center import find_center
from gmaps.crop import crop_frame
from gmaps.errors import FrameError
from gmaps.frame import Cube, Frame
from gmaps.synth import turns
from gmaps.synth.hand import FOREARM, HandShape, Pose, place_pose
from gmaps.synth.poses import FAMILIES, random_pose, random_shape, random_turn
from gmaps.synth.render import Image, render_mesh
from gmaps.synth.scenery import Box, Ellipsoid, Plane, Thing, add_things, rays
from gmaps.synth.sensor import StructuredLight, TimeOfFlight
from gmaps.synth.skin import PARTS, shape_rest, skin

#: Half the side of the cube that is learnt, and of the crop that it is cut from, mm; rows of that crop.
HALF, WIDE, ROWS = 120.0, 160.0, 96
#: Views of one pose by one person.
VIEWS = 4
Array = NDArray[np.float64]


class Sample(NamedTuple):
    """One crop.

    Parameters
    ----------
    depth : (96, 96) float16
        Units of `WIDE`; 1 where nothing is seen.
    joints : (21, 3) float32
        mm from the crop's centre; NaN where there is no hand.
    com : (3,) float32
        The centre that depth alone gives, mm from the crop's centre; 0 where it is not near.
    """

    depth: NDArray[np.float16]
    joints: NDArray[np.float32]
    com: NDArray[np.float32]


def make_person(rng: np.random.Generator) -> tuple[HandShape, Array, Array]:
    """A hand with an arm of its own length and width, bare or in a sleeve; its joints and vertices at rest."""
    shape = random_shape(rng)
    girth = shape.girth.copy()
    girth[FOREARM] *= [rng.uniform(0.9, 1.5), rng.uniform(1.0, 3.0), rng.uniform(0.9, 1.5)]
    shape = HandShape(shape.roots, shape.lengths, girth)
    joints, vertices = shape_rest(shape.roots[None], shape.lengths[None], shape.girth[None])
    return shape, joints, vertices


def _around(center: Array, f: float, reach: float) -> Camera:
    """A camera's window around a place; the whole image is not needed."""
    u, v = center[0] / center[2] * f, center[1] / center[2] * f
    half = int(np.ceil(reach * f / center[2]))
    return Camera(f, f, half - u, half - v, 2 * half + 1, 2 * half + 1)


def _place(rng: np.random.Generator) -> tuple[Array, float]:
    """Where a hand is, mm, and the focal length, px: 30 to 130 px for a cube's half side."""
    z = np.exp(rng.uniform(np.log(260), np.log(1300)))
    focal = np.exp(rng.uniform(np.log(30), np.log(110))) / HALF * z
    return np.array([rng.uniform(-0.4, 0.4) * z, rng.uniform(-0.3, 0.3) * z, z]), focal


def _turn(rng: np.random.Generator) -> Array:
    q = turns.unit(rng.normal(size=4))
    return q if q[0] >= 0 else -q


def _palm(joints: Array) -> Array:
    """(3,): the way that the palm of a right hand faces."""
    return turns.unit(np.cross(joints[1] - joints[0], joints[13] - joints[0]))


def table(rng: np.random.Generator, joints: Array, vertices: Array) -> Plane:
    """A table or a wall that the hand touches or nearly touches."""
    middle = joints.mean(axis=0)
    normal, gap = turns.unit(rng.normal(size=3) + np.array([0, -0.5, -1.5])), rng.uniform(-10, 60)
    # Lying on it, palm down, where the camera is on the side of the back.
    down = turns.unit(rng.normal(0, 0.2, 3) - _palm(joints))
    if rng.uniform() < 0.6 and down @ middle < -0.15 * np.linalg.norm(middle):
        normal, gap = down, rng.uniform(-8, 15)
    near = vertices[np.linalg.norm(vertices - middle, axis=1) < 130]
    behind = float((near @ normal).min()) - gap
    return Plane(normal, behind * normal)


def held(rng: np.random.Generator, joints: Array) -> Thing:
    """A block or a ball in the hand."""
    inside = 0.6 * joints[[1, 5, 9, 13]].mean(axis=0) + 0.4 * joints[[3, 7, 11, 15]].mean(axis=0)
    size = rng.uniform(10, 40, 3)
    place = inside + rng.normal(0, 15, 3)
    return (Box if rng.uniform() < 0.6 else Ellipsoid)(place, size, _turn(rng))


def body(rng: np.random.Generator, joints: Array) -> Thing:
    """Somebody behind the hand."""
    radii = rng.uniform(80, 250, 3)
    away = rng.uniform(60, 350) + radii[2]
    return Ellipsoid(joints.mean(axis=0) + np.array([*rng.normal(0, 150, 2), away]), radii)


def _beside(rng: np.random.Generator, joints: Array) -> Thing:
    side = turns.unit(rng.normal(size=3) * [1, 1, 0.4]) * rng.uniform(90, 220)
    place = joints.mean(axis=0) + side
    return (Box if rng.uniform() < 0.5 else Ellipsoid)(place, rng.uniform(20, 80, 3), _turn(rng))


def _things(rng: np.random.Generator, joints: Array, vertices: Array) -> list[Thing]:
    """What is beside, in or behind a hand."""
    kind = rng.uniform(size=4)
    things: list[Thing] = [table(rng, joints, vertices)] if kind[0] < 0.45 else []
    things += [held(rng, joints)] if kind[1] < 0.25 else []
    things += [body(rng, joints)] if kind[2] < 0.4 else []
    return things + ([_beside(rng, joints)] if kind[3] < 0.15 else [])


def sense(depth: NDArray[np.float32], camera: Camera, rng: np.random.Generator) -> NDArray[np.float32]:
    """A camera of random kind and faults: time of flight, structured light, stereo that smears, or a perfect one."""
    kind = rng.uniform()
    if kind < 0.12:
        return depth
    if kind < 0.45:
        return TimeOfFlight(rng.uniform(0.2, 1.5), 1.0, rng.uniform(0, 0.4), rng.uniform(0, 0.5)).apply(
            depth, camera, rng
        )
    return stereo(depth, camera, rng, smeared=kind > 0.65)


def stereo(
    depth: NDArray[np.float32], camera: Camera, rng: np.random.Generator, smeared: bool = True
) -> NDArray[np.float32]:
    """Two eyes, or an eye and a pattern. Matching patches of 5 to 16 mm smears what is near into what is behind."""
    if smeared and depth.any():
        size = 2 * int(np.clip(rng.uniform(5, 16) * camera.fx / np.median(depth[depth > 0]) / 2, 1, 7)) + 1
        full = np.where(depth > 0, depth, depth.max())
        smooth = cv2.medianBlur(np.ascontiguousarray(full), min(size, 5))
        smooth = cv2.blur(smooth, (size, size))
        lost = cv2.erode((depth > 0).astype(np.uint8), np.ones((2, 2), np.uint8)) == 0
        depth = np.where(lost, 0, smooth).astype(np.float32)
    noise = StructuredLight(
        noise_px=rng.uniform(0.02, 0.12), jitter_px=rng.uniform(0, 1), edge_loss=rng.uniform(0, 0.5),
        step_px=rng.uniform(0.03, 0.15), baseline_mm=rng.uniform(50, 80), loss=rng.uniform(0, 0.01),
    )  # fmt: skip
    return noise.apply(depth, camera, rng)


def _crop(depth: NDArray[np.float32], camera: Camera, center: Array, joints: Array) -> Sample | None:
    frame = Frame(depth, camera, joints.astype(np.float32))
    near = float(max(center[2] - 170, 1))
    try:
        crop = crop_frame(frame, Cube((center[0], center[1], center[2]), WIDE), size=ROWS)
        com = np.asarray(find_center(frame, "com", HALF, (near, center[2] + 200))) - center
    except FrameError:
        return None
    if np.abs(com).max() > 80:
        com = np.zeros(3)
    return Sample(crop.depth.astype(np.float16), (joints - center).astype(np.float32), com.astype(np.float32))


def without_arm(image: Image, camera: Camera, wrist: Array, reach: float) -> NDArray[np.float32]:
    """A hand whose arm ends `reach` mm from the wrist: cut off, or in a sleeve that gives no depth."""
    x, y = rays(camera)
    d = image.depth
    far = (x * d - wrist[0]) ** 2 + (y * d - wrist[1]) ** 2 + (d - wrist[2]) ** 2 > reach * reach
    gone = far & (image.parts == 1 + PARTS.index("forearm"))
    return np.where(gone, np.float32(0), d)


def _hand(rng: np.random.Generator, person: tuple[HandShape, Array, Array], pose: Pose) -> Sample | None:
    spot, focal = _place(rng)
    turn = random_turn(rng) if rng.uniform() < 0.5 else _turn(rng)
    placed = place_pose(pose, turn, np.zeros(3))
    box = (placed.joints[0].min(axis=0) + placed.joints[0].max(axis=0)) / 2
    placed = placed._replace(joints=placed.joints + (spot - box))
    vertices = skin(placed, person[1], person[2])[0]
    if vertices[:, 2].min() < 60:
        return None
    camera = _around(spot, focal, 1.5 * HALF)
    image = render_mesh(vertices, camera)
    depth = (
        without_arm(image, camera, placed.joints[0, 0], rng.uniform(0, 90)) if rng.uniform() < 0.15 else image.depth
    )
    depth = add_things(depth, camera, _things(rng, placed.joints[0], vertices))
    depth = sense(depth, camera, rng)
    if rng.uniform() < 0.1:  # at the edge of the image
        at = round(camera.width / 2 + rng.uniform(10, 110) * focal / spot[2])
        seen = depth if rng.uniform() < 0.5 else depth.T
        (seen if rng.uniform() < 0.5 else seen[:, ::-1])[:, max(at, 0) :] = 0
    return _crop(depth, camera, spot, placed.joints[0])


def _none(rng: np.random.Generator, person: tuple[HandShape, Array, Array], pose: Pose) -> Sample | None:
    """An arm above the hand, or bodies, boxes and planes."""
    spot, focal = _place(rng)
    camera = _around(spot, focal, 1.5 * HALF)
    depth = np.zeros((camera.height, camera.width), np.float32)
    if rng.uniform() < 0.3:
        placed = place_pose(pose, _turn(rng), np.zeros(3))
        arm = turns.along(placed.turns[0, FOREARM])
        vertices = skin(placed._replace(joints=placed.joints), person[1], person[2])[0]
        depth = render_mesh(vertices + spot + arm * rng.choice([-1, 1]) * rng.uniform(190, 260), camera).depth
    things: list[Thing] = []
    for _ in range(int(rng.integers(1, 4))):
        shape = Box if rng.uniform() < 0.4 else Ellipsoid
        things.append(shape(spot + rng.normal(0, 60, 3) + [0, 0, 40], np.exp(rng.uniform(2.7, 5.2, 3)), _turn(rng)))
    if rng.uniform() < 0.3:
        things.append(Plane(turns.unit(rng.normal(size=3) + np.array([0, 0, -1])), spot + rng.normal(0, 60, 3)))
    depth = sense(add_things(depth, camera, things), camera, rng)
    return _crop(depth, camera, spot, np.full((21, 3), np.nan))


def make_samples(seed: int, number: int) -> list[Sample]:
    """One pose of one person from `VIEWS` sides, and with luck something that is no hand."""
    rng = np.random.default_rng([19, seed, number])
    person = make_person(np.random.default_rng([20, seed, number // 4]))
    _, pose = random_pose(FAMILIES[int(rng.integers(len(FAMILIES)))], person[0], rng)
    made = [_hand(rng, person, pose) for _ in range(VIEWS)]
    if rng.uniform() < 0.6:
        made.append(_none(rng, person, pose))
    return [sample for sample in made if sample is not None]
