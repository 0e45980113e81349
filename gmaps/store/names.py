"""Names that become paths. Whatever comes from a file or from a command line is looked at here first."""

from __future__ import annotations

from gmaps.errors import UsageError

#: No file system takes longer names.
_LONGEST = 255


def is_plain(name: object) -> bool:
    """Whether it can name one file or directory, and nothing else: no path, not hidden, printable."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= _LONGEST
        and name.isprintable()
        and not name.startswith((".", "~"))
        and not {"/", "\\"} & set(name)
    )


def is_inner(path: object) -> bool:
    """Whether it is a path of plain names, like "maps/geodesic/c.0.0.0.0", which stays below where it begins."""
    return isinstance(path, str) and all(is_plain(part) for part in path.split("/"))


def check_kind(kind: object) -> None:
    """Refuse a kind of map that cannot name a directory.

    Raises
    ------
    UsageError
        With the kind.
    """
    if not is_plain(kind):
        raise UsageError(f"{kind!r} is no name of a map kind: a kind is one plain name, no path")
