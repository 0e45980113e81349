"""`gmaps fit`."""

from __future__ import annotations

from typing import Any

import click

from ._common import json_option, print_json
from ._terminal import echo


@click.command()
@click.argument("source")
@click.option("--out", required=True, metavar="FIT.npz", help="Angles, bones, turn, wrist and error of each hand.")
@click.option("--vertices", metavar="V.npy", help="Also the mesh of each hand, (N, 2440, 3), mm.")
@click.option("--ply", metavar="MESH.ply", help="Also the mesh of one hand, for a viewer.")
@click.option("--row", type=click.IntRange(min=0), default=0, show_default=True, help="Which one that is.")
@click.option("--skeleton", default="msra21", show_default=True, help="Order of a file's joints.")
@click.option("--unit", type=click.Choice(["mm", "m"]), default="mm", show_default=True, help="Of a file's joints.")
@click.option("--side", type=click.Choice(["right", "left"]), default="right", show_default=True,
              help="left: hands are mirrored, and so are the meshes that come out.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), help="By default one a core.")
@json_option
def fit(
    source: str, out: str, vertices: str | None, ply: str | None, row: int, skeleton: str, unit: str, side: Any,
    threads: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Fit the hand to joints: of each labelled frame of a store, or of a file.

    SOURCE is a store, or an .npz with an array `joints` (N, 21, 3), or an .npy. What comes out are pose angles in
    degrees, bone lengths in mm, and a closed mesh for every frame whose joints are known; others are NaN.
    """
    from gmaps.pipeline.fit_source import fit_source

    done = fit_source(
        source, out, vertices=vertices, ply=ply, row=row, skeleton=skeleton, unit=unit, side=side, threads=threads
    )
    if as_json:
        print_json(done._asdict())
    else:
        echo(
            f"{out}: {done.fitted:,} of {done.rows:,} hands in {done.seconds:.1f} s; mean distance of their joints "
            f"{done.mean_mm:.2f} mm, median {done.median_mm:.2f}, 95 % within {done.percentile_95_mm:.2f}"
        )
