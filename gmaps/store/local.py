"""Reading a store at memory speed.

Every shard file is memory-mapped when it is first needed, and a sample decompressed straight out of the
mapping. There is no lock, no thread and no event loop: a `Store` survives `fork`, and pickles as its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from gmaps.camera import Camera
from gmaps.errors import CorruptStoreError, StoreError, unknown_name
from gmaps.frame import Cube
from gmaps.rows import one_row, row_numbers
from gmaps.skeleton import Skeleton
from gmaps.store.array_metadata import GROUP, ArrayMeta, check_rows, parse_array
from gmaps.store.arrays import MappedArray
from gmaps.store.column import Column
from gmaps.store.group_metadata import in_order, made_from, parse_group, parse_json, parse_rejects
from gmaps.store.mapped import Mapped
from gmaps.store.row import Sample, StoreSpec
from gmaps.store.schema import ROW_ARRAYS
from gmaps.store.store_files import StoreFiles
from gmaps.store.writer import REJECTS


class Store:
    """A finished store; see `gmaps.open_store`.

    `store[i]` is a `Sample`, `store[3:5]` and `store[mask]` lists of them, and `store["depth"]` an array that is read
    where it is sliced; `store.read(indices)` gives stacked arrays, which is what training wants.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path | str = Path(path)
        self._files = _open_directory(self.path)
        content = self._files.read(GROUP)
        self.attributes, listed = parse_group(path, parse_json(content, self.path / GROUP))
        # What the group does not list is being added, or being removed.
        names = [name for name in self._files.arrays() if listed is None or name in listed]
        self._shards = Mapped()
        found = {name: meta for name in names if (meta := self._array_meta(name)) is not None}
        check_rows(path, found)
        self._arrays = {
            name: MappedArray(meta, self._files, self._shards)
            for name, meta in in_order(found, self.attributes).items()
        }
        self._length = self._arrays["depth"].shape[0]

    def _array_meta(self, name: str) -> ArrayMeta | None:
        file = f"{name}/{GROUP}"
        return parse_array(self.path, name, parse_json(self._files.read(file), Path(self.path) / file))

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
        if missing := [name for name in ROW_ARRAYS if name not in row]:
            raise CorruptStoreError(
                f"{self.path} has no array {missing[0]}, which every store has; `gmaps verify` tells what is damaged"
            )
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
            hand=further["mask"] if self.masked else None,
            color=further["color"] if self.colored else None,
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

    @property
    def masked(self) -> bool:
        """Whether it tells the hand from the rest of the scene, by its array `mask`."""
        return self.attributes["crop"].get("silhouette") == "segmentation" and "mask" in self._arrays

    @property
    def colored(self) -> bool:
        """Whether it keeps the colour of its crops, in its array `color`."""
        return bool(self.attributes["crop"].get("color")) and "color" in self._arrays

    @property
    def flat(self) -> bool:
        """Whether its crops have colour alone, and no depth."""
        return bool(self.attributes["crop"].get("flat"))

    @cached_property
    def skeleton(self) -> Skeleton:
        """The skeleton of its joints."""
        made = made_from(self.path, "skeleton", lambda: Skeleton.from_dict(self.attributes["skeleton"]))
        if "joints" in self._arrays and len(made) != self.shape("joints")[0]:
            raise CorruptStoreError(
                f"{self.path}: its skeleton {made.name} has {len(made)} joints, its array of joints "
                f"{self.shape('joints')[0]}; `gmaps verify` tells what is damaged"
            )
        return made

    @cached_property
    def camera(self) -> Camera:
        """The camera of its frames."""
        return made_from(self.path, "camera", lambda: Camera(**self.attributes["camera"]))

    @cached_property
    def rejects(self) -> list[dict[str, Any]]:
        """Row, frame, name and reason of each rejected frame."""
        try:
            return parse_rejects(self._files.read(REJECTS), Path(self.path) / REJECTS)
        except FileNotFoundError:
            return []

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
        with enough_memory(self.path, len(rows)):
            return {name: self._array(name).read(rows, decode, out.get(name)) for name in wanted}

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of an array."""
        return self._array(name).item

    def column(self, name: str) -> NDArray[Any]:
        """All N rows of a small array: `column("valid")`, `column("subject")`."""
        with enough_memory(self.path, len(self)):
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


@contextmanager
def enough_memory(path: object, rows: int) -> Iterator[None]:
    """A `MemoryError` as ours: either too much was asked for, or the metadata promise more than there is."""
    try:
        yield
    except MemoryError as error:
        raise StoreError(f"{path}: {rows:,} rows of its arrays do not fit into memory; read fewer at once") from error


def _open_directory(path: Path) -> StoreFiles:
    """The store's directory, if it has a group's `zarr.json`."""
    try:
        files = StoreFiles(path)
        files.open(GROUP).close()
        return files
    except (FileNotFoundError, NotADirectoryError):
        partial = Path(f"{path.absolute()}.partial")
        if not path.exists() and partial.is_dir():
            raise StoreError(
                f"{path} is not finished: its build stopped half-way and left {partial}. "
                "Run the same `gmaps build` command again to go on"
            ) from None
        what = "is no store (no zarr.json in it)" if path.exists() else "does not exist"
        raise StoreError(f"{path} {what}; `gmaps build --out {path}` makes one") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror or error}") from error
