"""`gmaps finalize`."""

from __future__ import annotations

import click

from ._common import find_plan, json_option, print_json
from ._terminal import echo


@click.command()
@click.option("--out", metavar="STORE", help="The store that was planned; by default the only one here.")
@click.option("--root", metavar="DIR", help="Where the data set is here, if elsewhere than where it was planned.")
@click.option("--max-rejects", default="1%", show_default=True, help="Leave with 3 when more frames are rejected.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def finalize(out: str | None, root: str | None, max_rejects: str, quiet: bool, as_json: bool) -> None:
    """Make a store of the parts of a planned build; see `gmaps plan`.

    Says which shards are missing when not all parts are done.
    """
    from gmaps.pipeline import finalize as run

    report = run(find_plan(out), root=root, max_rejects=max_rejects, progress=not quiet)
    if as_json:
        print_json(report.to_dict())
    else:
        echo(report.summary())
    if report.rejected_over_limit:
        click.get_current_context().exit(3)
