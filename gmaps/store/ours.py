"""What may be removed: that of which it is certain that gmaps made it."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

#: Lies in a store that another one takes the place of, from before it loses its name until it is gone.
MARK = ".gmaps-replaced"
#: As `writer.temporary_name` makes them.
_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that a writer of ours gave it while it wrote."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_tree(path: Path, last: str) -> None:
    """Removes a directory of ours; what tells that it is goes last, so that a kill leaves no half of unknown origin.

    Parameters
    ----------
    path
        The directory; or a link to it, of which only the link goes.
    last
        Name of the file that tells.
    """
    if path.is_symlink():
        path.unlink()
        return
    if not path.exists():
        return
    with os.scandir(path) as entries:
        inside = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries if e.name != last]
    for name, directory in inside:
        if directory:
            shutil.rmtree(path / name)
        else:
            (path / name).unlink()
    with suppress(FileNotFoundError):
        (path / last).unlink()
    path.rmdir()
