"""`gmaps track` and `gmaps detect` from end to end, by a tiny network with random weights: any joints will do."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.capture import Recorder, Shot
from gmaps.synth.room import CAMERA
from tests.unit.track_kit import LENS, track_folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return track_folder(tmp_path_factory.mktemp("track"))


def run(*args):
    return CliRunner().invoke(main, [str(a) for a in args], catch_exceptions=False)


def track(place, source, *args, camera=True):
    lens = ("--camera", LENS) if camera else ()
    return run("track", source, *lens, "--checkpoint", place / "net.pt", "--sure", 0, *args)


def test_lines(place):
    done = track(place, place / "frames")
    assert done.exit_code == 0, done.output
    head, *rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert head["camera"] == CAMERA.to_dict()
    assert len(head["joints"]) == 21
    assert [r["frame"] for r in rows] == [f"{k}.png" for k in range(6)]
    hands = [h for r in rows for h in r["hands"]]
    assert hands
    for hand in hands:
        np.testing.assert_allclose(CAMERA.project(hand["joints_mm"]), hand["joints_uvd"], atol=0.01)
        assert hand["state"] in ("found", "tracking")
        assert 0 <= hand["confidence"] <= 1
    assert "6 frames" in done.stderr
    assert "99th percentile" in done.stderr


def test_a_replay_gives_the_same_numbers_bit_for_bit(place):
    first = track(place, place / "frames", "--out", place / "a.npz", "--record", place / "r.npz", "--json")
    assert json.loads(first.stdout)["frames"] == 6
    again = track(place, place / "r.npz", "--out", place / "b.npz", camera=False)
    assert again.exit_code == 0, again.output
    with np.load(place / "a.npz") as a, np.load(place / "b.npz") as b:
        assert set(a.files) == set(b.files)
        for name in a.files:
            assert a[name].tobytes() == b[name].tobytes(), name
        assert np.isfinite(a["joints_mm"]).any()
        assert a["joints_mm"].shape == (6, 1, 21, 3)
    one = track(place, place / "frames")
    two = track(place, place / "r.npz", camera=False)
    assert one.stdout == two.stdout


@pytest.mark.parametrize("name", ["film.mp4", "film.gif", "film.avi", "pictures"])
def test_overlay(place, name):
    done = track(place, place / "frames", "--out", place / "o.jsonl", "--overlay", place / name, "--frames", 4)
    assert done.exit_code == 0, done.output
    if name == "pictures":
        shown = [cv2.imread(str(p)) for p in sorted((place / name).iterdir())]
    elif name.endswith("gif"):
        from PIL import Image

        with Image.open(place / name) as film:
            shown = [np.zeros((film.height, film.width, 3), np.uint8)] * film.n_frames
    else:
        video, shown = cv2.VideoCapture(str(place / name)), []
        while (read := video.read())[0]:
            shown.append(read[1])
    assert len(shown) == 4
    assert shown[0].shape == (CAMERA.height, CAMERA.width, 3)
    if name == "pictures":  # the skeleton is in colour, depth is not
        assert (np.ptp(shown[0].astype(int), axis=2) > 60).sum() > 50


def test_detect(place):
    args = ("detect", place / "frames", "--camera", LENS, "--checkpoint", place / "net.pt", "--sure", 0)
    rows = [json.loads(line) for line in run(*args, "--json").stdout.splitlines()]
    assert len(rows) == 6
    assert all(len(hand["box"]) == 4 and hand["side"] in ("left", "right") for r in rows for hand in r["hands"])
    assert "middle" in run(*args, "--frames", 2).stdout
    sure = run(*args[:-1], 1.0).stdout
    assert sure.splitlines() == [f"{k}.png  none" for k in range(6)]


def test_mistakes_are_told_in_a_line(place, tmp_path):
    for args, code, words in (
        (("track", place / "frames"), 2, "--camera"),
        (("track", tmp_path / "none", "--camera", LENS), 2, "no such folder"),
        (("track", place / "frames", "--camera", "1,2"), 2, "4 numbers"),
        (("track", place / "frames", "--camera", LENS, "--out", tmp_path / "x.csv"), 2, ".jsonl or .npz"),
        (("track", place / "frames", "--camera", LENS, "--out", tmp_path / "no" / "x.jsonl"), 2, "cannot be written"),
        (("track", place / "frames", "--camera", LENS, "--json"), 2, "--out"),
        (("track", place / "frames", "--camera", LENS, "--overlay", tmp_path / "x.webm"), 2, "film"),
        (("track", place / "frames", "--camera", LENS, "--record", tmp_path / "x.zip"), 2, ".npz"),
        (("track", place / "frames", "--camera", LENS, "--range", "900,100"), 2, "range"),
        (("detect", place / "frames", "--camera", LENS, "--model", "a:b"), 2, "--checkpoint"),
    ):
        if "--model" not in args:
            args = (*args, "--checkpoint", place / "net.pt")
        done = run(*args)
        assert done.exit_code == code, (args, done.output)
        assert words in done.output, (args, done.output)


def test_a_recording_left_half_written_is_none(place, tmp_path):
    recorder = Recorder(tmp_path / "r.npz", CAMERA)
    recorder.add(Shot(np.ones((CAMERA.height, CAMERA.width), np.float32), 0.0, "0"))
    done = track(place, tmp_path / "r.npz", camera=False)
    assert done.exit_code == 1
    assert "no such recording" in done.output
