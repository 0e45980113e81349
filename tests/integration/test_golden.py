"""Stores of every version of the maps are read, and today's are built, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zarr

import gmaps
from gmaps.maps import MAPS_VERSION
from gmaps.store import verify_checksums
from tests.golden.make import BUILDS, DIGESTS, HERE, build, digests

STORES = sorted(path.relative_to(HERE).as_posix() for path in HERE.glob("v*/*.zarr"))


def _files(store: Path) -> dict[str, bytes]:
    files = {p.relative_to(store).as_posix(): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}
    # Who wrote a store is no value of it.
    root = json.loads(files["zarr.json"])
    root["attributes"].pop("gmaps_version")
    files["zarr.json"] = json.dumps(root, sort_keys=True).encode()
    sums = json.loads(files["checksums.json"])
    sums.get("files", sums).pop("zarr.json", None)
    files["checksums.json"] = json.dumps(sums, sort_keys=True).encode()
    return files


def test_there_are_golden_stores_of_each_kind():
    assert {path.partition("/")[2] for path in STORES} == {f"{name}.zarr" for name in BUILDS}


@pytest.mark.parametrize("name", STORES)
def test_golden_stores_are_read(name):
    path = HERE / name
    expected = json.loads((path.parent / DIGESTS).read_text())[path.stem]
    assert digests(path) == expected
    assert not verify_checksums(path)
    assert gmaps.open_store(path)[7].valid


@pytest.mark.parametrize("name", [name for name in STORES if "plain" in name])
def test_zarr_reads_the_plain_ones_alike(name):
    store, group = gmaps.open_store(HERE / name), zarr.open_group(HERE / name, mode="r")
    for array, values in store.read(range(len(store)), decode=False).items():
        assert group[array][:].tobytes() == values.tobytes()


@pytest.mark.parametrize("name", BUILDS)
def test_todays_stores_are_built_to_the_byte(name, tmp_path):
    golden = HERE / f"v{MAPS_VERSION}" / f"{name}.zarr"
    build(name, tmp_path / golden.name)
    made, kept = _files(tmp_path / golden.name), _files(golden)
    assert sorted(made) == sorted(kept)
    assert [file for file in kept if made[file] != kept[file]] == []
