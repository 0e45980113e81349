"""Joints on depth: the picture has what it must, and the numbers tell right from wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

import gmaps
from gmaps.datasets.write.tree import write_tree
from gmaps.plot.overlay import frame_figure, measure_fit


@pytest.fixture(scope="module")
def data():
    return gmaps.load_dataset("synthetic", frames=3)


def moved(frame, *, scale=1.0, shift=(0, 0, 0), flip=(1, 1, 1)):
    joints = frame.joints * np.float32(scale) * np.array(flip, np.float32) + np.array(shift, np.float32)
    return replace(frame, joints=joints)


def test_joints_of_the_synthetic_hand_lie_in_it(data):
    for k in range(3):
        fit = measure_fit(data.read(k))
        assert (fit.joints, fit.in_image) == (21, 21)
        assert fit.on_surface >= 18
        assert fit.verdict == "the joints lie in the hand"


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.001}, {"scale": 1000}, {"scale": 0.5}, {"shift": (0, 0, -80)}, {"shift": (0, 0, 150)},
        {"shift": (300, 0, 0)},
    ],
)  # fmt: skip
def test_joints_that_are_wrong_are_told(data, change):
    assert measure_fit(moved(data.read(1), **change)).verdict.endswith("right?")


@pytest.mark.parametrize(("by", "words"), [(250, "behind it"), (-120, "before it")])
def test_one_joint_far_from_the_hand_is_told(data, by, words):
    frame = data.read(1)
    joints = frame.joints.copy()
    joints[0, :] *= (joints[0, 2] + by) / joints[0, 2]  # along its own ray
    assert words in measure_fit(replace(frame, joints=joints)).verdict


def test_y_up_is_told_unless_the_hand_is_in_the_middle(data):
    frame = data.read(1)
    away = moved(frame, shift=(0, 80, 0))
    depth = np.zeros_like(frame.depth)
    depth[40:] = frame.depth[:-40]
    flipped = moved(replace(away, depth=depth), flip=(1, -1, 1))
    assert "axes" in measure_fit(flipped).verdict


def test_three_panels(data):
    frame = data.read(1)
    figure = frame_figure(frame, data.skeleton)
    whole, near, side, *_ = figure.axes
    uvd = frame.camera.project(frame.joints)
    for axes in (whole, near):
        np.testing.assert_allclose(axes.collections[0].get_offsets(), uvd[:, :2], atol=1e-6)
    np.testing.assert_allclose(side.collections[-1].get_offsets(), frame.joints[:, [2, 1]], atol=1e-4)
    assert whole.get_ylim() == (239.5, -0.5)
    assert near.get_ylim()[0] > near.get_ylim()[1]
    left, right = near.get_xlim()
    assert left < uvd[:, 0].min() < uvd[:, 0].max() < right
    names = [t.get_text() for t in near.get_legend().get_texts()]
    assert names == ["thumb", "index", "middle", "ring", "little", "palm"]
    figure.canvas.draw()
    assert np.asarray(figure.canvas.buffer_rgba())[..., :3].std() > 20


@pytest.mark.parametrize("what", ["no labels", "nothing seen", "one joint lost", "behind the camera"])
def test_frames_that_lack_something_are_drawn_all_the_same(data, what):
    frame = data.read(1)
    joints, depth = frame.joints.copy(), frame.depth
    if what == "no labels":
        joints[:] = np.nan
    elif what == "one joint lost":
        joints[3] = np.nan
    elif what == "behind the camera":
        joints[:, 2] *= -1
    else:
        depth = np.zeros_like(depth)
    odd = replace(frame, joints=joints, depth=depth)
    figure = frame_figure(odd, data.skeleton)
    figure.canvas.draw()
    fit = measure_fit(odd)
    assert (
        fit.verdict == "this frame has no labels"
        if what == "no labels"
        else fit.joints == ({"one joint lost": 20, "behind the camera": 0}.get(what, 21))
    )


def run(*args):
    return CliRunner().invoke(main, ["datasets", *map(str, args)])


@pytest.mark.parametrize(
    ("layout", "name"), [("msra", "msra"), ("nyu", "nyu"), ("folder", "folder"), ("synhand", "synhand5m")]
)
def test_command_draws_a_frame_of_every_data_set(layout, name, tmp_path):
    write_tree(tmp_path / "t", layout, 10, seed=3)
    picture = tmp_path / "p.png"
    result = run(name, "--overlay", 4, "--root", tmp_path / "t", "--save", picture, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["verdict"] == "the joints lie in the hand"
    assert said["joints"] == (36 if name == "nyu" else 21)
    assert picture.stat().st_size > 20_000


def test_command_says_where_it_drew_and_what_it_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("synthetic", "--overlay", 1, "-O", "frames=20", "--split", "test")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "synthetic-1.png").exists()
    for said in (
        "synthetic frame 19",
        "21 of 21 (msra21)",
        "behind the surface",
        "synthetic-1.png",
        "lie in the hand",
    ):
        assert said in result.stdout


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--overlay", 3], 2, "need the data set's NAME"), (["--check", "x"], 2, "need the data set's NAME"),
        (["msra", "--overlay", 3, "--check", "x"], 2, "two questions"),
        (["msra", "--save", "x.png"], 2, "are for --overlay"),
        (["msra", "--overlay", 3, "--root", "nowhere"], 1, "no such directory"),
        (["synthetic", "--overlay", 3, "-O", "frames=2"], 2, "has frames 0 to 1, not 3"),
        (["synthetic", "--overlay", 0, "-O", "frames=2", "--save", "no/x.png"], 2, "cannot be written"),
        (["synthetic", "--overlay", -1], 2, "Invalid value"),
        (["synthetic", "--overlay", 0, "-O", "x"], 2, "not KEY=VALUE"),
    ],
)  # fmt: skip
def test_impossible_requests(args, code, message):
    result = run(*args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["folder", "synhand5m"])
def test_text_of_the_data_sets(name):
    text = run(name).stdout
    assert "dataset.toml" in text
    assert "cut=forearm" in text
    assert ("is not known to gmaps" in text) == (name == "synhand5m")
