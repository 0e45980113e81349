"""One changed byte anywhere in a store: the same values, others, or an error of ours; and `verify` always tells."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.errors import GmapsError
from gmaps.store.checksums import verify_checksums
from gmaps.store.file_records import parse_checksums
from gmaps.training import GuidanceDataset, collate
from tests.safety.kit import bad, in_children


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("flips") / "x.zarr"
    options = {"maps": ("geodesic", "heatmap", "offset"), "crop_size": 32, "map_size": 8, "shard_samples": 8}
    gmaps.build("synthetic", path, dataset_options={"frames": 16}, workers=0, progress=False, **options)
    read(path)
    learn(path)
    return path


def read(path):
    store = gmaps.open_store(path)
    for name in store.names:
        store.read(range(len(store)), [name])
    return [s.index for s in store], store.skeleton, store.spec, store.rejects, store.column("joints").shape


def learn(path):
    data = GuidanceDataset(path, ("geodesic",))
    return collate(data.__getitems__(list(range(len(data)))))


def command(*arguments):
    """Its exit code; a traceback is one."""
    result = CliRunner().invoke(main, [*arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code


def flipped(files, rnd):
    path = rnd.choice(files)
    content = bytearray(path.read_bytes())
    at = rnd.randrange(len(content))
    content[at] ^= rnd.choice((1 << rnd.randrange(8), rnd.randrange(1, 256)))
    return path, bytes(content)


@pytest.mark.parametrize("count", [120, pytest.param(2500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["reader", "verify", "loader"])
def test_a_changed_byte(store, what, count):
    files = sorted(p for p in store.rglob("*") if p.is_file())
    json_files = [p for p in files if p.suffix == ".json"]
    originals = {p: p.read_bytes() for p in files}

    records = parse_checksums((store / "checksums.json").read_bytes(), "")

    def work(k):
        rnd = random.Random(k)
        path, content = flipped(json_files if rnd.random() < 0.5 else files, rnd)
        path.write_bytes(content)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                if what == "reader":
                    read(store)
                elif what == "loader":
                    learn(store)
                else:
                    try:
                        found = verify_checksums(store)
                    except GmapsError:
                        found = ["its checksums cannot be read"]
                    # Blanks between the checksums, and the name of their algorithm, say nothing.
                    same = not found and path.name == "checksums.json" and parse_checksums(content, "") == records
                    assert found or same, f"{path.name}: nobody noticed"
                    assert command("verify", str(store), "--rows", "0") == int(not same)
        finally:
            path.write_bytes(originals[path])

    try:
        found = bad(in_children(work, range(count), seconds=30))
    finally:
        for path, content in originals.items():
            path.write_bytes(content)
    assert not found
