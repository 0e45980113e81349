"""`gmaps synth`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import click

from ._common import json_option, print_json
from ._terminal import echo


@click.command()
@click.argument("out", metavar="OUT", type=click.Path())
@click.option("--frames", type=click.IntRange(min=1), default=1000, show_default=True, help="How many.")
@click.option(
    "--layout",
    type=click.Choice(["msra", "nyu", "folder", "synhand"]),
    default="folder",
    show_default=True,
    help="Whose files they are written as.",
)
@click.option("--workers", type=click.IntRange(min=0), help="Processes; by default all cores.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Which hands.")
@click.option(
    "--sensor",
    type=click.Choice(["none", "structured", "tof"]),
    help="The camera's faults; by default those of the layout's own camera.",
)
@click.option("--poses", metavar="FILE|DEXYCB", help="Real poses: joints, a file of `gmaps fit`, or DexYCB.")
@click.option("--skeleton", default="msra21", show_default=True, help="Order of the joints in --poses FILE.")
@click.option("--unit", type=click.Choice(["mm", "m"]), default="mm", show_default=True, help="Of these joints.")
@click.option(
    "--side", type=click.Choice(["right", "left"]), default="right", show_default=True, help="Their hands'."
)
@click.option("--sequences", is_flag=True, help="A person's frames in a folder follow each other, as in a film.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def synth(
    out: str,
    frames: int,
    layout: str,
    workers: int | None,
    seed: int,
    sensor: str | None,
    poses: str | None,
    skeleton: str,
    unit: str,
    side: Any,
    sequences: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write frames of the synthetic hand to OUT, as files of a data set's own format.

    \b
    msra     P0 ... P8 / gestures / %06d_depth.bin and joint.txt, 320 x 240
    nyu      train and test / depth_1_%07d.png and joint_data.mat, 640 x 480
    folder   dataset.toml, 16-bit PNG and joints.csv for ten people, 640 x 480
    synhand  dataset.toml, depth, segmentation, joints and mesh a frame, 640 x 480

    --poses shows real hands' poses on other people's hands, from other sides and through a sensor's noise.

    The same seed gives the same bytes, whatever the number of workers. OUT appears when it is complete; the same
    command again goes on where it was stopped.
    """
    from gmaps.datasets.write.tree import write_tree
    from gmaps.pipeline.progress import Progress

    angles = None
    if poses is not None:
        from gmaps.datasets.write.real_poses import read_poses

        angles = read_poses(poses, frames, skeleton=skeleton, unit=unit, side=side)
    count = workers if workers is not None else len(os.sched_getaffinity(0))
    with Progress(frames, show=not quiet) as bar:
        report = write_tree(
            out, layout, frames, seed=seed, sensor=sensor, poses=angles, sequences=sequences, workers=count,
            progress=bar.update,
        )  # fmt: skip
    if as_json:
        print_json(asdict(report))
    else:
        again = f", {report.resumed:,} of them by an earlier run" if report.resumed else ""
        echo(f"{report.path}: {report.frames:,} frames in the layout of {layout}{again}")
