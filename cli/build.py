"""`gmaps build`."""

from __future__ import annotations

from typing import Any

import click

from ._common import json_option, print_json

#: What has an option of its own, and so cannot be an option of the data set as well.
_OWN = {"name": "--dataset", "root": "--root", "split": "--split"}


def _dataset_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE pairs; numbers become numbers."""
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


@click.command()
@click.option("--dataset", default="synthetic", show_default=True, help="The data set; see `gmaps datasets`.")
@click.option("--root", metavar="DIR", help="Where its files are; by default $GMAPS_DATA/<name>.")
@click.option("--out", metavar="STORE", help="The store; by default <name>.zarr here.")
@click.option("--maps", metavar="KIND,...", help="Kinds of map, see `gmaps maps`; five of them by default.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes; by default all cores; 0 works in this one.")
@click.option(
    "--split",
    type=click.Choice(["train", "test", "all"]),
    default="all",
    show_default=True,
    help="Which part of the data set.",
)
@click.option(
    "--center",
    metavar="joints|com|FILE",
    default="joints",
    show_default=True,
    help="Where the cube's centre is.",
)
@click.option("--half-side", type=float, metavar="MM", help="Half the cube's side; by default the data set's own.")
@click.option("--crop-size", type=int, default=128, show_default=True, help="Rows and columns of the crop.")
@click.option("--projection", default="orthographic", show_default=True, help="orthographic or perspective.")
@click.option("--map-size", type=int, default=32, show_default=True, help="Rows and columns of the maps.")
@click.option("--profile", default="default", show_default=True, help="default, or handmap: the original's numbers.")
@click.option("--normalize", default="joint", show_default=True, help="joint: by each joint's maximum; or theta.")
@click.option("--bridge", type=float, default=0.0, help="Slowness of the void on the way to islands; 0 bars it.")
@click.option("--dtype", type=click.Choice(["float16", "float32", "uint8"]), default="float16", show_default=True)
@click.option("--scheduler", metavar="tcp://...", help="A Dask scheduler that is there already.")
@click.option("--limit", type=click.IntRange(min=1), help="Use the first frames only.")
@click.option("--overwrite", is_flag=True, help="Replace a store that was built from something else.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and estimate it.")
@click.option("--max-rejects", default="1%", show_default=True, help="Leave with 3 when more frames are rejected.")
@click.option("-O", "--option", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the data set.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def build(maps: str | None, pairs: tuple[str, ...], quiet: bool, as_json: bool, **options: Any) -> None:
    """Build a store of crops and guidance maps from a data set.

    The same command again goes on where a build was stopped. Leaves with 0 when done, 1 when it failed, 2 on wrong
    usage, 3 when more frames were rejected than --max-rejects.
    """
    from gmaps.maps import DEFAULT_MAPS
    from gmaps.pipeline import BuildReport
    from gmaps.pipeline import build as run

    kinds = DEFAULT_MAPS if maps is None else tuple(m.strip() for m in maps.split(",") if m.strip())
    dataset = options.pop("dataset")
    report = run(
        dataset,
        options.pop("out"),
        kinds,
        progress=not quiet,
        dataset_options=_dataset_options(pairs),
        **options,
    )
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(report.summary())
    if isinstance(report, BuildReport) and report.rejected_over_limit:
        click.get_current_context().exit(3)
