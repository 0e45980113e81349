"""The march over a crop's pixels: fast kernels against slow twins, and what a map must be whatever the hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gmaps
from gmaps.kernels import edt
from gmaps.kernels.march import bits, cells, hand_parts
from gmaps.maps import Scene
from gmaps.maps.encoder import Encoder, MapParams
from tests.reference import parts as twin
from tests.scenes import flat_crop, px_to_mm
from tests.shapes import blob, masks, stick_hand

FAR = 1 << 19
KINDS = ("signed_edt", "geodesic", "geodesic_weighted", "geodesic_surface", "euclidean", "heatmap")


def square(mask, pixels):
    """A silhouette of any shape on (S, S) pixels."""
    out = np.zeros((pixels, pixels), bool)
    part = mask[:pixels, :pixels]
    out[: part.shape[0], : part.shape[1]] = part
    return out


def silhouette_of(mask, size):
    """Cells that hold a pixel."""
    return Scene(flat_crop(mask, np.zeros((0, 3))), size).silhouette


def marched(mask, joints, size, depth=None, step=None):
    """Distances (H, H, J), cells; inf where nothing leads."""
    crop = np.where(mask, np.float32(0) if depth is None else depth, np.float32(1)).astype(np.float32)
    px = (joints + 0.5) * size / len(mask) - 0.5
    silhouette = silhouette_of(mask, size)
    if step is None:
        at, t = cells.march(silhouette, crop, px, 0.0)
    else:
        at, t = cells.march_surface(silhouette, crop, step, px, 0.0)
    out = np.full((size * size, len(joints)), np.inf)
    out[at] = np.where(t[:-1, : len(joints)] < FAR, t[:-1, : len(joints)], np.inf)
    return out.reshape(size, size, -1)


def expected(mask, joints, size, depth=None, step=np.inf):
    """The same by the twin."""
    blocks = cells.count_blocks(len(mask), size)
    graph = twin.Parts(mask, blocks, depth, step)
    t = np.array([twin.march(graph, graph.starts(j)) for j in joints]).T
    out = np.full((size, size, len(joints)), np.inf)
    for r, c in np.argwhere(silhouette_of(mask, size)):
        of = twin.stands_for(graph, size, r, c)
        weight = np.array([len(graph.pixels[k]) for k in of], float)
        out[r, c] = (t[of] * weight[:, None]).sum(axis=0) / weight.sum() * size / blocks
    return out


SIZES = [(24, 12), (24, 8), (26, 8), (25, 8), (20, 32), (17, 17)]


def assert_alike(found, wanted):
    """An update that begins to count lowers T by a step, so that here and there the order of updates shows.

    On masks of noise that can move what lies behind it by a cell; examples are fixed, lest one comes up by chance.
    """
    known = np.isfinite(wanted)
    np.testing.assert_array_equal(np.isfinite(found), known)
    error = np.abs(found[known] - wanted[known])
    if error.size:
        assert (error < 0.02).mean() > 0.6
        assert np.median(error) < 1e-4
        assert error.max() < 1.5


@given(st.sampled_from(SIZES), st.floats(0.2, 0.9), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_march_equals_its_twin(sizes, fill, seed):
    pixels, size = sizes
    rng = np.random.default_rng(seed)
    mask = blob(rng, pixels, fill, connected=False) & (rng.random((pixels, pixels)) > 0.02)
    joints = rng.uniform(-2, pixels + 1, (5, 2))
    assert_alike(marched(mask, joints, size), expected(mask, joints, size))


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=10)
def test_march_on_a_hand_equals_its_twin(seed):
    rng = np.random.default_rng(seed)
    mask = stick_hand(rng, 48)
    joints = np.vstack([rng.uniform(0, 47, (3, 2)), rng.permutation(np.argwhere(mask))[:3]])
    assert_alike(marched(mask, joints, 12), expected(mask, joints, 12))


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15, derandomize=True)
def test_surface_march_equals_its_twin(seed):
    rng = np.random.default_rng(seed)
    mask = blob(rng, 24, 0.5, connected=False)
    smooth = np.cumsum(rng.normal(0, 0.02, (24, 24)), axis=1)
    depth = np.clip(np.where(blob(rng, 24, 0.4), smooth - 0.4, smooth), -0.9, 0.9)
    depth = depth.astype(np.float16).astype(np.float32)
    joints = rng.uniform(0, 23, (4, 2))
    assert_alike(marched(mask, joints, 8, depth, 0.1), expected(mask, joints, 8, depth, 0.1))


@given(masks(1, 40), st.sampled_from([(40, 10), (40, 8), (37, 8), (33, 11), (16, 40)]))
@settings(deadline=None, max_examples=60)
def test_edt_at_centers_equals_its_twin(mask, sizes):
    pixels, size = sizes
    mask = square(mask, pixels)
    out = np.empty((size, size), np.float32)
    edt.at_centers(np.where(mask, np.float32(0), np.float32(1)), 1.0, out)
    np.testing.assert_allclose(out, twin.signed_edt(mask, size), atol=1e-4)


@given(masks(1, 130), st.integers(1, 130))
@settings(deadline=None, max_examples=30)
def test_bits_say_what_the_mask_says(mask, pixels):
    mask = square(mask, pixels)
    rows = bits.mask_rows(mask)
    np.testing.assert_array_equal(rows, bits.hand_rows(np.where(mask, np.float32(-1), np.float32(1))))
    shown = np.unpackbits(rows.view(np.uint8), axis=1, bitorder="little")
    np.testing.assert_array_equal(shown[:, :pixels].astype(bool), mask)
    assert not shown[:, pixels:].any()


@given(masks(1, 130), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_nearest_column_is_the_nearest(mask, seed):
    mask = square(mask, 130)
    rng = np.random.default_rng(seed)
    for r in rng.integers(130, size=20):
        c = rng.choice([rng.uniform(-0.5, 129.5), float(rng.integers(130))])
        found = np.flatnonzero(mask[r])
        nearest = np.abs(found - c).min() if len(found) else np.inf
        assert bits.nearest(bits.mask_rows(mask), r, c) == pytest.approx(nearest, abs=1e-12)


@given(masks(8, 64), st.sampled_from([8, 16, 21, 32]))
@settings(deadline=None, max_examples=30)
def test_every_hand_pixel_is_in_one_part(mask, blocks):
    mask = square(mask, 64)
    rows = bits.mask_rows(mask)
    _, found, _, count, _ = hand_parts.find_parts(rows, *bits.touching(rows), False, blocks)
    assert count.sum() == mask.sum()
    assert sum(int(b).bit_count() for b in found) == mask.sum()


def two_fingers(pixels=128, gap=1):
    """A palm below, and two fingers on it with so many pixels between them."""
    mask = np.zeros((pixels, pixels), bool)
    mask[90:120, 40:80] = True
    mask[20:90, 40:56] = True
    mask[20:90, 56 + gap : 72 + gap] = True
    return mask


@pytest.mark.parametrize("kind", ["geodesic", "geodesic_surface"])
@pytest.mark.parametrize("gap", [1, 2, 3, 5])
def test_fingers_side_by_side_do_not_fuse(gap, kind):
    mask = two_fingers(gap=gap)
    joint = np.array([[22.0, 48.0]])
    crop = flat_crop(mask, px_to_mm(joint, 128))
    maps = gmaps.encode(crop, (kind,))
    t = (1 - maps[kind][..., 0]) * maps.scale[kind]
    # Down one finger and up the other, not across: 68 pixels each way of 1.875 mm.
    across = t[22 // 4, (64 + gap) // 4]
    assert across > 2 * 60 * 1.875
    # Pooled cells would have it at once.
    pooled = gmaps.geodesic_distance(Scene(crop).silhouette, crop.joints_px(32), spacing=7.5)[0]
    if gap < 4:
        assert pooled[22 // 4, (64 + gap) // 4] < 40


@pytest.mark.parametrize("size", [16, 24, 32, 48, 64, 128, 200])
def test_a_cell_has_the_distance_of_its_pixels(size):
    mask = two_fingers(gap=2)
    joint = np.array([[30.2, 47.7]])
    crop = flat_crop(mask, px_to_mm(joint, 128))
    maps = gmaps.encode(crop, ("geodesic",), size=size)
    t = (1 - maps["geodesic"][..., 0]) * maps.scale["geodesic"]
    exact = gmaps.geodesic_distance(mask, joint, spacing=1.875, order=2, inscribed=True)[0]
    at = Scene(crop, size).anchors
    known = np.isfinite(at[..., 0]) & (maps["geodesic"][..., 0] > 0)
    pixel = np.clip(np.rint((at[known] + 0.5) * 128 / size - 0.5), 0, 127).astype(int)
    error = np.abs(t[known] - exact[tuple(pixel.T)])
    # Rounding the anchor to a pixel is half a pixel at most each way.
    assert np.median(error) < max(2.5, 240 / size / 3)
    assert (error < 240 / size + 3).mean() > 0.9


def test_pieces_whose_cells_touch_are_linked_once_and_no_loop_is_closed():
    mask = two_fingers(gap=4)
    mask[50, 58] = True  # a speck in the middle of the gap, nearer to the left finger
    mask[130 // 4 : 36, 100] = True  # an island farther off
    joint = np.array([[22.0, 48.0]])
    crop = flat_crop(mask, px_to_mm(joint, 128))
    maps = gmaps.encode(crop, ("geodesic",))
    g = maps["geodesic"][..., 0]
    t = (1 - g) * maps.scale["geodesic"]
    right = t[22 // 4, 68 // 4]
    assert right > 2 * 60 * 1.875
    assert (g[8:9, 25] == 0).all()
    bridged = gmaps.encode(crop, ("geodesic",), bridge=True)
    assert (bridged["geodesic"][8:9, 25, 0] > 0).all()
    # What is reached inside the hand is not changed by a bridge; only the scale is.
    again = (1 - bridged["geodesic"][..., 0]) * bridged.scale["geodesic"]
    np.testing.assert_allclose(again[g > 0], t[g > 0], atol=1e-3)


@pytest.mark.parametrize("away", [1.0, 3.0, 40.0])
def test_joint_off_the_hand_starts_at_the_nearest_pixels(away):
    mask = np.zeros((128, 128), bool)
    mask[40:120, 8:48] = True
    joint = np.array([[80.0, 47.0 + away]])
    crop = flat_crop(mask, px_to_mm(joint, 128))
    maps = gmaps.encode(crop, ("geodesic",))
    t = (1 - maps["geodesic"][..., 0]) * maps.scale["geodesic"]
    silhouette = Scene(crop).silhouette
    at = Scene(crop).anchors
    straight = np.hypot(at[..., 0] - crop.joints_px(32)[0, 0], at[..., 1] - crop.joints_px(32)[0, 1]) * 7.5
    assert (t[silhouette] >= straight[silhouette] - 1e-2).all()
    assert t[20, 11] == pytest.approx(straight[20, 11], abs=0.3)


def test_no_hand_all_hand_and_joints_that_are_nowhere():
    nothing = np.zeros((64, 64), bool)
    at, t = cells.march(np.zeros((16, 16), bool), np.ones((64, 64), np.float32), np.array([[3.0, 3.0]]), 0.0)
    assert len(at) == 0
    assert t.shape == (1, 8)
    everything = marched(~nothing, np.array([[20.3, 40.1], [np.nan, 3.0]]), 16)
    assert np.isinf(everything[..., 1]).all()
    rows, cols = np.mgrid[:16, :16] * 4 + 1.5
    np.testing.assert_allclose(everything[..., 0], np.hypot(rows - 20.3, cols - 40.1) / 4, atol=0.1)


@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 32, 40]), st.sampled_from([False, 1.5]))
@settings(deadline=None, max_examples=10)
def test_whole_hand_and_batch_have_the_same_bits(seed, size, bridge):
    rng = np.random.default_rng(seed)
    crops = []
    for _ in range(3):
        mask = stick_hand(rng, 96) & (rng.random((96, 96)) > 0.02)
        depth = np.where(mask, rng.normal(0, 0.05, (96, 96)).cumsum(0) * 0.05, 1).clip(-1, 1)
        joints = rng.normal(0, 60, (6, 3)) + np.array([0, 0, 500])
        crop = flat_crop(mask, joints)
        crops.append(gmaps.Crop(depth.astype(np.float16).astype(np.float32), crop.cube, crop.joints_mm))
    encoder = Encoder(MapParams(KINDS, size, bridge=bridge))
    depth = np.stack([c.depth for c in crops])
    cube = np.stack([c.cube.to_array() for c in crops])
    joints = np.stack([c.joints_mm for c in crops])
    out = {k: np.empty((3, size, size, 1 if k == "signed_edt" else 6), np.float32) for k in KINDS}
    encoder.batch(depth, cube, joints, "orthographic", encoder.silhouettes(depth, cube), out)
    for k, crop in enumerate(crops):
        whole = encoder.crop(crop)
        made, scale = encoder.hand(crop)
        for kind in KINDS:
            one = made[kind] if isinstance(made[kind], np.ndarray) else made[kind].dense()
            np.testing.assert_array_equal(whole[kind], one)
            np.testing.assert_array_equal(whole[kind], out[kind][k])
        for kind, values in whole.scale.items():
            np.testing.assert_array_equal(values, scale[kind])


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_a_finger_before_the_palm_is_no_short_cut(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((128, 128), bool)
    mask[40:110, 30:100] = True
    depth = np.where(mask, 0.2, 1.0)
    column = int(rng.integers(50, 80))
    depth[45:110, column : column + 10] = -0.2  # a finger 48 mm before the palm, joined to it below
    for r in range(100, 110):
        depth[r, column : column + 10] = -0.2 + 0.4 * (r - 99) / 11
    crop = flat_crop(mask, px_to_mm(np.array([[47.0, column + 4.5]]), 128))
    crop = gmaps.Crop(depth.astype(np.float16).astype(np.float32), crop.cube, crop.joints_mm)
    maps = gmaps.encode(crop, ("geodesic_surface",))
    t = (1 - maps["geodesic_surface"][..., 0]) * maps.scale["geodesic_surface"]
    palm = t[50 // 4, column // 4 - 2]
    assert palm > 2 * 50 * 1.875


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.booleans())
@settings(deadline=None, max_examples=20, derandomize=True)
def test_turned_and_mirrored_crops_have_turned_and_mirrored_maps(seed, quarters, mirrored):
    rng = np.random.default_rng(seed)
    mask = stick_hand(rng, 64)
    joints = rng.uniform(5, 58, (4, 2))

    def change(p):
        r, c = p[:, 0], 63 - p[:, 1] if mirrored else p[:, 1]
        for _ in range(quarters):
            r, c = 63 - c, r
        return np.stack([r, c], axis=1)

    turned = np.rot90(mask[:, ::-1] if mirrored else mask, quarters)
    a = marched(mask, joints, 16)
    b = marched(np.ascontiguousarray(turned), change(joints), 16)
    carried = np.rot90(a[:, ::-1] if mirrored else a, quarters)
    np.testing.assert_array_equal(np.isfinite(carried), np.isfinite(b))
    # Where a speck is as near to two places of the hand, the order of rows decides to which it is linked.
    close = np.abs(carried[np.isfinite(b)] - b[np.isfinite(b)]) < 0.05
    assert not close.size or close.mean() > 0.7
