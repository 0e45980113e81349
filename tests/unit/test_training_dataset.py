"""The PyTorch data set: what an item holds, on the fly as stored, in any kind of worker."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import gmaps
from gmaps.errors import StoreError, UnknownNameError
from gmaps.maps import DEFAULT_MAPS

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader  # noqa: E402

from gmaps.training import GuidanceDataset  # noqa: E402


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("training") / "hands.zarr"
    gmaps.build("synthetic", out, limit=40, workers=0, dtype="float32", progress=False)
    return out


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
    inside = item["maps"]["signed_edt"][0] > 0
    np.testing.assert_array_equal(item["silhouette"][0].numpy(), inside.numpy())
    assert item["index"] == 7


def test_on_the_fly_is_bit_equal_to_stored_float32(path):
    stored, computed = GuidanceDataset(path), GuidanceDataset(path, on_the_fly=True)
    for i in range(len(stored)):
        a, b = stored[i], computed[i]
        for name in DEFAULT_MAPS:
            assert torch.equal(a["maps"][name], b["maps"][name]), (i, name)
        assert torch.equal(a["silhouette"], b["silhouette"])


def test_other_maps_only_on_the_fly(path):
    with pytest.raises(StoreError, match=r"does not hold geodesic_surface.*on_the_fly=True"):
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
