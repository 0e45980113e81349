"""What `gmaps detect` and `gmaps track` share: a source of frames, and the network that looks at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ._numbers import Numbers

if TYPE_CHECKING:
    from gmaps.capture import Source
    from gmaps.inference.predictor import Predictor


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """SOURCE, and how it is read and looked at."""
    for option in reversed((
        click.argument("source"),
        click.option("--camera", type=Numbers(4), metavar="FX,FY,CX,CY",
                     help="Intrinsics of a folder's or a video's images, px."),
        click.option("--unit", type=float, default=1.0, show_default=True,
                     help="mm that a value of an image or a video stands for."),
        click.option("--fps", type=float, default=30.0, show_default=True,
                     help="Frames a second, of a folder, or asked of a camera."),
        click.option("--range", "depth_range", type=Numbers(2), default=(100.0, 1500.0), metavar="NEAR,FAR",
                     help="Hands are looked for between these depths, mm; 100,1500 by default."),
        click.option("--side", type=click.Choice(["right", "left", "auto"]), default="auto", show_default=True,
                     help="Which hand; auto: the network tells."),
        click.option("--sure", type=click.FloatRange(0, 1), help="Least confidence of a hand that is found."),
        click.option("--checkpoint", metavar="C", help="A network of your own instead of the one that ships."),
        click.option("--model", metavar="MODULE:NAME", help="Where the checkpoint is of a network of your own."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    )):  # fmt: skip
        command = option(command)
    return command


def open_judge(options: dict[str, Any]) -> Predictor:
    """The network that is meant."""
    from gmaps.inference import Predictor, load_pretrained

    if options["checkpoint"] is None:
        if options["model"] is not None:
            raise click.UsageError("--model is for a --checkpoint")
        return load_pretrained(device=options["device"])
    return Predictor(options["checkpoint"], device=options["device"], network=options["model"])


def open_shots(options: dict[str, Any]) -> Source:
    """The source that is meant."""
    from gmaps.capture import open_source

    return open_source(options["source"], options["camera"], unit=options["unit"], fps=options["fps"])


def open_options(options: dict[str, Any]) -> dict[str, Any]:
    """How to look: arguments of `Detector` and `Tracker`."""
    sure = {} if options["sure"] is None else {"sure": options["sure"]}
    return {"depth_range": options["depth_range"], "side": options["side"], **sure}
