"""Text for the terminal. Names of frames, arrays and joints come from files, and may hold what moves the cursor."""

from __future__ import annotations

from typing import Any

import click


def printable(text: Any) -> str:
    """A text with its control characters written out; lines and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in str(text))


def echo(text: Any = "", *, err: bool = False, nl: bool = True) -> None:
    """`click.echo` of a text whose control characters are written out."""
    click.echo(printable(text), err=err, nl=nl)
