"""Depth cameras' faults: as large as asked for, where they are asked for, and the same for the same randomness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gmaps.camera import Camera
from gmaps.errors import UsageError
from gmaps.synth import sensor
from gmaps.synth.sensor import StructuredLight, TimeOfFlight, get_sensor
from tests.reference.handmesh import flight_pixel, hidden_from_projector

CAMERA = Camera(588.0, 588.0, 160.0, 120.0, 320, 240)
BOTH = (TimeOfFlight(), StructuredLight())
scenes = arrays(np.float32, (7, 9), elements=st.sampled_from([0.0, 300.0, 304.0, 340.0, 500.0]))


@settings(max_examples=60, deadline=None)
@given(scenes, st.integers(0, 2**32 - 1))
def test_time_of_flight_is_its_slow_twin(depth, seed):
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal(depth.shape, np.float32)
    luck, share = rng.random((2, *depth.shape), np.float32)
    numbers = (0.5, 0.0, 0.3, 0.3, 0.1, 15.0, 25.0)
    seen = np.zeros_like(depth)
    sensor.sense_flight(depth, normal, luck, share, seen, *numbers)
    for r, c in np.ndindex(depth.shape):
        slow = flight_pixel(depth, r, c, normal[r, c], luck[r, c], share[r, c], *numbers)
        assert seen[r, c] == pytest.approx(slow, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(scenes)
def test_shadows_are_those_of_the_slow_twin(depth):
    seen, still = np.zeros_like(depth), np.zeros((3, *depth.shape), np.float32)
    lever = 3000.0
    sensor.sense_pattern(depth, still, np.ones(depth.shape, np.float32), seen, lever, 1e-6, 0.0, 0.0, 0.0, 0.0, 1.0)
    for row, got in zip(depth, seen, strict=True):
        expected = np.where(hidden_from_projector(row, lever), 0, row)
        np.testing.assert_allclose(got, expected, rtol=1e-4)


@pytest.mark.parametrize(("z", "noise"), [(300.0, 0.5), (600.0, 2.0)])
def test_noise_of_flight_grows_with_the_square_of_the_distance(z, noise):
    wall = np.full((200, 200), z, np.float32)
    seen = TimeOfFlight(step_mm=0, edge_loss=0, mixed=0, loss=0).apply(wall, CAMERA, np.random.default_rng(1))
    assert (seen - wall).std() == pytest.approx(noise, rel=0.03)
    assert (seen - wall).mean() == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("z", [400.0, 800.0])
def test_steps_of_structured_light_grow_with_the_square_of_the_distance(z):
    light = StructuredLight(noise_px=0, edge_loss=0, loss=0, jitter_px=0)
    ramp = np.linspace(z - 20, z + 20, 200)[None].repeat(200, axis=0).astype(np.float32)
    levels = np.unique(light.apply(ramp, CAMERA, np.random.default_rng(1)))
    levels = levels[levels > 0]
    step = z * z / (CAMERA.fx * light.baseline_mm) * light.step_px
    assert np.median(np.diff(levels)) == pytest.approx(step, rel=0.05)
    disparity = CAMERA.fx * light.baseline_mm / levels / light.step_px
    np.testing.assert_allclose(disparity, np.rint(disparity), atol=1e-2)


def test_noise_of_structured_light_is_a_disparity():
    wall = np.full((200, 200), 700, np.float32)
    light = StructuredLight(step_px=1e-6, noise_px=0.1, edge_loss=0, loss=0)
    seen = light.apply(wall, CAMERA, np.random.default_rng(1))[1:-1, 1:-1]
    assert (seen - 700).std() == pytest.approx(0.1 * 700**2 / (588 * 75), rel=0.05)


def test_shadow_falls_beside_what_is_near_away_from_the_projector():
    scene = np.full((40, 200), 800, np.float32)
    scene[:, 100:140] = 500
    light = StructuredLight(noise_px=0, jitter_px=0, edge_loss=0, loss=0)
    lost = light.apply(scene, CAMERA, np.random.default_rng(0)) == 0
    width = CAMERA.fx * 75 * (1 / 500 - 1 / 800)
    assert lost[20].sum() == pytest.approx(width, abs=1.5)
    assert lost[20, 99]
    assert not lost[20, 100:].any()


def test_edges_fray_and_are_lost():
    scene = np.full((120, 120), 800, np.float32)
    scene[:, :60] = 0
    seen = StructuredLight(edge_loss=0, loss=0).apply(scene, CAMERA, np.random.default_rng(0))
    first = (seen > 0).argmax(axis=1)
    assert 0.1 < (first < 60).mean() < 0.4  # its border is no straight line any more
    assert first.min() >= 57
    assert (seen[:, 60] == 0).mean() == pytest.approx((first < 60).mean(), abs=0.12)
    lost = StructuredLight(jitter_px=0, edge_loss=1, loss=0).apply(scene, CAMERA, np.random.default_rng(0)) == 0
    assert lost[:, 60].all()
    assert not lost[:, 61:].any()


def test_pixels_at_edges_fly_between_the_surfaces_and_nowhere_else():
    scene = np.full((200, 100), 400, np.float32)
    scene[:, 50:] = 460
    flight = TimeOfFlight(noise_mm=0, step_mm=0, mixed=0.4, edge_loss=0, loss=0)
    seen = flight.apply(scene, CAMERA, np.random.default_rng(0))
    flying = (seen > 400) & (seen < 460)
    assert set(np.flatnonzero(flying.any(axis=0))) == {49}  # those that see the near side
    assert flying[:, 49].mean() == pytest.approx(0.4, abs=0.1)
    scene[:, 50:] = 0
    seen = flight.apply(scene, CAMERA, np.random.default_rng(0))
    assert 400 < seen[:, 49].max() <= 425
    assert not seen[:, 50:].any()


def test_losses_are_those_asked_for():
    wall = np.full((300, 300), 400, np.float32)
    for one in (TimeOfFlight(edge_loss=0.25, loss=0.02), StructuredLight(edge_loss=0.25, loss=0.02, jitter_px=0)):
        seen = one.apply(wall, CAMERA, np.random.default_rng(3))
        assert (seen[1:-1, 1:-1] == 0).mean() == pytest.approx(0.02, abs=0.004)
        wall[:, 150:] = 0
        edge = np.concatenate([one.apply(wall, CAMERA, np.random.default_rng(k))[:, 149] for k in range(4)])
        assert (edge == 0).mean() == pytest.approx(0.25, abs=0.05)
        wall[:, 150:] = 400


@pytest.mark.parametrize("one", BOTH, ids=["tof", "structured"])
def test_same_generator_state_same_image_and_input_left_alone(one):
    depth = np.zeros((60, 80), np.float32)
    depth[10:50, 20:60] = np.linspace(300, 420, 40)
    before = depth.copy()
    a, b = (one.apply(depth, CAMERA, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(depth, before)
    assert (one.apply(depth, CAMERA, np.random.default_rng(6)) != a).any()
    assert a.dtype == np.float32
    assert not a[:7].any()
    assert not one.apply(np.zeros((24, 32), np.float32), CAMERA, np.random.default_rng(0)).any()


def test_sensors_by_name_and_impossible_ones():
    assert get_sensor("none") is None
    assert isinstance(get_sensor("structured"), StructuredLight)
    with pytest.raises(UsageError, match="structured"):
        get_sensor("structurd")
    for bad in (
        lambda: TimeOfFlight(noise_mm=-1), lambda: TimeOfFlight(loss=1.5),
        lambda: TimeOfFlight(mixed=0.7, edge_loss=0.7),
        lambda: StructuredLight(baseline_mm=0), lambda: StructuredLight(step_px=float("nan")),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            bad()
