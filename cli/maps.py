"""`gmaps maps`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from ._common import json_option, print_json, print_table
from ._terminal import echo

if TYPE_CHECKING:
    from gmaps.maps import MapKind


def _facts(name: str) -> dict[str, Any]:
    from gmaps.maps import get_map
    from gmaps.skeleton import get_skeleton

    kind = get_map(name)
    low, high = kind.value_range
    return {
        "name": kind.name,
        "summary": kind.summary,
        "formula": kind.formula,
        "shape": _shape(kind),
        "channels": kind.channels(get_skeleton("msra21")),
        "range": [low, high] if math.isfinite(low) and math.isfinite(high) else None,
        "unit": kind.unit,
        "scaled": kind.scaled,
        "invertible": kind.decode is not None,
        "original": kind.original,
        "background": kind.background,
        "views": kind.views,
        "loss": kind.loss,
        "parameters": dict(kind.parameters),
        "carried_over": [
            what
            for what, so in (("turns", kind.turns), ("mirroring", kind.mirrors), ("shifts in depth", kind.flat))
            if so
        ],
    }


def _shape(kind: MapKind) -> str:
    """For 21 joints, in terms of H."""
    from gmaps.skeleton import get_skeleton

    # One H that no number of channels is a multiple of.
    *grid, channels = kind.shape(1009, get_skeleton("msra21"))
    sides = [str(n) if n % 1009 else f"{n // 1009}H" if n > 1009 else "H" for n in grid]
    return "x".join([*sides, str(channels)])


def _range(facts: dict[str, Any]) -> str:
    span = "any" if facts["range"] is None else "{:g} to {:g}".format(*facts["range"])
    return f"{span} {facts['unit']}".strip()


def _micros(facts: dict[str, Any]) -> list[str]:
    return [f"{facts['microseconds']:.0f}"] if "microseconds" in facts else []


def _cost(name: str) -> float:
    """Microseconds a frame, the median of many, measured here and now on one synthetic hand."""
    import statistics
    import time

    from gmaps.crop import CropParams, crop_dataset_frame
    from gmaps.datasets import load_dataset
    from gmaps.maps import encode

    data = load_dataset("synthetic", frames=64)
    crop = crop_dataset_frame(data.read(42), data.info.depth_range, CropParams())
    encode(crop, (name,), skeleton=data.skeleton)
    seconds = []
    for _ in range(50):
        started = time.perf_counter()
        encode(crop, (name,), skeleton=data.skeleton)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) * 1e6


@click.command()
@click.argument("name", required=False)
@click.option("--cost", is_flag=True, help="Measure the time a frame takes here, at 32 x 32 and 21 joints.")
@click.option(
    "--save", metavar="P.png", type=click.Path(dir_okay=False), help="With NAME: draw it on a synthetic hand."
)
@json_option
def maps(name: str | None, cost: bool, save: str | None, as_json: bool) -> None:
    """What guidance maps are known; with NAME, its formula, shape and range."""
    from gmaps.maps import get_map, list_maps

    if name is None:
        if save:
            raise click.UsageError("--save needs the NAME of a map")
        found = [_facts(n) | ({"microseconds": _cost(n)} if cost else {}) for n in list_maps()]
        if as_json:
            print_json(found)
            return
        rows = [
            (
                f["name"],
                f["shape"],
                _range(f),
                *([f"{f['microseconds']:.0f}"] if cost else []),
                f["summary"],
            )
            for f in found
        ]
        header = ("name", "shape", "range", *(["us a frame"] if cost else []), "what it is")
        print_table(rows, header, right=(3,) if cost else ())
        echo("\nShapes are for 21 joints; H is 32, or --map-size. `gmaps maps NAME` gives the formula.")
        return
    facts = _facts(name) | ({"microseconds": _cost(name)} if cost else {})
    if save:
        from gmaps.plot.maps_figure import kind_figure
        from gmaps.plot.sample import save_figure

        save_figure(kind_figure(name), save)
    if as_json:
        print_json(facts)
        return
    echo(f"{facts['name']}: {facts['summary']}\n")
    lines: list[tuple[str, str]] = [
        ("value", facts["formula"]),
        ("range", _range(facts)),
        ("shape", f"{facts['shape']} for 21 joints"),
    ]
    for option in get_map(name).options:
        lines.append((option.name, f"{facts['parameters'][option.name]}: {option.about}"))
    if facts["scaled"]:
        lines.append(("scale", f"{name}_scale holds the mm that a value of 1 stands for, joint by joint"))
    lines.append(("decode", "gives joints back" if facts["invertible"] else "cannot be inverted"))
    lines.append(("void", "has values like any other cell" if facts["background"] else "is left out of a loss"))
    if facts["carried_over"]:
        lines.append(("carried over", f"by augmentation: {', '.join(facts['carried_over'])}"))
    if cost:
        lines.append(("cost", f"{facts['microseconds']:.0f} us a frame here, at 32 x 32"))
    if facts["original"]:
        lines.append(("known as", facts["original"]))
    print_table(lines)
    if save:
        echo(f"\ndrawn to {save}")
