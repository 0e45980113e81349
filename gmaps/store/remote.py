"""Reading a store that lies in an object store, without a copy of it.

A batch is two rounds of requests: one for the indexes of shards that were never met, which are then kept, and one for
the chunks of all rows and arrays, each round at once. What has come is read as a mapped file is. Ranges that lie
close to each other are one request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import CorruptStoreError, StoreError
from gmaps.store.array_metadata import GROUP, ArrayMeta, check_rows, parse_array
from gmaps.store.arrays import ArrayInfo, Located, MappedArray
from gmaps.store.codec import MISSING, index_bytes, parse_index
from gmaps.store.file_records import parse_checksums
from gmaps.store.group_metadata import Attributes, in_order, parse_group, parse_json, parse_rejects
from gmaps.store.local import Store, enough_memory
from gmaps.store.mapped import Mapped, MappedFile
from gmaps.store.object_store import Place
from gmaps.store.writer import CHECKSUMS, REJECTS

#: Bytes between two ranges of a file that are read rather than skipped: cheaper than another request.
GAP = 1 << 16
#: Bytes of one request at most.
REQUEST = 1 << 25
#: Indexes kept; each has 16 bytes a row.
MAX_INDEXES = 4096
#: Rows of a request for whole columns.
_ROWS = 1 << 16


class RemoteStore(Store):
    """A store at an address like `s3://bucket/x.zarr`; see `open_store`. Pickles as its address."""

    def __init__(self, url: str) -> None:
        self.place = Place(url)
        self.path = self.place.url
        # Looked at before anything is read, and after each batch.
        self._identity = _identity(self.place)
        self.attributes, metadata = _group(self.place)
        self._identity = self._identity or _identity(self.place)
        if metadata is None:
            raise StoreError(f"{url}: its zarr.json holds no consolidated metadata; copy the store here to read it")
        found = {n: meta for n, m in metadata.items() if (meta := parse_array(self.path, n, m)) is not None}
        check_rows(url, found)
        self._arrays = {name: RemoteArray(self, meta) for name, meta in in_order(found, self.attributes).items()}
        self._length = self._arrays["depth"].shape[0]

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return type(self), (str(self.path),)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Name -> bytes of every file, as they were written; looked up where the store does not list them."""
        try:
            return {r.path: r.size for r in parse_checksums(self.place.read(CHECKSUMS), f"{self.path}/{CHECKSUMS}")}
        except FileNotFoundError:
            return self.place.sizes()

    @cached_property
    def rejects(self) -> list[dict[str, Any]]:
        """See `Store.rejects`."""
        try:
            with self._the_same():
                return parse_rejects(self.place.read(REJECTS), f"{self.path}/{REJECTS}")
        except FileNotFoundError:
            return []

    def read(
        self,
        indices: Iterable[int] | slice,
        names: Iterable[str] | None = None,
        *,
        decode: bool = True,
        out: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """See `Store.read`; everything is asked for at once."""
        rows = self._rows_of(indices)
        out = out or {}
        wanted = {name: self._array(name) for name in (self._arrays if names is None else names)}
        ours = {n: a for n, a in wanted.items() if isinstance(a, RemoteArray) and a.codec != "foreign"}
        with enough_memory(self.path, len(rows)), self._the_same():
            located = fetch(self.place, ours, rows)
            return {name: a.read(rows, decode, out.get(name), located.get(name)) for name, a in wanted.items()}

    def column(self, name: str) -> NDArray[Any]:
        """See `Store.column`."""
        with self._the_same():
            return super().column(name)

    @contextmanager
    def _the_same(self) -> Iterator[None]:
        """Around all that is read at once: of a store that was replaced meanwhile, nothing is handed out.

        A build that replaces a store takes its `zarr.json` away before it writes anything, and writes it last: while
        that is what it was, all else is.
        """
        try:
            yield
        except CorruptStoreError:
            self._check_same()  # two stores do not fit together; that is no damage
            raise
        self._check_same()

    def _check_same(self) -> None:
        if _identity(self.place) != self._identity:
            raise StoreError(f"{self.path} was replaced while it was open: open it again")


class RemoteArray(MappedArray):
    """An array whose files are at a `Place`."""

    def __init__(self, store: RemoteStore, meta: ArrayMeta) -> None:
        self.store = store
        self.indexes: dict[int, NDArray[np.uint64]] = {}
        super().__init__(meta, None, Mapped())  # no directory of this machine

    def open_foreign(self) -> Any:
        import zarr
        from zarr.storage import FsspecStore

        return zarr.open_array(FsspecStore.from_url(f"{self.store.path}/{self.name}", read_only=True), mode="r")

    def _locate(self, rows: NDArray[np.int64]) -> Located:
        return fetch(self.store.place, {self.name: self}, rows)[self.name]

    def read_all(self) -> NDArray[Any]:
        """All rows, whole files at a time."""
        out = np.empty(self.shape, np.float32 if self.decodes else self.dtype)
        for start in range(0, len(out), _ROWS):
            part = out[start : start + _ROWS]
            self.read(np.arange(start, start + len(part)), True, part)
        return out

    def file(self, shard: int) -> str:
        """Name of a shard's file."""
        return f"{self.name}/{self._key.format(shard)}"

    def info(self) -> ArrayInfo:
        """As written; `gmaps verify` looks at what is there."""
        return self._info([n for name, n in self.store.sizes.items() if name.startswith(f"{self.name}/c")])


class FetchedRows(MappedFile):
    """Some rows of a file, fetched: numbered as they lie here, in order and without gaps.

    Parameters
    ----------
    name
        The file's address, for messages.
    rows
        Their numbers in the file.
    content
        The bytes that were fetched.
    table : (rows, 2) uint64
        Offset in `content` and size of each row's chunk, or none for rows of plain files.
    """

    def __init__(self, name: str, rows: NDArray[np.int64], content: bytes, table: NDArray[np.uint64] | None) -> None:
        self.name, self.rows, self.content = name, rows, content
        self._bytes = memoryview(content)
        # An empty buffer has no address; nobody reads from it.
        self.address = np.frombuffer(content or b"\0", np.uint8).ctypes.data
        self.index_address = 0
        if table is not None:
            self._table = np.ascontiguousarray(table)
            self.index_address = self._table.ctypes.data
            self._index = self._table.reshape(-1).data

    def damaged(self, row: int, what: str) -> CorruptStoreError:
        """See `MappedFile.damaged`."""
        return CorruptStoreError(f"{self.name}, row {self.rows[row]} of the shard: {what}; see `gmaps verify`")


def fetch(place: Place, arrays: Mapping[str, RemoteArray], rows: NDArray[np.int64]) -> dict[str, Located]:
    """Gets all that some rows need.

    Parameters
    ----------
    place
        The store's.
    arrays
        Name -> array.
    rows
        Numbers of rows, in any order.

    Raises
    ------
    CorruptStoreError
        When a file is missing or damaged.
    """
    unique, inverse = np.unique(rows, return_inverse=True)
    pieces: dict[str, list[tuple[int, NDArray[np.int64]]]] = {}
    for name, a in arrays.items():
        shard, row = np.divmod(unique, a.per_shard)
        bounds = np.flatnonzero(np.diff(shard, prepend=-1)) if len(unique) else np.empty(0, int)
        parts = np.split(row, bounds[1:])
        pieces[name] = [(int(shard[b]), part) for b, part in zip(bounds, parts, strict=False)]
    _fetch_indexes(place, arrays, pieces)
    runs: list[tuple[str, int, int]] = []
    slices: list[tuple[str, int, NDArray[np.int64], slice, NDArray[np.uint64] | None]] = []
    for name, a in arrays.items():
        for k, part in pieces[name]:
            first = len(runs)
            table = a.indexes[k][part] if a.codec != "plain" else None
            if table is None:
                size = a.values * a.dtype.itemsize
                ranges = np.stack([part * size, (part + 1) * size], axis=1).astype(np.uint64)
            else:
                there = table[:, 0] != MISSING
                ranges = np.stack([table[there, 0], table[there].sum(axis=1)], axis=1)
            merged, offsets = merge(ranges, exact=table is None)
            runs += [(a.file(k), start, end) for start, end in merged]
            if table is not None:
                table[there, 0] = offsets
            slices.append((name, k, part, slice(first, len(runs)), table))
    contents = place.read_ranges(runs)
    located: dict[str, Located] = {}
    for name, a in arrays.items():
        files: list[MappedFile] = [
            FetchedRows(f"{place.url}/{a.file(k)}", part, b"".join(contents[where]), table)
            for owner, k, part, where, table in slices
            if owner == name
        ]
        counts = np.array([len(part) for _, part in pieces[name]], int)
        slot = np.repeat(np.arange(len(files)), counts)
        row = np.concatenate([np.arange(n) for n in counts]) if len(counts) else np.empty(0, np.int64)
        located[name] = (files, slot[inverse].astype(np.int64), row[inverse].astype(np.int64))
    return located


def merge(ranges: NDArray[np.uint64], exact: bool = False) -> tuple[list[tuple[int, int]], NDArray[np.uint64]]:
    """Ranges of one file as few requests.

    Parameters
    ----------
    ranges : (n, 2) uint64
        First byte, and the byte after the last; in any order.
    exact
        Fetch nothing between two ranges.

    Returns
    -------
    runs
        First byte and the byte after the last of each request.
    offsets : (n,) uint64
        Where each range begins in all that is fetched, one run after another.
    """
    runs: list[tuple[int, int]] = []
    offsets = np.empty(len(ranges), np.uint64)
    base = 0
    for k in np.argsort(ranges[:, 0], kind="stable").tolist():
        start, end = int(ranges[k, 0]), int(ranges[k, 1])
        gap = start - runs[-1][1] if runs else 0
        if runs and gap <= (0 if exact else GAP) and end - runs[-1][0] <= REQUEST:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            base += runs[-1][1] - runs[-1][0] if runs else 0
            runs.append((start, end))
        offsets[k] = base + start - runs[-1][0]
    return runs, offsets


def _fetch_indexes(
    place: Place, arrays: Mapping[str, RemoteArray], pieces: Mapping[str, Sequence[tuple[int, Any]]]
) -> None:
    """Gets the indexes of shards that were never met, of all arrays at once."""
    wanted = [
        (a, k) for name, a in arrays.items() if a.codec != "plain" for k, _ in pieces[name] if k not in a.indexes
    ]
    if not wanted:
        return
    ranges = []
    for a, k in wanted:
        size, tail = a.store.sizes.get(a.file(k)), index_bytes(a.per_shard)
        if size is None or size < tail:
            what = "is missing" if size is None else "is cut off"
            raise CorruptStoreError(f"{place.url}/{a.file(k)} {what}; see `gmaps verify`")
        ranges.append((a.file(k), size - tail, size))
    for (a, k), (name, start, _), content in zip(wanted, ranges, place.read_ranges(ranges), strict=True):
        try:
            index = parse_index(content, a.per_shard, start)
        except CorruptStoreError as error:
            raise CorruptStoreError(f"{place.url}/{name}: {error}; see `gmaps verify`") from None
        a.indexes[k] = index
    for a in arrays.values():
        needed = {k for k, _ in pieces[a.name]}
        for k in [k for k in a.indexes if k not in needed][: max(0, len(a.indexes) - MAX_INDEXES)]:
            a.indexes.pop(k, None)


def _identity(place: Place) -> tuple[str, ...]:
    """What is another after a store was replaced; empty: there is none."""
    try:
        told = place.identity(GROUP)
    except FileNotFoundError:
        told = ()
    if told:
        return told
    # A protocol that tells nothing: then the files themselves do, of which the checksums are another in any case.
    found = []
    for name in (GROUP, CHECKSUMS):
        try:
            found.append(hashlib.sha256(place.read(name)).hexdigest())
        except FileNotFoundError:
            if name == GROUP:
                return ()
    return tuple(found)


def _group(place: Place) -> tuple[Attributes, dict[str, Any] | None]:
    try:
        content = place.read(GROUP)
    except FileNotFoundError:
        raise StoreError(
            f"{place.url} does not exist, or its build is not finished; `gmaps build --out {place.url}` makes it"
        ) from None
    return parse_group(place.url, parse_json(content, f"{place.url}/{GROUP}"))
