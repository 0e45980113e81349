"""Stores of several data sets, trained together: joints and channels in the order of one skeleton."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader

import gmaps
from gmaps.augment.changes import Augment
from gmaps.datasets.synthetic import Synthetic
from gmaps.errors import StoreError, UsageError
from gmaps.skeleton import get_skeleton
from gmaps.training import GuidanceDataset

MAPS = ("geodesic", "signed_edt", "heatmap", "limb", "offset")
MSRA, HANDS = get_skeleton("msra21"), get_skeleton("hands17")


class Reordered(Synthetic):
    """The synthetic frames as HANDS17 would label them."""

    skeleton = HANDS

    def read(self, i):
        frame = super().read(i)
        return replace(frame, joints=np.ascontiguousarray(frame.joints[list(MSRA.mapping_to(HANDS))]))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    made = {}
    for name, kind in (("msra", Synthetic), ("hands", Reordered)):
        made[name] = folder / f"{name}.zarr"
        ds = kind("all", 6, 3, "none")
        gmaps.build(ds, made[name], maps=MAPS, dtype="float32", workers=0, progress=False)
    return made


def test_maps_of_a_store_come_in_another_order(stores):
    ours = GuidanceDataset(stores["msra"], ("geodesic", "signed_edt", "heatmap"))
    theirs = GuidanceDataset(stores["hands"], ("geodesic", "signed_edt", "heatmap"), skeleton="msra")
    plain = GuidanceDataset(stores["hands"], ("geodesic",))
    assert theirs.skeleton == MSRA
    a, b, c = ours[4], theirs[4], plain[4]
    for kind in ("signed_edt", "heatmap"):
        np.testing.assert_array_equal(b["maps"][kind], a["maps"][kind])
    np.testing.assert_allclose(b["maps"]["geodesic"], a["maps"]["geodesic"], atol=1e-5)
    assert not torch.equal(c["maps"]["geodesic"], a["maps"]["geodesic"])
    for name in ("joints", "joints_mm", "depth", "silhouette", "cube"):
        np.testing.assert_array_equal(b[name], a[name])
    assert b["maps"]["geodesic"].shape == (21, 32, 32)


def test_on_the_fly_all_kinds_are_made_for_the_skeleton(stores):
    a = GuidanceDataset(stores["msra"], MAPS, on_the_fly=True)[2]
    b = GuidanceDataset(stores["hands"], MAPS, on_the_fly=True, skeleton=MSRA)[2]
    stored = GuidanceDataset(stores["msra"])[2]
    for kind in MAPS:
        np.testing.assert_allclose(b["maps"][kind], a["maps"][kind], atol=1e-5)
        np.testing.assert_array_equal(a["maps"][kind], stored["maps"][kind])


def test_kinds_of_many_joints_are_not_taken_apart(stores):
    with pytest.raises(StoreError, match=r"holds limb, offset of hands17, .*msra21.*on_the_fly=True"):
        GuidanceDataset(stores["hands"], skeleton="msra21")
    # In the store's own order there is nothing to take apart.
    assert GuidanceDataset(stores["hands"], skeleton="hands17")[0]["maps"]["limb"].shape[0] == 7


def test_a_subset_of_the_joints(stores):
    shared = MSRA.shared_with(get_skeleton("nyu14"))
    data = GuidanceDataset(stores["msra"], ("geodesic", "signed_edt"), skeleton=shared)
    whole = GuidanceDataset(stores["msra"], ("geodesic",))[1]
    item = data[1]
    taken = list(MSRA.mapping_to(shared))
    assert len(shared) == 10
    assert item["maps"]["signed_edt"].shape == (1, 32, 32)
    np.testing.assert_array_equal(item["maps"]["geodesic"], whole["maps"]["geodesic"][taken])
    np.testing.assert_array_equal(item["joints"], whole["joints"][taken])


def test_joints_that_the_store_lacks_are_named(stores):
    with pytest.raises(UsageError, match="msra21 cannot stand in for nyu14: it has no thumb_root, wrist_1"):
        GuidanceDataset(stores["msra"], ("geodesic",), skeleton="nyu14")


@pytest.mark.parametrize("on_the_fly", [True, False])
def test_augmentation_does_not_mind_the_order(stores, on_the_fly):
    augment = Augment.exact(seed=5)
    a, b = (
        GuidanceDataset(stores[s], ("geodesic", "signed_edt"), skeleton=MSRA, augment=augment, on_the_fly=on_the_fly)
        for s in ("msra", "hands")
    )
    plain = GuidanceDataset(stores["msra"], ("geodesic",))
    changed = 0
    for i in range(6):
        np.testing.assert_allclose(b[i]["maps"]["geodesic"], a[i]["maps"]["geodesic"], atol=1e-5)
        np.testing.assert_array_equal(b[i]["joints_mm"], a[i]["joints_mm"])
        changed += not torch.equal(a[i]["depth"], plain[i]["depth"])
    assert changed


@pytest.mark.parametrize("workers", [0, 1])
def test_two_stores_are_one_data_set(stores, workers):
    both = ConcatDataset([GuidanceDataset(stores[s], ("geodesic",), skeleton="msra21") for s in ("msra", "hands")])
    context = "forkserver" if workers else None
    loader = DataLoader(both, batch_size=4, num_workers=workers, multiprocessing_context=context)
    batches = list(loader)
    assert [len(b["index"]) for b in batches] == [4, 4, 4]
    geodesic = torch.cat([b["maps"]["geodesic"] for b in batches])
    joints = torch.cat([b["joints_mm"] for b in batches])
    assert geodesic.shape == (12, 21, 32, 32)
    torch.testing.assert_close(geodesic[6:], geodesic[:6], atol=1e-5, rtol=0)
    torch.testing.assert_close(joints[6:], joints[:6], atol=0, rtol=0)
