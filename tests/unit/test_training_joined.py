"""Several stores as one: joints of the one, joints, angles and meshes of the other, in one run that goes on."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.datasets.synthetic import Synthetic
from gmaps.errors import StoreError, UsageError
from gmaps.inference import Predictor
from gmaps.nets import build_network
from gmaps.skeleton import get_skeleton
from gmaps.training.checkpoint import CheckpointError
from gmaps.training.collate import collate
from gmaps.training.dataset import GuidanceDataset
from gmaps.training.device import open_device
from gmaps.training.fit import train
from gmaps.training.joined import JoinedStore, join_stores
from gmaps.training.params import TrainParams
from gmaps.training.split import split
from gmaps.training.trainer import Trainer

MSRA, HANDS = get_skeleton("msra21"), get_skeleton("hands17")
SMALL = {"size": 32, "stem": (4,), "width": 4, "head": (4, 4), "hidden": 8}


class Real(Synthetic):
    """Frames with joints alone, as HANDS17 labels them."""

    skeleton = HANDS

    def read(self, i, window=None):
        frame = super().read(i)
        return replace(frame, joints=np.ascontiguousarray(frame.joints[list(MSRA.mapping_to(HANDS))]))


HOW = {"workers": 0, "progress": False, "crop_size": 32, "map_size": 16}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joined")
    gmaps.build(Real("all", 20, 3, "none"), folder / "real.zarr", ("heatmap", "signed_edt", "limb"), **HOW)
    gmaps.build("synthetic", folder / "made.zarr", ("heatmap", "signed_edt", "geodesic", "limb"),
                dataset_options={"frames": 12, "arrays": "pose,mesh"}, **HOW)  # fmt: skip
    return folder / "real.zarr", folder / "made.zarr"


@pytest.fixture(scope="module")
def joined(places):
    return join_stores([gmaps.open_store(p) for p in places])


def test_rows_are_those_of_all_in_one_order_of_joints(joined, places):
    real, made = (gmaps.open_store(p) for p in places)
    assert len(joined) == 32
    assert joined.skeleton == HANDS
    found = joined.read([25, 3, 19, 20], ("joints", "depth", "maps/heatmap", "vertices"))
    order = list(MSRA.mapping_to(HANDS))
    np.testing.assert_array_equal(found["joints"][1], real[3].joints)
    np.testing.assert_array_equal(found["joints"][0], made[5].joints[order])
    np.testing.assert_array_equal(found["maps/heatmap"][3], made[0].maps["heatmap"][..., order])
    np.testing.assert_array_equal(found["depth"][2], real[19].depth)
    assert np.isnan(found["vertices"][1:3]).all()
    np.testing.assert_array_equal(found["vertices"][3], made[0].arrays["vertices"])
    # Not all hold geodesic; limbs are of bones, whose order is another.
    assert joined.maps == ("heatmap", "signed_edt")
    assert joined.lacking["vertices"] == (str(places[0]),)
    assert pickle.loads(pickle.dumps(joined)).attributes == joined.attributes


def test_people_of_the_same_name_are_two(joined):
    names = joined.attributes["dataset"]["subjects"]
    assert names[0] == "real:S0"
    assert names[10] == "made:S0"
    data = GuidanceDataset(joined, ())
    learn, judged = split(data, "made:S1,real:S3", 0)
    assert judged.tolist() == [3, 13, 21, 31]
    assert len(learn) == 28


def test_deephps_learns_joints_of_all_and_meshes_of_some(joined):
    torch.manual_seed(0)
    net = build_network("deephps", HANDS, **SMALL).train()
    data = GuidanceDataset(joined, (), arrays=("angles", "turn", "lengths", "proportions", "vertices"))
    both, real, made = (collate(data.read_batch(rows)) for rows in ([0, 1, 20, 21], [0, 1], [20, 21]))
    net.eval()
    terms = [net.loss(net(b["depth"], b["cube"]), b) for b in (both, real, made)]
    for name in ("vertices", "parameters"):
        assert terms[1][name] == 0
        torch.testing.assert_close(terms[0][name], terms[2][name])
    torch.testing.assert_close(terms[0]["pose"], (terms[1]["pose"] + terms[2]["pose"]) / 2)
    sum(terms[1].values()).backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("shuffle", ["uniform", "blocks"])
def test_a_run_on_two_stores_goes_on_and_predicts(places, tmp_path, shuffle):
    both, run = [str(p) for p in places], tmp_path / "run"
    given = (
        f"--model deephps --out {run} --batch 8 --validation subjects:0.2 --workers 0 --device cpu "
        f"--shuffle {shuffle} --augment rotation=20 --patience 0 --size 32 --stem 4 --width 4 --head 4,4 --hidden 8"
    ).split()
    done = CliRunner().invoke(main, ["train", *both, *given, "--epochs", "1"])
    assert done.exit_code == 0, done.output
    assert f"lacking     vertices in {places[0]}" in done.output
    done = CliRunner().invoke(main, ["train", *both, *given, "--epochs", "2", "--json"])
    assert done.exit_code == 0, done.output
    assert '"epoch": 2' in done.output
    other = CliRunner().invoke(main, ["train", *both[::-1], *given, "--epochs", "3"])
    assert other.exit_code != 0
    assert "another store" in other.output or "skeleton" in other.output
    assert Predictor(run).store(gmaps.open_store(places[0])).joints.shape == (20, 21, 3)


def test_maps_are_stored_or_made(joined, tmp_path):
    how = {"epochs": 1, "batch": 8, "workers": 0, "validation": "0", "precision": "float32"}
    recipe = build_network("heatmap", HANDS, size=32, stem=(4, 4), width=4, repeats=1, head=(4, 4), hidden=8)
    with open_device("cpu", "float32") as device:
        stored = Trainer(joined, tmp_path, recipe, TrainParams(**how), device).data
        made = Trainer(joined, tmp_path, recipe, TrainParams(**how, maps_on="cpu"), device).data
        for at in (2, 27):
            a, b = stored[at]["maps"]["heatmap"], made[at]["maps"]["heatmap"]
            torch.testing.assert_close(a, b, atol=2e-3, rtol=0)
    with pytest.raises(StoreError, match="does not hold geodesic"):
        train(joined, tmp_path / "g", "geodesic", TrainParams(**how), progress=False, device="cpu")


def test_workers_read_joined_stores(joined, tmp_path):
    net = build_network("deephps", HANDS, **SMALL)
    how = TrainParams(epochs=1, batch=8, workers=1, validation="0")
    assert train(joined, tmp_path / "w", net, how, progress=False, device="cpu").step == 4


def test_stores_that_do_not_go_together_are_refused(places, tmp_path):
    real, made = (gmaps.open_store(p) for p in places)
    assert join_stores([real]) is real
    with pytest.raises(UsageError, match="given twice"):
        join_stores([real, gmaps.open_store(places[0])])
    for change, said in (({"half_side": 150.0}, "half_side 120.0.*150.0"), ({"map_size": 8}, "size 16.*8")):
        place = tmp_path / f"{next(iter(change))}.zarr"
        gmaps.build("synthetic", place, ("heatmap",), dataset_options={"frames": 2}, **{**HOW, **change})
        with pytest.raises(StoreError, match=f"{said}.*build both alike"):
            join_stores([made, gmaps.open_store(place)])

    class Few(Real):
        skeleton = HANDS.shared_with(get_skeleton("icvl16"))

        def read(self, i, window=None):
            frame = super().read(i)
            taken = list(HANDS.mapping_to(self.skeleton))
            return replace(frame, joints=np.ascontiguousarray(frame.joints[taken]))

    gmaps.build(Few("all", 4, 3, "none"), tmp_path / "few.zarr", ("signed_edt",), **HOW)
    few = gmaps.open_store(tmp_path / "few.zarr")
    assert join_stores([real, few]).skeleton == few.skeleton  # the one whose joints both have


def test_a_checkpoint_of_one_store_is_not_gone_on_with_on_two(joined, places, tmp_path):
    net = build_network("deephps", HANDS, **SMALL)
    net.weights |= {"vertices": 0.0, "parameters": 0.0}
    how = TrainParams(epochs=1, batch=8, workers=0, validation="0")
    train(gmaps.open_store(places[0]), tmp_path / "r", net, how, progress=False, device="cpu")
    with pytest.raises(CheckpointError, match="another store"):
        train(joined, tmp_path / "r", net, how, progress=False, device="cpu")
    assert isinstance(joined, JoinedStore)
