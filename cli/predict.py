"""`gmaps predict`."""

from __future__ import annotations

from typing import Any

import click

from ._common import json_option, print_json


class _Numbers(click.ParamType):
    """A fixed number of numbers, separated by commas."""

    name = "numbers"

    def __init__(self, count: int) -> None:
        self.count = count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(float(v) for v in str(value).split(","))
        except ValueError:
            found = ()
        if len(found) != self.count:
            self.fail(f"{value!r} is not {self.count} numbers separated by commas", param, ctx)
        return found


@click.command()
@click.argument("store", required=False)
@click.option("--checkpoint", required=True, metavar="C", help="A file of `gmaps train`, or its run's folder.")
@click.option("--out", metavar="PRED.txt", help="Where a store's predictions go; by default to stdout.")
@click.option("--all-joints", is_flag=True, help="Write all joints, not only those that the field evaluates.")
@click.option("--batch", type=click.IntRange(min=1), default=128, show_default=True, help="Frames at a time.")
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that read.")
@click.option("--frame", metavar="DEPTH.png", help="One image instead of a store: 16-bit PNG, or .npy.")
@click.option("--camera", type=_Numbers(4), metavar="FX,FY,CX,CY", help="The image's intrinsics, px.")
@click.option("--unit", type=float, default=1.0, show_default=True, help="mm that a value of the image stands for.")
@click.option("--range", "depth_range", type=_Numbers(2), default=(100.0, 1500.0), metavar="NEAR,FAR",
              help="The hand is what is nearest between these depths, mm; 100,1500 by default.")  # fmt: skip
@click.option("--center", type=_Numbers(3), metavar="X,Y,Z", help="The hand's centre, mm, where it is known.")
@click.option("--save", metavar="P.png", help="Draw the image with its joints.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@json_option
def predict(store: str | None, frame: str | None, as_json: bool, **options: Any) -> None:
    """Predict joints, of all frames of STORE or of one --frame.

    A store's are written in the field's text format: one frame a line, u v d of each joint, px and mm.
    """
    if (store is None) == (frame is None):
        raise click.UsageError("give either a STORE or --frame DEPTH.png")
    if frame is None:
        _predict_store(str(store), as_json, options)
    else:
        _predict_frame(frame, as_json, options)


def _predict_store(path: str, as_json: bool, options: dict[str, Any]) -> None:
    import sys
    import time

    import numpy as np

    from gmaps.evaluation.files import write_table
    from gmaps.inference.predictor import predict_store, store_camera, to_uvd
    from gmaps.store import open_store

    store = open_store(path)
    camera, started = store_camera(store), time.perf_counter()
    found = predict_store(
        store, options["checkpoint"], batch=options["batch"], workers=options["workers"], device=options["device"]
    )
    seconds = time.perf_counter() - started
    skeleton = None if options["all_joints"] else store.skeleton
    out = options["out"]
    error = float(np.nanmean(found.errors))
    uvd = to_uvd(found.joints, camera, skeleton)
    if out is not None:
        write_table(out, uvd)
    elif not as_json:
        np.savetxt(sys.stdout, uvd.reshape(len(uvd), -1), fmt="%.3f")
    if as_json:
        print_json({"frames": len(found.joints), "rejected": found.rejected.tolist(), "mean_error_mm": error,
                    "seconds": seconds, "out": out})  # fmt: skip
        return
    click.echo(
        f"{len(found.joints):,} frames, {len(found.joints) / seconds:,.0f} frames/s; mean error against the "
        f"store's own joints {error:.2f} mm", err=True,
    )  # fmt: skip
    if len(found.rejected):
        click.echo(f"{len(found.rejected):,} rejected frames repeat the line before them", err=True)


def _predict_frame(path: str, as_json: bool, options: dict[str, Any]) -> None:
    from gmaps.camera import Camera
    from gmaps.inference.predictor import predict_frame, read_depth
    from gmaps.skeleton import Skeleton
    from gmaps.training.checkpoint import load_checkpoint

    if options["camera"] is None:
        raise click.UsageError("--frame needs --camera FX,FY,CX,CY")
    depth = read_depth(path, options["unit"])
    fx, fy, cx, cy = options["camera"]
    found = predict_frame(
        depth, Camera(fx, fy, cx, cy, depth.shape[1], depth.shape[0]), options["checkpoint"], name=path,
        depth_range=options["depth_range"], center=options["center"], device=options["device"],
    )  # fmt: skip
    state = load_checkpoint(options["checkpoint"])
    skeleton = Skeleton.from_dict(state["skeleton"])
    if options["save"] is not None:
        from gmaps.plot.overlay import frame_figure
        from gmaps.plot.sample import save_figure

        save_figure(frame_figure(found, skeleton, state["crop"]["half_side"]), options["save"])
    joints = dict(zip(skeleton.joints, found.joints.tolist(), strict=True))
    if as_json:
        print_json({"frame": path, "joints_mm": joints})
        return
    for name, (x, y, z) in joints.items():
        click.echo(f"{name:<12} {x:8.1f} {y:8.1f} {z:8.1f}")
