"""The viewer's pages in headless Chromium, by clicking through them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gmaps
from gmaps.skeleton import get_skeleton
from gmaps.viewer import open_site
from gmaps.viewer.packet import Packet
from gmaps.viewer.query import Query
from gmaps.viewer.tiles import EMPTY
from tests.browser import changed, pixels
from tests.unit.store_kit import ROWS, WORST, fake_rows, predicted_store, write_store

HOSTILE = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>'
#: Texts whose contrast with what lies behind them is below 4.5.
LOW_CONTRAST = """(() => {
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map((v) => linear(Number(v) / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (!c.endsWith(', 0)')) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const low = [];
  for (const e of document.querySelectorAll('main *, header *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || e.disabled) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => x - y);
    if ((b + 0.05) / (a + 0.05) < 4.5) low.push(e.textContent.slice(0, 30));
  }
  return low;
})()"""
TILES = "document.querySelectorAll('.tile[data-row]')"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """See `predicted_store`."""
    folder = tmp_path_factory.mktemp("view")
    predicted_store(folder)
    return folder


PICTURE, SOLID = "section[aria-label=Picture] canvas", "section[aria-label='In 3D'] canvas"


def test_from_the_grid_to_a_sample_and_back(browser, show, place):
    show(open_site.open_store_site(str(place / "h.zarr"), "hands"))
    browser.wait(f"{TILES}.length === {ROWS}")
    assert pixels(browser, ".tile[data-row='4'] canvas")[0] > 300
    browser.click(".tile[data-row='4']")
    browser.wait("location.hash.includes('row=4') && document.body.innerText.includes('row 4: 5 of 24')")
    depth = changed(browser, PICTURE, [0, 0])
    assert "wrist" in browser.js("document.querySelector('tbody').innerText")
    browser.choose(".bar select", "geodesic")
    browser.wait("location.hash.includes('kind=geodesic')")
    wrist = changed(browser, PICTURE, depth)
    browser.choose("select[aria-label=Channel]", "4")
    browser.wait("location.hash.includes('channel=4')")
    tip = changed(browser, PICTURE, wrist)
    browser.press("ArrowRight")
    browser.wait("location.hash.includes('row=5') && location.hash.includes('channel=4')")
    changed(browser, PICTURE, tip)
    browser.press("Escape")
    browser.wait(f"{TILES}.length === {ROWS}")
    # The address alone leads to the same picture.
    browser.js("location.hash = 'row=4&kind=geodesic&channel=4'")
    browser.wait("document.body.innerText.includes('row 4: 5 of 24')")
    assert changed(browser, PICTURE, [0, 0])[0] == tip[0]


def test_a_map_that_the_store_lacks_and_a_geodesic_from_the_pointer(browser, show, place):
    show(open_site.open_store_site(str(place / "h.zarr"), "hands"), "#row=2")
    before = changed(browser, PICTURE, [0, 0])
    browser.choose(".bar select", "signed_edt")
    before = changed(browser, PICTURE, before)
    browser.press("g")
    before = changed(browser, PICTURE, before)
    x, y = browser.spot(PICTURE)
    browser.mouse("mouseMoved", x, y)
    browser.wait("document.body.innerText.includes('from the ring')")
    changed(browser, PICTURE, before)
    crop = gmaps.open_store(place / "h.zarr")[2].crop
    at = (crop.size - 1) / 2
    z = np.where(crop.mask, crop.depth, 0) * np.float32(crop.cube.half_side)
    want = gmaps.geodesic_distance(crop.mask, [[at, at]], spacing=2 * crop.cube.half_side / crop.size, depth=z)
    browser.wait(f"document.querySelector('.scale span').textContent === '{want[np.isfinite(want)].max():.0f} mm'")
    browser.press("g")


def test_the_surface_turns(browser, show, place):
    show(open_site.open_store_site(str(place / "h.zarr"), "hands"), "#row=2")
    over = f"{SOLID}.over"
    front = changed(browser, over, [0, 0])
    # A drawing buffer is gone once it is shown; the screen's own pixels tell.
    flat = browser.picture()
    browser.drag(SOLID, 120, 40)
    turned = changed(browser, over, front)
    browser.press("0")
    browser.click(SOLID)
    browser.press("0")
    changed(browser, over, turned)
    browser.press("x")
    browser.wait("document.querySelector('button[aria-pressed=true]')")
    assert browser.picture() != flat


def test_the_largest_error_comes_first(browser, show, place):
    show(open_site.open_store_site(str(place / "h.zarr"), "hands", predictions=str(place / "pred.txt")))
    browser.wait(f"{TILES}.length === {ROWS}")
    browser.choose("label:nth-of-type(4) select", "error")
    browser.wait(f"{TILES}.length && document.querySelector('[aria-posinset=\"1\"]').dataset.row === '7'")
    first = [browser.js(f"document.querySelector('[aria-posinset=\"{k}\"]').dataset.row") for k in (1, 2, 3)]
    assert [int(row) for row in first] == WORST
    assert "60.0 mm" in browser.js("document.querySelector('[aria-posinset=\"1\"]').innerText")
    browser.click("input[placeholder=mm]")
    browser.type("45")
    browser.press("Enter")
    browser.wait("document.body.innerText.includes('2 of 24 samples')")
    browser.click(".tile[data-row='19']")
    browser.wait("document.body.innerText.includes('row 19: 2 of 2')")
    assert "50.0" in browser.js("document.querySelector('tbody').innerText")
    browser.press("ArrowLeft")
    browser.wait("document.body.innerText.includes('row 7: 1 of 2')")


class Million:
    """A site of a million rows, each of one colour."""

    def __init__(self):
        self.asked = []
        self.calls = {"about": self.about, "tiles": self.tiles, "subjects": lambda q: {"subjects": [], "more": 0}}

    def close(self):
        pass

    def about(self, query):
        s = get_skeleton("msra21")
        return {
            "kind": "store", "name": "million", "rows": 10**6, "dataset": "", "size": 2, "flat": False,
            "projection": "orthographic", "colored": False, "rejected": 0, "joints": s.joints, "bones": s.bones,
            "colours": [s.colour(0)] * 21, "evaluated": None, "predicted": None,
        }  # fmt: skip

    def tiles(self, query: Query):
        start, count = query.whole("from", 0, 10**6), query.whole("count", 1, 400)
        rows = list(range(start, min(start + count, 10**6)))
        self.asked += rows
        n = len(rows)
        nothing = np.full((n, 21, 2), np.nan, np.float32)
        return Packet(
            {"of": 10**6, "from": start, "rows": rows, "frames": rows, "subjects": rows, "valid": [True] * n,
             "errors": None, "reasons": [""] * n},
            {"picture": np.full((n, 2, 2), EMPTY, np.uint8), "true": nothing, "found": nothing},
        )  # fmt: skip


@pytest.mark.parametrize("width", [1280, 320])
def test_a_million_rows_scroll_and_only_those_in_view_are_loaded(browser, show, width):
    site = Million()
    show(site)
    browser.resize(width, 900)
    browser.wait(f"{TILES}.length > 1 && document.body.innerText.includes('1,000,000 of 1,000,000')")
    browser.press("End")
    browser.press("End")
    browser.wait(
        "document.querySelector('.tile[data-row=\"999999\"]') === document.activeElement && document.activeElement"
    )
    browser.js("document.querySelector('.scroller').scrollTop = document.querySelector('.spacer').offsetHeight / 2")
    top = "Math.min(...[...document.querySelectorAll('.tile[data-row]')].map(t => Number(t.dataset.row)))"
    middle = browser.wait(f"{top} > 400000 && {top} < 600000 && {top}")
    browser.wheel(".scroller", 300)
    moved = browser.wait(f"{top} !== {middle} && {top}") - middle
    assert 0 < moved < 60  # a wheel's step is a few lines, however long the scroll bar
    assert browser.js("document.querySelectorAll('.tile').length") < 200
    assert len(site.asked) < 1000


def test_hostile_text_is_shown_as_text(browser, show, tmp_path):
    rows = fake_rows(4)
    rows[1]["valid"] = False
    path = write_store(
        tmp_path / "s.zarr", rows, rejects=[{"row": 1, "frame": 1, "name": HOSTILE, "reason": HOSTILE}]
    )
    meta = json.loads((path / "zarr.json").read_text())
    meta["attributes"]["dataset"] = {"name": HOSTILE, "subjects": [HOSTILE] * 3}
    joints = [f"{HOSTILE}{k}" for k in range(21)]
    meta["attributes"]["skeleton"] |= {"name": "own", "joints": joints, "colours": {"thumb": "url(//evil.example/x)"}}
    (path / "zarr.json").write_text(json.dumps(meta))
    show(open_site.open_store_site(str(path), HOSTILE))
    browser.wait(f"{TILES}.length === 4 && document.body.innerText.includes('<img src=x')")
    for row in (0, 1):
        browser.click(f".tile[data-row='{row}']")
        browser.wait(f"document.body.innerText.includes('{'row 0: 1 of 4' if row == 0 else 'Row 1 (frame'}')")
        assert "<img src=x" in browser.js("document.body.innerText")
        browser.press("Escape")
        browser.wait(f"{TILES}.length === 4")
    assert browser.js("window.taken ?? 0") == 0
    assert browser.js("document.querySelectorAll('img, main script, iframe').length") == 0


def test_a_run_s_curves_grow(browser, show, tmp_path):
    for name, rows in (("a", 30), ("b", 10)):
        (tmp_path / name).mkdir()
        lines = ["step,epoch,seconds,lr,loss,validation_mm"]
        lines += [f"{k},{k / 10},{k},0.001,{5 / (k + 1)},{40 - k if k % 10 == 9 else ''}" for k in range(rows)]
        (tmp_path / name / "log.csv").write_text("\n".join([*lines, "999,1"]))  # the last line is being written
    show(open_site.open_run_site(str(tmp_path), "runs"))
    browser.wait("document.body.innerText.includes('40 rows of 2 runs')")
    titles = browser.js("[...document.querySelectorAll('.chart h2')].map(h => h.textContent)")
    assert titles == ["loss", "error in validation, mm", "learning rate"]
    before = changed(browser, ".chart canvas", [0, 0])
    browser.press("l")
    before = changed(browser, ".chart canvas", before)
    with open(tmp_path / "b" / "log.csv", "a") as file:
        file.write("000,9,0,0,0,0\n")  # of a line that was cut short, a whole one
        file.writelines(f"{k},{k / 10},{k},0.001,{9 / (k + 1)},\n" for k in range(10, 15))
    browser.wait("document.body.innerText.includes('45 rows of 2 runs')", 10)
    x, y = browser.spot(".chart canvas")
    browser.mouse("mouseMoved", x, y)
    browser.wait("/a: .* at step .*; b: /.test(document.querySelector('.chart .read').textContent)")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_four_times_as_large_nothing_is_cut_off(browser, show, place, theme):
    """400 % zoom of a window of 1280 x 1024 leaves 320 x 256 CSS pixels."""
    browser.theme(theme)
    show(open_site.open_store_site(str(place / "h.zarr"), "hands", predictions=str(place / "pred.txt")))
    browser.resize(320, 256, 4)
    fits = "document.documentElement.scrollWidth <= 320 && document.body.scrollWidth <= 320"
    browser.wait(f"{TILES}.length > 0 && {fits}")
    browser.js("location.hash = 'row=7'")
    browser.wait(f"document.body.innerText.includes('row 7: ') && {fits}")
    contrast = browser.js(LOW_CONTRAST)
    assert contrast == []
    browser.theme("light")


def test_themes_help_and_a_server_that_is_gone(browser, show, place):
    server = show(open_site.open_store_site(str(place / "h.zarr"), "hands"), expect=("ERR_CONNECTION_REFUSED",))
    browser.wait(f"{TILES}.length === {ROWS}")
    seen = set()
    back = "getComputedStyle(document.body).backgroundColor"
    for _ in range(3):
        browser.press("t")
        seen.add(browser.js(f"[document.getElementById('theme').textContent, {back}].join()"))
    assert {s.split(",")[0] for s in seen} == {"Theme: dark", "Theme: light", "Theme: system"}
    assert len({s.split(",", 1)[1] for s in seen}) == 2
    browser.press("?")
    help_ = "document.getElementById('help')"
    browser.wait(f"{help_}.open && {help_}.innerText.includes('larger and smaller')")
    browser.press("Escape")
    browser.wait("!document.getElementById('help').open")
    server.stop()
    browser.js("location.hash = 'row=3'")
    browser.wait("document.getElementById('status').innerText.includes('Was gmaps ended')")
