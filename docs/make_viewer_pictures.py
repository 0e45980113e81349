"""Draw the pictures of docs/viewer.md, by looking at it in Chromium: `python -m docs.make_viewer_pictures`."""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path

from PIL import Image

import gmaps
from gmaps.viewer.open_site import open_store_site
from gmaps.viewer.server import ViewServer
from tests.browser import Browser, find_chromium

IMAGES = Path(__file__).parent / "img"
PICTURE, SOLID = "section[aria-label=Picture] canvas", "section[aria-label='In 3D'] canvas"


def keep(browser: Browser, name: str) -> None:
    """What is seen, with as many colours as it needs."""
    time.sleep(1)
    Image.open(io.BytesIO(browser.picture())).convert("RGB").quantize(96).save(IMAGES / name, optimize=True)


def main() -> None:
    """The grid, and a sample with a geodesic, dark and light."""
    with tempfile.TemporaryDirectory() as folder:
        gmaps.build("synthetic", Path(folder) / "synthetic.zarr", ("geodesic",), limit=400, workers=0, progress=False)
        browser, server = Browser(find_chromium()), ViewServer()
        try:
            server.show(open_store_site(f"{folder}/synthetic.zarr", "synthetic.zarr"))
            browser.resize(1280, 590)
            browser.theme("dark")
            browser.open(server.address)
            browser.wait("document.querySelectorAll('.tile[data-row]').length > 10")
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
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
