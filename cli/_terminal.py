"""Text for the terminal. Names of frames, arrays and joints come from files, and may hold what moves the cursor."""

from __future__ import annotations

import re
from typing import Any

import click

#: A name and a password in an address.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+:[^/\s@]+@")


def printable(text: Any) -> str:
    """A text with its control characters (but lines and tabs) written out, and without passwords in addresses."""
    shown = _CREDENTIALS.sub("***@", str(text))
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in shown)


def echo(text: Any = "", *, err: bool = False, nl: bool = True) -> None:
    """`click.echo` of a text whose control characters are written out."""
    click.echo(printable(text), err=err, nl=nl)
