"""The PyTorch data set: what an item holds, on the fly as stored, in any kind of worker."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from store_kit import write_store

import gmaps
from gmaps.errors import RowError, StoreError, UnknownNameError
from gmaps.maps import DEFAULT_MAPS, Encoder, Scene, get_map
from gmaps.store.schema import MapArray

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader, default_collate  # noqa: E402

from gmaps.training import Batch, GuidanceDataset, collate  # noqa: E402


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("training") / "hands.zarr"
    gmaps.build("synthetic", out, limit=40, workers=0, dtype="float32", progress=False)
    return out


@pytest.fixture(scope="module")
def with_rejects(path, tmp_path_factory):
    """The same rows in shards of 7, as float16, packed where that pays; rows 3 and 20 rejected."""
    store = gmaps.open_store(path)
    names = [n for n in store.names if n.startswith("maps/")]
    values = store.read(range(40))
    rows = [{n: v[i] for n, v in values.items()} for i in range(40)]
    for i in (3, 20):
        rows[i] = {"frame": i, "valid": False}
    kinds = []
    for kind in store.maps:
        known = get_map(kind)
        shape = known.shape(32, store.skeleton)
        kinds.append(MapArray(kind, shape, f"maps/{kind}_scale" in names, known.value_range, smooth=known.smooth))
    out = write_store(tmp_path_factory.mktemp("rejects") / "r.zarr", rows, kinds=kinds, shard=7, size=128)
    meta = json.loads((out / "zarr.json").read_text())
    meta["attributes"] |= store.attributes
    (out / "zarr.json").write_text(json.dumps(meta))
    return out


def same(a, b):
    """Two nested items or batches, bit by bit."""
    assert a.keys() == b.keys()
    for key, value in a.items():
        if isinstance(value, dict):
            same(value, b[key])
        elif isinstance(value, torch.Tensor):
            assert value.dtype == b[key].dtype, key
            assert value.shape == b[key].shape, key
            assert torch.equal(torch.nan_to_num(value, 7.0), torch.nan_to_num(b[key], 7.0)), key
        else:
            assert value == b[key], key


def one_by_one(data, i):
    """An item as a reader would make it from one sample."""
    sample = data.store[int(data.rows[i])]
    maps = sample.maps
    if sample.valid:
        scene = Scene(sample.crop, data.params.size, data.params.profile)
        silhouette, joints = scene.silhouette, sample.crop.joints
        if data.on_the_fly:
            maps = Encoder(data.params, data.store.skeleton).crop(sample.crop)
    else:
        silhouette, joints = np.zeros((32, 32), bool), np.full((21, 3), np.nan, np.float32)
    cube = sample.cube.to_array() if sample.valid else np.full(4, np.nan, np.float32)
    return {
        "depth": torch.from_numpy(sample.depth[None]),
        "joints_mm": torch.from_numpy(sample.joints),
        "cube": torch.from_numpy(cube),
        "index": sample.index,
        "maps": {n: torch.from_numpy(np.moveaxis(maps[n], -1, 0).copy()) for n in data.maps},
        "silhouette": torch.from_numpy(silhouette[None]),
        "joints": torch.from_numpy(joints),
    }


@pytest.mark.parametrize("profile", ["default", "handmap"])
@pytest.mark.parametrize("on_the_fly", [False, True])
@pytest.mark.parametrize("kinds", [("geodesic",), ("geodesic_weighted", "geodesic", "heatmap"), ("signed_edt",)])
def test_a_batch_is_its_items_bit_by_bit(with_rejects, on_the_fly, kinds, profile):
    data = GuidanceDataset(with_rejects, kinds, on_the_fly=on_the_fly, valid_only=False)
    data.params = replace(data.params, profile=profile)
    indices = [39, 3, 0, 20, 7, 7, 12]
    batch = data.__getitems__(indices)
    assert isinstance(batch, Batch)
    assert len(batch) == 7
    expected = [one_by_one(data, i) for i in indices]
    for k, i in enumerate(indices):
        same(batch[k], expected[k])
        same(data[i], expected[k])
    same(collate(batch), default_collate(expected))
    same(default_collate(batch), default_collate(expected))
    same(batch[-1], expected[-1])
    assert [item["index"] for item in batch[1:3]] == [3, 0]


def test_items_are_picked_by_number_mask_and_slice(with_rejects):
    data = GuidanceDataset(with_rejects, ("signed_edt",))
    mask = np.zeros(len(data), bool)
    mask[[1, 3]] = True
    rows = data.rows[[1, 3]].tolist()
    for picked in (mask, mask.tolist(), slice(1, 4, 2), [1, 3], np.array([1, 3]), torch.tensor([1, 3])):
        assert data.read_batch(picked).stacked["index"].tolist() == rows
        assert [item["index"] for item in data[picked]] == rows
    batch = data.read_batch([0, 1, 2, 3])
    for picked in (np.array([False, True, False, True]), slice(1, 4, 2), [1, 3], [-3, -1]):
        assert [item["index"] for item in batch[picked]] == rows
    assert data[np.int64(-1)]["index"] == data.rows[-1]
    for wrong in (2.7, True, np.float64(2), None):
        for pick in (lambda: data[wrong], lambda: data.read_batch([wrong]), lambda: batch[wrong]):  # noqa: B023
            with pytest.raises(RowError):
                pick()
    for wrong in (mask[:-1], np.array([0.5])):
        for pick in (lambda: data[wrong], lambda: data.read_batch(wrong), lambda: batch[wrong]):  # noqa: B023
            with pytest.raises(RowError):
                pick()
    with pytest.raises(IndexError, match="there is no sample 99"):
        data[99]


def test_normalised_by_theta_with_a_bridge(with_rejects):
    data = GuidanceDataset(with_rejects, ("geodesic", "geodesic_weighted"), on_the_fly=True)
    assert len(data) == 38
    data.params = replace(data.params, normalize="theta", bridge=2.5)
    for k, item in enumerate(data.__getitems__([5, 30])):
        same(item, one_by_one(data, [5, 30][k]))


def test_transformed_items_are_collated(with_rejects):
    data = GuidanceDataset(with_rejects, ("geodesic",), transform=lambda item: {"twice": item["depth"] * 2})
    batch = next(iter(DataLoader(data, batch_size=5, collate_fn=collate)))
    plain = GuidanceDataset(with_rejects, ("geodesic",))
    assert torch.equal(batch["twice"], 2 * torch.stack([plain[i]["depth"] for i in range(5)]))


def test_an_item_holds_what_training_needs(path):
    data = GuidanceDataset(path)
    assert len(data) == 40
    item = data[7]
    store = gmaps.open_store(path)
    sample = store[7]
    assert item["depth"].shape == (1, 128, 128)
    assert item["depth"].dtype == torch.float32
    np.testing.assert_array_equal(item["depth"][0].numpy(), sample.depth)
    assert set(item["maps"]) == set(DEFAULT_MAPS)
    for name, m in item["maps"].items():
        assert m.shape == (1 if name == "signed_edt" else 21, 32, 32)
        np.testing.assert_array_equal(m.numpy(), np.moveaxis(sample.maps[name], -1, 0))
    np.testing.assert_array_equal(item["joints_mm"].numpy(), sample.joints)
    np.testing.assert_array_equal(item["joints"].numpy(), sample.crop.joints)
    np.testing.assert_array_equal(item["cube"].numpy(), sample.cube.to_array())
    # A cell is hand if any of its pixels is; the sign of the EDT is that of its centre.
    silhouette = item["silhouette"][0].numpy()
    blocks = sample.crop.mask.reshape(32, 4, 32, 4)
    np.testing.assert_array_equal(silhouette, blocks.any(axis=(1, 3)))
    assert silhouette[item["maps"]["signed_edt"][0].numpy() > 0].all()
    assert item["index"] == 7


def test_on_the_fly_is_bit_equal_to_stored_float32(path):
    stored, computed = GuidanceDataset(path), GuidanceDataset(path, on_the_fly=True)
    for i in range(len(stored)):
        a, b = stored[i], computed[i]
        for name in DEFAULT_MAPS:
            assert torch.equal(a["maps"][name], b["maps"][name]), (i, name)
        assert torch.equal(a["silhouette"], b["silhouette"])


def test_other_maps_only_on_the_fly(path):
    with pytest.raises(
        StoreError, match=r"does not hold geodesic_surface.*gmaps store add .*geodesic_surface.*on_the_fly=True"
    ):
        GuidanceDataset(path, ("geodesic_surface",))
    item = GuidanceDataset(path, ("geodesic_surface",), on_the_fly=True)[0]
    assert item["maps"]["geodesic_surface"].shape == (21, 32, 32)
    with pytest.raises(UnknownNameError, match="Did you mean 'geodesic'"):
        GuidanceDataset(path, ("geodesics",), on_the_fly=True)


@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("on_the_fly", [False, True])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_data_loader_with_workers(path, start_method, on_the_fly):
    data = GuidanceDataset(path, ("geodesic",), on_the_fly=on_the_fly)
    data[0]  # mappings that are open already must not trouble the workers
    loader = DataLoader(data, batch_size=16, num_workers=2, multiprocessing_context=start_method)
    batches = list(loader)
    if start_method == "fork":  # the others import everything anew in each worker
        loader = DataLoader(data, 16, num_workers=2, multiprocessing_context="fork", collate_fn=collate)
        for ours, theirs in zip(list(loader), batches, strict=True):
            assert ours["depth"].is_shared()
            same(ours, theirs)
    assert [len(b["index"]) for b in batches] == [16, 16, 8]
    assert torch.cat([b["index"] for b in batches]).tolist() == list(range(40))
    together = torch.cat([b["maps"]["geodesic"] for b in batches])
    one_by_one = torch.stack([data[i]["maps"]["geodesic"] for i in range(40)])
    assert torch.equal(together, one_by_one)


def test_pickles_and_transforms(path):
    data = pickle.loads(pickle.dumps(GuidanceDataset(path, ("heatmap",))))
    assert torch.equal(data[3]["maps"]["heatmap"], GuidanceDataset(path)[3]["maps"]["heatmap"])
    doubled = GuidanceDataset(path, transform=lambda item: {**item, "index": item["index"] * 2})
    assert doubled[4]["index"] == 8


def test_not_a_store(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        GuidanceDataset(tmp_path / "nothing.zarr")
