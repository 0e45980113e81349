"""How many files this process may hold open: a library that meets the limit in a thread of its own waits for ever."""

from __future__ import annotations

import os
import resource

from gmaps.errors import GmapsError


def make_room(needed: int) -> int:
    """How many more files this process may open; its limit is raised where that is allowed and needed.

    Parameters
    ----------
    needed
        Files that are about to be opened.

    Returns
    -------
    int
        Files that may be opened from now on: fewer than `needed` where the system's own limit is reached.
    """
    held = _open_now()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = held + needed
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        except (OSError, ValueError):  # some systems allow less than they say
            pass
    return needed if soft == resource.RLIM_INFINITY else soft - held


def require_room(needed: int, what: str, cure: str) -> None:
    """Refuse what would open more files than this process may.

    Parameters
    ----------
    needed, what, cure
        How many files, for what, and what to do besides raising the limit.

    Raises
    ------
    GmapsError
        With the limit.
    """
    if make_room(needed) < needed:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise GmapsError(
            f"{what} would have about {needed + _open_now()} files open at once, and this process may have {soft}: "
            f"raise `ulimit -n`, or {cure}"
        )


def _open_now() -> int:
    for place in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(place))
        except OSError:
            continue
    return 32
