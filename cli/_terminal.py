"""Printing: whatever comes from a file is made printable first."""

from __future__ import annotations

from typing import Any

import click

from gmaps.formats.printable import printable

__all__ = ["echo", "printable"]


def echo(text: Any = "", *, err: bool = False, nl: bool = True, lines: bool = True) -> None:
    """`click.echo` of a text whose control characters are written out; see `printable` for `lines`."""
    click.echo(printable(text, lines), err=err, nl=nl)
