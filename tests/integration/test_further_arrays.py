"""What a data set declares of its frames besides depth and joints, from `read` to a batch of training."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import zarr
from torch.utils.data import DataLoader

import gmaps
from gmaps.datasets import FrameArray
from gmaps.errors import UnknownNameError, UsageError
from gmaps.pipeline import recompute_rows
from gmaps.pipeline.edit import add_maps
from gmaps.store import verify_checksums
from gmaps.training import GuidanceDataset, collate
from tests.integration.own_hands import OwnHands

OPTIONS = {"maps": ("signed_edt",), "crop_size": 32, "map_size": 8, "shard_samples": 4, "progress": False}
PLAIN = ("angles", "side", "left")


class Rich(OwnHands):
    arrays = (
        FrameArray("vertices", (400, 3), "float32", "mm", "of the mesh"),
        FrameArray("angles", (26,), "float64", "degree"),
        FrameArray("colour", (60, 80, 3), "uint8"),
        FrameArray("side", (), "int8"),
        FrameArray("left", (), "bool"),
        FrameArray("half", (600,), "float16"),
    )

    def __init__(self, size=10, shift=0.0, spoil=None):
        super().__init__(size, shift)
        self.spoil = spoil or {}

    def values(self, i):
        rng = np.random.default_rng(i)
        made = {
            "vertices": rng.normal(0, 50, (400, 3)).astype(np.float32),
            "angles": rng.uniform(-90, 90, 26),
            "colour": rng.integers(0, 256, (60, 80, 3), dtype=np.uint8),
            "side": np.int8(i % 2 * 2 - 1),
            "left": np.bool_(i % 2),
            "half": rng.normal(0, 1, 600).astype(np.float16),
            "undeclared": np.zeros(3),
            "depth": np.zeros(7),  # a name that is the store's own
        }
        made.update(self.spoil.get(i, {}))
        return {name: value for name, value in made.items() if value is not None}

    def read(self, i):
        f = super().read(i)
        return gmaps.Frame(f.depth, f.camera, f.joints, i, 0, 0, f.name, arrays=self.values(i))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("rich") / "r.zarr"
    data = Rich(spoil={3: {"vertices": None}, 6: {"angles": np.zeros(25)}})
    report = gmaps.build(data, path, workers=0, max_rejects=2, **OPTIONS)
    return path, data, report


def test_builds_store_them(built):
    path, data, report = built
    assert [r["reason"].partition(",")[0] for r in report.rejects] == [
        "own 3: vertices is missing", "own 6: angles has shape (25",
    ]  # fmt: skip
    store = gmaps.open_store(path)
    assert set(store.further) == {a.name for a in Rich.arrays}
    for i in (0, 5, 9):
        for name, got in store[i].arrays.items():
            np.testing.assert_array_equal(got, data.values(i)[name])
    rejected = store[3]
    assert not rejected.valid
    assert np.isnan(rejected.arrays["vertices"]).all()
    assert np.isnan(rejected.arrays["half"]).all()
    assert (rejected.arrays["side"], bool(rejected.arrays["left"]), rejected.arrays["colour"].max()) == (0, False, 0)
    assert store[0].depth.shape == (32, 32)
    assert verify_checksums(path) == []
    assert recompute_rows(store, range(10), dataset=data) == []
    other = Rich(spoil=data.spoil | {4: {"side": np.int8(7)}})
    assert recompute_rows(store, [4], dataset=other) == ["row 4, side: 1 of 1 values differ, by up to 8"]


def test_other_programs_read_them(built):
    path, data, _ = built
    group = zarr.open_group(path, mode="r")
    for a in Rich.arrays:
        array = group[a.name]
        assert (array.shape, array.dtype) == ((10, *a.shape), np.dtype(a.dtype))
        assert (array.shards is None) == (a.name in PLAIN)
        np.testing.assert_array_equal(array[5], data.values(5)[a.name])
    assert dict(group["vertices"].attrs) == {"long_name": "of the mesh", "units": "mm"}
    declared = json.loads((path / "zarr.json").read_text())["attributes"]["fingerprint_of"]["arrays"]
    assert declared[0] == {
        "name": "vertices", "shape": [400, 3], "dtype": "float32", "unit": "mm", "about": "of the mesh",
    }  # fmt: skip


def test_workers_parts_and_further_kinds_know_them(built, tmp_path):
    _, data, _ = built
    for workers in (0, 1):
        gmaps.build(data, tmp_path / f"{workers}.zarr", workers=workers, max_rejects=2, **OPTIONS)
    add_maps(tmp_path / "0.zarr", ["heatmap"], workers=0, progress=False)
    one, two = gmaps.open_store(tmp_path / "0.zarr"), gmaps.open_store(tmp_path / "1.zarr")
    assert one.further == two.further
    for name in one.further:
        np.testing.assert_array_equal(one.column(name), two.column(name))
    both = {**OPTIONS, "maps": ("signed_edt", "heatmap")}
    gmaps.build(data, tmp_path / "b.zarr", workers=0, max_rejects=2, **both)
    files = {
        p.relative_to(tmp_path / "b.zarr"): p.read_bytes() for p in (tmp_path / "b.zarr").rglob("*") if p.is_file()
    }
    assert {
        p.relative_to(tmp_path / "0.zarr"): p.read_bytes() for p in (tmp_path / "0.zarr").rglob("*") if p.is_file()
    } == files


@pytest.mark.parametrize("workers", [0, 1])
def test_training_reads_them(built, workers):
    path, data, _ = built
    names = ("vertices", "side", "left", "angles", "half")
    rows = GuidanceDataset(path, arrays=names)
    assert len(rows) == 8
    batch = next(iter(DataLoader(rows, batch_size=8, num_workers=workers, collate_fn=collate)))
    np.testing.assert_array_equal(batch["vertices"][4], data.values(5)["vertices"])
    assert batch["side"].tolist() == [-1, 1, -1, -1, 1, 1, -1, 1]
    assert batch["left"].dtype == torch.bool
    assert batch["half"].dtype == torch.float32
    assert "colour" not in batch
    assert rows[0]["angles"].shape == (26,)
    with pytest.raises(UnknownNameError, match=r"further array of .* called 'vertex'"):
        GuidanceDataset(path, arrays="vertex")


def test_the_synthetic_hand_has_some(tmp_path):
    out = tmp_path / "s.zarr"
    options = {"frames": 6, "sensor": "none", "arrays": "angles, side,vertices"}
    gmaps.build("synthetic", out, workers=0, dataset_options=options, **OPTIONS)
    store, data = gmaps.open_store(out), gmaps.load_dataset("synthetic", **options)
    np.testing.assert_array_equal(store[4].arrays["vertices"], data.mesh(4)[0].astype(np.float32))
    np.testing.assert_allclose(store[4].arrays["angles"], data.scene(4).angles, rtol=1e-6)
    assert store.column("side").tolist() == [1] * 6
    assert recompute_rows(store, range(6)) == []
    assert "arrays" not in gmaps.load_dataset("synthetic", frames=6).spec()
    with pytest.raises(UnknownNameError, match="Did you mean 'angles'"):
        gmaps.load_dataset("synthetic", arrays="angle")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (("depth", ()), "cannot be called 'depth'"),
        (("maps/x", ()), "small letters"),
        (("../x", ()), "small letters"),
        (("x", (3,), "uint16"), "'uint16' is none of bool, uint8"),
        (("x", (3, 0)), r"shape \(3, 0\) holds nothing"),
    ],
)
def test_what_cannot_be_declared(declared, message):
    with pytest.raises(UsageError, match=message):
        FrameArray(*declared)
