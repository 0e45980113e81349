"""Label files of one frame a line: a name, then numbers.

The largest has a million lines and 600 MB. So a scan notes where each line begins and what it names; its numbers are
parsed when its frame is read, and labels never fill the memory of a worker.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gmaps.errors import DatasetError, FrameError
from gmaps.formats.regular import open_regular

#: No line of labels is longer than this: 64 words of 30 digits, and a path.
LONGEST = 8192

#: What Windows' programs put before text in UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Named = TypeVar("Named")


def filled_lines(data: bytes) -> tuple[list[bytes], list[int]]:
    """Lines of a text that are not blank, and their numbers in it, from 1.

    A blank line is no row: one that somebody left in the middle must not shift all rows behind it. The two returns
    that end ICVL's lines are one end, and a byte order mark is no text.
    """
    data = data.removeprefix(BYTE_ORDER_MARK)
    lines = [line.strip() for line in data.split(b"\n" if b"\n" in data else b"\r")]
    kept = [k for k, line in enumerate(lines) if line]
    return [lines[k] for k in kept], [k + 1 for k in kept]


def parse_number(word: bytes) -> float:
    """A word as a number; NaN and infinity are numbers here.

    Raises
    ------
    ValueError
        It is none. Python would take 1_0 for 10.
    """
    if b"_" in word:
        raise ValueError(f"{word[:40]!r} is no number")
    return float(word)


class Lines(NamedTuple):
    """Where the lines of one file begin and end, and what stands in for its content.

    Parameters
    ----------
    start : (N,) int64
        First byte of each line that is not blank.
    number : (N,) int64
        Its number in the file, from 1.
    digest
        32 hexadecimal digits of the lines without their ends: copies with other line ends are equal.
    """

    start: NDArray[np.int64]
    number: NDArray[np.int64]
    digest: str


def scan_file(
    path: Path, parse_name: Callable[[bytes], Named | None], strict: bool = True
) -> tuple[Lines, list[Named]]:
    """As `scan`, of a file; `strict` refuses two lines that name one frame and differ.

    Raises
    ------
    DatasetError
        Also when the file cannot be read, or is strictly read and has two such lines.
    """
    try:
        with open_regular(path) as f:
            lines, names = scan(f, str(path), parse_name)
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror or error}); restore it from the archive"
        ) from error
    if strict and len(set(names)) < len(names):
        _refuse_two(path, lines, names)
    return lines, names


def _refuse_two(path: Path, lines: Lines, names: list[Named]) -> None:
    """Refuse two lines that name one frame and differ: nobody knows which is right. Copies of a line do no harm."""
    first: dict[Named, int] = {}
    for k, name in enumerate(names):
        other = first.setdefault(name, k)
        if other == k:
            continue
        a, b = (read_line(path, int(lines.start[i]), str(path)).split()[1:] for i in (other, k))
        if a != b:
            raise DatasetError(
                f"{path}, lines {lines.number[other]} and {lines.number[k]}: name one frame, with other numbers; see "
                "which of them is right, and restore the file from the archive"
            )


def scan(
    stream: BinaryIO | io.BytesIO, name: str, parse_name: Callable[[bytes], Named | None]
) -> tuple[Lines, list[Named]]:
    """Go through a label file once.

    Parameters
    ----------
    stream
        The file, in binary: text mode would take the two returns that end ICVL's lines for two lines.
    name
        What messages call it.
    parse_name
        Makes what a line names of its first word; None where that is no name.

    Returns
    -------
    lines : Lines
        All that are not blank.
    names : list
        What each names.

    Raises
    ------
    DatasetError
        A line too long, or one whose first word is no name.
    """
    starts: list[int] = []
    numbers: list[int] = []
    names: list[Named] = []
    content = hashlib.blake2b(digest_size=16)
    at = 0
    for number, line in enumerate(_lines(stream, name), 1):
        if number == 1 and line.startswith(BYTE_ORDER_MARK):
            at, line = len(BYTE_ORDER_MARK), line[len(BYTE_ORDER_MARK) :]
        words = line.split(None, 1)
        if words:
            named = parse_name(words[0])
            if named is None:
                raise DatasetError(
                    f"{name}, line {number}: begins with {words[0][:60]!r}, which is no frame's name; "
                    "restore it from the archive"
                )
            starts.append(at)
            numbers.append(number)
            names.append(named)
            content.update(line.rstrip() + b"\n")
        at += len(line)
    return Lines(np.array(starts, np.int64), np.array(numbers, np.int64), content.hexdigest()), names


def _lines(stream: BinaryIO | io.BytesIO, name: str) -> Iterator[bytes]:
    number = 0
    while line := stream.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise DatasetError(
                f"{name}, line {number}: longer than {LONGEST:,} bytes, so this is no file of labels; restore it"
            )
        yield line


def read_line(path: Path, start: int, name: str) -> bytes:
    """The line that begins at a byte of a file.

    Raises
    ------
    FrameError
        When it cannot be read.
    """
    try:
        with open_regular(path) as f:
            data = os.pread(f.fileno(), LONGEST, start)
    except OSError as error:
        raise FrameError(f"{name}: its labels cannot be read ({error.strerror or error}); restore {path}") from error
    return data.split(b"\n", 1)[0]


def parse_numbers(line: bytes, count: int, name: str) -> NDArray[np.float64]:
    """The numbers behind a line's name.

    Parameters
    ----------
    line
        A name and numbers, with any white space between.
    count
        How many numbers there must be.
    name
        What messages call the line.

    Returns
    -------
    (count,) float64

    Raises
    ------
    FrameError
        Another number of words, or one that is no number. NaN and infinity are numbers here.
    """
    name_and_rest = line.split(None, 1)
    rest = name_and_rest[1] if len(name_and_rest) == 2 else b""
    words = rest.split()
    if len(words) != count:
        raise FrameError(f"{name}: {len(words)} numbers, not {count}; correct the labels")
    try:
        return np.fromiter(map(parse_number if b"_" in rest else float, words), np.float64, count)
    except ValueError as error:
        raise FrameError(f"{name}: {error}; correct the labels") from None
