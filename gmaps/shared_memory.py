"""The machine's shared memory, `/dev/shm`: locks of processes and batches of a loader lie in it.

Containers have 64 MB of it unless more is asked for. Where it is full, Python's locks cannot be made and Dask tries
for ever to start its workers; PyTorch speaks of files that nobody named.
"""

from __future__ import annotations

import os

from gmaps.errors import SharedMemoryError

PLACE = "/dev/shm"
#: What the locks and queues of one process take, rounded up: each is a page.
_A_PROCESS = 64 << 10


def free_bytes() -> int | None:
    """What is free of it; None on systems without."""
    try:
        found = os.statvfs(PLACE)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def check_shared_memory(processes: int, without: str = "--workers 0") -> None:
    """Refuse to start processes whose locks it has no room for.

    Raises
    ------
    SharedMemoryError
        With what is free, and the cure.
    """
    free = free_bytes()
    if processes and free is not None and free < processes * _A_PROCESS:
        raise full(f"{processes} processes cannot be started", without)


def full(what: str, without: str = "--workers 0") -> SharedMemoryError:
    """What to raise where it is full: `what` could not be done."""
    free = free_bytes()
    left = "" if free is None else f" ({free / 2**20:.1f} MB free)"
    return SharedMemoryError(
        f"{what}: {PLACE} is full{left}. Make it larger (docker run --shm-size=1g, or remount it), clear "
        f"what lies in it, or use {without}, which needs none"
    )
