"""Voxel kinds through the whole line: built, verified, read, and decoded."""

from __future__ import annotations

import numpy as np
import pytest
import xarray

import gmaps
from gmaps.errors import UsageError
from gmaps.pipeline import recompute_rows
from gmaps.store import verify_checksums
from gmaps.training import GuidanceDataset

KINDS = ("occupancy", "tsdf", "voxel_joint", "voxel_label", "voxel_geodesic", "geodesic")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = tmp_path_factory.mktemp("voxels") / "v.zarr"
    gmaps.build("synthetic", out, KINDS, limit=6, workers=0, map_size=16, shard_samples=4, progress=False)
    return gmaps.open_store(out)


def test_shapes_types_and_verification(store):
    sample = store[3]
    shapes = {name: values.shape for name, values in sample.maps.items()}
    assert shapes == {
        "occupancy": (32, 32, 32, 1), "tsdf": (32, 32, 32, 3), "voxel_joint": (16, 16, 16, 21),
        "voxel_label": (21,), "voxel_geodesic": (16, 16, 16, 21), "geodesic": (16, 16, 21),
    }  # fmt: skip
    assert verify_checksums(store.path) == []
    assert recompute_rows(store, range(6)) == []


def test_labels_survive_the_store_and_name_the_same_voxels(store):
    for i in range(len(store)):
        sample = store[i]
        # A label counts further than float16 does, so it is kept as float32 whatever the store's type.
        label = sample.maps["voxel_label"].astype(int)
        one_hot = sample.maps["voxel_joint"].reshape(-1, 21)
        assert one_hot[label, np.arange(21)].tolist() == [1.0] * 21
        found = gmaps.decode(
            "voxel_label", sample.maps["voxel_label"], sample.crop, scale=sample.scale["voxel_label"]
        )
        inside = sample.crop.inside()
        assert inside.any()
        away = np.abs(found - sample.joints)[inside]
        assert away.max() <= sample.crop.cube.half_side / 16 * (1 + 1e-5)


def test_stored_and_on_the_fly_are_equal_but_for_the_stores_rounding(store):
    stored, made = GuidanceDataset(store, KINDS), GuidanceDataset(store, KINDS, on_the_fly=True)
    for name in KINDS:
        a, b = stored[2]["maps"][name].numpy(), made[2]["maps"][name].numpy()
        assert a.shape == b.shape
        bound = store.rounding(f"maps/{name}", b)
        assert (np.abs(a.astype(float) - b) <= bound).all()


def test_xarray_opens_grids_of_two_sizes(store):
    with xarray.open_zarr(store.path, group="maps", consolidated=False) as opened:
        assert opened["occupancy"].dims == ("sample", "x32", "y32", "z32", "occupancy_channel")
        assert opened["voxel_geodesic"].dims == ("sample", "x16", "y16", "z16", "voxel_geodesic_channel")
        np.testing.assert_array_equal(opened["occupancy"][1].values, store[1].maps["occupancy"])


def test_millimetres_do_not_fit_a_byte(tmp_path):
    with pytest.raises(UsageError, match="voxel_vector has no bounded range"):
        gmaps.build("synthetic", tmp_path / "v.zarr", ("voxel_vector",), limit=2, dtype="uint8", progress=False)
