"""`gmaps export`."""

from __future__ import annotations

import click

from ._common import json_option, print_json
from ._terminal import echo


@click.command()
@click.argument("store")
@click.argument("out", type=click.Path())
@click.option("--maps", metavar="KIND,...", help="Kinds to export; all of the store's by default.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def export(store: str, out: str, maps: str | None, overwrite: bool, quiet: bool, as_json: bool) -> None:
    """Write STORE as HDF5 files in HandMap's own layout, into the directory OUT.

    One LZF-compressed file a kind, under the original's name for it, beside annotation, pose_c and clean_128.
    Rejected frames are left out.
    """
    from gmaps.maps import map_traits
    from gmaps.pipeline.progress import Progress, format_bytes
    from gmaps.store import open_store
    from gmaps.store.export import export_hdf5

    opened = open_store(store)
    kinds = None if maps is None else [m.strip() for m in maps.split(",") if m.strip()]
    names = {kind: map_traits(kind).original for kind in opened.maps}
    with Progress(int(opened.column("valid").sum()), 0, not quiet) as bar:
        files = export_hdf5(opened, out, kinds, names=names, overwrite=overwrite, progress=bar.update)
    if as_json:
        print_json({"store": store, "files": {str(path): path.stat().st_size for path in files}})
        return
    for path in files:
        echo(f"{path}  {format_bytes(path.stat().st_size)}")
