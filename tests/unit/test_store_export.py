"""Exports to HDF5: the original's layout, and the store's values."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import DiskFullError, MissingExtraError, StoreError, UnknownNameError, UsageError
from gmaps.store import export as export_module
from gmaps.store import open_store
from gmaps.store.export import export_hdf5
from tests.unit.store_kit import fake_rows, write_store

h5py = pytest.importorskip("h5py")

NAMES = {"geodesic": "edt2", "heatmap": "hmap2", "signed_edt": ""}


@pytest.fixture
def store(tmp_path):
    rows = fake_rows(11)
    rows[3] = {"frame": 103, "subject": 0, "sequence": 3}
    return open_store(write_store(tmp_path / "s.zarr", rows))


def read_all(folder):
    found = {}
    for path in folder.iterdir():
        with h5py.File(path) as file:
            found[path.name] = {name: file[name][:] for name in file}
    return found


@pytest.mark.parametrize("piece", [1, 16 << 20])
def test_the_values_are_those_of_the_store_under_the_original_names(tmp_path, store, monkeypatch, piece):
    monkeypatch.setattr(export_module, "PIECE_BYTES", piece)
    seen = []
    files = export_hdf5(store, tmp_path / "out", names=NAMES, progress=seen.append)
    assert [f.name for f in files] == ["annotation", "clean_16", "edt2_8", "hmap2_8", "pose_c", "signed_edt_8"]
    got = read_all(tmp_path / "out")
    rows = [i for i in range(11) if i != 3]
    assert sum(seen) == len(rows)
    want = store.read(rows)
    np.testing.assert_array_equal(got["edt2_8"]["edt2"], want["maps/geodesic"])
    np.testing.assert_array_equal(got["edt2_8"]["scale"], want["maps/geodesic_scale"])
    np.testing.assert_array_equal(got["hmap2_8"]["hmap2"], want["maps/heatmap"])
    np.testing.assert_array_equal(got["signed_edt_8"]["signed_edt"], want["maps/signed_edt"])
    labels = got["annotation"]
    assert labels["index"].tolist() == [100 + i for i in rows]
    assert labels["subject"].tolist() == [i % 3 for i in rows]
    np.testing.assert_array_equal(labels["poses"], want["joints"])
    assert labels["resce"].tolist() == [[120, 1.5, -2, 400]] * 10
    relative = got["pose_c"]["pose_c"].reshape(10, 21, 3)
    np.testing.assert_allclose(relative + np.array([1.5, -2, 400]), want["joints"], atol=1e-4)
    hand = want["depth"] < 1
    np.testing.assert_array_equal(got["clean_16"]["clean"][hand], (want["depth"][hand] + 1) / 2)
    assert (got["clean_16"]["clean"][~hand] == 0).all()


def test_files_are_lzf_and_chunked_by_row(tmp_path, store):
    for path in export_hdf5(store, tmp_path / "out", ["geodesic"], names=NAMES):
        with h5py.File(path) as file:
            for name in file:
                assert file[name].compression == "lzf"
                assert file[name].dtype in (np.float32, np.int32)
            if path.name == "edt2_8":
                assert file["edt2"].chunks == (1, 8, 8, 21)
            if path.name == "annotation":
                assert json.loads(file.attrs["gmaps"])["format"] == 1
    assert not (tmp_path / "out" / "hmap2_8").exists()


def test_volumes_of_one_channel_have_no_axis_for_it(tmp_path):
    out = tmp_path / "v.zarr"
    gmaps.build("synthetic", out, ("density", "voxel_label"), limit=3, crop_size=32, workers=0, progress=False)
    result = CliRunner().invoke(main, ["export", str(out), str(tmp_path / "h5")])
    assert result.exit_code == 0, result.output
    assert "3 of 3 frames (100%)" in result.stderr
    got, store = read_all(tmp_path / "h5"), open_store(out)
    want = store.read(range(3))
    np.testing.assert_array_equal(got["pcnt3_64"]["pcnt3"], want["maps/density"][..., 0])
    np.testing.assert_array_equal(got["pose_lab"]["pose_lab"], want["maps/voxel_label"])


def test_what_is_there_is_kept_unless_it_is_an_export_to_overwrite(tmp_path, store):
    out = tmp_path / "out"
    export_hdf5(store, out, ["geodesic"])
    with pytest.raises(UsageError, match="there already"):
        export_hdf5(store, out)
    export_hdf5(store, out, ["heatmap"], overwrite=True)
    assert sorted(p.name for p in out.iterdir()) == ["annotation", "clean_16", "heatmap_8", "pose_c"]
    other = tmp_path / "precious"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="no export"):
        export_hdf5(store, other, overwrite=True)
    assert (other / "thesis.txt").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"s.zarr", "out", "precious"}


def test_a_stopped_export_leaves_nothing(tmp_path, store):
    def stop(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_hdf5(store, tmp_path / "out", progress=stop)
    next(store.path.glob("maps/heatmap/c.1.*")).unlink()
    with pytest.raises(StoreError, match="missing"):
        export_hdf5(open_store(store.path), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def _export_on_a_full_disk(source, out, answer):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        export_hdf5(open_store(source), out)
    except DiskFullError as error:
        answer.send(str(error))


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    import multiprocessing as mp

    source = write_store(tmp_path / "s.zarr", fake_rows(40), shard=40)
    context = mp.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_export_on_a_full_disk, args=(source, tmp_path / "out", there))
    process.start()
    process.join()
    assert here.poll(), "no DiskFullError was raised"
    assert "disk is full" in here.recv()
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def test_unknown_kinds_and_a_missing_extra(tmp_path, store, monkeypatch):
    with pytest.raises(UnknownNameError, match="Did you mean 'geodesic'"):
        export_hdf5(store, tmp_path / "out", ["geodesics"])
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'guidance-maps\[export\]'"):
        export_hdf5(store, tmp_path / "out")
    result = CliRunner().invoke(main, ["export", str(store.path), str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "pip install" in result.stderr
    assert not os.path.exists(tmp_path / "out")
