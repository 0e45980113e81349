"""Stores that are replaced, cut off or full of pipes while they are read; names that are paths."""

import json
import os
import shutil

import numpy as np
import pytest

import gmaps
from gmaps.errors import CorruptStoreError, StoreError, UsageError
from gmaps.pipeline.edit import remove_maps
from gmaps.store.checksums import verify_checksums
from tests.safety.kit import in_children
from tests.unit.store_kit import fake_rows, write_store


@pytest.fixture
def path(tmp_path):
    return write_store(tmp_path / "s.zarr", fake_rows(6))


def test_no_sample_of_two_stores(path, tmp_path):
    store = gmaps.open_store(path)
    old = store.read([3], ["depth"])["depth"]  # mapped; joints are not yet
    path.rename(tmp_path / "old.zarr")
    write_store(path, fake_rows(6, seed=9))
    joints = gmaps.open_store(tmp_path / "old.zarr")[3].joints
    np.testing.assert_array_equal(store.read([3], ["joints"])["joints"][0], joints)
    shutil.rmtree(tmp_path / "old.zarr")
    np.testing.assert_array_equal(store.read([3], ["depth"])["depth"], old)
    with pytest.raises(StoreError, match="was replaced while it was open: open it again"):
        store.read([3], ["cube"])


@pytest.mark.parametrize("name", ["depth", "joints", "maps/geodesic"])
def test_a_file_that_is_cut_off_is_no_signal(path, name):
    file = next(f for f in sorted((path / name).glob("c.0*")))

    def work(half):
        store = gmaps.open_store(path)
        store.read([0, 1], [name])
        os.truncate(file, file.stat().st_size // 2 if half else 0)
        with pytest.raises(CorruptStoreError, match="cut off while it was open"):
            store.read([0, 1], [name])

    found = in_children(work, [1, 0])
    assert [result[0] for result in found.values()] == ["value", "error"]  # the second cannot open it any more


@pytest.mark.parametrize("kind", ["..", ".", "../../precious", "../depth", "", "a/b", "x\x1b"])
def test_a_kind_is_no_path(path, tmp_path, kind):
    (tmp_path / "precious").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="no name of a map kind"):
        remove_maps(path, [kind])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["/dev/zero", "../x", "depth/../../x", "a\x07"])
def test_checksums_name_files_of_the_store(path, name):
    listed = json.loads((path / "checksums.json").read_text())
    listed["files"][name] = [1, "00000000"]
    (path / "checksums.json").write_text(json.dumps(listed))
    with pytest.raises(CorruptStoreError, match="no path within a store"):
        verify_checksums(path)


@pytest.mark.parametrize("name", ["zarr.json", "depth/zarr.json", "joints/c.0.0.0", "checksums.json", "rejects.json"])
def test_a_pipe_is_not_waited_for(path, name):
    (path / name).unlink()
    os.mkfifo(path / name)

    def work(k):
        if k == 0:
            assert verify_checksums(path)
        else:
            store = gmaps.open_store(path)
            store.rejects, store.read([0])

    found = in_children(work, [0, 1], seconds=10)
    assert {result[0] for result in found.values()} <= {"value", "error"}
    assert found[0][0] == "value" or name == "checksums.json"
