"""How every kernel of gmaps is compiled, and how its compiled code is kept from one process to the next.

Numba keeps compiled code on disk and trusts it while the file of the function is unchanged. That is not enough: a
kernel holds the code of the helpers that it calls in other files, so after an edit of a helper it would go on
computing yesterday's values. Here compiled code is trusted only while no kernel's source changed, wherever Numba
keeps it (beside the source, in `NUMBA_CACHE_DIR`, in the user's cache), and only if its bytes are those that were
written: a damaged file would otherwise be run.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import numba as nb
from numba.core.caching import IndexDataCacheFile


def _digest() -> str:
    """SHA-256 of the sources of all kernels, in hex."""
    sha = hashlib.sha256()
    here = Path(__file__).parent
    for file in sorted(here.rglob("*.py")):
        sha.update(file.relative_to(here).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return sha.hexdigest()


#: Compiled code of other sources than these is compiled anew.
SOURCES = _digest()


class _CheckedFiles(IndexDataCacheFile):
    """Numba's files of one function, each behind the checksum of its bytes."""

    def _load_index(self) -> dict[Any, str]:
        try:
            return super()._load_index()
        except Exception:  # unpickling damaged bytes may raise anything; what cannot be read is compiled anew
            return {}

    def _load_data(self, name: str) -> Any:
        with open(self._data_path(name), "rb") as file:
            data = file.read()
        if len(data) < 4 or zlib.crc32(data[4:]).to_bytes(4, "little") != data[:4]:
            raise OSError(f"{name} is damaged")  # Numba takes it as missing, compiles and writes it again
        return pickle.loads(data[4:])

    def _dump(self, obj: Any) -> bytes:
        # Of data files and of the index, whose own bytes are not checked, but hold nothing that is run.
        return super()._dump(obj)

    def _save_data(self, name: str, data: Any) -> None:
        dumped = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(zlib.crc32(dumped).to_bytes(4, "little") + dumped)


def jit(function: Any = None, *, inline: str = "never") -> Any:
    """Compile a kernel: without the GIL, kept on disk, with NumPy's rules for division by zero.

    Parameters
    ----------
    function
        What is decorated; `@jit` and `@jit(inline="always")` both work.
    inline
        "always" inlines it in Numba's own representation, before LLVM.

    Returns
    -------
    Dispatcher
        Or `function` itself under `NUMBA_DISABLE_JIT=1`.
    """
    if function is None:
        return lambda decorated: jit(decorated, inline=inline)
    made = nb.njit(nogil=True, cache=True, error_model="numpy", inline=inline)(function)
    cache = getattr(made, "_cache", None)
    if cache is not None:  # None under NUMBA_DISABLE_JIT
        plain = cache._cache_file
        base = os.path.splitext(plain._index_name)[0]
        cache._cache_file = _CheckedFiles(plain._cache_path, base, SOURCES)
    return made
