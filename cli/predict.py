"""`gmaps predict`."""

from __future__ import annotations

import math
from typing import Any

import click

from ._common import json_option, print_json, refuse_idle
from ._frame import echo_joints, read_frame
from ._numbers import Numbers
from ._terminal import echo

#: Options that say nothing of a store, and of one image.
_OF_A_FRAME = {"camera": "--camera", "unit": "--unit", "depth_range": "--range", "center": "--center",
               "save": "--save", "mesh": "--mesh"}  # fmt: skip
_OF_A_STORE = {"out": "--out", "all_joints": "--all-joints", "batch": "--batch", "workers": "--workers"}


@click.command()
@click.argument("store", required=False)
@click.option("--checkpoint", metavar="C",
              help="A file of `gmaps train`, or its run's folder; for --frame by default what ships.")  # fmt: skip
@click.option("--out", metavar="PRED.txt", help="Where a store's predictions go; - for stdout.")
@click.option("--model", metavar="MODULE:NAME", help="Where the checkpoint is of a network of your own.")
@click.option("--all-joints", is_flag=True, help="Write all joints, not only those that the field evaluates.")
@click.option("--batch", type=click.IntRange(min=1), default=128, show_default=True, help="Frames at a time.")
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that read.")
@click.option("--frame", metavar="DEPTH.png", help="One image instead of a store: 16-bit PNG, or .npy.")
@click.option("--camera", type=Numbers(4), metavar="FX,FY,CX,CY", help="The image's intrinsics, px.")
@click.option("--unit", type=float, default=1.0, show_default=True, help="mm that a value of the image stands for.")
@click.option("--range", "depth_range", type=Numbers(2), default=(100.0, 1500.0), metavar="NEAR,FAR",
              help="The hand is what is nearest between these depths, mm; 100,1500 by default.")  # fmt: skip
@click.option("--center", type=Numbers(3), metavar="X,Y,Z", help="The hand's centre, mm, where it is known.")
@click.option(
    "--save", metavar="P.png", help="Draw the image with its joints, and with its mesh where the network gives one."
)
@click.option("--mesh", metavar="M.ply", help="Write the image's hand as a mesh, where the network gives one.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@json_option
def predict(store: str | None, frame: str | None, as_json: bool, **options: Any) -> None:
    """Predict joints, of all frames of STORE or of one --frame.

    A store's are written to --out in the field's text format: one frame a line, u v d of each joint, px and mm.
    """
    if (store is None) == (frame is None):
        raise click.UsageError("give either a STORE or --frame DEPTH.png")
    refuse_idle(_OF_A_FRAME if frame is None else _OF_A_STORE, "one --frame" if frame is None else "a STORE")
    if options["checkpoint"] is None and options["model"] is not None:
        raise click.UsageError("--model is for a --checkpoint")
    if frame is None:
        if options["checkpoint"] is None:
            raise click.UsageError("a STORE needs --checkpoint C; the weights that ship are for one --frame")
        _predict_store(str(store), as_json, options)
    else:
        _predict_frame(frame, as_json, options)


def _predict_store(path: str, as_json: bool, options: dict[str, Any]) -> None:
    import sys
    import time

    import numpy as np

    from gmaps.evaluation.files import holds_predictions, write_table
    from gmaps.evaluation.results import numbered_results, write_json_results
    from gmaps.formats.outputs import check_place
    from gmaps.inference.predictor import Predictor, store_camera, to_uvd
    from gmaps.store import open_store

    if options["out"] not in (None, "-"):
        check_place(options["out"], holds_predictions)  # before the work, not after it
    store = open_store(path)
    camera, started = store_camera(store), time.perf_counter()
    predictor = Predictor(options["checkpoint"], device=options["device"], network=options["model"])
    found = predictor.store(store, batch=options["batch"], workers=options["workers"])
    seconds = time.perf_counter() - started
    skeleton = None if options["all_joints"] else store.skeleton
    out = options["out"]
    error = float(np.nanmean(found.errors))
    names, values = numbered_results(store, found.joints, found.rejected)
    if not names:
        values = to_uvd(found.joints, camera, skeleton)
    if out == "-":
        np.savetxt(sys.stdout, values.reshape(len(values), -1), fmt="%.3f")
    elif out is not None and str(out).endswith(".json"):
        write_json_results(str(out), store, found.joints)
    elif out is not None:
        write_table(out, values, names=names)
    if as_json:
        print_json({"frames": len(found.joints), "rejected": found.rejected.tolist(), "mean_error_mm": error,
                    "seconds": seconds, "out": out})  # fmt: skip
        return
    echo(
        f"{len(found.joints):,} frames, {len(found.joints) / seconds:,.0f} frames/s; mean error against the "
        f"store's own joints {error:.2f} mm" + ("; --out PRED.txt writes them" if out is None else ""),
        err=out == "-",
    )  # fmt: skip
    if len(found.rejected):
        echo(f"{len(found.rejected):,} rejected frames repeat the line before them", err=out == "-")


def _predict_frame(path: str, as_json: bool, options: dict[str, Any]) -> None:
    from gmaps.inference.predictor import Predictor

    if not (math.isfinite(options["unit"]) and options["unit"] > 0):
        raise click.UsageError(f"--unit is the mm that a value stands for, more than 0: got {options['unit']:g}")
    depth, camera = read_frame(path, options["unit"], options)
    where: dict[str, Any] = {"name": path, "depth_range": options["depth_range"], "center": options["center"]}
    hand: dict[str, Any] = {}
    if options["checkpoint"] is None:
        from gmaps.inference.shipped import find_hand, load_pretrained

        predictor = load_pretrained(device=options["device"])
        seen = find_hand(predictor, depth, camera, **where)
        found, hand = seen.frame, {"side": seen.hand.side, "confidence": round(seen.hand.confidence, 3)}
        if not seen.sure:
            echo(f"{path}: no hand that the network is sure of; this is what is nearest, taken for one", err=True)
    else:
        predictor = Predictor(options["checkpoint"], device=options["device"], network=options["model"])
        found = predictor.frame(depth, camera, **where)
    skeleton = predictor.skeleton
    mesh = None
    if options["mesh"] is not None or (options["save"] is not None and len(predictor.triangles)):
        crop = predictor.crop(found, options["center"], options["depth_range"])
        mesh = predictor.meshes([crop])[0], predictor.triangles
    if options["mesh"] is not None and mesh is not None:
        from gmaps.formats.ply import write_ply

        write_ply(options["mesh"], *mesh, [path])
    if options["save"] is not None:
        from gmaps.plot.overlay import frame_figure
        from gmaps.plot.sample import save_figure

        save_figure(frame_figure(found, skeleton, predictor.half_side, mesh=mesh), options["save"])
    joints = dict(zip(skeleton.joints, found.joints.tolist(), strict=True))
    if as_json:
        print_json({"frame": path, "joints_mm": joints, **hand})
        return
    if hand:
        echo(f"a {hand['side']} hand, confidence {hand['confidence']:.2f}", err=True)
    echo_joints(joints)
