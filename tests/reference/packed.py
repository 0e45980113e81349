"""The packed codec by its specification (docs/packed-codec.md), one number at a time."""

from __future__ import annotations

import struct

import numpy as np


def _grid(shape):
    padded = (1, 1, *shape)
    return int(np.prod(padded[:-2])), padded[-2], padded[-1]


def _signed(z):
    return z // 2 if z % 2 == 0 else -(z + 1) // 2


def _wrap(v):
    return (v + 32768) % 65536 - 32768


def _foretold(codes, row, col, lane):
    """A cell's code from those of the stored cells before it; `codes` maps (row, col) to lanes."""

    def at(dr, dc):
        return codes.get((row + dr, col + dc))

    w, n, ww, nn, nw, ne = at(0, -1), at(-1, 0), at(0, -2), at(-2, 0), at(-1, -1), at(-1, 1)
    if w and n and nw:
        return w[lane] + n[lane] - nw[lane]
    if w and n and ne:
        return w[lane] + ne[lane] - n[lane]
    if w and ww:
        return 2 * w[lane] - ww[lane]
    if n and nn:
        return 2 * n[lane] - nn[lane]
    for one in (w, n, ne, nw):
        if one:
            return one[lane]
    return 0


def _value(code, mode):
    if mode == 0:
        return np.uint8(code)
    if mode == 1:
        return np.float16(code / 2048)
    bits = code if code >= 0 else (code & 0xFFFF) ^ 0x7FFF
    return np.uint16(bits).view(np.float16)


def decode(chunk, shape, dtype):
    """A chunk to an array."""
    rows, cols, lanes = _grid(shape)
    version, mode, off, n, _ = struct.unpack_from("<BBhII", chunk)
    assert version == 1
    at = 12
    bits = np.unpackbits(np.frombuffer(chunk, np.uint8, -(-rows * cols // 8), at), bitorder="little")
    stored = [int(i) for i in np.flatnonzero(bits[: rows * cols])]
    assert len(stored) == n
    at += -(-rows * cols // 8)
    groups = -(-n * lanes // 8)
    nibbles = [b >> s & 15 for b in chunk[at : at + -(-groups // 2)] for s in (0, 4)][:groups]
    at += -(-groups // 2)
    numbers = []
    for nibble in nibbles:
        width = 16 if nibble == 15 else nibble
        held = int.from_bytes(chunk[at : at + width], "little")
        numbers += [held >> (k * width) & ((1 << width) - 1) for k in range(8)]
        at += width
    assert chunk[at:] == bytes(8)
    out = np.empty((rows * cols, lanes), dtype)
    out[:] = _value(off, mode)
    codes = {}
    for k, cell in enumerate(stored):
        row, col = divmod(cell, cols)
        codes[row, col] = [
            _wrap(_signed(numbers[k * lanes + j]) + _foretold(codes, row, col, j)) for j in range(lanes)
        ]
        out[cell] = [_value(c, mode) for c in codes[row, col]]
    return out.reshape(shape)


def encode(values, fill):
    """An array to a chunk."""
    rows, cols, lanes = _grid(values.shape)
    flat = np.append(values.reshape(-1), values.dtype.type(fill))
    if values.dtype == np.uint8:
        mode, code = 0, [int(v) for v in flat]
    else:
        with np.errstate(invalid="ignore"):  # NaN
            wide = flat.astype(np.float64) * 2048
        if np.all((np.abs(wide) <= 2048) & (np.rint(wide) == wide) & ~((flat == 0) & np.signbit(flat))):
            mode, code = 1, [int(v) for v in wide]
        else:
            mode, code = 2, [int(b) if b < 32768 else _wrap(int(b) ^ 0x7FFF) for b in flat.view(np.uint16)]
    off = code.pop()
    cells = np.reshape(code, (rows * cols, lanes)).tolist()
    stored = [i for i, c in enumerate(cells) if any(v != off for v in c)]
    codes, numbers = {}, []
    for cell in stored:
        row, col = divmod(cell, cols)
        for j in range(lanes):
            r = _wrap(cells[cell][j] - _foretold(codes, row, col, j))
            numbers.append(2 * r if r >= 0 else -2 * r - 1)
        codes[row, col] = cells[cell]
    numbers += [0] * (-len(numbers) % 8)
    groups = [numbers[k : k + 8] for k in range(0, len(numbers), 8)]
    widths = [max(g).bit_length() for g in groups]
    widths = [16 if w == 15 else w for w in widths]
    nibbles = [min(w, 15) for w in widths] + [0] * (len(widths) % 2)
    payload = b"".join(
        sum(v << (k * w) for k, v in enumerate(g)).to_bytes(w, "little") for g, w in zip(groups, widths, strict=True)
    )
    bitmap = np.zeros(rows * cols, np.uint8)
    bitmap[stored] = 1
    return (
        struct.pack("<BBhII", 1, mode, off, len(stored), len(payload))
        + np.packbits(bitmap, bitorder="little").tobytes()
        + bytes(a | b << 4 for a, b in zip(nibbles[::2], nibbles[1::2], strict=True))
        + payload
        + bytes(8)
    )
