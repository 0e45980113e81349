"""`gmaps evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ._common import json_option, print_json, print_table
from ._terminal import echo

if TYPE_CHECKING:
    from gmaps.evaluation import Evaluation, GroundTruth


@click.command()
@click.argument("predictions", metavar="PRED.txt [PRED2.txt ...]", nargs=-1, required=True)
@click.option("--dataset", metavar="NAME", help="nyu, icvl, msra, hands17, dexycb, ...; a store knows its own.")
@click.option(
    "--groundtruth", metavar="GT.txt", required=True, help="True joints: a file of this format, or a store."
)
@click.option("--coords", metavar="uvd|xyz", help="uvd or xyz in PRED.txt; by default as usual for the set.")
@click.option("--groundtruth-coords", metavar="uvd|xyz", help="The same of GT.txt.")
@click.option(
    "--axes",
    default="right,down,forward",
    metavar="A,B,C",
    help="Where x, y, z of PRED.txt point; y up: right,up,forward.",
)
@click.option("--unit", type=float, default=1.0, help="mm that a length of PRED.txt stands for: 1000 for metres.")
@click.option("--order", default="", metavar="N,N,...", help="Place in a line of PRED.txt of each joint, from 0.")
@click.option("--as-is", is_flag=True, help="Judge PRED.txt though another convention would explain its errors.")
@click.option(
    "--pck",
    metavar="box|nsrm",
    help="What the rate in the image is: ours, the default, or NSRM's, the default of --metric pck.",
)
@click.option(
    "--metric",
    type=click.Choice(["errors", "pck"]),
    default="errors",
    show_default=True,
    help="What is printed: errors in mm, or rates in the image at NSRM's thresholds.",
)
@click.option("--angles", metavar="FILE", help="Yaw and pitch of each frame, degrees, for viewpoint curves.")
@click.option("--groups", metavar="FILE", help="A label a frame, such as its subject: mean errors by label.")
@click.option(
    "--worst", type=click.IntRange(min=1), metavar="N", help="List the N frames of the largest mean errors."
)
@click.option("--save", metavar="DIR|P.png", help="Draw the curves and bars: a picture each, or all in one.")
@json_option
def evaluate(
    predictions: tuple[str, ...],
    dataset: str | None,
    groundtruth: str,
    coords: str | None,
    groundtruth_coords: str | None,
    axes: str,
    unit: float,
    order: str,
    as_is: bool,
    pck: str | None,
    metric: str,
    angles: str | None,
    groups: str | None,
    worst: int | None,
    save: str | None,
    as_json: bool,
) -> None:
    """Judge predicted joints by the field's protocols, in true mm.

    A file holds one frame a line, `u v d` (pixels and mm) of each joint, in the order of the test set. With --json,
    one object a file: a list of them, if there are several.
    """
    from gmaps.evaluation import (
        evaluate_file,
        protocol_of_place,
        read_angles,
        read_groundtruth,
        read_groups,
    )

    protocol = protocol_of_place(groundtruth, dataset)
    truth = read_groundtruth(groundtruth, protocol, groundtruth_coords)
    turned = None if angles is None else truth.keep(read_angles(angles, len(truth.valid)))
    labels = None
    if groups is not None:
        labels = {name: truth.keep(rows) for name, rows in read_groups(groups, len(truth.valid)).items()}
    places = _places(order)
    found = [
        evaluate_file(
            p, truth, protocol, coordinates=coords, axes=axes.split(","), unit=unit, order=places, as_is=as_is,
            groups=labels, angles=turned,
            pck=pck or ("nsrm" if metric == "pck" else "box"),
        )
        for p in predictions
    ]  # fmt: skip
    if as_json:
        values = [e.to_dict() | ({} if worst is None else {"worst": _worst(e, truth, worst)}) for e in found]
        print_json(values if len(values) > 1 else values[0])
    else:
        (_print_rates if metric == "pck" else _print)(found)
        if worst is not None:
            _print_worst([(e.name, _worst(e, truth, worst)) for e in found])
    for e in found:
        if e.warning:
            echo(f"gmaps: {e.warning}", err=True, lines=False)
    if save:
        from gmaps.plot.curves import save_figures

        for path in save_figures(found, save):
            echo(f"drawn to {path}", err=as_json)


def _places(order: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in order.split(",")) if order else ()
    except ValueError:
        raise click.UsageError(f"--order is places, 0,1,2 and so on, not {order}") from None


def _worst(e: Evaluation, truth: GroundTruth, count: int) -> list[dict[str, Any]]:
    """The frames of the largest mean errors: row from 0, its name where the truth has one, and its worst joint."""
    from gmaps.evaluation.of_store import worst_first

    rows, joints = truth.valid.nonzero()[0], e.protocol.joints
    return [
        {
            "row": int(rows[k]),
            **({"frame": truth.names[rows[k]]} if truth.names else {}),
            "mean_error_mm": float(e.errors[k].mean()),
            "joint": joints[int(e.errors[k].argmax())],
            "joint_error_mm": float(e.errors[k].max()),
        }
        for k in worst_first(e.errors)[:count]
    ]


def _print_worst(found: list[tuple[str, list[dict[str, Any]]]]) -> None:
    named = any("frame" in f for _, frames in found for f in frames)
    header = ("worst of", "row", *(["frame"] if named else []), "mean", "max", "joint")
    rows = [
        (name, f["row"], *([f.get("frame", "")] if named else []), f"{f['mean_error_mm']:.1f}",
         f"{f['joint_error_mm']:.1f}", f["joint"])
        for name, frames in found
        for f in frames
    ]  # fmt: skip
    echo()
    print_table(rows, header, right=(1, len(header) - 3, len(header) - 2))


def _print_rates(found: list[Evaluation]) -> None:
    from gmaps.evaluation.evaluate import SIGMAS

    frames, joints = found[0].errors.shape
    echo(f"{found[0].protocol.name}: {frames:,} frames, {joints} joints. Within sigma of the hand's size, in %.\n")
    rows = []
    for e in found:
        rates = [] if e.sigmas is None else [*e.sigmas, e.sigmas.mean()]
        rows.append((e.name, *([f"{100 * v:.2f}" for v in rates] or ["-"] * (len(SIGMAS) + 1))))
    header = ("method", *(f"PCK {t:.2f}" for t in SIGMAS), "mean")
    print_table(rows, header, right=range(1, len(header)))


def _print(found: list[Evaluation]) -> None:
    from gmaps.evaluation.evaluate import PCK_AT, TABLE_MM

    frames, joints = found[0].errors.shape
    echo(f"{found[0].protocol.name}: {frames:,} frames, {joints} joints. Errors in mm, rates in % of frames.\n")
    parts = list(found[0].group_means)
    header = ("method", "mean", "median", *parts, "AUC max", "AUC mean")
    rows = []
    for e in found:
        values = [e.mean_error, e.to_dict()["median_error_mm"], *e.group_means.values()]
        rows.append((e.name, *(f"{v:.3f}" for v in values), f"{e.area('max'):.3f}", f"{e.area('mean'):.3f}"))
    print_table(rows, header, right=range(1, len(header)))
    echo()
    header = ("method", *(f"{o} <= {t}" for o in ("max", "mean") for t in TABLE_MM), *(f"PCK {t}" for t in PCK_AT))
    rows = []
    for e in found:
        rates = [*e.success("max", TABLE_MM), *e.success("mean", TABLE_MM)]
        pck = ["-"] * len(PCK_AT) if e.pck is None else [f"{100 * v:.2f}" for v in e.pck]
        rows.append((e.name, *(f"{100 * v:.2f}" for v in rates), *pck))
    print_table(rows, header, right=range(1, len(header)))
    echo()
    if found[0].aligned:
        _print_alignments(found)
    means = [e.joint_means for e in found]
    rows = [(joint, *(f"{m[joint]:.3f}" for m in means)) for joint in means[0]]
    print_table(rows, ("joint", *(e.name for e in found)), right=range(1, len(found) + 1))


def _print_alignments(found: list[Evaluation]) -> None:
    ways = list(found[0].alignments)
    header = ("method", *(f"{way} {what}" for way in ways for what in ("mm", "AUC50")))
    rows = [(e.name, *(f"{v:.3f}" for pair in e.alignments.values() for v in pair)) for e in found]
    print_table(rows, header, right=range(1, len(header)))
    echo()
