"""A kind brings all of its traits along: loss, augmentation and supervision ask it, and know no name."""

from __future__ import annotations

import numpy as np
import pytest

import gmaps
from gmaps.errors import UsageError
from gmaps.maps import MapKind, MapParams, kind, register_map
from gmaps.skeleton import SKELETONS, Skeleton, get_skeleton

pytest.importorskip("torch")
import torch

from gmaps.augment.changes import Augment
from gmaps.nets.losses import map_loss, map_losses, map_mask
from gmaps.nets.supervision import GuidanceSupervision
from gmaps.training import GuidanceDataset


def _two_hands() -> Skeleton:
    one = get_skeleton("msra21")
    n = len(one)
    sides = ("left", "right")
    return Skeleton(
        name="hands42",
        joints=tuple(f"{side} {name}" for side in sides for name in one.joints),
        parents=tuple(p + n * k if p >= 0 else -1 for k in range(2) for p in one.parents),
        fingers={
            f"{sides[k]} {finger}" if finger != "palm" else f"{sides[k]} palm": tuple(j + n * k for j in group)
            for k in range(2)
            for finger, group in one.fingers.items()
        },
        mirror=tuple((j, j + n) for j in range(n)),
    )


TWO = _two_hands()


@pytest.fixture(autouse=True)
def _own_registries(monkeypatch):
    monkeypatch.setattr(kind, "_REGISTRY", dict(kind._REGISTRY))
    monkeypatch.setitem(SKELETONS, TWO.name, TWO)


def plug_in(name, **traits):
    """A kind that is 1 on the hand and in the void alike, unless told otherwise."""
    traits = {"encode": lambda scene: np.ones((scene.size, scene.size, scene.joints), np.float32)} | traits
    return register_map(MapKind(name, "of a test", "1", len, (0.0, 1.0), **traits))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("traits") / "hands.zarr"
    return gmaps.build("synthetic", out, ("geodesic",), limit=8, workers=0, map_size=16, crop_size=64, progress=False)


def test_a_kind_that_is_defined_in_the_background_is_not_masked():
    plug_in("limbic")  # whatever it is called
    plug_in("everywhere", background=True)
    target = torch.rand(2, 21, 8, 8)
    hand = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    hand[:, :, 2:5, 3:6] = True
    assert map_mask("everywhere", target, hand) is None
    assert torch.equal(map_mask("limbic", target, hand), hand.float())
    wrong_in_the_void = target + 0.3 * ~hand
    assert map_loss("limbic", wrong_in_the_void, target, hand).item() == 0
    expected = 0.5 * 0.3**2 * (1 - 9 / 64)
    assert map_loss("everywhere", wrong_in_the_void, target, hand).item() == pytest.approx(expected, rel=1e-5)


def test_a_kind_of_views_has_a_mask_for_each():
    plug_in("pair", views=2)
    target = torch.zeros(1, 4, 2, 2)
    target[0, 1, 0, 0] = target[0, 2, 1, 1] = 1
    hand = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    mask = map_mask("pair", target, hand)
    assert mask[0, :2, 0, 0].tolist() == [1, 1]
    assert mask[0, 2:, 1, 1].tolist() == [1, 1]
    assert mask.sum() == 4


def test_a_kind_of_choice_is_learnt_as_one():
    plug_in("chosen", loss="cross_entropy")
    target = torch.zeros(1, 2, 4, 4)
    target[0, 0, 1, 2] = target[0, 1, 3, 3] = 1
    assert map_loss("chosen", torch.zeros_like(target), target).item() == pytest.approx(np.log(16), rel=1e-6)
    with pytest.raises(UsageError, match=r"chosen chooses a cell of \(8, 8\), the batch holds \(4, 4\)"):
        map_loss("chosen", torch.zeros(1, 2, 8, 8), target)


def test_a_kind_in_mm_is_scaled_by_the_cube_that_augmentation_took(store):
    """Lengths do not change with the cube; what a network learns, in units of it, does."""

    def depth_of_the_hand(scene):
        relative = scene.surface[..., None] * scene.crop.cube.half_side
        return np.where(scene.silhouette[..., None], relative, 0).repeat(scene.joints, 2).astype(np.float32)

    plug_in("relief", encode=depth_of_the_hand, unit="mm")
    plain = plug_in("plain_relief", encode=depth_of_the_hand).name
    zoom = Augment(0, scale=0.5, translation=0, depth=0, seed=3)
    data = GuidanceDataset(store.path, ("relief", plain), augment=zoom)
    batch = data.read_batch(range(8)).stacked
    half = batch["cube"][:, 3]
    assert half.max() / half.min() > 1.2
    mm = batch["maps"]["relief"]
    assert torch.equal(mm, batch["maps"][plain])
    right = mm / half[:, None, None, None]
    assert map_losses([{"relief": right}], batch).item() == pytest.approx(0, abs=1e-12)
    assert map_losses([{"relief": mm / 120}], batch).item() > 1e-6
    assert map_losses([{plain: mm}], batch).item() == 0


def test_supervision_by_a_map_of_any_name_trains():
    torch.manual_seed(0)
    supervision = GuidanceSupervision(64, {"anything": 5}, repeats=1)
    batch = {"maps": {"anything": torch.rand(2, 5, 16, 16)}, "silhouette": torch.ones(2, 1, 16, 16, dtype=torch.bool)}
    batch["silhouette"][:, :, :8] = False
    features = torch.randn(2, 64, 16, 16)
    optimizer = torch.optim.Adam(supervision.parameters(), 1e-2)
    course = []
    for _ in range(12):
        loss = map_losses(supervision(features).maps, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        course.append(loss.item())
    assert course[-1] < 0.5 * course[0]
    with pytest.raises(UsageError, match="gives anything 5 channels, the batch holds 3"):
        map_losses(supervision(features).maps, {"maps": {"anything": torch.rand(2, 3, 16, 16)}})


def test_augmentation_asks_a_kind_what_it_follows():
    exact = Augment.exact(mirror=0.5)

    def carries(change=exact, projection="orthographic", skeleton=None, **traits):
        kind._REGISTRY.pop("asked", None)
        plug_in("asked", **traits)
        return change.carries("asked", MapParams(("asked",)), 128, projection, skeleton)

    assert not carries()
    assert not carries(turns=True)
    assert carries(turns=True, mirrors=True)
    assert carries(Augment.exact(), turns=True)
    assert not carries(Augment.exact(depth=5), turns=True)
    assert carries(Augment.exact(depth=5), turns=True, flat=True)
    assert not carries(Augment.exact(depth=5), "perspective", turns=True, flat=True)
    assert not carries(turns=True, mirrors=True, skeleton=TWO)  # nobody says which channels a mirror exchanges
    assert carries(turns=True, mirrors=True, depends="joint", skeleton=TWO)
    assert carries(turns=True, mirrors=True, skeleton=TWO, mirrored=lambda s: range(len(s)))


# Mirroring exchanges left and right.


def two_handed_crop(seed=0):
    """A crop of msra21 hands, twice the joints: the right hand's are the left one's, moved."""
    data = gmaps.load_dataset("synthetic", frames=8)
    frame = data.read(seed)
    joints = np.concatenate([frame.joints, frame.joints * 0.9 + np.array([20, 4, 30])]).astype(np.float32)
    frame = type(frame)(frame.depth, frame.camera, joints)
    return gmaps.crop_frame(frame, gmaps.Cube(tuple(frame.joints.mean(axis=0).tolist())))


MIRROR = Augment(0, mirror=1, scale=0, translation=0, depth=0)


def test_mirroring_exchanges_the_joints_of_two_hands():
    crop = two_handed_crop()
    plain, _ = MIRROR(crop, 0, 0)
    found, change = MIRROR(crop, 0, 0, skeleton=TWO)
    np.testing.assert_array_equal(plain.joints_mm[:21], found.joints_mm[21:])
    np.testing.assert_array_equal(plain.joints_mm[21:], found.joints_mm[:21])
    np.testing.assert_allclose(change.restore(found.joints_mm), crop.joints_mm, atol=1e-3)


@pytest.mark.parametrize("name", ["geodesic", "heatmap", "signed_edt", "euclidean", "limb", "limb_lpm_each",
                                  "limb_ldm_g6", "limb_lpm_g1"])  # fmt: skip
def test_carried_channels_are_exchanged_with_the_joints(name):
    augment = Augment.exact(mirror=1)
    assert augment.carries(name, MapParams((name,)), 128, "orthographic", TWO)
    for row in range(4):
        crop = two_handed_crop(row)
        found, change = augment(crop, 0, row, skeleton=TWO)
        carried = change.carry(gmaps.encode(crop, name, skeleton=TWO)[name], name)
        np.testing.assert_allclose(carried, gmaps.encode(found, name, skeleton=TWO)[name], atol=5e-5)


def test_a_map_of_no_known_kind_is_not_mirrored_with_two_hands():
    _, change = MIRROR(two_handed_crop(), 0, 0, skeleton=TWO)
    with pytest.raises(UsageError, match="say of which kind"):
        change.carry(np.zeros((8, 8, 42), np.float32))
    with pytest.raises(UsageError, match="offset does not mirror"):
        change.carry(np.zeros((8, 8, 168), np.float32), "offset")


def test_the_data_set_exchanges_them(tmp_path, monkeypatch):
    from gmaps.datasets import synthetic

    twice = synthetic.Synthetic.read

    def read(self, i, *rest, **more):
        frame = twice(self, i, *rest, **more)
        joints = np.concatenate([frame.joints, frame.joints + np.array([10, 0, 20])]).astype(np.float32)
        return type(frame)(frame.depth, frame.camera, joints, frame.index, frame.subject, frame.sequence)

    monkeypatch.setattr(synthetic.Synthetic, "read", read)
    monkeypatch.setattr(synthetic.Synthetic, "skeleton", TWO)
    gmaps.build("synthetic", tmp_path / "s.zarr", ("geodesic",), limit=6, workers=0, progress=False, dtype="float32")
    plain = GuidanceDataset(tmp_path / "s.zarr").read_batch(range(6)).stacked
    exact = Augment.exact(mirror=1)
    carried = GuidanceDataset(tmp_path / "s.zarr", augment=exact, on_the_fly=False).read_batch(range(6)).stacked
    computed = GuidanceDataset(tmp_path / "s.zarr", augment=exact).read_batch(range(6)).stacked
    torch.testing.assert_close(carried["maps"]["geodesic"], computed["maps"]["geodesic"], atol=2e-4, rtol=0)
    swapped = (carried["joints_mm"] @ carried["undo"].transpose(1, 2))[:, list(TWO.swapped)]
    torch.testing.assert_close(swapped, plain["joints_mm"], atol=1e-2, rtol=0)


@pytest.mark.parametrize("pairs", [((0, 1), (1, 2)), ((0, 21),), ((3, 3),)])
def test_mirror_pairs_name_each_joint_once(pairs):
    one = get_skeleton("msra21")
    with pytest.raises(UsageError, match="mirror pairs"):
        Skeleton("odd", one.joints, one.parents, one.fingers, pairs)
