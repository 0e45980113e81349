"""`gmaps plan`."""

from __future__ import annotations

from typing import Any

import click

from ._common import json_option, print_json
from ._terminal import echo
from .build import arguments, plan_options


@click.command()
@plan_options
@json_option
def plan(maps: str | None, pairs: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Plan a build that several machines share in parts, without a scheduler.

    \b
    gmaps plan --dataset msra --out /shared/msra.zarr         once
    gmaps build --part K/N --out /shared/msra.zarr            on each of N machines
    gmaps finalize --out /shared/msra.zarr                    once, when all are done

    All of them see one file system. The same part again goes on where it was stopped.
    """
    from gmaps.pipeline import prepare

    made = prepare(**arguments(maps, pairs, options))
    if as_json:
        print_json(made.to_dict())
        return
    echo(made.summary())
    echo(f"planned in {made.partial}; next: gmaps build --part K/N --out {made.out}")
