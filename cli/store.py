"""`gmaps store add STORE MAPS...` and `gmaps store remove STORE MAPS...`."""

from __future__ import annotations

import click

from ._common import json_option, print_json
from ._terminal import echo


@click.group()
def store() -> None:
    """Add map kinds to a finished store, or remove them."""


def _kinds(words: tuple[str, ...]) -> list[str]:
    """Kinds, whether commas or blanks are between them."""
    return list(dict.fromkeys(kind for word in words for kind in word.split(",") if kind))


@store.command()
@click.argument("store")
@click.argument("maps", nargs=-1, required=True)
@click.option("--workers", type=click.IntRange(min=0), help="Processes; by default all cores; 0 works in this one.")
@click.option("--scheduler", metavar="tcp://...", help="A Dask scheduler that is there already.")
@click.option("--memory", metavar="8GB|50%", help="Start no more workers than fit into this.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def add(
    store: str,
    maps: tuple[str, ...],
    workers: int | None,
    scheduler: str | None,
    memory: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Add the kinds MAPS to STORE, made of its crops with its own parameters.

    The same command again goes on where it was stopped. Whoever reads the store meanwhile sees it without them.
    """
    from gmaps.pipeline.edit import add_maps

    report = add_maps(store, _kinds(maps), workers=workers, scheduler=scheduler, memory=memory, progress=not quiet)
    if as_json:
        print_json(report.to_dict())
    else:
        echo(report.summary())


@store.command()
@click.argument("store")
@click.argument("maps", nargs=-1, required=True)
@json_option
def remove(store: str, maps: tuple[str, ...], as_json: bool) -> None:
    """Remove the kinds MAPS from STORE, or drop their unfinished addition."""
    from gmaps.pipeline.edit import remove_maps

    report = remove_maps(store, _kinds(maps))
    if as_json:
        print_json(report.to_dict())
    else:
        echo(report.summary())
