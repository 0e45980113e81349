"""`gmaps verify`."""

from __future__ import annotations

from pathlib import Path

import click

from gmaps.errors import CorruptStoreError, DatasetError, GmapsError, StoreError

from ._common import find_store, json_option, print_json
from ._terminal import echo


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

    from gmaps.pipeline.verify import recompute_rows
    from gmaps.store import open_store
    from gmaps.store.checksums import verify_checksums

    path = find_store(store)
    try:
        damaged = verify_checksums(path)
    except CorruptStoreError:
        raise
    except StoreError:
        open_store(path)  # which says better why it is none
        raise
    # What is damaged may not even open; that it is, is what is to be told.
    opened = None if damaged else open_store(path)
    chosen = [] if opened is None else np.random.default_rng(seed).permutation(len(opened))[:rows].tolist()
    different = []
    try:
        if opened is not None and chosen:
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
            echo(line, lines=False)
        if damaged and (unfinished := _unfinished(path)):
            echo(f"{path}: {unfinished}")
        elif damaged:
            echo(f"{path}: {len(damaged)} files are damaged; build it again with --overwrite")
        elif different:
            # One line a row and array; or one that says that the data set is another.
            rows_of = {line.partition(":")[0].partition(",")[0] for line in different if line.startswith("row ")}
            which = f"{len(rows_of)} of {len(chosen)} rows" if rows_of else "its rows"
            echo(f"{path}: checksums are right, but {which} differ from the data set")
        else:
            of = f"{len(chosen)} rows of {len(opened or ()):,}"
            echo(f"{path}: all checksums are right; {of} made again are the same")
    if damaged or different:
        click.get_current_context().exit(1)


def _unfinished(path: str | Path) -> str:
    """What was stopped before its end, and how it is finished, where the store can still say."""
    from gmaps.pipeline.edit import unfinished_addition, unfinished_removal

    try:
        if kinds := " ".join(unfinished_removal(path)):
            return f"a removal of maps was stopped. Finish it with `gmaps store remove {path} {kinds}`"
        if kinds := " ".join(unfinished_addition(path)):
            return (
                f"an addition of maps was stopped in its last step. Finish it with `gmaps store add {path} {kinds}`, "
                f"or drop it with `gmaps store remove {path} {kinds}`"
            )
    except GmapsError:
        pass  # too damaged to say
    return ""
