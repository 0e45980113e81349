"""Kernels that read a whole batch in one call, straight out of mapped files and without the GIL.

Rows are named by `slot`, the position of their file among those of the batch, and `row`, their place in that file.
The caller holds the files, whose addresses come in, until the call is over.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from gmaps.store.packed import U
from gmaps.store.unpack import scatter, scratch, to_floats, to_stored, unpack_codes

_MISSING = np.uint64(2**64 - 1)


@intrinsic
def _pointer(typingctx, address):
    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.uint64), generate


@njit(nogil=True, cache=True)
def _bytes_at(address, size):
    return carray(_pointer(np.uint64(address)), (size,), np.uint8)


@njit(nogil=True, cache=True)
def _words_at(address, size):
    return carray(_pointer(np.uint64(address)), (size,), np.uint64)


@njit(nogil=True, cache=True)
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
        out[k] = _bytes_at(start[slot[k]] + U(row[k] * size), size)


@njit(nogil=True, cache=True)
def _chunk(slot, row, start, index):
    """A row's chunk; empty where none was written."""
    entry = _words_at(index[slot] + U(16 * row), 2)
    if entry[0] == _MISSING:
        return _bytes_at(start[slot], 0), True
    return _bytes_at(start[slot] + entry[0], np.int64(entry[1])), False


@njit(nogil=True, cache=True)
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
    code, where, rank = scratch(rows, cols, lanes)
    values = np.empty(rows * cols * lanes + 1, np.float32)
    for k in range(slot.size):
        chunk, missing = _chunk(slot[k], row[k], start, index)
        if missing:
            out[k] = fill
            continue
        problem, n, mode, off = unpack_codes(chunk, rows, cols, lanes, halves, code, where, rank)
        if problem:
            return k, problem
        code[n * lanes] = off
        to_floats(code[: n * lanes + 1], mode, scale, offset, values[: n * lanes + 1])
        scatter(values, n, where, lanes, out[k])
    return -1, 0


@njit(nogil=True, cache=True)
def unpack_stored(slot, row, start, index, shape, halves, fill, out):
    """As `unpack_floats`, but as stored: `out` is (n, values) uint8, or uint16, the bits of float16; so is `fill`."""
    rows, cols, lanes = shape
    code, where, rank = scratch(rows, cols, lanes)
    values = np.empty(rows * cols * lanes + 1, out.dtype)
    for k in range(slot.size):
        chunk, missing = _chunk(slot[k], row[k], start, index)
        if missing:
            out[k] = fill
            continue
        problem, n, mode, off = unpack_codes(chunk, rows, cols, lanes, halves, code, where, rank)
        if problem:
            return k, problem
        code[n * lanes] = off
        to_stored(code[: n * lanes + 1], mode, values[: n * lanes + 1])
        scatter(values, n, where, lanes, out[k])
    return -1, 0
