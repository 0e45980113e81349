"""Stores that lie: in their metadata, in the indexes of their shards, in their chunks. Nothing leaves its array."""

import copy
import json
import math
import random
import shutil
import struct
import warnings

import google_crc32c
import numpy as np
import pytest
import zarr

import gmaps
from gmaps.errors import CorruptStoreError, StoreError
from gmaps.store.mapped import MappedFile
from gmaps.store.schema import MapArray
from tests.safety.kit import bad, between_guards, guarded, in_children
from tests.unit.store_kit import fake_rows, write_store

ROWS, SHARD = 7, 4
KINDS = (
    MapArray("geodesic", (8, 8, 21), True, (0.0, 1.0), smooth=True),  # packed
    MapArray("offset", (8, 8, 3), False, (-1.0, 1.0)),  # Blosc
    MapArray("edt", (8, 8, 1), False, (-np.inf, np.inf), keep_as="float32"),
)
ODD = [
    0, -1, 1, 2, 3, 7, 16, 1023, 2**15, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64, -(2**31), -(2**63),
    1.5, 16.0, 1e308, True, False, None, "", "x", "0", [], {}, [1], [[1]], "float16", "float32", "uint8", "int64",
    "bool", "float64", "complex128", "object", "V0", "U4", "datetime64[ns]", {"names": ["a"]}, "NaN", "Infinity",
    "0x", "0x7fc0", "bytes", "blosc", "gmaps.packed", "sharding_indexed", "crc32c", "start", "big", "/", "../../..",
    "{0.__class__}", "a\x1b[2J",
]  # fmt: skip


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store of halves and one of codes; each with a plain map that decodes, as another program may write it."""
    folder = tmp_path_factory.mktemp("hostile")
    for dtype in ("float16", "uint8"):
        kinds = KINDS[: 2 + (dtype == "float16")]
        path = write_store(
            folder / f"{dtype}.zarr", fake_rows(ROWS, kinds=kinds), kinds=kinds, shard=SHARD, dtype=dtype
        )
        group = zarr.open_group(path, mode="r+")
        own = np.random.default_rng(0).random((ROWS, 8, 8, 3))
        stored = own.astype(np.float16) if dtype == "float16" else (own * 255).astype(np.uint8)
        attributes = {} if dtype == "float16" else {"scale_factor": 1 / 255, "add_offset": 0.0}
        plain = {"chunks": (SHARD, 8, 8, 3), "compressors": None, "filters": None}
        group.create_array("maps/own", data=stored, attributes=attributes, **plain)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr wonders what checksums.json is
            zarr.consolidate_metadata(path)
        for decode in (True, False):  # compiled here, so that the children need not
            gmaps.open_store(path).read([0], decode=decode)
    return folder


def paths(value, at=()):
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from paths(part, (*at, key))


def part_of(value, path):
    for key in path:
        value = value[key]
    return value


def lie(meta, rnd):
    """Metadata with one to three changes of any kind, some of them consistent with each other."""
    meta = copy.deepcopy(meta)
    for _ in range(rnd.choice((1, 1, 1, 2, 3))):
        path = rnd.choice([p for p in paths(meta) if p])
        what = rnd.randrange(10)
        if what < 6:
            part_of(meta, path[:-1])[path[-1]] = copy.deepcopy(rnd.choice(ODD))
        elif what == 6:
            del part_of(meta, path[:-1])[path[-1]]
        else:
            try:
                if what < 9:
                    size, axis = rnd.choice((0, 1, 2, 3, 5, 8, 16, 2**16, 2**31, 2**32, -1)), rnd.randrange(4)
                    meta["shape"][axis] = size
                    meta["chunk_grid"]["configuration"]["chunk_shape"][axis] = size
                    if axis:
                        meta["codecs"][0]["configuration"]["chunk_shape"][axis] = size
                else:
                    types = ("float16", "float32", "uint8", "int8", "int16", "int64", "bool", "float64")
                    meta["data_type"] = rnd.choice(types)
                    meta["attributes"]["scale_factor"] = rnd.choice((1.0, 0.0, 1e308, "x", 1))
            except (LookupError, TypeError):
                pass
    return meta


def read_everything(path, guard=True):
    """Opens and reads all that there is, between guard bytes; an error of ours anywhere will do."""
    store, errors = gmaps.open_store(path), []

    def attempt(work):
        try:
            return work()
        except (StoreError, gmaps.errors.GmapsError) as error:
            errors.append(str(error))

    for name in store.names:
        if math.prod(store.shape(name)) > 1 << 20:
            continue  # zarr-python takes half a minute for a row of 88 MB that is not there
        for decode in (True, False):
            few = attempt(lambda name=name, decode=decode: store.read([0], [name], decode=decode)[name])
            if few is None or few.nbytes > 1 << 20:
                continue
            rows = list(range(min(len(store), 8)))
            view, whole = between_guards((len(rows), *few.shape[1:]), few.dtype)
            attempt(lambda n=name, d=decode, v=view, r=rows: store.read(r, [n], decode=d, out={n: v}))
            if not whole():
                raise SystemExit(f"bytes beside {name} were written")
    for work in (lambda: store[0], lambda: store.column("valid"), lambda: store.skeleton, lambda: store.spec):
        attempt(work)
    return len(errors)


def with_guards(monkeypatch):
    """Puts what is mapped where nothing lies behind it."""
    plain = MappedFile.__init__

    def init(self, *args):
        plain(self, *args)
        self.address = guarded(bytes(self._bytes))
        if self.index_address:
            self.index_address = guarded(self._table.tobytes())

    monkeypatch.setattr(MappedFile, "__init__", init)


@pytest.mark.parametrize("count", [150, pytest.param(5000, marks=pytest.mark.slow)])
def test_metadata_that_lie(stores, monkeypatch, count):
    with_guards(monkeypatch)
    path = stores / "float16.zarr"
    files = [f for f in path.rglob("zarr.json") if json.loads(f.read_text())["node_type"] == "array"]
    originals = {f: f.read_text() for f in [*files, path / "zarr.json"]}

    def work(k):
        rnd = random.Random(k)
        file = rnd.choice([*files * 3, path / "zarr.json"])
        file.write_text(json.dumps(lie(json.loads(originals[file]), rnd)))
        try:
            return read_everything(path)
        finally:
            file.write_text(originals[file])

    try:
        found = bad(in_children(work, range(count), memory=4 << 30))
    finally:
        for file, content in originals.items():
            file.write_text(content)
    assert not found


def lying_shard(content, rnd):
    """A shard with a right checksum whose index, or chunks, are wrong."""
    size = len(content) - 16 * SHARD - 4
    data = bytearray(content[:size])
    table = [list(struct.unpack_from("<QQ", content, size + 16 * i)) for i in range(SHARD)]
    none = 2**64 - 1
    for _ in range(rnd.randrange(1, 4)):
        entry = table[rnd.randrange(SHARD)]
        at, length = entry
        what = rnd.randrange(6)
        if what == 0:
            entry[0] = rnd.choice((0, size - 1, size, size + 1, 2**63, none - 1, none, 2**64 - 16))
            entry[1] = rnd.choice((0, 1, 15, 16, 17, size, size + 1, 2**63, none - 1, none))
        elif what == 1:
            entry[:] = table[rnd.randrange(SHARD)]
        elif what == 2:
            entry[0] = rnd.randrange(size)
            entry[1] = rnd.randrange(0, size - entry[0] + 1)
        elif what == 3 and at <= size:
            entry[1] = max(0, min(size - at, length + rnd.choice((-1, 1, 8, -8, 100, -100))))
        elif at + length <= size and length > 20:
            for _ in range(1 if what == 4 else 4):
                data[at + (rnd.randrange(16) if what == 4 else rnd.randrange(length))] = rnd.randrange(256)
    packed = b"".join(struct.pack("<QQ", *entry) for entry in table)
    return bytes(data) + packed + struct.pack("<I", google_crc32c.value(packed))


@pytest.mark.parametrize("count", [100, pytest.param(5000, marks=pytest.mark.slow)])
def test_indexes_and_chunks_that_lie(stores, monkeypatch, count):
    with_guards(monkeypatch)
    files = [f for d in ("float16", "uint8") for n in ("depth", "maps/geodesic", "maps/offset")
             for f in (stores / f"{d}.zarr" / n).glob("c.0*")]  # fmt: skip
    originals = {f: f.read_bytes() for f in files}

    def work(k):
        rnd = random.Random(k)
        file = rnd.choice(files)
        file.write_bytes(lying_shard(originals[file], rnd))
        try:
            name = file.parent.relative_to(next(p for p in file.parents if p.suffix == ".zarr")).as_posix()
            store = gmaps.open_store(next(p for p in file.parents if p.suffix == ".zarr"))
            for decode in (True, False):
                try:
                    like = store.read([SHARD], [name], decode=decode)[name]  # of the next shard
                    view, whole = between_guards((SHARD, *like.shape[1:]), like.dtype)
                    store.read(range(SHARD), [name], decode=decode, out={name: view})
                except CorruptStoreError:
                    pass
                if not whole():
                    raise SystemExit("bytes beside the array were written")
        finally:
            file.write_bytes(originals[file])

    assert not bad(in_children(work, range(count)))
    for file, content in originals.items():
        assert file.read_bytes() == content


def test_a_plain_map_of_halves_or_codes_is_decoded_by_its_stored_size(stores):
    for dtype in ("float16", "uint8"):
        path = stores / f"{dtype}.zarr"
        want = zarr.open_array(path / "maps/own", mode="r")[:]
        store = gmaps.open_store(path)
        decoded = want.astype(np.float32) if dtype == "float16" else want * np.float32(1 / 255)
        np.testing.assert_array_equal(store.read([5, 0, 6], ["maps/own"], decode=False)["maps/own"], want[[5, 0, 6]])
        np.testing.assert_allclose(store.read([5, 0, 6], ["maps/own"])["maps/own"], decoded[[5, 0, 6]], rtol=1e-6)
        np.testing.assert_allclose(store.column("maps/own"), decoded, rtol=1e-6)
        with zarr.config.set({"array.write_empty_chunks": True}):
            zarr.open_array(path / "maps/own", mode="r+")[:] = want
        assert store.read([0], ["maps/own"])["maps/own"].dtype == np.float32


def test_any_byte_of_a_bool_is_true_or_false(stores, tmp_path):
    path = shutil.copytree(stores / "float16.zarr", tmp_path / "s.zarr")
    (path / "valid/c.0").write_bytes(bytes([255, 0, 2, 1]))
    found = gmaps.open_store(path).column("valid")
    assert found.view(np.uint8).tolist() == [1, 0, 1, 1, 1, 1, 1]
    assert gmaps.open_store(path).read([0, 1, 2], ["valid"])["valid"].view(np.uint8).tolist() == [1, 0, 1]
