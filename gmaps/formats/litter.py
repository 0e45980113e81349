"""Files that operating systems leave in every folder: no frames, no labels and no damage."""

from __future__ import annotations


def is_litter(name: str) -> bool:
    """Whether an operating system left a file behind: `._*` and `.DS_Store` of macOS, `Thumbs.db` of Windows."""
    return name.startswith("._") or name in (".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX")
