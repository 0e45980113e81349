"""PNG by its specification: filters undone byte by byte, and files written with whatever filters one likes."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FORMS = {"rgb8": (8, 2), "grey8": (8, 0), "grey16": (16, 0)}


def _guess(kind: int, a: int, b: int, c: int) -> int:
    """What a filter expects of a byte with a to its left, b above it and c above left."""
    if kind == 4:
        p = a + b - c
        return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]  # ties: a before b before c
    return (0, a, b, (a + b) // 2)[kind]


def _neighbours(rows: np.ndarray, r: int, i: int, pixel: int) -> tuple[int, int, int]:
    a = int(rows[r, i - pixel]) if i >= pixel else 0
    b = int(rows[r - 1, i]) if r else 0
    c = int(rows[r - 1, i - pixel]) if r and i >= pixel else 0
    return a, b, c


def unfilter(data: bytes, height: int, pixel: int) -> np.ndarray:
    """(height, bytes of a row) uint8 from inflated data."""
    lines = np.frombuffer(data, np.uint8).reshape(height, -1)
    rows = lines[:, 1:].copy()
    for r in range(height):
        for i in range(rows.shape[1]):
            guess = _guess(int(lines[r, 0]), *_neighbours(rows, r, i, pixel))
            rows[r, i] = (int(rows[r, i]) + guess) % 256
    return rows


def filtered(image: np.ndarray, filters: list[int]) -> bytes:
    """Pixels as they are deflated; a filter a row."""
    pixel = image.itemsize * (1 if image.ndim == 2 else image.shape[2])
    rows = np.ascontiguousarray(image.astype(image.dtype.newbyteorder(">"))).view(np.uint8).reshape(len(image), -1)
    lines = []
    for r, kind in enumerate(filters):
        line = [
            (int(v) - _guess(kind, *_neighbours(rows, r, i, pixel))) % 256 for i, v in enumerate(rows[r].tolist())
        ]
        lines.append(bytes([kind, *line]))
    return b"".join(lines)


def chunk(tag: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def header(kind: str, width: int, height: int, interlace: int = 0) -> bytes:
    """The first chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *_FORMS[kind], 0, 0, interlace))


def write_png(image: np.ndarray, filters: list[int], *, pieces: int = 1, level: int = 6) -> bytes:
    """A whole file; red first."""
    kind = "rgb8" if image.ndim == 3 else f"grey{8 * image.itemsize}"
    packed = zlib.compress(filtered(image, filters), level)
    ends = [len(packed) * k // pieces for k in range(pieces + 1)]
    body = b"".join(chunk(b"IDAT", packed[a:b]) for a, b in pairwise(ends))
    return SIGNATURE + header(kind, image.shape[1], image.shape[0]) + body + chunk(b"IEND", b"")
