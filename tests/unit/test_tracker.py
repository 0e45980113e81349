"""Finding and following, by rules: with a stand-in for the network that is told the truth; see tests/stand_in.py."""

import numpy as np
import pytest

from gmaps.camera import Camera
from gmaps.errors import UsageError
from gmaps.inference.candidates import find_candidates
from gmaps.inference.detector import Detector, middle
from gmaps.inference.filters import OneEuro
from gmaps.inference.tracker import JUMP, Tracker
from gmaps.synth.room import CAMERA, Room
from tests.stand_in import StandIn

RANGE = (150.0, 1500.0)


def play(room, **options):
    judge = StandIn()
    tracker = Tracker(judge, room.camera, depth_range=RANGE, **options)
    out = []
    for k, frame in enumerate(room):
        judge.joints, judge.left = frame.joints[None], room.left
        out.append((frame, tracker.step(frame.depth, k / 30)))
    return out


def test_candidates_hold_the_hand_though_the_table_is_nearer():
    for seed in range(3):
        frame = next(iter(Room(seed, frames=1)))
        nearest = frame.depth[frame.depth > 0].min()
        assert nearest < frame.joints[:, 2].min() - 50  # or the test would test nothing
        places = find_candidates(frame.depth, CAMERA, 120.0, RANGE)
        assert min(np.linalg.norm(np.array(p.center) - middle(frame.joints)) for p in places) < 90
        apart = [np.abs(np.subtract(a.center, b.center)).max() for a in places for b in places if a is not b]
        assert min(apart) > 20


def test_no_candidate_where_there_are_only_stray_pixels():
    depth = np.zeros((212, 256), np.float32)
    depth[::40, ::40] = 400
    assert find_candidates(depth, CAMERA, 120.0, RANGE) == []
    assert find_candidates(np.zeros_like(depth), CAMERA, 120.0, RANGE) == []


def test_what_is_taken_is_not_found_again():
    frame = next(iter(Room(1, frames=1)))
    center = tuple(middle(frame.joints))
    places = find_candidates(frame.depth, CAMERA, 120.0, RANGE, taken=(center,))
    assert all(np.abs(np.subtract(p.center, center)).max() > 60 for p in places)


@pytest.mark.parametrize("left", [False, True])
def test_detect_finds_the_hand_and_its_side(left):
    frame, judge = next(iter(Room(2, frames=1, left=left))), StandIn()
    judge.joints, judge.left = frame.joints[None], left
    (hand,) = Detector(judge, CAMERA, depth_range=RANGE).detect(frame.depth)
    assert hand.side == ("left" if left else "right")
    np.testing.assert_allclose(hand.joints, frame.joints, atol=1e-3)
    x, y, width, height = hand.box(CAMERA)
    uv = CAMERA.project(frame.joints)[:, :2]
    assert (uv >= (x - 1e-3, y - 1e-3)).all()
    assert (uv <= (x + width + 1e-3, y + height + 1e-3)).all()


class Pointer(StandIn):
    """Says that all joints are at the nearest pixel of a crop: what it says follows from what it is shown."""

    def judge(self, crops):
        joints = []
        for crop in crops:
            row, column = np.unravel_index(crop.depth.argmin(), crop.depth.shape)
            x, y, z = crop.cube.center
            at = (np.array([column, row]) + 0.5) / len(crop.depth) * 2 - 1
            px, py = np.array([x, y]) + at * crop.cube.half_side
            joints.append(np.tile(np.float32([px, py, z + crop.depth.min() * crop.cube.half_side]), (21, 1)))
        return np.stack(joints), np.ones(len(crops), np.float32)


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_closest_look_turns_back_what_it_turned(side):
    camera = Camera(400.0, 400.0, 100.0, 90.0, 200, 180)
    depth = np.full((180, 200), 620, np.float32)
    depth[70:73, 141:144] = 540  # right of the middle, above it
    center = np.array([15.0, -10.0, 600.0])
    closest = Detector(Pointer(), camera).look_closely(depth, center, side)
    expected = camera.unproject(np.array([142.0, 71.0, 540.0]))
    assert closest.side == side
    np.testing.assert_allclose(closest.joints, np.tile(expected, (21, 1)), atol=2.5)
    assert Detector(Pointer(), camera).look_closely(np.zeros_like(depth), center, side) is None


def test_follows_a_fast_hand_and_finds_it_again_within_four_frames():
    for left in (False, True):
        seen = play(Room(5, frames=80, speed=1500.0, hidden=((30, 20),), left=left), smooth=False)
        for k, (frame, hands) in enumerate(seen):
            if 31 <= k < 50:
                assert not hands  # nothing is made up while it is hidden
            elif k < 30 or k > 53:
                assert len(hands) == 1, k
                np.testing.assert_allclose(hands[0].joints, frame.joints, atol=1e-2)
                assert hands[0].side == ("left" if left else "right")
        assert {h.number for _, hands in seen for h in hands} == {0}  # the same hand all the time
        assert sum(h.state == "found" for _, hands in seen for h in hands) == 2


def test_a_side_that_is_said_is_kept():
    assert {h.side for _, hands in play(Room(3, frames=5), side="left") for h in hands} <= {"left"}


def test_two_hands_keep_their_numbers():
    one, two = Room(7, frames=25, speed=300.0, furnished=False), Room(8, frames=25, speed=300.0, furnished=False)
    judge = StandIn()
    camera = Camera(CAMERA.fx, CAMERA.fy, 255.5, CAMERA.cy, 512, CAMERA.height)
    tracker = Tracker(judge, camera, depth_range=RANGE, hands=2, smooth=False)
    numbers = {}
    for k, (a, b) in enumerate(zip(one, two, strict=True)):
        # Side by side in one wide image: what was at the middle is 128 pixels to the left, and to the right.
        depth = np.hstack([a.depth, b.depth])
        joints = []
        for frame, shift in ((a, -128), (b, 128)):
            uvd = CAMERA.project(frame.joints)
            uvd[:, 0] += 255.5 - CAMERA.cx + shift
            joints.append(camera.unproject(uvd))
        judge.joints = np.stack(joints)
        hands = tracker.step(depth, k / 30)
        if k:
            assert len(hands) == 2
        for hand in hands:
            near = int(np.linalg.norm(judge.joints - hand.joints, axis=2).mean(axis=1).argmin())
            assert numbers.setdefault(hand.number, near) == near
    assert sorted(numbers.values()) == [0, 1]


def test_a_hand_does_not_jump():
    room = list(Room(9, frames=2, speed=0, furnished=False))
    judge = StandIn()
    tracker = Tracker(judge, CAMERA, depth_range=RANGE, smooth=False)
    judge.joints = room[0].joints[None]
    assert tracker.step(room[0].depth, 0.0)
    # The same hand, further away than a hand moves in a thirtieth of a second, and nothing where it was.
    judge.joints = room[0].joints[None] + [0, 0, JUMP + 60]
    scale = judge.joints[0, :, 2].mean() / room[0].joints[:, 2].mean()
    far = np.where(room[0].depth > 0, room[0].depth * np.float32(scale), np.float32(0))
    judge.joints = room[0].joints[None] * scale
    assert np.linalg.norm(middle(judge.joints[0]) - middle(room[0].joints)) > JUMP
    assert tracker.step(far, 1 / 30) == []
    found = [tracker.step(far, k / 30) for k in range(2, 16)]
    first = next(k for k, hands in enumerate(found) if hands)
    assert found[first][0].state == "found"
    assert first <= 10


class Doubtful(StandIn):
    """Half as sure of what is on the left, as of an elbow."""

    def _agrees(self, crop, joints):
        return StandIn._agrees(crop, joints) * (0.5 if crop.cube.center[0] < 0 else 1.0)


def test_what_is_no_hand_is_left_for_one_and_no_frame_pays_for_both_looks():
    one, two = (next(iter(Room(seed, frames=1, speed=0, furnished=False))) for seed in (7, 8))
    camera = Camera(CAMERA.fx, CAMERA.fy, 255.5, CAMERA.cy, 512, CAMERA.height)
    depth, judge = np.hstack([one.depth, two.depth]), Doubtful()
    places = []
    for frame, shift in ((one, -128), (two, 128)):
        uvd = CAMERA.project(frame.joints)
        uvd[:, 0] += 255.5 - CAMERA.cx + shift
        places.append(camera.unproject(uvd))
    tracker = Tracker(judge, camera, depth_range=RANGE, smooth=False, side="right")
    judge.joints = np.stack(places[:1])
    while not tracker.step(depth, judge.judged / 1e3):
        assert judge.judged < 100
    judge.joints = np.stack(places)
    where, most = [], 0
    for k in range(15):
        before = judge.judged
        (hand,) = tracker.step(depth, 1 + k / 30)
        where.append(int(np.linalg.norm(judge.joints - hand.joints, axis=2).mean(axis=1).argmin()))
        most = max(most, judge.judged - before)
    assert where[:10] == [0] * 10
    assert where[-1] == 1
    others = find_candidates(depth, camera, 120.0, RANGE, taken=(tuple(middle(places[0])),))
    assert most == 1 + len(others)  # the hand that is followed, and the other places once


def test_options_are_checked():
    for wrong in ({"hands": 0}, {"side": "both"}, {"depth_range": (900.0, 100.0)}, {"sure": 1.5}):
        with pytest.raises(UsageError):
            Tracker(StandIn(), CAMERA, **wrong)


def naive_one_euro(values, times, rest, per_speed, of_speed):
    """The paper's algorithm, a joint at a time, with the speed of the joint instead of the coordinate's."""

    def alpha(cutoff, step):
        return 1 / (1 + (1 / (2 * np.pi * cutoff)) / step)

    out = [values[0]]
    speed = np.zeros_like(values[0])
    for k in range(1, len(values)):
        step = times[k] - times[k - 1]
        new = values[k].copy()
        for j in range(len(new)):
            speed[j] += alpha(of_speed, step) * ((values[k][j] - out[-1][j]) / step - speed[j])
            a = alpha(rest + per_speed * np.linalg.norm(speed[j]), step)
            new[j] = a * values[k][j] + (1 - a) * out[-1][j]
        out.append(new)
    return np.array(out)


def test_filter_is_its_naive_twin():
    rng = np.random.default_rng(0)
    values, times = rng.normal(0, 30, (40, 5, 3)).cumsum(axis=0), np.cumsum(rng.uniform(0.01, 0.1, 40))
    one = OneEuro(1.2, 0.01, 0.7)
    got = np.array([one(v, t) for v, t in zip(values, times, strict=True)])
    np.testing.assert_allclose(got, naive_one_euro(values, times, 1.2, 0.01, 0.7), atol=1e-9)


def test_filter_calms_what_rests_and_lets_go_what_moves():
    rng = np.random.default_rng(1)
    one = OneEuro()
    still = np.array([one(v, k / 30) for k, v in enumerate(rng.normal(0, 2, (120, 21, 3)))])[30:]
    assert still.std(axis=0).mean() < 1.0
    one.reset()
    lag = [one(np.full((1, 3), 40.0 * k), k / 30)[0, 0] - 40.0 * k for k in range(30)]  # 2 m/s
    assert max(map(abs, lag[5:])) < 25
    before = one(np.zeros((1, 3)), 5.0)
    np.testing.assert_array_equal(one(np.ones((1, 3)) * 99, 5.0), before)  # time stood still
    with pytest.raises(UsageError):
        OneEuro(rest=0)
