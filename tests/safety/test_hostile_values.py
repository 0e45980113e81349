"""Crops of values that no camera gives: joints at 1e30, depths of NaN, cubes as large as the sky."""

import random
import warnings
from dataclasses import replace

import numpy as np
import pytest

import gmaps
from gmaps.crop import crop_frame
from gmaps.errors import FrameError
from gmaps.frame import Crop, Cube
from gmaps.kernels import whole
from gmaps.kernels._jit import jit
from gmaps.maps import Encoder, MapParams, list_maps
from tests.safety.kit import bad, in_children

#: 1e19 is more than an int64 holds, 4e9 than an int32.
ODD = (
    np.nan,
    np.inf,
    -np.inf,
    1e38,
    -1e38,
    1e30,
    -1e30,
    1e19,
    -1e19,
    4.2e9,
    -4.2e9,
    2.2e9,
    1e6,
    -1e6,
    0.0,
    -0.0,
    1e-45,
)


@pytest.fixture(scope="module")
def crops():
    data = gmaps.load_dataset("synthetic", frames=3)
    made = []
    for k in range(3):
        frame = data.read(k)
        cube = Cube(tuple(frame.joints.mean(axis=0)), 120.0)
        made.append(crop_frame(frame, cube, size=32, projection=("orthographic", "perspective")[k % 2]))
    return made, data.skeleton


def hostile(crops, rnd):
    crop = rnd.choice(crops)
    joints, depth, center, half = (
        crop.joints_mm.copy(),
        crop.depth.copy(),
        list(crop.cube.center),
        crop.cube.half_side,
    )
    for _ in range(rnd.randrange(1, 4)):
        what = rnd.randrange(5)
        if what < 2:
            joints[rnd.randrange(len(joints)), rnd.randrange(3)] = rnd.choice(ODD)
        elif what == 2:
            joints[:] = rnd.choice(ODD)
        elif what == 3:
            depth.ravel()[rnd.randrange(depth.size) :: rnd.choice((1, 7, 10**6))] = rnd.choice(
                (*ODD, 2.0, -2.0, -1.0)
            )
        elif rnd.random() < 0.5:
            center[rnd.randrange(3)] = rnd.choice(ODD)
        else:
            half = rnd.choice(ODD)
    return Crop(depth, Cube(tuple(center), half), joints, crop.projection)


@pytest.mark.parametrize("count", [120, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_value_leads_a_kernel_out_of_its_arrays(crops, count):
    good, skeleton = crops
    kinds = list_maps()
    for kind in kinds:  # compiled here, so that the children need not
        Encoder(MapParams((kind,), size=8), skeleton).crop(good[0])
    Encoder(MapParams(("geodesic", "euclidean"), size=8), skeleton).hand(good[0])

    def work(k):
        rnd = random.Random(k)
        # All kinds in turn: a tenth of them would not show what a tenth of the kernels do.
        params = MapParams((kinds[k % len(kinds)],), size=rnd.choice((8, 32)), bridge=rnd.random() < 0.2)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            encoder = Encoder(params, skeleton)
            (encoder.hand if rnd.random() < 0.5 else encoder.crop)(hostile(good, rnd))

    assert not bad(in_children(work, range(count)))


def test_a_joint_at_the_end_of_the_world_is_a_limb_without_cells(crops):
    crop, skeleton = crops[0][0], crops[1]
    joints = crop.joints_mm.copy()
    joints[:, 0] = 1e30
    maps = gmaps.encode(replace(crop, joints_mm=joints), maps=("limb_ldm_g1", "heatmap"), skeleton=skeleton)
    assert not maps["limb_ldm_g1"].any()
    assert not maps["heatmap"].any()


@pytest.mark.parametrize("change", ["joint", "behind", "depth", "nan", "cube"])
def test_values_of_a_stored_crop_are_looked_at(crops, change):
    crop = crops[0][0]
    joints, depth, cube = crop.joints_mm.copy(), crop.depth.copy(), crop.cube
    if change == "joint":
        joints[4, 0] = 1e19
    elif change == "behind":
        joints[4, 2] = -1
    elif change == "cube":
        cube = Cube((0, 0, 4e9), 120)
    else:
        depth[3, 3] = 2 if change == "depth" else np.nan
    crop.checked()
    with pytest.raises(FrameError, match=r"mm|depth"):
        Crop(depth, cube, joints, crop.projection).checked()


def test_a_crop_without_labels_is_one(crops):
    crop = crops[0][0]
    assert replace(crop, joints_mm=np.full_like(crop.joints_mm, np.nan)).checked().labelled is False


def test_whole_numbers_of_anything():
    @jit
    def both(v):
        return whole.floor(v), whole.ceil(v), whole.clamp(v, -1.0, 3.0)

    for kind in (np.float32, np.float64):
        assert both(kind(np.nan)) == (-(2**30), -(2**30), -1)
        assert both(kind(1e30)) == (2**30, 2**30, 3)
        assert both(kind(-np.inf)) == (-(2**30), -(2**30), -1)
        assert both(kind(1.5)) == (1, 2, 1.5)
        assert both(kind(-1.5)) == (-2, -1, -1)
