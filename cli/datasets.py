"""`gmaps datasets`."""

from __future__ import annotations

from dataclasses import asdict

import click

from ._common import json_option, print_json, print_table


@click.command()
@click.argument("name", required=False)
@click.option("--check", "root", metavar="ROOT", help="Compare the tree at ROOT with what the data set promises.")
@json_option
def datasets(name: str | None, root: str | None, as_json: bool) -> None:
    """What data sets are known; with NAME, where to get it, its terms and the tree it must have.

    `--check ROOT` looks at names, sizes and headers, not at every pixel, and leaves with 1 when something is wrong.
    """
    from gmaps.datasets import check_dataset, dataset_info, list_datasets

    if name is None:
        if root is not None:
            raise click.UsageError("--check needs the data set's NAME")
        infos = [dataset_info(n) for n in list_datasets()]
        if as_json:
            print_json([asdict(i) for i in infos])
        else:
            print_table([(i.name, i.skeleton, i.title) for i in infos], ("name", "skeleton", "what it is"))
        return
    info = dataset_info(name)
    if root is None:
        if as_json:
            print_json(asdict(info))
            return
        click.echo(f"{info.name}: {info.title}\n")
        facts = [("skeleton", info.skeleton), ("splits", ", ".join(info.splits)), ("homepage", info.homepage)]
        facts += [("half side", f"{info.half_side:g} mm"), ("terms", info.terms)]
        print_table(facts)
        click.echo(f"\nTree\n{info.tree}" if info.tree else "\nIt needs no files.")
        if info.options:
            click.echo("\nOptions (gmaps build -O NAME=VALUE)")
            print_table([(f"  {k}", v) for k, v in info.options.items()])
        if info.notes:
            click.echo(f"\n{info.notes}")
        if info.citation:
            click.echo(f"\nCite\n{info.citation}")
        return
    checks = check_dataset(name, root)
    problems = [c for c in checks if not c.ok]
    if as_json:
        print_json({"ok": not problems, "checks": [asdict(c) for c in checks]})
    else:
        rows = [(c.what, c.found, "" if c.expected is None else c.expected, c.problem or "ok") for c in checks]
        print_table(rows, ("what", "found", "expected", ""), right=(1, 2))
        click.echo(f"{len(problems)} problems" if problems else "all is there")
    if problems:
        click.get_current_context().exit(1)
