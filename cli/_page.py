"""What `gmaps view` and `gmaps track --live` share: a page on this machine, and the browser that shows it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ._terminal import echo

if TYPE_CHECKING:
    from gmaps.viewer.server import ViewServer


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the page is, and whether the browser opens it."""
    for option in reversed((
        click.option("--port", type=click.IntRange(1, 65535), help="Of the page; by default a free one."),
        click.option("--open/--no-open", "opens", default=None,
                     help="Open the page in the browser; by default where this session has a screen."),
    )):  # fmt: skip
        command = option(command)
    return command


def serve_page(port: int | None, opens: bool | None, *, err: bool) -> ViewServer:
    """Serve the page, print its address, and open it; what it shows comes later.

    Raises
    ------
    UsageError
        The port is taken.
    """
    from gmaps.viewer.server import ViewServer

    server = ViewServer(port or 0)
    echo(server.address, err=err)
    sys.stdout.flush()
    if opens or (opens is None and _has_screen()):
        threading.Thread(target=_open, args=(server.address,), daemon=True).start()
    return server


def _has_screen() -> bool:
    """Whether a browser can be opened: one in a terminal, on a machine far away, would be in the way."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        echo("gmaps: no browser could be opened here: open the address above in one yourself", err=True)
