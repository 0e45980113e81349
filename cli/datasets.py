"""`gmaps datasets`."""

from __future__ import annotations

from dataclasses import asdict

import click

from gmaps.errors import DatasetError

from ._common import dataset_options, json_option, print_json, print_table
from ._terminal import echo


@click.command()
@click.argument("name", required=False)
@click.option("--check", metavar="ROOT", help="Compare the tree at ROOT with what the data set promises.")
@click.option("--overlay", type=click.IntRange(min=0), metavar="N", help="Draw the joints of frame N on its depth.")
@click.option("--root", metavar="DIR", help="For --overlay: where the files are; by default $GMAPS_DATA/<name>.")
@click.option(
    "--split", type=click.Choice(["train", "val", "test", "all"]), help="For --overlay: N's part; by default all."
)
@click.option("--save", metavar="P.png", help="For --overlay: the picture; by default NAME-N.png here.")
@click.option("-O", "--option", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the data set.")
@click.option("--verbose", is_flag=True, help="For --check: a line for everything that was looked at.")
@json_option
def datasets(
    name: str | None,
    check: str | None,
    overlay: int | None,
    root: str | None,
    split: str | None,
    save: str | None,
    pairs: tuple[str, ...],
    verbose: bool,
    as_json: bool,
) -> None:
    """What data sets are known; with NAME, where to get it, its terms and the tree it must have.

    `--check ROOT` looks at names, sizes and headers, not at every pixel, prints the problems, and leaves with 1 when
    there are any.
    `--overlay 42 --root DIR --save P.png` draws a frame's joints on its depth: a look tells whether units and axes
    are right.
    """
    if name is None and (check is not None or overlay is not None):
        raise click.UsageError("--check and --overlay need the data set's NAME")
    if check is not None and overlay is not None:
        raise click.UsageError("--check and --overlay are two questions: ask one after the other")
    if overlay is None and any((root, split, save, pairs)):
        raise click.UsageError(
            "--root, --split, --save and -O are for --overlay N; a tree is checked by --check ROOT"
        )
    if name is None:
        _list_all(as_json)
    elif check is not None:
        _check(name, check, verbose, as_json)
    elif overlay is not None:
        options = {"root": root, "split": split or "all", **dataset_options(pairs)}
        _overlay(name, overlay, options, save or f"{name}-{overlay}.png", as_json)
    else:
        _describe(name, as_json)


def _list_all(as_json: bool) -> None:
    from gmaps.datasets import dataset_info, list_datasets

    infos, broken = [], []
    for each in list_datasets():
        try:
            infos.append(dataset_info(each))
        except DatasetError as error:  # one of another distribution is no reason to hide the others
            broken.append(str(error))
    if as_json:
        print_json([asdict(i) for i in infos])
    else:
        print_table([(i.name, i.skeleton, i.title) for i in infos], ("name", "skeleton", "what it is"))
    for message in broken:
        echo(f"gmaps: {message}", err=True, lines=False)


def _describe(name: str, as_json: bool) -> None:
    from gmaps.datasets import dataset_info

    info = dataset_info(name)
    if as_json:
        print_json(asdict(info))
        return
    echo(f"{info.name}: {info.title}\n")
    facts = [("skeleton", info.skeleton), ("splits", ", ".join(info.splits)), ("homepage", info.homepage)]
    facts += [("half side", f"{info.half_side:g} mm"), ("terms", info.terms)]
    print_table(facts)
    echo(f"\nTree\n{info.tree}" if info.tree else "\nIt needs no files.")
    if info.options:
        echo("\nOptions (gmaps build -O NAME=VALUE)")
        print_table([(f"  {k}", v) for k, v in info.options.items()])
    if info.notes:
        echo(f"\n{info.notes}")
    if info.citation:
        echo(f"\nCite\n{info.citation}")


def _check(name: str, root: str, verbose: bool, as_json: bool) -> None:
    from gmaps.datasets import check_dataset

    checks = check_dataset(name, root)
    problems = [c for c in checks if not c.ok]
    if as_json:
        print_json({"ok": not problems, "checks": [asdict(c) for c in checks]})
    else:
        shown = checks if verbose else problems
        rows = [(c.what, c.found, "" if c.expected is None else c.expected, c.problem or "ok") for c in shown]
        print_table(rows, ("what", "found", "expected", "") if rows else (), right=(1, 2))
        looked = f"{len(checks):,} folders and files were looked at"
        echo(f"{looked}, {len(problems):,} with problems" if problems else f"all is there: {looked}")
    if problems:
        click.get_current_context().exit(1)


def _overlay(name: str, number: int, options: dict[str, object], path: str, as_json: bool) -> None:
    from gmaps.datasets import load_dataset
    from gmaps.plot.overlay import frame_figure, measure_fit
    from gmaps.plot.sample import save_figure

    data = load_dataset(name, **options)  # type: ignore[arg-type]
    frame = data.read(number)
    fit = measure_fit(frame)
    save_figure(frame_figure(frame, data.skeleton, data.info.half_side, data.info.depth_range), path)
    if as_json:
        print_json({"frame": frame.name, "picture": path, **asdict(fit), "verdict": fit.verdict})
        return
    rows = [
        ("frame", frame.name),
        ("depth", f"{frame.camera.width} x {frame.camera.height}, {_from_to(*fit.image_depth)}"),
        ("joints", f"{fit.joints} of {len(data.skeleton)} ({data.skeleton.name}), {_from_to(*fit.joint_depth)}"),
    ]
    if fit.joints:
        low, median, high = fit.behind
        rows += [
            ("", f"{fit.in_image} within the image, {fit.on_surface} where something is seen"),
            ("", f"{median:.0f} mm behind the surface (median; {low:.0f} to {high:.0f})"),
        ]
    print_table([*rows, ("picture", path)])
    echo(fit.verdict)


def _from_to(low: float, high: float) -> str:
    return f"{low:.0f} to {high:.0f} mm" if low == low else "none"
