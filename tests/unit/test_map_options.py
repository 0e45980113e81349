"""Parameters in a kind's name: read, refused, kept in stores and in their fingerprints."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gmaps
from gmaps.errors import UsageError
from gmaps.maps import MapKind, MapParams, get_map, register_map


def test_a_name_carries_its_parameters():
    plain, small = get_map("ball_offset"), get_map("ball_offset:axes=uvd:k=60")
    assert dict(plain.parameters) == {"k": 80.0, "axes": "camera"}
    assert dict(small.parameters) == {"k": 60.0, "axes": "uvd"}
    assert small.name == "ball_offset:axes=uvd:k=60"
    assert get_map("ball_offset:axes=uvd:k=60") is small


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("geodesic:k=60", "geodesic takes no parameters"),
        ("ball_offset:r=60", "no parameter of ball_offset called 'r'"),
        ("ball_offset:k=0", "1 to 1000, not '0'"),
        ("ball_offset:k=nan", "not 'nan'"),
        ("ball_offset:k=-5", "not '-5'"),
        ("ball_offset:k=1e2", "not '1e2'"),
        ("ball_offset:k= 60", "not ' 60'"),
        ("ball_offset:k=\u0668\u0660", "not"),
        ("ball_offset:k", "not ''"),
        ("ball_offset:", "no parameter"),
        ("ball_offset:k=60:k=80", "given twice"),
        ("ball_offset:axes=world", "world"),
        ("ball_offset:k=../../x", "not '../../x'"),
        ("bal_offset:k=60", "ball_offset"),
    ],
)
def test_what_cannot_be_is_refused_with_its_value(name, words):
    with pytest.raises(UsageError, match=words.replace("(", "\\(")):
        MapParams((name,))


def test_one_kind_with_the_same_parameters_is_asked_for_once():
    MapParams(("ball_offset", "ball_offset:k=60"))
    with pytest.raises(UsageError, match="twice"):
        MapParams(("ball_offset", "ball_offset:k=80"))


def test_a_colon_is_no_part_of_a_registered_name():
    with pytest.raises(UsageError, match="colon"):
        register_map(MapKind("a:b", "", "", len, (0.0, 1.0), get_map("heatmap").encode))


def test_parameters_are_part_of_params_only_where_there_are_some():
    assert "parameters" not in MapParams(("geodesic",)).to_dict()
    made = MapParams(("geodesic", "ball_offset:k=60")).to_dict()
    assert made["parameters"] == {"ball_offset:k=60": {"k": 60.0, "axes": "camera"}}
    assert MapParams.from_dict(json.loads(json.dumps(made))).maps == ("geodesic", "ball_offset:k=60")
    with pytest.raises(UsageError, match="made with k=70, axes=camera and stands for k=80, axes=camera"):
        MapParams.from_dict({"maps": ["ball_offset"], "parameters": {"ball_offset": {"k": 70.0, "axes": "camera"}}})


def test_a_store_holds_two_radii_and_grows_a_third(tmp_path):
    from gmaps.pipeline.edit import add_maps, remove_maps

    names = ("ball_offset:k=60", "ball_offset:k=80:axes=uvd", "heatmap_depth", "pixel_offset", "plane_offset:k=60",
             "point_offset:n=64")  # fmt: skip
    how = {"limit": 6, "workers": 0, "map_size": 16, "crop_size": 64, "progress": False}
    path = tmp_path / "balls.zarr"
    gmaps.build("synthetic", path, names, **how)
    store = gmaps.open_store(path)
    assert store.maps == names
    kept = store.attributes["maps"]["parameters"]
    assert kept["ball_offset:k=60"] == {"k": 60.0, "axes": "camera"}
    assert store.attributes["fingerprint_of"]["maps"]["parameters"] == kept
    sample = store[3]
    whole = gmaps.encode(sample.crop, names, size=16)
    for name in names:
        np.testing.assert_allclose(sample.maps[name], whole[name], atol=1e-3)
        seen = np.linalg.norm(gmaps.decode(name, sample.maps[name], sample.crop) - sample.joints, axis=1)
        assert np.median(seen) < 0.5
    add_maps(path, ["ball_offset:k=100"], workers=0, progress=False)
    remove_maps(path, ["ball_offset:k=60"])
    store = gmaps.open_store(path)
    assert store.maps == (*names[1:], "ball_offset:k=100")
    assert set(store.attributes["maps"]["parameters"]) == set(store.maps) - {"pixel_offset"}
    one = tmp_path / "again.zarr"
    gmaps.build("synthetic", one, store.maps, **how)
    assert gmaps.open_store(one).attributes["fingerprint"] == store.attributes["fingerprint"]
    other = tmp_path / "other.zarr"
    gmaps.build("synthetic", other, (*names[1:], "ball_offset:k=90"), **how)
    assert gmaps.open_store(other).attributes["fingerprint"] != store.attributes["fingerprint"]


def test_point_clouds_are_served_in_batches_and_learnt_from(tmp_path):
    torch = pytest.importorskip("torch")
    from gmaps.nets.losses import map_loss
    from gmaps.training import GuidanceDataset, collate

    path = tmp_path / "cloud.zarr"
    kinds = ("points:n=64", "point_offset:n=64")
    gmaps.build("synthetic", path, kinds, limit=4, workers=0, map_size=16, crop_size=64, progress=False)
    assert gmaps.open_store(path).attributes["maps"]["parameters"]["points:n=64"] == {"n": 64}
    batch = collate([GuidanceDataset(path, kinds)[k] for k in range(3)])
    assert batch["maps"]["points:n=64"].shape == (3, 3, 64)
    target = batch["maps"]["point_offset:n=64"]
    assert target.shape == (3, 84, 64)
    assert map_loss("point_offset:n=64", target, target, batch["silhouette"]) == 0
    assert map_loss("point_offset:n=64", torch.zeros_like(target), target, batch["silhouette"]) > 0
