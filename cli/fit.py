"""`gmaps fit`."""

from __future__ import annotations

import math
from typing import Any

import click

from ._common import json_option, print_json, refuse_idle
from ._frame import echo_joints, read_frame
from ._numbers import Numbers
from ._terminal import echo

_OF_JOINTS = {"skeleton": "--skeleton", "unit": "--unit", "threads": "--threads"}
_OF_DEPTH = {"start": "--start", "checkpoint": "--checkpoint", "steps": "--steps", "device": "--device"}
_OF_A_FRAME = {"camera": "--camera", "depth_range": "--range", "center": "--center", "save": "--save"}
_OF_A_STORE = {"out": "--out", "vertices": "--vertices", "row": "--row", "depth": "--depth", "start": "--start",
               "checkpoint": "--checkpoint", "skeleton": "--skeleton", "threads": "--threads"}  # fmt: skip


@click.command()
@click.argument("source", required=False)
@click.option("--out", metavar="FIT.npz", help="Angles, bones, turn, wrist and error of each hand.")
@click.option("--vertices", metavar="V.npy", help="Also the mesh of each hand, (N, 2440, 3), mm.")
@click.option("--ply", metavar="MESH.ply", help="Also the mesh of one hand, for a viewer.")
@click.option("--row", type=click.IntRange(min=0), default=0, show_default=True, help="Which one that is.")
@click.option("--skeleton", default="msra21", show_default=True, help="Order of a file's joints.")
@click.option("--unit", metavar="mm|m|MM", default="mm", show_default=True,
              help="Of a file's joints; of --frame, mm that a value stands for.")  # fmt: skip
@click.option("--side", type=click.Choice(["right", "left"]),
              help="right by default. left: hands are mirrored, and so are the meshes that come out. Of --frame, by "
              "default as the network sees it.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), help="By default one a core.")
@click.option("--depth", is_flag=True, help="Fit the depth of a store's rows, not their joints alone.")
@click.option("--start", type=click.Choice(["auto", "joints", "network"]), default="auto", show_default=True,
              help="Where a fit of depth begins; auto: the store's joints where known.")  # fmt: skip
@click.option("--checkpoint", metavar="C", help="That network; by default what ships.")
@click.option("--steps", type=click.IntRange(1, 10_000), default=60, show_default=True, help="Of a fit of depth.")
@click.option("--device", default="auto", show_default=True, help="Of the network: auto, cpu or cuda.")
@click.option("--frame", metavar="DEPTH.png", help="One image instead of a source: 16-bit PNG, or .npy.")
@click.option("--camera", type=Numbers(4), metavar="FX,FY,CX,CY", help="The image's intrinsics, px.")
@click.option("--range", "depth_range", type=Numbers(2), default=(100.0, 1500.0), metavar="NEAR,FAR",
              help="Where the image's hand is looked for, mm; 100,1500 by default.")  # fmt: skip
@click.option("--center", type=Numbers(3), metavar="X,Y,Z", help="The hand's centre, mm, where it is known.")
@click.option("--save", metavar="P.png", help="Draw the image with its joints and its mesh.")
@json_option
def fit(source: str | None, frame: str | None, as_json: bool, **options: Any) -> None:
    """Fit the hand to joints or to depth: of each frame of a store, of a file of joints, or of one --frame.

    SOURCE is a store, or an .npz with an array `joints` (N, 21, 3), or an .npy. What comes out are pose angles in
    degrees, bone lengths in mm, and a closed mesh for every frame whose joints are known; others are NaN. With
    --depth the hands of a store's frames are then moved until their surface is where the crops show one, and frames
    without joints begin with a network's.
    """
    if (source is None) == (frame is None):
        raise click.UsageError("give either a SOURCE or --frame DEPTH.png")
    if frame is not None:
        refuse_idle(_OF_A_STORE, "a SOURCE")
        _fit_frame(frame, as_json, options)
        return
    refuse_idle(_OF_A_FRAME, "one --frame")
    if options["out"] is None:
        raise click.UsageError("a SOURCE needs --out FIT.npz")
    if options["depth"]:
        refuse_idle(_OF_JOINTS, "joints, without --depth")
        if options["checkpoint"] is not None and options["start"] == "joints":
            raise click.UsageError("--checkpoint is of a network to begin with: not for --start joints")
        _fit_depth(str(source), as_json, options)
    else:
        refuse_idle(_OF_DEPTH, "a store's --depth")
        _fit_joints(str(source), as_json, options)


def _fit_joints(source: str, as_json: bool, options: dict[str, Any]) -> None:
    from gmaps.datasets.pose_file import UNITS
    from gmaps.pipeline.fit_source import fit_source

    if options["unit"] not in UNITS:
        raise click.BadParameter(f"{options['unit']!r} is not mm or m", param_hint="--unit")
    given = {k: options[k] for k in ("vertices", "ply", "row", "skeleton", "unit", "threads")}
    done = fit_source(source, options["out"], side=options["side"] or "right", **given)
    if as_json:
        print_json(done._asdict())
    else:
        echo(
            f"{options['out']}: {done.fitted:,} of {done.rows:,} hands in {done.seconds:.1f} s; mean distance of "
            f"their joints {done.mean_mm:.2f} mm, median {done.median_mm:.2f}, 95 % within "
            f"{done.percentile_95_mm:.2f}"
        )


def _fit_depth(source: str, as_json: bool, options: dict[str, Any]) -> None:
    from gmaps.inference.fit_store import fit_store

    given = {k: options[k] for k in ("start", "checkpoint", "steps", "vertices", "ply", "row", "device")}
    done = fit_store(source, options["out"], side=options["side"] or "right", **given)
    labelled = math.isfinite(done.mean_mm)
    if as_json:
        print_json({**done._asdict(), "mean_mm": done.mean_mm if labelled else None})
        return
    echo(
        f"{options['out']}: {done.fitted:,} of {done.rows:,} hands in {done.seconds:.1f} s"
        + (f", {done.before:,} of them by an earlier run" if done.before else "")
        + f"; median distance of what is seen from their surface {done.depth_mm:.2f} mm"
        + (f", mean distance of their joints from the store's {done.mean_mm:.2f} mm" if labelled else "")
        + (f"; {done.from_network:,} began with the network's joints" if done.from_network else "")
    )


def _fit_frame(path: str, as_json: bool, options: dict[str, Any]) -> None:
    from gmaps.formats.outputs import check_place
    from gmaps.formats.ply import MESH, write_ply
    from gmaps.inference.fit_frame import fit_frame
    from gmaps.skeleton import get_skeleton

    if options["ply"] is not None:
        check_place(options["ply"], MESH, [path])
    depth, camera = read_frame(path, _mm_of(options["unit"]), options)
    found = fit_frame(
        depth, camera, name=path, depth_range=options["depth_range"], center=options["center"],
        side=options["side"] or "auto", steps=options["steps"], device=options["device"],
    )  # fmt: skip
    if not found.sure:
        echo(f"{path}: no hand that the network is sure of; this is what is nearest, taken for one", err=True)
    if options["ply"] is not None:
        write_ply(options["ply"], found.vertices, found.triangles, [path])
    skeleton = get_skeleton("msra21")
    if options["save"] is not None:
        from gmaps.plot.overlay import frame_figure
        from gmaps.plot.sample import save_figure

        save_figure(frame_figure(found.frame, skeleton, mesh=(found.vertices, found.triangles)), options["save"])
    joints = dict(zip(skeleton.joints, found.frame.joints.tolist(), strict=True))
    if as_json:
        print_json({"frame": path, "joints_mm": joints, "side": found.side, "confidence": round(found.confidence, 3),
                    "depth_mm": found.depth_mm, "moved_mm": found.moved_mm})  # fmt: skip
        return
    echo(
        f"a {found.side} hand, confidence {found.confidence:.2f}; its surface lies {found.depth_mm:.2f} mm from what "
        f"is seen, in the median; joints have moved by {found.moved_mm:.1f} mm", err=True,
    )  # fmt: skip
    echo_joints(joints)


def _mm_of(unit: str) -> float:
    """mm that a value of an image stands for."""
    from gmaps.datasets.pose_file import UNITS

    try:
        value = UNITS.get(unit) or float(unit)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise click.BadParameter(f"{unit!r} is not mm, m or a number of mm above 0", param_hint="--unit")
    return value
