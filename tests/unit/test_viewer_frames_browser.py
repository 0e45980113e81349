"""Pages of frames, a recording's and a tracker's at work, in headless Chromium."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from gmaps.camera import Camera
from gmaps.capture import Recorder, Shot
from gmaps.skeleton import get_skeleton
from gmaps.viewer import open_site
from tests.browser import changed, pixels
from tests.unit.track_kit import recording, tiny_network

SOLID = "section[aria-label='In 3D'] canvas"


def test_a_recording_frame_by_frame(browser, show, tmp_path):
    camera = Camera(100.0, 100.0, 31.5, 23.5, 64, 48)
    skeleton = get_skeleton("msra21")
    recorder = Recorder(tmp_path / "r.npz", camera)
    lines = [{"gmaps": "track", "format": 1, "camera": camera.to_dict(), "joints": list(skeleton.joints)}]
    for k in range(8):
        depth = np.zeros((48, 64), np.float32)
        depth[10:30, 5 * k : 5 * k + 20] = 400
        recorder.add(Shot(depth, k / 30, f"frame {k}"))
        joints = camera.unproject(np.tile([5.0 * k + 10, 20, 400], (21, 1))) + np.arange(21)[:, None]
        hand = {"number": 3, "state": "found" if k == 1 else "tracking", "side": "left", "confidence": 0.5 + k / 20,
                "joints_mm": joints.tolist(), "joints_uvd": camera.project(joints).tolist()}  # fmt: skip
        lines.append({"frame": f"frame {k}", "time": k / 30, "hands": [hand] if k else []})
    recorder.close()
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    show(open_site.open_recording_site(str(tmp_path / "r.npz"), "r", predictions=str(tmp_path / "t.jsonl")))
    browser.wait("document.body.innerText.includes('no hand in this frame')")
    before = changed(browser, "canvas.frame", [0, 0])
    browser.press("ArrowRight")
    browser.wait("document.body.innerText.includes('found') && location.hash === '#frame=1'")
    before = changed(browser, "canvas.frame", before)
    said = browser.js("document.querySelector('tbody').innerText")
    assert "left" in said
    assert "0.550" in said
    assert pixels(browser, "canvas.time")[0] > 100
    browser.press("End")
    browser.wait("location.hash === '#frame=7' && document.body.innerText.includes('tracking')")
    changed(browser, "canvas.frame", before)
    browser.press("Home")
    browser.wait("location.hash === '' || location.hash === '#'")
    browser.press(" ")
    browser.wait("location.hash === '#frame=7'")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("live")
    tiny_network(folder / "net.pt")
    return folder


@pytest.mark.parametrize("stopped", [False, True])
def test_a_tracker_at_work(browser, look, place, stopped):
    """Until its source ends, or Ctrl-C does."""
    recording(place / "r.npz", 2000 if stopped else 12, fps=20)
    out = place / f"{stopped}.jsonl"
    command = ["track", "r.npz", "--checkpoint", "net.pt", "--sure", "0", "--live", "--no-open", "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, "-m", "gmaps.cli", *command], cwd=place, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell's background job ignores
    ) as run:  # fmt: skip
        try:
            assert run.stderr is not None
            look(run.stderr.readline().strip(), expect=("ERR_CONNECTION_REFUSED",))
            browser.wait("document.body.innerText.includes('hand 0: tracking')")
            before = changed(browser, "canvas.frame", [0, 0])
            assert pixels(browser, f"{SOLID}.over")[0]
            assert pixels(browser, "canvas.time")[0]
            browser.wait("/\\d ms \\(median\\), [\\d.]+ ms \\(99th percentile\\)/.test(document.body.innerText)")
            assert "wrist" in browser.js("document.body.innerText")
            assert browser.js("document.title") == "r.npz · gmaps track"
            assert browser.js("document.querySelector('h1').innerText") == "gmaps track"
            if stopped:
                before = changed(browser, "canvas.frame", before)
                browser.press(" ")
                browser.wait("document.querySelector('button[aria-pressed=true]')")
                held = pixels(browser, "canvas.frame")
                number = "document.querySelector('dd').textContent"
                first = browser.js(number)
                browser.wait(f"{number} !== {json.dumps(first)}")
                assert pixels(browser, "canvas.frame") == held
                browser.press(" ")
                before = changed(browser, "canvas.frame", held)
                browser.press("b")
                browser.wait("!document.querySelector('input[type=checkbox]').checked")
                run.send_signal(signal.SIGINT)
            browser.wait("document.getElementById('status').innerText === 'gmaps track has ended.'")
            said = run.stderr.read()
            assert run.wait(60) == 0, said
            assert "99th percentile" in said
            assert "Traceback" not in said
        finally:
            run.kill()
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[0]["gmaps"] == "track"
    assert (3 < len(lines) < 2000) if stopped else len(lines) == 13
