"""What picks samples of a store, a data set or a batch: a mask selects, a slice counts, a float is refused."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import RowError


def shown(index: Any) -> str:
    """What was given for a row, in a line of a message."""
    text = " ".join(repr(index).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def one_row(index: Any, length: int, what: str) -> int:
    """A row's number, counted from the start.

    Parameters
    ----------
    index
        A whole number; a negative one counts from the end.
    length
        How many rows there are.
    what
        What has them, for messages.

    Raises
    ------
    RowError
        No whole number.
    IndexError
        A row that does not exist.
    """
    if isinstance(index, bool) or "bool" in str(getattr(index, "dtype", "")):
        raise RowError(f"{what}: {shown(index)} is no row number; a mask has {length} of them, one a row")
    try:
        i = operator.index(index)
    except TypeError:
        raise RowError(f"{what}: {shown(index)} is no row number: take a whole one, 0 to {length - 1}") from None
    if not -length <= i < length:
        raise IndexError(f"{what} has {length} samples, 0 to {length - 1}: there is no sample {i}")
    return i + length if i < 0 else i


def row_numbers(rows: Any, length: int, what: str) -> NDArray[np.int64]:
    """Numbers of several rows, counted from the start.

    Parameters
    ----------
    rows
        Whole numbers in any order, negative ones from the end; a slice; or a mask of `length` booleans.
    length, what
        As in `one_row`.

    Returns
    -------
    (n,) int64

    Raises
    ------
    RowError
        Neither of these: floats, a mask of another length, booleans among numbers, more than one dimension.
    IndexError
        A row that does not exist.
    """
    if isinstance(rows, slice):
        return np.arange(length)[rows]
    if isinstance(rows, str | bytes) or not (isinstance(rows, Iterable) or hasattr(rows, "__array__")):
        raise RowError(f"{what}: {shown(rows)} are no rows: take a list of whole numbers, a slice or a mask")
    if not hasattr(rows, "__array__"):
        listed = list(rows)
        if not all(isinstance(r, bool | np.bool_) for r in listed):
            return np.array([one_row(r, length, what) for r in listed], np.int64)
        rows = np.array(listed, bool if listed else np.int64)
    array = np.asarray(rows)
    if array.ndim != 1:
        raise RowError(f"{what}: rows have one dimension, not shape {array.shape}")
    if array.dtype == bool:
        if len(array) != length:
            raise RowError(f"{what}: a mask of {len(array)} for {length} rows; it must have one value a row")
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu":
        if array.dtype == object:
            return np.array([one_row(r, length, what) for r in array.tolist()], np.int64)
        if array.size:
            raise RowError(f"{what}: rows of {array.dtype}, like {array[0]}, are no row numbers: take whole ones")
    wrong = (array < -length) | (array >= length)
    if wrong.any():
        one_row(int(array[wrong][0]), length, what)
    numbers = array.astype(np.int64)
    numbers[numbers < 0] += length
    return numbers
