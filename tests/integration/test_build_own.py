"""Data sets of one's own, with workers; links where a store shall be; processes that may have no workers."""

from __future__ import annotations

import json
import multiprocessing as mp
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps import datasets
from gmaps.datasets.synthetic import Synthetic
from gmaps.datasets.write.tree import write_tree
from gmaps.errors import DatasetError, GmapsError, StoreError, UsageError
from gmaps.pipeline import finalize, planned, prepare, recompute_rows
from tests.integration import own_hands
from tests.unit.store_kit import content

ADDRESS = "tests.integration.own_hands:hands"
OPTIONS = {"maps": ("signed_edt",), "crop_size": 32, "map_size": 8, "shard_samples": 4, "progress": False}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "w.zarr"
    gmaps.build(own_hands.OwnHands(shift=3.0), path, workers=0, **OPTIONS)
    return path


@pytest.fixture
def registered():
    yield datasets.register
    datasets._REGISTERED.clear()


class Nearer(Synthetic):
    """Has the built-in data set's name, and other frames: a worker that went by the name would make those."""

    def read(self, i, window=None):
        frame = super().read(i)
        return gmaps.Frame(frame.depth, frame.camera, frame.joints + np.float32(7), frame.index, name=frame.name)


def test_workers_get_an_object_of_ones_own(tmp_path, whole):
    out = tmp_path / "o.zarr"
    gmaps.build(own_hands.OwnHands(shift=3.0), out, workers=2, **OPTIONS)
    assert content(out) == content(whole)
    store = gmaps.open_store(out)
    assert recompute_rows(store, range(10), dataset=own_hands.OwnHands(shift=3.0)) == []
    assert "data set.shift: 3.0 -> 0.0" in recompute_rows(store, [1], dataset=own_hands.OwnHands())[0]
    with pytest.raises(UsageError, match="no data set called 'own-hands'"):
        recompute_rows(store, [0])


def test_workers_do_not_take_one_class_for_another_of_its_name(tmp_path):
    for workers in (0, 1):
        gmaps.build(Nearer("all", 8, 3, "none"), tmp_path / f"{workers}.zarr", workers=workers, **OPTIONS)
    assert content(tmp_path / "0.zarr") == content(tmp_path / "1.zarr")
    plain = gmaps.load_dataset("synthetic", frames=8, seed=3, sensor="none").read(2).joints
    np.testing.assert_array_equal(gmaps.open_store(tmp_path / "1.zarr")[2].joints, plain + np.float32(7))


def test_a_script_may_define_its_own(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import gmaps\nfrom gmaps.datasets.synthetic import Synthetic\n"
        "class Mine(Synthetic):\n    pass\n"
        "if __name__ == '__main__':\n"
        f"    gmaps.build(Mine('all', 8, 3, 'none'), 'm.zarr', workers=1, **{OPTIONS})\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(gmaps.open_store(tmp_path / "m.zarr")) == 8


def test_by_address(tmp_path, whole):
    out = tmp_path / "a.zarr"
    gmaps.build(ADDRESS, out, workers=1, dataset_options={"shift": 3.0}, **OPTIONS)
    store = gmaps.open_store(out)
    assert store.attributes["dataset"]["spec"] == {"name": ADDRESS, "size": 10, "shift": 3.0}
    assert recompute_rows(store, range(10)) == []
    np.testing.assert_array_equal(store.column("joints"), gmaps.open_store(whole).column("joints"))
    made = CliRunner().invoke(main, ["verify", str(out), "--rows", "3"])
    assert made.exit_code == 0, made.output
    made = CliRunner().invoke(main, ["verify", str(whole), "--rows", "3", "--dataset", ADDRESS])
    assert made.exit_code == 0, made.output
    assert gmaps.load_dataset(ADDRESS, size=3).size == 3
    assert [line.found for line in datasets.check_dataset(ADDRESS)] == [10]


def test_in_parts_by_address(tmp_path, whole, registered):
    out = tmp_path / "p.zarr"
    with pytest.raises(UsageError, match=r"no data set 'own-hands'.*module:factory"):
        prepare(own_hands.OwnHands(), out, **OPTIONS)
    prepare(ADDRESS, out, dataset_options={"shift": 3.0}, **OPTIONS)
    for k in (1, 2):
        gmaps.build(**planned(out) | {"progress": False}, part=(k, 2), workers=0)
    finalize(out)
    np.testing.assert_array_equal(gmaps.open_store(out).column("joints"), gmaps.open_store(whole).column("joints"))


def test_registered_by_a_name(tmp_path, whole, registered):
    registered("own-hands", own_hands.hands)
    assert "own-hands" in gmaps.list_datasets()
    gmaps.build("own-hands", tmp_path / "r.zarr", workers=1, dataset_options={"shift": 3.0}, **OPTIONS)
    assert content(tmp_path / "r.zarr") == content(whole)
    assert recompute_rows(gmaps.open_store(whole), range(3)) == []
    registered("again", "gmaps.datasets.synthetic")
    assert len(gmaps.load_dataset("again", frames=4)) == 4
    for name in ("msra", "a:b", ""):
        with pytest.raises(UsageError, match="take another name"):
            registered(name, own_hands.hands)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("tests.integration.own_hands:hand", {}, DatasetError, "own_hands has no hand"),
        ("no_such_module_anywhere:hands", {}, DatasetError, "no_such_module_anywhere cannot be imported"),
        (ADDRESS, {"colour": "red"}, UsageError, "unexpected keyword argument 'colour'; it takes size, shift"),
        (
            "tests.integration.own_hands:half_a_data_set",
            {},
            DatasetError,
            "what it makes, object, lacks info, skeleton",
        ),
        ("tests.integration.own_hands:__doc__", {}, DatasetError, "lacks INFO, load, check, and is no function"),
    ],
)
def test_addresses_of_nothing(name, options, error, message):
    with pytest.raises(error, match=message):
        gmaps.load_dataset(name, **options)


def test_what_cannot_be_sent_is_told_before_workers_start(tmp_path, monkeypatch):
    monkeypatch.setattr("gmaps.pipeline.dispatch._client", lambda *a: pytest.fail("workers were started"))
    own = own_hands.OwnHands()
    own.file = (tmp_path / "labels").open("wb")
    with own.file, pytest.raises(UsageError, match=r"cannot be sent to workers .*module:factory"):
        gmaps.build(own, tmp_path / "x.zarr", workers=2, **OPTIONS)
    (tmp_path / "labels").unlink()
    own.file = b"x" * 2**26
    with pytest.raises(UsageError, match="is 67 MB to send to workers"):
        gmaps.build(own, tmp_path / "x.zarr", workers=2, **OPTIONS)
    assert list(tmp_path.iterdir()) == []


# Where a store shall be


def test_links_lead_to_the_store(tmp_path):
    real, link = tmp_path / "scratch" / "a.zarr", tmp_path / "a.zarr"
    real.parent.mkdir()
    link.symlink_to("scratch/a.zarr")
    for size in (4, 5, 6):  # made through a link to nothing, then replaced through it, twice
        gmaps.build(own_hands.OwnHands(size), link, workers=0, overwrite=True, **OPTIONS)
        assert link.is_symlink()
        assert len(gmaps.open_store(real)) == size
        assert [p.name for p in real.parent.iterdir()] == ["a.zarr"]
    from gmaps.pipeline.edit import add_maps, remove_maps

    add_maps(link, ["heatmap"], workers=0, progress=False)
    remove_maps(link, ["signed_edt"])
    assert gmaps.open_store(real).maps == ("heatmap",)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "scratch"]
    (tmp_path / "b").symlink_to("b")
    with pytest.raises(UsageError, match="leads back to itself"):
        gmaps.build(own_hands.OwnHands(), tmp_path / "b", workers=0, **OPTIONS)


def test_stores_of_two_splits_have_two_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {**OPTIONS, "dataset_options": {"frames": 20, "sensor": "none"}, "workers": 0, "limit": 2}
    for split in ("train", "test", "all"):
        gmaps.build("synthetic", split=split, **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "synthetic-test.zarr", "synthetic-train.zarr", "synthetic.zarr",
    ]  # fmt: skip
    with pytest.raises(GmapsError, match="Choose another --out, or --overwrite"):
        gmaps.build("synthetic", **{**options, "limit": 3})


# Processes, memory, labels


def _build_here(out):
    try:
        gmaps.build(own_hands.OwnHands(), out, workers=1, **OPTIONS)
    except UsageError as error:
        return str(error)
    return gmaps.build(own_hands.OwnHands(), out, workers=0, **OPTIONS).frames


def test_a_daemonic_process_is_told_that_it_has_no_workers(tmp_path):
    with mp.get_context("spawn").Pool(1) as pool:
        told = pool.apply_async(_build_here, (str(tmp_path / "p.zarr"),)).get(timeout=60)
        assert "daemonic process" in told
        assert "workers=0" in told
    assert list(tmp_path.iterdir()) == []


def test_a_refused_build_leaves_nothing_in_the_way(tmp_path):
    out = tmp_path / "m.zarr"
    with pytest.raises(UsageError, match=r"memory 1\.0 MB is too little"):
        gmaps.build(own_hands.OwnHands(), out, workers=2, memory="1MB", **OPTIONS)
    assert list(tmp_path.iterdir()) == []
    gmaps.build(own_hands.OwnHands(3), out, workers=0, **OPTIONS)


def test_frames_without_joints_are_known_before_they_are_read(tmp_path):
    root = tmp_path / "root"
    write_tree(root, "folder", 4, seed=1, workers=1)
    toml = root / "dataset.toml"
    text = toml.read_text()
    toml.write_text(text[: text.index("[joints]")] + "\n".join(_tables_after(text, "[joints]")))
    data = gmaps.load_dataset("folder", root)
    assert not data.labelled
    with pytest.raises(UsageError, match=r"have no joints, and geodesic must have them: .*signed_edt"):
        gmaps.build(data, tmp_path / "x.zarr", ("signed_edt", "geodesic"), center="com", workers=0)
    with pytest.raises(UsageError, match="no joints to take the centre from: say --center com"):
        gmaps.build(data, tmp_path / "x.zarr", ("signed_edt",), workers=0)
    report = gmaps.build(data, tmp_path / "x.zarr", ("signed_edt",), center="com", workers=0, progress=False)
    assert (report.frames, report.rejected) == (4, 0)


def _tables_after(text, table):
    rest = text[text.index(table) + 1 :].splitlines()
    later = [k for k, line in enumerate(rest) if line.startswith("[") and not line.startswith("[joints")]
    return rest[later[0] :] if later else []


# Parts


def test_finalize_opens_no_data_set(tmp_path):
    root, out = tmp_path / "root", tmp_path / "f.zarr"
    write_tree(root, "msra", 6, seed=7, workers=1)
    plan = gmaps.plan("msra", out, root=root, **OPTIONS)
    assert isinstance(plan, gmaps.Plan)
    assert plan.estimate is not None
    prepare("msra", out, root=root, **OPTIONS)
    for k in (1, 2):
        gmaps.build(**planned(out) | {"progress": False}, part=(k, 2), workers=0)
    gmaps.build("msra", tmp_path / "w.zarr", root=root, workers=0, **OPTIONS)
    shutil.rmtree(root)
    damaged = out.with_name("f.zarr.partial") / "cube/c.1.0"
    kept = damaged.read_bytes()
    damaged.write_bytes(b"x" * len(kept))
    with pytest.raises(StoreError, match=r"1 of \d+ shards .* \(2\); 1 are damaged, the first: cube/c\.1\.0"):
        finalize(out)
    damaged.write_bytes(kept)
    report = finalize(out, max_rejects=0)
    assert report.frames == len(gmaps.open_store(out))
    assert content(out) == content(tmp_path / "w.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.zarr", "w.zarr"]


def test_plans_of_earlier_commits_are_told_apart(tmp_path):
    out = tmp_path / "f.zarr"
    prepare(ADDRESS, out, **OPTIONS)
    gmaps.build(**planned(out) | {"progress": False}, part=(1, 2), workers=0)
    file = out.with_name("f.zarr.partial") / "plan.json"
    new = file.read_text()
    file.write_text(json.dumps({"dataset": {"name": "msra", "root": "/x"}, "maps": ["signed_edt"], "limit": None}))
    for read in (planned, finalize):
        with pytest.raises(StoreError, match="an earlier gmaps wrote it: run `gmaps plan` again"):
            read(out)
    prepare(ADDRESS, out, **OPTIONS)
    assert file.read_text() == new
    again = gmaps.build(**planned(out) | {"progress": False}, part=(1, 2), workers=0)
    assert again.shards_done_now == 0
    for wrong in (
        "[]",
        "{}",
        "not JSON",
        new.replace('"rows": 10', '"rows": 11'),
        new.replace('"plan": 2', '"plan": 9'),
    ):
        file.write_text(wrong)
        with pytest.raises(StoreError, match=r"plan\.json: no plan can be read there"):
            finalize(out)
