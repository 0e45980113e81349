"""How every kernel of gmaps is compiled, and how its compiled code is kept from one process to the next.

Numba keeps compiled code on disk and trusts it while the file of the function is unchanged. That is not enough: a
kernel holds the code of the helpers that it calls in other files, so after an edit of a helper it would go on
computing yesterday's values. Here compiled code is trusted only while its own file and all kernel files that it
imports are unchanged, wherever Numba keeps it (beside the source, in `NUMBA_CACHE_DIR`, in the user's cache), and
only if its bytes are those that were written: a damaged file would otherwise be run.

The first compilation of a process is told to the logger "gmaps": it can take half a minute of silence.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import pickle
import re
import zlib
from pathlib import Path
from typing import Any

import numba as nb
from numba.core import event as numba_event
from numba.core.caching import IndexDataCacheFile

from gmaps.errors import UsageError

if getattr(nb.config, "DISABLE_JIT", 0):
    raise UsageError(
        "gmaps' kernels run compiled only, and NUMBA_DISABLE_JIT is set: unset it, or set it to 0 "
        "(slow readable twins of the kernels are in tests/reference)"
    )


_HERE = Path(__file__).parent
_IMPORT = re.compile(r"^\s*from gmaps\.kernels([\w.]*) import (\([^)]*\)|[^\n]*)", re.M)


@functools.cache
def _read(file: Path) -> tuple[bytes, frozenset[Path]]:
    """A kernel file's source, and the kernel files that it imports."""
    source = file.read_bytes()
    found = set()
    for package, names in _IMPORT.findall(source.decode()):
        place = _HERE.joinpath(*package.split("."))
        found |= {place.with_suffix(".py"), *(place / f"{name}.py" for name in re.findall(r"\w+", names))}
    return source, frozenset(f for f in found if f.is_file())


@functools.cache
def sources_digest(file: Path) -> str:
    """SHA-256, in hex, of a kernel file and of all kernel files that it imports, and those import, and so on."""
    files: set[Path] = set()
    more = {file}
    while more:
        files |= more
        more = {imported for one in more for imported in _read(one)[1]} - files
    sha = hashlib.sha256()
    for one in sorted(files):
        sha.update(one.name.encode() + b"\0" + _read(one)[0] + b"\0")
    return sha.hexdigest()


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


class _Announcement(numba_event.Listener):
    """Says once that kernels are being compiled."""

    said = False

    def on_start(self, event: numba_event.Event) -> None:
        """A function is being compiled: it was in no cache."""
        if not self.said and str(event.data["dispatcher"].py_func.__module__).startswith("gmaps."):
            self.said = True
            logging.getLogger("gmaps").info("compiling kernels: once after an installation or update, up to a minute")

    def on_end(self, event: numba_event.Event) -> None:
        """It was compiled."""


numba_event.register("numba:compile", _Announcement())


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
    """
    if function is None:
        return lambda decorated: jit(decorated, inline=inline)
    made = nb.njit(nogil=True, cache=True, error_model="numpy", inline=inline)(function)
    plain = made._cache._cache_file
    base = os.path.splitext(plain._index_name)[0]
    made._cache._cache_file = _CheckedFiles(
        plain._cache_path, base, sources_digest(Path(function.__code__.co_filename))
    )
    return made
