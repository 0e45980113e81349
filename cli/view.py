"""`gmaps view`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from ._common import find_store
from ._page import page_options, serve_page
from ._terminal import echo, printable

if TYPE_CHECKING:
    from gmaps.viewer.server import Site


@click.command(short_help="Look at a store, a run or a recording in the browser.")
@click.argument("what", required=False, metavar="[STORE|RUN|RECORDING]")
@click.option("--predictions", metavar="PRED", help="A store's predicted joints, of `gmaps predict --out`; a "
              "recording's hands, of `gmaps track --out`.")  # fmt: skip
@click.option("--checkpoint", metavar="C", help="A network that predicts a store's joints as they are looked at.")
@click.option("--model", metavar="MODULE:NAME", help="Where the checkpoint is of a network of your own.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda: of the checkpoint.")
@page_options
def view(what: str | None, port: int | None, opens: bool | None, **options: Any) -> None:
    """Show a STORE, a RUN (or a folder of runs), or a RECORDING of `gmaps track` in the browser.

    The page is served to this machine alone, at an address that only this terminal knows. Without an argument it is
    the only store here, or $GMAPS_STORE. Ctrl-C ends it.
    """
    from gmaps.viewer.target import kind_of

    path = str(find_store(None)) if what is None else what
    kind = kind_of(path)
    _refuse_idle(kind, options)
    try:
        with serve_page(port, opens, err=False) as server:
            echo(f"{path} is shown at this address, to this machine alone; Ctrl-C ends it", err=True)
            server.show(_site(kind, path, options))
            threading.Event().wait()
    except KeyboardInterrupt:
        pass  # as it is meant to end


def _refuse_idle(kind: str, options: dict[str, Any]) -> None:
    """Options that would change nothing are refused, lest somebody believes that they did."""
    if options["predictions"] and options["checkpoint"]:
        raise click.UsageError("give either --predictions or --checkpoint")
    if options["predictions"] and kind not in ("store", "recording"):
        raise click.UsageError("--predictions are of a store or of a recording")
    if options["checkpoint"] and kind != "store":
        raise click.UsageError("--checkpoint predicts a store's joints; of a recording, `gmaps track` does")
    if options["model"] and not options["checkpoint"]:
        raise click.UsageError("--model is for a --checkpoint")


def _site(kind: str, path: str, options: dict[str, Any]) -> Site:
    """What is looked at. Its imports take a second, in which the browser has the page already."""
    from gmaps.viewer import open_site

    name = printable(path)
    if kind == "store":
        return open_site.open_store_site(path, name, **options)
    if kind == "recording":
        return open_site.open_recording_site(path, name, predictions=options["predictions"])
    return open_site.open_track_site(path, name) if kind == "track" else open_site.open_run_site(path, name)
