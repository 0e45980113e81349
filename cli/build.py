"""`gmaps build`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from ._common import dataset_options, find_plan, json_option, print_json
from ._terminal import echo


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that decide what a build makes; `gmaps build` and `gmaps plan` share them."""
    for option in reversed(_PLAN_OPTIONS):
        command = option(command)
    return command


def arguments(maps: str | None, pairs: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The options as `gmaps.build` takes them."""
    from gmaps.maps import DEFAULT_MAPS

    kinds = DEFAULT_MAPS if maps is None else tuple(m.strip() for m in maps.split(",") if m.strip())
    labels = options.pop("labels")
    wanted = (*pairs, f"arrays={labels}") if labels else pairs
    return {**options, "maps": kinds, "dataset_options": dataset_options(wanted)}


_PLAN_OPTIONS = (
    click.option(
        "--dataset", default="synthetic", show_default=True, help="See `gmaps datasets`; or MODULE:FACTORY, your own."
    ),
    click.option("--root", metavar="DIR", help="Where its files are; by default $GMAPS_DATA/<name>."),
    click.option(
        "--out",
        metavar="STORE",
        help="The store, a path or like s3://...; by default <name>.zarr here, or <name>-<split>.zarr.",
    ),
    click.option("--maps", metavar="KIND,...", help="Kinds of map, see `gmaps maps`; five of them by default."),
    click.option(
        "--workers", type=click.IntRange(min=0), help="Processes; by default all cores; 0 works in this one."
    ),
    click.option("--memory", metavar="8GB|50%", help="Start no more workers than fit into this."),
    click.option(
        "--split",
        type=click.Choice(["train", "val", "test", "all"]),
        default="all",
        show_default=True,
        help="Which part of the data set.",
    ),
    click.option(
        "--center",
        metavar="joints|mean|com|FILE",
        help="Where the cube's centre is; by default the data set's own, joints for most.",
    ),
    click.option(
        "--silhouette",
        type=click.Choice(["depth", "segmentation"]),
        help="What is hand: all that the cube holds, or what the data set says; by default this where it says it.",
    ),
    click.option(
        "--half-side", type=float, metavar="MM", help="Half the cube's side; by default the data set's own."
    ),
    click.option("--crop-size", type=int, default=128, show_default=True, help="Rows and columns of the crop."),
    click.option("--projection", default="orthographic", show_default=True, help="orthographic or perspective."),
    click.option("--map-size", type=int, default=32, show_default=True, help="Rows and columns of the maps."),
    click.option(
        "--profile", default="default", show_default=True, help="default, or handmap: the original's numbers."
    ),
    click.option("--normalize", default="joint", show_default=True, help="joint: by each joint's maximum; or theta."),
    click.option("--bridge", type=float, default=0.0, help="Slowness of the void on the way to islands; 0 bars it."),
    click.option("--dtype", type=click.Choice(["float16", "float32", "uint8"]), default="float16", show_default=True),
    click.option(
        "--layout",
        type=click.Choice(["packed", "plain"]),
        default="packed",
        show_default=True,
        help="plain: maps twice as large, but in codecs that every Zarr program has.",
    ),
    click.option("--limit", type=click.IntRange(min=1), help="Use the first frames only."),
    click.option("--overwrite", is_flag=True, help="Replace what was built from something else."),
    click.option(
        "--labels", metavar="pose,mesh", help="What the store holds besides joints, where the data set has it."
    ),
    click.option("-O", "--option", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the data set."),
)


class _Part(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3 alone
    name = "part"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        k, slash, n = str(value).partition("/")
        if not (slash and k.isdigit() and n.isdigit() and 1 <= int(k) <= int(n)):
            self.fail(f"{value!r} is not K/N with K from 1 to N", param, ctx)
        return int(k), int(n)


@click.command()
@plan_options
@click.option("--scheduler", metavar="tcp://...", help="A Dask scheduler that is there already.")
@click.option(
    "--part", type=_Part(), metavar="K/N", help="Make one part of N of what `gmaps plan` planned; see there."
)
@click.option("--staging", metavar="DIR", help="Where shards wait for an upload to s3:// or the like; default: here.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and estimate it.")
@click.option("--max-rejects", default="1%", show_default=True, help="Leave with 3 when more frames are rejected.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def build(maps: str | None, pairs: tuple[str, ...], quiet: bool, as_json: bool, **options: Any) -> None:
    """Build a store of crops and guidance maps from a data set.

    The same command again goes on where a build was stopped. Leaves with 0 when done, 1 when it failed, 2 on wrong
    usage, 3 when more frames were rejected than --max-rejects.
    """
    from gmaps.pipeline import BuildReport
    from gmaps.pipeline import build as run

    made = arguments(maps, pairs, options)
    if options["part"] is not None and not _given("dataset"):
        made |= _planned(options["out"], options["root"])
        if ":" in made["dataset"]:
            raise click.UsageError(
                f"the plan says to run {made['dataset']}, and a plan alone runs no code: give --dataset "
                f"{made['dataset']} and all options of the plan, if you trust it"
            )
    report = run(**made, progress=not quiet)
    if as_json:
        print_json(report.to_dict())
    else:
        echo(report.summary())
    if isinstance(report, BuildReport) and report.rejected_over_limit:
        click.get_current_context().exit(3)


def _given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def _planned(out: str | None, root: str | None) -> dict[str, Any]:
    """What was planned, in place of the options that decide what is built.

    Raises
    ------
    click.UsageError
        An option was given that would change the plan.
    """
    from gmaps.pipeline import planned

    deciding = ("maps", "split", "center", "silhouette", "half_side", "crop_size", "projection", "map_size",
                "profile", "normalize", "bridge", "dtype", "layout", "limit", "labels", "pairs")  # fmt: skip
    changed = [name.replace("_", "-") for name in deciding if _given(name)]
    if changed:
        raise click.UsageError(
            f"--part builds what was planned; leave out --{', --'.join(changed)}, or give --dataset and all options "
            "of the plan"
        )
    return planned(find_plan(out), root)
