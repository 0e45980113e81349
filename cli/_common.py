"""What several commands share: output, and finding the store that is meant."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from gmaps.errors import StoreError
from gmaps.formats.printable import printable

from ._terminal import echo

#: `--json`, on every command that prints results.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


#: What has an option of its own, and so cannot be an option of the data set as well.
_OWN = {"name": "--dataset", "root": "--root", "split": "--split"}


def dataset_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE pairs of `-O`; numbers become numbers.

    Raises
    ------
    click.BadParameter
        No pair, or what has an option of its own.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="-O")
        if key in _OWN:
            raise click.BadParameter(f"{key!r} is no option of a data set: say {_OWN[key]} {value}", param_hint="-O")
        for kind in (int, float, str):
            try:
                options[key] = kind(value)
                break
            except ValueError:
                continue
    return options


def refuse_idle(options: dict[str, str], what: str) -> None:
    """Options that would change nothing are refused, lest somebody believes that they did."""
    context = click.get_current_context()
    for name, option in options.items():
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError(f"{option} is for {what}")


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--store S`."""
    return click.option(
        "--store",
        metavar="S",
        help="The store; by default $GMAPS_STORE, or the only .zarr here.",
    )(command)


def find_store(given: str | None) -> Path | str:
    """The store that is meant: as given, `$GMAPS_STORE`, or the only one in this directory; an address stays a text.

    Raises
    ------
    StoreError
        None or several are here; the message lists them.
    """
    named = given or os.environ.get("GMAPS_STORE")
    if named:
        return named if "://" in named else Path(named)
    here = sorted(p for p in Path().glob("*.zarr") if p.is_dir())
    if len(here) == 1:
        return here[0]
    if here:
        raise StoreError(f"which store? There are {', '.join(map(str, here))}: say --store, or set GMAPS_STORE")
    unfinished = sorted(Path().glob("*.zarr.partial"))
    if unfinished:
        raise StoreError(
            f"there is no finished store here, only {', '.join(map(str, unfinished))}: "
            "run the same `gmaps build` command again to go on"
        )
    raise StoreError("there is no store here: say --store, set GMAPS_STORE, or make one with `gmaps build`")


def find_plan(out: str | None) -> str:
    """The store that was planned: as given, or that of the only unfinished store in this directory.

    Raises
    ------
    StoreError
        None or several are here; the message lists them.
    """
    if out is not None:
        return out
    here = sorted(p for p in Path().glob("*.partial") if (p / "plan.json").is_file())
    if len(here) == 1:
        return str(here[0]).removesuffix(".partial")
    if here:
        raise StoreError(f"which plan? There are {', '.join(map(str, here))}: say --out")
    raise StoreError("nothing is planned here: say --out, or make a plan with `gmaps plan`")


def print_json(values: Any) -> None:
    """One JSON document on stdout."""
    echo(json.dumps(values, indent=2, default=str))


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str] = (), right: Sequence[int] = ()) -> None:
    """Columns as wide as their longest entry; those in `right` are numbers."""
    lines = [[printable(c, lines=False) for c in row] for row in ([header, *rows] if header else rows)]
    if not lines:
        return
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    for line in lines:
        cells = [c.rjust(w) if k in right else c.ljust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True))]
        echo("  ".join(cells).rstrip())
