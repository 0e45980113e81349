"""`gmaps verify`."""

from __future__ import annotations

import click

from ._common import find_store, json_option, print_json


@click.command()
@click.argument("store", required=False)
@click.option("--rows", type=click.IntRange(min=0), default=32, show_default=True, help="Rows to compute anew.")
@click.option("--root", metavar="DIR", help="Where the data set's files are, if they have moved.")
@click.option("--center", metavar="FILE", help="The centre file, for a store built with one, if it has moved.")
@click.option("--dataset", metavar="NAME", help="The data set, or MODULE:FACTORY, where the store's is not known.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides which rows.")
@json_option
def verify(
    store: str | None,
    rows: int,
    root: str | None,
    center: str | None,
    dataset: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Check every checksum of STORE, and make a random sample of its rows again from the data set.

    Leaves with 1 on any difference.
    """
    import numpy as np

    from gmaps.errors import DatasetError
    from gmaps.pipeline.edit import unfinished_addition
    from gmaps.pipeline.verify import recompute_rows
    from gmaps.store import open_store
    from gmaps.store.checksums import verify_checksums

    path = find_store(store)
    opened = open_store(path)
    damaged = verify_checksums(path)
    chosen = np.random.default_rng(seed).permutation(len(opened))[:rows].tolist()
    different = []
    try:
        if chosen and not damaged:
            different = recompute_rows(opened, sorted(chosen), root=root, center=center, dataset=dataset)
    except DatasetError as error:
        raise DatasetError(
            f"all checksums of {path} are right, but its rows cannot be made again: {error}; give --root, or "
            "--rows 0 to check the bytes alone"
        ) from None
    if as_json:
        print_json({"store": str(path), "damaged": damaged, "recomputed": len(chosen), "different": different})
    else:
        for line in [*damaged, *different]:
            click.echo(line)
        if damaged and (kinds := " ".join(unfinished_addition(path))):
            click.echo(
                f"{path}: an addition of maps was stopped in its last step. Finish it with `gmaps store add {path} "
                f"{kinds}`, or drop it with `gmaps store remove {path} {kinds}`"
            )
        elif damaged:
            click.echo(f"{path}: {len(damaged)} files are damaged; build it again with --overwrite")
        elif different:
            click.echo(
                f"{path}: checksums are right, but {len(different)} of {len(chosen)} rows differ from the data set"
            )
        else:
            click.echo(
                f"{path}: all checksums are right; {len(chosen)} rows of {len(opened):,} made again are the same"
            )
    if damaged or different:
        click.get_current_context().exit(1)
