"""The field's text format: one frame a line, three numbers a joint, separated by white space, or by commas.

Published files differ in small ways, all of which are read: line ends `\\n`, `\\r\\n` and `\\r\\r\\n`, blank lines,
trailing blanks, a byte order mark, and a frame's file name before its numbers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmaps.errors import OutputError, PredictionError, UsageError
from gmaps.formats.label_lines import filled_lines, parse_number
from gmaps.formats.outputs import replacing
from gmaps.formats.regular import open_regular

#: Nothing of the field is larger: HANDS17 has 295,510 rows of 63 numbers, some 150 MB.
_LARGEST = 2**31
#: Characters of a number: an array of words is as wide as the longest.
_LONGEST = 64


@dataclass(frozen=True)
class Table:
    """A file of joints.

    Parameters
    ----------
    path
        Where it was read, for messages.
    values : (N, J, 3) float64
        As written: u, v (pixels) and d (mm), or x, y, z (mm).
    names
        A frame's name before its numbers, N of them; empty where the file has none.
    lines : (N,) int64
        The line of each row, from 1.
    """

    path: str
    values: NDArray[np.float64]
    names: tuple[str, ...]
    lines: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)


def read_table(path: str | os.PathLike[str], joints: int | Sequence[int]) -> Table:
    """Read a file of predictions or labels.

    Parameters
    ----------
    path
        The file.
    joints
        J: each line must hold 3 J numbers. Of several, that which fits the first line.

    Raises
    ------
    PredictionError
        No such file, no text, no rows, a line with another number of columns, something that is no finite number.
        The message names file, line and expected columns.
    """
    rows, lines = _split(path)
    counts = (joints,) if isinstance(joints, int) else tuple(joints)
    joints = next((n for n in counts if len(rows[0]) in (3 * n, 3 * n + 1)), counts[0])
    path, columns = os.fspath(path), 3 * joints
    named = len(rows[0]) == columns + 1
    expected = f"{columns} numbers, u v d (or x y z) of {joints} joints"
    for row, line in zip(rows, lines, strict=True):
        if len(row) != columns + named:
            extra = ", and a name before them as in the first line" if named else ""
            raise PredictionError(
                f"{path}, line {line}: {len(row)} columns, expected {expected}{extra}; "
                "is it of another data set, or torn?"
            )
    names = tuple(row[0].decode("utf-8", "replace") for row in rows) if named else ()
    _refuse_twice(names, lines, path)
    values = _numbers([row[named:] for row in rows], lines, path, expected)
    return Table(path, values.reshape(len(rows), joints, 3), names, np.asarray(lines, np.int64))


def _refuse_twice(names: Sequence[str], lines: Sequence[int], path: str) -> None:
    """A frame that is named twice stands for another that is not; a file without names has none."""
    first: dict[str, int] = {}
    for name, line in zip(names, lines, strict=False):
        if first.setdefault(name, line) != line:
            raise PredictionError(f"{path}, lines {first[name]} and {line}: both are of frame {name[:60]!a}")


def write_table(
    path: str | os.PathLike[str], values: ArrayLike, *, names: Sequence[str] = (), decimals: int = 3
) -> None:
    """Write joints in the field's format, at once or not at all.

    Parameters
    ----------
    path
        The file; other predictions that are there are replaced.
    values : (N, J, 3)
        u, v, d or x, y, z, all finite.
    names
        Written before the numbers, where given; N of them, without white space.
    decimals
        Digits after the point; the field writes 3.

    Raises
    ------
    PredictionError
        Values that are not finite, naming the row; a file that cannot be written, or holds something else.
    UsageError
        Another shape, or names that do not fit.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 3 or array.shape[2] != 3:
        raise UsageError(f"joints have shape (N, J, 3), got {array.shape}")
    if names and (len(names) != len(array) or any(len(n.split()) != 1 for n in names)):
        raise UsageError(f"{len(array)} rows need as many names, each without white space, got {len(names)}")
    flat = array.reshape(len(array), -1)
    bad = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if len(bad):
        raise PredictionError(f"{os.fspath(path)}: row {bad[0]} (from 0) is not finite; nothing was written")
    pattern = " ".join([f"%.{decimals}f"] * flat.shape[1])
    text = [pattern % tuple(row) for row in flat]
    if names:
        text = [f"{name} {row}" for name, row in zip(names, text, strict=True)]
    replace_text(Path(path), "".join(f"{line}\n" for line in text))


def replace_text(path: Path, text: str) -> None:
    """Write predictions at once or not at all; other predictions that are there are replaced, and nothing else."""
    try:
        with replacing(path, holds_predictions) as place:
            place.write_text(text)
    except OutputError as error:
        raise PredictionError(str(error)) from error


def holds_predictions(path: Path) -> bool:
    """Whether a file begins as predictions do: with a line of numbers, which may have a name, or a list of JSON."""
    with open_regular(path) as file:
        first = file.readline(1 << 16).decode(errors="replace").replace(",", " ").split()
    if first and first[0].startswith("["):
        return path.suffix == ".json"
    try:
        return len([float(word) for word in first[1:]]) > 1
    except ValueError:
        return False


def read_angles(path: str | os.PathLike[str], rows: int) -> NDArray[np.float64]:
    """Viewpoints: (N, 2) float64, yaw and pitch in degrees, one frame a line.

    Raises
    ------
    PredictionError
        As `read_table`; or another number of rows than `rows`.
    """
    found, lines = _split(path)
    path = os.fspath(path)
    for row, line in zip(found, lines, strict=True):
        if len(row) != 2:
            raise PredictionError(f"{path}, line {line}: {len(row)} columns, expected 2: yaw and pitch, degrees")
    _check_count(path, len(found), rows)
    return _numbers(found, lines, path, "2 numbers: yaw and pitch, degrees")


def read_groups(path: str | os.PathLike[str], rows: int) -> dict[str, NDArray[np.bool_]]:
    """Which frames belong together: one label a line, such as a subject's name.

    Returns
    -------
    dict
        Label -> (N,) bool, in the order of their first frames.

    Raises
    ------
    PredictionError
        No such file, no text, or another number of lines than `rows`.
    """
    found, _ = _split(path)
    _check_count(os.fspath(path), len(found), rows)
    labels = np.asarray([b" ".join(row).decode("utf-8", "replace") for row in found])
    return {str(label): labels == label for label in dict.fromkeys(labels.tolist())}


def _check_count(path: str, found: int, expected: int) -> None:
    if found != expected:
        raise PredictionError(f"{path}: {found:,} rows, but {expected:,} frames are evaluated")


def _split(path: str | os.PathLike[str]) -> tuple[list[list[bytes]], list[int]]:
    """Words of each line that has any, and the lines' numbers."""
    name = os.fspath(path)
    try:
        if os.path.getsize(name) > _LARGEST:
            raise PredictionError(f"{name}: {os.path.getsize(name) / 2**30:.1f} GiB is no file of joints")
        with open(name, "rb") as file:  # a pipe, too: people write <(zcat predictions.gz)
            pieces = [file.read(1 << 20)]
            while pieces[-1] and len(pieces) <= _LARGEST >> 20:
                pieces.append(file.read(1 << 20))
        data = b"".join(pieces)
        if len(data) > _LARGEST:
            raise PredictionError(f"{name}: more than {_LARGEST / 2**30:.0f} GiB are no file of joints")
    except (OSError, ValueError) as error:
        raise PredictionError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if data.startswith((b"MATLAB", b"\x89HDF")):
        raise PredictionError(
            f"{name}: is a MATLAB or HDF5 file; write its joints as text, a line of numbers a frame"
        )
    if b"\0" in data:
        raise PredictionError(f"{name}: is no text (it holds a zero byte); expected lines of numbers in UTF-8")
    lines, numbers = filled_lines(data)
    if not lines:
        raise PredictionError(f"{name}: holds no rows; expected one line of numbers a frame")
    return [_words(line) for line in lines], numbers


def _words(line: bytes) -> list[bytes]:
    """Those between commas, where there are any: 1,2,3 or 1, 2, 3 or 1 2 3."""
    words = [word.strip() for word in line.removesuffix(b",").split(b",")]
    if len(words) == 1 or any(len(word.split()) > 1 for word in words):
        return line.split()
    return [word.strip(b'"') for word in words]


def _numbers(rows: list[list[bytes]], lines: Sequence[int], path: str, expected: str) -> NDArray[np.float64]:
    try:
        if max(len(word) for row in rows for word in row) > _LONGEST:
            raise ValueError("a number of so many digits")
        words = np.array(rows)
        values = words.astype(np.float64)
        if np.isfinite(values).all() and not (words.view(np.uint8) == ord("_")).any():  # NumPy takes 1_0 for 10
            return values
    except ValueError:
        pass
    # Something is wrong: find the first that is.
    for row, line in zip(rows, lines, strict=True):
        for column, word in enumerate(row, 1):
            try:
                value = parse_number(word) if len(word) <= _LONGEST else np.nan
            except ValueError:
                value = np.nan
            if not np.isfinite(value):
                shown = ascii(word[:20].decode("utf-8", "replace"))
                raise PredictionError(
                    f"{path}, line {line}, number {column}: {shown} is not a finite number; expected {expected}"
                )
    raise PredictionError(f"{path}: holds something that is not a finite number; expected {expected}")
