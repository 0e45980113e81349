"""A data set that is edited while a store is built of it: other labels are refused, other pixels are noted."""

from __future__ import annotations

import os
import re
import shutil

import numpy as np
import pytest
from scipy.io import loadmat, savemat

import gmaps
from gmaps.datasets import check_dataset
from gmaps.datasets.write import tree
from gmaps.errors import DatasetError
from gmaps.pipeline import dispatch
from gmaps.pipeline.ledger import ShardRecord
from gmaps.store.checksums import verify_checksums
from tests.safety.kit import bad, in_children
from tests.trees import icvl_tree

OPTIONS = {"maps": ("geodesic",), "crop_size": 32, "map_size": 8, "workers": 0, "progress": False}


def written(layout):
    return lambda root: tree.write_tree(root, layout=layout, frames=12, seed=1)


#: How a tree is made, and its files of labels; of the last, each frame has its own.
TREES = {
    "icvl": (icvl_tree, "Testing/test_seq_?.txt"),
    "msra": (written("msra"), "*/*/joint.txt"),
    "nyu": (written("nyu"), "*/joint_data.mat"),
    "folder": (written("folder"), "**/joints.csv"),
    "synhand5m": (written("synhand"), "*/joints/*.npy"),
}


def edit(path):
    """Other numbers in as many bytes."""
    if path.suffix == ".mat":
        known = loadmat(path)
        savemat(path, {k: known[k] + 0.01 for k in ("joint_xyz", "joint_uvd")})
    elif path.suffix == ".npy":
        np.save(path, np.load(path) + 5)
    else:
        path.write_text(re.sub(r"(\d)(\.\d)", lambda m: str((int(m[1]) + 3) % 10) + m[2], path.read_text()))


@pytest.mark.parametrize("name", TREES)
def test_other_labels_are_refused_between_two_shards(tmp_path, monkeypatch, name):
    make, labels = TREES[name]
    root, out = tmp_path / "t", tmp_path / "x.zarr"
    make(root)
    files = sorted(root.glob(labels))
    assert files
    kept = {path: path.read_bytes() for path in files}
    options = {**OPTIONS, "root": root, "split": "test" if name == "icvl" else "all"}
    options["shard_samples"] = 2 if name == "icvl" else 4
    good = gmaps.build(name, tmp_path / "good.zarr", **options)
    assert good.notes == []
    assert good.rejected < good.frames
    write, made = dispatch.write_shard, []

    def editing(source, job, k):
        record = write(source, job, k)
        made.append(k)
        if len(made) == 1:
            for path in files:
                edit(path)
        return record

    monkeypatch.setattr(dispatch, "write_shard", editing)
    with pytest.raises(DatasetError, match="its labels have changed since the build began"):
        gmaps.build(name, out, **options)
    assert made == [0]
    for path, content in kept.items():  # written to, and what they were
        path.write_bytes(content)
    report = gmaps.build(name, out, **options)
    assert (report.resumed, report.notes, report.shards_done_now) == (True, [], report.shards_total - 1)
    for file in (tmp_path / "good.zarr").rglob("c.*"):
        assert (out / file.relative_to(tmp_path / "good.zarr")).read_bytes() == file.read_bytes()


def test_labels_that_are_touched_and_the_same_are_no_matter(tmp_path, monkeypatch):
    written("folder")(tmp_path / "t")
    write = dispatch.write_shard

    def touching(source, job, k):
        for path in (tmp_path / "t").rglob("joints.csv"):
            os.utime(path, (k, k))
        return write(source, job, k)

    monkeypatch.setattr(dispatch, "write_shard", touching)
    report = gmaps.build("folder", tmp_path / "x.zarr", root=tmp_path / "t", shard_samples=4, **OPTIONS)
    assert (report.frames, report.notes) == (12, [])
    assert verify_checksums(tmp_path / "x.zarr") == []


class Changing:
    """A data set that cannot tell what was touched, and says what it is when it is asked."""

    def __init__(self, after):
        self.real, self.after, self.read_so_far = gmaps.load_dataset("synthetic", frames=12), after, []

    def __getattr__(self, name):
        if name in ("real", "labels_touched", "frame_files"):
            raise AttributeError(name)
        return getattr(self.real, name)

    def __len__(self):
        return len(self.real)

    def read(self, i):
        self.read_so_far.append(i)
        return self.real.read(i)

    def fingerprint(self):
        return {**self.real.fingerprint(), "labels": self.read_so_far.count(self.after)}


def test_a_data_set_of_ones_own_is_asked_before_and_after_each_shard(tmp_path):
    with pytest.raises(DatasetError, match="its labels have changed"):
        gmaps.build(Changing(5), tmp_path / "x.zarr", shard_samples=4, **OPTIONS)
    assert not (tmp_path / "x.zarr").exists()


@pytest.mark.parametrize("again", [False, True], ids=["while it is built", "before it goes on"])
def test_other_pixels_are_noted(tmp_path, monkeypatch, again):
    root, out, written_shards = tmp_path / "t", tmp_path / "x.zarr", []
    written("msra")(root)
    write = dispatch.write_shard

    def editing(source, job, k):
        record = write(source, job, k)
        written_shards.append(k)
        if k == 1:
            shutil.copyfile(*sorted(root.glob("*/*/*_depth.bin"))[:2])
            if again:
                raise KeyboardInterrupt
        return record

    monkeypatch.setattr(dispatch, "write_shard", editing)
    options = {**OPTIONS, "root": root, "shard_samples": 4}
    if again:
        with pytest.raises(KeyboardInterrupt):
            gmaps.build("msra", out, **options)
        monkeypatch.setattr(dispatch, "write_shard", write)
    report = gmaps.build("msra", out, **options)
    assert len(report.notes) == 1
    assert "files of frames have changed since they were read, in 1 of 3 shards" in report.notes[0]
    assert report.notes[0] in report.summary()
    assert verify_checksums(out) == []
    assert gmaps.build("msra", out, **options).notes == []  # nothing of this stands in a store


def test_a_record_keeps_what_stands_for_its_files():
    record = ShardRecord(0, 4, [], [], 0, "ab")
    assert ShardRecord.from_json(record.to_json()) == record
    with pytest.raises(ValueError, match="its frames are none"):
        ShardRecord.from_json(record.to_json().replace('"ab"', "7"))


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: p.symlink_to("/dev/zero")], ids=["pipe", "device"])
@pytest.mark.parametrize("name", ["msra", "nyu", "folder", "icvl"])
@pytest.mark.parametrize("pattern", ["labels", "frames", "dataset.toml"])
def test_pipes_and_devices_are_not_waited_for(tmp_path, name, pattern, make):
    tree_of, labels = TREES[name]
    root = tmp_path / "t"
    tree_of(root)
    frames = {"msra": "*/*/*_depth.bin", "nyu": "*/depth*.png", "folder": "**/*.png", "icvl": "**/*.png"}[name]
    files = sorted(root.glob({"labels": labels, "frames": frames}.get(pattern, pattern)))
    if not files:
        pytest.skip("it has none")
    for path in files[:2]:
        path.unlink()
        make(path)

    def work(k):
        if k == 0:
            check_dataset(name, root)
        else:
            options = {**OPTIONS, "root": root, "split": "test" if name == "icvl" else "all"}
            gmaps.build(name, tmp_path / "x.zarr", **options)

    assert not bad(in_children(work, [0, 1], seconds=30, memory=1 << 30))
