"""One array of a store, read when it is sliced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmaps.rows import one_row, row_numbers

if TYPE_CHECKING:
    from gmaps.store.local import Store


class Column:
    """`store["depth"]`: an array of N rows, of which no more is read than is asked for.

    `column[3]` is a row, `column[3:5]`, `column[mask]` and `column[[3, 8]]` several, and what follows a comma is
    NumPy's; `np.asarray(column)` reads all. Depth and maps come as float32 values.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self.shape: tuple[int, ...] = (len(store), *store.shape(name))

    @property
    def ndim(self) -> int:
        """Axes, that of the rows included."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is read."""
        return np.asarray(self[0:0]).dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        rows, rest = (index[0], index[1:]) if isinstance(index, tuple) and index else (index, ())
        if rows is Ellipsis:
            return np.asarray(self)[index]
        what = f"{self.store.path}, {self.name}"
        if isinstance(rows, slice | list) or np.ndim(rows):
            return self._read(row_numbers(rows, len(self), what))[(slice(None), *rest)]
        return self._read(np.array([one_row(rows, len(self), what)]))[(0, *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = self._read(np.arange(len(self)))
        return values if dtype is None else values.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"Column({str(self.store.path)!r}, {self.name!r}, shape {self.shape})"

    def _read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return self.store.read(rows, [self.name])[self.name]
