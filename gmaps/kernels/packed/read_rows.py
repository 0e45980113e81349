"""Kernels that read a whole batch in one call, straight out of mapped files and without the GIL.

Rows are named by `slot`, the position of their file among those of the batch, and `row`, their place in that file.
The caller holds the files, whose addresses come in, until the call is over.
"""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.packed.encode import BYTES, U
from gmaps.kernels.packed.half import half_to_float
from gmaps.kernels.packed.unpack import padded, scatter, scratch, to_floats, to_stored, unpack_codes
from gmaps.kernels.packed.vectors import bytes_at, call_decompress, words_at

_MISSING = np.uint64(2**64 - 1)


@jit
def gather(slot, row, start, out):
    """Rows of uncompressed files.

    Parameters
    ----------
    slot, row : (n,) int64
    start : (files,) uint64
        Address of each file's first row.
    out : (n, bytes) uint8
        Is filled.
    """
    size = out.shape[1]
    for k in range(slot.size):
        out[k] = bytes_at(start[slot[k]] + U(row[k] * size), size)


@jit
def _chunk(slot, row, start, index):
    """A row's chunk; empty where none was written."""
    entry = words_at(index[slot] + U(16 * row), 2)
    if entry[0] == _MISSING:
        return bytes_at(start[slot], 0), True
    return bytes_at(start[slot] + entry[0], np.int64(entry[1])), False


@jit
def _number(chunk, at):
    """Four bytes, little endian."""
    i = U(at)
    return (
        np.int64(chunk[i])
        | np.int64(chunk[i + U(1)]) << 8
        | np.int64(chunk[i + U(2)]) << 16
        | np.int64(chunk[i + U(3)]) << 24
    )


@jit
def _decompress(function, chunk, out):
    """A Blosc chunk to `out`, (bytes,) uint8; False when it cannot be that. As `codec.decompress`."""
    if chunk.size < 16 or _number(chunk, 4) != out.size or _number(chunk, 12) != chunk.size:
        return False
    return call_decompress(function, U(chunk.ctypes.data), U(out.ctypes.data), U(out.size)) == out.size


@jit
def decompress_stored(function, slot, row, start, index, missing, out):
    """Rows of files of Blosc chunks, as stored.

    Parameters
    ----------
    function : uint64
        Address of `blosc_decompress_ctx`.
    slot, row, start, index
        See `unpack_floats`.
    missing : (n,) bool
        Filled: True for rows that were never written, whose `out` stays as it is.
    out : (n, bytes) uint8
        Is filled.

    Returns
    -------
    int
        The first of the n that is damaged; -1 when none is.
    """
    for k in range(slot.size):
        chunk, missing[k] = _chunk(slot[k], row[k], start, index)
        if not missing[k] and not _decompress(function, chunk, out[k]):
            return k
    return -1


@jit
def decompress_floats(function, slot, row, start, index, missing, halves, scale, offset, out):
    """As `decompress_stored`, but decoded: `out` is (n, values) float32; the rest as in `unpack_floats`."""
    values = out.shape[1]
    raw = np.empty(2 * values if halves else values, np.uint8)
    for k in range(slot.size):
        chunk, missing[k] = _chunk(slot[k], row[k], start, index)
        if missing[k]:
            continue
        if not _decompress(function, chunk, raw):
            return k
        if halves:
            half_to_float(raw.view(np.uint16), out[k].view(np.uint32))
        else:
            to_floats(raw, BYTES, scale, offset, out[k])
    return -1


@jit
def unpack_floats(slot, row, start, index, shape, halves, scale, offset, fill, out):
    """Rows of files of packed chunks, decoded.

    Parameters
    ----------
    slot, row : (n,) int64
    start, index : (files,) uint64
        Addresses of each file's first byte, and of its index: offset and size of every chunk, uint64, which lie
        inside the file.
    shape
        Rows, columns and lanes of a chunk.
    halves
        Whether values are float16, else uint8.
    scale, offset : float32
        What uint8 codes mean.
    fill : float32
        The value of rows that were never written.
    out : (n, values) float32
        Is filled.

    Returns
    -------
    k, problem
        The first of the n that is damaged, and an index of `unpack.PROBLEMS`; -1 and 0 when all is well.
    """
    rows, cols, lanes = shape
    zigzag, code, where, rank = scratch(rows, cols, lanes)
    values = np.empty(code.size, np.float32)
    for k in range(slot.size):
        chunk, missing = _chunk(slot[k], row[k], start, index)
        if missing:
            out[k] = fill
            continue
        problem, n, mode, off = unpack_codes(chunk, rows, cols, lanes, halves, zigzag, code, where, rank)
        if problem:
            return k, problem
        count = n * padded(lanes) + 1
        code[count - 1] = off
        to_floats(code[:count], mode, scale, offset, values[:count])
        scatter(values, n, where, lanes, out[k])
    return -1, 0


@jit
def unpack_stored(slot, row, start, index, shape, halves, fill, out):
    """As `unpack_floats`, but as stored: `out` is (n, values) uint8, or uint16, the bits of float16; so is `fill`."""
    rows, cols, lanes = shape
    zigzag, code, where, rank = scratch(rows, cols, lanes)
    values = np.empty(code.size, out.dtype)
    for k in range(slot.size):
        chunk, missing = _chunk(slot[k], row[k], start, index)
        if missing:
            out[k] = fill
            continue
        problem, n, mode, off = unpack_codes(chunk, rows, cols, lanes, halves, zigzag, code, where, rank)
        if problem:
            return k, problem
        count = n * padded(lanes) + 1
        code[count - 1] = off
        to_stored(code[:count], mode, values[:count])
        scatter(values, n, where, lanes, out[k])
    return -1, 0
