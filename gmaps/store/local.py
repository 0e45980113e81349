"""Reading a store at memory speed.

Every shard file is memory-mapped when it is first needed, and a sample decompressed straight out of the
mapping. There is no lock, no thread and no event loop: a `Store` survives `fork`, and pickles as its path.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import CorruptStoreError, StoreError, unknown_name
from gmaps.frame import Cube
from gmaps.rows import one_row, row_numbers
from gmaps.skeleton import Skeleton
from gmaps.store.arrays import MappedArray
from gmaps.store.column import Column
from gmaps.store.mapped import Mapped
from gmaps.store.row import Sample, StoreSpec
from gmaps.store.schema import FORMAT, ROW_ARRAYS
from gmaps.store.writer import REJECTS


class Store:
    """A finished store; see `gmaps.open_store`.

    `store[i]` is a `Sample`, `store[3:5]` and `store[mask]` lists of them, and `store["depth"]` an array that is read
    where it is sliced; `store.read(indices)` gives stacked arrays, which is what training wants.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path | str = Path(path)
        root = self.path
        group = _group(root)
        self.attributes = group["attributes"]
        self._shards: Mapped = {}
        self._arrays = {
            name: MappedArray(root, name, meta, self._shards) for name, meta in _array_metadata(root, group).items()
        }
        if "depth" not in self._arrays:
            raise StoreError(f"{self.path}: a group without a depth array is no gmaps store")
        self._length = self._arrays["depth"].shape[0]

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Sample: ...
    @overload
    def __getitem__(self, index: str) -> Column: ...
    @overload
    def __getitem__(self, index: slice | list[int] | NDArray[Any]) -> list[Sample]: ...
    def __getitem__(self, index: Any) -> Sample | Column | list[Sample]:
        if isinstance(index, str):
            return Column(self, index)
        if isinstance(index, slice | list) or np.ndim(index):
            return [self[int(i)] for i in self._rows_of(index)]
        i = one_row(index, len(self), str(self.path))
        row = {name: values[0] for name, values in self.read([i]).items()}
        valid = bool(row["valid"])
        maps = {n.removeprefix("maps/"): v for n, v in row.items() if n.startswith("maps/")}
        scale = {n.removesuffix("_scale"): maps.pop(n) for n in list(maps) if n.endswith("_scale")}
        further = {n: row[n] for n in self.further}
        return Sample(
            index=i,
            frame=int(row["frame"]),
            subject=int(row["subject"]),
            sequence=int(row["sequence"]),
            valid=valid,
            joints=row["joints"],
            cube=Cube.from_array(row["cube"]) if valid else None,
            depth=row["depth"],
            maps=maps,
            scale=scale,
            projection=self.attributes["crop"]["projection"],
            arrays=further,
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self)} samples: {', '.join(self._arrays)})"

    # A mapping cannot travel to another process: the path can, and opening takes a millisecond.
    def __reduce__(self) -> tuple[type[Store], tuple[Path | str]]:
        return type(self), (self.path,)

    @property
    def names(self) -> tuple[str, ...]:
        """All arrays, as `read` knows them: "depth", "joints", ..., "maps/geodesic"."""
        return tuple(self._arrays)

    @property
    def shard_samples(self) -> int:
        """Rows in a file of an array."""
        return self._arrays["depth"].per_shard

    @property
    def maps(self) -> tuple[str, ...]:
        """The map kinds."""
        kinds = (n.removeprefix("maps/") for n in self._arrays if n.startswith("maps/"))
        return tuple(k for k in kinds if not k.endswith("_scale"))

    @property
    def further(self) -> tuple[str, ...]:
        """Arrays that the data set declares of its frames: mesh vertices, angles, the side of the hand."""
        return tuple(n for n in self._arrays if n not in ROW_ARRAYS and not n.startswith("maps/"))

    @cached_property
    def skeleton(self) -> Skeleton:
        """The skeleton of its joints."""
        return Skeleton.from_dict(self.attributes["skeleton"])

    @cached_property
    def rejects(self) -> list[dict[str, Any]]:
        """Row, frame, name and reason of each rejected frame."""
        file = Path(self.path) / REJECTS
        return _read_json(file) if file.exists() else []

    @property
    def spec(self) -> StoreSpec:
        """All about the store but its values; looks at every file's size."""
        infos = {name: a.info() for name, a in self._arrays.items()}
        return StoreSpec(str(self.path), len(self), self.attributes, infos, self.rejects)

    def read(
        self,
        indices: Iterable[int] | slice,
        names: Iterable[str] | None = None,
        *,
        decode: bool = True,
        out: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Several rows at once.

        Parameters
        ----------
        indices
            n rows, in any order, repeats allowed; negative ones count from the end. Or a slice, or a mask of N
            booleans.
        names
            Arrays to read; all of them by default.
        decode
            Give depth and maps as float32 values. False gives them as they are stored: float16, uint8 codes.
        out
            Name -> (n, ...) array to fill, of the type that would be returned: shared memory, a pinned buffer.

        Returns
        -------
        dict
            Name -> (n, ...) array; newly allocated where `out` has none.

        Raises
        ------
        IndexError
            For a row that does not exist.
        RowError
            For what is no row number: a float, a mask of another length.
        UnknownNameError
            For an array that does not exist.
        CorruptStoreError
            When a file is missing or damaged; the message names it.
        """
        rows = self._rows_of(indices)
        out = out or {}
        wanted = self._arrays if names is None else names
        return {name: self._array(name).read(rows, decode, out.get(name)) for name in wanted}

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of an array."""
        return self._array(name).item

    def column(self, name: str) -> NDArray[Any]:
        """All N rows of a small array: `column("valid")`, `column("subject")`."""
        return self._array(name).read_all()

    def rounding(self, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
        """How far a stored value may lie from the one that was written.

        Parameters
        ----------
        name
            An array.
        values
            What was written.

        Returns
        -------
        like values, float64
            0 for exact types, half a unit in the last place for float16, half a step for uint8.
        """
        return self._array(name).rounding(values)

    def _array(self, name: str) -> MappedArray:
        try:
            return self._arrays[name]
        except KeyError:
            raise unknown_name(f"array in {self.path}", name, self._arrays) from None

    def _rows_of(self, indices: Any) -> NDArray[np.int64]:
        return row_numbers(indices, len(self), str(self.path))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        raise CorruptStoreError(
            f"{path} cannot be read: {error}; `gmaps verify` tells what else is damaged"
        ) from error


def _group(path: Path) -> dict[str, Any]:
    """The group's own `zarr.json`."""
    try:
        group = _read_json(path / "zarr.json")
    except (FileNotFoundError, NotADirectoryError):
        partial = Path(f"{path.absolute()}.partial")
        if not path.exists() and partial.is_dir():
            raise StoreError(
                f"{path} is not finished: its build stopped half-way and left {partial}. "
                "Run the same `gmaps build` command again to go on"
            ) from None
        what = "is no store (no zarr.json in it)" if path.exists() else "does not exist"
        raise StoreError(f"{path} {what}; `gmaps build --out {path}` makes one") from None
    return check_group(path, group)


def check_group(path: Path | str, group: Any) -> dict[str, Any]:
    """A group's `zarr.json`, if it is one of ours.

    Raises
    ------
    StoreError
        It is not, or has another format.
    """
    attributes = group.get("attributes", {}) if isinstance(group, dict) else {}
    version = attributes.get("format")
    if version is None:
        raise StoreError(f"{path} is a Zarr group, but no gmaps store: its attributes name no format")
    if version != FORMAT:
        raise StoreError(
            f"{path} has format {version}; this gmaps reads format {FORMAT}. Build it again, or update gmaps"
        )
    whole: dict[str, Any] = group
    return whole


def _array_metadata(path: Path, group: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> `zarr.json` of every array."""
    # What the group does not list is being added, or being removed.
    listed = (group.get("consolidated_metadata") or {}).get("metadata")
    found = {}
    for file in [*path.glob("*/zarr.json"), *path.glob("maps/*/zarr.json")]:
        name = file.parent.relative_to(path).as_posix()
        if listed is not None and name not in listed:
            continue
        meta = _read_json(file)
        if meta.get("node_type") == "array":
            found[name] = meta
    return in_order(found, group)


def in_order(found: dict[str, Any], group: dict[str, Any]) -> dict[str, Any]:
    """Arrays by name, in the order in which people want to see them."""
    kinds = group["attributes"].get("maps", {}).get("maps", [])
    order = [*ROW_ARRAYS, *(f"maps/{kind}{end}" for kind in kinds for end in ("", "_scale"))]
    return {name: found[name] for name in [*order, *sorted(set(found) - set(order))] if name in found}
