"""Data sets by name: what is there, what is asked for wrongly, and what other distributions add."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import types
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps.datasets as datasets
from gmaps import evaluation
from gmaps.camera import Camera
from gmaps.datasets import Protocol, check_dataset, dataset_info, list_datasets, load_dataset
from gmaps.errors import DatasetError, UnknownNameError, UsageError
from gmaps.skeleton import get_skeleton


def test_the_built_in_ones_are_listed():
    assert set(list_datasets()) >= {"bighand", "hands17", "icvl", "msra", "nyu", "synthetic"}
    assert list(list_datasets()) == sorted(list_datasets())


@pytest.mark.parametrize(
    "name", ["bighand", "dexycb", "hands17", "ho3d", "hocap", "icvl", "msra", "nyu", "synthetic"]
)
def test_info_says_what_a_newcomer_needs(name):
    info = dataset_info(name)
    assert info.name == name
    assert info.needs_root == (name != "synthetic")
    assert all((info.title, info.homepage, info.terms, info.tree, info.citation))
    assert get_skeleton(info.skeleton).name == info.skeleton
    own = {"hands17": 125, "bighand": 125, "icvl": 125, "dexycb": 125, "ho3d": 140, "hocap": 125, "nyu": 150}
    assert info.half_side == own.get(name, 120)


@pytest.mark.parametrize("call", [load_dataset, dataset_info, check_dataset])
def test_unknown_name_suggests_the_nearest(call):
    with pytest.raises(UnknownNameError, match=r"no data set called 'mrsa'.*Did you mean 'msra'"):
        call("mrsa")


def test_unknown_split_and_option_suggest_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        load_dataset("synthetic", split="trian")
    with pytest.raises(UnknownNameError, match="Did you mean 'frames'"):
        load_dataset("synthetic", frame=3)


def test_root_comes_from_the_argument_or_the_environment(msra_tree, tmp_path, monkeypatch):
    monkeypatch.delenv("GMAPS_DATA", raising=False)
    with pytest.raises(DatasetError, match=r"where is msra.*--root.*GMAPS_DATA"):
        load_dataset("msra")
    with pytest.raises(DatasetError, match=r"nowhere: no such directory.*gmaps datasets msra"):
        load_dataset("msra", tmp_path / "nowhere")
    msra_tree({"P0": {"1": 2}})
    monkeypatch.setenv("GMAPS_DATA", str(tmp_path))
    assert len(load_dataset("msra")) == 2


def test_a_root_for_a_data_set_without_files_is_refused(tmp_path):
    with pytest.raises(UsageError, match="makes its own frames"):
        load_dataset("synthetic", tmp_path)


@pytest.mark.parametrize("split", ["all", "train", "test"])
def test_spec_and_pickle_remake_an_equal_data_set(msra_tree, split):
    root = msra_tree({"P0": {"1": 2}, "P3": {"Y": 3}})
    for ds in (
        load_dataset("msra", root, split=split, test_subject="P3"),
        load_dataset("synthetic", split=split, frames=20, seed=5),
    ):
        before = len(pickle.dumps(ds))
        first = ds.read(0)
        for again in (load_dataset(**json.loads(json.dumps(ds.spec()))), pickle.loads(pickle.dumps(ds))):
            assert again.spec() == ds.spec()
            assert again.fingerprint() == ds.fingerprint()
            assert (again.read(0).depth == first.depth).all()
        assert len(pickle.dumps(ds)) == before < 1500  # labels stay behind
        json.dumps(ds.fingerprint())


def test_positions_outside_the_index_are_refused():
    ds = load_dataset("synthetic", frames=3)
    for i in (-1, 3):
        with pytest.raises(UsageError, match="frames 0 to 2"):
            ds.read(i)
    for i in (1.0, 0.7, True, np.True_, None, "1"):
        with pytest.raises(UsageError, match="no frame's position"):
            ds.read(i)
    assert ds.read(np.uint8(2)).index == 2


def test_naming_data_sets_imports_no_reader():
    code = (
        "import sys, gmaps; names = gmaps.list_datasets(); "
        "print(*names, *sorted({'cv2', 'scipy', 'numba', 'torch', 'dask'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out == list(list_datasets())


# --- other distributions ---------------------------------------------------------------------------------------


def add_plugin(monkeypatch, name, module=None):
    monkeypatch.setitem(sys.modules, "their_hands", module)
    plugin = EntryPoint(name, "their_hands", datasets.ENTRY_POINTS)
    monkeypatch.setattr(datasets, "entry_points", lambda group: [plugin] if group == "gmaps.datasets" else [])


def their_module():
    synthetic = datasets._module("synthetic")
    module = types.ModuleType("their_hands")
    module.INFO, module.load, module.check = synthetic.INFO, synthetic.load, synthetic.check
    return module


def test_another_distribution_adds_a_data_set(monkeypatch):
    add_plugin(monkeypatch, "theirs", their_module())
    assert "theirs" in list_datasets()
    assert len(load_dataset("theirs", frames=4)) == 4
    assert dataset_info("theirs").title
    assert check_dataset("theirs")[0].ok


def test_another_distribution_brings_its_own_evaluation(monkeypatch, tmp_path):
    module = their_module()
    module.PROTOCOL = Protocol(
        "theirs", Camera(300, 310, 100, 90, 200, 180), ("Root", "Tip"), (1, 0), (("a", 2), ("b", 3)), "xyz"
    )
    add_plugin(monkeypatch, "theirs", module)
    assert "theirs" in evaluation.PROTOCOLS
    true = np.arange(30.0).reshape(5, 2, 3) + 400
    evaluation.write_table(tmp_path / "gt.txt", true)
    evaluation.write_table(tmp_path / "p.txt", true + np.repeat([3, 8], [2, 3])[:, None, None] * [0, 0.6, 0.8])
    args = ["evaluate", "--dataset", "theirs", str(tmp_path / "p.txt"), "--groundtruth", str(tmp_path / "gt.txt")]
    result = CliRunner().invoke(main, [*args, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["parts_mm"] == pytest.approx({"a": 3, "b": 8}, abs=1e-3)
    assert list(found["joint_errors_mm"]) == ["Tip", "Root"]
    module.PROTOCOL = "by hand"
    with pytest.raises(DatasetError, match=r"'theirs': its PROTOCOL is no gmaps\.datasets\.Protocol"):
        evaluation.get_protocol("theirs")
    assert "nyu" in evaluation.PROTOCOLS


def test_without_protocol_another_distributions_data_set_has_no_evaluation(monkeypatch):
    add_plugin(monkeypatch, "theirs", their_module())
    with pytest.raises(UnknownNameError, match="no evaluation called 'theirs'"):
        evaluation.get_protocol("theirs")
    assert set(evaluation.PROTOCOLS) == {"dexycb", "hands17", "ho3d", "icvl", "msra", "nyu", "synthetic"}


def test_another_distribution_does_not_replace_ours(monkeypatch):
    before = list_datasets()
    add_plugin(monkeypatch, "msra", their_module())
    assert list_datasets() == before
    assert dataset_info("msra").skeleton == "msra21"
    assert dataset_info("msra").needs_root


def test_a_broken_addition_is_named_and_harms_no_other(monkeypatch):
    add_plugin(monkeypatch, "theirs")  # None in sys.modules: the import fails
    assert len(load_dataset("synthetic", frames=2)) == 2
    with pytest.raises(DatasetError, match="'theirs', added by their_hands, does not import"):
        load_dataset("theirs")
    listed = CliRunner().invoke(main, ["datasets"])
    assert listed.exit_code == 0
    assert "msra21" in listed.stdout
    assert "'theirs', added by their_hands, does not import" in listed.stderr
    add_plugin(monkeypatch, "theirs", types.ModuleType("their_hands"))
    with pytest.raises(DatasetError, match="lacks INFO, load, check"):
        load_dataset("theirs")
