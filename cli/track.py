"""`gmaps track`."""

from __future__ import annotations

from typing import Any

import click

from ._common import print_json
from ._source import open_judge, open_options, open_shots, source_options
from ._terminal import echo


@click.command()
@source_options
@click.option("--out", metavar="TRACK.jsonl", default="-", show_default=True,
              help="Where hands go: .jsonl, a line a frame, .npz, or - for stdout.")  # fmt: skip
@click.option("--hands", type=click.IntRange(1, 4), default=1, show_default=True, help="How many at most.")
@click.option("--overlay", metavar="FILM.mp4", help="Draw hands: .mp4, .avi, .gif, or a folder of PNG files.")
@click.option("--record", metavar="REC.npz", help="Keep the frames, so that REC.npz is a SOURCE that gives the same.")
@click.option("--no-filter", is_flag=True, help="Joints as the network gives them, not smoothed over time.")
@click.option("--frames", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics at the end as JSON; needs --out FILE.")
def track(out: str, hands: int, overlay: str | None, record: str | None, no_filter: bool, frames: int | None,
          as_json: bool, **options: Any) -> None:  # fmt: skip
    """Find and follow hands in SOURCE.

    SOURCE is a folder of 16-bit PNG or .npy images, a 16-bit grey video, a recording (.npz) of --record, or a camera:
    realsense, orbbec, k4a, with :SERIAL where several are plugged in. Ctrl-C ends it.
    """
    if as_json and out == "-":
        raise click.UsageError("--json prints statistics where hands go to a file: say --out TRACK.jsonl")
    import contextlib

    from gmaps.capture import Recorder
    from gmaps.capture.shot import Shot
    from gmaps.inference.track_file import TrackWriter
    from gmaps.inference.track_run import track_source
    from gmaps.inference.tracker import TrackedHand, Tracker
    from gmaps.plot.film import Film, draw_frame

    predictor = open_judge(options)
    with contextlib.closing(open_shots(options)) as source, contextlib.ExitStack() as files:
        read, names = [options["source"], options["checkpoint"]], predictor.skeleton
        tracker = Tracker(predictor, source.camera, hands=hands, smooth=not no_filter, **open_options(options))
        writer = files.enter_context(contextlib.closing(TrackWriter(out, source.camera, names, hands, read)))
        film = files.enter_context(contextlib.closing(Film(overlay, options["fps"], read))) if overlay else None
        recorder = files.enter_context(contextlib.closing(Recorder(record, source.camera, read))) if record else None

        def note(shot: Shot, found: list[TrackedHand]) -> None:
            writer.add(shot.name, shot.time, found)
            if recorder is not None:
                recorder.add(shot)
            if film is not None:
                joints = [hand.joints for hand in found]
                film.add(
                    draw_frame(
                        shot.depth, source.camera, joints, predictor.skeleton, options["depth_range"], shot.name
                    )
                )

        stats = track_source(tracker, source, note, frames)
    if as_json:
        print_json(stats._asdict())
        return
    echo(
        f"{stats.frames:,} frames, {stats.with_hand:,} with a hand, found {stats.finds} times; a frame took "
        f"{stats.median_ms:.1f} ms (median), {stats.p99_ms:.1f} ms (99th percentile), {stats.slowest_ms:.1f} at most",
        err=True,
    )
