"""Maps made of tensors against those of the compiled encoder, on shapes of all kinds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gmaps.errors import GmapsError, UsageError
from gmaps.frame import Crop, Cube
from gmaps.maps.encoder import Encoder, MapParams
from gmaps.skeleton import get_skeleton
from tests.shapes import blob, stick_hand

torch = pytest.importorskip("torch")
from gmaps.maps.encoder_torch import TensorMap, TorchEncoder  # noqa: E402
from gmaps.maps.torch_gpu import check_gpu  # noqa: E402

ROOT = Path(__file__).parents[2]

KINDS = (
    "signed_edt", "geodesic", "geodesic_weighted", "geodesic_surface", "euclidean", "offset", "heatmap",
)  # fmt: skip
OFFSETS = (
    "ball_offset", "ball_offset:k=40:axes=uvd", "heatmap_depth", "heatmap_depth:sigma=2.5", "pixel_offset",
    "plane_offset", "points", "points:n=300", "point_offset:n=64:k=120",
)  # fmt: skip
LIMBS = ("limb", "limb_lpm_each", "limb_ldm_g6", "limb_ldm_g1g6")
SIZES = [(32, 16), (24, 16), (30, 16), (64, 32), (50, 32), (20, 32), (48, 48), (160, 16), (40, 128)]


def hand_depth(rng, pixels, shape):
    """A crop's depth: a blob of noise with holes and islands, or a hand, sloping and with steps."""
    mask = stick_hand(rng, pixels) if shape == "hand" else blob(rng, pixels, rng.uniform(0.2, 0.8), connected=False)
    if shape == "noise":
        mask &= rng.random(mask.shape) > 0.05
    slope = np.cumsum(rng.normal(0, 0.01, mask.shape), axis=1) + np.where(blob(rng, pixels, 0.4), -0.3, 0.1)
    depth = np.where(mask, np.clip(slope, -0.9, 0.9), 1).astype(np.float16).astype(np.float32)
    return np.ascontiguousarray(depth)


def crops(rng, pixels, joints, shapes, projection):
    made = []
    for shape in shapes:
        cube = Cube((*rng.uniform(-60, 60, 2), rng.uniform(300, 700)), float(rng.uniform(80, 150)))
        # Some lie off the hand, and some off the grid.
        at = np.asarray(cube.center) + rng.uniform(-1.2, 1.2, (joints, 3)) * cube.half_side
        made.append(Crop(hand_depth(rng, pixels, shape), cube, at.astype(np.float32), projection))
    return made


def both(crops, params, skeleton=None):
    """Maps of the compiled encoder, and of tensors: kind -> (n, H, H, C) twice."""
    made = [Encoder(params, skeleton).crop(c) for c in crops]
    want = {k: np.stack([m[k] for m in made]) for k in params.maps}
    depth, cube, joints = (
        torch.from_numpy(np.stack(v))
        for v in ([c.depth for c in crops], [c.cube.to_array() for c in crops], [c.joints_mm for c in crops])
    )
    found = TorchEncoder(params, skeleton).batch(depth, cube, joints, crops[0].projection)
    scales = {k: np.stack([m.scale[k] for m in made]) for k in params.maps if k in made[0].scale}
    return want, found, scales


def assert_alike(want, found, scales=None, most=1e-4):
    for kind, values in want.items():
        error = np.abs(values - found[kind].values.numpy()).max()
        assert error <= most * max(np.abs(values).max(), 1e-6), (kind, error, np.abs(values).max())
    for kind, scale in (scales or {}).items():
        np.testing.assert_allclose(found[kind].scale.numpy(), scale, rtol=most)


@given(
    st.sampled_from(SIZES), st.sampled_from([1, 5, 21, 42]), st.sampled_from(["orthographic", "perspective"]),
    st.sampled_from(["joint", "theta"]), st.sampled_from([False, 1.0, 2.7]), st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(deadline=None, max_examples=8, derandomize=True, phases=(Phase.generate,))
def test_maps_of_tensors_are_those_of_the_encoder(sizes, joints, projection, normalize, bridge, seed):
    rng = np.random.default_rng(seed)
    pixels, size = sizes
    some = crops(rng, pixels, joints, ("hand", "noise"), projection)
    params = MapParams(KINDS, size, normalize=normalize, bridge=bridge)
    assert_alike(*both(some, params))


@pytest.mark.slow
@pytest.mark.parametrize(("pixels", "size", "joints"), [(128, 16, 21), (128, 32, 42), (128, 128, 1), (96, 64, 5)])
def test_maps_of_whole_crops_are_those_of_the_encoder(pixels, size, joints):
    shapes = ("hand", "blob", "noise") if size < 64 else ("hand",)
    some = crops(np.random.default_rng(size), pixels, joints, shapes, "orthographic")
    assert_alike(*both(some, MapParams(KINDS, size)))


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize(("pixels", "size", "joints"), [(32, 16, 21), (50, 32, 5), (20, 32, 1), (128, 32, 14)])
def test_offsets_and_points_of_tensors_are_those_of_the_encoder(pixels, size, joints, projection):
    some = crops(np.random.default_rng(pixels), pixels, joints, ("hand", "noise", "blob"), projection)
    # One without a hand, and one of fewer pixels than points.
    some.append(Crop(np.ones((pixels, pixels), np.float32), some[0].cube, some[0].joints_mm, projection))
    few = np.ones((pixels, pixels), np.float32)
    few[3:6, 4:9] = -0.25
    some.append(Crop(few, some[1].cube, some[1].joints_mm, projection))
    want, found, _ = both(some, MapParams(OFFSETS, size))
    assert_alike(want, found)
    for kind in ("points", "points:n=300"):  # the very same pixels
        np.testing.assert_allclose(found[kind].values.numpy(), want[kind], atol=1e-6)


def test_offsets_of_rejected_frames_are_zeros():
    some = crops(np.random.default_rng(2), 24, 5, ("hand", "blob"), "orthographic")
    cube = torch.from_numpy(np.stack([c.cube.to_array() for c in some]))
    cube[1] = torch.nan
    depth, joints = (torch.from_numpy(np.stack(v)) for v in ([c.depth for c in some], [c.joints_mm for c in some]))
    for kind, made in TorchEncoder(MapParams(OFFSETS, 12)).batch(depth, cube, joints).items():
        assert made.values[0].any(), kind
        assert not made.values[1].any(), kind


@pytest.mark.parametrize("name", LIMBS)
def test_limbs_of_tensors_are_those_of_the_encoder(name):
    skeleton = get_skeleton("msra21")
    some = crops(np.random.default_rng(5), 32, len(skeleton), ("hand", "blob"), "orthographic")
    assert_alike(*both(some, MapParams((name,), 24), skeleton))


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_all_hand_and_all_void(fill):
    """No joint is anywhere near an edge, or there is no hand at all."""
    depth = np.full((24, 24), 0.5 if fill else 1.0, np.float32)
    joints = np.random.default_rng(0).uniform((-200, -200, 300), (200, 200, 700), (5, 3))
    crop = Crop(depth, Cube((0.0, 0.0, 500.0)), joints.astype(np.float32))
    want, found, _ = both([crop], MapParams(KINDS, 12))
    assert_alike(want, found)


def test_rejected_frames_have_maps_of_zeros_and_disturb_nobody():
    some = crops(np.random.default_rng(1), 24, 5, ("hand", "blob"), "orthographic")
    params = MapParams(KINDS, 12)
    depth = torch.from_numpy(np.stack([c.depth for c in some]))
    cube = torch.from_numpy(np.stack([c.cube.to_array() for c in some]))
    joints = torch.from_numpy(np.stack([c.joints_mm for c in some]))
    alone = TorchEncoder(params).batch(depth[:1], cube[:1], joints[:1])
    cube[1], joints[1] = torch.nan, torch.nan
    found = TorchEncoder(params).batch(depth, cube, joints)
    for kind, made in found.items():
        assert not made.values[1].any()
        torch.testing.assert_close(made.values[:1], alone[kind].values, rtol=0, atol=0)


def test_what_cannot_be_made_is_refused_with_what_can():
    with pytest.raises(UsageError, match="voxel_joint cannot be made of tensors, only signed_edt, geodesic"):
        TorchEncoder(MapParams(("geodesic", "voxel_joint")))
    with pytest.raises(UsageError, match="handmap"):
        TorchEncoder(MapParams(("geodesic",), profile="handmap"))
    with pytest.raises(UsageError, match="bones"):
        TorchEncoder(MapParams(("limb",))).batch(torch.ones(1, 16, 16), torch.ones(1, 4), torch.ones(1, 21, 3))
    with pytest.raises(UsageError, match=r"cube \(n, 4\)"):
        TorchEncoder(MapParams(("geodesic",))).batch(torch.ones(2, 16, 16), torch.ones(1, 4), torch.ones(2, 21, 3))


_IN_THE_SIMULATOR = """
import numpy as np, torch
from tests.property.test_encoder_torch import crops
from gmaps.kernels.cuda import waves_cuda
from gmaps.maps import torch_gpu, torch_march, torch_parts, torch_planar, torch_seeds
some = crops(np.random.default_rng(0), 24, 5, ("hand", "noise", "blob"), "orthographic")
depth = torch.from_numpy(np.stack([c.depth for c in some]))
px = torch.from_numpy(np.stack([c.joints_px(12) for c in some]))
for step in (None, torch.full((3,), 0.1)):
    graph = torch_parts.find_graph(depth, 12, step)
    start = torch_seeds.seeds(graph, (px + 0.5) * 2 - 0.5, None if step is None else depth)
    fan = torch_march.triangulate(graph)
    want = torch_march.solve(start, graph, fan)
    assert (want < 1e6).any() and (want != start).any()
    for shared in (waves_cuda.SHARED, 0):
        waves_cuda.SHARED = shared
        print(float((torch_gpu.solve_on_gpu(start, graph, fan) - want).abs().max()))
    waves_cuda.SHARED = 46 * 1024
"""


def test_the_kernel_in_the_simulator_marches_alike():
    """In a process of its own: whether there is a simulator is decided when Numba is imported."""
    done = subprocess.run(
        [sys.executable, "-c", _IN_THE_SIMULATOR], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    errors = [float(line) for line in done.stdout.split()]
    assert len(errors) == 4
    assert max(errors) < 1e-4


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_kernel_says_so():
    with pytest.raises(GmapsError, match="--maps-on cpu"):
        check_gpu()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_maps_on_the_gpu_are_those_of_the_encoder():
    some = crops(np.random.default_rng(3), 64, 21, ("hand", "blob", "noise"), "orthographic")
    params = MapParams(KINDS, 32)
    want, _, scales = both(some, params)
    tensors = ([c.depth for c in some], [c.cube.to_array() for c in some], [c.joints_mm for c in some])
    found = TorchEncoder(params).batch(*(torch.from_numpy(np.stack(v)).cuda() for v in tensors))
    assert_alike(
        want,
        {k: TensorMap(m.values.cpu(), None if m.scale is None else m.scale.cpu()) for k, m in found.items()},
        scales,
    )
