"""`gmaps track`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ._common import print_json
from ._page import page_options, serve_page
from ._source import open_judge, open_options, open_shots, source_options
from ._terminal import echo, printable

if TYPE_CHECKING:
    from gmaps.capture import Shot
    from gmaps.inference.tracker import TrackedHand

#: Seconds that files wait for a page that looks on.
PATIENCE = 15.0


@click.command()
@source_options
@click.option("--out", metavar="TRACK.jsonl",
              help="Where hands go: .jsonl, a line a frame, .npz, or - for stdout, as without --live.")  # fmt: skip
@click.option("--live", is_flag=True, help="Show frames, hands and latency in the browser, while it runs.")
@page_options
@click.option("--hands", type=click.IntRange(1, 4), default=1, show_default=True, help="How many at most.")
@click.option("--overlay", metavar="FILM.mp4", help="Draw hands: .mp4, .avi, .gif, or a folder of PNG files.")
@click.option("--record", metavar="REC.npz", help="Keep the frames, so that REC.npz is a SOURCE that gives the same.")
@click.option("--no-filter", is_flag=True, help="Joints as the network gives them, not smoothed over time.")
@click.option("--frames", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics at the end as JSON; needs --out FILE.")
def track(out: str | None, live: bool, port: int | None, opens: bool | None, hands: int, overlay: str | None,
          record: str | None, no_filter: bool, frames: int | None, as_json: bool,
          **options: Any) -> None:  # fmt: skip
    """Find and follow hands in SOURCE.

    SOURCE is a folder of 16-bit PNG or .npy images, a 16-bit grey video, a recording (.npz) of --record, or a camera:
    realsense, orbbec, k4a, with :SERIAL where several are plugged in. Ctrl-C ends it. With --live, files are played
    at their own speed; the page is served to this machine alone.
    """
    out = out or (None if live else "-")
    if as_json and out == "-":
        raise click.UsageError("--json prints statistics where hands go to a file: say --out TRACK.jsonl")
    if not live and (port is not None or opens is not None):
        raise click.UsageError("--port, --open and --no-open are of the page of --live")
    import contextlib

    from gmaps.capture import Recorder
    from gmaps.inference.track_file import TrackWriter
    from gmaps.inference.track_run import track_source
    from gmaps.inference.tracker import Tracker
    from gmaps.plot.film import Film, draw_frame

    notes: list[Callable[[Shot, list[TrackedHand], float], None]] = []
    with contextlib.ExitStack() as files:
        server = files.enter_context(serve_page(port, opens, err=True)) if live else None
        source = files.enter_context(contextlib.closing(open_shots(options)))
        predictor = open_judge(options)
        camera, skeleton, read = source.camera, predictor.skeleton, [options["source"], options["checkpoint"]]
        tracker = Tracker(predictor, camera, hands=hands, smooth=not no_filter, **open_options(options))
        if out is not None:
            writer = files.enter_context(contextlib.closing(TrackWriter(out, camera, skeleton, hands, read)))
            notes.append(lambda shot, found, spent: writer.add(shot.name, shot.time, found))
        if record is not None:
            recorder = files.enter_context(contextlib.closing(Recorder(record, camera, read)))
            notes.append(lambda shot, found, spent: recorder.add(shot))
        if overlay is not None:
            film = files.enter_context(contextlib.closing(Film(overlay, options["fps"], read)))
            notes.append(lambda shot, found, spent: film.add(draw_frame(
                shot.depth, camera, [h.joints for h in found], skeleton, options["depth_range"], shot.name
            )))  # fmt: skip
        if server is not None:  # a second of imports that nobody else needs
            from gmaps.capture.paced import at_own_speed
            from gmaps.viewer.live_site import LiveSite, shown_live

            site = LiveSite(printable(options["source"]), camera, skeleton, options["depth_range"])
            notes.append(files.enter_context(shown_live(server, site)).put)
            echo("the hands are shown at this address, to this machine alone; files begin once the page is open, or "
                 f"after {PATIENCE:g} s; Ctrl-C ends it", err=True)  # fmt: skip
            source = at_own_speed(source, lambda: site.wait_for_page(PATIENCE))

        def note(shot: Shot, found: list[TrackedHand], spent: float) -> None:
            for one in notes:
                one(shot, found, spent)

        stats = track_source(tracker, source, note, frames)
    if as_json:
        print_json(stats._asdict())
        return
    echo(
        f"{stats.frames:,} frames, {stats.with_hand:,} with a hand, found {stats.finds} times; a frame took "
        f"{stats.median_ms:.1f} ms (median), {stats.p99_ms:.1f} ms (99th percentile), {stats.slowest_ms:.1f} at most",
        err=True,
    )
