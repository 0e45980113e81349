"""Every frame of a tree, found by its pattern, in few bytes a frame: millions of them must fit into every worker."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmaps.datasets.folder.patterns import PLACEHOLDERS, Pattern, Values
from gmaps.errors import DatasetError

_BATCH = 2**16
_MOST_NAMES = 2**15


class Frames(NamedTuple):
    """N frames in order: by split, subject, sequence and frame, numbers by their value.

    Parameters
    ----------
    codes : (N, 3) int16
        Places in `names` of each frame's split, subject and sequence.
    names
        What these are called; ("",) where the pattern does not have them.
    frame : (N,) bytes
        The text of {frame}, UTF-8.
    """

    codes: NDArray[np.int16]
    names: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    frame: NDArray[np.bytes_]

    def __len__(self) -> int:
        return len(self.frame)

    def values(self, row: int) -> Values:
        """What each placeholder of a frame stands for."""
        split, subject, sequence = (n[c] for n, c in zip(self.names, self.codes[row], strict=True))
        return split, subject, sequence, self.frame[row].decode()

    def text(self, row: int) -> str:
        """The text of {frame}."""
        result: str = self.frame[row].decode()
        return result


def find_frames(root: Path, pattern: Pattern) -> Frames:
    """Walk a tree once.

    Parameters
    ----------
    root
        Where the pattern begins.
    pattern
        Of the frames' files.

    Raises
    ------
    DatasetError
        A directory cannot be listed, or there are more subjects or sequences than an index holds.
    """
    place: tuple[dict[str, int], ...] = ({}, {}, {})
    codes, frames = [np.empty((0, 3), np.int32)], [np.empty(0, "S1")]
    walk = pattern.walk(root)
    while batch := list(islice(walk, _BATCH)):
        rows = [[p.setdefault(v, len(p)) for p, v in zip(place, values[:3], strict=True)] for values in batch]
        codes.append(np.array(rows, np.int32))
        frames.append(np.array([values[3].encode() for values in batch]))
        for what, names in zip(PLACEHOLDERS, place, strict=False):
            if len(names) > _MOST_NAMES:
                raise DatasetError(
                    f"{root}: more than {_MOST_NAMES:,} values of {{{what}}} in {pattern.text!r}: is it a {{frame}}?"
                )
    code, frame = np.concatenate(codes), np.concatenate(frames)
    ranked, known = [], []
    for k, names in enumerate(place):
        by_rank = sorted(names, key=_natural)
        rank = np.empty(len(names), np.int16)
        rank[[names[n] for n in by_rank]] = np.arange(len(names))
        ranked.append(rank[code[:, k]] if len(names) else np.empty(0, np.int16))
        known.append(tuple(by_rank))
    number = numbers(frame)
    order = np.lexsort((frame, number, number < 0, *reversed(ranked)))
    return Frames(np.stack(ranked, axis=1)[order], (known[0], known[1], known[2]), frame[order])


def numbers(frame: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """(N,) int64, the numbers that texts are; -1 where they are none, or none that 64 bits hold."""
    out = np.full(len(frame), -1, np.int64)
    good = np.char.isdigit(frame) & (np.char.str_len(frame) <= 18)
    out[good] = frame[good].astype(np.int64)
    return out


def _natural(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)
