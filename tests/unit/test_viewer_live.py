"""A tracker at work and its page: what the page is told, and that it changes nothing."""

from __future__ import annotations

import itertools
import json
import socket
import sys
import urllib.request
import webbrowser
from threading import Thread

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.camera import Camera
from gmaps.capture import Shot
from gmaps.capture.paced import LONGEST, Paced
from gmaps.skeleton import get_skeleton
from gmaps.viewer.live_site import PAST, LiveSite
from gmaps.viewer.packet import unpack
from gmaps.viewer.query import Query
from tests.stand_in_realsense import stand_in_realsense
from tests.unit.track_kit import LENS, track_folder

CAMERA = Camera(100.0, 100.0, 31.5, 23.5, 64, 48)
SKELETON = get_skeleton("msra21")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return track_folder(tmp_path_factory.mktemp("live"))


def hand(number=0, state="tracking", sure=0.5):
    from gmaps.inference.tracker import TrackedHand

    joints = np.full((21, 3), 400, np.float32)
    return TrackedHand(number, state, "left", sure, joints, joints)


def shot(k):
    return Shot(np.full((48, 64), 300.4 + k, np.float32), k / 30, f"f{k}")


@pytest.fixture
def site():
    pytest.importorskip("torch")
    return LiveSite("room", CAMERA, SKELETON, (100.0, 1500.0))


def test_a_page_is_given_the_newest_frame_and_what_came_between_is_left_out(site):
    for k in range(5):
        site.put(shot(k), [hand(sure=k / 10)], 4.0 + k)
    first = site.next(Query("after=-1&page=a"))
    assert (first.values["number"], first.values["frame"]) == (4, "f4")
    assert first.arrays["depth"].dtype == np.uint16
    assert (first.arrays["depth"] == 304).all()
    np.testing.assert_allclose(first.arrays["confidence"], [0, 0.1, 0.2, 0.3, 0.4], atol=1e-6)
    np.testing.assert_allclose(first.arrays["uvd"], CAMERA.project(first.arrays["joints"]), atol=1e-3)
    assert first.values["median_ms"] == 6.0
    assert 7.9 < first.values["p99_ms"] <= 8.0
    assert first.values["fps"] > 0
    assert site.about(Query(""))["joints"] == list(SKELETON.joints)


def test_a_page_that_waits_does_not_hold_up_the_tracker(site):
    given = []
    pages = [Thread(target=lambda k=k: given.append(site.next(Query(f"after=-1&page={k}")))) for k in range(3)]
    for page in pages:
        page.start()
    site.wait_for_page(60)
    site.put(shot(0), [], 5.0)
    for page in pages:
        page.join(60)
    assert [g.values["number"] for g in given] == [0, 0, 0]
    assert given[0].values["hands"] == []


def test_a_hand_that_was_lost_is_remembered_for_a_while(site):
    site.put(shot(0), [hand(3), hand(4)], 5.0)
    for k in range(1, 4):
        site.put(shot(k), [hand(4)], 5.0)
    assert site.next(Query("after=-1&page=a")).values["lost"] == [[3, 3]]
    for k in range(4, PAST + 2):
        site.put(shot(k), [hand(4)], 5.0)
    found = site.next(Query("after=-1&page=a"))
    assert found.values["lost"] == []
    assert len(found.arrays["spent"]) == PAST


def test_the_end_waits_for_a_page_that_looks_on(site):
    site.put(shot(0), [], 5.0)
    asks = Thread(target=lambda: site.next(Query("after=0&page=a")))
    asks.start()
    site.wait_for_page(60)
    end = Thread(target=site.end, args=("enough.",))
    end.start()
    asks.join(60)
    assert site.next(Query("after=0&page=a")) == {"number": 0, "ended": "enough."}
    site.told(Query("page=a"))
    end.join(60)
    assert not end.is_alive()
    site.end("again")  # nobody looks on: at once


def test_files_come_at_their_own_speed(monkeypatch):
    now, slept, begun = [100.0], [], []

    def sleep(seconds):
        slept.append(round(seconds, 3))
        now[0] += seconds

    monkeypatch.setattr("gmaps.capture.paced.time.monotonic", lambda: now[0])
    monkeypatch.setattr("gmaps.capture.paced.time.sleep", sleep)

    class Source:
        camera = CAMERA

        def __iter__(self):
            return (Shot(np.zeros((48, 64), np.float32), t, "") for t in (5.0, 5.1, 5.2, 5.3, 500.0, 499.0))

    for _ in itertools.islice(Paced(Source(), lambda: begun.append(1)), 6):
        now[0] += 0.25 if len(slept) == 2 else 0.02  # the second frame takes the tracker longer than there is time
    assert begun == [1]
    assert slept == [0, 0.08, 0, 0.08, LONGEST - 0.02, 0]


class Page:
    """Instead of a browser: asks until it is told that this has ended."""

    def __init__(self, monkeypatch):
        self.frames, self.ended = [], ""
        monkeypatch.setattr(webbrowser, "open", self.open)

    def open(self, address):
        def ask(question):
            with urllib.request.urlopen(address + "api/" + question, timeout=60) as reply:
                body = reply.read()
                if reply.headers["Content-Type"] == "application/json":
                    return json.loads(body), {}
                return unpack(body)

        number = -1
        while not self.ended:
            values, arrays = ask(f"next?after={number}&page=p")
            number, self.ended = values["number"], values["ended"]
            self.frames += [(values, arrays)] if arrays else []
        ask("told?page=p")
        return True


def track(place, source, *args):
    command = ["track", source, "--checkpoint", place / "net.pt", "--sure", 0, *args]
    return CliRunner().invoke(main, [str(a) for a in command], catch_exceptions=False)


def test_a_page_changes_no_number(place, monkeypatch):
    page, films = Page(monkeypatch), {}
    for name, live in (("a", ()), ("b", ("--live", "--open", "--json"))):
        made = {kind: place / f"{name}{kind}" for kind in (".npz", "r.npz", ".gif")}
        done = track(place, place / "frames", "--camera", LENS, "--out", made[".npz"], "--record", made["r.npz"],
                     "--overlay", made[".gif"], *live)  # fmt: skip
        assert done.exit_code == 0, done.output
        films[name] = made[".gif"].read_bytes()
        assert films[name]
    assert json.loads(done.stdout)["frames"] == 6
    assert films["a"] == films["b"]
    for kind in (".npz", "r.npz"):
        with np.load(place / f"a{kind}") as a, np.load(place / f"b{kind}") as b:
            assert a.files == b.files
            for name in a.files:
                assert a[name].tobytes() == b[name].tobytes(), name
    assert page.ended == "gmaps track has ended."
    with np.load(place / "b.npz") as b:
        for values, arrays in page.frames:
            np.testing.assert_array_equal(arrays["joints"], b["joints_mm"][values["number"]])
    assert page.frames[-1][0]["frame"] == "5.png"


def test_a_camera_that_is_unplugged_ends_the_page_with_a_sentence(place, monkeypatch):
    images = [np.full((24, 32), 2000 + 4 * k, np.uint16) for k in range(3)]
    log, page = [], Page(monkeypatch)
    monkeypatch.setitem(sys.modules, "pyrealsense2", stand_in_realsense(log, images))
    done = track(place, "realsense", "--live", "--open", "--out", place / "c.jsonl")
    assert done.exit_code == 1
    assert "realsense: no frame for 5 s" in done.output
    assert "realsense: no frame for 5 s" in page.ended
    assert page.frames[-1][0]["number"] == 2
    assert (page.frames[-1][1]["depth"] == 502).all()  # a unit is 0.25 mm
    assert log[-1] == ("stopped",)
    assert len((place / "c.jsonl").read_text().splitlines()) == 4


def test_mistakes_are_told_in_a_line(place, monkeypatch):
    page = Page(monkeypatch)
    for args, words in (
        (("--port", 8000), "--port, --open and --no-open are of the page of --live"),
        (("--no-open",), "--port, --open and --no-open are of the page of --live"),
        (("--live", "--out", "-", "--json"), "--json prints statistics where hands go to a file"),
        (("--live", "--no-open", "--out", place / "x.csv"), ".jsonl or .npz"),
    ):
        done = track(place, place / "frames", "--camera", LENS, *args)
        assert done.exit_code == 2, done.output
        assert words in done.output.replace("\n", " ")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = track(place, place / "frames", "--camera", LENS, "--live", "--no-open", "--port", port)
    assert done.exit_code == 2
    assert f"port {port} is taken" in done.output
    assert not page.frames
