"""`gmaps maps`."""

from __future__ import annotations

import math
from typing import Any

import click

from ._common import json_option, print_json, print_table


def _facts(name: str) -> dict[str, Any]:
    from gmaps.maps import get_map
    from gmaps.skeleton import get_skeleton

    kind = get_map(name)
    low, high = kind.value_range
    return {
        "name": kind.name,
        "summary": kind.summary,
        "formula": kind.formula,
        "channels": kind.channels(get_skeleton("msra21")),
        "range": [low, high] if math.isfinite(low) and math.isfinite(high) else None,
        "unit": kind.unit,
        "scaled": kind.scaled,
        "invertible": kind.decode is not None,
        "original": kind.original,
    }


def _range(facts: dict[str, Any]) -> str:
    span = "any" if facts["range"] is None else "{:g} to {:g}".format(*facts["range"])
    return f"{span} {facts['unit']}".strip()


@click.command()
@click.argument("name", required=False)
@json_option
def maps(name: str | None, as_json: bool) -> None:
    """What guidance maps are known; with NAME, its formula, shape and range."""
    from gmaps.maps import list_maps

    if name is None:
        found = [_facts(n) for n in list_maps()]
        if as_json:
            print_json(found)
            return
        rows = [(f["name"], f["channels"], _range(f), f["summary"]) for f in found]
        print_table(rows, ("name", "channels", "range", "what it is"), right=(1,))
        click.echo("\nChannels are for 21 joints. `gmaps maps NAME` gives the formula.")
        return
    facts = _facts(name)
    if as_json:
        print_json(facts)
        return
    click.echo(f"{facts['name']}: {facts['summary']}\n")
    lines: list[tuple[str, str]] = [
        ("value", facts["formula"]),
        ("range", _range(facts)),
        ("channels", f"{facts['channels']} for 21 joints"),
    ]
    if facts["scaled"]:
        lines.append(("scale", f"{name}_scale holds the mm that a value of 1 stands for, joint by joint"))
    lines.append(("decode", "gives joints back" if facts["invertible"] else "cannot be inverted"))
    if facts["original"]:
        lines.append(("HandMap", f"called {facts['original']}; profile handmap gives its numbers"))
    print_table(lines)
