"""Numba kernels: arrays in, arrays out. They import numpy and numba, and nothing of gmaps but each other."""

from __future__ import annotations

import contextlib
from pathlib import Path


def _drop_stale_cache() -> None:
    """Remove compiled kernels that are older than any kernel's source.

    Numba recompiles a cached function when its own file changes, but not when a function that it calls, in another
    file, does: after `git pull` in an editable install it would go on computing yesterday's values.
    """
    here = Path(__file__).parent
    newest = max(file.stat().st_mtime for file in here.glob("*.py"))
    for index in here.glob("__pycache__/*.nbi"):
        # Another process may be doing the same.
        with contextlib.suppress(OSError):
            if index.stat().st_mtime < newest:
                index.unlink()


_drop_stale_cache()
