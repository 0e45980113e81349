"""`gmaps detect`."""

from __future__ import annotations

from typing import Any

import click

from ._source import open_judge, open_options, open_shots, source_options
from ._terminal import echo


@click.command()
@source_options
@click.option("--hands", type=click.IntRange(1, 4), default=1, show_default=True, help="How many at most.")
@click.option("--frames", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for machines.")
def detect(hands: int, frames: int | None, as_json: bool, **options: Any) -> None:
    """Find hands in each frame of SOURCE by itself: boxes in pixels, middles in mm, confidence.

    SOURCE is as for `gmaps track`, which follows hands from frame to frame and gives their joints.
    """
    import contextlib
    import itertools
    import json

    from gmaps.inference.detector import Detector

    judge = open_judge(options)
    with contextlib.closing(open_shots(options)) as source:
        detector = Detector(judge, source.camera, **open_options(options))
        try:
            for shot in itertools.islice(source, frames):
                found = detector.detect(shot.depth, hands)
                if as_json:
                    rows = [
                        {
                            "box": [round(v, 1) for v in hand.box(source.camera)],
                            "center_mm": [round(float(v), 1) for v in hand.center],
                            "side": hand.side, "confidence": round(hand.confidence, 3),
                        } for hand in found
                    ]  # fmt: skip
                    echo(json.dumps({"frame": shot.name, "time": shot.time, "hands": rows}))
                    continue
                for hand in found:
                    left, top, width, height = hand.box(source.camera)
                    x, y, z = hand.center
                    echo(f"{shot.name}  left {left:.0f} top {top:.0f} width {width:.0f} height {height:.0f} px  "
                         f"middle {x:.0f} {y:.0f} {z:.0f} mm  {hand.side}  {hand.confidence:.2f}",
                         lines=False)  # fmt: skip
                if not found:
                    echo(f"{shot.name}  none", lines=False)
        except KeyboardInterrupt:
            pass
