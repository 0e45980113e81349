"""Text for a terminal. Names of frames, arrays and joints come from files, and may hold what moves the cursor."""

from __future__ import annotations

import re
from typing import Any

#: A name and a password in an address.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+:[^/\s@]+@")


def printable(text: Any, lines: bool = True) -> str:
    """A text with its control characters written out, and without passwords in addresses.

    Parameters
    ----------
    text
        Anything.
    lines
        Whether ends of lines and tabs are the text's own and stay. Where False they are written out as well: a name
        with one would show what looks like a message of ours.
    """
    shown = _CREDENTIALS.sub("***@", str(text))
    kept = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in kept else ascii(c)[1:-1] for c in shown)
