"""Draw the pictures of docs/viewer.md and docs/tracking.md in Chromium: `python -m docs.make_viewer_pictures`."""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path
from threading import Thread

import numpy as np
from PIL import Image

import gmaps
from gmaps.capture import Recorder, Shot, open_source
from gmaps.capture.paced import Paced
from gmaps.evaluation import get_protocol, write_table
from gmaps.inference import Tracker, load_pretrained
from gmaps.inference.track_run import track_source
from gmaps.synth.room import CAMERA, Room
from gmaps.viewer.live_site import LiveSite, shown_live
from gmaps.viewer.open_site import open_store_site
from gmaps.viewer.server import Site, ViewServer
from tests.browser import Browser, find_chromium

IMAGES = Path(__file__).parent / "img"
PICTURE, SOLID = "section[aria-label=Picture] canvas", "section[aria-label='In 3D'] canvas"
TILES = "document.querySelectorAll('.tile[data-row]').length > 10"


def keep(browser: Browser, name: str, colours: int = 96) -> None:
    """What is seen, with as many colours as it needs."""
    time.sleep(1)
    Image.open(io.BytesIO(browser.picture())).convert("RGB").quantize(colours).save(IMAGES / name, optimize=True)


def show(browser: Browser, site: Site, height: int, theme: str = "light", behind: str = "") -> ViewServer:
    """Open a site's page."""
    server = ViewServer()
    server.show(site)
    browser.resize(1280, height)
    browser.theme(theme)
    browser.open(server.address + behind)
    return server


def draw_store(browser: Browser, folder: Path) -> None:
    """The grid, dark; a sample with a geodesic from the pointer; one with a prediction."""
    gmaps.build("synthetic", folder / "synthetic.zarr", ("geodesic",), limit=400, workers=0, progress=False)
    store = gmaps.open_store(folder / "synthetic.zarr")
    joints = np.array(store.column("joints"), np.float64)
    rng = np.random.default_rng(0)
    # Predictions as a network's might be: the error of a hand has its own size, and most are small.
    joints += rng.normal(0, 3 * rng.lognormal(0, 0.6, (len(joints), 1, 1)), joints.shape)
    write_table(folder / "pred.txt", get_protocol("synthetic").to_file(joints))
    server = show(browser, open_store_site(str(store.path), "synthetic.zarr"), 590, "dark")
    browser.wait(TILES)
    keep(browser, "view-grid.png")
    browser.theme("light")
    browser.resize(1280, 812)
    browser.open(f"{server.address}#row=9")
    browser.wait("document.body.innerText.includes('row 9: 10 of 400')")
    browser.press("g")
    time.sleep(1)
    x, y = browser.spot(PICTURE)
    browser.mouse("mouseMoved", x - 20, y + 40)
    time.sleep(1)
    browser.drag(SOLID, -60, 30)
    keep(browser, "view-sample.png")
    server.stop()
    judged = open_store_site(str(store.path), "synthetic.zarr", predictions=str(folder / "pred.txt"))
    server = show(browser, judged, 590, "light", "#order=error")
    browser.wait(TILES)
    keep(browser, "view-errors.png")
    server.stop()


def draw_live(browser: Browser, folder: Path) -> None:
    """A tracker at work, on the film of docs/tracking.md."""
    recorder = Recorder(folder / "film.npz", CAMERA)
    for k, frame in enumerate(Room(seed=1000, frames=90)):
        recorder.add(Shot(np.rint(frame.depth).astype(np.float32), k / 30, f"{k:04}.png"))
    recorder.close()
    source, network = open_source(folder / "film.npz"), load_pretrained(device="cpu")
    site, server = LiveSite("film", CAMERA, network.skeleton, (100.0, 1500.0)), ViewServer()

    def follow() -> None:
        with shown_live(server, site):
            paced = Paced(source, lambda: site.wait_for_page(60))
            track_source(Tracker(network, CAMERA), paced, site.put, 80)

    tracker = Thread(target=follow)
    tracker.start()
    browser.resize(1280, 760)
    browser.theme("dark")
    browser.open(server.address)
    browser.wait("document.getElementById('status').innerText.includes('ended')")
    browser.drag(SOLID, -70, 20)
    keep(browser, "track-live.png", 128)
    tracker.join()
    server.stop()


def main() -> None:
    """All of them."""
    browser = Browser(find_chromium())
    try:
        with tempfile.TemporaryDirectory() as folder:
            draw_store(browser, Path(folder))
            draw_live(browser, Path(folder))
    finally:
        browser.close()


if __name__ == "__main__":
    main()
